"""Two columns of the runs against each other, with colour, size and a trend."""

import streamlit as st

from core import charts
from core.charts.trend import Kind
from core.texts import t
from core.ui.compare.axes import by_values, figure, numeric, pick, pick_or_none
from core.ui.compare.shared import Compared, frame, lower_is_better, options, remembered, telling
from core.ui.markup import safe

TRENDS: tuple[Kind | None, ...] = (None, "linear", "smooth")


@st.fragment
def draw(compared: Compared) -> None:
    """Draw the figure, with its choices and what can be done with the dots marked in it."""
    offered = options(compared)
    numbers = numeric(compared, offered)
    metrics = [c for c in offered if c.startswith("metrics.")]
    params = [c for c in offered if c.startswith("params.")]
    first_x = (by_values(compared, [c for c in params if c in numbers]) + params + offered)[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = pick(t("compare.scatter.x"), offered, "x", first_x)
        y = pick(t("compare.scatter.y"), offered, "y", telling(metrics) or offered[0])
        colour = pick_or_none(t("compare.colour"), offered, "scatter_colour")
        size = pick_or_none(t("compare.scatter.size"), numbers, "size")
    with st.container(horizontal=True, vertical_alignment="center"):
        log_x = st.toggle(t("compare.scatter.log_x"), key="log_x", bind="query-params")
        log_y = st.toggle(t("compare.scatter.log_y"), key="log_y", bind="query-params")
        trends = {t(f"compare.scatter.trend.{kind or 'none'}"): kind for kind in TRENDS}
        line = st.segmented_control(
            t("compare.scatter.trend.label"),
            list(trends),
            default=next(iter(trends)),
            key="trend",
            bind="query-params",
            required=True,
            label_visibility="collapsed",
        )
    kind = trends[line]
    table = compared.table([x, y, *([colour] if colour else []), *([size] if size else [])])
    lower = lower_is_better(compared, colour)
    made = remembered(
        table,
        ("scatter", x, y, colour, size, log_x, log_y, kind, lower),
        lambda: charts.scatter(
            frame(table), x, y, colour, log_x, log_y, size=size, line=kind, lower=lower
        ),
    )
    figure(compared, table, made, "scatter", t("compare.scatter.alt", x=safe(x), y=safe(y)))
