"""What the sample holds, and how it should stand in the registry. Pure: no MLflow, no training.

Every item has a key that never changes. Runs, versions, experiments and registered models carry
theirs in the tag `TAG`, which is how a second call finds what the first one made.
"""

from collections.abc import Collection
from dataclasses import dataclass

TAG = "modeldeck.sample"

Value = int | float | str | None


@dataclass(frozen=True)
class PlannedExperiment:
    """An experiment of the sample."""

    key: str
    name: str
    note: str
    """Its description, in Markdown."""
    data: str
    """``bundled:<name>`` of the data set that all its runs learn from."""


@dataclass(frozen=True)
class PlannedRun:
    """A training run, with its child runs where it cross-validates."""

    key: str
    experiment: str
    """Key of its experiment."""
    name: str
    note: str
    family: str
    hypers: tuple[tuple[str, Value], ...]
    """Hyperparameters by name; those not named stay as the family has them."""
    folds: int = 0
    seed: int = 7

    @property
    def fold_keys(self) -> tuple[str, ...]:
        """Keys of its child runs, one per fold."""
        return tuple(f"{self.key}/fold-{number}" for number in range(1, self.folds + 1))

    @property
    def runs(self) -> int:
        """How many MLflow runs it is made of."""
        return 1 + self.folds


@dataclass(frozen=True)
class PlannedVersion:
    """A version of a registered model, and where it should stand in the end."""

    run: str
    """Key of the run that it is made from; the version's own key too."""
    description: str
    stage: str
    """Stage in the end: None, Staging, Production or Archived."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedModel:
    """A registered model; its versions in the order in which they are registered."""

    key: str
    name: str
    description: str
    tags: tuple[tuple[str, str], ...]
    versions: tuple[PlannedVersion, ...]


@dataclass(frozen=True)
class SamplePlan:
    """All that the sample holds."""

    experiments: tuple[PlannedExperiment, ...]
    runs: tuple[PlannedRun, ...]
    models: tuple[PlannedModel, ...]

    @property
    def steps(self) -> int:
        """Runs and versions together: the length of its progress bar."""
        return sum(run.runs for run in self.runs) + sum(len(one.versions) for one in self.models)


def missing(plan: SamplePlan, existing_keys: Collection[str]) -> tuple[PlannedRun, ...]:
    """The planned runs that are not among the keys, in the plan's order."""
    return tuple(run for run in plan.runs if run.key not in existing_keys)


def missing_versions(
    model: PlannedModel, existing_keys: Collection[str]
) -> tuple[PlannedVersion, ...]:
    """The planned versions of a model that are not among the keys, in the plan's order."""
    return tuple(version for version in model.versions if version.run not in existing_keys)


WINE, DIABETES, DIGITS = "wine", "diabetes", "digits"

EXPERIMENTS = (
    PlannedExperiment(
        WINE,
        "Wine classification",
        "Which of three growers a wine comes from, told by 13 chemical measurements of 178 wines.",
        "bundled:wine",
    ),
    PlannedExperiment(
        DIABETES,
        "Diabetes progression",
        "How far diabetes has progressed after a year, told by 10 measurements of 442 patients.",
        "bundled:diabetes",
    ),
    PlannedExperiment(
        DIGITS,
        "Handwritten digits",
        "Which digit a person wrote, told by 8 × 8 grey values of 1,797 small pictures.",
        "bundled:digits",
    ),
)


def _run(
    experiment: str, name: str, note: str, family: str, folds: int = 0, **hypers: Value
) -> PlannedRun:
    key = f"{experiment}/{name.replace(' ', '-').replace(',', '')}"
    return PlannedRun(key, experiment, name, note, family, tuple(hypers.items()), folds)


def _wine() -> list[PlannedRun]:
    runs = [
        _run(
            WINE,
            f"linear, regularisation {strength:g}",
            "A straight line between the growers; the strength of its regularisation varies.",
            "linear",
            5 if strength in (0.1, 1.0) else 0,
            regularisation=strength,
        )
        for strength in (0.01, 0.1, 1.0, 10.0, 100.0)
    ]
    runs += [
        _run(
            WINE,
            f"forest, {trees} trees, depth {depth or 'unlimited'}",
            "A random forest; the number of trees and their depth vary.",
            "forest",
            5 if (trees, depth) == (60, None) else 0,
            n_estimators=trees,
            max_depth=depth,
        )
        for trees, depth in ((20, 2), (20, None), (60, 2), (60, None))
    ]
    runs += [
        _run(
            WINE,
            f"boosting, learning rate {rate:g}, depth {depth}",
            "Gradient boosting, measured after every round; learning rate and depth vary.",
            "boosting",
            5 if (rate, depth) == (0.1, 3) else 0,
            n_estimators=40,
            learning_rate=rate,
            max_depth=depth,
            min_samples_leaf=5,
        )
        for rate, depth in ((0.01, 3), (0.03, 3), (0.1, 1), (0.1, 3), (0.3, 3))
    ]
    return runs


