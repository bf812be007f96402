"""Stores for tests of the run mirror: MLflow's own client writes, with all that it lets through."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

from core.mlflow_api import Mlflow, connect
from core.mlflow_api.gateway import prepare_environment
from core.settings import load


@dataclass(frozen=True)
class Odd:
    """A run to be made."""

    name: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[tuple[float, int, int]]] = field(default_factory=dict)
    """Name → value, step and time of each point."""
    tags: dict[str, str] = field(default_factory=dict)
    datasets: tuple[tuple[str, str, str | None], ...] = ()
    """Name, digest and context of each."""
    parent: int | None = None
    """Which of the runs before is its parent."""
    status: str = "FINISHED"
    stage: str = "active"
    """active, deleted, or restored."""


def open_store(uri: str, home: Path) -> tuple[Mlflow, MlflowClient]:
    """The store as Modeldeck opens it, and MLflow's client to write to it with."""
    settings = load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": uri})
    prepare_environment(30, settings.artifact_root)
    mlflow = connect(settings)
    mlflow.tracking.experiments()
    return mlflow, MlflowClient(uri, uri)


def make_runs(client: MlflowClient, experiment: str, runs: Sequence[Odd]) -> list[str]:
    """Make ``runs`` in an experiment, in this order; returns their ids."""
    made: list[str] = []
    for at, odd in enumerate(runs):
        tags = dict(odd.tags)
        if odd.parent is not None and odd.parent < len(made):
            tags["mlflow.parentRunId"] = made[odd.parent]
        started = 1_760_000_000_000 + at
        run = client.create_run(experiment, started, tags, odd.name).info.run_id
        points = [Metric(k, v, t, s) for k, of in odd.metrics.items() for v, s, t in of]
        client.log_batch(run, points, [Param(k, v) for k, v in odd.params.items()])
        inputs = [
            DatasetInput(
                Dataset(name, digest, "local", "{}"),
                [InputTag("mlflow.data.context", context)] if context is not None else [],
            )
            for name, digest, context in odd.datasets
        ]
        if inputs:
            client.log_inputs(run, inputs)
        if odd.status != "RUNNING":
            client.set_terminated(run, odd.status, started + 60_000)
        if odd.stage != "active":
            client.delete_run(run)
        if odd.stage == "restored":
            client.restore_run(run)
        made.append(run)
    return made


def rows(connection: Any, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of a query to a mirror."""
    found: list[tuple[Any, ...]] = connection.execute(sql, list(values)).fetchall()
    return found
