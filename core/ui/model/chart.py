"""A metric over the versions of a model."""

import pandas as pd
import streamlit as st

from core import charts, formats
from core.registry.catalogue import Dossier
from core.texts import t
from core.ui import parts, runs
from core.ui.markup import safe
from core.ui.model.measured import Measured, measure

MOST = 300
"""Versions that are drawn at first; all of them are drawn on demand."""


def draw(dossier: Dossier, measured: Measured) -> None:
    """A metric that is chosen, over the newest versions or all.

    Args:
        measured: the versions of the table, which tell what metrics there are.
    """
    names = [runs.label(n) for n in measured.metrics()]
    if not names:
        parts.empty(t("model.no_metrics"), "show_chart")
        return
    everything = False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            t("model.metric"), names, key="metric", bind="query-params", width=320
        )
        if len(dossier.versions) > MOST:
            everything = st.toggle(
                t("model.draw_all", n=formats.count(len(dossier.versions))), key="draw_all"
            )
    drawn = dossier.versions if everything else dossier.versions[:MOST]
    column = f"metrics.{chosen}"
    frame = pd.DataFrame(
        {
            "version": [v.version for v in drawn],
            "value": measure(drawn, (column,)).column(column),
            "stage": [dossier.standing(v).name for v in drawn],
            "aliases": [v.aliases for v in drawn],
        }
    )
    figure, notes = charts.metric_over_versions(frame, str(chosen))
    st.plotly_chart(figure, key="metric_over_versions")
    st.caption(safe(notes.text))
    if measured.of_runs:
        st.caption(t("model.of_runs"))
    if len(drawn) < len(dossier.versions):
        st.caption(t("model.drawn_newest", n=len(drawn)))
