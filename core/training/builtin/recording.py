"""Trains by a recipe and records it in an MLflow run, which its caller has opened.

Uses MLflow's fluent API, which belongs to the whole process: only ever called in a child process
that does nothing else. The tracking server is the one that this process was told to use.
"""

import getpass
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)
from threadpoolctl import threadpool_limits

from core.training.builtin import DATA_AT
from core.training.builtin.data import BUNDLED_PREFIX, Split, Table, split
from core.training.builtin.drawing import write_all
from core.training.builtin.families import AUTO, family_named
from core.training.builtin.modelling import (
    Measured,
    Recipe,
    Trained,
    across_folds,
    folds_of,
    train,
)
from core.training.builtin.trouble import Stopped

PINNED = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
"""What a saved model needs to be loaded. Named, because finding it out takes MLflow seconds."""

EXAMPLE_ROWS = 5
MOST_PER_BATCH = 1000
"""The tracking server takes at most so many metrics in one call."""

SMALL_CELLS = 1_000_000
"""Up to this size a table is trained on in one thread: more would wait for one another."""

LIVE_SECONDS = 1.0
"""A running training sends its curve on no more often than this."""

INHERITED_TAGS = (MLFLOW_USER, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE)


@dataclass(frozen=True)
class Recorded:
    """What a finished training left behind."""

    run_id: str
    model_id: str
    metrics: Mapping[str, float]
    """Of the finished model, and over the folds."""


@contextmanager
def running(run_id: str | None, name: str | None = None) -> Iterator[str]:
    """Hold a run open, and end it as what happened: FINISHED, FAILED or KILLED.

    Continues ``run_id``; without one opens a run called ``name`` in the experiment that the
    environment names, else in MLflow's default. Yields the run's id.
    """
    run = mlflow.start_run(run_id=run_id, run_name=None if run_id else name)
    status = "FAILED"
    try:
        yield str(run.info.run_id)
        status = "FINISHED"
    except (Stopped, KeyboardInterrupt):
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)


def stages(recipe: Recipe) -> int:
    """How many stages `record` announces."""
    return recipe.folds + 3


def record(
    client: MlflowClient,
    run_id: str,
    table: Table,
    recipe: Recipe,
    *,
    asked: Mapping[str, str],
    announce: Callable[[str], None],
    fold_tags: Callable[[int], Mapping[str, str]] = lambda _: {},
) -> Recorded:
    """Train, measure and save; log everything into the open run ``run_id``.

    ``asked`` holds what was typed, under the params' names: where that is ``auto``, the value in
    its place is logged as ``used_<name>``. ``announce`` is called with a sentence as each stage
    begins, and with an empty one between steps of the training; it may raise `Stopped`.
    ``fold_tags`` gives the child run of fold 1, 2, … tags of its own.

    Raises `BadInput` for what cannot be trained, `MlflowException` for what cannot be stored.
    """
    threads = 1 if table.features.size <= SMALL_CELLS else None
    with threadpool_limits(threads):
        return _record(client, run_id, table, recipe, asked, announce, fold_tags)


def _record(
    client: MlflowClient,
    run_id: str,
    table: Table,
    recipe: Recipe,
    asked: Mapping[str, str],
    announce: Callable[[str], None],
    fold_tags: Callable[[int], Mapping[str, str]],
) -> Recorded:
    rows = split(table, recipe.test_share, recipe.seed)
    _log_params(client, run_id, table, recipe, asked)
    _log_inputs(client, run_id, table, rows)
    scores = [
        _fold(client, run_id, table, recipe, number, part, announce, fold_tags(number))
        for number, part in enumerate(folds_of(table, recipe, rows) if recipe.folds else (), 1)
    ]
    over_folds = across_folds(scores) if scores else {}
    announce(f"Training: {family_named(recipe.family).label.lower()}")
    live = _Live(client, run_id)

    def seen(point: Measured) -> None:
        announce("")
        live.add(point)

    started = time.monotonic()
    trained = train(table, recipe, rows, seen=seen)
    seconds = time.monotonic() - started
    for warning in trained.warnings:
        print(warning, flush=True)
    announce("Drawing plots and tables")
    with tempfile.TemporaryDirectory() as folder:
        write_all(Path(folder), table, rows, recipe, trained, over_folds)
        client.log_artifacts(run_id, folder)
    announce("Saving the model")
    model_id = _save(table, recipe, rows, trained)
    # The last point waits for the model, so that its metrics are the model's too.
    last = trained.curve[-1]
    live.finish([last, Measured(0, {**over_folds, "fit_seconds": seconds})], model_id)
    return Recorded(run_id, model_id, {**last.metrics, **over_folds})


