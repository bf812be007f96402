"""The families of models that can be trained, and the hyperparameters of each.

`form.yaml` beside the project `tabular` draws this as a form; a test keeps the two alike.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

from core.training.builtin.data import Task
from core.training.builtin.trouble import BadInput

Value = int | float | str | None
Array = npt.NDArray[Any]

AUTO = "auto"

MOST_POINTS = 100
"""A curve has at most so many points; a longer training is measured at evenly spread steps."""

FOREST_POINTS = 12
"""A forest is measured at fewer: each point predicts with all the trees grown so far."""


@dataclass(frozen=True)
class Hyper:
    """One hyperparameter of one family."""

    kind: Literal["int", "float", "choice"]
    default: Value
    """What ``auto`` stands for; None leaves it without a limit."""
    least: float = 0.0
    most: float = 0.0
    choices: tuple[str, ...] = ()

    def read(self, name: str, text: str) -> Value:
        """The value that was typed; raises `BadInput` where it is none, or out of bounds."""
        typed = text.strip()
        if typed == AUTO:
            return self.default
        if self.kind == "choice":
            if typed not in self.choices:
                raise BadInput(f"{name} is “{typed}”. Choose one of: {', '.join(self.choices)}.")
            return typed
        whole = self.kind == "int"
        try:
            number: int | float = int(typed) if whole else float(typed)
        except ValueError:
            kind = "a whole number" if whole else "a number"
            raise BadInput(f"{name} is “{typed}”. Give {kind}, or {AUTO}.") from None
        if not self.least <= number <= self.most:  # NaN is refused here too
            raise BadInput(f"{name} is {typed}. Give {self.least:g} to {self.most:g}, or {AUTO}.")
        return number


@dataclass(frozen=True)
class Step:
    """A model in the making, ready to predict."""

    number: int
    """Trees, boosting rounds or epochs so far, from 1."""
    last: bool
    predict: Callable[[Array], Array]
    """Rows to class labels, or to numbers."""
    chances: Callable[[Array], Array] | None
    """Rows to one probability per class; None for a regression."""


@dataclass(frozen=True)
class Family:
    """A kind of model: how it is made, how it learns, and what its saved form may hold."""

    key: str
    label: str
    hypers: Mapping[str, Hyper]
    make: Callable[[Task, Mapping[str, Any], int], Any]
    """Task, hyperparameters and seed to an estimator that has not learned yet."""
    learn: Callable[[Any, Array, Array], Iterator[Step]]
    """Estimator, rows, targets: trains in place, and yields at every step worth measuring."""
    trusted: tuple[str, ...]
    """Types beyond skops's own list that the saved model needs.

    Reviewed by hand: each holds numbers alone, and none runs code when it is read.
    """


COMMON_TRUSTED = ("numpy.dtype", "pandas.DataFrame")
"""The kind of an array's values, and the class that puts columns in their order."""


def _step(model: Any, number: int, last: bool) -> Step:
    return Step(number, last, model.predict, getattr(model, "predict_proba", None))


def _at_once(model: Any, rows: Array, targets: Array) -> Iterator[Step]:
    model.fit(rows, targets)
    yield _step(model, 1, last=True)


def _points(total: int, most: int) -> list[int]:
    """Evenly spread steps out of 1..total, the last one always among them."""
    return sorted(
        {round(total * part / min(most, total)) for part in range(1, most + 1)}
        & {*range(1, total + 1)}
    )


def _tree_by_tree(model: Any, rows: Array, targets: Array) -> Iterator[Step]:
    """Grow a forest in portions; the trees are those of a forest grown at once."""
    total = model.n_estimators
    model.set_params(warm_start=True)
    for trees in _points(total, FOREST_POINTS):
        model.set_params(n_estimators=trees)
        model.fit(rows, targets)
        if trees == total:
            model.set_params(warm_start=False)
        yield _step(model, trees, last=trees == total)


def _in_stages(model: Any, rows: Array, targets: Array) -> Iterator[Step]:
    """Boost, then replay the rounds: each is the sum of those before it."""
    model.fit(rows, targets)
    wanted = set(_points(model.n_iter_, MOST_POINTS))
    replays: dict[tuple[str, int], tuple[Array, Iterator[Array]]] = {}
    heights: dict[tuple[str, int], int] = {}

    def at(method: str, number: int) -> Callable[[Array], Array]:
        def replay(given: Array) -> Array:
            # One replay per method and table walks forward once, however often it is asked.
            key = (method, id(given))
            if key not in replays:
                replays[key] = (given, getattr(model, f"staged_{method}")(given))
                heights[key] = 0
            values: Array = np.empty(0)
            while heights[key] < number:
                values = next(replays[key][1])
                heights[key] += 1
            return values

        return replay

    for number in range(1, model.n_iter_ + 1):
        if number == model.n_iter_:
            yield _step(model, number, last=True)
        elif number in wanted:
            chances = at("predict_proba", number) if hasattr(model, "predict_proba") else None
            yield Step(number, False, at("predict", number), chances)


PATIENCE = 10
"""A network stops early when its loss has not fallen by a ten-thousandth for so many epochs."""


