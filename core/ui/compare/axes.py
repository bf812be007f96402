"""Choices that several figures share: a column for an axis, logarithms, colour, direction."""

from collections.abc import Sequence

import streamlit as st

from core.charts import Notes
from core.runs.query import RunTable
from core.texts import t
from core.ui import runs
from core.ui.compare.selection import actions
from core.ui.compare.shared import NONE, Compared, lower_is_better
from core.ui.markup import safe


def pick(
    label: str, offered: Sequence[str], key: str, first: str | None = None, width: int = 220
) -> str:
    """One of the columns offered, kept in the link under ``key``."""
    index = offered.index(first) if first in offered else 0
    chosen = st.selectbox(label, offered, index=index, key=key, bind="query-params", width=width)
    return chosen or offered[index]


def pick_or_none(label: str, offered: Sequence[str], key: str, width: int = 220) -> str | None:
    """One of the columns offered, or none, kept in the link under ``key``."""
    chosen = st.selectbox(label, [NONE, *offered], key=key, bind="query-params", width=width)
    return chosen if chosen in offered else None


def direction(compared: Compared, column: str, key: str, label: str | None = None) -> bool:
    """Whether lower values of a metric are better: as known of it, unless chosen otherwise."""
    known = lower_is_better(compared, column)
    ways = {t("compare.lower"): True, t("compare.higher"): False}
    auto = t("compare.automatic")
    way = st.selectbox(
        label or t("compare.better"), [auto, *ways], key=key, bind="query-params", width=130
    )
    return ways.get(way, bool(known))


def numeric(compared: Compared, offered: Sequence[str]) -> list[str]:
    """Those of the columns that are numbers."""
    names = compared.names
    known = {column: names.get(column) for column in offered}
    return [c for c, name in known.items() if c == "seconds" or (name is not None and name.numeric)]


def by_values(compared: Compared, columns: Sequence[str]) -> list[str]:
    """The columns, those of the most different values first."""
    names = compared.names
    known = {column: names.get(column) for column in columns}
    return sorted(columns, key=lambda c: -(found.distinct if (found := known[c]) else 0))


def figure(
    compared: Compared, table: RunTable, drawn: tuple[object, Notes], key: str, alt: str
) -> None:
    """A figure of dots, what it left out, and what can be done with the runs marked in it."""
    made, notes = drawn
    if not notes.drawn:
        st.info(safe(notes.text), icon=":material/hide_image:")
        return
    ids = table.ids
    event = st.plotly_chart(
        made,
        alt=alt,
        # Marks are positions: they must not outlive their rows.
        key=f"{key}_{runs.fingerprint(ids)}",
        on_select="rerun",
        config={"displaylogo": False, "scrollZoom": False},
    )
    marked = {
        int(
            point["customdata"][0] if isinstance(point["customdata"], list) else point["customdata"]
        )
        for point in event["selection"]["points"]
        if isinstance(point.get("customdata"), int | float | list)
    }
    chosen = [ids[i] for i in sorted(marked) if 0 <= i < len(ids)]
    if chosen:
        actions(compared, table, chosen, key)
    st.caption(safe(notes.text))
    if not chosen:
        st.caption(t("compare.scatter.select"))
