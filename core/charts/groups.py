"""A metric over the groups of a param: boxes with quartiles, or bars of means."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas import DataFrame

from core.charts.dots import Side, dots, reasons, side
from core.charts.labels import column_labels, markup
from core.charts.look import COLOURS, GREY, axis, figure
from core.charts.notes import Notes, notes
from core.charts.scales import Floats, Mask, category_labels, read, tick_text
from core.formats import count, number
from core.texts import t

MOST_GROUPS = 30
_BINS = 10
_AS_THEY_ARE = 12
"""A number of at most so many different values is a group each; of more, bins."""
_MOST_OUTLIERS = 1_500
_NAME = 60
_HEIGHT = 520


@dataclass(frozen=True)
class _Groups:
    labels: tuple[str, ...]
    of: NDArray[np.intp]
    """The group of each row, -1 where it is in none."""
    others: int
    """Groups that are not shown."""
    binned: bool


def boxes(runs: DataFrame, x: str, y: str, *, log_y: bool = False) -> tuple[go.Figure, Notes]:
    """A box for each group: quartiles, median, mean, and whiskers to the last run within 1.5
    interquartile ranges (Tukey 1977); runs beyond are dots.

    Args:
        runs: one row a run: ``run_name`` and the columns named.
        x: what groups; a number of many different values is cut into bins of equally many runs.
        y: a column of numbers.
        log_y: draw ``y`` on a log axis.
    """
    names = column_labels(list(dict.fromkeys([x, y])))
    up = side(runs, y, names[y], log=log_y)
    if up.words:
        return figure([], 200), notes(0, len(runs), [t("charts.notes.no_numbers", name=names[y])])
    groups = _grouped(runs, x)
    keep = up.there & (groups.of >= 0)
    made: list[dict[str, float]] = []
    beyond = np.zeros(len(runs), dtype=bool)
    for i in range(len(groups.labels)):
        rows = keep & (groups.of == i)
        made.append(_box(up.at[rows]) if rows.any() else {})
        if made[-1]:
            beyond |= rows & ((up.at < made[-1]["low"]) | (up.at > made[-1]["high"]))
    full = [i for i, one in enumerate(made) if one]
    column = {
        key: [made[i][key] for i in full] for key in ("q1", "median", "q3", "low", "high", "mean")
    }
    box = go.Box(
        x=full,
        q1=column["q1"],
        median=column["median"],
        q3=column["q3"],
        lowerfence=column["low"],
        upperfence=column["high"],
        mean=column["mean"],
        boxmean=True,
        line={"color": COLOURS[0], "width": 1.6},
        fillcolor="rgba(0, 114, 178, 0.18)",
        hoverinfo="y",
        showlegend=False,
    )
    shown, hidden = _thinned(beyond, up.at)
    aside = groups.of + 0.35 * ((np.arange(len(runs)) * 0.6180339887) % 1 - 0.5)
    says = [t("charts.hover.value", name=markup(names[y], _NAME), value="%{y:.6~g}")]
    drawn = int(keep.sum())
    said = [
        t("charts.notes.runs", n=len(runs), drawn=drawn),
        *_left_out(runs, x, names, up, groups),
    ]
    if hidden:
        said.append(t("charts.notes.outliers", n=int(beyond.sum()), shown=int(shown.sum())))
    said.append(t("charts.notes.box"))
    outliers = dots(runs, None, said=[x]).traces(aside, up.at, shown, says, many=False)
    for trace in outliers:
        trace.update(marker={"size": 5, "opacity": 0.5})
    return figure(
        [box, *outliers],
        _HEIGHT,
        f"box {x} {y} {log_y}",
        xaxis=_bottom(groups, keep, names[x]),
        yaxis=up.layout,
        dragmode="select",
    ), notes(drawn, len(runs), said)


def bars(runs: DataFrame, x: str, y: str) -> tuple[go.Figure, Notes]:
    """A bar for each group up to the mean, with one standard deviation to either side.

    Args:
        runs: one row a run, with the columns named.
        x: what groups, as in ``boxes``.
        y: a column of numbers.
    """
    names = column_labels(list(dict.fromkeys([x, y])))
    up = side(runs, y, names[y])
    if up.words:
        return figure([], 200), notes(0, len(runs), [t("charts.notes.no_numbers", name=names[y])])
    groups = _grouped(runs, x)
    keep = up.there & (groups.of >= 0)
    some = len(groups.labels)
    n = np.bincount(groups.of[keep], minlength=some)
    safe_n = np.maximum(n, 1)
    mean = np.bincount(groups.of[keep], up.at[keep], minlength=some) / safe_n
    around = (up.at[keep] - mean[groups.of[keep]]) ** 2
    squares = np.bincount(groups.of[keep], around, minlength=some)
    spread = np.sqrt(squares / np.maximum(n - 1, 1))
    full = np.flatnonzero(n)
    bar = go.Bar(
        x=full,
        y=mean[full],
        error_y={
            "array": np.where(n[full] > 1, spread[full], np.nan),
            "thickness": 1.4,
            "width": 6,
            "color": GREY,
        },
        marker={"color": COLOURS[0], "opacity": 0.85, "line": {"width": 0}},
        text=[number(float(value)) for value in mean[full]],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        customdata=[[count(int(n[i])), number(float(spread[i]))] for i in full],
        hovertemplate="<br>".join(
            [
                t("charts.hover.mean", mean="%{text}", n="%{customdata[0]}"),
                t("charts.hover.deviation", sd="%{customdata[1]}"),
            ]
        )
        + "<extra></extra>",
        showlegend=False,
    )
    drawn = int(keep.sum())
    said = [
        t("charts.notes.runs", n=len(runs), drawn=drawn),
        *_left_out(runs, x, names, up, groups),
    ]
    said.append(t("charts.notes.bar"))
    return figure(
        [bar],
        _HEIGHT,
        f"bar {x} {y}",
        xaxis=_bottom(groups, keep, names[x]),
        yaxis={**up.layout, "rangemode": "tozero"},
        bargap=0.35,
    ), notes(drawn, len(runs), said)


def _box(values: Floats) -> dict[str, float]:
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.5 * (q3 - q1)
    within = values[(values >= q1 - reach) & (values <= q3 + reach)]
    return {
        "q1": float(q1),
        "median": float(median),
        "q3": float(q3),
        "low": float(within.min()),
        "high": float(within.max()),
        "mean": float(values.mean()),
    }


def _thinned(beyond: Mask, at: Floats) -> tuple[Mask, bool]:
    """The outliers that are drawn: where they are too many, the most extreme of them."""
    rows = np.flatnonzero(beyond)
    if rows.size <= _MOST_OUTLIERS:
        return beyond, False
    ends = rows[np.argsort(at[rows], kind="stable")]
    kept = np.concatenate([ends[: _MOST_OUTLIERS // 2], ends[-_MOST_OUTLIERS // 2 :]])
    shown = np.zeros(len(beyond), dtype=bool)
    shown[kept] = True
    return shown, True


def _grouped(runs: DataFrame, column: str) -> _Groups:
    reading = read(runs[column])
    if reading.numbers is None:
        words = reading.categories()
        kept = words
        if len(words) > MOST_GROUPS:
            sizes = dict(
                zip(reading.words, np.bincount(reading.codes + 1)[1:].tolist(), strict=True)
            )
            common = set(sorted(words, key=lambda word: -sizes[word])[:MOST_GROUPS])
            kept = [word for word in words if word in common]
        place = {word: i for i, word in enumerate(kept)}
        of = np.array([*(place.get(word, -1) for word in reading.words), -1])[reading.codes]
        return _Groups(tuple(category_labels(kept)), of, len(words) - len(kept), binned=False)
    finite = np.isfinite(reading.numbers)
    values = np.unique(reading.numbers[finite])
    of = np.full(len(runs), -1)
    if len(values) <= _AS_THEY_ARE:
        of[finite] = np.searchsorted(values, reading.numbers[finite])
        return _Groups(tuple(tick_text(float(v)) for v in values), of, 0, binned=False)
    edges = np.unique(np.quantile(reading.numbers[finite], np.linspace(0, 1, _BINS + 1)))
    inner = edges[1:-1]
    of[finite] = np.searchsorted(inner, reading.numbers[finite], side="right")
    labels = tuple(
        f"{tick_text(float(a), float(b - a))} – {tick_text(float(b), float(b - a))}"
        for a, b in itertools.pairwise(edges)
    )
    return _Groups(labels, of, 0, binned=True)


def _bottom(groups: _Groups, keep: Mask, name: str) -> dict[str, Any]:
    n = np.bincount(groups.of[keep], minlength=len(groups.labels))
    texts = [
        f"{markup(label)}<br>{t('charts.label.n', n=count(int(n[i])))}"
        for i, label in enumerate(groups.labels)
    ]
    return axis(
        title={"text": markup(name, _NAME)},
        tickvals=list(range(len(texts))),
        ticktext=texts,
        range=[-0.6, len(texts) - 0.4],
        autotickangles=[0, -40, -90],
        showgrid=False,
    )


def _left_out(
    runs: DataFrame, x: str, names: dict[str, str], up: Side, groups: _Groups
) -> list[str]:
    said = reasons(side(runs, x, names[x]), up)
    if groups.others:
        shown = len(groups.labels)
        total = groups.others + shown
        said.append(t("charts.notes.groups", name=names[x], n=total, shown=shown))
    if groups.binned:
        said.append(t("charts.notes.bins", name=names[x], n=len(groups.labels)))
    return said
