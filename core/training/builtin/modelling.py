"""Trains one pipeline and measures it; knows no tracking server.

A pipeline puts the columns in order (a column that a request leaves out counts as missing), fills
gaps, scales numbers, turns text into yes-or-no columns, and predicts.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from core.training.builtin.data import Split, Table
from core.training.builtin.families import Array, Family, Step, Value, family_named
from core.training.builtin.trouble import BadInput

SMALLEST_CHANCE = float(np.finfo(np.float64).eps)
"""A chance of zero counts as this in a log loss, as scikit-learn has it."""

MOST_TEXT_VALUES = 30
"""A text column becomes at most so many yes-or-no columns; rarer values share one."""

IMPORTANCE_REPEATS = 3
IMPORTANCE_WORK = 20_000
"""Rows that are predicted for the importance of all columns together: it bounds the time."""
IMPORTANCE_BATCH = 4_000
"""Rows that are predicted in one call."""
IMPORTANCE_ROWS = (100, 1000)
"""Fewest and most test rows that it is measured on."""


@dataclass(frozen=True)
class Recipe:
    """What to train on a table."""

    family: str
    """Key of one of `families.FAMILIES`."""
    hypers: Mapping[str, Value]
    """A value for each of the family's hyperparameters."""
    folds: int = 0
    """Folds of cross-validation within the training rows: 0 for none, else 2 to 20."""
    test_share: float = 0.25
    """Share of the rows that is held back for the test, 0.05 to 0.5."""
    seed: int = 0
    """Start of every random draw, 0 to 2³²-1."""


@dataclass(frozen=True)
class Measured:
    """What a model scored at one step."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Trained:
    """A pipeline that has learned, and what it scored on its way; the last entry is its own."""

    pipeline: Pipeline
    curve: tuple[Measured, ...]
    warnings: tuple[str, ...]

    @property
    def metrics(self) -> Mapping[str, float]:
        """What the finished model scored."""
        return self.curve[-1].metrics


def train(
    table: Table,
    recipe: Recipe,
    rows: Split,
    *,
    seen: Callable[[Measured], None] | None = None,
) -> Trained:
    """Train the recipe's pipeline on the split's training rows, and measure it on both parts.

    ``seen`` is called with every step that is measured, the last one too, and may raise to end
    the training; without it only the finished model is measured.
    """
    family = family_named(recipe.family)
    _fits(family, recipe, len(rows.x_train))
    prepare = _preparation(table)
    model = family.make(table.task, recipe.hypers, recipe.seed)
    y_train, y_test = rows.y_train.to_numpy(), rows.y_test.to_numpy()
    points: list[Measured] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        x_train = prepare.fit_transform(rows.x_train)
        x_test = prepare.transform(rows.x_test)
        for step in family.learn(model, x_train, y_train):
            if step.last or seen:
                score = _score if step.last else _score_on_the_way
                metrics = {
                    **_prefixed("train", score(table, step, x_train, y_train)),
                    **_prefixed("test", score(table, step, x_test, y_test)),
                }
                points.append(Measured(step.number, metrics))
                if seen:
                    seen(points[-1])
    said = tuple(dict.fromkeys(str(one.message).splitlines()[0] for one in caught))
    return Trained(
        Pipeline([*prepare.steps, ("model", model)]),
        tuple(points),
        tuple(f"The training did not settle: {text}" for text in said),
    )


def folds_of(table: Table, recipe: Recipe, rows: Split) -> Iterator[Split]:
    """The recipe's folds within the training rows; raises `BadInput` where there are too few."""
    classes = bool(table.classes)
    fewest = int(rows.y_train.value_counts().min()) if classes else len(rows.y_train)
    if fewest < recipe.folds:
        what = "smallest class of the training rows has" if classes else "training has"
        raise BadInput(
            f"The {what} {fewest} rows: too few for {recipe.folds} folds. Ask for fewer folds, "
            "or for none with 0."
        )
    kind = StratifiedKFold if classes else KFold
    maker = kind(n_splits=recipe.folds, shuffle=True, random_state=recipe.seed)
    for learn, measure in maker.split(rows.x_train, rows.y_train):
        yield Split(
            rows.x_train.iloc[learn],
            rows.x_train.iloc[measure],
            rows.y_train.iloc[learn],
            rows.y_train.iloc[measure],
        )


def across_folds(scores: list[Mapping[str, float]]) -> dict[str, float]:
    """Mean and standard deviation over the folds, of each measure on the rows left out.

    ``test_accuracy`` of each becomes ``cv_accuracy_mean`` and ``cv_accuracy_std``. The deviation
    is that of a sample (n - 1).
    """
    table = pd.DataFrame(scores)
    found: dict[str, float] = {}
    for name in table.columns:
        if str(name).startswith("test_"):
            measure = str(name).removeprefix("test_")
            found[f"cv_{measure}_mean"] = float(table[name].mean())
            found[f"cv_{measure}_std"] = float(table[name].std())
    return found


def importance_rows(rows: Split) -> int:
    """How many test rows the importance of columns is measured on."""
    least, most = IMPORTANCE_ROWS
    affordable = IMPORTANCE_WORK // (IMPORTANCE_REPEATS * rows.x_test.shape[1])
    return int(min(len(rows.x_test), max(least, min(most, affordable))))


