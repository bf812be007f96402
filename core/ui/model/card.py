"""The model card: what is filled in, what could be, and an edit beside each field."""

from collections.abc import Mapping
from datetime import date

import streamlit as st

from core.ledger import now
from core.lifecycle.card_hints import hints
from core.lifecycle.lineage import trace
from core.mlflow_api.nouns import ModelVersion, RegisteredModel
from core.people import Permission
from core.registry.card import FIELDS, LONGEST, REVIEW_DATE, read_card, title, write_card
from core.texts import t
from core.ui.deck import deck, read
from core.ui.edits import said, seen_before, tell_refusal, writing
from core.ui.markup import md, safe, visible
from core.ui.runs import fingerprint


def draw(model: RegisteredModel, version: ModelVersion | None) -> None:
    """All fields, one below the other.

    Args:
        version: the one that is chosen; what could stand on the card comes from it.
    """
    card, offered = read_card(model), _hints(model, version)
    filled = sum(bool(text) for text in card.values())
    st.caption(t("card.filled", n=filled, all=len(FIELDS)))
    here = deck()
    level = read("level", lambda: here.permissions.on_model(here.actor, model.name), model.name)
    for field in FIELDS:
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{title(field)}**", width="stretch")
                if level >= Permission.EDIT:
                    _edit(model.name, field, card[field], offered.get(field, ""))
            _text(field, card[field], offered.get(field, ""))
    if level < Permission.EDIT:
        st.caption(md("people.missing.model", actor=here.actor.name, model=model.name,
                      right=Permission.EDIT.name))  # fmt: skip


def _hints(model: RegisteredModel, version: ModelVersion | None) -> Mapping[str, str]:
    here = deck()
    found = None
    if version is not None:
        found = read("lineage", lambda: trace(here, version), version.model, version.version,
                     version.run_id)  # fmt: skip
    return hints(model, found, now().date())


def _text(field: str, text: str, offered: str) -> None:
    if text:
        st.text(visible(text))
        if field == REVIEW_DATE and text < now().date().isoformat():
            st.badge(t("card.review_passed"), icon=":material/warning:", color="orange")
    elif offered:
        st.caption(t("card.empty_offered"))
        st.caption("  \n".join(safe(line, 300) for line in offered.splitlines()))
    else:
        st.caption(t("card.empty"))


def _edit(model: str, field: str, text: str, offered: str) -> None:
    """A popover with a form for one field, as for a description."""
    key = f"card:{model}:{field}"
    seen = seen_before(key, text, f"{key}:save")
    kept: str | None = st.session_state.get(f"{key}:kept")
    # A widget keeps its text whatever comes later: another text gets another widget.
    text_key = f"{key}:text:{fingerprint([seen])}"
    tell_refusal(key)
    with (
        st.popover(t("card.edit"), icon=":material/edit:", type="tertiary"),
        st.form(f"{key}:form", border=False, enter_to_submit=False),
    ):
        typed = _input(field, text_key, kept if kept is not None else seen or offered)
        if kept is not None:
            st.caption(t("card.kept"))
        elif not seen and offered:
            st.caption(t("card.check_first"))
        if st.form_submit_button(t("card.save"), type="primary", key=f"{key}:save"):
            st.session_state[f"{key}:kept"] = typed
            with writing(key):
                write_card(deck().desk, model, field, typed, seen=seen)
            del st.session_state[f"{key}:kept"]
            said("card.saved", field=title(field))


def _input(field: str, key: str, start: str) -> str:
    if field != REVIEW_DATE:
        if key not in st.session_state:
            st.session_state[key] = start
        return st.text_area(title(field), height=140, max_chars=LONGEST, key=key) or ""
    if key not in st.session_state:
        try:
            st.session_state[key] = date.fromisoformat(start) if start else None
        except ValueError:  # somebody wrote the tag by hand
            st.session_state[key] = None
    st.date_input(title(field), key=key, format="YYYY-MM-DD")
    day: date | None = st.session_state[key]
    return "" if day is None else day.isoformat()