def _in_epochs(model: Any, rows: Array, targets: Array) -> Iterator[Step]:
    """Train a network epoch by epoch; a regression learns on standard scores."""
    classes = isinstance(model, MLPClassifier)
    total = model.max_iter
    wanted = set(_points(total, MOST_POINTS))
    middle, spread = (0.0, 1.0) if classes else (float(targets.mean()), float(targets.std()))
    learned = targets if classes else (targets - middle) / spread
    more = {"classes": np.unique(targets)} if classes else {}
    best, idle = np.inf, 0
    for epoch in range(1, total + 1):
        model.partial_fit(rows, learned, **more)
        more = {}
        idle = 0 if model.loss_ < best * (1 - 1e-4) else idle + 1
        best = min(best, model.loss_)
        last = epoch == total or idle >= PATIENCE
        if last and not classes:
            # The last layer is linear: scaling it brings predictions back to the target's units
            # exactly, and the saved model stays a plain network.
            model.coefs_[-1] *= spread
            model.intercepts_[-1] = model.intercepts_[-1] * spread + middle
        if last or epoch in wanted:
            if last or classes:
                yield _step(model, epoch, last)
            else:
                yield Step(epoch, False, lambda x: model.predict(x) * spread + middle, None)
        if last:
            return


def _linear(task: Task, values: Mapping[str, Any], seed: int) -> Any:
    if task == "regression":
        return Ridge(alpha=values["regularisation"], random_state=seed)
    return LogisticRegression(
        C=1.0 / values["regularisation"], max_iter=values["max_iter"], random_state=seed
    )


def _forest(task: Task, values: Mapping[str, Any], seed: int) -> Any:
    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    return kind(
        n_estimators=values["n_estimators"],
        max_depth=values["max_depth"],
        min_samples_leaf=values["min_samples_leaf"],
        random_state=seed,
    )


def _boosting(task: Task, values: Mapping[str, Any], seed: int) -> Any:
    regression = task == "regression"
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    return kind(
        max_iter=values["n_estimators"],
        max_depth=values["max_depth"],
        min_samples_leaf=values["min_samples_leaf"],
        learning_rate=values["learning_rate"],
        l2_regularization=values["regularisation"],
        early_stopping=False,  # as many rounds as were asked for
        random_state=seed,
    )


def _neighbours(task: Task, values: Mapping[str, Any], seed: int) -> Any:  # noqa: ARG001 - a Family's maker takes a seed; this one draws nothing
    kind = KNeighborsRegressor if task == "regression" else KNeighborsClassifier
    return kind(n_neighbors=values["n_neighbours"], weights=values["weights"])


def _mlp(task: Task, values: Mapping[str, Any], seed: int) -> Any:
    kind = MLPRegressor if task == "regression" else MLPClassifier
    return kind(
        hidden_layer_sizes=(values["hidden_units"],),
        learning_rate_init=values["learning_rate"],
        max_iter=values["max_iter"],
        alpha=values["regularisation"],
        random_state=seed,
    )


_DEPTH = Hyper("int", None, 1, 100)
_TREES = Hyper("int", 100, 1, 5000)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.key: family
        for family in (
            Family(
                key="linear",
                label="Linear",
                hypers={
                    "regularisation": Hyper("float", 1.0, 1e-6, 1e6),
                    "max_iter": Hyper("int", 1000, 1, 10_000),
                },
                make=_linear,
                learn=_at_once,
                trusted=COMMON_TRUSTED,
            ),
            Family(
                key="forest",
                label="Random forest",
                hypers={
                    "n_estimators": _TREES,
                    "max_depth": _DEPTH,
                    "min_samples_leaf": Hyper("int", 1, 1, 10_000),
                },
                make=_forest,
                learn=_tree_by_tree,
                trusted=(*COMMON_TRUSTED, "sklearn.tree._tree.Tree"),
            ),
            Family(
                key="boosting",
                label="Gradient boosting",
                hypers={
                    "n_estimators": _TREES,
                    "max_depth": _DEPTH,
                    "min_samples_leaf": Hyper("int", 20, 1, 10_000),
                    "learning_rate": Hyper("float", 0.1, 1e-5, 1.0),
                    "regularisation": Hyper("float", 0.0, 0.0, 1e6),
                },
                make=_boosting,
                learn=_in_stages,
                trusted=(
                    *COMMON_TRUSTED,
                    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
                ),
            ),
            Family(
                key="neighbours",
                label="Nearest neighbours",
                hypers={
                    "n_neighbours": Hyper("int", 5, 1, 1000),
                    "weights": Hyper("choice", "uniform", choices=("uniform", "distance")),
                },
                make=_neighbours,
                learn=_at_once,
                trusted=(
                    *COMMON_TRUSTED,
                    "sklearn.metrics._dist_metrics.EuclideanDistance64",
                    "sklearn.neighbors._kd_tree.KDTree",
                ),
            ),
            Family(
                key="mlp",
                label="Neural network",
                hypers={
                    "hidden_units": Hyper("int", 64, 1, 4096),
                    "learning_rate": Hyper("float", 0.001, 1e-5, 1.0),
                    "max_iter": Hyper("int", 100, 1, 10_000),
                    "regularisation": Hyper("float", 1e-4, 0.0, 1e6),
                },
                make=_mlp,
                learn=_in_epochs,
                trusted=(
                    *COMMON_TRUSTED,
                    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
                ),
            ),
        )
    }
)


def family_named(key: str) -> Family:
    """The family of that name; raises `BadInput` where there is none."""
    if key not in FAMILIES:
        raise BadInput(f"There is no family “{key}”. Choose one of: {', '.join(FAMILIES)}.")
    return FAMILIES[key]


def read_hypers(family: Family, typed: Mapping[str, str]) -> dict[str, Value]:
    """The family's hyperparameters from what was typed; what was not typed counts as ``auto``.

    Raises `BadInput` for a value out of bounds, and for one that this family has no use for.
    """
    for name, text in typed.items():
        if name not in family.hypers and text.strip() != AUTO:
            raise BadInput(
                f"{family.label} has no use for {name}, which is {text}. Leave it at {AUTO}, "
                "or choose another family."
            )
    return {name: hyper.read(name, typed.get(name, AUTO)) for name, hyper in family.hypers.items()}