def _diabetes() -> list[PlannedRun]:
    runs = [
        _run(
            DIABETES,
            f"linear, regularisation {strength:g}",
            "Ridge regression; the strength of its regularisation varies.",
            "linear",
            5 if strength == 10.0 else 0,
            regularisation=strength,
        )
        for strength in (0.01, 1.0, 10.0, 100.0, 1000.0)
    ]
    runs += [
        _run(
            DIABETES,
            f"boosting, learning rate {rate:g}, depth {depth}",
            "Gradient boosting, measured after every round; learning rate and depth vary.",
            "boosting",
            5 if (rate, depth) == (0.03, 2) else 0,
            n_estimators=80,
            learning_rate=rate,
            max_depth=depth,
        )
        for rate, depth in ((0.01, 2), (0.03, 2), (0.1, 2), (0.3, 2), (0.03, 5), (0.3, 5))
    ]
    runs += [
        _run(
            DIABETES,
            f"neighbours, {number}, {weights}",
            "The mean of the most similar patients; how many, and how they count, varies.",
            "neighbours",
            n_neighbours=number,
            weights=weights,
        )
        for number, weights in ((5, "uniform"), (20, "uniform"), (20, "distance"))
    ]
    runs.append(
        _run(
            DIABETES,
            "forest, 60 trees, 5 rows in a leaf",
            "A random forest whose leaves hold at least five patients.",
            "forest",
            5,
            n_estimators=60,
            min_samples_leaf=5,
        )
    )
    return runs


def _digits() -> list[PlannedRun]:
    runs = [
        _run(
            DIGITS,
            f"network, {units} units, learning rate {rate:g}",
            "A neural network, measured after every epoch; its size and learning rate vary.",
            "mlp",
            3 if (units, rate) == (64, 0.003) else 0,
            hidden_units=units,
            learning_rate=rate,
            max_iter=40,
        )
        for units, rate in ((16, 0.001), (16, 0.01), (64, 0.0003), (64, 0.003), (64, 0.03))
    ]
    runs += [
        _run(
            DIGITS,
            f"neighbours, {number}",
            "A vote of the most similar pictures.",
            "neighbours",
            n_neighbours=number,
        )
        for number in (1, 5, 25)
    ]
    runs += [
        _run(
            DIGITS,
            f"linear, regularisation {strength:g}",
            "Straight lines between the digits; the strength of the regularisation varies.",
            "linear",
            regularisation=strength,
        )
        for strength in (1.0, 100.0)
    ]
    runs.append(
        _run(
            DIGITS,
            "forest, 60 trees",
            "A random forest with trees of any depth.",
            "forest",
            n_estimators=60,
        )
    )
    return runs


MODELS = (
    PlannedModel(
        "wine-grower",
        "wine-grower",
        "Tells which of three growers a wine comes from, by 13 chemical measurements.",
        (("team", "cellar"), ("data", "wine")),
        (
            PlannedVersion(
                "wine/forest-20-trees-depth-2",
                "First try: a small forest of shallow trees.",
                "Archived",
            ),
            PlannedVersion(
                "wine/boosting-learning-rate-0.1-depth-3",
                "Gradient boosting, forty rounds.",
                "Archived",
            ),
            PlannedVersion(
                "wine/linear-regularisation-1",
                "A linear model: simple, fast, and easy to explain.",
                "Production",
                ("champion",),
            ),
            PlannedVersion(
                "wine/forest-60-trees-depth-unlimited",
                "A larger forest, to be compared with the linear model.",
                "Staging",
                ("challenger",),
            ),
        ),
    ),
    PlannedModel(
        "diabetes-progression",
        "diabetes-progression",
        "Estimates how far diabetes has progressed after a year. A teaching example, not for care.",
        (("team", "clinic"), ("data", "diabetes")),
        (
            PlannedVersion(
                "diabetes/linear-regularisation-0.01",
                "Baseline: ridge regression with hardly any regularisation.",
                "Archived",
            ),
            PlannedVersion(
                "diabetes/linear-regularisation-10",
                "Ridge regression with more regularisation, cross-validated.",
                "Production",
                ("champion",),
            ),
            PlannedVersion(
                "diabetes/boosting-learning-rate-0.03-depth-2",
                "Gradient boosting with a low learning rate, cross-validated.",
                "Staging",
                ("challenger",),
            ),
        ),
    ),
    PlannedModel(
        "digit-reader",
        "digit-reader",
        "Reads a handwritten digit from an 8 × 8 picture.",
        (("team", "post room"), ("data", "digits")),
        (
            PlannedVersion(
                "digits/neighbours-5",
                "A vote of the five most similar pictures.",
                "Staging",
                ("challenger",),
            ),
            PlannedVersion(
                "digits/network-16-units-learning-rate-0.001",
                "A small network; not learned to the end.",
                "None",
            ),
            PlannedVersion(
                "digits/network-64-units-learning-rate-0.003",
                "A larger network, cross-validated.",
                "None",
            ),
        ),
    ),
)

SAMPLE = SamplePlan(EXPERIMENTS, (*_wine(), *_diabetes(), *_digits()), MODELS)
