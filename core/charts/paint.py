"""Colour by a column: a scale for numbers, a colour each for categories, grey for no value."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.labels import markup
from core.charts.look import COLOURS, GREY, colour_scale, legend_below
from core.charts.scales import Floats, Reading, category_labels, read, scale
from core.texts import t

_GREY_SHARE = 0.04
"""The part of a colour scale's low end that is grey, where some runs have no value."""

_BAR = 220
"""Pixels of a colour bar: it has to fit a telephone."""


@dataclass(frozen=True)
class Group:
    """Rows of one colour, for the legend."""

    label: str
    """Clean text, not yet escaped."""

    colour: str
    rows: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Paint:
    """How a column colours the rows of a figure."""

    column: str
    reading: Reading
    at: Floats
    """Position on the colour scale, NaN where there is none; for categories the group's number."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    groups: tuple[Group, ...]
    """One for each colour where the column is categories, the grey one last; else empty."""

    others: int
    """Categories that share the grey of "other values"."""

    @property
    def missing(self) -> int:
        """Rows without a colour."""
        return int((~self.reading.drawable).sum())

    def bar(self, title: str, **place: Any) -> dict[str, Any]:
        """The colour bar under or over the data; ``title`` is escaped already."""
        return {
            "title": {"text": title, "side": "top"},
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "xpad": 0,
            "len": _BAR,
            "lenmode": "pixels",
            "thickness": 10,
            "outlinewidth": 0,
            "tickvals": [at for at, _ in self.ticks],
            "ticktext": [markup(text) for _, text in self.ticks],
            "tickfont": {"size": 11},
            **place,
        }

    def line(self, title: str) -> dict[str, Any]:
        """``line`` of a parallel coordinates trace."""
        if self.groups:
            last = len(self.groups) - 1
            stops = [[i / max(1, last), group.colour] for i, group in enumerate(self.groups)]
            return {
                "color": self.at,
                "cmin": 0,
                "cmax": max(1, last),
                "colorscale": stops if last else [[0, stops[0][1]], [1, stops[0][1]]],
                "showscale": False,
            }
        at, floor, stops = self.at, self.low, colour_scale()
        bar = self.bar(title, y=-0.03, yanchor="top")
        if self.missing:
            # Lines have one scale for all: its lowest end becomes the grey of those without.
            floor = self.low - _GREY_SHARE * (self.high - self.low) / (1 - _GREY_SHARE)
            at = np.where(np.isnan(at), floor, at)
            start = _GREY_SHARE * 0.999
            coloured = [[start + (1 - start) * float(str(x)), colour] for x, colour in stops]
            stops = [[0, GREY], [start, GREY], *coloured]
        return {
            "color": at,
            "cmin": floor,
            "cmax": self.high,
            "colorscale": stops,
            "showscale": True,
            "colorbar": bar,
        }

    def legend_traces(self) -> list[Any]:
        """Empty traces that put the groups into the legend, for a figure that has none itself."""
        return [
            go.Scatter(
                x=[None],
                y=[None],
                mode="lines",
                line={"color": group.colour, "width": 3},
                name=markup(group.label),
                hoverinfo="skip",
                showlegend=True,
            )
            for group in self.groups
        ]


def paint(runs: DataFrame, column: str) -> Paint:
    """How ``column`` colours the rows of ``runs``."""
    reading = read(runs[column])
    if reading.numbers is not None:
        along = scale(reading)
        return Paint(column, reading, along.at, along.low, along.high, along.ticks, (), 0)
    counts = np.bincount(reading.codes + 1, minlength=1)[1:].tolist()
    often = dict(zip(reading.words, counts, strict=True))
    categories = reading.categories()
    # A seventh colour could not be told apart: the rest share the grey.
    commonest = sorted(categories, key=lambda category: -often[category])[: len(COLOURS)]
    kept = [category for category in categories if category in commonest]
    places = {word: i for i, word in enumerate(reading.words)}
    labels = category_labels(kept, 40)
    groups = [
        Group(label, COLOURS[i], reading.codes == places[category])
        for i, (category, label) in enumerate(zip(kept, labels, strict=True))
    ]
    others = len(categories) - len(kept)
    rest = np.ones(len(runs), dtype=bool)
    for group in groups:
        rest &= ~group.rows
    if rest.any():
        key = "other" if others else "no_value"
        groups.append(Group(t(f"charts.label.{key}"), GREY, rest))
    at = np.zeros(len(runs))
    for i, group in enumerate(groups):
        at[group.rows] = i
    return Paint(column, reading, at, 0.0, max(1.0, len(groups) - 1.0), (), tuple(groups), others)


def keys_of(painted: Paint | None, name: str) -> dict[str, Any]:
    """Layout of a figure with `Paint.legend_traces`: the legend, and its axes hidden."""
    if painted is None or not painted.groups:
        return {}
    hidden = {"visible": False, "fixedrange": True}
    still = {"itemclick": False, "itemdoubleclick": False}
    title = {"title": {"text": markup(name)}}
    return {
        "showlegend": True,
        "legend": legend_below(**still, **title),
        "xaxis": hidden,
        "yaxis": hidden,
    }


def colour_sentences(painted: Paint, name: str) -> list[str]:
    """What the colours leave out."""
    said = []
    if painted.others:
        total = painted.others + len(painted.groups) - 1
        shown = len(painted.groups) - 1
        said.append(t("charts.notes.colour_other", name=name, n=total, shown=shown))
    if painted.missing:
        said.append(t("charts.notes.colour_missing", n=painted.missing, name=name))
    return said
