"""A run mirror with a few runs written into it, without any MLflow behind."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from core.mlflow_api import Mlflow, connect
from core.mlflow_api.batch import DATASETS, METRICS, PARAMS, RUNS, TAGS, Batch
from core.mlflow_api.nouns import PARENT_TAG
from core.runs.mirror import Mirror
from core.settings import load

READABLE = frozenset({"1"})


@dataclass(frozen=True)
class ARun:
    """A run to be written."""

    id: str
    start: int | None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    experiment: str = "1"
    stage: str = "active"


def a_run(
    run_id: str,
    start: int | None,
    *,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    parent: str = "",
    experiment: str = "1",
    stage: str = "active",
) -> ARun:
    """A run of experiment 1 that began at ``start`` (milliseconds since 1970)."""
    own = {**(tags or {}), **({PARENT_TAG: parent} if parent else {})}
    return ARun(run_id, start, params or {}, metrics or {}, own, experiment, stage)


def mirror_of(runs: Iterable[ARun]) -> Mirror:
    """A mirror that holds exactly these runs."""
    mirror = Mirror.in_memory(nowhere())
    mirror.write(batch_of(runs))
    return mirror


def nowhere() -> Mlflow:
    """An MLflow that is never asked."""
    return connect(load({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}))


def batch_of(runs: Iterable[ARun]) -> Batch:
    """The runs as a source would hand them over."""
    given = list(runs)
    return Batch(
        runs=_table(
            RUNS,
            [
                (r.id, r.experiment, r.id, "FINISHED", "ada", r.start,
                 None if r.start is None else r.start + 1000, "file:///none", r.stage)
                for r in given
            ],
        ),
        params=_table(PARAMS, [(r.id, k, v) for r in given for k, v in r.params.items()]),
        metrics=_table(
            METRICS,
            [
                (r.id, k, 0.0 if math.isnan(v) else v, math.isnan(v), 0, 0)
                for r in given
                for k, v in r.metrics.items()
            ],
        ),
        tags=_table(TAGS, [(r.id, k, v) for r in given for k, v in r.tags.items()]),
        datasets=_table(DATASETS, []),
    )  # fmt: skip


def _table(schema: pa.Schema, rows: list[tuple[object, ...]]) -> pa.Table:
    return pa.Table.from_pylist(
        [dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema
    )
