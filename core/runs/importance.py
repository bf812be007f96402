"""Which params a metric depends on: permutation importance of a random forest, or why not.

The forest learns the metric from the params on four fifths of the runs and is held to the last
fifth, five times; runs that agree in all params but the seed stay together, so that it is never
asked about a configuration that it has seen. A param's importance is how much worse the held-out
predictions get when its values are dealt out among the runs anew (Breiman 2001), in units of R².
A param that another one switches on, such as the trees of a forest, is dealt out among the runs
that have it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy

from core.runs import encoding
from core.runs.effects import Effect, Region, effects, region
from core.runs.encoding import Encoded, Floats, Ints
from core.runs.forest import FOLDS, SEED, Design, Progress, grow
from core.runs.replicates import seed_like
from core.statistics import LARGEST, LEVEL, varies

FEWEST_RUNS = 20
LEAST_FIT = 0.2
"""Below this R² on held-out runs nothing is said about params."""

MOST_RUNS = 1_500
"""More runs than this are sampled."""

MOST_PARAMS = 40
"""Of more params than this those are taken that tell most of the metric alone."""

TOGETHER = 0.7
"""Params that go together more than this share their importance."""

MOST_EFFECTS = 6
_DECADES = 50.0
"""A metric above zero that spans more than this, times its lowest, is learned as a logarithm."""


@dataclass(frozen=True)
class Importance:
    """How much one param, or several that go together, matter."""

    names: tuple[str, ...]
    """One param; several where they were dealt out together."""
    mean: float
    """What R² loses, mean over the folds. Near zero, or below: nothing."""
    low: float
    """Lower end of the 95 % interval, see `interval`."""
    high: float
    correlation: float | None = None
    """Spearman's with the metric, over the same runs; None where it has words."""

    @property
    def matters(self) -> bool:
        """Whether its interval lies above zero."""
        return self.low > 0


@dataclass(frozen=True)
class Explained:
    """A metric explained by params, or why it is not."""

    metric: str
    runs: int
    """Runs with a finite value of the metric."""
    left_out: int
    """Runs without one: missing, NaN or infinite."""
    declined: str = ""
    """Why nothing is said: ``few_runs``, ``constant``, ``no_params``, ``few_configurations``,
    ``poor_fit``; empty where something is."""
    rows: tuple[int, ...] = ()
    """Positions of the runs that the forests saw: all with a value, or a sample."""
    configurations: int = 0
    """Different combinations of params among these, seeds aside."""
    log: bool = False
    """Whether the forests learned the metric's logarithm."""
    fit: float | None = None
    """R² of the predictions for runs that were held out."""
    fits: tuple[float, ...] = ()
    """The same, fold by fold."""
    params: tuple[Importance, ...] = ()
    """Most important first."""
    together: tuple[Importance, ...] = ()
    """Params that go together, dealt out as one."""
    effects: tuple[Effect, ...] = ()
    """Of the most important params, most important first."""
    regions: tuple[Region, ...] = ()
    """The best predicted tenth: where lower is better, and where higher is."""
    constant: tuple[str, ...] = ()
    """Params left out: the same in all these runs."""
    names: tuple[str, ...] = ()
    """Params left out: nearly every run has a word of its own."""
    weaker: tuple[str, ...] = ()
    """Params left out because there are more than `MOST_PARAMS`."""


def explain(
    frame: pd.DataFrame,
    metric: str,
    params: Sequence[str],
    *,
    log: bool | None = None,
    progress: Progress = lambda _: None,
) -> Explained:
    """Explain ``metrics.<metric>`` by ``params.<name>`` of these runs; the same at every call.

    Args:
        frame: rows of a run table.
        metric: name of the metric.
        params: names of the params.
        log: learn the metric's logarithm, where all values are above zero; chosen by how far they
            span where None.
        progress: is told how much is done, 0 to 1.
    """
    values = frame[f"metrics.{metric}"].to_numpy(dtype=np.float64, na_value=np.nan)
    there = np.flatnonzero(np.abs(np.nan_to_num(values, nan=np.inf)) < LARGEST)
    values = values[there]
    made = Explained(metric, len(values), len(frame) - len(values))
    if len(values) < FEWEST_RUNS:
        return replace(made, declined="few_runs")
    if not varies(values):
        return replace(made, declined="constant")
    rows = np.arange(len(values))
    if len(values) > MOST_RUNS:
        random = np.random.default_rng(SEED)
        rows = np.sort(random.choice(len(values), MOST_RUNS, replace=False))
    # In one order, so that the answer does not depend on how the params were listed.
    read = encoding.encode(frame.iloc[there[rows]], sorted(params))
    made = replace(made, constant=read.constant, names=read.names)
    if not read.used:
        return replace(made, declined="no_params")
    low, high = float(values.min()), float(values.max())
    as_log = low > 0 and (high > _DECADES * low if log is None else log)
    # Squares of very large values would overflow, and those of very small ones vanish.
    scale = max(abs(low), abs(high))
    target = (np.log10(values) if as_log else values / scale)[rows]
    kept, weaker = _strongest(read.used, target)
    conditional = tuple(i for i, one in enumerate(kept) if encoding.depends(one, kept))
    design = Design(tuple(kept), target, _configurations(kept), conditional)
    made = replace(
        made,
        rows=tuple(there[rows].tolist()),
        configurations=int(design.configuration.max()) + 1,
        log=as_log,
        weaker=weaker,
    )
    if made.configurations < FOLDS:
        return replace(made, declined="few_configurations")
    if not varies(design.y):
        return replace(made, declined="constant")

    def back(y: Floats) -> Floats:
        return np.asarray(10.0**y if as_log else y * scale)

    signs = [encoding.correlation(param, target) for param in kept]
    return _fitted(made, design, signs, back, progress)


