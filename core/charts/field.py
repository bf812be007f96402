"""A metric over two params at once, and two metrics against each other with their front."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.dots import MANY, dots, reasons, side
from core.charts.labels import column_labels, markup
from core.charts.look import GREY, SEQUENTIAL, figure, legend_below
from core.charts.notes import Notes, notes
from core.charts.scales import Floats, Mask, spans_decades
from core.texts import t

_NAME = 60
_HEIGHT = 560
_FEWEST_VALUES = 4
"""Different values along each side that a surface needs."""
_FEWEST_RUNS = 20
_FILLED = 0.5
"""The share of the cells that has to hold runs."""
_EXPLAINED = 0.05
"""The share of the metric's variance that the cells have to explain."""
_MOST_CELLS = 18
_FRONT = "#D6336C"


def contour(
    runs: DataFrame, x: str, y: str, metric: str, *, lower: bool | None = None
) -> tuple[go.Figure, Notes]:
    """The mean of a metric over cells of two params, with lines of equal height.

    Nothing is drawn where the runs do not carry it, and the notes say why: too few runs, too few
    values along a side, or runs in too few of the cells.

    Args:
        runs: one row a run, with the columns named.
        x: a column of numbers along the bottom.
        y: a column of numbers upwards.
        metric: a column of numbers for the colour.
        lower: whether low values of ``metric`` are the better ones.
    """
    names = column_labels(list(dict.fromkeys([x, y, metric])))
    sides = [side(runs, column, names[column]) for column in (x, y, metric)]
    across, up, height = sides
    words = [one.name for one in sides if one.words]
    if words or x == y:
        key = "contour_words" if words else "contour_same"
        return _declined(runs, t(f"charts.notes.{key}", names=", ".join(words)))
    keep = across.there & up.there & height.there
    drawn = int(keep.sum())
    if drawn < _FEWEST_RUNS:
        return _declined(runs, t("charts.notes.contour_runs", n=drawn, least=_FEWEST_RUNS))
    logs = [spans_decades(one.at[keep]) for one in (across, up)]
    places = [
        np.log10(one.at[keep]) if log else one.at[keep]
        for one, log in zip((across, up), logs, strict=True)
    ]
    few = [
        (one.name, len(np.unique(at)))
        for one, at in zip((across, up), places, strict=True)
        if len(np.unique(at)) < _FEWEST_VALUES
    ]
    if few:
        name, values = few[0]
        why = t("charts.notes.contour_values", name=name, n=values, least=_FEWEST_VALUES)
        return _declined(runs, why)
    cells = [_cells(at, drawn) for at in places]
    (where_x, centres_x), (where_y, centres_y) = cells
    shape = (len(centres_y), len(centres_x))
    flat = where_y * shape[1] + where_x
    n = np.bincount(flat, minlength=shape[0] * shape[1])
    filled = float((n > 0).mean())
    if filled < _FILLED:
        share, least = f"{100 * filled:.0f}", f"{100 * _FILLED:.0f}"
        return _declined(runs, t("charts.notes.contour_gaps", n=share, least=least))
    sums = np.bincount(flat, height.at[keep], minlength=shape[0] * shape[1])
    said_of = _explained(height.at[keep], flat)
    if said_of < _EXPLAINED:
        share = f"{max(0.0, 100 * said_of):.1f}"
        why = t(
            "charts.notes.contour_noise",
            n=share,
            name=names[metric],
            least=f"{100 * _EXPLAINED:.0f}",
        )
        return _declined(runs, why)
    means = np.where(n > 0, sums / np.maximum(n, 1), np.nan).reshape(shape)
    stops = SEQUENTIAL[::-1] if lower else SEQUENTIAL
    surface = go.Contour(
        x=10**centres_x if logs[0] else centres_x,
        y=10**centres_y if logs[1] else centres_y,
        z=means,
        customdata=n.reshape(shape),
        colorscale=[[i / (len(stops) - 1), colour] for i, colour in enumerate(stops)],
        contours={"coloring": "heatmap", "showlabels": True, "labelfont": {"color": "white"}},
        line={"width": 1, "color": "rgba(255, 255, 255, 0.6)"},
        connectgaps=False,
        colorbar={
            "title": {"text": markup(names[metric], _NAME)},
            "outlinewidth": 0,
            "thickness": 12,
        },
        hovertemplate=t("charts.hover.mean", mean="%{z:.5~g}", n="%{customdata}")
        + "<extra></extra>",
    )
    said = [
        t("charts.notes.runs", n=len(runs), drawn=drawn),
        *reasons(*sides),
        t(
            "charts.notes.contour",
            across=shape[1],
            up=shape[0],
            filled=f"{100 * filled:.0f}",
            share=f"{100 * said_of:.0f}",
        ),
    ]
    return figure(
        [surface],
        _HEIGHT,
        f"contour {x} {y} {metric}",
        xaxis={**across.layout, **({"type": "log", "tickformat": "~g"} if logs[0] else {})},
        yaxis={**up.layout, **({"type": "log", "tickformat": "~g"} if logs[1] else {})},
    ), notes(drawn, len(runs), said)


