"""The seam that all run tables go through: what to ask for, and the table that comes back.

What answers is MLflow's client, page by page. Another source may take its place: nothing here
but ``query`` knows where rows come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pandas as pd

from core.errors import InvalidInput
from core.mlflow_api import Mlflow
from core.mlflow_api.ids import is_run_id
from core.mlflow_api.nouns import PARENT_TAG, Run
from core.mlflow_api.tracking import ACTIVE, ALL, DELETED, PAGE_LIMIT
from core.runs import filters
from core.texts import t

ATTRIBUTES = (
    "run_id",
    "name",
    "status",
    "started_at",
    "ended_at",
    "seconds",
    "user",
    "experiment_id",
    "parent_id",
    "deleted",
)
"""Columns that every table has."""

SORTABLE: Mapping[str, str] = {
    "started_at": "attributes.start_time",
    "ended_at": "attributes.end_time",
    "name": "attributes.run_name",
    "status": "attributes.status",
    "user": "tags.`mlflow.user`",
}
"""Attributes that runs can be put in order by, and what MLflow calls them."""

VIEWS: Mapping[str, str] = {"active": ACTIVE, "deleted": DELETED, "all": ALL}
KINDS = ("metrics", "params", "tags")
TOP_LEVEL = f"tags.`{PARENT_TAG}` IS NULL"
"""The condition that leaves out runs nested in others."""

_IDS_AT_ONCE = 200


@dataclass(frozen=True)
class Order:
    """Rows by one column: an attribute of ``SORTABLE``, ``metrics.x``, ``params.x``, ``tags.x``.

    Params and tags are text and so sorted as text. Rows without a value come last.
    """

    column: str
    descending: bool = False


@dataclass(frozen=True)
class RunQuery:
    """Which runs, which rows of them, and in what order.

    Where ``run_ids`` are given, exactly these runs are read, from any experiment and deleted ones
    too, in that order; the rest then does not count.
    """

    experiment_ids: tuple[str, ...] = ()
    filter: str = ""
    """In MLflow's syntax."""
    order: tuple[Order, ...] = (Order("started_at", descending=True),)
    columns: tuple[str, ...] | None = None
    """Those of ``metrics.…``, ``params.…`` and ``tags.…`` wanted; all where None."""
    limit: int = 100
    offset: int = 0
    view: str = "active"
    """active, deleted or all."""
    top_level: bool = False
    """Leave out runs that are nested in others."""
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunTable:
    """Rows, one a run.

    ``frame`` has the columns ``ATTRIBUTES`` (times aware, in UTC; ``seconds`` a number), then
    ``metrics.…`` (numbers; NaN as such, missing as ``<NA>``), ``params.…`` and ``tags.…`` (text).
    """

    frame: pd.DataFrame
    more: bool = False
    """Whether further rows follow."""
    total: int | None = None
    """How many rows there are in all, where that is known."""
    missing: tuple[str, ...] = field(default=())
    """Run ids that were asked for and are not there."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it was read."""

    @property
    def ids(self) -> list[str]:
        """The runs' ids, in the order of the rows."""
        return [str(i) for i in self.frame["run_id"]]

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics, params and tags that any of these runs has."""
        return tuple(c for c in self.frame.columns if c not in ATTRIBUTES)

    def of(self, kind: str) -> tuple[str, ...]:
        """Its columns of one kind: metrics, params or tags."""
        return tuple(c for c in self.columns if c.startswith(f"{kind}."))


def query(mlflow: Mlflow, asked: RunQuery) -> RunTable:
    """The rows that ``asked`` describes.

    Raises:
        InvalidInput: the filter (``field`` is "filter") or the order ("order") cannot be used.
    """
    if asked.run_ids:
        return _by_id(mlflow, asked)
    order = [order_clause(o) for o in asked.order]
    text = filters.checked(asked.filter)
    if asked.top_level:
        text = f"{text} AND {TOP_LEVEL}" if text else TOP_LEVEL
    wanted = asked.offset + asked.limit
    found: list[Run] = []
    token: str | None = None
    while True:
        # One row more than wanted tells whether there are more; it is not shown.
        size = min(PAGE_LIMIT, wanted + 1 - len(found))
        try:
            page = mlflow.tracking.search(
                asked.experiment_ids, text, order, size, token, VIEWS[asked.view]
            )
        except InvalidInput as error:
            if error.field or not asked.filter.strip():
                raise
            raise filters.explain(asked.filter, error, _sample(mlflow, asked)) from error
        found += page.runs
        token = page.next_token
        if not token or len(found) > wanted:
            break
    more = len(found) > wanted
    runs = found[asked.offset : wanted]
    total = None if more else len(found)
    return RunTable(frame_of(runs, asked.columns), more, total)


def order_clause(order: Order) -> str:
    """``order`` in MLflow's syntax, names quoted.

    Raises:
        InvalidInput: MLflow cannot sort by that column.
    """
    way = "DESC" if order.descending else "ASC"
    if order.column in SORTABLE:
        return f"{SORTABLE[order.column]} {way}"
    kind, _, name = order.column.partition(".")
    # MLflow reads an order with shell rules, in which these cannot be written.
    if kind not in KINDS or not name.strip() or any(c in name for c in '`"\\\n\r\x00'):
        raise InvalidInput(
            t("runs.order.bad", column=order.column[:80]), t("runs.order.next"), field="order"
        )
    return f"{kind}.`{name}` {way}"


def frame_of(runs: Sequence[Run], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Runs as rows, with all their metrics, params and tags, or the ``columns`` named."""
    made: dict[str, object] = {
        "run_id": pd.Series([r.id for r in runs], dtype=object),
        "name": pd.Series([r.name for r in runs], dtype=object),
        "status": pd.Series([r.status for r in runs], dtype=object),
        "started_at": pd.to_datetime([r.started_at for r in runs], utc=True).as_unit("ms"),
        "ended_at": pd.to_datetime([r.ended_at for r in runs], utc=True).as_unit("ms"),
        "seconds": pd.Series([r.seconds for r in runs], dtype=float),
        "user": pd.Series([r.user for r in runs], dtype=object),
        "experiment_id": pd.Series([r.experiment_id for r in runs], dtype=object),
        "parent_id": pd.Series([r.parent_id for r in runs], dtype=object),
        "deleted": pd.Series([r.lifecycle_stage == "deleted" for r in runs], dtype=bool),
    }
    for kind in KINDS:
        values = [getattr(r, kind) for r in runs]
        names = sorted({name for of_run in values for name in of_run}, key=str.casefold)
        for name in names:
            column = f"{kind}.{name}"
            if columns is None or column in columns:
                cells = [of_run.get(name) for of_run in values]
                made[column] = _numbers(cells) if kind == "metrics" else _text(cells)
    return pd.DataFrame(made)


