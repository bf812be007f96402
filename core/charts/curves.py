"""Metrics over steps or time: every run a line, every extreme and every NaN on it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas import DataFrame, DatetimeIndex, Timestamp, factorize, to_datetime

from core.charts.labels import markup, run_labels
from core.charts.look import (
    COLOURS,
    DASHES,
    GREY,
    LEGEND_HEIGHT,
    LEGEND_LIMIT,
    axis,
    colours_by,
    figure,
    legend_below,
    log_axis,
)
from core.charts.notes import Notes, notes
from core.charts.scales import Floats, tick_text, true_infinity
from core.charts.thin import Indices, keep_extremes, smooth, stretches
from core.formats import count, in_zone, moment, number
from core.texts import t

Along = Literal["step", "time", "relative"]

MOST_POINTS = 1_200
"""Points drawn of one curve: more than a screen has columns."""

ALL_POINTS = 60_000
"""Points drawn in one figure; many runs share them."""

_FEWEST_POINTS = 200
_WEBGL_FROM = 15_000
_WITH_DOTS = 40
"""A curve of at most this many points shows each as a dot."""

_PANEL = 340
_SMALL_PANEL = 230
_TITLE = 34
"""Pixels over each panel for its metric's name."""

_UNITS = (("hours", 3_600.0, 7_200.0), ("minutes", 60.0, 300.0), ("seconds", 1.0, 0.0))
"""Unit of relative time, its seconds, and from how many seconds on it is used."""


@dataclass(frozen=True)
class _Mark:
    """How a value without a place on the axis is marked at its edge."""

    key: str
    symbol: str
    edge: float
    """0 is the bottom of the panel, 1 its top."""


_NAN = _Mark("nan", "x-thin", 0.0)
_ABOVE = _Mark("above", "triangle-up", 1.0)
_BELOW = _Mark("below", "triangle-down", 0.0)
_NOT_POSITIVE = _Mark("not_positive", "diamond", 0.0)
_MARKS = (_NAN, _ABOVE, _BELOW, _NOT_POSITIVE)


@dataclass
class _Tally:
    """What was drawn so far."""

    finite: int = 0
    drawn: int = 0
    marked: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Curve:
    """One metric of one run, in the order in which it is drawn."""

    run: str
    key: str
    label: str
    """For the legend, escaped."""

    name: str
    """For hovering: the name with less cut off, escaped."""

    x: NDArray[Any]
    steps: NDArray[np.int64]
    times: DatetimeIndex
    values: Floats
    """±Inf where MLflow stored its largest number."""


@dataclass(frozen=True)
class _Style:
    colours: dict[str, tuple[str, str]]
    kind: Any
    most: int
    log: bool
    smoothing: float
    zone: str | None


