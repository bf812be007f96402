"""Forests that are each held to runs they have not seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.runs.encoding import Encoded, Floats, Ints

FOLDS = 5
REPEATS = 5
"""How often a param is dealt out anew in each fold."""

TREES = 64
SEED = 20_260_101

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Design:
    """What a forest learns from."""

    params: tuple[Encoded, ...]
    y: Floats
    """What is to be predicted, one a run; neither constant nor so large that squares overflow."""
    configuration: Ints
    """Runs of one number stay together in a fold."""
    conditional: tuple[int, ...] = ()
    """Positions of params that only some runs have, as another param decides."""

    @property
    def x(self) -> Floats:
        """All params side by side."""
        return np.hstack([param.columns for param in self.params])

    def dealt(self, members: Sequence[int], rows: Ints, random: np.random.Generator) -> Ints:
        """``rows`` in another order: each gets the values of the run in its place.

        A conditional param is dealt out among the runs that have it.
        """
        kinds = np.zeros(len(rows), dtype=np.int64)
        for i in set(members) & set(self.conditional):
            kinds = 2 * kinds + self.params[i].present[rows]
        made = np.empty_like(rows)
        for kind in np.unique(kinds):
            of = np.flatnonzero(kinds == kind)
            made[of] = rows[random.permutation(of)]
        return made

    def columns(self, members: Sequence[int]) -> list[int]:
        """The columns of ``x`` that some of the params are in, by their positions."""
        ends = np.cumsum([0, *(param.table.shape[1] for param in self.params)])
        return [column for i in members for column in range(ends[i], ends[i + 1])]


@dataclass(frozen=True)
class Grown:
    """A forest for each fold of a cross-validation."""

    design: Design
    forests: tuple[Any, ...]
    held: tuple[Ints, ...]
    """The runs that each forest has not seen."""
    predicted: Floats
    """For each run, by the forest that has not seen it."""

    @property
    def fit(self) -> float:
        """R² of ``predicted``."""
        y = self.design.y
        return 1 - float(np.mean((y - self.predicted) ** 2) / np.var(y))

    @property
    def fits(self) -> tuple[float, ...]:
        """The same fold by fold; the errors are held against the spread of all runs."""
        y = self.design.y
        errors = (y - self.predicted) ** 2
        return tuple(1 - float(errors[rows].mean() / np.var(y)) for rows in self.held)

    def lost(self, members: Sequence[Sequence[int]], progress: Progress) -> Floats:
        """What R² loses when params are dealt out anew among the held-out runs.

        Args:
            members: positions of the params that are dealt out together, for each answer.
            progress: is told how much is done, 0 to 1.

        Returns:
            One row a fold, one column for each of ``members``: the mean over the repeats.
        """
        x, y = self.design.x, self.design.y
        columns = [self.design.columns(some) for some in members]
        made = np.empty((len(self.forests), len(members)))
        for fold, (forest, rows) in enumerate(zip(self.forests, self.held, strict=True)):
            random = np.random.default_rng(SEED + fold)
            base = float(np.mean((y[rows] - self.predicted[rows]) ** 2))
            for i, (group, some) in enumerate(zip(members, columns, strict=True)):
                dealt = np.tile(x[rows], (REPEATS, 1))
                for repeat in range(REPEATS):
                    of = slice(repeat * len(rows), (repeat + 1) * len(rows))
                    dealt[of, some] = x[self.design.dealt(group, rows, random)][:, some]
                errors = (forest.predict(dealt) - np.tile(y[rows], REPEATS)) ** 2
                made[fold, i] = (float(errors.mean()) - base) / np.var(y)
            progress((fold + 1) / len(self.forests))
        return made

    def curve(self, param: int, levels: Sequence[int], rows: Ints) -> Floats:
        """Mean prediction with one param set to each of some of its values (Friedman 2001).

        Args:
            param: its position.
            levels: positions in its values.
            rows: the runs whose other params stand for all.

        Returns:
            One row a forest, one column a value.
        """
        some = self.design.columns([param])
        grid = np.tile(self.design.x[rows], (len(levels), 1))
        grid[:, some] = np.repeat(self.design.params[param].table[list(levels)], len(rows), axis=0)
        return np.array(
            [f.predict(grid).reshape(len(levels), len(rows)).mean(axis=1) for f in self.forests]
        )

    def at(self, levels: Sequence[int]) -> Floats:
        """Each forest's prediction for one combination: the position of each param's value."""
        row = np.hstack(
            [p.table[level] for p, level in zip(self.design.params, levels, strict=True)]
        )
        return np.array([float(f.predict(row[None, :])[0]) for f in self.forests])


def grow(design: Design, progress: Progress) -> Grown:
    """A random forest for each of `FOLDS` folds, the same at every call.

    Args:
        design: of at least `FOLDS` configurations.
        progress: is told how much is done, 0 to 1.
    """
    import sklearn  # dear to import, and nothing else of a page needs it

    x, y = design.x, design.y
    predicted = np.full(len(y), np.nan)
    forests, helds = [], []
    folds = sklearn.model_selection.GroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for at, (train, held) in enumerate(folds.split(x, y, design.configuration)):
        forest = sklearn.ensemble.RandomForestRegressor(
            TREES, min_samples_leaf=2, max_features=0.7, random_state=SEED + at, n_jobs=2
        )
        forests.append(forest.fit(x[train], y[train]))
        forest.n_jobs = 1  # several threads would add up in another order every time
        helds.append(held)
        predicted[held] = forest.predict(x[held])
        progress((at + 1) / FOLDS)
    return Grown(design, tuple(forests), tuple(helds), predicted)
