"""Metrics over steps or time: every run a line, every extreme and every NaN on it."""

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.charts.along import Along, Axis, Laid
from core.charts.labels import markup, run_labels
from core.charts.look import (
    COLOURS,
    DASHES,
    LEGEND_HEIGHT,
    LEGEND_LIMIT,
    figure,
    legend_below,
    log_axis,
)
from core.charts.marks import MARKS, mark_key, mark_trace, masks
from core.charts.notes import Notes, notes
from core.charts.panels import TITLE, edge_name, layout, plot_height, x_name, y_name
from core.charts.scales import Floats, tick_text, true_infinity
from core.mlflow_api.histories import History
from core.runs.histories import Line
from core.texts import t
from core.thinning import Indices, keep_extremes, smooth, spikes, with_gaps

MOST_POINTS = 1_200
"""Points drawn of one curve: more than a screen has columns."""

MOST_LOOKS = len(COLOURS) * len(DASHES)
"""Runs that can be told apart by their lines."""

ALL_POINTS = 30_000
"""Points drawn in one figure; many runs share them. As SVG: without a graphics card WebGL takes
longer for as many (measured with 100 runs), and a page has few WebGL contexts."""

_FEWEST_POINTS = 100
_ALL_MARKS = 20_000
_FEWEST_MARKS = 40
_WITH_DOTS = 40
"""A curve of at most this many points shows each as a dot."""
_FAINT = 0.16
_MOST_SPIKES = 60


@dataclass(frozen=True)
class CurveLook:
    """How curves are drawn."""

    along: Along = "step"
    log_x: bool = False
    log_y: bool = False
    smoothing: float = 0.0
    """Weight of the exponential moving average, from 0 (none) to below 1; the values themselves
    stay as faint lines."""
    zone: str | None = None
    """The viewer's time zone, an IANA name; UTC where None."""


PLAIN = CurveLook()


@dataclass
class Tally:
    """What was drawn so far."""

    finite: int = 0
    drawn: int = 0
    left_out: int = 0
    marked: dict[str, int] = field(default_factory=dict)

    def mark(self, key: str, n: int) -> None:
        """Count ``n`` marks of one kind."""
        self.marked[key] = self.marked.get(key, 0) + n


def metric_curves(
    lines: Sequence[Line],
    look: CurveLook = PLAIN,
    *,
    runs: Iterable[tuple[str, str]] = (),
    highlight: Collection[str] = (),
    metric: tuple[str, Mapping[str, History]] = ("", {}),
    units: Mapping[str, str] | None = None,
) -> tuple[go.Figure, Notes]:
    """One line a run, one panel a metric, one colour a run in all panels.

    A curve of many points is thinned so that each stretch keeps its first, last, lowest and
    highest point. NaN, ±Inf and, on a log axis, zero and below are marked at the edge where they
    happened, and the line has a gap there.

    Args:
        lines: the histories.
        runs: id and name of all runs that may come into the figure, so that a run keeps its colour
            whichever metrics are drawn; those of ``lines`` where empty.
        highlight: ids of runs that stand out; all are equal where empty.
        metric: what runs along the bottom where ``look.along`` is "metric".
        units: what is measured in, by metric, where that is known.

    Returns:
        The figure, and what it drew, counted in points.

    Raises:
        ValueError: the smoothing is not at least 0 and below 1.
    """
    if not 0 <= look.smoothing < 1:
        raise ValueError(f"smoothing must be at least 0 and below 1, not {look.smoothing}")
    total = sum(len(line.history) for line in lines)
    if not total:
        return figure([], 200), notes(0, 0, [t("charts.notes.points_none")])
    named = dict(runs) or {line.run: line.name for line in lines}
    labels = run_labels(list(named.items()))
    looks = run_looks(named)
    keys = list(dict.fromkeys(line.key for line in lines))
    axis = Axis(lines, look.along, log=look.log_x, zone=look.zone, metric=metric)
    pen = _Pen(look, most_points(len(lines), smoothed=bool(look.smoothing)), len(lines), Tally())
    traces: list[Any] = []
    shown: set[str] = set()
    for line in sorted(lines, key=lambda line: (keys.index(line.key), line.run in highlight)):
        colour, dash = looks[line.run]
        stroke = Stroke(
            line.run,
            markup(labels[line.run]),
            markup(line.name, 80) or markup(labels[line.run]),
            colour,
            dash,
            keys.index(line.key),
            first=line.run not in shown,
            faint=bool(highlight) and line.run not in highlight,
        )
        shown.add(line.run)
        traces += pen.draw(stroke, line.history, axis.lay(line))
    drawn = [run for run in named if run in shown]
    made = assemble(traces, keys, lines, axis, look, pen.tally, len(drawn), units or {})
    return made, notes(
        pen.tally.drawn + sum(pen.tally.marked.values()),
        total,
        [*sentences(pen.tally, total, look), *_about_legend(len(drawn))],
    )


