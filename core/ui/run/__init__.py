"""One run: its head, and the sections that a person opens."""

from collections.abc import Callable

import streamlit as st

from core.errors import NotFound
from core.mlflow_api.nouns import Run
from core.runs.histories import ENDED
from core.texts import t
from core.ui import artifacts, curves, parts, runs
from core.ui.run import inputs, models, overview, related, tags
from core.ui.run.head import head

__all__ = ["SECTIONS", "found", "head", "sections"]

_DRAW: dict[str, Callable[[Run], None]] = {
    "overview": overview.draw,
    "curves": curves.of_run,
    "system": curves.system,
    "artifacts": artifacts.draw,
    "models": models.draw,
    "inputs": inputs.draw,
    "tags": tags.draw,
    "related": related.draw,
}
SECTIONS = tuple(_DRAW)
"""The sections in their order; each has its part of the texts and of the address."""


def found(run_id: str) -> Run:
    """The run that the link names.

    Raises:
        NotFound: the link names none, or one that does not exist.
    """
    if not run_id:
        raise NotFound(t("run.none"), t("run.none_next"))
    return runs.run(run_id)


def sections(run: Run) -> None:
    """The section that is open; the others cost nothing."""
    labels = [t(f"run.section.{name}") for name in SECTIONS]
    for name, tab in zip(
        SECTIONS, st.tabs(labels, key="section", bind="query-params"), strict=True
    ):
        if tab.open:
            with tab:
                _DRAW[name](run)
    if run.status not in ENDED:
        _watch(run)


def _watch(run: Run) -> None:
    """Draw the page anew once the run has ended."""

    @parts.live(overview.LIVE_SECONDS)
    def look() -> None:
        if runs.run(run.id).status != run.status:
            parts.again()

    look()
