"""Runs as dots: colour, size, what hovering says, and the row of the table that each dot is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas import DataFrame

from core.charts.labels import column_labels, markup
from core.charts.look import COLOURS, GREY, SEQUENTIAL, axis, log_axis
from core.charts.notes import naming
from core.charts.paint import Paint, paint
from core.charts.scales import Floats, Mask, Reading, read, scale
from core.texts import t

_NAME = 60
MANY = 2_000
"""More dots than this are drawn with WebGL."""

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "hexagon", "circle-open")
_SMALLEST, _LARGEST = 4.0, 22.0

OFF = ("no_value", "is_nan", "infinite", "not_positive")
"""Why a run has no place on an axis."""


@dataclass(frozen=True)
class Side:
    """One column along an axis of a figure."""

    column: str
    name: str
    at: Floats
    layout: dict[str, Any]
    off: dict[str, Mask]
    """Rows without a place on the axis, by the reason's key in the texts."""
    words: bool
    """Whether it is categories, at places counted from 0."""
    log: bool

    @property
    def there(self) -> Mask:
        """Rows with a place on the axis."""
        found = np.ones(len(self.at), dtype=bool)
        for mask in self.off.values():
            found &= ~mask
        return found


def side(runs: DataFrame, column: str, name: str, *, log: bool = False) -> Side:
    """A column as an axis; categories have no logarithms."""
    reading = read(runs[column])
    title = {"text": markup(name, _NAME)}
    off = {"no_value": reading.missing}
    if reading.numbers is None:
        return _categories(column, name, reading, title, off)
    numbers = reading.numbers
    off |= {"is_nan": reading.nan, "infinite": np.isinf(numbers)}
    if log:
        off["not_positive"] = (numbers <= 0) & np.isfinite(numbers)
    layout = axis(title=title, **(log_axis(numbers) if log else {}))
    return Side(column, name, numbers, layout, off, words=False, log=log)


def _categories(
    column: str, name: str, reading: Reading, title: dict[str, str], off: dict[str, Mask]
) -> Side:
    places = scale(reading)
    layout = axis(
        title=title,
        tickvals=[at for at, _ in places.ticks],
        ticktext=[markup(text) for _, text in places.ticks],
        range=[-0.5, places.categories - 0.5],
        autotickangles=[0, -40, -90],
    )
    return Side(column, name, places.at, layout, off, words=True, log=False)


def reasons(*sides: Side) -> list[str]:
    """Why runs were left out; a run may be left out for both axes, so each names what it lacks."""
    once = {one.column: one for one in sides}.values()
    return [
        naming(key, "named", {one.name: int(one.off[key].sum()) for one in once if key in one.off})
        for key in OFF
    ]


def spread(at: Floats, *, words: bool) -> Floats:
    """Places moved aside a little where many share one, the same way at each drawing.

    Categories alone are moved: a number stays where it is.
    """
    if not words:
        return at
    aside = (np.arange(len(at)) * 0.6180339887) % 1 - 0.5
    return at + 0.5 * aside


