"""What tables of runs show: cells made once as Arrow columns, and how each column is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.runs.columns import is_column, parse
from core.runs.query import RunTable
from core.texts import t
from core.ui import parts, runs
from core.ui.markup import visible

STATUS_COLOURS = {
    "FINISHED": "green",
    "RUNNING": "blue",
    "SCHEDULED": "grey",
    "FAILED": "red",
    "KILLED": "orange",
}
NESTED = "↳ "
INDENT = "\u2003"
WAYS = {"lower": "↓", "higher": "↑"}
"""A metric's direction in its headline: where the better values are."""
ROUNDED_FROM = 10.0
"""Seconds from which a duration is told in whole seconds."""
LONGEST_CELL = 500
"""Characters of a text that a cell shows; the run's own page has all of it."""
_UNSEEN = r"[\p{Cc}\p{Cf}]"


def cells(
    rows: RunTable,
    columns: Sequence[str],
    names: Mapping[str, str] | None = None,
    *,
    parents: bool = True,
) -> pa.Table:
    """What a table shows: name, status, times, then ``columns``.

    Args:
        names: experiment id → name, where more than one experiment is shown.
        parents: whether to name the run that another is nested in.
    """
    frame = rows.frame
    nested = frame["parent_id"].notna()
    shown: dict[str, pa.Array] = {
        "open": _repeated(t("runs.open"), len(frame)),
        "name": _name(frame, nested),
        "status": _status(frame),
        "started_at": moments(frame["started_at"]),
        "seconds": _duration(frame["seconds"]),
    }
    if names:
        shown["experiment"] = text(_column(frame["experiment_id"].map(lambda i: names.get(i, i))))
    if parents and nested.any():
        shown["parent"] = text(_parents(rows))
    for column in columns:
        if column in frame:
            moment = isinstance(frame[column].dtype, pd.DatetimeTZDtype)
            values = moments(frame[column]) if moment else _column(frame[column])
            shown[headline(column, shown)] = text(values) if _is_text(values) else values
    return pa.table(shown)


def headline(column: str, taken: Mapping[str, object]) -> str:
    """``column`` as the name of a table's column, unlike those that are there already."""
    name = visible(column)
    while name in taken:  # two may differ in nothing that can be seen
        name += "'"
    return name


def text(values: pa.Array) -> pa.Array:
    """Outside text as cells: made ``visible``, and cut where it is very long."""
    if len(values) == 0 or values.null_count == len(values):
        return values
    if pc.max(pc.utf8_length(values)).as_py() > LONGEST_CELL:
        cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, LONGEST_CELL), "…", "")
        values = pc.if_else(pc.greater(pc.utf8_length(values), LONGEST_CELL), cut, values)
    odd = pc.fill_null(pc.match_substring_regex(values, _UNSEEN), False)
    if not pc.any(odd).as_py():
        return values
    mended = [visible(v) for v in pc.filter(values, odd).to_pylist()]
    return pc.replace_with_mask(values, odd, pa.array(mended, values.type))


def moments(times: "pd.Series[Any]") -> pa.Array:
    """Times in UTC as cells, shown in the viewer's zone."""
    plain = times.dt.tz_convert(None).to_numpy().astype("datetime64[ms]")
    return pa.array(plain, pa.timestamp("ms")).cast(pa.timestamp("ms", "UTC"))


