"""What differs between runs: params, metrics, tags and attributes side by side. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from core import formats

ATTRIBUTES = ("status", "user", "seconds", "experiment_id", "parent_id")
SYSTEM = "mlflow."
SHORT = 80
"""Characters of a value that stand in the table."""

MOST_RUNS = 30
"""Runs side by side; a person cannot read more columns."""


@dataclass(frozen=True)
class Difference:
    """One param, metric, tag or attribute over all runs."""

    kind: str
    """param, metric, tag, system (tags that MLflow writes) or attribute."""
    name: str
    values: tuple[str | None, ...]
    """In full, one for each run; None where it has none."""
    numbers: tuple[float | None, ...] = ()
    """The same as numbers, for a metric."""

    @property
    def distinct(self) -> int:
        """How many different values there are; none at all counts as one."""
        return len(set(self.values))

    @property
    def differs(self) -> bool:
        """Whether any two runs differ in it."""
        return self.distinct > 1

    @property
    def same_number(self) -> bool:
        """Whether the values differ as text only, such as 1, 1.0 and 1e0."""
        if not self.differs or None in self.values:
            return False
        numbers = {_as_number(v) for v in self.values}
        return len(numbers) == 1 and None not in numbers

    @property
    def spread(self) -> float | None:
        """The highest minus the lowest finite value of a metric; None where there are no two."""
        finite = [v for v in self.numbers if v is not None and math.isfinite(v)]
        return max(finite) - min(finite) if len(finite) > 1 else None


def differences(runs: pd.DataFrame) -> list[Difference]:
    """Everything that the runs have, in the order params, metrics, attributes, tags.

    Args:
        runs: rows as ``core.runs.query`` gives them.
    """
    made: dict[str, list[Difference]] = {k: [] for k in KINDS}
    for column in runs.columns:
        kind, name = _kind(column)
        if kind:
            made[kind].append(_difference(kind, name, runs[column]))
    return [d for kind in KINDS for d in made[kind]]


KINDS = ("param", "metric", "attribute", "tag", "system")


def side_by_side(
    found: Iterable[Difference],
    labels: Sequence[str],
    *,
    differences_only: bool,
    short: int = SHORT,
) -> pd.DataFrame:
    """A table of one row for each difference: kind, name, distinct, spread, then a column a run.

    Args:
        labels: what to call the runs, all different, in the order of their rows.
        differences_only: leave out what is the same in all runs.
        short: characters of a value that are kept; the middle of a longer one is cut.
    """
    kept = [d for d in found if d.differs or not differences_only]
    columns: dict[str, object] = {
        "kind": [d.kind for d in kept],
        "name": [d.name for d in kept],
        "distinct": [d.distinct for d in kept],
        "spread": pd.Series([d.spread for d in kept], dtype=float),
    }
    for i, label in enumerate(labels):
        columns[label] = pd.Series(
            [
                None if d.values[i] is None else formats.shorten(d.values[i] or "", short)
                for d in kept
            ],
            dtype=object,
        )
    return pd.DataFrame(columns)


def _kind(column: str) -> tuple[str, str]:
    kind, dot, name = column.partition(".")
    if dot and kind in ("params", "metrics"):
        return kind.removesuffix("s"), name
    if dot and kind == "tags":
        return ("system" if name.startswith(SYSTEM) else "tag"), name
    return ("attribute", column) if column in ATTRIBUTES else ("", "")


def _difference(kind: str, name: str, column: "pd.Series[object]") -> Difference:
    if kind == "metric" or name == "seconds":
        # Missing and NaN are two things: a metric that was never logged, and one that diverged.
        cells = [None if v is pd.NA or v is None else float(v) for v in column]
        if name == "seconds":
            cells = [None if v is None or math.isnan(v) else v for v in cells]
            texts = [None if v is None else formats.duration(v) for v in cells]
        else:
            texts = [None if v is None else formats.number(v, 6) for v in cells]
        exact = tuple(None if v is None else repr(v) for v in cells)
        if len(set(exact)) > len(set(texts)):  # what differs must also look different
            texts = [None if v is None else repr(v) for v in cells]
        return Difference(kind, name, tuple(texts), tuple(cells))
    return Difference(kind, name, tuple(None if pd.isna(v) else str(v) for v in column))


def _as_number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
