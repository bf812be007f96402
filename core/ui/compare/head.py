"""The head of the Compare page: which runs the link names, and the ways to change the choice."""

from collections.abc import Sequence

import streamlit as st

from core.mlflow_api.tracking import ACTIVE
from core.runs.query import RunQuery, RunTable
from core.texts import t
from core.ui import parts, runs
from core.ui.compare.shared import Compared, set_runs
from core.ui.markup import md, visible
from core.ui.navigation import asked, asked_all, go, link

MOST_RUNS = 500
NEWEST = (10, 25, 50, 100, 200)
LISTED = 500
"""Runs in the list of the head; a table of more is the Experiments page."""


def compared() -> Compared | None:
    """The runs that the link names, under their head; None where it names none.

    The link names them by ``runs``, or as all runs of ``experiment`` that match the filter ``q``.
    """
    ids = list(dict.fromkeys(asked_all("runs")))
    experiments = tuple(dict.fromkeys(asked_all("experiment")))
    if ids:
        query = RunQuery(run_ids=tuple(ids[:MOST_RUNS]), columns=())
    elif experiments:
        query = RunQuery(experiments, asked("q"), limit=100_000, columns=())
    else:
        return None
    table = runs.shown(query)
    names = runs.experiment_names(sorted(set(table.frame["experiment_id"])))
    found = Compared(query, len(table.frame), names)
    _head(found, table, len(ids))
    return found


def _head(found: Compared, table: RunTable, asked_for: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        said = [t("compare.count", n=found.count), t("compare.experiments", n=len(names_of(found)))]
        if found.asked.filter.strip():
            said.append(md("compare.matching", filter=found.asked.filter))
        st.markdown(" ".join(said), width="content")
        listed = st.popover(
            t("compare.runs.label"),
            icon=":material/checklist:",
            width="content",
            key="compare_runs",
            on_change="rerun",
        )
        if listed.open:
            with listed:
                _chosen(found, table)
        adding = st.popover(
            t("compare.add.label"),
            icon=":material/add:",
            width="content",
            key="compare_adding",
            on_change="rerun",
        )
        if adding.open:
            with adding:
                choose(table.ids)
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
    _warn(table, asked_for)


def names_of(found: Compared) -> dict[str, str]:
    """Experiment id → name."""
    return dict(found.experiments)


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


def _chosen(found: Compared, table: RunTable) -> None:
    made = runs.cells(table, (), names_of(found), runs.parent_names(table))
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
