"""Replicates: runs that agree in all params but the seed, and what they say about a difference.

Rows are those of a `RunTable`'s frame: ``run_id``, ``experiment_id``, ``params.…`` (text, missing
where a run has none) and a metric (missing as NA, NaN as such).
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import formats, statistics
from core.statistics import Difference, Estimate, Sample
from core.texts import t

SEEDS = frozenset({"seed", "random_state", "random_seed", "rng", "rng_seed", "run_seed"})
FOLDS = frozenset({"fold", "fold_id", "fold_index", "fold_number", "cv_fold"})

MOST = 200
"""Groups that are compared with the one they are held against; the others are counted."""

_ALL_PAIRS = 24
_LABEL = 48
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-\s]+")


@dataclass(frozen=True)
class Group:
    """Runs of one configuration."""

    label: str
    """What tells it from the other groups, "rate=0.1, depth=3"; no two alike. Outside text."""
    differs: Mapping[str, str | None]
    """Param → value, of those that differ between groups; None where its runs have none."""
    experiment_id: str
    rows: NDArray[np.int64]
    """Positions of its runs in the frame."""
    keys: tuple[str, ...]
    """The seed of each run, in the order of ``rows``; empty where the runs have none."""


@dataclass(frozen=True)
class Groups:
    """Groups of two runs or more, and what belongs to none."""

    groups: tuple[Group, ...]
    differing: tuple[str, ...]
    """Params that differ between the groups."""
    alone: int
    """Runs that no other run agrees with."""


@dataclass(frozen=True)
class Measured:
    """A metric over the runs of a group."""

    group: Group
    sample: Sample
    estimate: Estimate
    repeated: int
    """Runs that share their seed with another of the group: a seed counts once, by the mean."""


@dataclass(frozen=True)
class Comparison:
    """Groups held against one of them."""

    measured: tuple[Measured, ...]
    """Best first; the highest mean first where no direction is known. Those of fewer than two
    measurements come last."""
    reference: int
    """Which one the others are held against."""
    differences: tuple[Difference | None, ...]
    """The reference minus each group, with p corrected; None for the reference itself, and for
    groups beyond the first `MOST`."""
    family: int
    """How many comparisons p is corrected for."""
    named: bool
    """Whether a person named the reference; else it is the best, and was chosen by looking."""


def seed_like(params: Sequence[str]) -> list[str]:
    """Of these params, those whose name says seed, then those that say fold."""
    plain = {name: _plain(name) for name in params}
    seeds = [n for n, p in plain.items() if p in SEEDS or p.endswith("_seed")]
    return seeds + [n for n, p in plain.items() if p in FOLDS]


def is_fold(param: str) -> bool:
    """Whether a param's name says that it numbers the folds of a cross-validation."""
    return _plain(param) in FOLDS


