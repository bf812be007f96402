"""Groups of runs as bands: the mean of each group as a line, its spread as an area around it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.charts.along import Axis
from core.charts.curves import MOST_LOOKS, PLAIN, CurveLook, Tally, assemble, most_points, run_looks
from core.charts.labels import markup, run_labels
from core.charts.look import figure
from core.charts.notes import Notes, notes
from core.charts.panels import x_name, y_name
from core.charts.scales import Floats, tick_text
from core.mlflow_api.histories import History
from core.runs.bands import Band, Spread, band
from core.runs.histories import Line
from core.texts import t
from core.thinning import Indices, keep_extremes, smooth

MOST_GROUPS = MOST_LOOKS
"""Groups in one figure: as many as there are looks of line."""

_AREA = 0.16


def group_bands(
    lines: Sequence[Line],
    groups: Mapping[str, str],
    spread: Spread,
    look: CurveLook = PLAIN,
    *,
    units: Mapping[str, str] | None = None,
) -> tuple[go.Figure, Notes]:
    """One line and one area a group of runs, one panel a metric.

    At each step stands the mean of the runs that logged a value there: nothing is made up where
    runs log at different steps, and ``n`` is said on hovering.

    Args:
        groups: run id → its group's name; the largest ``MOST_GROUPS`` are drawn.
        spread: what the area shows.
        look: always along steps.

    Returns:
        The figure, and what it drew, counted in points of the runs.
    """
    members: dict[str, set[str]] = {}
    for line in lines:
        if line.run in groups:
            members.setdefault(groups[line.run], set()).add(line.run)
    if not members:
        return figure([], 200), notes(0, 0, [t("charts.notes.points_none")])
    largest = sorted(members, key=lambda name: -len(members[name]))[:MOST_GROUPS]
    drawn = {name for name in members if name in set(largest)}
    labels = run_labels([(name, name) for name in members if name in drawn])
    looks = run_looks(members)
    keys = list(dict.fromkeys(line.key for line in lines))
    tally = Tally()
    traces: list[Any] = []
    means: list[Line] = []
    found: list[Band] = []
    named: set[str] = set()
    most = most_points(3 * len(keys) * len(drawn), smoothed=bool(look.smoothing))
    for panel, key in enumerate(keys):
        for name in labels:
            of = [x.history for x in lines if x.key == key and groups.get(x.run) == name]
            if not of:
                continue
            made = band(of, spread)
            if not made.steps.size:
                continue
            found.append(made)
            label = t("curves.group", name=markup(labels[name]), n=made.runs)
            base = {"legendgroup": markup(name), "xaxis": x_name(panel), "yaxis": y_name(panel)}
            traces += _traces(made, looks[name], label, spread, look, most, tally, base, named)
            means.append(
                Line(name, name, key, History(made.steps, made.mean, np.zeros_like(made.steps)))
            )
    if not means:
        return figure([], 200), notes(0, 0, [t("charts.notes.points_none")])
    axis = Axis(means, "step", log=look.log_x)
    total = sum(len(line.history) for line in lines if groups.get(line.run) in drawn)
    shown = assemble(traces, keys, means, axis, look, Tally(), len(drawn), units or {})
    return shown, notes(total, total, _sentences(found, total, tally, len(members), look, spread))


def _traces(
    made: Band,
    colour_dash: tuple[str, str],
    label: str,
    spread: Spread,
    look: CurveLook,
    most: int,
    tally: Tally,
    base: dict[str, Any],
    named: set[str],
) -> list[Any]:
    """The area, the line, and under a smoothed line the mean itself."""
    colour, dash = colour_dash
    there = _on_axes(made, look)
    mean = smooth(made.mean, look.smoothing) if look.smoothing else made.mean
    place = made.steps.astype(float)
    edges = (made.low, made.high, made.mean, mean)
    kept = _kept(edges, there, place, most)
    tally.finite += there.size
    tally.drawn += kept.size
    x = made.steps[kept]
    low, high = made.low[kept], made.high[kept]
    traces = [_area(x, low, high, colour, look, base)]
    if look.smoothing:
        faint = {"color": colour, "width": 1}
        more = {"opacity": 0.4, "hoverinfo": "skip", "showlegend": False}
        traces.append(go.Scatter(x=x, y=made.mean[kept], mode="lines", line=faint, **more, **base))
    first = base["legendgroup"] not in named
    named.add(base["legendgroup"])
    around = t(f"curves.hover.{spread}", low="%{customdata[1]:.6~g}", high="%{customdata[2]:.6~g}")
    hover = [
        f"<b>{label}</b>",
        t("curves.hover.mean", mean="%{customdata[3]:.6~g}", n="%{customdata[0]:d}"),
        around,
        t("charts.hover.step", step="%{x:,d}"),
    ]
    if look.smoothing:
        hover.insert(2, t("charts.hover.smoothed", value="%{y:.6~g}"))
    dots = {"mode": "lines+markers", "marker": {"size": 5}} if kept.size <= 40 else {}
    traces.append(
        go.Scatter(
            x=x,
            y=mean[kept],
            name=label,
            showlegend=first,
            line={"color": colour, "dash": dash, "width": 2},
            customdata=np.column_stack([made.n[kept], low, high, made.mean[kept]]),
            hovertemplate="<br>".join(hover) + "<extra></extra>",
            **({"mode": "lines"} | dots),
            **base,
        )
    )
    return traces


def _on_axes(made: Band, look: CurveLook) -> Indices:
    there = np.ones(len(made.steps), dtype=bool)
    if look.log_x:
        there &= made.steps > 0
    if look.log_y:
        there &= made.mean > 0
    return np.flatnonzero(there)


def _kept(edges: Sequence[Floats], there: Indices, place: Floats, most: int) -> Indices:
    """Points that keep the extremes of the line and of both edges of the area."""
    kept = [np.empty(0, np.intp)]
    for edge in edges:
        finite = there[np.isfinite(edge[there])]
        kept.append(finite[keep_extremes(edge[finite], most, place[finite])])
    return np.unique(np.concatenate(kept))


def _area(
    x: np.ndarray[Any, Any], low: Floats, high: Floats, colour: str, look: CurveLook,
    base: dict[str, Any],
) -> Any:  # fmt: skip
    """The area between two lines, in pieces where it is unknown between them."""
    if look.log_y and np.isfinite(high).any() and (high > 0).any():
        # An edge below zero leaves a log axis at its bottom.
        floor = np.nanmin(np.where(high > 0, high, np.nan)) / 1e3
        low = np.where(np.isfinite(low), np.maximum(low, floor), np.nan)
    known = np.isfinite(low) & np.isfinite(high)
    borders = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(int), [0]])))
    xs, ys = [], []
    for a, b in zip(borders[::2], borders[1::2], strict=True):
        xs += [x[a:b], x[a:b][::-1], [np.nan]]
        ys += [low[a:b], high[a:b][::-1], [np.nan]]
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return go.Scatter(
        x=np.concatenate([*xs, []]),
        y=np.concatenate([*ys, []]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, {_AREA})",
        hoverinfo="skip",
        showlegend=False,
        **base,
    )


def _sentences(
    found: Sequence[Band], total: int, tally: Tally, groups: int, look: CurveLook, spread: Spread
) -> list[str]:
    said = [t("curves.notes.groups", n=min(groups, MOST_GROUPS), total=total)]
    if groups > MOST_GROUPS:
        said[0] = t("curves.notes.groups_cut", n=MOST_GROUPS, of=groups, total=total)
    if tally.drawn < tally.finite:
        said.append(t("curves.notes.steps", n=tally.finite, drawn=tally.drawn))
    said.append(t(f"curves.notes.{spread}"))
    if any(one.uneven for one in found):
        least = min(int(one.n.min()) for one in found)
        most = max(int(one.n.max()) for one in found)
        said.append(t("curves.notes.uneven", least=least, most=most))
    for key in ("not_finite", "repeated"):
        n = sum(getattr(one, key) for one in found)
        said += [t(f"curves.notes.{key}", n=n)] if n else []
    if look.smoothing:
        said.append(t("curves.notes.smoothed", weight=tick_text(look.smoothing)))
    return said
