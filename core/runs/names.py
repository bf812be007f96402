"""What runs have: every metric, param and tag that any of them has, summed up over all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import duckdb
import pyarrow as pa

from core.runs.directions import Direction, direction
from core.runs.select import Selected

_SUMS = {
    "metrics": "count(DISTINCT value) FILTER (NOT is_nan), count(*) FILTER (NOT is_nan), "
    "min(value) FILTER (NOT is_nan), max(value) FILTER (NOT is_nan)",
    "params": "count(DISTINCT value), count(number), min(number), max(number)",
    "tags": "count(DISTINCT value), count(TRY_CAST(value AS DOUBLE)), "
    "min(TRY_CAST(value AS DOUBLE)), max(TRY_CAST(value AS DOUBLE))",
}
_SYSTEM = "system/"
"""How the names of MLflow's own metrics of a machine begin."""


@dataclass(frozen=True)
class Name:
    """A metric, param or tag, over all the runs in question."""

    kind: str
    """metrics, params or tags, as columns begin."""
    name: str
    runs: int
    """How many runs have it."""
    distinct: int
    """Different values; NaN is one."""
    numbers: int
    """Runs in which it is a number; NaN is none."""
    minimum: float | None
    maximum: float | None
    direction: Direction | None = None
    """Of a metric: which way is better."""

    @property
    def column(self) -> str:
        """As columns are written."""
        return f"{self.kind}.{self.name}"

    @property
    def numeric(self) -> bool:
        """Whether it is a metric, or most of its values are numbers."""
        return self.kind == "metrics" or 2 * self.numbers > self.runs


@dataclass(frozen=True)
class Names:
    """All that the runs have."""

    runs: int
    """How many runs there are."""
    metrics: tuple[Name, ...] = ()
    params: tuple[Name, ...] = ()
    tags: tuple[Name, ...] = ()

    @cached_property
    def by_column(self) -> Mapping[str, Name]:
        """``metrics.x`` → what is known of it; metrics first, then params, then tags, by name."""
        return {n.column: n for n in (*self.metrics, *self.params, *self.tags)}

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them, as columns are written."""
        return tuple(self.by_column)

    def of(self, kind: str) -> tuple[Name, ...]:
        """Those of one kind: metrics, params or tags."""
        found: tuple[Name, ...] = getattr(self, kind)
        return found

    def get(self, column: str) -> Name | None:
        """What is known of one column."""
        return self.by_column.get(column)

    def varies(self, name: Name) -> bool:
        """Whether it differs between the runs; not to have it is a difference too."""
        return name.distinct > 1 or 0 < name.runs < self.runs


@dataclass(frozen=True)
class Choice:
    """The columns to begin with, and what they were chosen from."""

    shown: tuple[str, ...]
    varying: int
    """How many metrics and params differ between the runs."""
    constant: tuple[str, ...]
    """Those that are the same in all runs."""
    existing: int
    """How many metrics and params there are."""


def summed_up(
    cursor: duckdb.DuckDBPyConnection, chosen: Selected, known: Mapping[str, Direction]
) -> Names:
    """All that the runs chosen have.

    Args:
        known: what was said of metrics' directions; the others go by their names.
    """
    some = len(chosen.rows) < len(chosen.spine)
    if some:
        cursor.register("wanted_runs", pa.table({"no": chosen.spine.no[chosen.rows]}))
    made: dict[str, tuple[Name, ...]] = {}
    for table, sums in _SUMS.items():
        nan = "bool_or(is_nan)" if table == "metrics" else "false"
        only = "SEMI JOIN wanted_runs ON run = no" if some else ""
        rows = cursor.execute(
            f"SELECT keys.name, s.* EXCLUDE (key) FROM (SELECT key, count(*), {nan}, {sums} "  # noqa: S608 - words of ours alone
            f"FROM {table} {only} GROUP BY key) s JOIN keys ON keys.id = s.key"
        ).fetchall()
        found = [
            Name(
                table, name, runs, distinct + has_nan, numbers, low, high,
                direction(name, known) if table == "metrics" else None,
            )
            for name, runs, has_nan, distinct, numbers, low, high in rows
        ]  # fmt: skip
        made[table] = tuple(sorted(found, key=lambda n: (n.name.casefold(), n.name)))
    return Names(len(chosen.rows), **made)


def choose(names: Names, most: int = 12) -> Choice:
    """The metrics and params that vary, at most ``most``, metrics first; all where none varies.

    What most runs have goes before what few have, and metrics of the machine come last.
    """
    candidates = names.metrics + names.params
    varying = [n for n in candidates if names.varies(n)]
    constant = tuple(n.column for n in candidates if not names.varies(n))
    # To differ in value says more than to be missing in some runs.
    pool = sorted(
        varying or candidates,
        key=lambda n: (n.name.startswith(_SYSTEM), n.distinct < 2, -n.runs),
    )
    metrics = [n.column for n in pool if n.kind == "metrics"]
    params = [n.column for n in pool if n.kind == "params"]
    half = most // 2
    # Neither kind crowds the other out: what one leaves free the other takes.
    kept = metrics[: max(half, most - len(params))]
    kept += params[: most - len(kept)]
    return Choice(tuple(kept), len(varying), constant, len(candidates))
