"""Metrics, params, tags and aggregates of runs, read from the mirror's long tables into columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.runs.columns import Column
from core.runs.directions import Direction, direction
from core.runs.spine import MISSING, Rows, Spine

Floats = npt.NDArray[np.float64]

_KIND = {"metrics": "metric", "params": "param", "tags": "tag", "aggregate": "metric"}
_AGGREGATES = {
    "min": "minimum",
    "max": "maximum",
    "first": "first",
    "last": "last",
    "mean": "mean",
}
_BEST = {"lower": "minimum", "higher": "maximum"}
_LISTED = 1000
"""Up to so many runs a list is quicker than a table of them."""
_MANY = 0.3
"""Above this share of all runs a whole scan is cheaper than looking the runs up."""


USER = Column("tags", "mlflow.user")
"""Whoever started a run; where the tag is missing, MLflow's own field counts."""


@dataclass(frozen=True)
class Numbers:
    """A column of numbers. Where ``missing``, there is none; a metric may be NaN."""

    values: Floats
    missing: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """A column of text, and of each value the number that it is, or NaN."""

    values: pa.Array
    """Strings, null where there is none."""
    numbers: Floats


def key_ids(
    cursor: duckdb.DuckDBPyConnection, columns: Sequence[Column]
) -> dict[tuple[str, str], int]:
    """The mirror's numbers of the names that these columns need: (kind, name) → number."""
    wanted = sorted({c.name for c in columns if c.kind in _KIND})
    if not wanted:
        return {}
    rows = cursor.execute(
        "SELECT kind, name, id FROM keys WHERE name IN (SELECT unnest(?::VARCHAR[]))", [wanted]
    ).fetchall()
    return {(kind, name): number for kind, name, number in rows}


