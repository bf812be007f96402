"""Parallel coordinates: one line a run, one axis a param or metric."""

from collections.abc import Collection, Sequence
from typing import Any

import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.labels import column_labels, literal, markup
from core.charts.look import COLOURS, FILM, GREY, RULE, figure
from core.charts.notes import Notes, naming, notes
from core.charts.paint import colour_sentences, keys_of, paint
from core.charts.scales import Reading, Scale, read, scale
from core.texts import t

MOST_AXES = 60
"""Plotly draws no more."""

_RAIL = 0.13
"""How far below the lowest value the rail lies, in heights of the data."""

_FOOT = 0.025
"""What is left under the rail."""

_HEIGHT = 320
"""Pixels of the axes."""

_NAME = 20
_ANGLE = -32
"""From 30 degrees on Plotly begins a name at its axis instead of centring it there."""


def parallel_coordinates(
    runs: DataFrame,
    dimensions: Sequence[str],
    colour: str | None = None,
    *,
    log: Collection[str] | None = None,
) -> tuple[go.Figure, Notes]:
    """Every run as a line over one axis for each dimension.

    A column is numbers where all its values are; else its values are categories. A run without a
    value keeps its line, which passes over a rail at the bottom. Plotly has no log axis here, so
    logarithms are drawn with the ticks relabelled.

    Args:
        runs: one row a run, with the columns named in ``dimensions`` and ``colour``
            ("params.x" as text, "metrics.x" as numbers).
        dimensions: the axes, left to right. Leave constant columns out.
        colour: the column that colours the lines.
        log: the columns to draw as logarithms; None chooses those that span decades.

    Returns:
        The figure, and what it drew, counted in runs.
    """
    shown = list(dict.fromkeys(dimensions))[:MOST_AXES]
    if runs.empty or not shown:
        return figure([], 200), notes(0, len(runs), [t("charts.notes.runs_none")])
    names = column_labels(list(dict.fromkeys([*shown, *([colour] if colour else [])])))
    readings = {column: read(runs[column]) for column in shown}
    scales = {
        column: scale(reading, None if log is None else column in log)
        for column, reading in readings.items()
    }
    railed = any(not reading.drawable.all() for reading in readings.values())
    painted = paint(runs, colour) if colour else None
    slanted = len(shown) > 3
    trace = go.Parcoords(
        dimensions=[
            _dimension(names[column], readings[column], scales[column], railed) for column in shown
        ],
        line=painted.line(markup(names[painted.column])) if painted else {"color": COLOURS[0]},
        labelangle=_ANGLE if slanted else 0,
        labelfont={"size": 13},
        tickfont={"size": 11},
        unselected={"line": {"color": GREY, "opacity": 0.12}},
    )
    margin = _margin(
        [min(_NAME, len(names[column])) + (6 if scales[column].log else 0) for column in shown],
        scales[shown[0]],
        slanted=slanted,
        keyed=painted is not None,
    )
    drawn = figure(
        [trace, *(painted.legend_traces() if painted else [])],
        _HEIGHT + margin["t"] + margin["b"],
        " ".join(shown),
        margin=margin,
        shapes=_guides(len(shown), railed),
        annotations=[_rail_label(list(readings.values()))] if railed else [],
        **keys_of(painted, names[colour] if colour else ""),
    )
    said = _sentences(names, readings, scales, log or ())
    if len(set(dimensions)) > len(shown):
        said.append(t("charts.notes.dimensions", n=len(set(dimensions)), drawn=len(shown)))
    if painted:
        said += colour_sentences(painted, names[painted.column])
    total = len(runs)
    first = t("charts.notes.runs", n=total, drawn=total)
    return drawn, notes(total, total, [first, *said])


def _dimension(name: str, reading: Reading, scale: Scale, railed: bool) -> dict[str, Any]:
    height = scale.high - scale.low
    rail = scale.low - _RAIL * height
    at = scale.at.copy()
    at[~reading.drawable] = rail
    ticks = [(position, literal(text)) for position, text in scale.ticks]
    # A brush stops at ticks alone, so the rail has one. Plotly keys the ticks of an axis by their
    # text, so blank ones have to differ.
    blank = [*scale.minor, rail] if railed else scale.minor
    ticks += [(position, " " * (i + 1)) for i, position in enumerate(blank)]
    ticks.sort()
    label = t("charts.label.log", name=markup(name, _NAME)) if scale.log else markup(name, _NAME)
    return {
        "label": label,
        "values": at,
        "range": [rail - _FOOT * height if railed else scale.low, scale.high],
        "tickvals": [position for position, _ in ticks],
        "ticktext": [text for _, text in ticks],
    }


def _rail_label(readings: list[Reading]) -> dict[str, Any]:
    """The name of the rail, once, before the first axis: on each axis it would cover the lines."""
    infinite = any(reading.infinite for reading in readings)
    missing = any(reading.missing.any() for reading in readings)
    key = "missing" if not infinite else "missing_or_not_finite" if missing else "not_finite"
    place = {"x": 0, "xref": "paper", "y": _FOOT / (1 + _RAIL + _FOOT), "yref": "paper"}
    anchor = {"xanchor": "right", "yanchor": "middle", "xshift": -7, "align": "right"}
    text = t(f"charts.label.{key}").replace(", ", ",<br>")
    return {"text": text, "showarrow": False, "font": {"size": 11}, **place, **anchor}


def _margin(lengths: Sequence[int], first: Scale, *, slanted: bool, keyed: bool) -> dict[str, int]:
    """Room for the ticks of the first axis, names of so many characters and the key below."""
    ticks = max((len(text) for _, text in first.ticks), default=0)
    return {
        "l": min(150, max(64, 12 + round(6.2 * ticks))),
        "r": min(150, 24 + 6 * lengths[-1]) if slanted else 56,
        "t": 44 + 4 * max(lengths) if slanted else 72,
        "b": 76 if keyed else 20,
    }


def _guides(axes: int, railed: bool) -> list[dict[str, Any]]:
    """The axes and the rail, drawn under Plotly's own black ones, which a dark page swallows."""
    places = [i / max(1, axes - 1) for i in range(axes)]
    lines = [_shape("line", x, 0, x, 1, line={"color": RULE, "width": 1}) for x in places]
    if not railed:
        return lines
    height = 1 + _RAIL + _FOOT
    rail = _FOOT / height
    band = _shape("rect", 0, 0, 1, 2 * rail, fillcolor=FILM, line={"width": 0})
    dots = {"color": RULE, "width": 1, "dash": "dot"}
    return [band, _shape("line", 0, rail, 1, rail, line=dots), *lines]


def _shape(kind: str, x0: float, y0: float, x1: float, y1: float, **style: Any) -> dict[str, Any]:
    place = {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "xref": "paper", "yref": "paper"}
    return {"type": kind, "layer": "below", **place, **style}


def _sentences(
    names: dict[str, str],
    readings: dict[str, Reading],
    scales: dict[str, Scale],
    asked: Collection[str],
) -> list[str]:
    gone = {names[c]: int(r.missing.sum()) for c, r in readings.items()}
    infinite = {names[c]: r.infinite for c, r in readings.items()}
    crowded = {names[c]: s.categories for c, s in scales.items() if s.categories > len(s.ticks)}
    linear = [names[c] for c in asked if c in scales and not scales[c].log]
    return [
        naming("rail", "named", gone),
        naming("rail_infinite", "named", infinite),
        naming("categories_unlabelled", "values", crowded),
        t("charts.notes.no_log", names=", ".join(linear)) if linear else "",
    ]
