"""Forms that edit descriptions and tags, of a registered model and of a version."""

from collections.abc import Callable, Mapping

import pandas as pd
import streamlit as st

from core.texts import t
from core.ui import parts
from core.ui.deck import forget
from core.ui.markup import md, visible


def describe(before: str, write: Callable[[str], None], key: str) -> None:
    """A popover with a form that replaces a description."""
    with (
        st.popover(t("model.describe.label"), icon=":material/edit_note:"),
        st.form(f"{key}_form", border=False),
    ):
        text = st.text_area(t("model.describe.text"), value=before, height=160, key=f"{key}_text")
        if st.form_submit_button(t("model.describe.save"), type="primary"):
            try:
                write((text or "").strip())
            finally:
                forget()
            said("model.describe.done")


def tags(
    present: Mapping[str, str],
    write: Callable[[str, str], None],
    remove: Callable[[str], None],
    key: str,
) -> None:
    """A popover with the tags as a table, a form that sets one, and a form that removes one."""
    with st.popover(t("model.tags.label", n=len(present)), icon=":material/tag:"):
        if present:
            made = {
                t("model.tags.key"): [visible(k) for k in present],
                t("model.tags.value"): [visible(v) for v in present.values()],
            }
            st.dataframe(pd.DataFrame(made), hide_index=True, alt=t("model.tags.alt"))
        with st.form(f"{key}_set", border=False):
            name = st.text_input(t("model.tags.key"), key=f"{key}_name")
            value = st.text_input(t("model.tags.value"), key=f"{key}_value")
            if st.form_submit_button(t("model.tags.set"), type="primary"):
                try:
                    write((name or "").strip(), value or "")
                finally:
                    forget()
                said("model.tags.was_set", key=(name or "").strip())
        if present:
            with st.form(f"{key}_remove", border=False):
                gone = st.selectbox(t("model.tags.which"), list(present), key=f"{key}_gone")
                if st.form_submit_button(t("model.tags.remove")) and gone:
                    try:
                        remove(gone)
                    finally:
                        forget()
                    said("model.tags.removed", key=gone)


def said(text: str, /, **fields: object) -> None:
    """Say that something was done, and draw the page anew."""
    parts.done(md(text, **fields))
    st.rerun()
