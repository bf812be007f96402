"""Forms that edit descriptions and tags, of a registered model and of a version.

What the person saw is kept when a form is drawn and sent with what they typed, as in a move.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import pandas as pd
import streamlit as st

from core.errors import Conflict, DeckError
from core.registry import editing
from core.texts import t
from core.ui import errors, parts
from core.ui.deck import deck, forget
from core.ui.markup import md, visible
from core.ui.runs import fingerprint

T = TypeVar("T")


def describe(before: str, model: str, version: int | None = None) -> None:
    """A popover with a form that replaces a description.

    Args:
        before: the description as it was read just now.
        version: of this version; None for the registered model.
    """
    key = f"describe:{model}:{version or ''}"
    seen = seen_before(key, before, f"{key}:save")
    # A text area keeps its text whatever comes later: another description gets another area.
    text_key = f"{key}:text:{fingerprint([seen])}"
    kept: str | None = st.session_state.get(f"{key}:kept")
    tell_refusal(key)
    with (
        st.popover(t("model.describe.label"), icon=":material/edit_note:"),
        st.form(f"{key}:form", border=False),
    ):
        if text_key not in st.session_state:
            st.session_state[text_key] = seen if kept is None else kept
        text = (st.text_area(t("model.describe.text"), height=160, key=text_key) or "").strip()
        if kept is not None:
            st.caption(t("model.describe.kept"))
        if st.form_submit_button(t("model.describe.save"), type="primary", key=f"{key}:save"):
            st.session_state[f"{key}:kept"] = text
            with writing(key):
                editing.describe(deck().desk, model, version, text, seen=seen)
            del st.session_state[f"{key}:kept"]
            said("model.describe.done")


def tags(present: Mapping[str, str], model: str, version: int | None = None) -> None:
    """A popover with the tags as a table, a form that sets one, and a form that removes one.

    Args:
        present: the tags as they were read just now.
        version: of this version; None for the registered model.
    """
    key = f"tags:{model}:{version or ''}"
    seen = seen_before(key, dict(present), f"{key}:set", f"{key}:remove")
    tell_refusal(key)
    with st.popover(t("model.tags.label", n=len(present)), icon=":material/tag:"):
        if present:
            made = {
                t("model.tags.key"): [visible(k) for k in present],
                t("model.tags.value"): [visible(v) for v in present.values()],
            }
            st.dataframe(pd.DataFrame(made), hide_index=True, alt=t("model.tags.alt"))
        with st.form(f"{key}:set_form", border=False):
            name = (st.text_input(t("model.tags.key"), key=f"{key}:name") or "").strip()
            value = st.text_input(t("model.tags.value"), key=f"{key}:value") or ""
            if st.form_submit_button(t("model.tags.set"), type="primary", key=f"{key}:set"):
                with writing(key):
                    editing.set_tag(deck().desk, model, version, name, value, seen=seen.get(name))
                said("model.tags.was_set", key=name)
        if present:
            with st.form(f"{key}:remove_form", border=False):
                gone = st.selectbox(t("model.tags.which"), list(present), key=f"{key}:gone")
                if st.form_submit_button(t("model.tags.remove"), key=f"{key}:remove") and gone:
                    with writing(key):
                        editing.delete_tag(deck().desk, model, version, gone, seen=seen.get(gone))
                    said("model.tags.removed", key=gone)


def seen_before(key: str, now: T, *buttons: str) -> T:
    """What the person saw: where one of the buttons was pressed, what the run before drew."""
    pressed = any(st.session_state.get(button) for button in buttons)
    seen: T = st.session_state.get(f"{key}:seen", now) if pressed else now
    st.session_state[f"{key}:seen"] = seen
    return seen


def tell_refusal(key: str) -> None:
    """Why the last attempt was refused, where it was."""
    told: Conflict | None = st.session_state.pop(f"{key}:told", None)
    if told is not None:
        errors.show(told)


@contextmanager
def writing(key: str) -> Iterator[None]:
    """Around a write: a refusal is told beside the present state, and what is remembered of MLflow
    is read anew."""
    try:
        yield
    except Conflict as conflict:
        st.session_state[f"{key}:told"] = conflict  # drawn beside the present state
        st.rerun()
    except DeckError as error:
        # A page that looks again would take the words away, and not do what was asked.
        error.retryable = False
        raise
    finally:
        forget()


def said(text: str, /, **fields: object) -> None:
    """Say that something was done, and draw the page anew."""
    parts.done(md(text, **fields))
    st.rerun()
