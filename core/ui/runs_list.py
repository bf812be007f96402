"""The list of experiments: what each holds, and what can be done to some of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.mlflow_api.nouns import NOTE_TAG, Experiment
from core.mlflow_api.tracking import ACTIVE, DELETED
from core.runs import changes
from core.runs.activity import Activity
from core.texts import t
from core.ui import parts, runs
from core.ui.deck import deck, mirror
from core.ui.markup import md, plain_frame, safe
from core.ui.navigation import go

MOST_SHOWN = 1000


def controls() -> tuple[str, bool]:
    """Search and view; what to search for, and whether deleted experiments are wanted."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            t("experiments.search"),
            key="q",
            bind="query-params",
            type="search",
            width=360,
            placeholder=t("experiments.search_place"),
            label_visibility="collapsed",
        )
        views = [t("experiments.view.active"), t("experiments.view.deleted")]
        view = st.segmented_control(
            t("experiments.view.label"),
            views,
            default=views[0],
            required=True,
            key="state",
            bind="query-params",
            label_visibility="collapsed",
        )
        with st.popover(t("experiments.new.label"), icon=":material/add:"):
            _create()
    return words or "", view == views[1]


def _create() -> None:
    with st.form("experiment_new", border=False):
        name = st.text_input(t("experiments.new.name"))
        note = st.text_area(t("experiments.new.description"), height=90)
        if st.form_submit_button(t("experiments.new.create"), type="primary"):
            made = changes.create_experiment(deck().mlflow, name, note)
            runs.refresh()
            parts.done(md("experiments.new.done", name=name.strip()))
            go("experiments", experiment=made)


def listed(words: str, *, deleted: bool) -> list[Experiment]:
    """The experiments whose name or description holds every word."""
    found = runs.experiments(DELETED if deleted else ACTIVE)
    wanted = words.casefold().split()
    return [
        e
        for e in found
        if all(w in f"{e.name} {e.tags.get(NOTE_TAG, '')}".casefold() for w in wanted)
    ]


def draw(found: Sequence[Experiment], *, deleted: bool) -> None:
    """The table, and above it what can be done to the experiments that are ticked."""
    shown = found[:MOST_SHOWN]
    since = runs.held()
    # The runs of a deleted experiment are deleted with it.
    known = runs.activity([e.id for e in shown], "deleted" if deleted else "active")
    bar = st.container(horizontal=True, vertical_alignment="center", height="content")
    made = _cells(shown, known)
    key = f"experiments_{runs.fingerprint([e.id for e in shown])}"
    event = st.dataframe(
        made,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        column_config=_config(),
        placeholder="",
        alt=t("experiments.alt"),
    )
    opened = runs.clicked("experiments", [e.id for e in shown])
    if opened:
        go("experiments", experiment=opened)
    st.caption(
        " ".join(
            (t("experiments.shown", n=len(found), shown=len(shown)), safe(runs.coverage_line()))
        )
    )
    if not mirror().coverage.complete:  # the counts are of what was read so far
        runs.look_on(since)
    picked = [shown[i] for i in event["selection"]["rows"] if i < len(shown)]
    with bar:
        _actions(picked, deleted=deleted)


def _cells(shown: Sequence[Experiment], known: Mapping[str, Activity]) -> pd.DataFrame:
    activity = [known.get(e.id, Activity()) for e in shown]
    own = [{k: v for k, v in e.tags.items() if not k.startswith("mlflow.")} for e in shown]
    return plain_frame(
        pd.DataFrame(
            {
                "open": [t("runs.open")] * len(shown),
                "name": [e.name for e in shown],
                "runs": [a.runs for a in activity],
                "last": runs.instants(a.last for a in activity),
                "description": [e.tags.get(NOTE_TAG, "") for e in shown],
                "tags": [[f"{k}: {v}" for k, v in tags.items()] for tags in own],
                "created": runs.instants(e.created_at for e in shown),
                "id": [e.id for e in shown],
            }
        )
    )


def _config() -> dict[str, Any]:
    column = st.column_config
    return {
        "open": column.ButtonColumn("", type="tertiary", key="experiments_open", width=70),
        "name": column.TextColumn(t("runs.column.name"), width=260),
        "runs": column.NumberColumn(
            t("experiments.column.runs"), format="localized", width="small"
        ),
        "last": column.DatetimeColumn(t("experiments.column.last"), format="distance"),
        "description": column.TextColumn(t("experiments.column.description"), width="large"),
        "tags": column.ListColumn(t("experiments.column.tags")),
        "created": column.DatetimeColumn(t("experiments.column.created"), format="distance"),
        "id": column.TextColumn(t("experiments.column.id"), width="small"),
    }


def _actions(picked: Sequence[Experiment], *, deleted: bool) -> None:
    if not picked:
        st.caption(t("experiments.pick"))
        return
    ids = [e.id for e in picked]
    names = few([e.name for e in picked])
    if st.button(
        t("experiments.open", n=len(picked)),
        type="primary",
        icon=":material/table_rows:",
        key="experiments_show",
    ):
        go("experiments", experiment=",".join(ids))
    if deleted:
        if parts.confirm(
            t("experiments.restore.label"),
            t("experiments.restore.ask", n=len(picked), names=names),
            t("experiments.restore.do"),
            "experiments_restore",
            icon="restore_from_trash",
        ):
            _act(changes.restore_experiments, ids, t("experiments.restore.done", n=len(ids)))
    elif parts.confirm(
        t("experiments.delete.label"),
        t("experiments.delete.ask", n=len(picked), names=names),
        t("experiments.delete.do", n=len(picked)),
        "experiments_delete",
    ):
        _act(changes.delete_experiments, ids, t("experiments.delete.done", n=len(ids)))


def _act(change: "changes.Change", ids: list[str], said: str) -> None:
    try:
        change(deck().mlflow, ids)
    finally:
        runs.refresh(experiment_ids=tuple(ids))
    parts.done(said)
    st.rerun()


def few(names: Sequence[str], most: int = 5) -> str:
    """Some names for a question, as Markdown: the first ones in bold, and how many more."""
    said = ", ".join(f"**{safe(n, 60)}**" for n in names[:most])
    return t("runs.and_more", names=said, n=len(names) - most) if len(names) > most else said