def metric_curves(
    points: DataFrame,
    x: Along = "step",
    log_y: bool = False,
    smoothing: float = 0.0,
    *,
    zone: str | None = None,
) -> tuple[go.Figure, Notes]:
    """One line a run, one panel a metric, one colour a run in all panels.

    A curve of many points is thinned so that each stretch keeps its first, last, lowest and
    highest point. NaN, ±Inf and, on a log axis, zero and below are marked at the edge where they
    happened, and the line has a gap there.

    Args:
        points: one row a point: ``run_id``, ``run_name``, ``key``, ``step``, ``value`` and ``at``
            (aware datetimes).
        x: what runs along the bottom; "relative" is the time since the run's first point.
        log_y: draw values as logarithms.
        smoothing: weight of the exponential moving average, from 0 (none) to below 1; the values
            themselves stay as faint lines.
        zone: the viewer's time zone, an IANA name; UTC where None.

    Returns:
        The figure, and what it drew, counted in points.

    Raises:
        ValueError: ``smoothing`` is not at least 0 and below 1.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be at least 0 and below 1, not {smoothing}")
    if points.empty:
        return figure([], 200), notes(0, 0, [t("charts.notes.points_none")])
    runs, keys = points["run_id"].unique().tolist(), points["key"].unique().tolist()
    firsts = points.drop_duplicates("run_id")
    names = dict(zip(firsts["run_id"], firsts["run_name"].fillna(""), strict=True))
    labels = run_labels([(run, names[run]) for run in runs])
    curves = list(_curves(points, x, labels, names, zone))
    most = min(MOST_POINTS, max(_FEWEST_POINTS, ALL_POINTS // len(curves)))
    few = min(len(points), len(curves) * most) <= _WEBGL_FROM
    style = _Style(
        colours_by(labels), go.Scatter if few else go.Scattergl, most, log_y, smoothing, zone
    )
    tally = _Tally()
    traces: list[Any] = []
    named: set[str] = set()
    for curve in curves:
        traces += _draw(curve, keys.index(curve.key), style, tally, first=curve.run not in named)
        named.add(curve.run)
    traces += [_mark_key(mark) for mark in _MARKS if tally.marked.get(mark.key)]
    y_axes = [
        log_axis(np.concatenate([curve.values for curve in curves if curve.key == key]))
        if log_y
        else {}
        for key in keys
    ]
    legend = len(labels) <= LEGEND_LIMIT and (len(labels) > 1 or bool(tally.marked))
    plot = (_PANEL if len(keys) == 1 else _SMALL_PANEL) * len(keys)
    shown = figure(
        traces,
        plot + _TITLE * len(keys) + 40 + (LEGEND_HEIGHT if legend else 0),
        f"{x} {log_y} {' '.join(keys)}",
        showlegend=legend,
        legend=legend_below(),
        **_panels(keys, _x_title(x, points, zone), y_axes, plot),
    )
    return shown, notes(
        tally.drawn + sum(tally.marked.values()),
        len(points),
        _sentences(tally, len(points), len(labels), smoothing),
    )


def _curves(
    points: DataFrame, x: Along, labels: dict[str, str], names: dict[str, str], zone: str | None
) -> Iterator[_Curve]:
    """The curves, by metric and then by run in the order of the labels."""
    run, _ = factorize(points["run_id"])
    key, keys = factorize(points["key"])
    step = points["step"].to_numpy(dtype=np.int64)
    times = DatetimeIndex(to_datetime(points["at"], utc=True)).as_unit("us")
    at = times.asi8
    values = true_infinity(points["value"].to_numpy(dtype=float))
    position: NDArray[Any] = step
    if x == "time":
        # Plotly has no time zones: it gets the clock of the viewer's.
        position = times.tz_convert(_clock(points, zone)).tz_localize(None).to_numpy()
    elif x == "relative":
        position = _since_first(points) / _unit(points)[1]
    order = np.lexsort((at, step, run, key) if x == "step" else (step, at, run, key))
    of = key[order] * len(labels) + run[order]
    runs = list(labels)
    for rows in np.split(order, np.flatnonzero(np.diff(of)) + 1):
        name = runs[run[rows[0]]]
        yield _Curve(
            name,
            str(keys[key[rows[0]]]),
            markup(labels[name]),
            markup(names[name], 80) or markup(labels[name]),
            position[rows],
            step[rows],
            times[rows],
            values[rows],
        )


def _since_first(points: DataFrame) -> Floats:
    """Seconds of each point after the first of its run."""
    at = to_datetime(points["at"], utc=True)
    first = at.groupby(points["run_id"]).transform("min")
    seconds: Floats = (at - first).dt.total_seconds().to_numpy()
    return seconds


def _unit(points: DataFrame) -> tuple[str, float]:
    """The unit of relative time that suits the longest run, and its seconds."""
    longest = float(_since_first(points).max())
    return next((unit, length) for unit, length, since in _UNITS if longest >= since)


def _clock(points: DataFrame, zone: str | None) -> tzinfo | None:
    """The viewer's time zone; UTC where its name is unknown."""
    return in_zone(Timestamp(points["at"].iloc[0]).to_pydatetime(), zone).tzinfo


def _x_title(x: Along, points: DataFrame, zone: str | None) -> str:
    if x == "relative":
        return t(f"charts.x.{_unit(points)[0]}")
    return t(f"charts.x.{x}", zone=_clock(points, zone) if x == "time" else "")