def config(made: pa.Table, key: str, directions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """How the columns of ``cells`` are drawn. Headlines are drawn as plain text.

    Args:
        key: begins the key of the button in each row.
        directions: metric → "lower" or "higher", where its better values are.
    """
    column = st.column_config
    states = {**STATUS_COLOURS, "": "grey"}
    looks: dict[str, Any] = {
        "open": column.ButtonColumn("", type="tertiary", key=f"{key}_open", width=70),
        "name": column.TextColumn(t("runs.column.name"), pinned=True, width=200),
        "status": column.MultiselectColumn(
            t("runs.column.status"),
            options=[parts.state_name(s) if s else t("runs.deleted") for s in states],
            color=list(states.values()),
        ),
        "started_at": column.DatetimeColumn(t("runs.column.started_at"), format="distance"),
        "seconds": column.NumberColumn(t("runs.column.seconds"), format="localized"),
        "experiment": column.TextColumn(t("runs.column.experiment")),
        "parent": column.TextColumn(t("runs.column.parent")),
    }
    for field in made.schema:
        if field.name not in looks:
            looks[field.name] = _look(field, directions or {})
    return looks


def _look(field: pa.Field, directions: Mapping[str, str]) -> Any:
    kind, _, name = field.name.partition(".")
    if _is_text(field):
        about = t(f"runs.column.{kind}") if kind in ("params", "tags") else None
        return st.column_config.TextColumn(name or field.name, help=about)
    if pa.types.is_timestamp(field.type):
        return st.column_config.DatetimeColumn(t(f"experiments.order.{field.name}"))
    if kind != "metrics":
        return st.column_config.NumberColumn(
            field.name, format="%.5g", help=t("runs.column.aggregate")
        )
    way = directions.get(name)
    return st.column_config.NumberColumn(
        f"{name} {WAYS[way]}" if way in WAYS else name,
        format="%.5g",
        help=t(f"runs.column.metric_{way}") if way in WAYS else t("runs.column.metric"),
    )


def label(column: str) -> str:
    """A headline: the bare name, or an aggregate as it is written."""
    return visible(parse(column).label if is_column(column) else column)


def small_table(rows: RunTable, columns: Sequence[str], alt: str, key: str) -> str | None:
    """A table without selection; the id of the run that was opened in this rerun."""
    made = cells(rows, columns)
    st.dataframe(
        made,
        hide_index=True,
        column_config=config(made, key),
        alt=alt,
        placeholder="",
        key=f"{key}_{runs.fingerprint(rows.ids)}",
    )
    return runs.clicked(key, rows.ids)


def _name(frame: pd.DataFrame, nested: "pd.Series[bool]") -> pa.Array:
    """Names, those of nested runs behind an arrow, and further in the deeper they lie."""
    names = text(_column(frame["name"]))
    if not nested.any():
        return names
    depths = frame["depth"].to_numpy()
    signs = [INDENT * max(0, deep - 1) + NESTED for deep in range(int(depths.max()) + 1)]
    arrows = pa.array(signs).take(pa.array(depths))
    inner = pc.binary_join_element_wise(arrows, names, "")
    return pc.if_else(pa.array(nested.to_numpy(bool)), inner, names)


def _parents(rows: RunTable) -> pa.Array:
    """The names of the runs that those of ``rows`` are nested in; the id where it has none."""
    frame = rows.frame
    parents = frame["parent_id"]
    inside = frame[frame["run_id"].isin(parents.dropna().unique())]
    known = {**rows.parents, **dict(zip(inside["run_id"], inside["name"], strict=True))}
    return _column(parents.map({i: known.get(i) or i for i in parents.dropna().unique()}))


def _status(frame: pd.DataFrame) -> pa.Array:
    """One or two badges a run: its status, and that it is deleted."""
    words = frame["status"].map({s: parts.state_name(s) for s in frame["status"].unique()})
    if not frame["deleted"].any():
        offsets = pa.array(range(len(frame) + 1), pa.int32())
        return pa.ListArray.from_arrays(offsets, _column(words))
    gone = t("runs.deleted")
    pairs = zip(words, frame["deleted"], strict=True)
    return pa.array([[word, gone] if deleted else [word] for word, deleted in pairs])


def _duration(seconds: "pd.Series[float]") -> pa.Array:
    values = seconds.to_numpy("float64")
    # What took long is not told to the millisecond.
    rounded = np.where(np.abs(values) < ROUNDED_FROM, np.round(values, 3), np.round(values)) * 1000
    known = np.isfinite(rounded)
    whole = np.where(known, rounded, 0).astype("int64")
    return pa.array(whole, pa.duration("ms"), mask=~known)


def _column(values: "pd.Series[Any]") -> pa.Array:
    made = pa.array(values)
    if isinstance(made, pa.ChunkedArray):
        made = made.combine_chunks()
    if pa.types.is_large_string(made.type) or pa.types.is_null(made.type):
        made = made.cast(pa.string())
    return made


def _is_text(field: pa.Array | pa.Field) -> bool:
    return bool(pa.types.is_string(field.type) or pa.types.is_large_string(field.type))


def _repeated(label: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int8()), pa.array([label]))
