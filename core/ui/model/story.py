"""How a model came to where it is, in tabs of which only the open one is read."""

import streamlit as st

from core.texts import t
from core.ui.model import chart, history
from core.ui.model.look import Look
from core.ui.model.measured import Measured, measure


def draw(found: Look, measured: Measured | None) -> None:
    """A metric over the versions, and the changes.

    Args:
        measured: the versions of the table; None where there are none.
    """
    metric, changes = st.tabs(
        [t("model.tab.chart"), t("model.tab.history")], key="model_tabs", on_change="rerun"
    )
    if metric.open:
        with metric:
            chart.draw(found.dossier, measured or measure(()))
    if changes.open:
        with changes:
            history.draw(found.dossier)
