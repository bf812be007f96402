"""A run's tags, those of people and those of MLflow, and the forms that set and remove one."""

from collections.abc import Mapping

import streamlit as st

from core.mlflow_api.nouns import Run
from core.runs import editing
from core.texts import t
from core.ui.deck import deck
from core.ui.markup import visible
from core.ui.run.overview import pairs
from core.ui.run.writing import seen, tell, write


def draw(run: Run) -> None:
    """Both tables, with the forms between them."""
    own = {k: v for k, v in sorted(run.tags.items()) if not k.startswith("mlflow.")}
    system = [(k, v) for k, v in sorted(run.tags.items()) if k.startswith("mlflow.")]
    st.subheader(t("run.tags", n=len(own)), anchor=False)
    pairs(list(own.items()), "tags", t("run.no_tags"))
    key = f"tags_{run.id}"
    before = seen(key, dict(run.tags), f"{key}:set", f"{key}:remove")
    tell(key)
    with st.container(horizontal=True):
        with st.popover(t("run.tag.label"), icon=":material/sell:"):
            _set(run, key, before)
        if own:
            with st.popover(t("run.tag.remove"), icon=":material/delete:"):
                _remove(run, key, list(own), before)
    st.subheader(t("run.system_tags", n=len(system)), anchor=False)
    pairs(system, "system_tags", t("run.no_tags"))


def _set(run: Run, key: str, before: Mapping[str, str]) -> None:
    with st.form(f"{key}:set_form", border=False):
        name = (st.text_input(t("run.tag.key"), key=f"{key}:name") or "").strip()
        value = st.text_area(t("run.tag.value"), height=90, key=f"{key}:value") or ""
        if st.form_submit_button(t("run.tag.save"), type="primary", key=f"{key}:set"):
            write(
                key,
                run.id,
                lambda: editing.set_tag(deck().mlflow, run.id, name, value, seen=before.get(name)),
                t("run.tag.done"),
            )


def _remove(run: Run, key: str, names: list[str], before: Mapping[str, str]) -> None:
    with st.form(f"{key}:remove_form", border=False):
        name = st.selectbox(t("run.tag.key"), names, format_func=visible, key=f"{key}:gone")
        if st.form_submit_button(t("run.tag.remove_do"), key=f"{key}:remove") and name:
            write(
                key,
                run.id,
                lambda: editing.delete_tag(deck().mlflow, run.id, name, seen=before.get(name)),
                t("run.tag.removed"),
            )