def _numbers(cells: list[float | None]) -> object:
    # A plain column of floats cannot tell a metric that is NaN from one that was never logged.
    return pd.arrays.FloatingArray(
        pd.array([0.0 if c is None else c for c in cells], dtype="float64").to_numpy(),
        pd.array([c is None for c in cells], dtype="bool").to_numpy(),
    )


def _text(cells: list[str | None]) -> object:
    return pd.Series(cells, dtype=object)


def _by_id(mlflow: Mlflow, asked: RunQuery) -> RunTable:
    wanted = tuple(dict.fromkeys(asked.run_ids))
    possible = [i for i in wanted if is_run_id(i)]
    experiments = [e.id for e in mlflow.tracking.experiments(ALL)] if possible else []
    found: dict[str, Run] = {}
    for start in range(0, len(possible), _IDS_AT_ONCE):
        some = possible[start : start + _IDS_AT_ONCE]
        text = f"attributes.run_id IN ({', '.join(repr(i) for i in some)})"
        page = mlflow.tracking.search(experiments, text, limit=len(some), view=ALL)
        found |= {run.id: run for run in page.runs}
    runs = [found[i] for i in wanted if i in found]
    gone = tuple(i for i in wanted if i not in found)
    return RunTable(frame_of(runs, asked.columns), total=len(runs), missing=gone)


def _sample(mlflow: Mlflow, asked: RunQuery) -> pd.DataFrame:
    """Some rows of the same experiments, for names that an error can offer."""
    page = mlflow.tracking.search(asked.experiment_ids, limit=100, view=VIEWS[asked.view])
    return frame_of(page.runs)


@dataclass(frozen=True)
class Choice:
    """The columns to begin with, and what they were chosen from."""

    shown: tuple[str, ...]
    varying: int
    """How many metrics and params differ between the rows."""
    constant: tuple[str, ...]
    """Those that are the same in all rows."""
    existing: int
    """How many metrics and params there are."""


def choose(table: RunTable, most: int = 12) -> Choice:
    """The metrics and params that vary, at most ``most``, metrics first; all where none varies."""
    candidates = table.of("metrics") + table.of("params")
    varying = [c for c in candidates if _varies(table.frame[c])]
    constant = tuple(c for c in candidates if c not in set(varying))
    pool = varying or list(candidates)
    metrics = [c for c in pool if c.startswith("metrics.")]
    params = [c for c in pool if not c.startswith("metrics.")]
    half = most // 2
    # Neither kind crowds the other out: what one leaves free the other takes.
    kept = metrics[: max(half, most - len(params))]
    kept += params[: most - len(kept)]
    return Choice(tuple(kept), len(varying), constant, len(candidates))


def _varies(column: "pd.Series[object]") -> bool:
    return bool(column.astype(object).map(repr).nunique() > 1)
