"""One metric in many shapes: ranked, sliced, boxed, averaged, as a surface, as a Pareto front."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from core.charts.field import contour, pareto
from core.charts.groups import bars, boxes
from core.charts.ranks import MOST_PANELS, rank, slices
from core.charts.scales import read
from core.runs.pareto import front
from core.runs.query import choose
from core.texts import t
from core.ui import parts
from core.ui.compare.axes import by_values, direction, figure, numeric, pick, pick_or_none
from core.ui.compare.selection import actions
from core.ui.compare.shared import Compared, frame, lower_is_better, options, remembered, telling
from core.ui.markup import safe

FIRST_PANELS = 6


@st.fragment
def draw(compared: Compared) -> None:
    """Draw the shape that is chosen."""
    offered = options(compared)
    metrics = [c for c in offered if c.startswith("metrics.")]
    if not metrics:
        parts.empty(t("run.no_metrics"), "show_chart")
        return
    names = {t(f"compare.shapes.{shape}"): shape for shape in SHAPES}
    chosen = st.segmented_control(
        t("compare.shapes.label"),
        list(names),
        default=next(iter(names)),
        key="shape",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    SHAPES[names[chosen]](compared, offered, metrics)


def _rank(compared: Compared, offered: list[str], metrics: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = pick(t("compare.metric"), metrics, "metric", telling(metrics))
        lower = direction(compared, metric, "rank_better")
        colour = pick_or_none(t("compare.colour"), offered, "rank_colour")
        log = st.toggle(t("compare.log"), key="rank_log", bind="query-params")
    table = compared.table([metric, *([colour] if colour else [])])
    tint = lower_is_better(compared, colour)
    made = remembered(
        table,
        ("rank", metric, lower, colour, log, tint),
        lambda: rank(frame(table), metric, colour, lower=lower, log=log, colour_lower=tint),
    )
    figure(compared, table, made, "rank", t("compare.shapes.rank_alt", name=safe(metric)))


def _slice(compared: Compared, offered: list[str], metrics: list[str]) -> None:
    params = [c for c in offered if c.startswith("params.")]
    varying = [c for c in choose(compared.names, 10_000).shown if c in params]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = pick(t("compare.metric"), metrics, "metric", telling(metrics))
        colour = pick_or_none(t("compare.colour"), offered, "slice_colour")
        log = st.toggle(t("compare.log"), key="slice_log", bind="query-params")
    chosen = st.multiselect(
        t("compare.shapes.params"),
        params,
        default=(varying or params)[:FIRST_PANELS],
        key="slices",
        bind="query-params",
        max_selections=MOST_PANELS,
    )
    if not chosen:
        parts.empty(t("compare.shapes.no_params"), "view_column")
        return
    table = compared.table([metric, *chosen, *([colour] if colour else [])])
    tint = lower_is_better(compared, colour)
    made = remembered(
        table,
        ("slice", metric, tuple(chosen), colour, log, tint),
        lambda: slices(frame(table), chosen, metric, colour, log=log, lower=tint),
    )
    figure(compared, table, made, "slice", t("compare.shapes.slice_alt", name=safe(metric)))


def _box(compared: Compared, offered: list[str], metrics: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = pick(t("compare.metric"), metrics, "metric", telling(metrics))
        by = pick(t("compare.shapes.by"), _groups(offered, metric), "by")
        log = st.toggle(t("compare.log"), key="box_log", bind="query-params")
    table = compared.table([metric, by])
    made = remembered(
        table,
        ("box", metric, by, log),
        lambda: boxes(frame(table), by, metric, log_y=log),
    )
    figure(compared, table, made, "box", t("compare.shapes.box_alt", name=safe(metric)))


def _bar(compared: Compared, offered: list[str], metrics: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = pick(t("compare.metric"), metrics, "metric", telling(metrics))
        by = pick(t("compare.shapes.by"), _groups(offered, metric), "by")
    table = compared.table([metric, by])
    made, notes = remembered(table, ("bar", metric, by), lambda: bars(frame(table), by, metric))
    st.plotly_chart(made, alt=t("compare.shapes.bar_alt", name=safe(metric)), key="bar")
    st.caption(safe(notes.text))


def _groups(offered: list[str], metric: str) -> list[str]:
    """What a metric can be grouped by, params first."""
    others = [c for c in offered if c != metric]
    return sorted(others, key=lambda c: not c.startswith("params."))


def _contour(compared: Compared, offered: list[str], metrics: list[str]) -> None:
    numbers = numeric(compared, [c for c in offered if not c.startswith("metrics.")])
    if len(numbers) < 2:
        parts.empty(t("compare.shapes.no_surface"), "landscape")
        return
    first = by_values(compared, numbers)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = pick(t("compare.metric"), metrics, "metric", telling(metrics))
        x = pick(t("compare.scatter.x"), numbers, "contour_x", first[0])
        y = pick(t("compare.scatter.y"), numbers, "contour_y", first[1])
    table = compared.table([metric, x, y])
    lower = lower_is_better(compared, metric)
    made, notes = remembered(
        table,
        ("contour", metric, x, y, lower),
        lambda: contour(frame(table), x, y, metric, lower=lower),
    )
    if not notes.drawn:
        st.info(safe(notes.text), icon=":material/landscape:")
        return
    st.plotly_chart(made, alt=t("compare.shapes.contour_alt", name=safe(metric)), key="contour")
    st.caption(safe(notes.text))


def _pareto(compared: Compared, offered: list[str], metrics: list[str]) -> None:  # noqa: ARG001
    if len(metrics) < 2:
        parts.empty(t("compare.shapes.two_metrics"), "show_chart")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = telling(metrics)
        x = pick(t("compare.scatter.x"), metrics, "front_x", next(m for m in metrics if m != first))
        lower_x = direction(compared, x, "front_x_better")
        y = pick(t("compare.scatter.y"), metrics, "front_y", first)
        lower_y = direction(compared, y, "front_y_better")
    with st.container(horizontal=True):
        log_x = st.toggle(t("compare.scatter.log_x"), key="log_x", bind="query-params")
        log_y = st.toggle(t("compare.scatter.log_y"), key="log_y", bind="query-params")
    table = compared.table([x, y])
    rows = frame(table)
    none = np.full(len(rows), np.nan)
    numbers = [read(rows[column]).numbers for column in (x, y)]
    a, b = (none if values is None else values for values in numbers)
    on_front = front(a, b, lower_first=lower_x, lower_second=lower_y)
    made = remembered(
        table,
        ("pareto", x, lower_x, y, lower_y, log_x, log_y),
        lambda: pareto(
            rows, x, y, on_front, lower_x=lower_x, lower_y=lower_y, log_x=log_x, log_y=log_y
        ),
    )
    best = [run for run, there in zip(table.ids, on_front.tolist(), strict=True) if there]
    if best:
        actions(compared, table, best, "front", said=t("compare.shapes.front", n=len(best)))
    figure(compared, table, made, "pareto", t("compare.scatter.alt", x=safe(x), y=safe(y)))


SHAPES: dict[str, Callable[[Compared, list[str], list[str]], None]] = {
    "rank": _rank,
    "slice": _slice,
    "box": _box,
    "bar": _bar,
    "contour": _contour,
    "pareto": _pareto,
}
