"""Columns of runs as positions on an axis: numbers found in text, categories, logarithms, ticks."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pandas import Series, factorize
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from core.charts.labels import clean, distinct
from core.formats import number
from core.texts import t

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LABELLED = 24
"""Categories that get a label on one axis; between them a tick stands without."""

CATEGORY_LENGTH = 22
"""Characters of a category beside an axis."""

LARGEST = 1.797e308
"""MLflow stores an infinite metric as the largest number it has."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOT_FINITE = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})


@dataclass(frozen=True)
class Reading:
    """One column, read: as numbers where all its values are numbers, else as categories."""

    missing: Mask
    """Where there is no value at all."""

    nan: Mask
    """Where the value is not a number (a metric or a param that says NaN)."""

    numbers: Floats | None
    """The values, NaN where there is none, ±Inf where infinite; None where the column is
    categories."""

    codes: NDArray[np.intp]
    """For each row the position of its text in ``words``, -1 where missing; empty for a column
    that came as numbers."""

    words: tuple[str, ...]
    """The different values as text, as they came; empty for a column that came as numbers."""

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Each value as text; empty where there is none."""
        if self.numbers is not None and not len(self.codes):
            return tuple(
                "" if gone else number(value)
                for value, gone in zip(self.numbers.tolist(), self.missing.tolist(), strict=True)
            )
        return tuple(np.array([*self.words, ""], dtype=object)[self.codes].tolist())

    @property
    def infinite(self) -> int:
        """How many values are +Inf or -Inf."""
        return 0 if self.numbers is None else int(np.isinf(self.numbers).sum())

    @property
    def drawable(self) -> Mask:
        """Where there is a value with a place on an axis."""
        return ~self.missing if self.numbers is None else np.isfinite(self.numbers)

    def categories(self) -> list[str]:
        """The different values, numbers among them first and by size."""
        return sorted(self.words if len(self.codes) else set(self.texts) - {""}, key=_natural)


def read(column: Series) -> Reading:
    """What a column of params (text), metrics (numbers) or tags (text) holds."""
    missing = column.isna().to_numpy(dtype=bool)
    none = np.zeros(len(column), dtype=bool)
    if is_numeric_dtype(column) and not is_bool_dtype(column):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        # A column of plain floats cannot tell NaN from nothing: there, NaN is nothing.
        nan = np.isnan(numbers) & ~missing
        return Reading(missing, nan, true_infinity(numbers), np.empty(0, np.intp), ())
    codes, found = factorize(column.astype(object).where(~missing, None))
    words = tuple(str(value) for value in found)
    parsed = [_parse(value) for value in found]
    if None in parsed or not any(value is not None and math.isfinite(value) for value in parsed):
        return Reading(missing, none, None, codes, words)
    numbers = true_infinity(np.array([*parsed, math.nan], dtype=float)[codes])
    return Reading(missing, np.isnan(numbers) & ~missing, numbers, codes, words)


def finite_or_nan(numbers: Floats) -> Floats:
    """The numbers, with NaN where a metric is infinite."""
    return np.where(np.abs(numbers) >= LARGEST, np.nan, numbers)


def true_infinity(numbers: Floats) -> Floats:
    """The numbers, with ±Inf again where MLflow stored its largest number for it."""
    return np.where(np.abs(numbers) >= LARGEST, np.copysign(np.inf, numbers), numbers)


def _parse(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    if _NUMBER.fullmatch(text) or text.lower() in _NOT_FINITE:
        return float(text)
    return None


def _natural(text: str) -> tuple[int, float, str]:
    value = _parse(text)
    if value is None or not math.isfinite(value):
        return (1, 0.0, text)
    return (0, value, text)


@dataclass(frozen=True)
class Scale:
    """Positions along one axis, with its ticks."""

    at: Floats
    """The position of each row; NaN where it has none."""

    low: float
    """The lowest position of the axis, always below ``high``."""

    high: float
    """The highest position of the axis."""

    ticks: tuple[tuple[float, str], ...]
    """Labelled ticks: position and clean text, no two texts alike."""

    minor: tuple[float, ...]
    """Ticks without a label."""

    log: bool
    """Whether positions are logarithms to the base of ten."""

    categories: int
    """How many categories there are; 0 for numbers."""


def scale(reading: Reading, log: bool | None = None) -> Scale:
    """Positions for a column: ``log`` True or False as asked, None to choose by the values.

    Values of zero and below have no logarithm: such a column stays linear whatever was asked.
    """
    if reading.numbers is None:
        return _category_scale(reading)
    finite = reading.numbers[reading.drawable]
    if finite.size == 0:
        return Scale(np.full(len(reading.missing), np.nan), 0.0, 1.0, (), (), False, 0)
    as_log = bool(finite.min() > 0) and (spans_decades(finite) if log is None else log)
    at = np.where(reading.drawable, reading.numbers, np.nan)
    if as_log:
        at = np.log10(at)
    low, high = float(np.nanmin(at)), float(np.nanmax(at))
    if low == high:
        pad = 0.5 if as_log else abs(low) / 2 or 0.5
        low, high = low - pad, high + pad
    ticks, minor = _number_ticks(np.unique(at[~np.isnan(at)]), low, high, as_log)
    return Scale(at, low, high, ticks, minor, as_log, 0)


def spans_decades(finite: Floats) -> bool:
    """Whether numbers are read better as logarithms: over two decades, crowded at the low end."""
    low, high = float(finite.min()), float(finite.max())
    return low > 0 and high >= 100 * low and float(np.median(finite)) < low + (high - low) / 4


def _category_scale(reading: Reading) -> Scale:
    categories = reading.categories()
    place = {category: float(i) for i, category in enumerate(categories)}
    at = np.array([*(place[word] for word in reading.words), np.nan])[reading.codes]
    labels = category_labels(categories)
    every = -(-len(labels) // LABELLED)
    ticks = tuple((float(i), label) for i, label in enumerate(labels) if i % every == 0)
    minor = tuple(float(i) for i in range(len(labels)) if i % every)
    low, high = (0.0, len(labels) - 1.0) if len(labels) > 1 else (-0.5, 0.5)
    return Scale(at, low, high, ticks, minor, False, len(labels))


def category_labels(categories: Sequence[str], length: int = CATEGORY_LENGTH) -> list[str]:
    """A clean label of at most about ``length`` characters for each category, no two alike."""
    return distinct([clean(text, length) or t("charts.label.blank") for text in categories])


Ticks = tuple[tuple[tuple[float, str], ...], tuple[float, ...]]


def _number_ticks(values: Floats, low: float, high: float, log: bool) -> Ticks:
    """Labelled and unlabelled ticks; the values themselves where they are few and apart."""
    apart = values.size == 1 or float(np.diff(values).min()) >= (high - low) / 16
    if values.size <= 8 and apart:
        majors = [float(value) for value in values]
    elif log and high - low >= 1:
        return _decade_ticks(low, high)
    else:
        majors = _round_ticks(low, high)
    shown = [10**value if log else value for value in majors]
    step = min(np.diff(shown), default=0.0)
    labels = distinct([tick_text(value, float(step)) for value in shown])
    return tuple(zip(majors, labels, strict=True)), ()


def _round_ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _decade_ticks(low: float, high: float) -> Ticks:
    first, last = math.floor(low), math.ceil(high)
    every = -(-(last - first) // 8)
    powers = [n for n in range(first, last + 1) if low - 1e-9 <= n <= high + 1e-9]
    ticks = tuple((float(n), tick_text(10.0**n)) for n in powers if (n - first) % every == 0)
    between = (
        n + math.log10(digit)
        for n in range(first, last)
        for digit in range(1, 10)
        if not (digit == 1 and (n - first) % every == 0)
    )
    return ticks, tuple(at for at in between if low <= at <= high)


def tick_text(value: float, step: float = 0.0) -> str:
    """A number beside an axis: as few digits as tell it from its neighbour ``step`` away."""
    if value == 0:
        return "0"
    digits = 4
    if 0 < step < abs(value):
        digits = max(2, 1 + math.floor(math.log10(abs(value))) - math.floor(math.log10(step)))
    text = number(value, digits)
    if "." in text:
        text = re.sub(r"\.?0+(?=e|$)", "", text)
    return re.sub(r"e([+-])0*(?=\d)", r"e\1", text)
