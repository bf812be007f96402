"""The seam that all run tables go through: one question, and a table, names, ids or a number.

What answers is the run mirror. Whose runs a person may see is decided by whoever asks: only runs
of the experiments in ``readable`` are ever given.
"""

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.runs.aggregates import plan_histories
from core.runs.asked import SORTABLE, VIEWS, Order, RunQuery, RunTable
from core.runs.columns import ATTRIBUTES, Column, parse
from core.runs.directions import Direction
from core.runs.mirror import Mirror
from core.runs.names import Choice, Name, Names, choose, summed_up
from core.runs.select import select
from core.runs.spine import Rows, Spine
from core.runs.values import Reader, as_numbers, as_text

__all__ = [
    "ATTRIBUTES", "MOST_COLUMNS", "SORTABLE", "VIEWS", "Choice", "Name", "Names", "Order",
    "RunQuery", "RunTable", "choose", "count", "ids", "names", "query",
]  # fmt: skip

MOST_COLUMNS = 2000
"""Columns of a table whose columns were not named."""

_MOST_CELLS = 5_000_000
"""Cells of a table whose columns were not named."""


def query(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> RunTable:
    """The rows that ``asked`` describes.

    Args:
        readable: the experiments that this person may read, as MLflow says.

    Raises:
        InvalidInput: the filter (``field`` is "filter"), the order ("order") or a column
            ("columns") cannot be used.
    """
    coverage = mirror.coverage
    chosen = select(mirror, asked, readable)
    first, last = (0, None) if asked.run_ids else (asked.offset, asked.limit)
    shown = slice(first, None if last is None else first + last)
    rows = chosen.rows[shown]
    with mirror.cursor() as cursor:
        left_out = 0
        if asked.columns is None:
            columns, left_out = _all_columns(cursor, chosen.spine, rows)
        else:
            columns = [parse(c) for c in dict.fromkeys(asked.columns)]
        frame = _frame(
            cursor, chosen.spine, rows, columns, chosen.depth[shown], dict(asked.directions)
        )
    return RunTable(
        frame,
        total=len(chosen.rows),
        more=first + len(rows) < len(chosen.rows),
        missing=chosen.missing,
        left_out=left_out,
        unread=plan_histories(mirror, asked, readable).histories,
        parents=_parents(chosen.spine, rows, readable),
        revision=chosen.spine.revision,
        coverage=coverage,
    )


def names(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> Names:
    """What the runs that match have, over all of them: limit and offset do not count."""
    chosen = select(mirror, asked, readable)
    with mirror.cursor() as cursor:
        return summed_up(cursor, chosen, dict(asked.directions))


def ids(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> list[str]:
    """All runs that match, in order: limit and offset do not count."""
    return select(mirror, asked, readable).ids


def count(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> int:
    """How many runs match."""
    return len(select(mirror, asked, readable).rows)


def _frame(
    cursor: duckdb.DuckDBPyConnection,
    held: Spine,
    rows: Rows,
    columns: Sequence[Column],
    depth: npt.NDArray[np.int16],
    directions: Mapping[str, Direction],
) -> pd.DataFrame:
    reader = Reader(cursor, held, rows, directions)
    start, end = held.numbers("start_time")[rows], held.numbers("end_time")[rows]
    made: dict[str, object] = {
        "run_id": as_text(held.column("run_id").take(rows)),
        "name": as_text(pc.fill_null(held.column("name").take(rows), "")),
        "status": as_text(pc.fill_null(held.column("status").take(rows), "")),
        "started_at": _moments(held, "start_time", rows),
        "ended_at": _moments(held, "end_time", rows),
        "seconds": (end - start) / 1000,
        "user": as_text(pc.fill_null(reader.users(rows), "")),
        "experiment_id": as_text(held.column("experiment_id").take(rows)),
        "parent_id": as_text(held.column("parent_id").take(rows)),
        "deleted": held.deleted()[rows],
        "depth": depth,
    }
    numbers = reader.numbers([c for c in columns if c.kind in ("metrics", "aggregate")])
    texts = reader.texts([c for c in columns if c.kind in ("params", "tags")])
    for column in columns:
        if column in numbers:
            made[column.text] = as_numbers(numbers[column])
        elif column in texts:
            made[column.text] = as_text(texts[column].values)
    return pd.DataFrame(made, copy=False)


def _moments(held: Spine, name: str, rows: Rows) -> pd.Series:
    values = held.column(name).take(rows).fill_null(np.iinfo(np.int64).min)
    # The smallest whole number is what numpy takes for no time at all.
    times = values.to_numpy(zero_copy_only=False).view("datetime64[ms]")
    return pd.Series(times).dt.tz_localize("UTC")


def _all_columns(
    cursor: duckdb.DuckDBPyConnection, held: Spine, rows: Rows
) -> tuple[list[Column], int]:
    """All that any of these runs has, up to a bound, and how much was left out."""
    cursor.register("named_runs", pa.table({"no": held.no[rows]}))
    found: list[Column] = []
    for kind in ("metrics", "params", "tags"):
        there = cursor.execute(
            f"SELECT name FROM keys SEMI JOIN (SELECT key FROM {kind} "  # noqa: S608 - our words
            "SEMI JOIN named_runs ON run = no) ON id = key"
        ).fetchall()
        some = sorted((name for (name,) in there), key=lambda n: (n.casefold(), n))
        found += [Column(kind, name) for name in some]
    most = min(MOST_COLUMNS, _MOST_CELLS // max(len(rows), 1))
    return found[:most], max(0, len(found) - most)


def _parents(held: Spine, rows: Rows, readable: frozenset[str]) -> dict[str, str]:
    parents = np.unique(held.parents()[rows])
    parents = parents[(parents >= 0) & (parents < len(held))]
    away = np.setdiff1d(parents, rows).astype(np.int32)
    away = away[held.of_experiments(readable)[away]]
    some = held.column("run_id").take(away).to_pylist()
    called = held.column("name").take(away).to_pylist()
    return {i: name or "" for i, name in zip(some, called, strict=True)}
