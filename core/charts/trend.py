"""A line through a cloud of dots: what x says of y."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import make_smoothing_spline

from core.charts.scales import Floats

Kind = Literal["linear", "smooth"]

FEWEST: dict[Kind, int] = {"linear": 3, "smooth": 12}
"""Runs with different x that a trend needs."""

_BINS = 120
_POINTS = 160


@dataclass(frozen=True)
class Trend:
    """A fitted line."""

    x: Floats
    y: Floats
    n: int
    """How many runs it was fitted to."""
    fit: float
    """R², the share of the variance of y (of its logarithm on a log axis) that the line explains:
    1 - sum of squared residuals / sum of squared deviations from the mean."""


def trend(x: Floats, y: Floats, kind: Kind, *, log_x: bool, log_y: bool) -> Trend | None:
    """The trend of finite ``y`` over finite ``x``; None where there are too few values.

    Linear is least squares, over logarithms where an axis is logarithmic. Smooth is SciPy's
    smoothing spline with its generalised cross-validation (Wahba 1990), fitted to the means of at
    most 120 bins of equally many runs, each weighted by its runs.
    """
    along = np.log10(x) if log_x else x
    up = np.log10(y) if log_y else y
    if len(np.unique(along)) < FEWEST[kind]:
        return None
    at = np.linspace(along.min(), along.max(), _POINTS)
    if kind == "linear":
        slope, start = np.polyfit(along, up, 1)
        line, fitted = start + slope * at, start + slope * along
    else:
        centres, means, weights = _binned(along, up)
        if len(centres) < 5:
            return None
        spline = make_smoothing_spline(centres, means, weights)
        line = spline(np.clip(at, centres[0], centres[-1]))
        fitted = spline(np.clip(along, centres[0], centres[-1]))
    around = float(((up - up.mean()) ** 2).sum())
    fit = 1 - float(((up - fitted) ** 2).sum()) / around if around > 0 else 0.0
    return Trend(10**at if log_x else at, 10**line if log_y else line, len(x), fit)


def _binned(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean x, mean y and number of runs of each bin, x strictly rising."""
    edges = np.unique(np.quantile(x, np.linspace(0, 1, _BINS + 1)))
    where = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 1)
    n = np.bincount(where).astype(float)
    has = n > 0
    centres = np.bincount(where, x)[has] / n[has]
    means = np.bincount(where, y)[has] / n[has]
    rising = np.concatenate([[True], np.diff(centres) > 0])
    return centres[rising], means[rising], n[has][rising]