def register(
    client: MlflowClient,
    name: str,
    made: Recorded,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> int:
    """Make a version of the registered model ``name`` (created where missing); its number."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    made_version = client.create_model_version(
        name,
        source=f"models:/{made.model_id}",
        run_id=made.run_id,
        model_id=made.model_id,  # a server refuses the source without it, a database does not ask
        description=description or None,
        tags=dict(tags or {}),
    )
    return int(made_version.version)


def this_user() -> str:
    """Name of this machine's user, as MLflow's own runs carry it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def _params(table: Table, recipe: Recipe) -> dict[str, str]:
    values: dict[str, Any] = {
        "data": table.source,
        "task": table.task,
        "family": recipe.family,
        **recipe.hypers,
        "folds": recipe.folds,
        "test_share": recipe.test_share,
        "seed": recipe.seed,
    }
    return {name: "none" if value is None else str(value) for name, value in values.items()}


def _log_params(
    client: MlflowClient, run_id: str, table: Table, recipe: Recipe, asked: Mapping[str, str]
) -> None:
    """Log what the run does not hold yet: whoever created it may have logged what was asked."""
    found = client.get_run(run_id).data.params
    wanted: dict[str, str] = {}
    for name, value in _params(table, recipe).items():
        if asked.get(name, "").strip() == AUTO:
            wanted[name] = AUTO
            wanted[f"used_{name}"] = value
        else:
            wanted[name] = asked.get(name, value)
    missing = {name: value for name, value in {**asked, **wanted}.items() if name not in found}
    client.log_batch(run_id, params=[Param(name, value) for name, value in missing.items()])


def _log_inputs(client: MlflowClient, run_id: str, table: Table, rows: Split) -> None:
    """Log both parts, and how old the data is where the run does not say so yet."""
    source: Any = (
        CodeDatasetSource({"scikit_learn": table.source.removeprefix(BUNDLED_PREFIX)})
        if table.source.startswith(BUNDLED_PREFIX)
        else table.source
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # hints on whole numbers, true of targets only
        for context, x, y in (
            ("training", rows.x_train, rows.y_train),
            ("testing", rows.x_test, rows.y_test),
        ):
            frame = pd.concat([x, y], axis=1)
            made = from_pandas(frame, source=source, targets=str(y.name), name=table.name)
            mlflow.log_input(made, context=context)
    if table.changed_at is not None and DATA_AT not in client.get_run(run_id).data.tags:
        client.set_tag(run_id, DATA_AT, table.changed_at.isoformat(timespec="seconds"))


def _fold(
    client: MlflowClient,
    parent_id: str,
    table: Table,
    recipe: Recipe,
    number: int,
    rows: Split,
    announce: Callable[[str], None],
    tags: Mapping[str, str],
) -> Mapping[str, float]:
    announce(f"Cross-validation fold {number} of {recipe.folds}")
    parent = client.get_run(parent_id)
    inherited = {
        name: parent.data.tags[name] for name in INHERITED_TAGS if name in parent.data.tags
    }
    child = client.create_run(
        parent.info.experiment_id,
        run_name=f"fold {number} of {recipe.folds}",
        tags={**inherited, **tags, MLFLOW_PARENT_RUN_ID: parent_id},
    ).info.run_id
    status = "FAILED"
    try:
        trained = train(table, recipe, rows)
        now = int(time.time() * 1000)
        client.log_batch(
            child,
            params=[
                Param(name, value)
                for name, value in {**_params(table, recipe), "fold": str(number)}.items()
            ],
            metrics=[Metric(name, value, now, 0) for name, value in trained.metrics.items()],
        )
        status = "FINISHED"
    except (Stopped, KeyboardInterrupt):
        status = "KILLED"
        raise
    finally:
        client.set_terminated(child, status)
    return trained.metrics


def _save(table: Table, recipe: Recipe, rows: Split, trained: Trained) -> str:
    whole = rows.x_test.dropna()
    example = (rows.x_test if whole.empty else whole).head(EXAMPLE_ROWS)
    # The signature is read from all rows, so that a column which misses values somewhere may be
    # left out of a request.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        saved = mlflow.sklearn.log_model(
            trained.pipeline,
            name="model",
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
            skops_trusted_types=list(family_named(recipe.family).trusted),
            signature=infer_signature(
                table.features,
                pd.DataFrame({str(rows.y_test.name): trained.pipeline.predict(example)}),
            ),
            input_example=example,
            pip_requirements=[f"{name}=={version(name)}" for name in PINNED],
        )
    return str(saved.model_id)


@dataclass
class _Live:
    """Sends a curve on while it grows; its last point is sent by `finish`."""

    client: MlflowClient
    run_id: str
    waiting: list[Metric] = field(default_factory=list)
    held: Measured | None = None
    sent_at: float = field(default_factory=time.monotonic)

    def add(self, point: Measured) -> None:
        if self.held:
            self._queue(self.held)
        self.held = point
        if time.monotonic() - self.sent_at >= LIVE_SECONDS:
            self._send()

    def finish(self, points: list[Measured], model_id: str) -> None:
        for point in points:
            self._queue(point, model_id)
        self._send()

    def _queue(self, point: Measured, model_id: str | None = None) -> None:
        now = int(time.time() * 1000)
        self.waiting += [
            Metric(name, value, now, point.step, model_id=model_id, run_id=self.run_id)
            for name, value in point.metrics.items()
        ]

    def _send(self) -> None:
        for start in range(0, len(self.waiting), MOST_PER_BATCH):
            self.client.log_batch(self.run_id, metrics=self.waiting[start : start + MOST_PER_BATCH])
        self.waiting = []
        self.sent_at = time.monotonic()
