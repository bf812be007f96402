"""Groups of repeated runs: every run as a dot, the mean with its interval over them."""

import numpy as np
import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.labels import clean, distinct, markup
from core.charts.look import COLOURS, GREY, RULE, axis, figure
from core.charts.notes import Notes, notes
from core.formats import alike, number
from core.texts import t

MOST = 40
"""Groups that one figure draws."""

_NAME = 30
_ROW = 34


def group_intervals(groups: DataFrame, runs: DataFrame, metric: str) -> tuple[go.Figure, Notes]:
    """One row a group, the first on top: the runs, and the mean with its 95 % interval.

    Args:
        groups: ``label`` (outside text), ``n``, ``mean``, ``low``, ``high`` (NaN without an
            interval), ``held`` (True for the one that the others are held against).
        runs: ``label`` (of its group), ``value`` (finite), ``key`` (its seed, outside text).
        metric: the metric's key, for the title.

    Returns:
        The figure, and what it drew, counted in groups.
    """
    drawn = groups.head(MOST)
    labels = distinct([clean(label, _NAME) or t("charts.label.blank") for label in drawn["label"]])
    row = {label: float(i) for i, label in enumerate(drawn["label"])}
    mean, low, high = (drawn[c].to_numpy(dtype=float) for c in ("mean", "low", "high"))
    held = drawn["held"].to_numpy(dtype=bool)
    inside = runs[runs["label"].isin(set(row))]
    dots = go.Scatter(
        x=inside["value"],
        y=[row[label] for label in inside["label"]],
        mode="markers",
        marker={"color": GREY, "size": 8, "opacity": 0.6},
        customdata=[
            f"<b>{markup(label, 80)}</b><br>"
            + t("charts.hover.value", name=markup(metric, 40), value=number(value, 5))
            + (f"<br>{markup(key, 60)}" if key else "")
            for label, value, key in zip(
                inside["label"], inside["value"], inside["key"], strict=True
            )
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    colours = [COLOURS[1] if one else COLOURS[0] for one in held]
    traces = [dots]
    for colour in dict.fromkeys(colours):
        of = np.array([c == colour for c in colours])
        traces.append(_means(drawn[of], np.flatnonzero(of), mean[of], low[of], high[of], colour))
    shown = figure(
        traces,
        64 + _ROW * max(2, len(drawn)),
        metric,
        xaxis=axis(title={"text": markup(metric, 60)}),
        yaxis=axis(
            tickvals=np.arange(len(drawn)),
            ticktext=[markup(label) for label in labels],
            range=[len(drawn) - 0.4, -0.6],
            fixedrange=True,
        ),
    )
    for at in mean[held]:
        shown.add_vline(x=at, line={"color": RULE, "width": 1, "dash": "dot"})
    said = t("statistics.notes.groups", n=len(groups), drawn=len(drawn))
    return shown, notes(len(drawn), len(groups), [said if len(drawn) < len(groups) else ""])


def _means(
    groups: DataFrame,
    rows: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    mean: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    low: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    high: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    colour: str,
) -> go.Scatter:
    texts = [
        f"<b>{markup(label, 80)}</b><br>" + _said(n, *ends)
        for label, n, ends in zip(
            groups["label"], groups["n"], zip(mean, low, high, strict=True), strict=True
        )
    ]
    return go.Scatter(
        x=mean,
        y=rows,
        mode="markers",
        marker={"color": colour, "size": 11, "symbol": "diamond"},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(high - mean),
            "arrayminus": np.nan_to_num(mean - low),
            "color": colour,
            "thickness": 2.5,
            "width": 7,
        },
        customdata=texts,
        hovertemplate="%{customdata}<extra></extra>",
    )


def _said(n: int, mean: float, low: float, high: float) -> str:
    if np.isnan(low):
        return t("statistics.hover.single", mean=number(mean, 5))
    told, lower, upper = alike(mean, low, high)
    return t("statistics.hover.group", mean=told, low=lower, high=upper, n=n)
