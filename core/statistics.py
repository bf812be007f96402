"""What repeated measurements support: intervals, tests, effect sizes. Plain arrays, no pages.

SciPy computes; here it is decided what may be computed at all, and which test fits. Nothing here
looks at the outcome to choose a test: the choice follows from the design alone (do seeds match?).
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
"""Confidence of every interval."""

ALPHA = 0.05
"""A difference is claimed where its corrected p is below this."""

LARGEST = 1.797e308
"""MLflow stores an infinite metric as the largest number it has."""

FEWEST_PAIRS = 3
"""Fewer matching seeds than this are not paired."""

FEW = 5
"""Fewer measurements than this in a group get a caution."""

RESAMPLES = 9_999
_NO_VARIATION = 1e-12
"""A spread below this part of the largest value is rounding, not variation."""


@dataclass(frozen=True)
class Sample:
    """Measurements of one thing, all finite."""

    values: Floats
    keys: tuple[str, ...] = ()
    """What each was measured under, such as its seed, each once; empty where nothing is known."""
    nan: int = 0
    """Measurements left out because they are NaN."""
    infinite: int = 0
    """Left out because they are infinite, or the number that MLflow stores for that."""
    missing: int = 0
    """Left out because there is no value."""

    @property
    def n(self) -> int:
        """How many measurements count."""
        return len(self.values)


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval, in the measurements' unit."""

    n: int
    mean: float | None
    """None where nothing was measured."""
    sd: float | None
    """Standard deviation with n - 1; None below two measurements."""
    low: float | None
    """Lower end of the 95 % interval by Student's t; None below two measurements."""
    high: float | None


@dataclass(frozen=True)
class Difference:
    """How much one sample lies above another."""

    n: tuple[int, int]
    """How many measurements of the first and of the second were used."""
    test: str
    """``welch``, ``paired`` or ``none``."""
    why: str
    """Why this test, or why none: ``seeds_match``, ``no_seeds``, ``seeds_differ``, ``asked``,
    ``pairs_alike`` (all pairs differ by the same, so that Welch stands in), ``too_few``, ``equal``
    (all values of both are the same number), ``constant`` (neither varies, and they differ)."""
    value: float | None = None
    """Mean of the first minus mean of the second (over the pairs where paired)."""
    low: float | None = None
    """Lower end of the test's 95 % interval, for this comparison alone."""
    high: float | None = None
    p: float | None = None
    """Two-sided, for this comparison alone."""
    corrected: float | None = None
    """``p`` corrected for the number of comparisons, see `holm`; None where it was not."""
    effect: float | None = None
    """Hedges' g: the difference in standard deviations; None where neither varies."""

    @property
    def clear(self) -> bool:
        """Whether a difference from zero may be claimed."""
        p = self.p if self.corrected is None else self.corrected
        return p is not None and p < ALPHA

    def beyond(self, amount: float) -> bool:
        """Whether the whole interval lies above ``amount`` (below it where that is negative).

        This is what "better by at least so much" asks of replicates; never so without an interval.
        """
        if self.low is None or self.high is None:
            return False
        return self.high < amount if amount < 0 else self.low > amount


@dataclass(frozen=True)
class Resampled:
    """An interval by the bootstrap."""

    low: float
    high: float
    method: str
    """``BCa``, or ``percentile`` where BCa has no answer."""


def sample(values: Sequence[float | None], keys: Sequence[str] = ()) -> Sample:
    """The measurements that can be computed with, and how many were left out and why.

    Args:
        values: None where there is no value; NaN and infinity as such or as MLflow stores them.
        keys: what each was measured under; measurements of one key count once, by their mean.

    Raises:
        ValueError: ``keys`` are given and not as many as ``values``.
    """
    missing = np.array([v is None for v in values], dtype=bool)
    numbers = np.array([math.nan if v is None else v for v in values], dtype=np.float64)
    nan = np.isnan(numbers) & ~missing
    infinite = np.abs(numbers) >= LARGEST
    kept = ~(missing | nan | infinite)
    left = Sample(numbers[kept], (), int(nan.sum()), int(infinite.sum()), int(missing.sum()))
    if not keys:
        return left
    together: dict[str, list[float]] = {}
    for key, value, keep in zip(keys, numbers, kept, strict=True):
        if keep:
            together.setdefault(key, []).append(float(value))
    means = np.array([_mean(np.array(v)) for v in together.values()], dtype=np.float64)
    return replace(left, values=means, keys=tuple(together))


def estimate(measured: Sample) -> Estimate:
    """Mean, standard deviation and 95 % interval (Student's t, n - 1 degrees of freedom)."""
    values, power = _scaled(measured.values)
    n = len(values)
    if n == 0:
        return Estimate(0, None, None, None, None)
    mean = float(values.mean())
    if n == 1:
        return Estimate(1, math.ldexp(mean, power), None, None, None)
    sd = float(values.std(ddof=1)) if varies(measured.values) else 0.0
    half = _quantile(n - 1) * sd / math.sqrt(n)
    return Estimate(n, *(_back(x, power) for x in (mean, sd, mean - half, mean + half)))


def difference(first: Sample, second: Sample, test: str = "") -> Difference:
    """Test whether ``first`` and ``second`` differ, by the test that the design asks for.

    Paired t where at least three keys (seeds) match and those are at least half of each sample;
    else Welch's t, which supposes neither equal spreads nor equal sizes (Welch 1947).

    Args:
        first: its mean comes first in the difference.
        second: what is subtracted.
        test: "welch" or "paired" to insist; "paired" falls back where too few keys match.
    """
    shared = [key for key in first.keys if key in set(second.keys)]
    enough = len(shared) >= FEWEST_PAIRS
    most = 2 * len(shared) >= max(first.n, second.n)
    if enough and (test == "paired" or (most and not test)):
        a, b = _of(first, shared), _of(second, shared)
        if varies(a - b) or np.array_equal(a, b):
            return _tested(a, b, "paired", "asked" if test else "seeds_match")
        return _tested(first.values, second.values, "welch", "pairs_alike")
    if test == "welch":
        why = "asked"
    else:
        why = "seeds_differ" if first.keys and second.keys else "no_seeds"
    return _tested(first.values, second.values, "welch", why)