def _draw(curve: _Curve, panel: int, style: _Style, tally: _Tally, *, first: bool) -> list[Any]:
    """The traces of one curve, counted in ``tally``."""
    marks = _masks(curve.values, style.log)
    off = np.zeros(len(curve.values), dtype=bool)
    for mask in marks.values():
        off |= mask
    finite = np.flatnonzero(~off)
    kept = finite[keep_extremes(curve.values[finite], style.most)]
    tally.finite += finite.size
    tally.drawn += kept.size
    at = _with_gaps(kept, off)
    colour, dash = style.colours[curve.run]
    base = {
        "legendgroup": curve.run,
        "xaxis": f"x{panel + 1}" if panel else "x",
        "yaxis": _y_name(panel),
    }
    main = {
        **base,
        "name": curve.label,
        "showlegend": first,
        "line": {"color": colour, "dash": dash, "width": 1.8},
        "customdata": _point_fields(curve, at, style.zone),
        "hovertemplate": _point_template(curve, smoothed=bool(style.smoothing)),
    }
    raw = np.where(off, np.nan, curve.values)
    traces = []
    if style.smoothing:
        faint = {"color": colour, "width": 1}
        traces.append(
            style.kind(
                x=curve.x[at],
                y=raw[at],
                mode="lines",
                opacity=0.3,
                line=faint,
                hoverinfo="skip",
                showlegend=False,
                **base,
            )
        )
        raw = smooth(raw, style.smoothing)
    traces.append(style.kind(x=curve.x[at], y=raw[at], **_dots(raw[at], colour), **main))
    for mark in _MARKS:
        where = np.flatnonzero(marks[mark.key])
        if where.size:
            tally.marked[mark.key] = tally.marked.get(mark.key, 0) + int(where.size)
            traces.append(_marked(curve, mark, where, panel, colour, base))
    return traces


def _masks(values: Floats, log: bool) -> dict[str, NDArray[np.bool_]]:
    low = (values <= 0) & np.isfinite(values)
    return {
        "nan": np.isnan(values),
        "above": values == np.inf,
        "below": values == -np.inf,
        "not_positive": low if log else np.zeros(len(values), dtype=bool),
    }


def _with_gaps(kept: Indices, off: NDArray[np.bool_]) -> Indices:
    """``kept`` and, between neighbours with something off between them, one point that is off."""
    if kept.size == 0:
        return kept
    bad = np.flatnonzero(off)
    if bad.size == 0:
        return kept
    following = np.searchsorted(bad, kept[:-1])
    inside = following < bad.size
    inside[inside] = bad[following[inside]] < kept[1:][inside]
    return np.sort(np.concatenate([kept, bad[following[inside]]]))


def _dots(y: Floats, colour: str) -> dict[str, Any]:
    """Dots on short curves, and on a point that has no neighbour to draw a line to."""
    there = np.isfinite(y)
    if there.sum() <= _WITH_DOTS:
        return {"mode": "lines+markers", "marker": {"size": 5, "color": colour}}
    before = np.concatenate([[False], there[:-1]])
    after = np.concatenate([there[1:], [False]])
    alone = there & ~before & ~after
    if not alone.any():
        return {"mode": "lines"}
    marker = {"size": np.where(alone, 5, 0), "color": colour}
    return {"mode": "lines+markers", "marker": marker}


