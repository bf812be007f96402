"""What single params do to a metric, by forests, and the region where it is predicted best."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.runs.encoding import Encoded, Floats, Ints
from core.runs.forest import SEED, Grown

MOST_POINTS = 16
"""Values of a param at which its effect is asked for."""

TENTH = 10
FEWEST_BEST = 5

_BACKGROUND = 120
"""Runs whose other params stand for all."""

_MIDDLE = (0.1, 0.9)
_RARE = 0.1


@dataclass(frozen=True)
class Effect:
    """The metric's mean prediction at some values of one param, the others as they were run."""

    name: str
    values: tuple[str | None, ...]
    """Values that were run: numbers by size, then words, None for missing."""
    numbers: tuple[float, ...]
    """The same as numbers; NaN for words and for missing."""
    mean: tuple[float, ...]
    """In the metric's unit."""
    low: tuple[float, ...]
    """The lowest of the folds' forests."""
    high: tuple[float, ...]
    """The highest of them."""


@dataclass(frozen=True)
class Range:
    """What the best predicted runs have of one param."""

    name: str
    low: str | None = None
    """The lower end of the middle 80 % of its numbers; None where it has none there."""
    high: str | None = None
    tried_low: str | None = None
    """The lowest number that was run at all."""
    tried_high: str | None = None
    words: tuple[tuple[str | None, float], ...] = ()
    """Words and the share of the best runs that have them, None for missing; rare ones left out."""


@dataclass(frozen=True)
class Region:
    """The tenth of the runs whose held-out prediction is best."""

    direction: str
    """"lower" or "higher": what is best here."""
    runs: int
    ranges: tuple[Range, ...]
    """In the order of the params given."""
    start: Mapping[str, str | None]
    """Param → a value inside the region that was run; None for missing."""
    predicted: tuple[float, float, float]
    """At ``start``, in the metric's unit: mean, lowest and highest of the forests."""


def effects(grown: Grown, params: Sequence[int], back: Callable[[Floats], Floats]) -> list[Effect]:
    """The effect of each of some params; a conditional one's in the runs that have it.

    Args:
        grown: the forests.
        params: positions of the params.
        back: from what the forests predict to the metric's unit.
    """
    made = []
    for i in params:
        param = grown.design.params[i]
        only = i in grown.design.conditional
        stands = np.flatnonzero(param.present | (not only))
        random = np.random.default_rng(SEED)
        rows = random.choice(stands, min(len(stands), _BACKGROUND), replace=False)
        levels = [at for at in _shown(param) if not (only and param.values[at] is None)]
        curves = back(grown.curve(i, levels, rows))
        made.append(
            Effect(
                param.name,
                tuple(param.values[level] for level in levels),
                tuple(param.numbers[levels].tolist()),
                tuple(curves.mean(axis=0).tolist()),
                tuple(curves.min(axis=0).tolist()),
                tuple(curves.max(axis=0).tolist()),
            )
        )
    return made


def region(
    grown: Grown, order: Sequence[int], direction: str, back: Callable[[Floats], Floats]
) -> Region:
    """The region of the best predicted tenth of the runs, only of values that were run.

    Args:
        grown: the forests.
        order: positions of the params, in the order of the ranges.
        direction: "lower" or "higher" is better.
        back: from what the forests predict to the metric's unit.
    """
    params = grown.design.params
    ranked = np.argsort(
        grown.predicted if direction == "lower" else -grown.predicted, kind="stable"
    )
    best = ranked[: max(FEWEST_BEST, len(ranked) // TENTH)]
    levels = [_start(params, best, i) for i in range(len(params))]
    predicted = back(grown.at(levels))
    return Region(
        direction,
        len(best),
        tuple(_range(params[i], best) for i in order),
        {p.name: p.values[level] for p, level in zip(params, levels, strict=True)},
        (float(predicted.mean()), float(predicted.min()), float(predicted.max())),
    )


def _shown(param: Encoded) -> list[int]:
    """The values to ask for: all, or numbers that lie evenly among the runs and common words."""
    count = int(np.isfinite(param.numbers).sum())
    run = np.sort(param.level[param.level < count])
    numbers: list[int] = []
    if len(run):
        even = np.linspace(0, len(run) - 1, MOST_POINTS).round().astype(int)
        few = np.unique(run)
        numbers = (few if len(few) <= MOST_POINTS else np.unique(run[even])).tolist()
    there = set(param.level.tolist())
    others = [i for i in range(count, len(param.values)) if i in there]
    missing = [i for i in others if param.values[i] is None]
    words = [i for i in others if param.values[i] is not None]
    return [*numbers, *words[: MOST_POINTS - len(missing)], *missing]


def _range(param: Encoded, best: Ints) -> Range:
    numbers = np.isfinite(param.numbers)
    here = np.sort(param.level[best])
    inside = here[numbers[here]]
    often = Counter(here[~numbers[here]].tolist())
    words = [(level, n / len(best)) for level, n in often.most_common() if n >= _RARE * len(best)]
    said = tuple((param.values[level], share) for level, share in words)
    if not len(inside):
        return Range(param.name, words=said)
    ends = [inside[round(q * (len(inside) - 1))] for q in _MIDDLE]
    tried = param.level[numbers[param.level]]
    low, high, least, most = (param.values[i] for i in (*ends, tried.min(), tried.max()))
    return Range(param.name, low, high, least, most, said)


def _start(params: Sequence[Encoded], best: Ints, at: int) -> int:
    """A value to begin with: the median number of those best runs whose words are the best run's.

    Words and what is missing are taken from the best run, so that they fit together.
    """
    alike = best
    for param in params:
        words = np.where(np.isfinite(param.at), -1, param.level)
        alike = alike[words[alike] == words[best[0]]]
    levels = np.sort(params[at].level[alike])
    return int(levels[(len(levels) - 1) // 2])
