"""Runs as dots: one column against another, with a trend."""

from typing import Any

import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.dots import MANY, Side, dots, reasons, side, spread
from core.charts.labels import column_labels, markup
from core.charts.look import figure, legend_below
from core.charts.notes import Notes, naming, notes
from core.charts.paint import colour_sentences
from core.charts.scales import Mask, read
from core.charts.trend import FEWEST, Kind, trend
from core.texts import t

_NAME = 60
_HEIGHT = 560
_TREND = "#D6336C"
"""Seen over every colour of the scale, on white and on black."""


def scatter(
    runs: DataFrame,
    x: str,
    y: str,
    colour: str | None = None,
    log_x: bool = False,
    log_y: bool = False,
    *,
    size: str | None = None,
    line: Kind | None = None,
    lower: bool | None = None,
) -> tuple[go.Figure, Notes]:
    """One dot a run. A run without a place on an axis is left out and counted.

    A dot's ``customdata`` is the position of its run in ``runs``, so that a selection can be
    resolved.

    Args:
        runs: one row a run: ``run_name`` and the columns named.
        x: the column along the bottom.
        y: the column upwards.
        colour: the column that colours the dots.
        log_x: draw ``x`` on a log axis; what is not above zero is left out and counted.
        log_y: the same for ``y``.
        size: the column of numbers that gives a dot its area.
        line: the trend to draw.
        lower: whether low values of ``colour`` are the better ones, which lie on top.

    Returns:
        The figure, and what it drew, counted in runs.
    """
    if runs.empty:
        return figure([], 200), notes(0, 0, [t("charts.notes.runs_none")])
    columns = [x, y, *([colour] if colour else []), *([size] if size else [])]
    names = column_labels(list(dict.fromkeys(columns)))
    across = side(runs, x, names[x], log=log_x)
    up = side(runs, y, names[y], log=log_y)
    keep = across.there & up.there
    drawn = int(keep.sum())
    made = dots(runs, colour, size, lower=lower, said=[s.column for s in (across, up) if s.words])
    says = [
        t("charts.hover.value", name=markup(one.name, _NAME), value=f"%{{{way}:.6~g}}")
        for one, way in ((across, "x"), (up, "y"))
        if not one.words
    ]
    at_x, at_y = spread(across.at, words=across.words), spread(up.at, words=up.words)
    traces = made.traces(at_x, at_y, keep, says)
    said = [t("charts.notes.runs", n=len(runs), drawn=drawn), *reasons(across, up)]
    if line:
        traces += _trend(across, up, keep, line, said)
    if made.painted and colour:
        said += colour_sentences(made.painted, names[colour])
    if size:
        numbers = read(runs[size]).numbers
        without = len(runs) if numbers is None else int(read(runs[size]).missing.sum())
        said.append(naming("size_missing", "named", {names[size]: without}))
    if across.words or up.words:
        said.append(t("charts.notes.spread"))
    grouped = bool(made.painted and made.painted.groups)
    shown = figure(
        traces,
        _HEIGHT,
        f"{x} {log_x} {y} {log_y}",
        xaxis=across.layout,
        yaxis=up.layout,
        margin={"l": 8, "r": 16, "t": 76 if made.painted and not grouped else 32, "b": 8},
        showlegend=bool(made.painted) or bool(line),
        legend=legend_below(title={"text": markup(names[colour]) if grouped and colour else ""}),
        dragmode="select",
    )
    return shown, notes(drawn, len(runs), said)


def _trend(across: Side, up: Side, keep: Mask, kind: Kind, said: list[str]) -> list[Any]:
    """The line, and what is said of it."""
    if across.words or up.words:
        said.append(t("charts.notes.trend_words"))
        return []
    found = trend(across.at[keep], up.at[keep], kind, log_x=across.log, log_y=up.log)
    if found is None:
        said.append(t("charts.notes.trend_few", n=FEWEST[kind]))
        return []
    fit = f"{found.fit:.3f}"
    said.append(t(f"charts.notes.trend_{kind}", n=found.n, fit=fit))
    return [
        (go.Scattergl if found.n > MANY else go.Scatter)(
            x=found.x,
            y=found.y,
            mode="lines",
            line={"color": _TREND, "width": 3},
            name=t("charts.label.trend", fit=fit, n=found.n),
            hoverinfo="skip",
            showlegend=True,
        )
    ]
