"""Runs that repeat a run: the same experiment, params and data sets, another seed."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import Run
from core.mlflow_api.tracking import PAGE_LIMIT
from core.runs.replicates import is_fold, seed_like

MOST_RUNS = PAGE_LIMIT
"""Runs that are looked through, newest first."""
_MOST_TERMS = 4  # each is a join in MLflow's database; whoever comes through is compared in full
_PLAIN = re.compile(r"[A-Za-z0-9_.+\-]{1,200}")
_FINISHED = "FINISHED"


@dataclass(frozen=True)
class Replicates:
    """A run and those that repeat it."""

    values: Mapping[str, tuple[float, ...]]
    """Metric → values, the run's own first; only metrics that all of them have, and only where
    there are at least two."""
    seeds: tuple[str, ...]
    """The seed of each; empty where the runs name none."""
    complete: bool
    """Whether all runs of the experiment were looked through."""


def replicates(mlflow: Mlflow, run: Run) -> Replicates:
    """Look for the runs that repeat ``run``; one question to MLflow.

    Raises:
        DeckError: MLflow does not answer.
    """
    seeds = _seeds(run)
    terms = [
        f"params.`{name}` = '{value}'"
        for name, value in sorted(run.params.items())
        if name not in seeds and _PLAIN.fullmatch(name) and _PLAIN.fullmatch(value)
    ][:_MOST_TERMS]
    page = mlflow.tracking.search(
        [run.experiment_id],
        " AND ".join([f"attributes.status = '{_FINISHED}'", *terms]),
        ["attributes.start_time DESC"],
        MOST_RUNS,
    )
    return pick(run, page.runs, complete=page.next_token is None)


def pick(run: Run, others: Sequence[Run], *, complete: bool = True) -> Replicates:
    """Of ``others`` those that repeat ``run``. A seed counts once: the run's own as it is, another
    by the mean of its runs."""
    seeds = _seeds(run)
    same = [o for o in others if o.id != run.id and _agree(run, o, seeds)]
    if seeds:
        groups: dict[str, list[Run]] = {_key(run, seeds): [run]}
        for other in same:
            if _key(other, seeds) != _key(run, seeds):
                groups.setdefault(_key(other, seeds), []).append(other)
    else:  # nothing tells them apart but themselves
        groups = {one.id: [one] for one in (run, *same)}
    if len(groups) < 2:
        return Replicates({}, (), complete)
    values = {}
    for metric in sorted(run.metrics):
        column = [_mean(group, metric) for group in groups.values()]
        if all(value is not None for value in column):
            values[metric] = tuple(value for value in column if value is not None)
    return Replicates(values, tuple(groups) if seeds and values else (), complete)


def of_metrics(repeated: Replicates, metrics: Mapping[str, float]) -> tuple[Replicates, set[str]]:
    """The repetitions of ``metrics`` alone, and the names of those that repeat another value than
    the one there: a run's own, where its model has one of its own."""
    other = {name for name, values in repeated.values.items() if metrics.get(name) != values[0]}
    if not other:
        return repeated, other
    values = {name: column for name, column in repeated.values.items() if name not in other}
    return replace(repeated, values=values, seeds=repeated.seeds if values else ()), other


def _seeds(run: Run) -> tuple[str, ...]:
    return tuple(sorted(name for name in seed_like(list(run.params)) if not is_fold(name)))


def _key(run: Run, seeds: Sequence[str]) -> str:
    return ", ".join(run.params[name] for name in seeds)


def _agree(one: Run, other: Run, seeds: Sequence[str]) -> bool:
    def rest(run: Run) -> dict[str, str]:
        return {name: value for name, value in run.params.items() if name not in seeds}

    return (
        all(name in other.params for name in seeds)
        and rest(one) == rest(other)
        and _data(one) == _data(other)
        and (one.parent_id is None) == (other.parent_id is None)
    )


def _data(run: Run) -> set[tuple[str, str, str]]:
    return {(data.name, data.digest, data.context) for data in run.inputs}


def _mean(runs: Sequence[Run], metric: str) -> float | None:
    found = [run.metrics[metric] for run in runs if metric in run.metrics]
    if len(found) < len(runs) or not all(math.isfinite(value) for value in found):
        return None
    return sum(found) / len(found)
