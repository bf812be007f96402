"""Fewer points of a curve, and not one extreme lost."""

import numpy as np
from numpy.typing import NDArray

from core.charts.scales import Floats

Indices = NDArray[np.intp]


def keep_extremes(values: Floats, most: int) -> Indices:
    """Positions of at most ``most`` points that stand for all of ``values``, in order.

    The points are cut into buckets of equal length; each keeps its first, last, lowest and highest
    point, so that a spike of one step stays. The same values always keep the same points.

    Args:
        values: finite numbers, in the order in which they are drawn.
        most: at least 4.
    """
    n = len(values)
    if n <= most:
        return np.arange(n, dtype=np.intp)
    size = -(-n // max(1, most // 4))
    buckets = -(-n // size)
    starts = np.arange(buckets, dtype=np.intp) * size
    ends = np.minimum(starts + size, n) - 1
    padded = np.full(buckets * size, values[-1])  # the last point again: no new extreme
    padded[:n] = values
    rows = padded.reshape(buckets, size)
    lowest = np.minimum(starts + rows.argmin(axis=1), n - 1)
    highest = np.minimum(starts + rows.argmax(axis=1), n - 1)
    return np.unique(np.concatenate([starts, lowest, highest, ends]))


def smooth(values: Floats, weight: float) -> Floats:
    """The exponential moving average, unbiased at its start; NaN and Inf are passed over.

    Args:
        values: any numbers; where one is not finite, so is the result.
        weight: from 0 (as they are) to below 1 (the mean of all so far).
    """
    result = np.full(len(values), np.nan)
    mean, share = 0.0, 0.0
    for i, value in enumerate(values.tolist()):
        if np.isfinite(value):
            mean = weight * mean + (1 - weight) * value
            share = weight * share + (1 - weight)
            result[i] = mean / share
    return result


def stretches(at: Indices, apart: int) -> list[tuple[int, int]]:
    """First and last of each run of neighbours in ``at``, which is in order.

    Positions at most ``apart`` from each other are neighbours.
    """
    if at.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(at) > apart)
    firsts = [0, *(breaks + 1).tolist()]
    lasts = [*breaks.tolist(), at.size - 1]
    return [(int(at[a]), int(at[b])) for a, b in zip(firsts, lasts, strict=True)]
