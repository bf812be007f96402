"""Which runs a question means, all of them and in order; every answer begins with this."""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.errors import InvalidInput
from core.mlflow_api.ids import is_run_id
from core.runs import columns, families, language, ordering, spine
from core.runs.asked import VIEWS, Order, RunQuery
from core.runs.directions import Direction, direction
from core.runs.mirror import Mirror
from core.runs.spine import MISSING, Rows, Spine
from core.runs.values import Reader, Texts
from core.texts import t

_REMEMBERED = 24
_TEXTS = {"run_id": "run_id", "name": "name", "status": "status", "parent_id": "parent_id",
          "experiment_id": "experiment_id"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Selected:
    """The runs that a question means."""

    spine: Spine
    rows: Rows
    """All that match, in order."""
    depth: npt.NDArray[np.int16]
    """Of each row: in how many runs it is nested; 0 unless families were asked for."""
    missing: tuple[str, ...] = ()
    """Run ids that were asked for and are not there."""

    @property
    def ids(self) -> list[str]:
        """The runs' ids, in order."""
        found: list[str] = self.spine.column("run_id").take(self.rows).to_pylist()
        return found


@dataclass(frozen=True)
class Named:
    """A metric, param or tag that some run has."""

    kind: str
    name: str


_lock = threading.Lock()
_kept: "weakref.WeakKeyDictionary[Mirror, OrderedDict[object, Selected]]" = (
    weakref.WeakKeyDictionary()
)


def select(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> Selected:
    """All runs that ``asked`` means, in order; limit, offset and columns do not count here.

    Args:
        readable: the experiments that this person may read; no run of another one is given.

    Raises:
        InvalidInput: the filter (``field`` is "filter") or the order ("order") cannot be used.
    """
    plain = replace(asked, columns=None, limit=None, offset=0)
    key = (mirror.revision, plain, readable, asked.moment)
    with _lock:
        kept = _kept.setdefault(mirror, OrderedDict())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
    found = _by_id(mirror, asked, readable) if asked.run_ids else _all(mirror, asked, readable)
    with _lock:
        kept[key] = found
        while len(kept) > _REMEMBERED:
            kept.popitem(last=False)
    return found


def candidates(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> Selected:
    """All runs that may match once histories were read: conditions on these are left out.

    They come in no particular order.
    """
    if asked.run_ids:
        return select(mirror, asked, readable)
    held = spine.spine(mirror)
    mask = _mask(held, asked, readable)
    with mirror.cursor() as cursor:
        if asked.filter.strip():
            filtered = language.without_aggregates(_parsed(cursor, held, asked, mask))
            mask &= _matching(cursor, mirror, held, asked, filtered)
    rows = np.flatnonzero(mask).astype(np.int32)
    return Selected(held, rows, np.zeros(len(rows), np.int16))


def parsed(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> language.Filter:
    """The filter as a tree."""
    held = spine.spine(mirror)
    with mirror.cursor() as cursor:
        return _parsed(cursor, held, asked, _mask(held, asked, readable))


def _all(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> Selected:
    held = spine.spine(mirror)
    mask = _mask(held, asked, readable)
    with mirror.cursor() as cursor:
        if asked.filter.strip():
            filtered = _parsed(cursor, held, asked, mask)
            mask &= _matching(cursor, mirror, held, asked, filtered)
        rows = np.flatnonzero(mask).astype(np.int32)
        keys = [
            key
            for order in asked.order
            for key in _keys(cursor, held, rows, order, dict(asked.directions))
        ]
    rows = rows[ordering.arrange(keys, len(rows))]
    if asked.nesting == "families":
        return Selected(held, *families.together(rows, held.parents()))
    return Selected(held, rows, np.zeros(len(rows), np.int16))


def _mask(held: Spine, asked: RunQuery, readable: frozenset[str]) -> npt.NDArray[np.bool_]:
    """The runs in question before the filter."""
    if asked.view not in VIEWS:
        raise InvalidInput(t("rows.view.bad", view=asked.view[:40]), field="view")
    wanted = readable.intersection(asked.experiment_ids) if asked.experiment_ids else readable
    mask = held.of_experiments(wanted)
    if asked.view != "all":
        mask &= held.deleted() == (asked.view == "deleted")
    if asked.nesting == "top":
        mask &= held.parents() == MISSING
    return mask


def _by_id(mirror: Mirror, asked: RunQuery, readable: frozenset[str]) -> Selected:
    wanted = list(dict.fromkeys(asked.run_ids))
    held = spine.spine(mirror)
    places = held.places(wanted)
    away = [i for i, place in zip(wanted, places, strict=True) if place == MISSING]
    possible = [i for i in away if is_run_id(i)]
    if possible:  # made just now, or not read yet
        mirror.reread(possible)
        held = spine.spine(mirror)
        places = held.places(wanted)
    allowed = np.append(held.of_experiments(readable), False)
    there = allowed[places]
    rows = places[there]
    missing = tuple(i for i, found in zip(wanted, there, strict=True) if not found)
    return Selected(held, rows, np.zeros(len(rows), np.int16), missing)


def _keys(
    cursor: duckdb.DuckDBPyConnection,
    held: Spine,
    rows: Rows,
    order: Order,
    directions: Mapping[str, Direction],
) -> list[ordering.Key]:
    column = columns.parse(order.column, "order")
    down = order.descending
    if column.kind == "attribute":
        return _attribute_keys(cursor, held, rows, column.name, descending=down)
    reader = Reader(cursor, held, rows, directions)
    if column.kind in ("params", "tags"):
        return ordering.by_texts(reader.texts([column], numbers=True)[column], descending=down)
    return ordering.by_numbers(reader.numbers([column])[column], descending=down)


def _attribute_keys(
    cursor: duckdb.DuckDBPyConnection, held: Spine, rows: Rows, name: str, *, descending: bool
) -> list[ordering.Key]:
    if name == "started_at":
        key = held.numbers("start_time")[rows]
    elif name == "ended_at":
        key = held.numbers("end_time")[rows]
    elif name == "seconds":
        key = held.numbers("end_time")[rows] - held.numbers("start_time")[rows]
    elif name == "deleted":
        key = held.deleted()[rows].astype(float)
    elif name == "user":
        who = Texts(Reader(cursor, held, rows).users(rows), np.full(len(rows), np.nan))
        return ordering.by_texts(who, descending=descending)
    else:
        key = ordering.text_ranks(held.column(_TEXTS[name]).take(rows))
    return [-key if descending else key]


def _parsed(
    cursor: duckdb.DuckDBPyConnection,
    held: Spine,
    asked: RunQuery,
    mask: npt.NDArray[np.bool_],
) -> language.Filter:
    """The filter as a tree; ``mask`` marks the runs whose names an error may suggest."""
    try:
        return language.parse(asked.filter)
    except InvalidInput:
        # A name without a prefix, or an error that may offer one: only now the names are needed.
        return language.parse(asked.filter, _known(cursor, held, mask))


def _matching(
    cursor: duckdb.DuckDBPyConnection,
    mirror: Mirror,
    held: Spine,
    asked: RunQuery,
    filtered: language.Filter,
) -> npt.NDArray[np.bool_]:
    """Which runs the filter lets through."""
    said = dict(asked.directions)
    condition = language.compile_filter(
        filtered,
        dialect=mirror.dialect,
        zone=asked.zone,
        now=datetime.now(UTC),
        experiments=dict(asked.experiment_names),
        directions=lambda metric: direction(metric, said),
    )
    sql = f"SELECT r.no FROM runs r {condition.joins} WHERE {condition.sql}"  # noqa: S608 - what was typed is bound
    values = [*condition.join_parameters, *condition.parameters]
    found = cursor.execute(sql, values).fetchnumpy()["no"]
    matching = np.zeros(len(held), bool)
    matching[held.at(np.asarray(found, np.int32))] = True
    return matching


def _known(
    cursor: duckdb.DuckDBPyConnection, held: Spine, mask: npt.NDArray[np.bool_]
) -> list[Named]:
    """The metrics, params and tags of some runs, those that most of them have first."""
    cursor.register("known_runs", pa.table({"no": held.no[mask]}))
    tables = " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, key, count(*) AS runs FROM {kind} "  # noqa: S608 - our words
        "SEMI JOIN known_runs ON run = no GROUP BY key"
        for kind in ("metrics", "params", "tags")
    )
    rows = cursor.execute(
        f"SELECT f.kind, name FROM ({tables}) f JOIN keys ON id = key ORDER BY runs DESC, name"  # noqa: S608
    ).fetchall()
    return [Named(kind, name) for kind, name in rows]
