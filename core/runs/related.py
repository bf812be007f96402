"""Which runs belong to a run: its children, its siblings, and its replicates. Pure."""

from core.mlflow_api.nouns import PARENT_TAG, Run
from core.runs.language import equal_to
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
    return equal_to({f"tags.{PARENT_TAG}": run.parent_id}) if run.parent_id else None


def replicates(run: Run) -> str | None:
    """The filter that finds the runs with the same params but the seed, itself among them.

    None where it has no params but seeds, too many to ask for, or one that cannot be written.
    """
    seeds = set(seed_like(list(run.params)))
    fixed = {name: value for name, value in run.params.items() if name not in seeds}
    if not seeds or not fixed or len(fixed) > MOST_PARAMS:
        return None
    return equal_to({f"params.{name}": value for name, value in sorted(fixed.items())})
