"""Which runs belong to a run: its children, its siblings, and its replicates. Pure."""

from core.mlflow_api.nouns import PARENT_TAG, Run
from core.runs.language import texts_in
from core.runs.replicates import seed_like

MOST_PARAMS = 60
"""Params that a filter may hold."""


def children(run: Run) -> str:
    """The filter that finds the runs nested in ``run``."""
    return f"tags.`{PARENT_TAG}` = '{run.id}'"


def siblings(run: Run) -> str | None:
    """The filter that finds the runs beside ``run`` under its parent, itself among them.

    None where it is nested in none, or in what cannot be a run's id.
    """
    quoted = _quoted(run.parent_id) if run.parent_id else None
    return None if quoted is None else f"tags.`{PARENT_TAG}` = {quoted}"


def replicates(run: Run) -> str | None:
    """The filter that finds the runs with the same params but the seed, itself among them.

    None where it has no params but seeds, too many to ask for, or one that cannot be written.
    """
    seeds = set(seed_like(list(run.params)))
    fixed = {name: value for name, value in run.params.items() if name not in seeds}
    if not seeds or not fixed or len(fixed) > MOST_PARAMS:
        return None
    clauses = []
    for name, value in sorted(fixed.items()):
        quoted = _quoted(value)
        if quoted is None or "`" in name:
            return None
        clauses.append(f"params.`{name}` = {quoted}")
    text = " AND ".join(clauses)
    return text if texts_in(text) == [value for _, value in sorted(fixed.items())] else None


def _quoted(text: str) -> str | None:
    """A literal of MLflow's filters, which have two kinds of quotes and no escapes."""
    for mark in "'\"":
        if mark not in text:
            return f"{mark}{text}{mark}"
    return None
