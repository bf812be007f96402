"""Two columns of the runs against each other."""

import streamlit as st

from core import charts
from core.runs.query import RunTable
from core.texts import t
from core.ui.compare.shared import NONE, Compared, frame, options, set_runs
from core.ui.markup import safe
from core.ui.navigation import link


def draw(compared: Compared) -> None:
    """Draw the figure, with its axes and what can be done with the dots selected."""
    table = compared.table()
    offered = options(table)
    metrics = [c for c in offered if c.startswith("metrics.")]
    params = [c for c in offered if c.startswith("params.")]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = _pick("x", offered, (params + metrics + offered)[0])
        y = _pick("y", offered, (metrics + offered)[0])
        colour = st.selectbox(
            t("compare.colour"),
            [NONE, *offered],
            key="scatter_colour",
            bind="query-params",
            width=260,
        )
        log_x = st.toggle(t("compare.scatter.log_x"), key="log_x", bind="query-params")
        log_y = st.toggle(t("compare.scatter.log_y"), key="log_y", bind="query-params")
    figure, notes = charts.scatter(
        frame(table), x, y, colour if colour in offered else None, log_x, log_y
    )
    event = st.plotly_chart(
        figure, alt=t("compare.scatter.alt", x=x, y=y), key="scatter", on_select="rerun"
    )
    st.caption(safe(notes.text))
    picked = [str(p["customdata"][0]) for p in event["selection"]["points"] if "customdata" in p]
    _picked(table, [i for i in dict.fromkeys(picked) if i in set(table.ids)])


def _pick(axis: str, options: list[str], first: str) -> str:
    chosen = st.selectbox(
        t(f"compare.scatter.{axis}"),
        options,
        index=options.index(first),
        key=axis,
        bind="query-params",
        width=260,
    )
    return chosen or first


def _picked(table: RunTable, ids: list[str]) -> None:
    """What can be done with the dots that were selected in the figure."""
    if not ids:
        st.caption(t("compare.scatter.select"))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(t("compare.scatter.selected", n=len(ids)), width="content")
        st.button(
            t("compare.runs.keep", n=len(ids)), on_click=set_runs, args=(ids,), key="dots_keep"
        )
        names = dict(zip(table.frame["run_id"], table.frame["name"], strict=True))
        for run_id in ids[:5]:
            label = safe(names[run_id], 40) or t("runs.blank")
            link("run", label, icon=":material/open_in_full:", run=run_id)
