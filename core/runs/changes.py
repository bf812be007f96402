"""Experiments made, runs and experiments deleted and restored; directions of metrics set."""

from collections.abc import Callable, Sequence

from core.errors import Conflict, InvalidInput
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import NOTE_TAG
from core.runs import directions
from core.runs.directions import Direction
from core.texts import t

LONGEST_NAME = 500
LONGEST_KEY, LONGEST_VALUE = 250, 8_000
"""Characters of a tag that MLflow takes; it cuts the rest of a value off without a word."""

Change = Callable[[Mlflow, Sequence[str]], None]
"""Something done to runs or experiments, by their ids."""


def delete_runs(mlflow: Mlflow, run_ids: Sequence[str]) -> None:
    """Mark runs as deleted, one after another; a failure leaves those before it deleted."""
    for run_id in run_ids:
        mlflow.tracking.delete_run(run_id)


def restore_runs(mlflow: Mlflow, run_ids: Sequence[str]) -> None:
    """Take deletions back, one after another."""
    for run_id in run_ids:
        mlflow.tracking.restore_run(run_id)


def create_experiment(mlflow: Mlflow, name: str, description: str = "") -> str:
    """Make an experiment and return its id.

    Raises:
        InvalidInput: the name is blank or too long.
        Conflict: there is one of that name, perhaps a deleted one.
    """
    kept = good_name(name)
    there = mlflow.tracking.experiment_by_name(kept)
    if there is not None:
        key = "deleted" if there.lifecycle_stage == "deleted" else "active"
        raise Conflict(t(f"runs.name.taken_{key}", name=kept), t("runs.name.taken_next"))
    tags = {NOTE_TAG: description.strip()} if description.strip() else {}
    return mlflow.tracking.create_experiment(kept, tags)


def delete_experiments(mlflow: Mlflow, experiment_ids: Sequence[str]) -> None:
    """Mark experiments and their runs as deleted."""
    for experiment_id in experiment_ids:
        mlflow.tracking.delete_experiment(experiment_id)


def restore_experiments(mlflow: Mlflow, experiment_ids: Sequence[str]) -> None:
    """Take deletions of experiments back."""
    for experiment_id in experiment_ids:
        mlflow.tracking.restore_experiment(experiment_id)


def set_direction(
    mlflow: Mlflow, experiment_ids: Sequence[str], metric: str, way: Direction
) -> None:
    """Write into experiments which way a metric is better, beside what they say of others."""
    for experiment_id in experiment_ids:
        tags = mlflow.tracking.experiment(experiment_id).tags
        said = directions.read(tags.get(directions.TAG, ""))
        text = directions.write({**said, metric: way})
        mlflow.tracking.set_experiment_tag(experiment_id, directions.TAG, text)


def good_name(name: str) -> str:
    """A name for a run or an experiment, without blanks around it.

    Raises:
        InvalidInput: it is blank or too long.
    """
    kept = name.strip()
    if not kept:
        raise InvalidInput(t("runs.name.blank"), field="name")
    if len(kept) > LONGEST_NAME:
        raise InvalidInput(t("runs.name.long", most=LONGEST_NAME), field="name")
    return kept
