"""Reads a table to train on: a CSV or Parquet file, or a set that scikit-learn carries.

Nothing here speaks to MLflow or to the network. Whatever cannot be trained on raises `BadInput`
with a sentence for the person who asked.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

from core.training.builtin.trouble import BadInput

Task = Literal["classification", "regression"]

BUNDLED_PREFIX = "bundled:"
BUNDLED: dict[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}
"""The data sets that scikit-learn carries; in all of them the target is the column ``target``."""

MOST_CLASSES = 100
"""A classification with more classes than this is refused."""

MOST_CLASSES_GUESSED = 20
"""Whole numbers with at most so many different values are taken for classes, unless told."""

MOST_TEXTS = 30
"""A text column with more different values than this, and than half its rows, is no category."""

FEWEST_ROWS = 10


@dataclass(frozen=True)
class Table:
    """A table that can be trained on."""

    name: str
    """Short name of the data set: the bundled set's, or the file's without its ending."""
    source: str
    """Where it was read: ``bundled:<name>``, or the file's full path."""
    features: pd.DataFrame
    """One row per example. Columns are float64 (numbers), bool, or text; what is missing is NaN."""
    target: "pd.Series[Any]"
    """What is to be predicted: float64 for a regression; else int64, bool or text."""
    task: Task
    notes: tuple[str, ...]
    """What was decided or left out while reading, a sentence each."""
    changed_at: datetime | None = None
    """When its file was changed last; None for a bundled set."""

    @property
    def numbers(self) -> list[str]:
        """Names of the columns that hold numbers."""
        return [str(name) for name, kind in self.features.dtypes.items() if kind == np.float64]

    @property
    def flags(self) -> list[str]:
        """Names of the columns that hold true or false, and miss no value."""
        return [str(name) for name, kind in self.features.dtypes.items() if kind == np.bool_]

    @property
    def texts(self) -> list[str]:
        """Names of the columns that hold text."""
        known = {*self.numbers, *self.flags}
        return [str(name) for name in self.features.columns if name not in known]

    @property
    def classes(self) -> list[Any]:
        """The classes in their order; empty for a regression."""
        return [] if self.task == "regression" else sorted(self.target.unique().tolist())


@dataclass(frozen=True)
class Split:
    """A table in two: what a model learns from, and what it is measured on."""

    x_train: pd.DataFrame
    x_test: pd.DataFrame
    y_train: "pd.Series[Any]"
    y_test: "pd.Series[Any]"


def load(data: str, target: str, task: str = "auto") -> Table:
    """Read ``data`` (``bundled:<name>`` or the path of a CSV or Parquet file) for training.

    ``task`` is ``auto``, ``classification`` or ``regression``. Raises `BadInput` when the file
    cannot be read, or does not hold what that task needs.
    """
    if task not in ("auto", *get_args(Task)):
        raise BadInput(f"The task is “{task}”. Choose auto, classification or regression.")
    name, source, changed_at, frame = _read(data)
    frame.columns = pd.Index([str(column) for column in frame.columns])
    if target not in frame.columns:
        shown = ", ".join(frame.columns[:20]) + (", …" if len(frame.columns) > 20 else "")
        raise BadInput(f"There is no column “{target}” to predict in {source}. It has: {shown}.")
    notes: list[str] = []
    known = frame[target].notna()
    if not known.all():
        notes.append(f"Left out {int((~known).sum())} rows without a value in “{target}”.")
        frame = frame[known]
    if len(frame) < FEWEST_ROWS:
        raise BadInput(
            f"{source} has {len(frame)} rows with a value in “{target}”. "
            f"At least {FEWEST_ROWS} are needed."
        )
    features = _features(frame.drop(columns=[target]), notes)
    if features.empty:
        raise BadInput(f"{source} has no column to learn from besides “{target}”.")
    values = frame[target].infer_objects()
    chosen = _task(values, target, task, notes)
    wanted = _numbers(values, target) if chosen == "regression" else _labels(values, target)
    return Table(
        name=name,
        source=source,
        features=features.reset_index(drop=True),
        target=wanted.reset_index(drop=True),
        task=chosen,
        notes=tuple(notes),
        changed_at=changed_at,
    )


def split(table: Table, test_share: float, seed: int) -> Split:
    """Split a table into training and test rows; classes keep their shares in both.

    ``test_share`` is a share of all rows (0 to 1). Raises `BadInput` when a part would be too
    small to hold every class.
    """
    classes = len(table.classes)
    rows = len(table.features)
    fewest = max(2, classes)
    tests = int(np.ceil(rows * test_share))
    if tests < fewest or rows - tests < fewest:
        raise BadInput(
            f"A test share of {test_share:g} leaves {tests} of {rows} rows for the test. "
            f"Both parts need at least {fewest}."
        )
    parts = train_test_split(
        table.features,
        table.target,
        test_size=test_share,
        random_state=seed,
        stratify=table.target if classes else None,
    )
    return Split(*parts)


def _read(data: str) -> tuple[str, str, datetime | None, pd.DataFrame]:
    if data.startswith(BUNDLED_PREFIX):
        name = data.removeprefix(BUNDLED_PREFIX)
        if name not in BUNDLED:
            raise BadInput(f"There is no bundled data set “{name}”. There are: {_names(BUNDLED)}.")
        return name, data, None, _bundled(name)
    if not data.strip():
        raise BadInput("No data was named. Give the path of a CSV or Parquet file.")
    path = Path(data)
    if not path.is_file():
        raise BadInput(
            f"There is no file {path.absolute()}. Give the full path of a CSV or Parquet file."
        )
    path = path.resolve()
    try:
        # Before it is read: what is written meanwhile must not make old rows look new.
        changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        frame = _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    except (OSError, ValueError, csv.Error) as error:  # pandas and Arrow raise kinds of ValueError
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path} cannot be read as a table: {reason}") from error
    return path.stem, str(path), changed_at, frame


