"""What the ways to compare have in common: the runs compared, an axis's options, the link."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, TypeVar

import pandas as pd

from core.runs import query as runs_query
from core.runs.directions import direction
from core.runs.query import Names, RunQuery, RunTable
from core.ui import runs

T = TypeVar("T")

NONE = "–"
"""Stands for nothing chosen."""

MOST_IN_LINK = 50
"""Runs that a link names one by one; more become a saved view."""

_HELD_OUT = re.compile(r"(^|[^a-z])(val|valid|validation|test|eval)([^a-z]|$)", re.IGNORECASE)

_MOST_DRAWN = 24


@dataclass(frozen=True)
class Compared:
    """The runs that the link names: one question, which every way to look asks for its columns."""

    asked: RunQuery
    """Without columns."""
    count: int
    """How many runs there are; every way draws all of them, or says why not."""
    experiments: Mapping[str, str]
    """Experiment id → name, of those that the runs are from."""

    def table(self, columns: Sequence[str] | None = None) -> RunTable:
        """The runs with ``columns`` (all that any of them has where None), remembered."""
        wanted = None if columns is None else tuple(dict.fromkeys(columns))
        return runs.table(replace(self.asked, columns=wanted))

    @property
    def names(self) -> Names:
        """What the runs have: every metric, param and tag, remembered."""
        return runs.names(self.asked)

    @property
    def ids(self) -> list[str]:
        """The ids of all runs compared, in order."""
        return self.table(()).ids


def options(compared: Compared) -> list[str]:
    """What can stand on an axis: what varies first, metrics before params, then tags."""
    names = compared.names
    first = runs_query.choose(names, most=10_000).shown
    rest = [n.column for n in (*names.metrics, *names.params) if n.column not in set(first)]
    tags = [n.column for n in names.tags if not n.name.startswith("mlflow.")]
    return [*first, *rest, "seconds", *tags]


def automatic(compared: Compared, most: int) -> list[str]:
    """The columns that a figure begins with, what was set by hand before what came out."""
    names = compared.names
    shown = list(runs_query.choose(names, most).shown)
    metrics = [n.column for n in names.metrics if names.varies(n)]
    most_telling = telling(metrics)
    if most_telling and most_telling not in shown:
        last = max(i for i, column in enumerate(shown) if column.startswith("metrics."))
        shown[last] = most_telling
    return sorted(shown, key=lambda column: column.startswith("metrics."))


def telling(metrics: Sequence[str]) -> str | None:
    """The metric to begin with: one of validation or test data whose direction is known, if any."""

    def plain(column: str) -> tuple[bool, bool]:
        name = column.removeprefix("metrics.")
        return (not _HELD_OUT.search(name), direction(name) is None)

    return min(metrics, key=plain, default=None)


def lower_is_better(compared: Compared, column: str | None) -> bool | None:
    """Whether low values of a metric are the better ones; None where that is not known."""
    name = compared.names.get(column) if column else None
    return None if name is None or name.direction is None else name.direction == "lower"


def frame(table: RunTable) -> pd.DataFrame:
    """The rows as the charts read them: the run's name is ``run_name`` there."""
    return table.frame.rename(columns={"name": "run_name"})


class _Drawn:
    """The last figures made, each with the very table that it was made of."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[int, object], tuple[object, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, table: RunTable, choices: object, make: Callable[[], T]) -> T:
        key = (id(table.frame), choices)
        with self._lock:
            held = self._held.pop(key, None)
            # Whoever holds the table keeps its id from being given to another.
            if held is not None and held[0] is table.frame:
                self._held[key] = held
                there: T = held[1]
                return there
        made = make()
        with self._lock:
            self._held[key] = (table.frame, made)
            while len(self._held) > _MOST_DRAWN:
                self._held.popitem(last=False)
        return made


_drawn = _Drawn()


def remembered(table: RunTable, choices: object, make: Callable[[], T]) -> T:
    """What ``make`` makes of a table: the same again as long as table and choices are the same.

    Args:
        choices: what the figure depends on besides, plain values.
    """
    return _drawn.get(table, choices, make)
