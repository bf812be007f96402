"""Parallel coordinates of the runs."""

import streamlit as st

from core import charts
from core.runs import query as runs_query
from core.texts import t
from core.ui import runs
from core.ui.compare.shared import NONE, Compared, frame, options
from core.ui.markup import safe

FIRST_DIMENSIONS = 8


def draw(compared: Compared) -> None:
    """Draw the figure, with its choice of dimensions and colour."""
    table = compared.table()
    offered = options(table)
    choice = runs_query.choose(table, FIRST_DIMENSIONS)
    # What was set by hand comes before what came out: read from left to right.
    first = sorted(choice.shown, key=lambda c: c.startswith("metrics."))
    metrics = [c for c in first if c.startswith("metrics.")]
    dimensions = st.multiselect(
        t("compare.parallel.dimensions"),
        offered,
        key="dimensions",
        bind="query-params",
        placeholder=t("compare.parallel.automatic", names=", ".join(map(runs.label, first))),
    )
    colours = [t("compare.automatic"), NONE, *offered]
    colour = st.selectbox(
        t("compare.colour"), colours, key="colour", bind="query-params", width=320
    )
    painted = metrics[0] if colour == colours[0] and metrics else colour
    figure, notes = charts.parallel_coordinates(
        frame(table), dimensions or first, painted if painted in offered else None
    )
    st.plotly_chart(figure, alt=t("compare.parallel.alt"), key="parallel")
    st.caption(safe(notes.text))