class Reader:
    """Reads columns for some rows of the spine.

    Args:
        cursor: an open connection to the mirror.
        spine: the runs.
        rows: places in the spine, in the order wanted; None: all.
        directions: what was said of metrics, for ``best``.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        spine: Spine,
        rows: Rows | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> None:
        self._cursor = cursor
        self._spine = spine
        self._directions = directions
        self.size = len(spine) if rows is None else len(rows)
        self._place = _places(spine, rows)
        few = rows is not None and len(rows) < _MANY * len(spine)
        self._some = spine.no[rows] if rows is not None and few else None

    def numbers(self, columns: Sequence[Column]) -> dict[Column, Numbers]:
        """Metrics and aggregates."""
        ids = key_ids(self._cursor, columns)
        metrics = [c for c in columns if c.kind == "metrics"]
        found = self._numbers("metrics", "value", metrics, ids, "is_nan")
        by_source: dict[tuple[str, int | None], list[Column]] = {}
        for column in columns:
            if column.kind == "aggregate":
                source = _source(column, self._directions)
                by_source.setdefault((source, column.last), []).append(column)
        for (source, last), some in by_source.items():
            if not source:  # nobody knows which way is better
                found |= {c: self._nothing() for c in some}
            elif last is None:
                found |= self._numbers("aggregates", source, some, ids)
            else:
                found |= self._numbers("tails", source, some, ids, k=last)
        return found

    def texts(self, columns: Sequence[Column], *, numbers: bool = False) -> dict[Column, Texts]:
        """Params and tags.

        Args:
            numbers: whether the numbers among them are wanted too.
        """
        ids = key_ids(self._cursor, columns)
        found: dict[Column, Texts] = {}
        for kind in ("params", "tags"):
            some = [c for c in columns if c.kind == kind]
            found |= self._texts(kind, some, ids, numbers)
        return found

    def users(self, rows: Rows) -> pa.Array:
        """Who started each of these runs, ``rows`` being those that this reads."""
        tagged = self.texts([USER])[USER].values
        return pc.coalesce(tagged, self._spine.column("user_id").take(rows))

    def _nothing(self) -> Numbers:
        return Numbers(np.zeros(self.size), np.ones(self.size, bool))

    def _numbers(
        self,
        table: str,
        value: str,
        columns: Sequence[Column],
        ids: Mapping[tuple[str, str], int],
        nan: str = "",
        k: int | None = None,
    ) -> dict[Column, Numbers]:
        if not columns:
            return {}
        numbers = [ids.get(("metric", c.name)) for c in columns]
        got = self._long(table, f"{value} AS value" + (f", {nan}" if nan else ""), numbers, k)
        place, lane = self._lanes(got, numbers)
        given = got.column("value")
        none = given.is_null().to_numpy() if given.null_count else np.zeros(len(given), bool)
        filled = given.fill_null(0.0).to_numpy()
        if nan:
            filled = np.where(got.column(nan).to_numpy(), np.nan, filled)
        # One place more than there are rows takes what belongs to none of them.
        values = np.zeros((len(columns), self.size + 1))
        missing = np.ones((len(columns), self.size + 1), bool)
        values[lane, place] = filled
        missing[lane, place] = none
        values, missing = values[:, : self.size], missing[:, : self.size]
        lanes = _lane_of(numbers)
        made = {}
        for column, number in zip(columns, numbers, strict=True):
            i = lanes.get(number, MISSING) if number is not None else MISSING
            made[column] = self._nothing() if i == MISSING else Numbers(values[i], missing[i])
        return made

    def _texts(
        self,
        table: str,
        columns: Sequence[Column],
        ids: Mapping[tuple[str, str], int],
        wanted: bool,
    ) -> dict[Column, Texts]:
        if not columns:
            return {}
        numbers = [ids.get((_KIND[table], c.name)) for c in columns]
        more = ""
        if wanted:
            more = ", number" if table == "params" else ", TRY_CAST(value AS DOUBLE) AS number"
        got = self._long(table, f"value{more}", numbers)
        place, lane = self._lanes(got, numbers)
        # One place more than there are rows takes what belongs to none of them.
        at = np.full((len(set(numbers)) + 1, self.size + 1), MISSING, np.int64)
        at[lane, place] = np.arange(len(place))
        at = at[:, : self.size]
        values = got.column("value").combine_chunks()
        as_number = (
            got.column("number").fill_null(float("nan")).to_numpy() if wanted else np.zeros(0)
        )
        lanes = _lane_of(numbers)
        made = {}
        for column, number in zip(columns, numbers, strict=True):
            # The last lane stays empty: a name that the mirror does not know.
            chosen = at[lanes[number]] if number is not None else at[-1]
            gone = chosen == MISSING
            text = values.take(pa.array(chosen, mask=gone))
            numeric = np.full(self.size if wanted else 0, np.nan)
            if wanted and len(as_number):
                numeric = np.where(gone, np.nan, as_number[np.where(gone, 0, chosen)])
            made[column] = Texts(text, numeric)
        return made

    def _long(
        self, table: str, what: str, numbers: Sequence[int | None], k: int | None = None
    ) -> pa.Table:
        """run, key and what is asked for, one row a value."""
        keys = sorted({n for n in numbers if n is not None})
        sql = f"SELECT run, key, {what} FROM {table}"  # noqa: S608 - words of ours alone
        where = " WHERE key IN (SELECT unnest(?::INTEGER[]))"
        if len(keys) == 1:
            where = " WHERE key = ?"
        given: list[object] = [keys[0] if len(keys) == 1 else keys]
        if k is not None:
            where += " AND k = ?"
            given.append(k)
        if self._some is not None and len(self._some) <= _LISTED:
            where += " AND run IN (SELECT unnest(?::INTEGER[]))"
            given.append(self._some.tolist())
        elif self._some is not None:
            self._cursor.register("wanted_runs", pa.table({"no": self._some}))
            sql += " SEMI JOIN wanted_runs ON run = no"
        return self._cursor.sql(sql + where, params=given).to_arrow_table()

    def _lanes(
        self, got: pa.Table, numbers: Sequence[int | None]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Of each value, the row and the column that it belongs to."""
        run, key = got.column("run").to_numpy(), got.column("key").to_numpy()
        if run.max(initial=0) < len(self._place):
            place = self._place[run]
        else:  # runs that were written since the spine was read
            inside = run < len(self._place)
            place = np.where(inside, self._place[np.where(inside, run, 0)], MISSING)
        lane = np.zeros(int(key.max(initial=0)) + 1, np.int64)
        for number, i in _lane_of(numbers).items():
            if number < len(lane):
                lane[number] = i
        return place, lane[key]


def _lane_of(numbers: Sequence[int | None]) -> dict[int, int]:
    return {key: i for i, key in enumerate(sorted({n for n in numbers if n is not None}))}


def _places(spine: Spine, rows: Rows | None) -> npt.NDArray[np.int32]:
    """A run's number in the mirror → its row in what is read."""
    if rows is None:
        return spine.row_of
    place = np.full(len(spine.row_of), MISSING, np.int32)
    place[spine.no[rows]] = np.arange(len(rows), dtype=np.int32)
    return place


def _source(column: Column, known: Mapping[str, Direction] | None) -> str:
    """The column of ``aggregates`` or ``tails`` that holds it; "" where none can."""
    if column.function in _AGGREGATES:
        return _AGGREGATES[column.function]
    way = direction(column.name, known)
    if way is None:
        return ""
    return _BEST[way] if column.function == "best" else f"step_of_{_BEST[way]}"


def as_numbers(numbers: Numbers) -> pd.api.extensions.ExtensionArray:
    """Numbers as pandas keeps them beside missing ones: ``<NA>`` where missing, NaN as NaN."""
    return pd.arrays.FloatingArray(numbers.values, numbers.missing)


def as_text(values: pa.Array | pa.ChunkedArray) -> pd.api.extensions.ExtensionArray:
    """Text as pandas keeps it, backed by Arrow; NaN where missing."""
    return pd.array(values, dtype=pd.StringDtype("pyarrow", na_value=np.nan))