def _marked(
    curve: _Curve, mark: _Mark, where: Indices, panel: int, colour: str, base: dict[str, Any]
) -> Any:
    """The marks of one kind at the edge: first and last of each stretch, a line between."""
    spans = stretches(where, max(1, len(curve.values) // MOST_POINTS))
    at: list[int] = []
    said: list[str] = []
    for first, last in spans:
        n = int(np.count_nonzero((where >= first) & (where <= last)))
        key = "single" if n == 1 else "stretch"
        text = t(
            f"charts.hover.{key}",
            mark=t(f"charts.mark.{mark.key}"),
            n=n,
            first=count(int(curve.steps[first])),
            last=count(int(curve.steps[last])),
        )
        at += [first, last, last]
        said += [text, text, ""]
    y = np.full(len(at), mark.edge)
    y[2::3] = np.nan
    return go.Scatter(
        x=curve.x[at],
        y=y,
        mode="lines+markers",
        line={"color": colour, "width": 1},
        marker={
            "symbol": mark.symbol,
            "size": 9,
            "color": colour,
            "line": {"color": colour, "width": 2 if mark.symbol.endswith("thin") else 0},
        },
        customdata=said,
        hovertemplate=f"<b>{curve.name}</b><br>%{{customdata}}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
        **{**base, "yaxis": _edge_name(panel)},
    )


def _mark_key(mark: _Mark) -> Any:
    """The entry of a mark in the legend."""
    thin = {"color": GREY, "width": 2 if mark.symbol.endswith("thin") else 0}
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": mark.symbol, "size": 9, "color": GREY, "line": thin},
        name=t(f"charts.mark.{mark.key}"),
        hoverinfo="skip",
        showlegend=True,
    )


def _point_fields(curve: _Curve, at: Indices, zone: str | None) -> NDArray[np.object_]:
    steps = [count(int(step)) for step in curve.steps[at]]
    times = [moment(when, zone) for when in curve.times[at].to_pydatetime()]
    values = [number(value, 6) for value in curve.values[at].tolist()]
    return np.array([steps, times, values], dtype=object).T


def _point_template(curve: _Curve, *, smoothed: bool) -> str:
    lines = [
        f"<b>{curve.name}</b>",
        t("charts.hover.run", id=markup(curve.run)),
        "%{customdata[2]}",
        t("charts.hover.step", step="%{customdata[0]}") + " · %{customdata[1]}",
    ]
    if smoothed:
        lines[2] += " · " + t("charts.hover.smoothed", value="%{y:.6~g}")
    return "<br>".join(lines) + "<extra></extra>"


def _y_name(panel: int) -> str:
    return f"y{2 * panel + 1}" if panel else "y"


def _edge_name(panel: int) -> str:
    return f"y{2 * panel + 2}"


def _panels(
    keys: list[str], x_title: str, y_axes: list[dict[str, Any]], plot: int
) -> dict[str, Any]:
    """Axes and titles of panels under one another, which zoom together along ``x``."""
    layout: dict[str, Any] = {"annotations": []}
    share = 1 / len(keys)
    gap = share * _TITLE / (plot / len(keys) + _TITLE)
    for panel, key in enumerate(keys):
        bottom = 1 - (panel + 1) * share
        domain = [bottom, bottom + share - gap]
        number_ = panel + 1 if panel else ""
        last = panel == len(keys) - 1
        layout[f"xaxis{number_}"] = axis(
            anchor=_y_name(panel),
            matches="x" if panel else None,
            showticklabels=last,
            title={"text": x_title if last else ""},
        )
        layout[_y_name(panel).replace("y", "yaxis")] = axis(
            anchor=f"x{number_}",
            domain=domain,
            **y_axes[panel],
        )
        # Marks keep to the edge of the panel however far one zooms.
        layout[_edge_name(panel).replace("y", "yaxis")] = {
            "anchor": f"x{number_}",
            "overlaying": _y_name(panel),
            "range": [0, 1],
            "fixedrange": True,
            "visible": False,
        }
        layout["annotations"].append(
            {
                "text": f"<b>{markup(key, 60)}</b>",
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": domain[1],
                "yref": "paper",
                "yanchor": "bottom",
                "yshift": 6,
                "showarrow": False,
            }
        )
    return layout


def _sentences(tally: _Tally, total: int, runs: int, smoothing: float) -> list[str]:
    if tally.drawn < tally.finite:
        first = t("charts.notes.points_thinned", total=total, drawn=tally.drawn)
    else:
        first = t("charts.notes.points", n=total)
    looks = len(COLOURS) * len(DASHES)
    keys = {"not_positive": "not_positive_points"}
    return [
        first,
        *(
            t(f"charts.notes.{keys.get(mark.key, mark.key)}", n=tally.marked[mark.key])
            for mark in _MARKS
            if tally.marked.get(mark.key)
        ),
        t("charts.notes.smoothed", weight=tick_text(smoothing)) if smoothing else "",
        t("charts.notes.colours_repeat", n=runs, looks=looks) if runs > looks else "",
        t("charts.notes.legend_left_out", n=runs) if runs > LEGEND_LIMIT else "",
    ]
