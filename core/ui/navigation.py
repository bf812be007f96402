"""All pages, by name: their address, title and place; and the ways to get to one."""

from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from core.processes import ROOT
from core.texts import t


@dataclass(frozen=True)
class Place:
    """A page: its script ``pages/<name>.py``, its section and its Material icon."""

    name: str
    section: str
    icon: str
    hidden: bool = False
    """Reached from another page or by its link, not from the menu."""


PLACES = (
    Place("home", "", "dashboard"),
    Place("experiments", "track", "science"),
    Place("compare", "track", "stacked_line_chart"),
    Place("run", "track", "play_circle", hidden=True),
    Place("models", "registry", "deployed_code"),
    Place("model", "registry", "deployed_code_history", hidden=True),
    Place("approvals", "registry", "approval"),
    Place("evidence", "registry", "balance", hidden=True),
    Place("ledger", "registry", "history_edu"),
    Place("retirement", "registry", "recycling"),
    Place("permissions", "registry", "key"),
    Place("migration", "registry", "move_down", hidden=True),
    Place("training", "train", "model_training"),
    Place("endpoints", "serve", "cell_tower"),
    Place("predict", "serve", "online_prediction"),
    Place("processes", "system", "memory"),
    Place("webhooks", "system", "webhook"),
    Place("welcome", "system", "waving_hand"),
)


def pages() -> dict[str, list[st.Page]]:
    """Section title → its pages, for ``st.navigation``."""
    sections: dict[str, list[st.Page]] = {}
    for place in PLACES:
        title = t(f"nav.section.{place.section}") if place.section else ""
        sections.setdefault(title, []).append(page(place.name))
    return sections


def page(name: str) -> st.Page:
    """One page by its name."""
    place = next(p for p in PLACES if p.name == name)
    return st.Page(
        ROOT / "pages" / f"{name}.py",
        title=t(f"nav.title.{name}"),
        icon=f":material/{place.icon}:",
        url_path=name,
        default=name == "home",
        visibility="hidden" if place.hidden else "visible",
        help=t(f"nav.help.{name}"),
    )


def go(name: str, **query: str | list[str]) -> NoReturn:
    """Leave this page for another, with its query."""
    st.switch_page(page(name), query_params=query)


def link(name: str, label: str, *, icon: str | None = None, **query: str | list[str]) -> None:
    """A link to another page; ``label`` is Markdown: outside text in it goes through ``safe``."""
    st.page_link(page(name), label=label, icon=icon, query_params=query)


def asked(name: str) -> str:
    """One value from this page's address, "" where it is missing."""
    return str(st.query_params.get(name, ""))


def asked_all(name: str) -> list[str]:
    """All values of one name from this page's address, also those joined by commas."""
    return [v for part in st.query_params.get_all(name) for v in part.split(",") if v]
