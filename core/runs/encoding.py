"""Params of runs as numbers that a forest can learn from, and how far two of them go together."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_WORDS = 12
"""Categories that get an indicator of their own; the rarer ones share none."""

_OWN_VALUES = 20
"""A param of more words than this, and one to every second run, is a name and no setting."""

_BINS = 4
_FEWEST = 20
_DECIDING = 20
"""A param of more values than this decides nothing: each value stands for few runs."""


@dataclass(frozen=True)
class Encoded:
    """One param over the runs: which of its values each run has, and each value as numbers."""

    name: str
    values: tuple[str | None, ...]
    """Its different values: numbers by size, then words, the commonest first, then None for
    missing."""
    numbers: Floats
    """Each value as a number; NaN for words and for missing."""
    level: Ints
    """Each run's value, as a position in ``values``."""
    table: Floats
    """One row a value: its rank among the numbers (-1 for none), then an indicator for each word
    and for missing. Trees split by order alone, so that ranks serve as well as the numbers."""

    @property
    def numeric(self) -> bool:
        """Whether any value is a number."""
        return bool(np.isfinite(self.numbers).any())

    @property
    def columns(self) -> Floats:
        """The param as the forest sees it, one row a run."""
        return self.table[self.level]

    @property
    def at(self) -> Floats:
        """Each run's value as a number, NaN where it is none."""
        return self.numbers[self.level]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which runs have it."""
        missing = len(self.values) - 1 if self.values[-1] is None else -1
        return np.asarray(self.level != missing)

    def of(self, rows: Ints) -> "Encoded":
        """The same param over some of the runs."""
        return Encoded(self.name, self.values, self.numbers, self.level[rows], self.table)


@dataclass(frozen=True)
class Params:
    """The params that can be learned from, and those that cannot."""

    used: tuple[Encoded, ...]
    constant: tuple[str, ...]
    """The same in all runs."""
    names: tuple[str, ...]
    """Words, and nearly every run has its own."""


def encode(frame: pd.DataFrame, params: Sequence[str]) -> Params:
    """The columns ``params.<name>`` of a run table, encoded."""
    used: list[Encoded] = []
    constant: list[str] = []
    names: list[str] = []
    for name in params:
        made = _encoded(name, frame[f"params.{name}"])
        words = _words(made)
        if len(made.values) < 2:
            constant.append(name)
        elif words > _OWN_VALUES and words > len(frame) / 2:
            names.append(name)
        else:
            used.append(made)
    return Params(tuple(used), tuple(constant), tuple(names))


def association(one: Encoded, other: Encoded) -> float:
    """How far two params go together in the runs that have both, from 0 to 1.

    The absolute rank correlation (Spearman) where all of these are numbers, else Cramér's V with
    numbers cut into quarters; 0 for fewer than 20 such runs.
    """
    both = np.flatnonzero(one.present & other.present)
    if len(both) < _FEWEST:
        return 0.0
    a, b = one.of(both), other.of(both)
    if np.isfinite(a.at).all() and np.isfinite(b.at).all():
        if a.at.min() == a.at.max() or b.at.min() == b.at.max():
            return 0.0
        return abs(float(scipy.stats.spearmanr(a.at, b.at).statistic))
    return _cramer(_coarse(a), _coarse(b))


def depends(param: Encoded, others: Sequence[Encoded]) -> bool:
    """Whether another param decides which runs have this one: trees only where family=forest."""
    if param.present.all():
        return False
    for other in others:
        if other is not param and len(other.values) <= _DECIDING:
            has = np.bincount(other.level, weights=param.present, minlength=len(other.values))
            runs = np.bincount(other.level, minlength=len(other.values))
            if ((has == 0) | (has == runs)).all():
                return True
    return False


def correlation(param: Encoded, metric: Floats) -> float | None:
    """Spearman's rank correlation of a param's numbers with a metric.

    None where it has words, or fewer than three runs with a number, or no variation.
    """
    there = np.isfinite(param.at)
    x, y = param.at[there], metric[there]
    if _words(param) or len(x) < 3 or x.min() == x.max() or y.min() == y.max():
        return None
    return float(scipy.stats.spearmanr(x, y).statistic)


def strength(param: Encoded, metric: Floats) -> float:
    """How much of the metric's ranks the param alone tells, 0 to 1: the correlation ratio η².

    With numbers cut into quarters, so that a hump counts as well as a slope.
    """
    ranks = scipy.stats.rankdata(metric)
    code = _coarse(param)
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if total == 0:
        return 0.0
    sizes = np.bincount(code)
    means = np.bincount(code, weights=ranks) / np.maximum(sizes, 1)
    return float((sizes * (means - ranks.mean()) ** 2).sum() / total)


def _encoded(name: str, column: "pd.Series[str]") -> Encoded:
    codes, uniques = pd.factorize(column)
    texts: list[str] = [str(text) for text in uniques]
    parsed = [_number(text) for text in texts]
    often = Counter(codes.tolist())
    numbers = sorted({x for x in parsed if x is not None})
    words = sorted(
        (i for i, x in enumerate(parsed) if x is None), key=lambda i: (-often[i], texts[i])
    )
    written = {x: texts[i] for i, x in reversed([*enumerate(parsed)]) if x is not None}
    values: list[str | None] = [*(written[x] for x in numbers), *(texts[i] for i in words)]
    place = {x: at for at, x in enumerate(numbers)}
    place_of_word = {i: len(numbers) + at for at, i in enumerate(words)}
    to = [place_of_word[i] if x is None else place[x] for i, x in enumerate(parsed)]
    if -1 in often:
        values.append(None)
    level = np.array([*to, len(values) - 1], dtype=np.int64)[codes]
    value = np.array(numbers + [math.nan] * (len(values) - len(numbers)), dtype=np.float64)
    indicators = [len(numbers) + i for i in range(min(len(words), MOST_WORDS))]
    indicators += [len(values) - 1] if -1 in often else []
    table = np.zeros((len(values), 1 + len(indicators)))
    table[:, 0] = np.where(np.isfinite(value), np.arange(len(values)), -1.0)
    for column_at, at in enumerate(indicators, 1):
        table[at, column_at] = 1.0
    return Encoded(name, tuple(values), value, level, table)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _words(param: Encoded) -> int:
    """How many of its values are words."""
    return int((~np.isfinite(param.numbers)).sum()) - (None in param.values)


def _coarse(param: Encoded) -> Ints:
    """Each run's quarter of the numbers, its word, or missing."""
    at = param.at
    there = np.isfinite(at)
    code = np.zeros(len(at), dtype=np.int64)
    if there.any():
        edges = np.unique(np.quantile(at[there], np.linspace(0, 1, _BINS + 1)[1:-1]))
        code[there] = np.searchsorted(edges, at[there], side="left")
    code[~there] = _BINS + param.level[~there]
    return np.asarray(np.unique(code, return_inverse=True)[1], dtype=np.int64)


def _cramer(one: Ints, other: Ints) -> float:
    counts = np.zeros((one.max() + 1, other.max() + 1), dtype=np.int64)
    np.add.at(counts, (one, other), 1)
    if min(counts.shape) < 2:
        return 0.0
    return float(scipy.stats.contingency.association(counts, method="cramer"))
