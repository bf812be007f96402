"""Many runs at once, as columns: what every source of runs hands to the run mirror."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_TEXT, _WHOLE = pa.string(), pa.int64()

RUNS = pa.schema(
    [
        ("run_id", _TEXT),
        ("experiment_id", _TEXT),
        ("name", _TEXT),
        ("status", _TEXT),
        ("user_id", _TEXT),
        ("start_time", _WHOLE),
        ("end_time", _WHOLE),
        ("artifact_uri", _TEXT),
        ("lifecycle_stage", _TEXT),
    ]
)
PARAMS = TAGS = pa.schema([("run_id", _TEXT), ("key", _TEXT), ("value", _TEXT)])
METRICS = pa.schema(
    [
        ("run_id", _TEXT),
        ("key", _TEXT),
        ("value", pa.float64()),
        ("is_nan", pa.bool_()),
        ("step", _WHOLE),
        ("timestamp", _WHOLE),
    ]
)
DATASETS = pa.schema([("run_id", _TEXT), ("name", _TEXT), ("digest", _TEXT), ("context", _TEXT)])

NAME_TAG = "mlflow.runName"
CONTEXT_TAG = "mlflow.data.context"
LARGEST = 1.7976931348623157e308
"""What MLflow stores for an infinite value, with its sign."""


@dataclass(frozen=True)
class Batch:
    """Runs with all that belongs to them, one Arrow table a kind.

    Times are milliseconds since the epoch, null where MLflow has none. Text is null where MLflow
    has none or an empty one, but for the values of params and tags. A metric that is NaN has the
    value 0 and ``is_nan``, an infinite one the largest number there is, as MLflow stores them.
    """

    runs: pa.Table
    params: pa.Table
    metrics: pa.Table
    tags: pa.Table
    datasets: pa.Table

    def __len__(self) -> int:
        return int(self.runs.num_rows)

    @property
    def rows(self) -> int:
        """How many rows belong to the runs."""
        return sum(t.num_rows for t in (self.params, self.metrics, self.tags, self.datasets))

    def ids(self) -> set[str]:
        """The runs' ids."""
        return set(self.runs.column("run_id").to_pylist())

    def without(self, run_ids: Iterable[str]) -> "Batch":
        """All but some runs."""
        out = pa.array(list(run_ids), _TEXT)
        tables = (self.runs, self.params, self.metrics, self.tags, self.datasets)
        kept = (t.filter(pc.invert(pc.is_in(t.column("run_id"), out))) for t in tables)
        return Batch(*kept)

    @classmethod
    def joined(cls, batches: "Sequence[Batch]") -> "Batch":
        """Several batches as one; none of them is an empty one."""
        given = [(b.runs, b.params, b.metrics, b.tags, b.datasets) for b in batches]
        empty = tuple(s.empty_table() for s in (RUNS, PARAMS, METRICS, TAGS, DATASETS))
        return cls(*(pa.concat_tables(tables) for tables in zip(empty, *given, strict=True)))

    def in_order(self) -> "Batch":
        """The same rows, each table sorted by all its columns."""
        tables = (self.runs, self.params, self.metrics, self.tags, self.datasets)
        return Batch(*(t.sort_by([(name, "ascending") for name in t.column_names]) for t in tables))


def batch_of(entities: Iterable[Any]) -> Batch:
    """MLflow's run entities as one batch."""
    runs: list[tuple[object, ...]] = []
    params: list[tuple[object, ...]] = []
    metrics: list[tuple[object, ...]] = []
    tags: list[tuple[object, ...]] = []
    datasets: list[tuple[object, ...]] = []
    for entity in entities:
        info, data = entity.info, entity.data
        run_id = info.run_id
        runs.append(
            (
                run_id,
                str(info.experiment_id),
                info.run_name or data.tags.get(NAME_TAG) or None,
                info.status or None,
                info.user_id or None,
                info.start_time,
                info.end_time or None,
                info.artifact_uri or None,
                info.lifecycle_stage,
            )
        )
        params += [(run_id, key, value or "") for key, value in data.params.items()]
        tags += [(run_id, key, value or "") for key, value in data.tags.items()]
        # The public dictionary has neither step nor time.
        for metric in data._metric_objs:  # noqa: SLF001
            value = float(metric.value)
            nan = math.isnan(value)
            number = 0.0 if nan else max(-LARGEST, min(LARGEST, value))
            metrics.append((run_id, metric.key, number, nan, metric.step, metric.timestamp))
        for used in entity.inputs.dataset_inputs if entity.inputs else ():
            context = next((t.value for t in used.tags or () if t.key == CONTEXT_TAG), None)
            datasets.append((run_id, used.dataset.name, used.dataset.digest, context or None))
    return Batch(
        _table(runs, RUNS),
        _table(params, PARAMS),
        _table(metrics, METRICS),
        _table(tags, TAGS),
        _table(datasets, DATASETS),
    )


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table(
        [_array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def _array(values: tuple[object, ...], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        # Half a surrogate pair came through JSON: no column of text can hold it.
        whole = [v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values]
        return pa.array(whole, kind)
