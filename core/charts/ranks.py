"""Runs by one metric: put in order, and over each param in a panel of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.dots import MANY, Dots, Side, dots, reasons, side, spread
from core.charts.labels import column_labels, markup, run_labels
from core.charts.look import axis, figure, legend_below
from core.charts.notes import Notes, notes
from core.charts.paint import colour_sentences
from core.charts.scales import spans_decades
from core.texts import t

MOST_PANELS = 12
_LABELLED = 40
"""So many runs are written out by name."""
_NAME = 60
_HEIGHT = 520
_PANEL = 230
_MEDIAN = "#D6336C"


def rank(
    runs: DataFrame,
    metric: str,
    colour: str | None = None,
    *,
    lower: bool,
    log: bool = False,
    colour_lower: bool | None = None,
) -> tuple[go.Figure, Notes]:
    """Every run in its place by a metric, the best one first.

    Args:
        runs: one row a run: ``run_id``, ``run_name`` and the columns named.
        metric: a column of numbers.
        colour: the column that colours the dots.
        lower: whether lower values are better.
        log: draw the metric on a log axis.
        colour_lower: whether low values of ``colour`` are the better ones.
    """
    names = column_labels(list(dict.fromkeys([metric, *([colour] if colour else [])])))
    values = side(runs, metric, names[metric], log=log)
    if values.words:
        said = [t("charts.notes.no_numbers", name=names[metric])]
        return figure([], 200), notes(0, len(runs), said)
    keep = values.there
    rows = np.flatnonzero(keep)
    order = rows[np.argsort(values.at[rows] if lower else -values.at[rows], kind="stable")]
    place = np.full(len(runs), np.nan)
    place[order] = np.arange(1, len(order) + 1)
    made = dots(runs, colour, lower=colour_lower)
    written = len(order) <= _LABELLED
    value = t("charts.hover.value", name=markup(names[metric], _NAME),
              value=f"%{{{'x' if written else 'y'}:.6~g}}")  # fmt: skip
    at = t("charts.hover.place", place=f"%{{{'y' if written else 'x'}}}", n=f"{len(order):,}")
    traces = (
        made.traces(values.at, place, keep, [value, at])
        if written
        else made.traces(place, values.at, keep, [value, at])
    )
    sides = _named(runs, order, values) if written else _numbered(values, len(order))
    drawn = len(order)
    key = "rank_lower" if lower else "rank_higher"
    said = [
        t("charts.notes.runs", n=len(runs), drawn=drawn),
        t(f"charts.notes.{key}", name=names[metric]),
        *reasons(values),
    ]
    if made.painted and colour:
        said += colour_sentences(made.painted, names[colour])
    return figure(
        traces,
        max(240, 120 + 22 * drawn) if written else _HEIGHT,
        f"rank {metric} {lower} {log}",
        **sides,
        **_keys(made, names[colour] if colour else ""),
        dragmode="select",
    ), notes(drawn, len(runs), said)


def _numbered(values: Side, n: int) -> dict[str, Any]:
    title = {"text": t("charts.label.place")}
    return {
        "xaxis": axis(title=title, range=[1 - 0.02 * n, n * 1.02]),
        "yaxis": values.layout,
    }


def _named(runs: DataFrame, order: Any, values: Side) -> dict[str, Any]:
    ids = runs["run_id"].astype(str).to_numpy()[order].tolist()
    called = runs["run_name"].fillna("").to_numpy()[order].tolist()
    labels = run_labels(list(zip(ids, called, strict=True)))
    return {
        "xaxis": values.layout,
        "yaxis": axis(
            tickvals=list(range(1, len(ids) + 1)),
            ticktext=[markup(labels[run]) for run in ids],
            range=[len(ids) + 0.6, 0.4],
            nticks=None,
        ),
    }


def slices(
    runs: DataFrame,
    params: Sequence[str],
    metric: str,
    colour: str | None = None,
    *,
    log: bool = False,
    lower: bool | None = None,
    columns: int = 3,
) -> tuple[go.Figure, Notes]:
    """A metric over each param, in panels of one height scale, with the median along it.

    Args:
        runs: one row a run: ``run_name`` and the columns named.
        params: one panel each, at most ``MOST_PANELS``.
        metric: a column of numbers.
        colour: the column that colours the dots.
        log: draw the metric on a log axis.
        lower: whether low values of ``colour`` are the better ones.
        columns: panels side by side.
    """
    shown = list(dict.fromkeys(params))[:MOST_PANELS]
    names = column_labels(list(dict.fromkeys([metric, *shown, *([colour] if colour else [])])))
    up = side(runs, metric, names[metric], log=log)
    if up.words or not shown:
        key = "no_numbers" if up.words else "no_params"
        said = [t(f"charts.notes.{key}", name=names[metric])]
        return figure([], 200), notes(0, len(runs), said)
    made = dots(runs, colour, lower=lower)
    value = t("charts.hover.value", name=markup(names[metric], _NAME), value="%{y:.6~g}")
    rows = -(-len(shown) // columns)
    layout: dict[str, Any] = {}
    traces: list[Any] = []
    sides = []
    for i, param in enumerate(shown):
        along = side(runs, param, names[param], log=_decades(runs, param, names[param]))
        sides.append(along)
        keep = along.there & up.there
        number = str(i + 1) if i else ""
        axes: dict[str, Any] = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        says = [value]
        if not along.words:
            name = markup(names[param], _NAME)
            says.append(t("charts.hover.value", name=name, value="%{x:.6~g}"))
        at = spread(along.at, words=along.words)
        for trace in made.traces(at, up.at, keep, says, **axes):
            first = not traces or trace.name not in {one.name for one in traces}
            if i:
                trace.update(showlegend=first and bool(trace.name), marker={"showscale": False})
            traces.append(trace)
        traces.append(_median(along, up, keep, axes))
        layout |= _panel(i, columns, rows, along, up)
    everything = np.logical_or.reduce([one.there for one in sides]) & up.there
    drawn = int(everything.sum())
    said = [t("charts.notes.runs", n=len(runs), drawn=drawn), *reasons(up)]
    said += [text for one in sides for text in reasons(one)]
    said.append(t("charts.notes.median"))
    if len(set(params)) > len(shown):
        said.append(t("charts.notes.panels", n=len(set(params)), shown=len(shown)))
    if made.painted and colour:
        said += colour_sentences(made.painted, names[colour])
    return figure(
        traces,
        rows * _PANEL + 90,
        f"slice {' '.join(shown)} {metric} {log}",
        **layout,
        **_keys(made, names[colour] if colour else ""),
        dragmode="select",
    ), notes(drawn, len(runs), said)


def _decades(runs: DataFrame, param: str, name: str) -> bool:
    along = side(runs, param, name)
    values = along.at[along.there]
    return not along.words and values.size > 0 and spans_decades(values)


def _median(along: Side, up: Side, keep: Any, axes: dict[str, str]) -> Any:
    """The median of the metric at each value of a param, or in each of 12 bins of many values."""
    x, y = along.at[keep], up.at[keep]
    values = np.unique(x)
    if len(values) > 12:
        edges = np.unique(np.quantile(x, np.linspace(0, 1, 13)))
        where = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    else:
        where = np.searchsorted(values, x)
    bins = np.unique(where)
    medians = [(float(np.median(x[where == b])), float(np.median(y[where == b]))) for b in bins]
    return (go.Scattergl if len(x) > MANY else go.Scatter)(
        x=[at for at, _ in medians],
        y=[middle for _, middle in medians],
        mode="markers" if along.words else "lines+markers",
        line={"color": _MEDIAN, "width": 2.4},
        marker={
            "color": _MEDIAN,
            "size": 9 if along.words else 7,
            "symbol": "diamond" if along.words else "circle",
            "line": {"width": 1, "color": "white"},
        },
        hoverinfo="skip",
        showlegend=False,
        **axes,
    )


def _panel(i: int, columns: int, rows: int, along: Side, up: Side) -> dict[str, Any]:
    wide, tall = 1 / columns, 1 / rows
    column, row = i % columns, i // columns
    number = str(i + 1) if i else ""
    left, top = column * wide, 1 - row * tall
    gap = 0.022
    x = {
        **along.layout,
        "anchor": f"y{number}",
        "domain": [left + gap, left + wide - gap],
        "nticks": 5,
    }
    y = {**up.layout, "anchor": f"x{number}", "domain": [top - tall + 0.34 * tall, top]}
    y |= {"title": up.layout["title"] if column == 0 else {"text": ""}, "nticks": 5}
    y |= {"showticklabels": column == 0}
    if i:
        y["matches"] = "y"
    return {f"xaxis{number}": x, f"yaxis{number}": y}


def _keys(made: Dots, name: str) -> dict[str, Any]:
    """Legend and margins."""
    grouped = bool(made.painted and made.painted.groups)
    return {
        "margin": {"l": 8, "r": 16, "t": 76 if made.painted and not grouped else 32, "b": 8},
        "showlegend": bool(made.painted),
        "legend": legend_below(title={"text": markup(name) if grouped else ""}),
    }
