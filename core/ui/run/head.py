"""A run's name, state, place, times and description, and what can be done to it."""

from collections.abc import Callable

import streamlit as st

from core import formats
from core.ledger import now
from core.mlflow_api.nouns import NOTE_TAG, Run
from core.runs import changes, editing
from core.texts import t
from core.training.jobs import JOB_TAG
from core.ui import parts, runs
from core.ui.deck import deck
from core.ui.markup import md, safe, visible
from core.ui.navigation import link
from core.ui.run.writing import seen, tell, write

_LONG_NOTE = 1_200
_NOTE_HEIGHT = 260


def head(run: Run) -> None:
    """Name, state, where it belongs, when it ran, its description, and what can be done to it."""
    experiment = runs.experiment_names([run.experiment_id])[run.experiment_id]
    link(
        "experiments",
        safe(experiment, 60),
        icon=":material/arrow_back:",
        experiment=run.experiment_id,
    )
    parts.title(safe(run.name, 120) or t("runs.blank"), "play_circle")
    with st.container(horizontal=True, vertical_alignment="center"):
        parts.badge(run.status)
        if run.lifecycle_stage == "deleted":
            st.badge(t("runs.deleted"), icon=":material/delete:", color="grey")
        if run.parent_id:
            st.badge(t("run.nested"), icon=":material/subdirectory_arrow_right:", color="grey")
        _actions(run)
    _facts(run)
    if JOB_TAG in run.tags:
        link("training", t("run.job"), icon=":material/model_training:", job=run.tags[JOB_TAG])
    note = run.tags.get(NOTE_TAG, "")
    if note:
        long = len(note) > _LONG_NOTE or note.count("\n") > 10
        with st.container(height=_NOTE_HEIGHT if long else "content", border=long):
            st.text(visible(note))


def _facts(run: Run) -> None:
    source = run.tags.get("mlflow.source.name", "")
    facts = [
        (t("run.fact.started", ago=parts.when(run.started_at)), parts.moment(run.started_at)),
        (t("run.fact.duration"), _duration(run)),
        (t("run.fact.user"), run.user),
        (t("run.fact.source"), formats.shorten(source, 60)),
    ]
    with st.grid("auto", min_column_width=160, gap="xsmall"):
        for name, value in facts:
            if value:
                with st.container(gap=None):
                    st.caption(name)
                    st.text(visible(value))
    st.caption(md("run.fact.id", id=run.id))


def _duration(run: Run) -> str:
    if run.status == "RUNNING" and run.started_at is not None:
        return t("run.so_far", time=formats.duration(now() - run.started_at))
    return formats.duration(run.seconds)


def _actions(run: Run) -> None:
    with st.popover(t("run.note.label"), icon=":material/edit_note:"):
        _describe(run)
    with st.popover(t("run.rename.label"), icon=":material/edit:"):
        _rename(run)
    name = f"**{safe(run.name, 60) or t('runs.blank')}**"
    gone = run.lifecycle_stage == "deleted"
    verb = "restore" if gone else "delete"
    act: Callable[..., None] = changes.restore_runs if gone else changes.delete_runs
    if parts.confirm(
        t(f"run.{verb}.label"),
        t(f"run.{verb}.ask", name=name),
        t(f"run.{verb}.do"),
        f"run_{verb}",
        icon="restore_from_trash" if gone else "delete",
    ):
        write(f"run_{verb}", run.id, lambda: act(deck().mlflow, [run.id]), t(f"run.{verb}.done"))


def _rename(run: Run) -> None:
    with st.form(f"rename_{run.id}", border=False):
        name = st.text_input(t("run.rename.name"), value=run.name, key=f"rename_to_{run.id}") or ""
        if st.form_submit_button(t("run.rename.do"), type="primary"):
            said = md("run.rename.done", name=name.strip())
            write("rename", run.id, lambda: editing.rename(deck().mlflow, run.id, name), said)


def _describe(run: Run) -> None:
    """A form that replaces the description, unless somebody else did meanwhile."""
    key, there = f"note_{run.id}", run.tags.get(NOTE_TAG, "")
    before = seen(key, there, f"{key}:save")
    tell(key)
    # What is being typed stays in the field, also after a refusal, for as long as it is drawn.
    field = f"{key}:text"
    if field not in st.session_state or (
        st.session_state[field] == st.session_state.get(f"{key}:drawn") != there
    ):
        st.session_state[field] = there
    st.session_state[f"{key}:drawn"] = there
    with st.form(f"{key}:form", border=False):
        text = st.text_area(t("run.note.field"), height=160, key=field) or ""
        if st.form_submit_button(t("run.note.save"), type="primary", key=f"{key}:save"):
            write(
                key,
                run.id,
                lambda: editing.describe(deck().mlflow, run.id, text, seen=before),
                t("run.note.done"),
            )
