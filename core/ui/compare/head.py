"""The head of the Compare page: how many runs are compared, and the ways to change the choice."""

from collections.abc import Sequence

import streamlit as st

from core.mlflow_api.tracking import ACTIVE
from core.runs.query import RunQuery, RunTable
from core.texts import t
from core.ui import parts, run_cells, runs
from core.ui.compare.choice import MOST_NAMED, link_to, named, point_to, question
from core.ui.compare.shared import Compared
from core.ui.deck import mirror
from core.ui.markup import md, safe, visible
from core.ui.navigation import go, link

NEWEST = (10, 25, 50, 100, 200)
LISTED = 500
"""Runs in the list of the head."""


def compared() -> Compared | None:
    """The runs that the link names, under their head; None where it names none."""
    asked = question()
    if asked is None:
        return None
    table = runs.table(asked)
    names = runs.experiment_names(sorted(table.frame["experiment_id"].unique()))
    found = Compared(asked, len(table.frame), names)
    _head(found, table)
    _warn(table, len(named()))
    return found


def _head(found: Compared, table: RunTable) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        said = [
            t("compare.count", n=found.count),
            t("compare.experiments", n=len(found.experiments)),
        ]
        if found.asked.filter.strip():
            said.append(md("compare.matching", filter=found.asked.filter))
        st.markdown(" ".join(said), width="content")
        listed = st.popover(
            t("compare.runs.label"),
            icon=":material/checklist:",
            key="compare_runs",
            width="content",
            on_change="rerun",
        )
        if listed.open:
            with listed:
                _chosen(found, table)
        adding = st.popover(
            t("compare.add.label"),
            icon=":material/add:",
            key="compare_adding",
            width="content",
            on_change="rerun",
        )
        if adding.open:
            with adding:
                choose(found, table)
        st.button(
            t("compare.clear"),
            icon=":material/clear_all:",
            type="tertiary",
            on_click=point_to,
            args=({},),
            key="compare_clear",
        )
        _fresh(found, table)


def _fresh(found: Compared, table: RunTable) -> None:
    """How much of the store was read and when; looks by itself whether there is something new."""

    @parts.live(runs.LOOK_SECONDS)
    def look() -> None:
        runs.readable()  # where MLflow does not answer, this rises
        mirror().want(found.asked.experiment_ids or tuple(found.experiments))
        moved = mirror().revision != table.revision
        if moved and not table.coverage.complete:
            parts.again()
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.caption(safe(runs.coverage_line()), width="content")
            if moved and st.button(
                t("compare.fresh"), type="tertiary", icon=":material/refresh:", key="compare_fresh"
            ):
                st.rerun()

    look()


def choose(found: Compared | None, table: RunTable | None) -> None:
    """The form that adds the newest runs of an experiment, and the link to pick them by hand.

    Args:
        found: what is compared so far.
        table: its runs.
    """
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
                newest = st.selectbox(
                    t("compare.add.newest"), [*NEWEST, t("compare.add.all")], index=2, width=120
                )
                sent = st.form_submit_button(
                    t("compare.add.do"), type="primary", icon=":material/add:"
                )
            text = st.text_input(t("compare.add.filter"), placeholder=t("compare.add.filter_place"))
        st.caption(t("compare.add.or"))
        link("experiments", t("compare.add.by_hand"), icon=":material/science:")
    if sent and chosen:
        _add(found, table, chosen, text, newest if isinstance(newest, int) else None)


def _add(
    found: Compared | None, table: RunTable | None, experiment: str, text: str, newest: int | None
) -> None:
    new = runs.table(RunQuery((experiment,), text, limit=newest, columns=())).ids
    if not new:
        parts.empty(t("compare.add.none"), "search_off")
        return
    if found is None and newest is None:
        point_to({"experiment": experiment, **({"q": text} if text.strip() else {})})
    else:
        known = found.experiments if found else {}
        ids = list(dict.fromkeys([*(table.ids if table else []), *new]))
        point_to(link_to(ids, [*known, experiment]))
    st.rerun()


def _warn(table: RunTable, asked_for: int) -> None:
    if asked_for > MOST_NAMED:
        st.caption(t("compare.too_many", n=asked_for, most=MOST_NAMED))
    if table.missing:
        shown = ", ".join(i[:40] for i in table.missing[:5])
        more = len(table.missing) - 5
        ids = t("runs.and_more", names=shown, n=more) if more > 0 else shown
        st.warning(md("compare.missing", n=len(table.missing), ids=ids), icon=":material/link_off:")
    deleted = int(table.frame["deleted"].sum())
    if deleted:
        st.caption(t("compare.deleted", n=deleted))


def _only(found: Compared, ids: Sequence[str]) -> None:
    point_to(link_to(ids, found.experiments))


def _chosen(found: Compared, table: RunTable) -> None:
    """The runs in a list, to take some out."""
    ids = table.ids
    made = run_cells.cells(table, (), found.experiments).slice(0, LISTED)
    key = f"chosen_{runs.fingerprint(ids)}"
    event = st.dataframe(
        made,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        column_config=run_cells.config(made, key),
        placeholder="",
        alt=t("compare.runs.alt"),
        width=640,
    )
    if len(ids) > LISTED:
        st.caption(t("compare.runs.first", n=LISTED, of=len(ids)))
    opened = runs.clicked(key, ids)
    if opened:
        go("run", run=opened)
    picked = {ids[i] for i in event["selection"]["rows"] if i < len(ids)}
    with st.container(horizontal=True):
        st.button(
            t("compare.runs.remove", n=len(picked)),
            disabled=not picked,
            key="compare_remove",
            on_click=_only,
            args=(found, [i for i in ids if i not in picked]),
        )
        st.button(
            t("compare.runs.keep", n=len(picked)),
            disabled=not picked,
            key="compare_keep",
            on_click=_only,
            args=(found, [i for i in ids if i in picked]),
        )
