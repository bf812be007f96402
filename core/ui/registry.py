"""The list of registered models, and what the registry's pages share."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.lifecycle.launch import create_model
from core.registry import catalogue
from core.registry.catalogue import Summary
from core.registry.ladder import Ladder
from core.texts import t
from core.ui import parts, runs
from core.ui.deck import deck, forget, read
from core.ui.markup import md, visible
from core.ui.navigation import go

KEY = "models"
_BETWEEN = ("orange", "blue", "violet", "yellow")
"""Colours of the rungs below the highest, which is green, from the top down."""


def ladder() -> Ladder:
    """The ladder that holds."""
    return deck().rules.ladder


def top() -> str:
    """The rung that versions climb to: the highest that is for one version."""
    return ladder().top.name


def rung_colour(name: str, on: Ladder | None = None) -> str:
    """The colour of a rung's chip: green at the top, grey where a version is no candidate."""
    on = on or ladder()
    if name == on.top.name:
        return "green"
    between = [rung.name for rung in reversed(on.rungs[1:]) if rung != on.top]
    between = [other for other in between if other != on.retired]
    return _BETWEEN[between.index(name) % len(_BETWEEN)] if name in between else "grey"


def rung_column(label: str, on: Ladder | None = None) -> Any:
    """A table's column of rungs, as chips. Cells are lists of names."""
    names = [rung.name for rung in (on or ladder()).rungs]
    return st.column_config.MultiselectColumn(
        label, options=names, color=[rung_colour(name, on) for name in names]
    )


def numbers(versions: Sequence[int]) -> str:
    """``v5, v3`` for a cell; "–" for none."""
    return ", ".join(t("models.v", version=n) for n in versions) or t("models.nobody")


def create() -> None:
    """The form that makes a registered model; drawn before anything is read."""
    with st.popover(t("models.new.label"), icon=":material/add:"):
        with st.form("model_new", border=False):
            name = st.text_input(t("models.new.name"), key="model_new_name", max_chars=256)
            about = st.text_area(t("models.new.description"), key="model_new_about", height=100)
            if st.form_submit_button(t("models.new.create"), type="primary", key="model_new_do"):
                create_model(deck(), name.strip(), about.strip())
                forget()
                parts.done(md("models.new.done", name=name.strip()))
                go("model", model=name.strip())
        st.caption(t("models.new.help"))


def controls() -> tuple[str, bool]:
    """What to search for, and whether only models without a Production version are wanted."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            t("models.search"), key="q", bind="query-params", type="search", width=360,
            placeholder=t("models.search_place"), label_visibility="collapsed",
        )  # fmt: skip
        views = [t("models.view.all"), t("models.view.without", rung=top())]
        view = st.segmented_control(
            t("models.view.label"), views, default=views[0], required=True, key="view",
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        create()
    return words or "", view == views[1]


def listed() -> list[Summary]:
    """All registered models, remembered for some seconds."""
    here = deck()
    rules = here.rules
    return read(
        "model summaries", lambda: catalogue.summaries(here.mlflow, rules.ladder), rules.digest
    )


def draw(words: str, *, without: bool) -> None:
    """The table of models, or why there is none."""
    with st.spinner(t("models.loading"), show_time=True):
        known = listed()
    found = catalogue.matching(known, words, without=top() if without else "")
    if not known:
        parts.empty(t("models.none"), "deployed_code")
    elif not found:
        parts.empty(t("models.no_match" if words else "models.all_held", rung=top()), "search_off")
    else:
        opened = _table(found)
        st.caption(_said(known, found))
        if opened:
            go("model", model=opened)


def _said(known: Sequence[Summary], found: Sequence[Summary]) -> str:
    bare = sum(not s.held.get(top()) for s in known)
    said = [t("models.shown", n=len(known), shown=len(found))]
    if bare:
        said.append(t("models.bare", n=bare, rung=top()))
    return " ".join(said)


def _table(found: Sequence[Summary]) -> str | None:
    names = [s.name for s in found]
    rungs = [rung.name for rung in reversed(ladder().rungs) if rung.exclusive]
    made = pd.DataFrame(
        {
            "open": [t("models.open")] * len(found),
            "name": [visible(name) for name in names],
            **{rung: [numbers(s.held[rung]) for s in found] for rung in rungs},
            "aliases": [_aliases(s.model.aliases) for s in found],
            "versions": [s.versions for s in found],
            "changed": runs.instants([s.changed_at for s in found]),
            "description": [visible(s.model.description) for s in found],
        }
    )
    column = st.column_config
    key = f"{KEY}_{runs.fingerprint(names)}"
    st.dataframe(
        made, hide_index=True, key=key, placeholder="", alt=t("models.alt"),
        column_config={
            "open": column.ButtonColumn("", type="tertiary", key=f"{KEY}_open", width=70,
                                        pinned=True),
            "name": column.TextColumn(t("models.column.name"), width="medium", pinned=True),
            "versions": column.NumberColumn(t("models.column.versions"), format="localized"),
            "aliases": column.ListColumn(t("models.column.aliases")),
            "description": column.TextColumn(t("models.column.description")),
            "changed": column.DatetimeColumn(t("models.column.changed"), format="distance"),
        },
    )  # fmt: skip
    return runs.clicked(KEY, names)


def _aliases(aliases: Mapping[str, int]) -> list[str]:
    ordered = sorted(aliases.items(), key=lambda item: (-item[1], item[0]))
    return [t("models.alias", alias=alias, version=number) for alias, number in ordered]
