"""What can be asked of runs, and what comes back: plain nouns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import pandas as pd

from core.runs.columns import ATTRIBUTES
from core.runs.directions import Direction
from core.runs.mirror import Coverage

Nesting = Literal["flat", "families", "top"]

SORTABLE = ("started_at", "ended_at", "seconds", "name", "status", "user")
"""Attributes that an order is commonly asked by; any column of a table can be."""

VIEWS = ("active", "deleted", "all")


@dataclass(frozen=True)
class Order:
    """Rows by one column, written as ``core.runs.columns`` has it. What is missing comes last."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class RunQuery:
    """Which runs, which rows of them, and in what order.

    Where ``run_ids`` are given, exactly these runs are meant, from any experiment and deleted
    ones too, in that order; filter, order, view, nesting, limit and offset then do not count.
    """

    experiment_ids: tuple[str, ...] = ()
    """Empty: all experiments that the person may read."""
    filter: str = ""
    order: tuple[Order, ...] = (Order("started_at", descending=True),)
    columns: tuple[str, ...] | None = None
    """As ``core.runs.columns`` writes them; None: all that any of the rows has, to a bound."""
    limit: int | None = 100
    """Rows; None: all."""
    offset: int = 0
    view: str = "active"
    """active, deleted or all."""
    nesting: Nesting = "flat"
    """``families`` keeps nested runs with the runs they are nested in; ``top`` leaves them out."""
    run_ids: tuple[str, ...] = ()
    zone: str = "UTC"
    """The viewer's time zone, for dates in the filter: an IANA name."""
    experiment_names: tuple[tuple[str, str], ...] = ()
    """Experiment id and name, for ``experiment = 'name'`` in the filter."""
    directions: tuple[tuple[str, Direction], ...] = ()
    """What was said of metrics, for ``best``; the others go by their names."""

    @property
    def moment(self) -> datetime | None:
        """The present minute, where the filter has a call: what was ``ago(7d)`` moves on while
        nothing changes. None elsewhere.
        """
        return datetime.now(UTC).replace(second=0, microsecond=0) if "(" in self.filter else None


@dataclass(frozen=True)
class RunTable:
    """Rows, one a run.

    ``frame`` has the columns ``ATTRIBUTES`` (times aware, in UTC; ``seconds`` a number; text NaN
    where missing) and ``depth``, then those asked for, in that order: metrics and aggregates
    (numbers; NaN as such, missing as ``<NA>``), params and tags (text). A column that no run has
    is there and empty. It is shared by all who ask the same: nobody may write to it.
    """

    frame: pd.DataFrame
    total: int = 0
    """How many rows there are in all."""
    more: bool = False
    """Whether further rows follow."""
    missing: tuple[str, ...] = ()
    """Run ids that were asked for and are not there."""
    left_out: int = 0
    """Columns that exist and were left out, where none were named."""
    unread: int = 0
    """Histories that were not read yet and without which the answer is not whole: what comes of
    them is missing in the rows, and matches no condition."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Of runs that rows are nested in and that are not among the rows: id → name."""
    revision: int = 0
    """The mirror's when it was read."""
    coverage: Coverage = field(default_factory=Coverage)
    """What the mirror held when it was read."""

    @property
    def at(self) -> datetime:
        """When MLflow was last looked at."""
        return self.coverage.at or datetime.now(UTC)

    @property
    def ids(self) -> list[str]:
        """The runs' ids, in the order of the rows."""
        return [str(i) for i in self.frame["run_id"]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics, params, tags and aggregates that were asked for."""
        return tuple(c for c in self.frame.columns if c not in ATTRIBUTES and c != "depth")

    def of(self, kind: str) -> tuple[str, ...]:
        """Its columns of one kind: metrics, params or tags."""
        return tuple(c for c in self.columns if c.startswith(f"{kind}."))