def _explained(values: Floats, cell: Any) -> float:
    """The share of the variance that lies between the cells, beyond what chance puts there: ω²
    (Hays 1963)."""
    k = len(np.unique(cell))
    n = np.bincount(cell)
    means = np.bincount(cell, values) / np.maximum(n, 1)
    around = float(((values - values.mean()) ** 2).sum())
    within = float(((values - means[cell]) ** 2).sum())
    if len(values) <= k or around == 0:
        return 0.0
    chance = within / (len(values) - k)
    return (around - within - (k - 1) * chance) / (around + chance)


def _declined(runs: DataFrame, why: str) -> tuple[go.Figure, Notes]:
    return figure([], 200), notes(0, len(runs), [why])


def _cells(at: Floats, n: int) -> tuple[Any, Floats]:
    """The cell of each value along one side, and the cells' middles."""
    values = np.unique(at)
    most = int(min(_MOST_CELLS, max(_FEWEST_VALUES, np.sqrt(n / 8))))
    if len(values) <= most:
        return np.searchsorted(values, at), values
    edges = np.linspace(values[0], values[-1], most + 1)
    return np.clip(np.searchsorted(edges, at, side="right") - 1, 0, most - 1), (
        edges[:-1] + edges[1:]
    ) / 2


def pareto(
    runs: DataFrame,
    x: str,
    y: str,
    on_front: Mask,
    *,
    lower_x: bool,
    lower_y: bool,
    log_x: bool = False,
    log_y: bool = False,
) -> tuple[go.Figure, Notes]:
    """Two metrics against each other, with the runs that no other beats in both.

    Args:
        runs: one row a run: ``run_name`` and the columns named.
        x: a metric along the bottom.
        y: a metric upwards.
        on_front: the runs of the front.
        lower_x: whether lower values of ``x`` are better.
        lower_y: the same for ``y``.
        log_x: draw ``x`` on a log axis.
        log_y: the same for ``y``.
    """
    names = column_labels(list(dict.fromkeys([x, y])))
    across, up = side(runs, x, names[x], log=log_x), side(runs, y, names[y], log=log_y)
    keep = across.there & up.there
    says = [
        t("charts.hover.value", name=markup(one.name, _NAME), value=f"%{{{way}:.6~g}}")
        for one, way in ((across, "x"), (up, "y"))
    ]
    made = dots(runs, None)
    many = int(keep.sum()) > MANY
    behind = made.traces(across.at, up.at, keep & ~on_front, says, many=many)
    for trace in behind:
        trace.update(marker={"color": GREY, "opacity": 0.25 if many else 0.5, "size": 5})
    best = made.traces(across.at, up.at, keep & on_front, says, many=many)
    for trace in best:
        line = {"color": "white", "width": 1}
        trace.update(
            marker={"color": _FRONT, "opacity": 1, "size": 10, "line": line},
            name=t("charts.label.front", n=int((keep & on_front).sum())),
            showlegend=True,
        )
    drawn = int(keep.sum())
    arrows = {True: t("charts.label.lower"), False: t("charts.label.higher")}
    said = [
        t("charts.notes.runs", n=len(runs), drawn=drawn),
        *reasons(across, up),
        t("charts.notes.front", n=int((keep & on_front).sum())),
    ]
    return figure(
        [*behind, *_stairs(across.at, up.at, keep & on_front, many=many, lower=lower_x), *best],
        _HEIGHT,
        f"pareto {x} {y} {log_x} {log_y}",
        xaxis={
            **across.layout,
            "title": {"text": f"{markup(names[x], _NAME)} ({arrows[lower_x]})"},
        },
        yaxis={**up.layout, "title": {"text": f"{markup(names[y], _NAME)} ({arrows[lower_y]})"}},
        showlegend=True,
        legend=legend_below(),
        dragmode="select",
    ), notes(drawn, len(runs), said)


def _stairs(x: Floats, y: Floats, rows: Mask, *, many: bool, lower: bool) -> list[Any]:
    """The edge of what the front beats; ``lower`` says whether lower values of ``x`` are better."""
    if rows.sum() < 2:
        return []
    order = np.argsort(x[rows], kind="stable")
    return [
        (go.Scattergl if many else go.Scatter)(
            x=x[rows][order],
            y=y[rows][order],
            mode="lines",
            line={"color": _FRONT, "width": 2, "shape": "hv" if lower else "vh"},
            hoverinfo="skip",
            showlegend=False,
        )
    ]
