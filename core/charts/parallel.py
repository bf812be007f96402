"""Parallel coordinates: one line a run, one axis a param or metric, laid out as plain arrays.

Plotly's own have no log axis, drop a line where a value is missing and keep to themselves what a
person brushes. So the lines are laid out here, and a component of the page draws them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from core.charts.labels import clean, column_labels
from core.charts.look import COLOURS, SEQUENTIAL
from core.charts.notes import Notes, naming, notes
from core.charts.paint import Paint, colour_sentences, paint
from core.charts.scales import Floats, Mask, Reading, Scale, read, scale
from core.texts import t

MOST_AXES = 40
"""More would stand too close to be read, also on a wide page."""

RAILS = ("above", "below", "nan", "missing")
"""Where a run without a place on an axis passes: the first over the axes, the others under them."""

_FIRST_RAIL = 0.09
_RAIL = 0.07
"""From one rail to the next, in heights of the data."""

_BAND = 0.09
"""Half of what is left free between the bands of two categories, in their distance."""

_NAME = 60
_RUN = 80


@dataclass(frozen=True)
class Axis:
    """One column as heights: 0 is its lowest value and 1 its highest; rails lie outside."""

    column: str
    name: str
    at: NDArray[np.float32]
    """The height of each run, in the order of the table."""
    scale: Scale
    rails: Mapping[str, float]
    """The height of each rail of the figure."""
    words: tuple[str, ...]
    """The categories from the bottom; empty for numbers. The runs of one lie side by side in a band
    around it, those of a like colour together."""

    def place(self, height: float) -> float:
        """What lies at a height: a number, its logarithm, or the position of a category."""
        return self.scale.low + height * (self.scale.high - self.scale.low)

    def height(self, place: float) -> float:
        """The height of what `place` returns."""
        return (place - self.scale.low) / (self.scale.high - self.scale.low)


@dataclass(frozen=True)
class Brush:
    """A stretch of one axis that a person marked, as a link says it.

    An end is a number, a category, ``@`` with the name of a rail, or empty for the axis's own end.
    """

    column: str
    low: str
    high: str

    @classmethod
    def of(cls, axis: Axis, low: float, high: float) -> "Brush":
        """The stretch between two heights."""
        return cls(axis.column, _said(axis, low, lower=True), _said(axis, high, lower=False))

    def heights(self, axis: Axis) -> tuple[float, float] | None:
        """Where it lies on its axis; None where its ends say nothing there."""
        low, high = _heard(axis, self.low, lower=True), _heard(axis, self.high, lower=False)
        return None if low is None or high is None or low > high else (low, high)

    def holds(self, axis: Axis) -> Mask:
        """Which runs pass through it."""
        found = self.heights(axis)
        if found is None:
            return np.zeros(len(axis.at), dtype=bool)
        return (axis.at >= found[0]) & (axis.at <= found[1])


def _said(axis: Axis, height: float, *, lower: bool) -> str:
    if not 0 <= height <= 1:
        inner = [
            name
            for name, at in axis.rails.items()
            if (at > 1) == (height > 1) and (at >= height if lower else at <= height)
        ]
        outwards = inner[-1:] if height < 0 else inner[:1]
        return f"@{outwards[0]}" if outwards else ""
    if height == (0 if lower else 1):
        return ""
    place = axis.place(height)
    if axis.words:
        at = math.ceil(place) if lower else math.floor(place)
        return axis.words[min(len(axis.words) - 1, max(0, at))]
    # Finer than the float32 that is drawn, so that no run changes sides on its way through a link.
    return f"{10**place if axis.scale.log else place:.10g}"


def _heard(axis: Axis, text: str, *, lower: bool) -> float | None:
    if text.startswith("@"):
        rail = axis.rails.get(text[1:])
        return None if rail is None else rail + (-_RAIL / 3 if lower else _RAIL / 3)
    if not text:
        return 0.0 if lower else 1.0
    if axis.words:
        if text not in axis.words:
            return None
        edge = axis.height(axis.words.index(text) + (-0.5 if lower else 0.5))
        return min(1.0, max(0.0, edge))
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value) or (axis.scale.log and value <= 0):
        return None
    return axis.height(math.log10(value) if axis.scale.log else value)


@dataclass(frozen=True)
class Top:
    """The best part of the runs by a metric."""

    column: str
    percent: float
    """Above 0, up to 100."""
    lower: bool
    """Whether the lowest values are the best."""

    def rows(self, values: Floats) -> Mask:
        """Which runs belong to it: of those with a finite value, ties at the edge included."""
        finite = np.isfinite(values)
        if not finite.any():
            return finite
        wanted = math.ceil(finite.sum() * self.percent / 100)
        signed = values if self.lower else -values
        edge = np.partition(signed[finite], wanted - 1)[wanted - 1]
        inside: Mask = finite & (np.where(finite, signed, np.inf) <= edge)
        return inside


@dataclass(frozen=True)
class Lines:
    """All that is drawn."""

    axes: tuple[Axis, ...]
    order: NDArray[np.intp]
    """Rows of the table as they are drawn: what matters most comes last and lies on top."""
    lead: Mask
    """Runs drawn in colour, in the order of the table; the others stay faint behind them."""
    tint: NDArray[np.float32]
    """Place on the palette from 0 to 1, in the order of the table; below 0 where there is none."""
    palette: tuple[str, ...]
    legend: Mapping[str, Any]
    """``title``, and ``groups`` (label, runs) or ``ticks`` (place on the palette, text)."""
    names: tuple[str, ...]
    """What each run is called, clean text, in the order of the table."""

    def axis(self, column: str) -> Axis | None:
        """The axis of a column."""
        return next((axis for axis in self.axes if axis.column == column), None)

    def selected(self, brushes: Sequence[Brush]) -> Mask:
        """Which runs pass through every brush, in the order of the table."""
        inside = self.lead.copy()
        for brush in brushes:
            axis = self.axis(brush.column)
            if axis is not None:
                inside &= brush.holds(axis)
        return inside

    def payload(self, **more: Any) -> bytes:
        """One block of bytes for the component that draws.

        Four bytes with the length of a JSON header (little endian), the header padded to a multiple
        of four, then per axis the heights and last the tints (float32), one byte a run that says
        whether it leads, and the names, UTF-8, one a line. Runs come in the order of drawing.
        """
        header = {
            "n": len(self.order),
            "axes": [
                {
                    "name": axis.name,
                    "log": axis.scale.log,
                    "words": len(axis.words),
                    "ticks": [[axis.height(at), clean(text)] for at, text in axis.scale.ticks],
                    "minor": [axis.height(at) for at in axis.scale.minor],
                }
                for axis in self.axes
            ],
            "rails": [[at, t(f"charts.rail.{rail}")] for rail, at in self._rails().items()],
            "palette": self.palette,
            "legend": self.legend,
            **more,
        }
        head = json.dumps(header).encode()
        head += b" " * (-len(head) % 4)
        columns = [axis.at[self.order] for axis in self.axes]
        return b"".join(
            [
                len(head).to_bytes(4, "little"),
                head,
                *(column.astype("<f4").tobytes() for column in [*columns, self.tint[self.order]]),
                self.lead[self.order].astype(np.uint8).tobytes(),
                "\n".join(np.array(self.names, dtype=object)[self.order]).encode(),
            ]
        )

    def _rails(self) -> Mapping[str, float]:
        return self.axes[0].rails if self.axes else {}


def parallel_coordinates(
    runs: DataFrame,
    dimensions: Sequence[str],
    colour: str | None = None,
    *,
    log: Mapping[str, bool] | None = None,
    top: Top | None = None,
    lower: bool | None = None,
    only: bool = False,
) -> tuple[Lines, Notes]:
    """Every run as a line over one axis for each dimension.

    A column is numbers where all its values are; else its values are categories. No line is
    dropped: where a run has no value, or one that is NaN or infinite, it passes over a rail.

    Args:
        runs: one row a run, with ``run_name`` and the columns named in ``dimensions``, ``colour``
            and ``top`` ("params.x" as text, "metrics.x" as numbers).
        dimensions: the axes, left to right. Leave constant columns out.
        colour: the column that colours the lines.
        log: the columns to draw as logarithms, or not; the values choose for the others.
        top: which runs are drawn in colour; all where None.
        only: whether ``top`` leaves the others out.
        lower: whether low values of ``colour`` are the better ones, which lie on top; None where
            that is not known.

    Returns:
        The lines, and what was drawn, counted in runs.
    """
    asked = log or {}
    shown = list(dict.fromkeys(dimensions))[:MOST_AXES]
    names = column_labels(list(dict.fromkeys([*shown, *([colour] if colour else [])])))
    readings = {column: read(runs[column]) for column in shown}
    rails = _rails(list(readings.values()))
    painted = paint(runs, colour) if colour else None
    lead = np.ones(len(runs), dtype=bool)
    if top is not None:
        lead = top.rows(_numbers(runs, top.column))
    shades = painted
    if painted and colour and not painted.groups and not lead.all():
        # Among the best the palette tells them apart: it need not reach to those behind.
        shades = paint(runs.assign(**{colour: runs[colour].where(lead)}), colour)
    name = names[colour] if colour else ""
    palette, tint, legend = _colours(shades, name, len(runs), lower=lower)
    if painted and "missing" in legend:
        legend["missing"] = int((lead & ~painted.reading.drawable).sum())
    order = np.lexsort((_rank(painted, len(runs), lower=lower), lead))
    if only:
        order = order[lead[order]]
    axes = tuple(
        _axis(column, names[column], readings[column], asked.get(column), rails, order)
        for column in shown
    )
    lines = Lines(
        axes,
        order,
        lead,
        tint,
        palette,
        legend,
        tuple(clean(name, _RUN) or t("charts.label.blank") for name in runs["run_name"]),
    )
    found = _said_of(lines, runs, readings, names, painted, asked, top)
    many = len(set(dimensions))
    if many > len(shown):
        room = t("charts.notes.dimensions", n=many, drawn=len(shown))
        found = replace(found, sentences=(*found.sentences, room))
    return lines, found


def _numbers(runs: DataFrame, column: str) -> Floats:
    reading = read(runs[column])
    return np.full(len(runs), np.nan) if reading.numbers is None else reading.numbers


def _rails(readings: Sequence[Reading]) -> dict[str, float]:
    """The height of each rail that any axis needs, for all alike."""
    needed = {rail for reading in readings for rail, rows in _off(reading).items() if rows.any()}
    low = [rail for rail in RAILS[1:] if rail in needed]
    rails = {rail: -_FIRST_RAIL - i * _RAIL for i, rail in enumerate(low)}
    return {**({"above": 1 + _FIRST_RAIL} if "above" in needed else {}), **rails}


def _off(reading: Reading) -> dict[str, Mask]:
    """Rows without a place on their axis, by the rail that they pass."""
    none = np.zeros(len(reading.missing), dtype=bool)
    numbers = reading.numbers
    return {
        "above": none if numbers is None else numbers == np.inf,
        "below": none if numbers is None else numbers == -np.inf,
        "nan": reading.nan,
        "missing": reading.missing,
    }


def _axis(
    column: str,
    name: str,
    reading: Reading,
    log: bool | None,
    rails: Mapping[str, float],
    order: NDArray[np.intp],
) -> Axis:
    along = scale(reading, log)
    words = tuple(reading.categories()) if reading.numbers is None else ()
    at = along.at
    if words:
        along = replace(along, low=_BAND - 0.5, high=len(words) - 0.5 - _BAND)
        at = at + _side_by_side(at, order)
    at = (at - along.low) / (along.high - along.low)
    for rail, rows in _off(reading).items():
        if rows.any():
            at[rows] = rails[rail]
    return Axis(column, clean(name, _NAME), at.astype(np.float32), along, rails, words)


def _side_by_side(at: Floats, order: NDArray[np.intp]) -> Floats:
    """How far each run lies from its category, so that those of one fill a band in ``order``."""
    aside = np.zeros(len(at))
    by_category = order[np.argsort(at[order], kind="stable")]
    starts = np.flatnonzero(np.diff(at[by_category], prepend=np.nan) != 0)
    for rows in np.split(by_category, starts[1:]):
        if len(rows) > 1:
            aside[rows] = np.linspace(-0.5 + 2 * _BAND, 0.5 - 2 * _BAND, len(rows))
    return aside


Colours = tuple[tuple[str, ...], NDArray[np.float32], dict[str, Any]]


def _colours(painted: Paint | None, name: str, n_runs: int, *, lower: bool | None) -> Colours:
    """Palette, each run's place on it, and the legend."""
    if painted is None:
        return (COLOURS[0],), np.zeros(n_runs, dtype=np.float32), {}
    title = clean(name, _NAME)
    if painted.groups:
        n = len(painted.groups)
        tint = ((painted.at + 0.5) / n).astype(np.float32)
        groups = [[group.label, int(group.rows.sum())] for group in painted.groups]
        palette = tuple(group.colour for group in painted.groups)
        return palette, tint, {"title": title, "groups": groups}
    span = painted.high - painted.low
    at = (painted.at - painted.low) / span
    tint = np.where(np.isnan(at), -1, at).astype(np.float32)
    ticks = [[(place - painted.low) / span, text] for place, text in painted.ticks]
    # The better end has the same colour whichever end that is.
    palette = SEQUENTIAL[::-1] if lower else SEQUENTIAL
    better = (
        t("charts.label.lower" if lower else "charts.label.higher") if lower is not None else ""
    )
    return palette, tint, {
        "title": title, "note": better, "ticks": ticks, "missing": painted.missing,
    }  # fmt: skip