def _bundled(name: str) -> pd.DataFrame:
    bunch = BUNDLED[name](as_frame=True)
    frame: pd.DataFrame = bunch.frame
    names = bunch.get("target_names")
    if names is not None and len(names) and isinstance(names[0], str):
        frame = frame.assign(target=[str(names[number]) for number in frame["target"]])
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(level=named) if named else frame


def _csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline(100_000)
    if not head.strip():
        raise ValueError("it is empty.")
    # Only where the first line has no comma is another separator looked for.
    separator = "," if "," in head else max(";\t|", key=head.count)
    try:
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig")
    except pd.errors.ParserError as error:
        raise ValueError(str(error).replace("Error tokenizing data. C error: ", "")) from error


def _features(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Columns as float64, bool or text; what cannot be used is left out and noted.

    Whole numbers become float64 too: a signature with ``long`` columns would refuse a missing
    value, and the scoring server would cut 3.5 to 3 without a word.
    """
    kept: dict[str, Any] = {}
    for name in frame.columns:
        column = frame[name].infer_objects()
        present = column.dropna()
        if present.empty:
            notes.append(f"Left out column “{name}”: it is empty.")
        elif pd.api.types.is_bool_dtype(column) or present.map(type).eq(bool).all():
            whole = len(present) == len(column)
            kept[name] = column.astype(bool if whole else float)
        elif pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
            numbers = column.astype("float64")
            if np.isinf(numbers).any():
                notes.append(f"Infinite values in column “{name}” count as missing.")
                numbers = numbers.replace([np.inf, -np.inf], np.nan)
            kept[name] = numbers
        elif _is_text(column, present):
            if present.nunique() > max(MOST_TEXTS, len(present) / 2):
                notes.append(f"Left out column “{name}”: most rows have a text of their own.")
                continue
            kept[name] = column.astype(object).map(str, na_action="ignore")
        else:
            notes.append(f"Left out column “{name}”: its values are neither numbers nor text.")
    return pd.DataFrame(kept, index=frame.index)


def _is_text(column: "pd.Series[Any]", present: "pd.Series[Any]") -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
        return False
    return bool(present.map(lambda value: isinstance(value, str | bool | int | float)).all())


def _task(values: "pd.Series[Any]", target: str, task: str, notes: list[str]) -> Task:
    if task == "classification":
        return "classification"
    if task == "regression":
        return "regression"
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        notes.append(f"“{target}” holds no numbers: this is a classification.")
        return "classification"
    different = values.nunique()
    if different <= MOST_CLASSES_GUESSED and (values % 1 == 0).all():
        notes.append(f"“{target}” has {different} whole numbers: this is a classification.")
        return "classification"
    notes.append(f"“{target}” holds {different} different numbers: this is a regression.")
    return "regression"


def _numbers(values: "pd.Series[Any]", target: str) -> "pd.Series[Any]":
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        raise BadInput(
            f"A regression needs numbers in “{target}”, and it holds others, such as "
            f"“{_first_odd(values)}”. Choose another column, or classification."
        )
    numbers = values.astype("float64")
    if np.isinf(numbers).any():
        raise BadInput(f"“{target}” holds infinite values. Take those rows out of the file.")
    if numbers.nunique() < 2:
        raise BadInput(f"Every value in “{target}” is {numbers.iloc[0]:g}: nothing to learn.")
    return numbers


def _first_odd(values: "pd.Series[Any]") -> str:
    odd = values[pd.to_numeric(values, errors="coerce").isna()]
    return str(odd.iloc[0] if len(odd) else values.iloc[0])[:60]


def _labels(values: "pd.Series[Any]", target: str) -> "pd.Series[Any]":
    if pd.api.types.is_bool_dtype(values):
        labels = values.astype(bool)
    elif pd.api.types.is_numeric_dtype(values):
        if not (values % 1 == 0).all():
            raise BadInput(
                f"A classification needs classes in “{target}”, and it holds fractions. "
                "Choose another column, or regression."
            )
        labels = values.astype("int64")
    else:
        labels = values.map(str).astype(object)
    counts = labels.value_counts()
    if len(counts) < 2:
        raise BadInput(
            f"“{target}” has one class only, “{counts.index[0]}”. At least two are needed."
        )
    if len(counts) > MOST_CLASSES:
        raise BadInput(
            f"“{target}” has {len(counts)} different values, and at most {MOST_CLASSES} classes "
            "can be learned. Choose another column, or regression for numbers."
        )
    if counts.iloc[-1] < 2:
        raise BadInput(
            f"Class “{counts.index[-1]}” of “{target}” has one row. Every class needs at least "
            "two: add rows, or take the class out."
        )
    return labels


def _names(named: dict[str, Any]) -> str:
    return ", ".join(sorted(named))


def as_csv(frame: pd.DataFrame) -> str:
    """A table as CSV text, without its index."""
    out = io.StringIO()
    frame.to_csv(out, index=False)
    return out.getvalue()