def run_looks(runs: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and dash of each run, which depend on the runs and not on their order.

    Mostly a run keeps its own when others come and go: its id says which colour it gets, unless
    that is taken more often than another.
    """
    taken: Counter[int] = Counter()
    looks = {}
    unique = sorted(set(runs))
    # Beyond that, looks repeat whatever is done, and dashes only make it harder to see.
    dashes = DASHES if len(unique) <= MOST_LOOKS else DASHES[:1]
    for run in unique:
        start = zlib.crc32(run.encode("utf-8", "replace"))
        order = [(start + i) % len(COLOURS) for i in range(len(COLOURS))]
        colour = min(order, key=lambda i: taken[i])
        looks[run] = (COLOURS[colour], dashes[taken[colour] % len(dashes)])
        taken[colour] += 1
    return looks


def most_points(curves: int, *, smoothed: bool) -> int:
    """How many points of one curve are drawn, so that the figure has no more than it can hold."""
    shares = max(1, curves) * (2 if smoothed else 1)
    return min(MOST_POINTS, max(_FEWEST_POINTS, ALL_POINTS // shares))


@dataclass(frozen=True)
class Stroke:
    """How one curve is drawn and named."""

    run: str
    label: str
    """For the legend, escaped."""
    name: str
    """For hovering: the name with less cut off, escaped."""
    colour: str
    dash: str
    panel: int
    first: bool
    """The first curve of its run: its name stands in the legend."""
    faint: bool

    @property
    def base(self) -> dict[str, Any]:
        """Where all traces of the curve belong."""
        place = {"xaxis": x_name(self.panel), "yaxis": y_name(self.panel)}
        return {"legendgroup": self.run, **place}


@dataclass
class _Pen:
    """Draws curves, and counts what it drew."""

    look: CurveLook
    most: int
    curves: int
    tally: Tally

    @property
    def width(self) -> float:
        """Of a line, in pixels: many need thin ones."""
        return 1.8 if self.curves <= MOST_LOOKS else 1.2

    def draw(self, stroke: Stroke, history: History, laid: Laid) -> list[Any]:
        """The traces of one curve."""
        rows = laid.rows
        values = true_infinity(history.values[rows])
        self.tally.left_out += len(history) - rows.size
        found = masks(values, log=self.look.log_y)
        off = np.zeros(len(values), dtype=bool)
        for mask in found.values():
            off |= mask
        raw = np.where(off, np.nan, values)
        at = self._kept(raw, off, laid)
        self.tally.finite += int((~off).sum())
        self.tally.drawn += int((~off[at]).sum())
        line = {"color": stroke.colour, "dash": stroke.dash, "width": self.width}
        traces = []
        smoothed = raw
        if self.look.smoothing:
            faint = {"color": stroke.colour, "width": 1}
            traces.append(
                go.Scatter(
                    x=laid.x(rows[at]),
                    y=raw[at],
                    mode="lines",
                    opacity=0.3 * (_FAINT if stroke.faint else 1),
                    line=faint,
                    hoverinfo="skip",
                    showlegend=False,
                    **stroke.base,
                )
            )
            smoothed = smooth(raw, self.look.smoothing)
            at = self._kept(smoothed, off, laid)
        fields = [history.steps[rows[at]]] if self.look.along != "step" else []
        fields += [raw[at]] if self.look.smoothing else []
        traces.append(
            go.Scatter(
                x=laid.x(rows[at]),
                y=smoothed[at],
                **_dots(smoothed[at], stroke.colour),
                name=stroke.label,
                showlegend=stroke.first,
                opacity=_FAINT if stroke.faint else 1,
                line=line,
                customdata=np.column_stack(fields) if fields else None,
                hovertemplate=_template(stroke, self.look),
                **stroke.base,
            )
        )
        for mark in MARKS:
            where = np.flatnonzero(found[mark.key]) if mark.key in found else np.empty(0, np.intp)
            if where.size:
                self.tally.mark(mark.key, int(where.size))
                place = {**stroke.base, "yaxis": edge_name(stroke.panel)}
                most = max(_FEWEST_MARKS, _ALL_MARKS // self.curves)
                x, steps = laid.x(rows[where]), history.steps[rows[where]]
                traces.append(
                    mark_trace(mark, where, x, steps, most, stroke.name, stroke.colour, **place)
                )
        return traces

    def _kept(self, values: Floats, off: NDArray[np.bool_], laid: Laid) -> Indices:
        """The points that are drawn, with one that is off in each gap."""
        finite = np.flatnonzero(~off)
        kept = finite[keep_extremes(values[finite], self.most, laid.place[finite])]
        if kept.size < finite.size:
            kept = np.union1d(kept, finite[spikes(values[finite], _MOST_SPIKES)])
        if laid.also is not None and kept.size < finite.size:
            sideways = keep_extremes(laid.also[finite], self.most // 2, laid.place[finite])
            kept = np.union1d(kept, finite[sideways])
        return with_gaps(kept, off)


def _dots(y: Floats, colour: str) -> dict[str, Any]:
    """Dots on short curves, and on a point that has no neighbour to draw a line to."""
    there = np.isfinite(y)
    if there.sum() <= _WITH_DOTS:
        return {"mode": "lines+markers", "marker": {"size": 5, "color": colour}}
    alone = there.copy()
    alone[1:] &= ~there[:-1]
    alone[:-1] &= ~there[1:]
    if not alone.any():
        return {"mode": "lines"}
    marker = {"size": np.where(alone, 5, 0), "color": colour}
    return {"mode": "lines+markers", "marker": marker}


def _template(stroke: Stroke, look: CurveLook) -> str:
    value = "%{y:.6~g}"
    if look.smoothing:
        raw = "%{customdata[1]:.6~g}" if look.along != "step" else "%{customdata[0]:.6~g}"
        value = f"{raw} · " + t("charts.hover.smoothed", value=value)
    where = t("charts.hover.step", step="%{x:,d}")
    if look.along != "step":
        where = t("charts.hover.step", step="%{customdata[0]:,d}") + " · %{x}"
    lines = [
        f"<b>{stroke.name}</b>",
        t("charts.hover.run", id=markup(stroke.run)),
        value,
        where,
    ]
    return "<br>".join(lines) + "<extra></extra>"


def assemble(
    traces: list[Any],
    keys: Sequence[str],
    lines: Sequence[Line],
    axis: Axis,
    look: CurveLook,
    tally: Tally,
    names: int,
    units: Mapping[str, str],
) -> go.Figure:
    """The figure of some traces, one panel a metric, with a legend where there is room for one."""
    y_axes: list[dict[str, Any]] = [{} for _ in keys]
    if look.log_y:
        y_axes = [
            log_axis(true_infinity(np.concatenate([x.history.values for x in lines if x.key == k])))
            for k in keys
        ]
    legend = names <= LEGEND_LIMIT and (names > 1 or bool(tally.marked))
    x_axis = {"title": axis.title, **({"type": "log", "tickformat": "~g"} if axis.log else {})}
    shown = figure(
        [*traces, *(mark_key(mark) for mark in MARKS if tally.marked.get(mark.key))],
        plot_height(len(keys)) + TITLE * len(keys) + 40 + (LEGEND_HEIGHT if legend else 0),
        f"{look.along} {axis.metric} {look.log_x} {look.log_y} {' '.join(keys)}",
        showlegend=legend,
        legend=legend_below(),
    )
    shown.update_layout(layout(keys, x_axis, y_axes, units))
    return shown


def sentences(tally: Tally, total: int, look: CurveLook) -> list[str]:
    """What was drawn and what was not, in words."""
    thinned = tally.drawn < tally.finite
    said = [
        t("charts.notes.points_thinned", total=total, drawn=tally.drawn)
        if thinned
        else t("charts.notes.points", n=total - tally.left_out)
    ]
    if tally.left_out:
        key = "no_x_log" if look.log_x else "no_x"
        said.append(t(f"curves.notes.{key}", n=tally.left_out))
    keys = {"not_positive": "not_positive_points"}
    said += [
        t(f"charts.notes.{keys.get(mark.key, mark.key)}", n=tally.marked[mark.key])
        for mark in MARKS
        if tally.marked.get(mark.key)
    ]
    if look.smoothing:
        said.append(t("charts.notes.smoothed", weight=tick_text(look.smoothing)))
    return said


def _about_legend(runs: int) -> list[str]:
    said = []
    if runs > MOST_LOOKS:
        said.append(t("charts.notes.colours_repeat", n=runs, looks=len(COLOURS)))
    if runs > LEGEND_LIMIT:
        said.append(t("charts.notes.legend_left_out", n=runs))
    return said