def _rank(painted: Paint | None, n_runs: int, *, lower: bool | None) -> Floats:
    """What is drawn later is higher: the better runs, and the rarer categories."""
    if painted is None:
        return np.zeros(n_runs)
    if painted.groups:
        sizes = np.array([-float(group.rows.sum()) for group in painted.groups])
        ranks: Floats = sizes[painted.at.astype(int)]
        return ranks
    at = -painted.at if lower else painted.at
    return np.where(np.isnan(at), -np.inf, at)


def _said_of(
    lines: Lines,
    runs: DataFrame,
    readings: Mapping[str, Reading],
    names: Mapping[str, str],
    painted: Paint | None,
    asked: Mapping[str, bool],
    top: Top | None,
) -> Notes:
    total = len(runs)
    drawn = len(lines.order)
    said = [t("charts.notes.runs", n=total, drawn=drawn)]
    for rail in RAILS:
        gone = {names[c]: int(_off(r)[rail].sum()) for c, r in readings.items()}
        said.append(naming(f"rail_{rail}", "named", gone))
    crowded = {
        axis.name: len(axis.words) for axis in lines.axes if len(axis.words) > len(axis.scale.ticks)
    }
    said.append(naming("categories_unlabelled", "values", crowded))
    linear = [a.name for a in lines.axes if asked.get(a.column) and not a.scale.log]
    said.append(t("charts.notes.no_log", names=", ".join(linear)) if linear else "")
    if top is not None:
        key = "top_lower" if top.lower else "top_higher"
        name = column_labels([top.column])[top.column]
        n = int(lines.lead.sum())
        said.append(t(f"charts.notes.{key}", n=n, percent=f"{top.percent:g}", name=name))
    if painted:
        said += colour_sentences(painted, names[painted.column])
    return notes(drawn, total, said)
