"""Files of several runs against each other: paths, lines of text, cells of tables. Pure."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import pandas as pd

from core.mlflow_api.nouns import ArtifactFile

FILES = 2_000
FOLDERS = 100
LINES = 2_000
LONGEST_LINE = 1_000
CELLS = 1_000
"""Differing cells that are listed."""

_MISSING = "\x00"

CONTEXT = 3
"""Equal lines that are kept on either side of a difference."""


@dataclass(frozen=True)
class Listing:
    """The files under a root, at any depth."""

    files: dict[str, int | None]
    """Path → size in bytes."""
    complete: bool
    """False where there are more than ``FILES`` files or ``FOLDERS`` folders."""


def walk(listed: Callable[[str], Sequence[ArtifactFile]]) -> Listing:
    """All files, folder by folder, the upper ones first.

    Args:
        listed: what lies directly under a folder; "" is the root.
    """
    files: dict[str, int | None] = {}
    todo = [""]
    looked = 0
    while todo and looked < FOLDERS:
        looked += 1
        for found in listed(todo.pop(0)):
            if found.is_dir:
                todo.append(found.path)
            elif len(files) == FILES:
                return Listing(files, complete=False)
            else:
                files[found.path] = found.size
    return Listing(files, complete=not todo)


@dataclass(frozen=True)
class Line:
    """A line of two texts side by side; the number and text of a side that lacks it are None."""

    mark: str
    """"" for equal, ≠ for changed, − for only left, + for only right, … for a gap."""
    left_number: int | None
    left: str | None
    right_number: int | None
    right: str | None


@dataclass(frozen=True)
class TextDifference:
    """Two texts side by side."""

    lines: tuple[Line, ...]
    changed: int
    """Lines that differ."""
    cut: bool
    """Whether either text has more lines than ``LINES``, which were not compared."""


def compare_texts(left: str, right: str, *, differences_only: bool = True) -> TextDifference:
    """Lines of two texts, those that changed beside each other.

    Args:
        differences_only: leave out equal lines farther than ``CONTEXT`` from a difference.
    """
    a, b = left.splitlines(), right.splitlines()
    cut = max(len(a), len(b)) > LINES
    a, b = a[:LINES], b[:LINES]
    matcher = difflib.SequenceMatcher(None, a, b)
    made: list[Line] = []
    for kind, a1, a2, b1, b2 in matcher.get_opcodes():
        pairs = zip_longest(range(a1, a2), range(b1, b2))
        for i, j in pairs:
            mark = "" if kind == "equal" else "+" if i is None else "−" if j is None else "≠"
            made.append(
                Line(
                    mark,
                    None if i is None else i + 1,
                    None if i is None else a[i][:LONGEST_LINE],
                    None if j is None else j + 1,
                    None if j is None else b[j][:LONGEST_LINE],
                )
            )
    changed = sum(1 for line in made if line.mark)
    return TextDifference(tuple(_near(made) if differences_only else made), changed, cut)


def _near(lines: Sequence[Line]) -> list[Line]:
    """Lines that differ and their neighbours, with a gap where some were left out."""
    near = {
        at + off
        for at, line in enumerate(lines)
        if line.mark
        for off in range(-CONTEXT, CONTEXT + 1)
    }
    kept: list[Line] = []
    for at, line in enumerate(lines):
        if at in near:
            kept.append(line)
        elif kept and kept[-1].mark != "…":
            kept.append(Line("…", None, None, None, None))
    return kept


@dataclass(frozen=True)
class TableDifference:
    """Two tables joined on a key."""

    only_left: int
    """Rows whose key the other table lacks."""
    only_right: int
    common: int
    """Rows that both have."""
    columns_left: tuple[str, ...]
    """Columns that the other table lacks."""
    columns_right: tuple[str, ...]
    cells: pd.DataFrame
    """At most ``CELLS`` rows of key, column, left, right, one for each cell that differs."""
    differing: int
    """How many cells differ in the rows and columns that both have."""


def keys(left: pd.DataFrame, right: pd.DataFrame) -> list[str]:
    """Columns that both tables have, those first whose values tell the rows of both apart.

    Among these, measured numbers come last: they seldom name a row.
    """
    common = [str(c) for c in left.columns if c in right.columns]
    sure = [c for c in common if is_key(left, right, c)]
    sure.sort(key=lambda c: pd.api.types.is_float_dtype(left[c]))
    return sure + [c for c in common if c not in sure]


def is_key(left: pd.DataFrame, right: pd.DataFrame, column: str) -> bool:
    """Whether a column's values tell the rows of both tables apart."""
    return _unique(left[column]) and _unique(right[column])


def compare_tables(left: pd.DataFrame, right: pd.DataFrame, key: str | None) -> TableDifference:
    """Rows with equal keys against each other, cell by cell.

    Rows that share a key are taken in their order. Missing cells equal each other.

    Args:
        key: a column that both have; None joins on the number of the row.
    """
    left, right = (f.loc[:, ~f.columns.duplicated()] for f in (left, right))
    common = [c for c in left.columns if c in right.columns and c != key]
    sides = []
    for frame in (left, right):
        label = pd.Series(range(1, len(frame) + 1), frame.index) if key is None else frame[key]
        made = pd.DataFrame({"key": _comparable(label).to_numpy()})
        made["nth"] = made.groupby("key", dropna=False).cumcount()
        made["row"] = range(len(frame))
        sides.append(made)
    joined = sides[0].merge(sides[1], on=["key", "nth"], how="outer", suffixes=("_l", "_r"))
    both = joined.dropna(subset=["row_l", "row_r"]).sort_values("row_l")
    at_left, at_right = both["row_l"].astype(int), both["row_r"].astype(int)
    listed: list[pd.DataFrame] = []
    differing = 0
    for column in common:
        a = left[column].iloc[at_left].reset_index(drop=True)
        b = right[column].iloc[at_right].reset_index(drop=True)
        unequal = (_comparable(a) != _comparable(b)).to_numpy()
        differing += int(unequal.sum())
        if unequal.any() and sum(map(len, listed)) < CELLS:
            listed.append(
                pd.DataFrame(
                    {
                        "key": both["key"].to_numpy()[unequal],
                        "column": str(column),
                        "left": a[unequal].astype(object).to_numpy(),
                        "right": b[unequal].astype(object).to_numpy(),
                    }
                )
            )
    cells = pd.concat(listed, ignore_index=True) if listed else pd.DataFrame()
    return TableDifference(
        only_left=int(joined["row_r"].isna().sum()),
        only_right=int(joined["row_l"].isna().sum()),
        common=len(both),
        columns_left=tuple(str(c) for c in left.columns if c not in right.columns),
        columns_right=tuple(str(c) for c in right.columns if c not in left.columns),
        cells=cells[:CELLS],
        differing=differing,
    )


def _unique(column: "pd.Series[object]") -> bool:
    return bool(not column.isna().any() and _comparable(column).is_unique)


def _comparable(column: "pd.Series[object]") -> "pd.Series[str]":
    """Cells as texts that are equal where the values are: 1 and 1.0, and any two missing ones."""
    return pd.Series([_text(v) for v in column], column.index, dtype=object)


def _text(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return _MISSING
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    return str(value)