def find(
    frame: pd.DataFrame, seeds: Sequence[str], experiments: Mapping[str, str] | None = None
) -> Groups:
    """The groups of runs that agree in experiment and in all params but ``seeds``.

    Numbers agree however they are written (0.1 and 1e-1). A param that one run has and another
    lacks tells them apart; so does a seed that only one of them has.

    Args:
        frame: rows of a run table.
        seeds: names of params that may differ within a group.
        experiments: id → name, for the labels.
    """
    params = [c.removeprefix("params.") for c in frame.columns if c.startswith("params.")]
    values = {p: _canonical(frame[f"params.{p}"]) for p in params}
    varied = [s for s in seeds if s in values]
    code, _ = pd.factorize(frame["experiment_id"])
    for name, column in values.items():
        more = column.notna().to_numpy().astype(int) if name in varied else pd.factorize(column)[0]
        code, _ = pd.factorize(code * (int(more.max(initial=0)) + 2) + more + 1)
    sizes = np.bincount(code, minlength=1) if len(code) else np.zeros(0, dtype=int)
    order = np.argsort(code, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    rows = [order[bounds[i] : bounds[i + 1]] for i in np.flatnonzero(sizes >= 2)]
    first = np.array([r[0] for r in rows], dtype=np.int64)
    differing = tuple(
        p for p in params if p not in varied and values[p].iloc[first].nunique(dropna=False) > 1
    )
    shown = {p: _texts(frame[f"params.{p}"].iloc[first]) for p in differing}
    told = [{p: texts[i] for p, texts in shown.items()} for i in range(len(rows))]
    of = [str(e) for e in frame["experiment_id"].iloc[first]]
    where_run = [(experiments or {}).get(e, e) for e in of]
    whole = [
        {**one, t("statistics.group.experiment"): name} if len(set(of)) > 1 else one
        for one, name in zip(told, where_run, strict=True)
    ]
    keys = _keys({s: values[s] for s in varied}, len(frame))
    groups = tuple(
        Group(label, differs, experiment, where, tuple(keys[i] for i in where if keys[i]))
        for label, differs, experiment, where in zip(_labels(whole), told, of, rows, strict=True)
    )
    return Groups(groups, differing, int((sizes == 1).sum()))


def in_the_way(frame: pd.DataFrame, seeds: Sequence[str]) -> list[tuple[str, int]]:
    """Single params that keep runs from being replicates: each with how many runs would be.

    Those that would make the most first; none that would make none.
    """
    random = np.random.default_rng(0)
    every = np.zeros(len(frame), dtype=np.uint64)
    parts: dict[str, NDArray[np.uint64]] = {}
    for column in ["experiment_id", *(c for c in frame.columns if c.startswith("params."))]:
        name = column.removeprefix("params.")
        codes = pd.factorize(_canonical(frame[column]))[0]
        if name in seeds:
            codes = np.minimum(codes, 0)
        # A sum of random numbers stands for the combination: two meet by chance once in 10^19.
        marks = random.integers(0, 2**64, int(codes.max(initial=0)) + 2, dtype=np.uint64)
        parts[name] = marks[codes]
        every = every + parts[name]
    made = []
    for name, part in parts.items():
        if name not in seeds and name != "experiment_id":
            sizes = np.unique(every - part, return_counts=True)[1]
            made.append((name, int(sizes[sizes >= 2].sum())))
    return sorted((m for m in made if m[1]), key=lambda m: (-m[1], m[0]))


def measure(frame: pd.DataFrame, groups: Sequence[Group], metric: str) -> list[Measured]:
    """``metric`` over the runs of each group.

    Args:
        frame: the rows that the groups were found in, with the column ``metrics.<metric>``.
    """
    column = frame[f"metrics.{metric}"].to_numpy(dtype=object, na_value=None)
    made = []
    for group in groups:
        sample = statistics.sample([column[i] for i in group.rows], group.keys)
        left = sample.missing + sample.nan + sample.infinite
        repeated = len(group.rows) - left - sample.n
        made.append(Measured(group, sample, statistics.estimate(sample), repeated))
    return made


def compare(
    measured: Sequence[Measured], direction: str | None, reference: str = "", test: str = ""
) -> Comparison | None:
    """Hold the groups against one of them; None where no group has two measurements.

    p is corrected by Holm for all comparisons with a reference that was named; for every possible
    pair where the reference is the best one, which was chosen by looking at the same numbers.

    Args:
        direction: "lower" or "higher" is better; None where nobody knows.
        reference: label of the group to hold the others against; the best where empty or unknown.
        test: as in `statistics.difference`.
    """
    sign = 1 if direction == "lower" else -1
    ordered = sorted(
        measured,
        key=lambda m: (m.sample.n < 2, sign * (m.estimate.mean or 0.0), m.group.label),
    )
    able = sum(m.sample.n >= 2 for m in ordered)
    if not able:
        return None
    labels = [m.group.label for m in ordered[:able]]
    named = reference in labels
    at = labels.index(reference) if named else 0
    made = [
        statistics.difference(ordered[at].sample, other.sample, test)
        if i != at and i < MOST
        else None
        for i, other in enumerate(ordered)
    ]
    family = able - 1 if named else able * (able - 1) // 2
    rest: list[float | None] = []
    if not named and able <= _ALL_PAIRS:  # more are not tested, but counted as if their p were 1
        pairs = itertools.combinations([m.sample for i, m in enumerate(ordered[:able]) if i], 2)
        rest = [statistics.difference(a, b, test).p for a, b in pairs]
    corrected = statistics.holm([*(d.p if d else None for d in made), *rest], family)
    return Comparison(
        tuple(ordered),
        at,
        tuple(
            None if d is None else replace(d, corrected=p)
            for d, p in zip(made, corrected[: len(made)], strict=True)
        ),
        family,
        named,
    )


def _plain(name: str) -> str:
    last = re.split(r"[./]", name)[-1]
    return _WORDS.sub("_", last).lower().strip("_")


def _canonical(column: "pd.Series[str]") -> "pd.Series[object]":
    """The texts, numbers written one way."""
    codes, texts = pd.factorize(column)
    written = np.array([_written(str(text)) for text in texts] + [None], dtype=object)
    return pd.Series(written[codes], dtype=object)


def _texts(column: "pd.Series[str]") -> list[str | None]:
    values = zip(column.tolist(), column.isna().tolist(), strict=True)
    return [None if missing else str(value) for value, missing in values]


def _written(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return text
    return repr(value + 0.0) if math.isfinite(value) else text


def _keys(seeds: Mapping[str, "pd.Series[object]"], rows: int) -> list[str]:
    """What each run was varied by: ``seed=1`` or ``seed=1, fold=2``; "" where it has none."""
    written = [[f"{s}={v}" if v else "" for v in column] for s, column in seeds.items()]
    return [", ".join(filter(None, parts)) for parts in zip(*written, strict=True)] or [""] * rows


def _labels(told: Sequence[Mapping[str, str | None]]) -> list[str]:
    """A short label for each group: as few params as tell all of them apart."""
    if len(told) < 2:
        return [t("statistics.group.only")] * len(told)
    left = {p: len({one[p] for one in told}) for p in told[0]}
    chosen: list[str] = []
    apart = 1
    while left and apart < len(told):
        counted = {p: len({tuple(one[c] for c in (*chosen, p)) for one in told}) for p in left}
        best = max(counted, key=lambda p: (counted[p], -left[p]))
        if counted[best] == apart:
            break  # two experiments of one name
        chosen.append(best)
        apart = counted[best]
        del left[best]
    texts = [_label(one, [p for p in told[0] if p in chosen]) for one in told]
    if max(map(len, texts)) > _LABEL:
        # Too long to read: each group by as few of these params as no other group shares.
        cut = [[tuple(one[c] for c in chosen[:n]) for one in told] for n in range(len(chosen) + 1)]
        often = [Counter(of) for of in cut]
        last = len(chosen)
        few = [
            next((n for n in range(1, last) if often[n][cut[n][i]] == 1), last)
            for i in range(len(told))
        ]
        texts = [_label(one, chosen[:n]) for one, n in zip(told, few, strict=True)]
    return _apart([formats.shorten(text, _LABEL) for text in texts])


def _label(one: Mapping[str, str | None], params: Sequence[str]) -> str:
    return ", ".join(f"{p}={formats.NONE if one[p] is None else one[p]}" for p in params)


def _apart(texts: Sequence[str]) -> list[str]:
    """The texts, numbered where two are alike."""
    made: dict[str, None] = {}
    used = set(texts)
    for text in texts:
        label = text or t("statistics.group.blank")
        for n in itertools.count(2):
            if label not in made and (label == text or label not in used):
                break
            label = f"{text} ({n})"
        made[label] = None
    return list(made)
