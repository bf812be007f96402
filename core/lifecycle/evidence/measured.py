"""The metrics of the very model that a version was made from, where its run logged several.

MLflow writes what is logged for a model to its run too, where the next model's value takes its
place. So a model's own values count first; of the run's only those that no other model of it has.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from core.errors import DeckError
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import LoggedModel, Run
from core.texts import t

_NAMED = 8


@dataclass(frozen=True)
class Measured:
    """What was measured of a version."""

    metrics: Mapping[str, float]
    """Last values."""
    logged: LoggedModel | None = None
    """The model that it was made from, where MLflow knows one."""
    notes: tuple[str, ...] = ()
    """What of its run does not count, and why, in plain words."""


def measured(mlflow: Mlflow, version: int, model_id: str | None, run: Run | None) -> Measured:
    """The metrics of a version; other models of its run are looked at only where it lacks some.

    Args:
        version: its number, for the notes.
        model_id: the logged model that it was made from; None where there is none.
        run: its run; None where there is none.

    Raises:
        DeckError: MLflow does not answer, or the model cannot be read and there is no run.
    """
    if model_id is None:
        return Measured(run.metrics if run else {})
    notes = []
    own = None
    try:
        own = mlflow.tracking.logged_model(model_id)
    except DeckError as error:
        if error.retryable or run is None:
            raise
        notes = [t("evidence.notes.model_gone", version=version, why=error.what)]
    values = own.metrics if own else {}
    if own is not None:
        values = {k: math.nan if _nan(mlflow, run, own, k, v) else v for k, v in values.items()}
    if run is None:
        return Measured(values, own, tuple(notes))
    if own is not None and own.run_id not in (None, run.id):
        notes.append(t("evidence.notes.other_run", version=version))
    lacking = run.metrics.keys() - values.keys()
    others, complete = mlflow.tracking.models_of_run(run) if lacking else ((), True)
    theirs = lacking & {name for model in others if model.id != model_id for name in model.metrics}
    seen = {model_id, *(model.id for model in others)}
    left = lacking - theirs
    if left and not (complete and seen.issuperset(run.logged_models)):
        notes.append(t("evidence.notes.untold", version=version, names=some(left)))
        left = set()
    if theirs:
        notes.append(t("evidence.notes.of_others", version=version, names=some(theirs)))
    of_run = {name: run.metrics[name] for name in left}
    return Measured({**of_run, **values}, own, tuple(notes))


def some(names: Collection[str]) -> str:
    """A few names, and how many more there are."""
    listed, more = ", ".join(sorted(names)[:_NAMED]), len(names) - _NAMED
    return t("evidence.notes.more", names=listed, n=more) if more > 0 else listed


def _nan(mlflow: Mlflow, run: Run | None, own: LoggedModel, name: str, value: float) -> bool:
    """Whether a model's 0 may be a NaN: MLflow keeps one as 0, and the run's as it was logged."""
    by = own.measured_by.get(name) or (run.id if run else None)
    if value or by is None or (run is not None and by == run.id and not run.metrics.get(name)):
        return False
    history = mlflow.tracking.metric_history(by, name)
    return any(math.isnan(point.value) for point in history)
