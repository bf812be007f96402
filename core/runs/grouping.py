"""Runs in groups: those that agree in params, tags or attributes, and what their metrics come to.

Runs agree where the texts are equal: ``0.1`` and ``0.10`` are two groups, for MLflow keeps params
as text. Not to have a value is a value of its own. NaN and infinite values are counted beside a
group's numbers and are never part of a mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InvalidInput
from core.mlflow_api.batch import LARGEST
from core.runs import language
from core.runs.asked import RunQuery
from core.runs.columns import Column, parse
from core.runs.directions import Direction, direction
from core.runs.mirror import Mirror
from core.runs.names import summed_up
from core.runs.select import Selected, select
from core.runs.spine import MISSING, Rows, Spine
from core.runs.values import Numbers, Reader, as_text
from core.texts import t

Stat = Literal["n", "mean", "sd", "min", "max", "best"]
Codes = npt.NDArray[np.int64]

ATTRIBUTES = ("name", "status", "user", "experiment_id", "parent_id")
"""Attributes to group by."""
MOST_KEYS = 30
"""Params shown of groups by all params but some."""


@dataclass(frozen=True)
class By:
    """What runs of one group have in common."""

    columns: tuple[str, ...] = ()
    """Params, tags and attributes, as columns are written."""
    all_params_but: tuple[str, ...] | None = None
    """Instead: all params except these, by name."""


@dataclass(frozen=True)
class GroupOrder:
    """Groups by their number of runs, by one of their values, or by a number of a metric."""

    column: str = "runs"
    stat: Stat = "mean"
    descending: bool = True


@dataclass(frozen=True, eq=False)
class GroupTable:
    """Groups, one a row, in order."""

    frame: pd.DataFrame
    """The values that the runs of a group have in common (text, NaN where missing), then ``runs``,
    how many there are."""
    stats: Mapping[str, pd.DataFrame]
    """Column → for each group: ``n`` numbers, ``nan`` and ``infinite`` values beside them,
    ``mean``, ``sd`` (of a sample; NaN for fewer than two), ``min``, ``max``, ``best`` (by
    direction)."""
    total: int
    """How many groups there are in all."""
    runs: int
    """How many runs are in them."""
    left_out: int = 0
    """Params in which groups differ and which are not shown."""
    chosen: Selected | None = None
    codes: Codes | None = None
    """Of each run chosen, the group's number; ``numbers`` has that of each row."""
    numbers: Codes | None = None

    def ids(self, row: int) -> list[str]:
        """The ids of a group's runs, in the order asked for."""
        if self.chosen is None or self.codes is None or self.numbers is None:
            return []
        rows = self.chosen.rows[self.codes == self.numbers[row]]
        found: list[str] = self.chosen.spine.column("run_id").take(rows).to_pylist()
        return found

    def filter(self, row: int) -> str | None:
        """A filter that lets through this group of all runs asked for.

        None where the values cannot be written in one, or not all of them are shown.
        """
        if self.left_out:
            return None
        values = self.frame.drop(columns="runs").iloc[row].to_dict()
        return language.equal_to({c: v if isinstance(v, str) else None for c, v in values.items()})


def group(
    mirror: Mirror,
    asked: RunQuery,
    by: By,
    columns: Sequence[str],
    readable: frozenset[str],
    order: GroupOrder | None = None,
) -> GroupTable:
    """Groups of all runs that match.

    Args:
        asked: which runs; its limit and offset count groups here.
        columns: metrics and aggregates to sum up, as columns are written.
        order: how groups are sorted; None: each stands where the first of its runs would.

    Raises:
        InvalidInput: the filter, the order, or a column to group by or to sum up cannot be used.
    """
    chosen = select(mirror, asked, readable)
    held, rows = chosen.spine, chosen.rows
    known = dict(asked.directions)
    wanted = [_number(c) for c in dict.fromkeys(columns)]
    with mirror.cursor() as cursor:
        reader = Reader(cursor, held, rows, known)
        if by.all_params_but is None:
            keys = [_key(c) for c in dict.fromkeys(by.columns)]
            left_out = 0
            codes = _codes([_values(reader, held, rows, k) for k in keys], len(rows))
        else:
            codes = _by_all_params(cursor, held, rows, by.all_params_but)
            keys, left_out = _differing(cursor, chosen, by.all_params_but, known)
        numbers = reader.numbers(wanted)
        n = int(codes.max(initial=-1)) + 1
        sizes = np.bincount(codes, minlength=n)
        first = np.full(n, len(rows))
        np.minimum.at(first, codes, np.arange(len(rows)))
        made = {c.text: statistics(numbers[c], codes, n, _better(c, known)) for c in wanted}
        heads = rows[first]
        some = Reader(cursor, held, heads)
        named = {k.text: as_text(_values(some, held, heads, k)) for k in keys}
    frame = pd.DataFrame({**named, "runs": sizes})
    at = _arranged(frame, made, first, order)
    end = None if asked.limit is None else asked.offset + asked.limit
    at = at[asked.offset : end]
    return GroupTable(
        frame.iloc[at].reset_index(drop=True),
        {c: one.iloc[at].reset_index(drop=True) for c, one in made.items()},
        total=n,
        runs=len(rows),
        left_out=left_out,
        chosen=chosen,
        codes=codes,
        numbers=at,
    )


