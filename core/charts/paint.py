"""Colour by a column: a scale for numbers, a colour each for categories, grey for no value."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas import DataFrame

from core.charts.labels import markup
from core.charts.look import COLOURS, GREY
from core.charts.scales import Floats, Reading, category_labels, read, scale
from core.texts import t

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
