"""Curves of a group of runs as one: mean and spread at each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from core.mlflow_api.histories import History

Floats = NDArray[np.float64]
Spread = Literal["range", "deviation", "interval"]
CONFIDENCE = 0.95
_LARGEST = 1.797e308


@dataclass(frozen=True)
class Band:
    """Mean and spread of some runs at every step at which any of them has a finite value.

    Nothing is made up between steps: where runs log at different steps, fewer have a say (``n``).
    """

    steps: NDArray[np.int64]
    n: NDArray[np.int64]
    """How many runs have a finite value at the step."""
    mean: Floats
    low: Floats
    """NaN where the spread of one value alone is unknown."""
    high: Floats
    runs: int
    """How many runs there are."""
    not_finite: int
    """Values left out because they are NaN or infinite."""
    repeated: int
    """Values left out because the same run logged a later one for the step."""

    @property
    def uneven(self) -> bool:
        """Whether some run has no value at some step."""
        return bool((self.n < self.runs).any())


def band(histories: Sequence[History], spread: Spread) -> Band:
    """The mean of some runs at each step, and around it, by ``spread``:

    - range: the lowest and the highest value;
    - deviation: one standard deviation (of the sample, n - 1) to either side;
    - interval: the 95 % confidence interval of the mean by Student's t with n - 1 degrees of
      freedom, mean ± t · s / √n, at each step on its own.
    """
    all_steps, all_values = [], []
    points = bad = 0
    for one in histories:
        last = np.append(one.steps[1:] != one.steps[:-1], True) if len(one) else np.empty(0, bool)
        steps, values = one.steps[last], one.values[last]
        finite = np.isfinite(values) & (np.abs(values) < _LARGEST)
        points += len(one) - len(steps)
        bad += len(steps) - int(finite.sum())
        all_steps.append(steps[finite])
        all_values.append(values[finite])
    steps = np.concatenate([*all_steps, np.empty(0, np.int64)])
    values = np.concatenate([*all_values, np.empty(0)])
    if not steps.size:
        none = np.empty(0)
        return Band(steps, steps, none, none, none, len(histories), bad, points)
    order = np.argsort(steps, kind="stable")
    steps, values = steps[order], values[order]
    starts = np.concatenate([[0], np.flatnonzero(steps[1:] != steps[:-1]) + 1])
    n = np.diff(starts, append=len(steps))
    mean = np.add.reduceat(values / np.repeat(n, n), starts)
    low, high = _around(values, starts, n, mean, spread)
    return Band(steps[starts], n, mean, low, high, len(histories), bad, points)


def _around(
    values: Floats, starts: NDArray[np.intp], n: NDArray[np.int64], mean: Floats, spread: Spread
) -> tuple[Floats, Floats]:
    if spread == "range":
        return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    squares = np.add.reduceat((values - np.repeat(mean, n)) ** 2, starts)
    half = np.full(len(n), np.nan)
    several = n > 1
    half[several] = np.sqrt(squares[several] / (n[several] - 1))
    if spread == "interval":
        counts, which = np.unique(n[several], return_inverse=True)
        factor = student.ppf((1 + CONFIDENCE) / 2, counts - 1) / np.sqrt(counts)
        half[several] *= factor[which]
    return mean - half, mean + half
