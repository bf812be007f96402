"""Values without a place on the axis, marked at its edge where they happened."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.charts.look import GREY
from core.charts.scales import Floats
from core.formats import count
from core.texts import t
from core.thinning import Indices, stretches


@dataclass(frozen=True)
class Mark:
    """How one kind of value is marked."""

    key: str
    symbol: str
    edge: float
    """0 is the bottom of the panel, 1 its top."""


MARKS = (
    Mark("nan", "x-thin", 0.0),
    Mark("above", "triangle-up", 1.0),
    Mark("below", "triangle-down", 0.0),
    Mark("not_positive", "diamond", 0.0),
)


def masks(values: Floats, *, log: bool) -> dict[str, NDArray[np.bool_]]:
    """Which values are of which kind; on a log axis zero and below are one."""
    odd = ~np.isfinite(values)
    found = {
        "nan": np.isnan(values),
        "above": values == np.inf,
        "below": values == -np.inf,
    } if odd.any() else {}  # fmt: skip
    if log and (values <= 0).any():
        found["not_positive"] = (values <= 0) & ~odd
    return {key: mask for key, mask in found.items() if mask.any()}


def mark_trace(
    mark: Mark,
    where: Indices,
    x: NDArray[Any],
    steps: NDArray[np.int64],
    most: int,
    name: str,
    colour: str,
    **base: Any,
) -> Any:
    """The marks of one kind on one curve, each where it happened.

    Beyond ``most`` marks, neighbours become a stretch that is marked at its two ends and says how
    many there are.

    Args:
        where: their positions among the points of the curve, in order.
        x: where each of ``where`` is drawn.
        steps: their steps.
        name: of the run, escaped.
    """
    said = t(f"charts.mark.{mark.key}")
    if where.size <= most:
        texts = [t("charts.hover.single", mark=said, first=count(int(s))) for s in steps]
        shown = x
    else:
        at, texts = [], []
        for first, last in stretches(where, _apart(where, most)):
            a, b = np.searchsorted(where, [first, last])
            n = int(b - a) + 1
            text = t(
                f"charts.hover.{'single' if n == 1 else 'stretch'}",
                mark=said,
                n=n,
                first=count(int(steps[a])),
                last=count(int(steps[b])),
            )
            at += [a] if n == 1 else [a, b]
            texts += [text] * (1 if n == 1 else 2)
        shown = x[np.array(at)]
    thin = mark.symbol.endswith("thin")
    return go.Scatter(
        x=shown,
        y=np.full(len(shown), mark.edge),
        mode="markers",
        marker={
            "symbol": mark.symbol,
            "size": 9,
            "color": colour,
            "line": {"color": colour, "width": 2 if thin else 0},
        },
        customdata=texts,
        hovertemplate=f"<b>{name}</b><br>%{{customdata}}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
        **base,
    )


def mark_key(mark: Mark) -> Any:
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


def _apart(where: Indices, most: int) -> int:
    """How far from one another neighbours may be, so that about ``most`` marks are left."""
    gaps = np.sort(np.diff(where))[::-1]
    ends = max(1, most // 2)
    return int(gaps[min(ends, gaps.size) - 1])