def resampled(first: Sample, second: Sample, test: str) -> Resampled | None:
    """The 95 % interval of the difference of means by the bootstrap, the same at every call.

    Args:
        first: its mean comes first in the difference.
        second: what is subtracted.
        test: the ``test`` of a `Difference`: pairs are drawn as pairs where it is "paired".

    Returns:
        None below three measurements in either sample, or where nothing varies.
    """
    if test == "paired":
        shared = [key for key in first.keys if key in set(second.keys)]
        data: tuple[Floats, ...] = (_of(first, shared) - _of(second, shared),)
    else:
        data = (first.values, second.values)
    if min(len(d) for d in data) < FEWEST_PAIRS or not any(varies(d) for d in data):
        return None
    joined, power = _scaled(np.concatenate(data))
    scaled = tuple(np.split(joined, np.cumsum([len(d) for d in data])[:-1]))
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of degenerate data: NaN says the same
            found = scipy.stats.bootstrap(
                scaled,
                _difference_of_means,
                vectorized=True,
                n_resamples=RESAMPLES,
                batch=max(1, 2_000_000 // len(joined)),
                confidence_level=LEVEL,
                method=method,
                rng=np.random.default_rng(20_260_101),
            ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            return Resampled(_back(found.low, power), _back(found.high, power), method)
    return None


def holm(ps: Sequence[float | None], family: int = 0) -> list[float | None]:
    """P values corrected so that the chance of *any* false claim among them stays below alpha.

    Holm's step-down (1979): the smallest is multiplied by the number of comparisons, the next by
    one fewer, and so on, never falling. None stays None and is not counted.

    Args:
        ps: two-sided p values.
        family: how many comparisons were possible, where that is more than were made.
    """
    tested = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    size = max(family, len(tested))
    made: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, i) in enumerate(tested):
        highest = max(highest, min(1.0, (size - rank) * p))
        made[i] = highest
    return made


def hedges(first: Floats, second: Floats) -> float | None:
    """Hedges' g: the difference of means over the pooled standard deviation, without small-n bias.

    With the exact factor J = Γ(d/2) / (√(d/2) Γ((d-1)/2)), d = n₁ + n₂ - 2 (Hedges 1981); the same
    for pairs (g_av in Lakens 2013). None where neither varies or one has fewer than two.
    """
    if min(len(first), len(second)) < 2 or not (varies(first) or varies(second)):
        return None
    joined, _ = _scaled(np.concatenate([first, second]))
    a, b = joined[: len(first)], joined[len(first) :]
    d = len(a) + len(b) - 2
    pooled = math.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / d)
    log_j = math.lgamma(d / 2) - math.lgamma((d - 1) / 2) - math.log(d / 2) / 2 if d > 1 else 0.0
    return float((a.mean() - b.mean()) / pooled * math.exp(log_j))


def varies(values: Floats) -> bool:
    """Whether the values differ by more than rounding."""
    if len(values) < 2:
        return False
    low, high = float(values.min()), float(values.max())
    return high / 2 - low / 2 > _NO_VARIATION * max(abs(low), abs(high))


def _tested(a: Floats, b: Floats, test: str, why: str) -> Difference:
    n = (len(a), len(b))
    if min(n) < 2:
        return Difference(n, "none", "too_few")
    joined, power = _scaled(np.concatenate([a, b]))
    x, y = joined[: len(a)], joined[len(a) :]
    value = _back(float(x.mean() - y.mean()), power)
    if not varies(a) and not varies(b) and test == "welch":
        if varies(joined):
            return Difference(n, "none", "constant", value)
        return Difference(n, "none", "equal", 0.0)
    if test == "paired" and np.array_equal(a, b):
        return Difference(n, "none", "equal", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "precision loss": what does not vary was seen above
        done = (
            scipy.stats.ttest_rel(x, y)
            if test == "paired"
            else scipy.stats.ttest_ind(x, y, equal_var=False)
        )
        ends = done.confidence_interval(LEVEL)
    low, high = _back(float(ends.low), power), _back(float(ends.high), power)
    return Difference(n, test, why, value, low, high, float(done.pvalue), effect=hedges(a, b))


def _of(measured: Sample, keys: Sequence[str]) -> Floats:
    by_key = dict(zip(measured.keys, measured.values, strict=True))
    return np.array([by_key[key] for key in keys], dtype=np.float64)


def _difference_of_means(*data: Floats, axis: int) -> Floats:
    first = data[0].mean(axis=axis)
    return np.asarray(first - data[1].mean(axis=axis) if len(data) > 1 else first)


@cache
def _quantile(degrees: int) -> float:
    """Of Student's t, for the ends of an interval."""
    return float(scipy.stats.t.ppf((1 + LEVEL) / 2, degrees))


def _mean(values: Floats) -> float:
    scaled, power = _scaled(values)
    return _back(float(scaled.mean()), power)


def _scaled(values: Floats) -> tuple[Floats, int]:
    """The values over a power of two, exactly, so that squares of huge ones do not overflow."""
    most = float(np.abs(values).max()) if len(values) else 0.0
    power = math.frexp(most)[1] if most else 0
    return np.ldexp(values, -power), power


def _back(value: float, power: int) -> float:
    try:
        return math.ldexp(value, power)
    except OverflowError:
        return math.copysign(math.inf, value)
