"""How a model came to where it is, in tabs of which only the open one is read."""

from collections.abc import Callable

import streamlit as st

from core.mlflow_api.nouns import ModelVersion
from core.texts import t
from core.ui import parts
from core.ui.model import card, chart, held, history, lineage
from core.ui.model.look import Look
from core.ui.model.measured import Measured, measure


def draw(found: Look, chosen: ModelVersion | None, measured: Measured | None) -> None:
    """A metric over the versions, who stood where, lineage, the model card, and the changes.

    Args:
        chosen: the version that is chosen; None where there are none.
        measured: the versions of the table.
    """
    dossier = found.dossier
    tabs: dict[str, Callable[[], None]] = {
        "chart": lambda: chart.draw(dossier, measured or measure(())),
        "held": lambda: held.draw(dossier),
        "lineage": lambda: _lineage(chosen),
        "card": lambda: card.draw(dossier.model, chosen),
        "history": lambda: history.draw(dossier),
    }
    drawn = st.tabs([t(f"model.tab.{name}") for name in tabs], key="model_tabs", on_change="rerun")
    for tab, draw_it in zip(drawn, tabs.values(), strict=True):
        if tab.open:
            with tab:
                draw_it()


def _lineage(chosen: ModelVersion | None) -> None:
    if chosen is None:
        parts.empty(t("model.no_versions"), "account_tree")
    else:
        lineage.draw(chosen)
