"""Which runs the link names, and links to other ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from core.errors import InvalidInput
from core.runs import views
from core.runs.query import RunQuery
from core.runs.views import View
from core.texts import t
from core.ui import runs
from core.ui.compare.shared import MOST_IN_LINK, Compared
from core.ui.deck import deck, read
from core.ui.navigation import asked, asked_all

MOST_NAMED = 500
"""Runs that a link from elsewhere may name one by one."""

_LINKED = ("runs", "saved", "experiment", "q", "brush")
"""What a link names runs by; marks go with the runs that they were made among."""

Link = dict[str, str | list[str]]


def question() -> RunQuery | None:
    """What the link asks for: runs one by one, a saved view, or all that match a filter.

    Raises:
        InvalidInput: it names a view, and not where that lies.
        NotFound: there is no such view.
    """
    ids = named()
    experiments = tuple(dict.fromkeys(asked_all("experiment")))
    view = asked("saved")
    if ids:
        return RunQuery(run_ids=tuple(ids[:MOST_NAMED]), columns=())
    if view and not experiments:
        raise InvalidInput(t("compare.view_without"), t("compare.view_next"), field="experiment")
    if view:
        found = read("view", lambda: views.load(deck().mlflow, experiments[0], view), view)
        return replace(found.query(), columns=(), nesting="flat", limit=None)
    if experiments:
        return RunQuery(experiments, asked("q"), limit=None, columns=())
    return None


def named() -> list[str]:
    """The runs that the link names one by one, each once."""
    return list(dict.fromkeys(asked_all("runs")))


def point_to(link: Mapping[str, str | list[str]]) -> None:
    """Let the link name its runs in another way, and keep all else in it."""
    for name in _LINKED:
        st.query_params.pop(name, None)
    for name, value in link.items():
        st.query_params[name] = value


def link_to(
    ids: Sequence[str],
    experiments: Iterable[str],
    compared: Compared | None = None,
    condition: str | None = None,
) -> Link:
    """A link to just these runs; where it cannot name them, a saved view is made now.

    Args:
        experiments: where the runs lie.
        compared: the runs that ``condition`` chooses from.
        condition: the filter that finds just these among them.
    """
    if not ids:
        return {}
    if len(ids) <= MOST_IN_LINK:
        return {"runs": ",".join(ids)}
    if condition is not None and compared is not None and not compared.asked.run_ids:
        return {"experiment": list(compared.asked.experiment_ids), "q": condition}
    return view_of(ids, experiments)


def view_of(ids: Sequence[str], experiments: Iterable[str]) -> Link:
    """A link to a saved view of these runs, made now."""
    here = deck()
    name = t("compare.view_name", n=len(ids), at=f"{datetime.now(UTC):%Y-%m-%d %H:%M}")
    view = View(name, tuple(dict.fromkeys(experiments)), run_ids=tuple(ids))
    saved = views.save(here.mlflow, view, here.actor.name)
    runs.refresh()
    return {"experiment": saved.experiment_ids[0], "saved": saved.id}
