"""The runs that no other run beats in both of two metrics."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def front(first: Floats, second: Floats, *, lower_first: bool, lower_second: bool) -> Mask:
    """Which points no other point dominates.

    One dominates another when it is at least as good in both metrics and better in one. Of equal
    points all belong to the front, or none. A point that is NaN or infinite in either metric takes
    no part.

    Args:
        first: one metric, a value a run.
        second: the other, in the same order.
        lower_first: whether lower values of ``first`` are better.
        lower_second: the same for ``second``.
    """
    a = first if lower_first else -first
    b = second if lower_second else -second
    found = np.zeros(len(a), dtype=bool)
    rows = np.flatnonzero(np.isfinite(first) & np.isfinite(second))
    if not rows.size:
        return found
    order = rows[np.lexsort((b[rows], a[rows]))]
    sorted_a, sorted_b = a[order], b[order]
    # Along the first metric, a point has to be better in the second than all before it; equal
    # values of the first are led by the best of them, which the others have to equal.
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], sorted_b[:-1]]))
    leads = np.concatenate([[True], np.diff(sorted_a) > 0])
    group = np.maximum.accumulate(np.where(leads, np.arange(len(order)), 0))
    found[order] = (sorted_b[group] < best_before[group]) & (sorted_b == sorted_b[group])
    return found