@dataclass(frozen=True)
class Dots:
    """What is needed to draw rows of runs as dots, alike in every figure."""

    runs: DataFrame
    painted: Paint | None
    names: dict[str, str]
    lower: bool | None
    """Whether low values of the colour are the better ones."""
    size: Floats | None
    texts: tuple[str, ...]
    """The first lines of what hovering says, escaped."""

    def traces(
        self,
        x: Floats,
        y: Floats,
        rows: Mask,
        says: Sequence[str],
        *,
        many: bool | None = None,
        **more: Any,
    ) -> list[Any]:
        """The dots of ``rows``, the better ones on top.

        Each dot's ``customdata`` is the position of its run in the table.

        Args:
            says: the lines of what hovering says besides, Plotly's templates.
            many: whether they are drawn with WebGL, which lies over all that is drawn without; None
                where their number decides.
            more: for each trace, such as its axes.
        """
        many = int(rows.sum()) > MANY if many is None else many
        kind = go.Scattergl if many else go.Scatter
        base = {
            "mode": "markers",
            "hovertemplate": "<br>".join(["%{text}", *says]) + "<extra></extra>",
            **more,
        }
        made = []
        for label, where, marker in self._groups(rows, many):
            if not where.size:
                continue
            made.append(
                kind(
                    x=x[where].astype(np.float32 if np.isfinite(x[where]).all() else float),
                    y=y[where].astype(float),
                    customdata=where.astype(np.int32),
                    text=[self.texts[i] for i in where.tolist()],
                    marker={**marker, **self._sizes(where)},
                    name=label,
                    showlegend=bool(label),
                    **base,
                )
            )
        return made

    def _groups(self, rows: Mask, many: bool) -> list[tuple[str, NDArray[np.intp], dict[str, Any]]]:
        drawn = int(rows.sum())
        plain: dict[str, Any] = {"opacity": max(0.16, min(0.85, 22 / max(1.0, drawn**0.5)))}
        if not many:
            plain["line"] = {"width": 0}
        painted = self.painted
        if painted is None:
            return [("", np.flatnonzero(rows), {**plain, "color": COLOURS[0]})]
        if painted.groups:
            return [
                (
                    markup(group.label),
                    np.flatnonzero(group.rows & rows),
                    {**plain, "color": group.colour, "symbol": _SYMBOLS[i % len(_SYMBOLS)]},
                )
                for i, group in enumerate(painted.groups)
            ]
        has = np.flatnonzero(rows & painted.reading.drawable)
        order = np.argsort(-painted.at[has] if self.lower else painted.at[has], kind="stable")
        without = np.flatnonzero(rows & ~painted.reading.drawable)
        name = self.names[painted.column]
        label = markup(t("charts.label.without", name=name))
        stops = SEQUENTIAL[::-1] if self.lower else SEQUENTIAL
        bar = painted.bar(markup(name, _NAME), x=0, y=1.0, yanchor="bottom", ypad=14)
        scaled = {
            **plain,
            "color": painted.at[has[order]],
            "cmin": painted.low,
            "cmax": painted.high,
            "colorscale": [[i / (len(stops) - 1), colour] for i, colour in enumerate(stops)],
            "showscale": True,
            "colorbar": bar,
        }
        hollow = {**plain, "color": GREY, "symbol": "circle-open"}
        return [(label, without, hollow), ("", has[order], scaled)]

    def _sizes(self, where: NDArray[np.intp]) -> dict[str, Any]:
        if self.size is None:
            return {"size": 9 if len(where) <= 300 else 7 if len(where) <= MANY else 5}
        return {"size": self.size[where].astype(np.float32)}


def dots(
    runs: DataFrame,
    colour: str | None,
    size: str | None = None,
    *,
    lower: bool | None = None,
    said: Sequence[str] = (),
) -> Dots:
    """How runs are drawn as dots.

    Args:
        colour: the column that colours them.
        size: the column of numbers whose value is a dot's area.
        lower: whether low values of ``colour`` are the better ones, which lie on top.
        said: columns whose text hovering says (categories; numbers are said by the figure).
    """
    painted = paint(runs, colour) if colour else None
    columns = [*said, *([colour] if colour else []), *([size] if size else [])]
    names = column_labels(list(dict.fromkeys(columns)))
    blank = t("charts.label.blank")
    lines = [f"<b>{markup(name, _NAME) or blank}</b>" for name in runs["run_name"].fillna("")]
    for column in dict.fromkeys(columns):
        name = markup(names[column], _NAME)
        texts = [markup(text, _NAME) for text in read(runs[column]).texts]
        none = t("charts.label.no_value")
        lines = [
            f"{line}<br>{t('charts.hover.value', name=name, value=text or none)}"
            for line, text in zip(lines, texts, strict=True)
        ]
    return Dots(runs, painted, names, lower, _areas(runs, size) if size else None, tuple(lines))


def _areas(runs: DataFrame, column: str) -> Floats:
    """A diameter for each run; the smallest where the column has no number."""
    numbers = read(runs[column]).numbers
    if numbers is None or not np.isfinite(numbers).any():
        return np.full(len(runs), _SMALLEST)
    there = np.isfinite(numbers)
    low, high = numbers[there].min(), numbers[there].max()
    share = np.zeros(len(numbers))
    if high > low:
        share[there] = (numbers[there] - low) / (high - low)
    areas: Floats = np.sqrt(_SMALLEST**2 + share * (_LARGEST**2 - _SMALLEST**2))
    return areas
