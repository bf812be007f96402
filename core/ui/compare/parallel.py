"""Parallel coordinates of the runs: axes, colours, the best of them, and a brush on each axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote, unquote

import streamlit as st

from core import charts
from core.charts.look import GREY
from core.charts.parallel import Brush, Lines, Top
from core.texts import t
from core.ui import runs
from core.ui.compare.brushing import condition
from core.ui.compare.selection import actions
from core.ui.compare.shared import (
    NONE,
    Compared,
    automatic,
    frame,
    lower_is_better,
    options,
    remembered,
    telling,
)
from core.ui.markup import safe
from core.ui.navigation import asked_all, go

FIRST_DIMENSIONS = 8
SHARES = (1, 5, 10, 25)
"""Per cent of the runs that can be drawn in front of the others."""

_HERE = Path(__file__).parent
_KEY = "parallel"

_figure = st.components.v2.component(
    "modeldeck_parallel",
    html='<div class="parallel"></div>\n<!-- the script makes its content -->',
    css=(_HERE / "parallel.css").read_text(encoding="utf-8"),
    js=(_HERE / "parallel.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Wanted:
    """What the figure shows, as chosen on the page."""

    dimensions: tuple[str, ...]
    colour: str | None
    lower: bool | None
    """Whether low values of ``colour`` are better."""
    log: tuple[tuple[str, bool], ...]
    top: Top | None


@st.fragment
def draw(compared: Compared) -> None:
    """Draw the figure with its choices, and what can be done with the runs that are marked."""
    wanted, only = _choose(compared)
    ranked = [wanted.top.column] if wanted.top else []
    coloured = [wanted.colour] if wanted.colour else []
    table = compared.table([*wanted.dimensions, *coloured, *ranked])
    lines, notes = remembered(
        table,
        (wanted, only),
        lambda: charts.parallel_coordinates(
            frame(table),
            wanted.dimensions,
            wanted.colour,
            log=dict(wanted.log),
            top=wanted.top,
            lower=wanted.lower,
            only=only,
        ),
    )
    marks = [m for m in _marks() if lines.axis(m.column)]
    chosen = _figure(
        key=_KEY,
        data=_sent(lines, marks),
        on_brush_change=lambda: _remember(lines),
        on_run_change=lambda: None,
    )
    run = chosen["run"]
    if isinstance(run, int) and 0 <= run < len(lines.order):
        go("run", run=table.ids[lines.order[run]])
    if marks or wanted.top:
        inside = lines.selected(marks)
        ids = [run for run, there in zip(table.ids, inside.tolist(), strict=True) if there]
        found = None if wanted.top else condition(compared.asked.filter, lines, marks)
        actions(compared, table, ids, _KEY, found)
    st.caption(safe(notes.text))


def _choose(compared: Compared) -> tuple[Wanted, bool]:
    """What is to be drawn, and whether only the best are."""
    offered = options(compared)
    metrics = [c for c in offered if c.startswith("metrics.")]
    first = automatic(compared, FIRST_DIMENSIONS)
    auto, every = t("compare.automatic"), t("compare.parallel.every")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dimensions = st.multiselect(
            t("compare.parallel.dimensions"),
            offered,
            key="dimensions",
            bind="query-params",
            placeholder=t("compare.parallel.automatic", names=", ".join(map(runs.label, first))),
            width=430,
        )
        shown = dimensions or first
        colour = st.selectbox(
            t("compare.colour"),
            [auto, NONE, *offered],
            key="colour",
            bind="query-params",
            width=200,
        )
        shares = {t("compare.parallel.share", n=n): n for n in SHARES}
        share = st.selectbox(
            t("compare.parallel.top"),
            [every, *shares],
            key="top",
            bind="query-params",
            width=140,
        )
        with st.popover(t("compare.parallel.more"), icon=":material/tune:", width="content"):
            by = st.selectbox(
                t("compare.parallel.by"), [auto, *metrics], key="top_by", bind="query-params"
            )
            ways = {t("compare.lower"): True, t("compare.higher"): False}
            way = st.selectbox(
                t("compare.better"), [auto, *ways], key="better", bind="query-params"
            )
            only = st.toggle(t("compare.parallel.only"), key="only", bind="query-params")
            log = st.multiselect(t("compare.parallel.log"), shown, key="log", bind="query-params")
            linear = st.multiselect(
                t("compare.parallel.linear"), shown, key="linear", bind="query-params"
            )
    painted = _painted(colour, shown, metrics, offered)
    ranked = by if by in metrics else painted if painted in metrics else telling(metrics)
    lower = ways.get(way, lower_is_better(compared, painted))
    top = None
    if share in shares and ranked:
        top = Top(ranked, shares[share], ways.get(way, lower_is_better(compared, ranked) or False))
    logs = tuple((c, c in log) for c in shown if c in log or c in linear)
    return Wanted(tuple(shown), painted, lower, logs, top), only and top is not None


def _painted(
    colour: str, shown: Sequence[str], metrics: Sequence[str], offered: Sequence[str]
) -> str | None:
    """The column that colours: the one chosen, else the metric on an axis that says most."""
    if colour in offered:
        return colour
    return None if colour == NONE else telling([c for c in shown if c in metrics])


def _sent(lines: Lines, marks: Sequence[Brush]) -> bytes:
    """What goes to the browser: the same bytes for the same figure, which then are not sent again.

    So the marks in it are those that the figure begins with; after that the browser knows them.
    """
    held = st.session_state.get("_parallel_sent")
    if held is not None and held[0] is lines:
        sent: bytes = held[1]
        return sent
    begins = [
        [at, *ends]
        for mark in marks
        for at, axis in enumerate(lines.axes)
        if axis.column == mark.column and (ends := mark.heights(axis)) is not None
    ]
    texts = {
        name: t(f"compare.parallel.{name}")
        for name in ("alt", "clear", "hint", "log_axis", "marked", "no_value", "no_webgl")
    }
    sent = lines.payload(stamp=token_hex(8), brushes=begins, grey=GREY, texts=texts)
    st.session_state["_parallel_sent"] = (lines, sent)
    return sent


def _remember(lines: Lines) -> None:
    """What was marked in the browser goes into the link."""
    said = st.session_state[_KEY].get("brush") or []
    found = [
        Brush.of(lines.axes[at], float(low), float(high))
        for at, low, high in said
        if 0 <= at < len(lines.axes)
    ]
    pieces = ["|".join(quote(part, safe="") for part in (m.column, m.low, m.high)) for m in found]
    if pieces:
        st.query_params["brush"] = pieces
    else:
        st.query_params.pop("brush", None)


def _marks() -> list[Brush]:
    """The marks that the link holds; what is none is passed over."""
    split = [[unquote(part) for part in piece.split("|")] for piece in asked_all("brush")]
    return [Brush(*parts) for parts in split if len(parts) == 3]