def statistics(
    column: Numbers, codes: Codes, groups: int, better: Direction | None
) -> pd.DataFrame:
    """What a column comes to in each group; see ``GroupTable.stats``.

    The standard deviation is that of a sample: divided by n - 1.
    """
    there = ~column.missing
    nan = there & np.isnan(column.values)
    infinite = there & (np.abs(column.values) >= LARGEST)
    good = there & ~nan & ~infinite
    values, of = column.values[good], codes[good]
    n = np.bincount(of, minlength=groups)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.bincount(of, values, groups) / n
        squares = np.bincount(of, (values - mean[of]) ** 2, groups)
        sd = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    low, high = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(low, of, values)
    np.maximum.at(high, of, values)
    low, high = np.where(n, low, np.nan), np.where(n, high, np.nan)
    none = np.full(groups, np.nan)
    return pd.DataFrame(
        {
            "n": n,
            "nan": np.bincount(codes[nan], minlength=groups),
            "infinite": np.bincount(codes[infinite], minlength=groups),
            "mean": mean,
            "sd": sd,
            "min": low,
            "max": high,
            "best": {"lower": low, "higher": high}.get(better or "", none),
        }
    )


def _arranged(
    frame: pd.DataFrame,
    made: Mapping[str, pd.DataFrame],
    first: npt.NDArray[np.int64],
    order: GroupOrder | None,
) -> Codes:
    """The groups' numbers in order; those that are alike stand where their first runs do."""
    if order is None:
        return np.argsort(first, kind="stable")
    if order.column in made:
        key = made[order.column][order.stat].to_numpy(float)
    elif order.column == "runs":
        key = frame["runs"].to_numpy(float)
    elif order.column in frame:
        text = pd.to_numeric(frame[order.column], errors="coerce").to_numpy(float)
        words = frame[order.column].rank(method="dense").to_numpy(float)
        key = words if 2 * np.isfinite(text).sum() <= frame[order.column].count() else text
    else:
        raise InvalidInput(
            t("rows.column.bad", column=order.column[:80]), t("rows.column.bad_next"), field="order"
        )
    return np.lexsort((first, -key if order.descending else key))


def _key(text: str) -> Column:
    column = parse(text, "group")
    if column.kind in ("params", "tags") or column.name in ATTRIBUTES:
        return column
    raise InvalidInput(t("rows.group.bad", column=text[:80]), t("rows.group.next"), field="group")


def _number(text: str) -> Column:
    column = parse(text)
    if column.kind in ("metrics", "aggregate"):
        return column
    raise InvalidInput(t("rows.group.no_number", column=text[:80]), field="columns")


def _better(column: Column, known: Mapping[str, Direction]) -> Direction | None:
    return None if column.function == "step_of_best" else direction(column.name, known)


def _values(reader: Reader, held: Spine, rows: Rows, column: Column) -> pa.Array:
    if column.kind != "attribute":
        return reader.texts([column])[column].values
    if column.name == "user":
        return reader.users(rows)
    return held.column(column.name).take(rows)


def _codes(columns: Sequence[pa.Array], size: int) -> Codes:
    """A number for each different combination of values, from 0 on; missing is a value."""
    codes = np.zeros(size, np.int64)
    for column in columns:
        encoded = pc.dictionary_encode(column, null_encoding="encode")
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        own = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        both = codes * (len(encoded.dictionary) + 1) + own
        codes = np.unique(both, return_inverse=True)[1].astype(np.int64)
    return codes


def _by_all_params(
    cursor: duckdb.DuckDBPyConnection, held: Spine, rows: Rows, but: Sequence[str]
) -> Codes:
    """Groups by all params except some: by two hashes of 64 bits over each run's params."""
    found = cursor.execute(
        "SELECT run, bit_xor(hash(key, value)) AS one, bit_xor(hash(value, key, 1)) AS two "
        "FROM params WHERE key NOT IN (SELECT id FROM keys WHERE kind = 'param' "
        "AND name IN (SELECT unnest(?::VARCHAR[]))) GROUP BY run",
        [list(but)],
    ).fetchnumpy()
    at = held.row_of[np.where(found["run"] < len(held.row_of), found["run"], 0)]
    there = at != MISSING  # the others were written since the spine was read
    codes = np.zeros(len(rows), np.int64)
    for name in ("one", "two"):
        hashes = np.zeros(len(held), np.uint64)
        hashes[at[there]] = found[name][there]
        own = np.unique(hashes[rows], return_inverse=True)[1].astype(np.int64)
        codes = np.unique(codes * (own.max(initial=0) + 1) + own, return_inverse=True)[1]
    return codes.astype(np.int64)


def _differing(
    cursor: duckdb.DuckDBPyConnection,
    chosen: Selected,
    but: Sequence[str],
    known: Mapping[str, Direction],
) -> tuple[list[Column], int]:
    """The params in which the groups differ, up to a bound, and how many more there are."""
    names = summed_up(cursor, chosen, known)
    found = [
        Column("params", n.name) for n in names.params if names.varies(n) and n.name not in but
    ]
    return found[:MOST_KEYS], max(0, len(found) - MOST_KEYS)