def importances(trained: Trained, rows: Split, seed: int) -> pd.DataFrame:
    """How much worse the model gets on test rows when one column is shuffled.

    Columns: column, importance (mean loss of accuracy or R²), deviation (over the
    `IMPORTANCE_REPEATS` shuffles); the greatest first.
    """
    count = importance_rows(rows)
    x = rows.x_test.sample(count, random_state=seed)
    y = rows.y_test.loc[x.index].to_numpy()
    score = accuracy_score if hasattr(trained.pipeline, "predict_proba") else r2_score
    whole = score(y, trained.pipeline.predict(x))
    draw = np.random.default_rng(seed)
    values = {str(name): x[name].to_numpy() for name in x.columns}
    jobs = [name for name in values for _ in range(IMPORTANCE_REPEATS)]
    at_once = max(1, IMPORTANCE_BATCH // count)  # a call costs far more than a row
    lost: dict[str, list[float]] = {name: [] for name in values}
    for start in range(0, len(jobs), at_once):
        batch = jobs[start : start + at_once]
        stacked = {name: np.tile(column, len(batch)) for name, column in values.items()}
        for number, name in enumerate(batch):
            draw.shuffle(stacked[name][number * count : (number + 1) * count])
        predicted = trained.pipeline.predict(pd.DataFrame(stacked)).reshape(len(batch), count)
        for name, part in zip(batch, predicted, strict=True):
            lost[name].append(whole - score(y, part))
    found = [(name, float(np.mean(one)), float(np.std(one))) for name, one in lost.items()]
    table = pd.DataFrame(found, columns=["column", "importance", "deviation"])
    return table.sort_values("importance", ascending=False, ignore_index=True)


def _fits(family: Family, recipe: Recipe, rows: int) -> None:
    wanted = recipe.hypers.get("n_neighbours")
    if isinstance(wanted, int) and wanted > rows:
        raise BadInput(
            f"{family.label} asks for {wanted} neighbours, and there are {rows} rows to learn "
            "from. Ask for fewer."
        )


def _preparation(table: Table) -> Pipeline:
    parts: list[tuple[str, Any, list[str]]] = []
    if table.numbers:
        fill = SimpleImputer(strategy="median", keep_empty_features=True)
        parts.append(
            ("numbers", Pipeline([("fill", fill), ("scale", StandardScaler())]), table.numbers)
        )
    if table.flags:
        parts.append(("flags", StandardScaler(), table.flags))
    if table.texts:
        # A text that is missing is a value of its own. It comes as NaN or as None: as NaN from
        # pandas and where a request leaves the column out, as None from JSON's null.
        fills = [
            (name, SimpleImputer(strategy="constant", fill_value="", missing_values=gap))
            for name, gap in (("fill", np.nan), ("fill_null", None))
        ]
        spread = OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=MOST_TEXT_VALUES,
            sparse_output=False,
        )
        parts.append(("texts", Pipeline([*fills, ("spread", spread)]), table.texts))
    # pandas.DataFrame itself is the function: with its columns named it orders them, and adds
    # those that are not there as missing, which the steps after it know how to fill.
    columns = [str(name) for name in table.features.columns]
    order = FunctionTransformer(pd.DataFrame, kw_args={"columns": columns})
    return Pipeline(
        [
            ("columns", order),
            ("prepare", ColumnTransformer(parts, verbose_feature_names_out=False)),
        ]
    )


def _prefixed(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in metrics.items()}


def _score_on_the_way(table: Table, step: Step, x: Array, y: Array) -> dict[str, float]:
    """The measures worth a curve, written out: scikit-learn checks its input at every call, which
    takes many times longer than the sums."""
    if step.chances is None:
        error = float(((y - step.predict(x)) ** 2).sum())
        spread = float(((y - y.mean()) ** 2).sum())
        return {
            "rmse": float(np.sqrt(error / len(y))),
            "r2": 1.0 - error / spread if spread else float("nan"),
        }
    chances = step.chances(x)
    actual = np.searchsorted(np.asarray(table.classes, dtype=y.dtype), y)
    of_actual = chances[np.arange(len(y)), actual]
    return {
        "accuracy": float((chances.argmax(axis=1) == actual).mean()),
        "log_loss": float(-np.log(np.clip(of_actual, SMALLEST_CHANCE, 1.0)).mean()),
    }


def _score(table: Table, step: Step, x: Array, y: Array) -> dict[str, float]:
    """All measures, for a finished model."""
    found = _score_on_the_way(table, step, x, y)
    if step.chances is None:
        return {**found, "mae": float(mean_absolute_error(y, step.predict(x)))}
    found["f1_macro"] = float(f1_score(y, step.predict(x), average="macro", zero_division=0.0))
    if len(np.unique(y)) == len(table.classes):  # else the area under the curve has no meaning
        chances = step.chances(x)
        found["roc_auc"] = float(
            roc_auc_score(y, chances[:, 1])
            if len(table.classes) == 2
            else roc_auc_score(y, chances, multi_class="ovr", labels=table.classes)
        )
    return found
