"""Runs side by side: which ones, and the four ways to look at them."""

from collections.abc import Sequence

import streamlit as st

from core.mlflow_api.tracking import ACTIVE
from core.runs.query import RunQuery, RunTable
from core.texts import t
from core.ui import parts, runs
from core.ui.compare import curves, differences, parallel, scatter
from core.ui.compare.shared import set_runs
from core.ui.markup import md, visible
from core.ui.navigation import asked_all, go, link

MOST_RUNS = 500
NEWEST = (10, 25, 50, 100, 200)


def asked() -> list[str]:
    """The runs that the link names, each once."""
    return list(dict.fromkeys(asked_all("runs")))


def choose(ids: Sequence[str]) -> None:
    """The form that adds the newest runs of an experiment, and the link to pick them by hand."""
    experiments = runs.experiments(ACTIVE)
    names = {e.id: e.name for e in experiments}
    with st.container(border=True):
        with st.form("compare_add", border=False):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                chosen = st.selectbox(
                    t("compare.add.experiment"),
                    list(names),
                    format_func=lambda i: visible(names[i]),
                    index=None,
                    placeholder=t("compare.add.place"),
                    width=360,
                )
                newest = st.selectbox(t("compare.add.newest"), NEWEST, index=2, width=120)
                sent = st.form_submit_button(
                    t("compare.add.do"), type="primary", icon=":material/add:"
                )
            text = st.text_input(t("compare.add.filter"), placeholder=t("compare.add.filter_place"))
        st.caption(t("compare.add.or"))
        link("experiments", t("compare.add.by_hand"), icon=":material/science:")
    if sent and chosen:
        found = runs.table(RunQuery((chosen,), text, limit=newest, columns=()))
        if found.frame.empty:
            parts.empty(t("compare.add.none"), "search_off")
            return
        set_runs(list(dict.fromkeys([*ids, *found.ids]))[:MOST_RUNS])
        st.rerun()


def head(ids: Sequence[str]) -> RunTable:
    """How many runs are compared, what is missing or deleted, and the ways to change the choice."""
    table = runs.shown(RunQuery(run_ids=tuple(ids[:MOST_RUNS])))
    names = runs.experiment_names(sorted(set(table.frame["experiment_id"])))
    with st.container(horizontal=True, vertical_alignment="center"):
        said = t("compare.count", n=len(table.frame)), t("compare.experiments", n=len(names))
        st.markdown(" ".join(said), width="content")
        with st.popover(t("compare.runs.label"), icon=":material/checklist:", width="content"):
            _chosen(table, names)
        with st.popover(t("compare.add.label"), icon=":material/add:", width="content"):
            choose(ids)
        st.button(
            t("compare.clear"),
            icon=":material/clear_all:",
            type="tertiary",
            on_click=set_runs,
            args=((),),
            key="compare_clear",
        )
        st.caption(runs.as_of(table), width="content")
        runs.refresh_button("compare_refresh")
    _warn(table, len(ids))
    return table


def _warn(table: RunTable, asked_for: int) -> None:
    if asked_for > MOST_RUNS:
        st.caption(t("compare.too_many", n=asked_for, most=MOST_RUNS))
    if table.missing:
        shown = ", ".join(i[:40] for i in table.missing[:5])
        more = len(table.missing) - 5
        ids = t("runs.and_more", names=shown, n=more) if more > 0 else shown
        st.warning(md("compare.missing", n=len(table.missing), ids=ids), icon=":material/link_off:")
    deleted = int(table.frame["deleted"].sum())
    if deleted:
        st.caption(t("compare.deleted", n=deleted))


def _chosen(table: RunTable, names: dict[str, str]) -> None:
    made = runs.cells(table, (), names, runs.parent_names(table))
    key = f"chosen_{runs.fingerprint(table.ids)}"
    event = st.dataframe(
        made,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        column_config=runs.config(made, key),
        placeholder="",
        alt=t("compare.runs.alt"),
        width=640,
    )
    opened = runs.clicked(key, table.ids)
    if opened:
        go("run", run=opened)
    picked = {table.ids[i] for i in event["selection"]["rows"] if i < len(table.ids)}
    with st.container(horizontal=True):
        st.button(
            t("compare.runs.remove", n=len(picked)),
            disabled=not picked,
            key="compare_remove",
            on_click=set_runs,
            args=([i for i in table.ids if i not in picked],),
        )
        st.button(
            t("compare.runs.keep", n=len(picked)),
            disabled=not picked,
            key="compare_keep",
            on_click=set_runs,
            args=([i for i in table.ids if i in picked],),
        )


WAYS = ("parallel", "scatter", "curves", "differences")


def draw(table: RunTable) -> None:
    """The way to look at the runs that is open; the others cost nothing."""
    tabs = st.tabs([t(f"compare.way.{w}") for w in WAYS], key="chart", bind="query-params")
    for way, tab in zip(WAYS, tabs, strict=True):
        if tab.open:
            with tab:
                DRAW[way](table)


DRAW = {
    "parallel": parallel.draw,
    "scatter": scatter.draw,
    "curves": curves.draw,
    "differences": differences.draw,
}
