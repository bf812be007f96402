"""What a metric depends on: bars with intervals, and the effect of one param with its band."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.labels import clean, distinct, markup
from core.charts.look import COLOURS, GREY, RULE, axis, figure
from core.charts.scales import Floats, read, scale
from core.formats import alike, number
from core.texts import t

_NAME = 28
_ROW = 30
_BAND = "rgba(0, 114, 178, 0.22)"
_FEW = 24
_SPREAD = 0.16
"""How far dots of one value are spread sideways, as a part of the way to the next value."""

_GAP = 0.12
"""Between numbers and words beside them, as a part of the numbers' width."""


def importance_bars(frame: DataFrame) -> go.Figure:
    """A bar a row with its interval, the first on top; grey where the interval reaches zero.

    Args:
        frame: ``name`` (outside text), ``mean``, ``low``, ``high`` (R² lost).
    """
    names = distinct([clean(name, _NAME) or t("charts.label.blank") for name in frame["name"]])
    mean, low, high = (frame[c].to_numpy(dtype=float) for c in ("mean", "low", "high"))
    said = [
        "<br>".join(
            [
                f"<b>{markup(full, 80)}</b>",
                t("statistics.hover.interval", mean=m, low=lower, high=upper),
            ]
        )
        for full, (m, lower, upper) in zip(frame["name"], map(alike, mean, low, high), strict=True)
    ]
    bars = go.Bar(
        x=mean,
        y=np.arange(len(frame)),
        orientation="h",
        marker={"color": [COLOURS[0] if one > 0 else GREY for one in low], "opacity": 0.85},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - mean,
            "arrayminus": mean - low,
            "color": GREY,
            "thickness": 1.5,
            "width": 4,
        },
        customdata=said,
        hovertemplate="%{customdata}<extra></extra>",
    )
    return figure(
        [bars],
        56 + _ROW * max(2, len(frame)),
        bargap=0.35,
        xaxis=axis(title={"text": t("statistics.axis.lost")}, zeroline=True, zerolinecolor=RULE),
        yaxis=axis(
            tickvals=np.arange(len(frame)),
            ticktext=[markup(name) for name in names],
            range=[len(frame) - 0.4, -0.6],
            showgrid=False,
            fixedrange=True,
        ),
    )


def param_effect(effect: DataFrame, runs: DataFrame, metric: str, log: bool) -> go.Figure:
    """The runs as dots, and over them the mean prediction with its band.

    Args:
        effect: ``value`` (text, None for missing), ``number`` (NaN for words), ``mean``, ``low``,
            ``high``, numbers by size first.
        runs: ``run_name``, ``value`` (text, None for missing), ``number``, ``metric`` (finite).
        metric: the metric's key, for the title.
        log: draw the metric on a log axis.
    """
    places = _Places(effect, runs)
    at = places.of(effect)
    numbers = np.isfinite(effect["number"].to_numpy(dtype=float))
    traces: list[Any] = [_dots(places.of(runs), runs, metric)]
    mean, low, high = (effect[c].to_numpy(dtype=float) for c in ("mean", "low", "high"))
    said = [
        t("statistics.hover.effect", mean=m, low=lower, high=upper)
        for m, lower, upper in map(alike, mean, low, high)
    ]
    line = {"color": COLOURS[0], "width": 2.5}
    if numbers.sum() > 1:
        x = at[numbers]
        traces.append(
            go.Scatter(
                x=np.concatenate([x, x[::-1]]),
                y=np.concatenate([high[numbers], low[numbers][::-1]]),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=_BAND,
                hoverinfo="skip",
            )
        )
    few = ~numbers if numbers.sum() > 1 else np.ones(len(at), dtype=bool)
    for rows, mode in ((~few, "lines"), (few, "markers")):
        if rows.any():
            traces.append(
                go.Scatter(
                    x=at[rows],
                    y=mean[rows],
                    mode=mode,
                    line=line,
                    marker={"color": COLOURS[0], "size": 10, "symbol": "diamond"},
                    error_y=_whiskers(mean[rows], low[rows], high[rows])
                    if mode == "markers"
                    else None,
                    customdata=[text for text, row in zip(said, rows, strict=True) if row],
                    hovertemplate="%{customdata}<extra></extra>",
                )
            )
    return figure(
        traces,
        300,
        xaxis=axis(
            tickvals=[x for x, _ in places.ticks],
            ticktext=[markup(text) for _, text in places.ticks],
            range=places.range,
            autotickangles=[0, -40, -90],
        ),
        yaxis=axis(
            title={"text": markup(metric, 40)},
            **({"type": "log", "tickformat": "~g"} if log else {}),
        ),
    )


class _Places:
    """Where values of a param stand: numbers along a scale, words and missing beside it."""

    def __init__(self, effect: DataFrame, runs: DataFrame) -> None:
        numbers = np.concatenate([effect["number"], runs["number"]]).astype(float)
        there = numbers[np.isfinite(numbers)]
        self.log, self.ticks, low, high = False, [], 0.0, 0.0
        if there.size:
            along = scale(read(effect["number"].__class__(there)))
            self.log, low, high = along.log, along.low, along.high
            self.ticks = list(along.ticks)
        gap = _GAP * (high - low) if there.size else 1.0
        words = [v for v, x in zip(effect["value"], effect["number"], strict=True) if np.isnan(x)]
        start = high + gap if there.size else 0.0
        self._beside = {_key(word): start + gap * i for i, word in enumerate(words)}
        labels = distinct([_label(word) for word in words])
        self.ticks += list(zip(self._beside.values(), labels, strict=True))
        last = max([high, *self._beside.values()])
        self.range = [low - gap / 2, last + gap / 2]

    def of(self, frame: DataFrame) -> Floats:
        """The place of each row; NaN for words that the effect was not asked for."""
        numbers = frame["number"].to_numpy(dtype=float)
        along = (
            np.log10(numbers, where=numbers > 0, out=np.full(len(numbers), np.nan))
            if self.log
            else numbers
        )
        beside = np.array([self._beside.get(_key(v), np.nan) for v in frame["value"]])
        return np.where(np.isfinite(numbers), along, beside)


def _key(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _label(value: object) -> str:
    if not isinstance(value, str):
        return t("charts.label.missing")
    return clean(value, 18) or t("charts.label.blank")


def _dots(at: Floats, runs: DataFrame, metric: str) -> Any:
    places = np.unique(at[np.isfinite(at)])
    if 1 < len(places) <= _FEW:  # else the runs of one value hide one another
        width = _SPREAD * float(np.diff(places).min())
        at = at + np.random.default_rng(0).uniform(-width, width, len(at))
    texts = [
        f"<b>{markup(name, 60) or t('charts.label.blank')}</b><br>"
        + t("charts.hover.value", name=markup(metric, 40), value=number(value, 5))
        for name, value in zip(runs["run_name"], runs["metric"], strict=True)
    ]
    return go.Scatter(
        x=at,
        y=runs["metric"],
        mode="markers",
        marker={"color": GREY, "size": 5, "opacity": 0.45},
        customdata=texts,
        hovertemplate="%{customdata}<extra></extra>",
    )


def _whiskers(mean: Floats, low: Floats, high: Floats) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": high - mean,
        "arrayminus": mean - low,
        "color": COLOURS[0],
        "thickness": 2,
        "width": 6,
    }