def interval(folds: Sequence[float]) -> tuple[float, float, float]:
    """Mean over the folds with its 95 % interval.

    Folds share most of their training runs, so their spread alone is too small: the variance of
    the mean is taken as (1/k + 1/(k-1)) s², Student's t with k - 1 degrees of freedom (Nadeau and
    Bengio 2003, for the k folds of a cross-validation).
    """
    k = len(folds)
    mean = float(np.mean(folds))
    error = float(np.std(folds, ddof=1)) * (1 / k + 1 / (k - 1)) ** 0.5
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, k - 1)) * error
    return mean, mean - half, mean + half


def clusters(params: Sequence[Encoded]) -> list[list[int]]:
    """Positions of params that go together, each with at least one other of its cluster."""
    above = list(range(len(params)))

    def root(i: int) -> int:
        while above[i] != i:
            i = above[i]
        return i

    for i, one in enumerate(params):
        for j in range(i):
            if encoding.association(one, params[j]) > TOGETHER:
                above[root(i)] = root(j)
    found: dict[int, list[int]] = {}
    for i in range(len(params)):
        found.setdefault(root(i), []).append(i)
    return [members for members in found.values() if len(members) > 1]


def _fitted(
    made: Explained,
    design: Design,
    signs: Sequence[float | None],
    back: Callable[[Floats], Floats],
    progress: Progress,
) -> Explained:
    grown = grow(design, lambda done: progress(0.6 * done))
    made = replace(made, fit=grown.fit, fits=grown.fits)
    if grown.fit < LEAST_FIT:
        progress(1.0)
        return replace(made, declined="poor_fit")
    alone = range(len(design.params))
    shared = clusters(design.params)
    lost = grown.lost([[i] for i in alone] + shared, lambda done: progress(0.6 + 0.3 * done))
    found = [
        Importance(tuple(design.params[i].name for i in members), *interval(folds))
        for members, folds in zip([[i] for i in alone] + shared, lost.T.tolist(), strict=True)
    ]
    ranked = sorted(alone, key=lambda i: -found[i].mean)
    top = [i for i in ranked if found[i].matters][:MOST_EFFECTS] or ranked[:1]
    made = replace(
        made,
        params=tuple(replace(found[i], correlation=signs[i]) for i in ranked),
        together=tuple(found[len(alone) :]),
        effects=tuple(effects(grown, top, back)),
        regions=tuple(region(grown, top, way, back) for way in ("lower", "higher")),
    )
    progress(1.0)
    return made


def _strongest(params: Sequence[Encoded], target: Floats) -> tuple[list[Encoded], tuple[str, ...]]:
    """At most `MOST_PARAMS`, in their order, and the names of the others."""
    if len(params) <= MOST_PARAMS:
        return list(params), ()
    by_strength = sorted(range(len(params)), key=lambda i: -encoding.strength(params[i], target))
    kept = set(by_strength[:MOST_PARAMS])
    return (
        [param for i, param in enumerate(params) if i in kept],
        tuple(param.name for i, param in enumerate(params) if i not in kept),
    )


def _configurations(params: Sequence[Encoded]) -> Ints:
    """A number for each combination of values, seeds aside."""
    seeds = set(seed_like([param.name for param in params]))
    code = np.zeros(len(params[0].level), dtype=np.int64)
    for param in params:
        if param.name not in seeds:
            code = np.unique(code * len(param.values) + param.level, return_inverse=True)[1]
    return code
