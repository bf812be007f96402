"""Fewer points of a curve, and not one extreme lost."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from core.statistics import Floats

Indices = NDArray[np.intp]

_PER_BUCKET = 4
_PARTS = 8
"""Widths of buckets between one power of two and the next: few, so that they seldom change."""


def keep_extremes(values: Floats, most: int, at: NDArray[np.number] | None = None) -> Indices:
    """Positions of at most ``most`` points that stand for all of ``values``, in order.

    The axis is cut into buckets of equal width, whose borders are multiples of that width: a curve
    that grows keeps the buckets it had until they get wider. Each bucket keeps its first, last,
    lowest and highest point, so that a spike of one step stays.

    Args:
        values: finite numbers, in the order in which they are drawn.
        most: at least 8.
        at: where each lies along the axis, never falling; evenly where None.
    """
    n = len(values)
    if n <= most:
        return np.arange(n, dtype=np.intp)
    starts = _starts(np.arange(n) if at is None else at, most // _PER_BUCKET)
    ends = np.append(starts[1:], n) - 1
    lowest = _first_where(values, np.minimum.reduceat(values, starts), starts)
    highest = _first_where(values, np.maximum.reduceat(values, starts), starts)
    return np.unique(np.concatenate([starts, lowest, highest, ends]))


def spikes(values: Floats, most: int) -> Indices:
    """Positions of at most ``most`` points that stand far out from both their neighbours, in order.

    A bucket keeps its lowest and highest point; where two spikes fall into one, the lesser is kept
    by this. Far is ten times the median difference between neighbours.

    Args:
        values: finite numbers.
    """
    if len(values) < 3:
        return np.empty(0, dtype=np.intp)
    rise = np.diff(values / 64)  # the largest numbers there are must not differ by infinity
    before, after = rise[:-1], -rise[1:]
    out = np.where((before > 0) == (after > 0), np.minimum(np.abs(before), np.abs(after)), 0.0)
    found = np.flatnonzero(out > 10 * np.median(np.abs(rise)))
    largest = found[np.argsort(-out[found], kind="stable")[:most]]
    return np.sort(largest) + 1


def _starts(at: NDArray[np.number], most: int) -> Indices:
    """Where each of at most ``most`` buckets begins."""
    place = at.astype(float)
    width = _round_up((place[-1] - place[0]) / (most - 1))
    starts = _begins(place, width)
    # Points that crowd in a part of the axis may have narrower buckets there, where one may zoom.
    while starts.size * 2 <= most and width > 0:
        finer = _begins(place, width / 2)
        if finer.size > most or place[-1] / (width / 2) >= 2**53:
            break
        width /= 2
        starts = finer
    return starts


def _begins(place: Floats, width: float) -> Indices:
    if width <= 0:
        return np.zeros(1, dtype=np.intp)
    bucket = np.floor(place / width)
    return np.concatenate([[0], np.flatnonzero(bucket[1:] != bucket[:-1]) + 1])


def _round_up(width: float) -> float:
    """The next of a few fixed widths."""
    if width <= 0:
        return 0.0
    part = 2.0 ** math.floor(math.log2(width)) / _PARTS
    return math.ceil(width / part) * part


def _first_where(values: Floats, wanted: Floats, starts: Indices) -> Indices:
    """In each bucket, the first position whose value is the wanted one."""
    lengths = np.diff(starts, append=len(values))
    found = np.flatnonzero(values == np.repeat(wanted, lengths))
    bucket = np.searchsorted(starts, found, side="right")
    first: Indices = found[np.concatenate([[True], bucket[1:] != bucket[:-1]])]
    return first


def with_gaps(kept: Indices, off: NDArray[np.bool_]) -> Indices:
    """``kept`` and, between neighbours with something off between them, one point that is off."""
    bad = np.flatnonzero(off)
    if kept.size == 0 or bad.size == 0:
        return kept
    following = np.searchsorted(bad, kept[:-1])
    inside = following < bad.size
    inside[inside] = bad[following[inside]] < kept[1:][inside]
    return np.sort(np.concatenate([kept, bad[following[inside]]]))


def smooth(values: Floats, weight: float) -> Floats:
    """The exponential moving average, unbiased at its start; NaN and Inf are passed over.

    Args:
        values: any numbers; where one is not finite, so is the result.
        weight: from 0 (as they are) to below 1 (the mean of all so far).
    """
    result = np.full(len(values), np.nan)
    there = np.isfinite(values)
    n = int(there.sum())
    if n:
        summed = lfilter([1 - weight], [1, -weight], values[there])
        result[there] = summed / (1 - weight ** np.arange(1, n + 1))
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
