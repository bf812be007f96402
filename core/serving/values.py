"""One value and the column it is for: what fits, what is refused, in which words. Pure.

Exact conversions are made (3.0 for a whole number, a date without its time). Nothing is rounded,
cut or guessed. NaN stands for a missing value where a type has one, and becomes null.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime

from core import formats
from core.mlflow_api.nouns import Column, Signature
from core.texts import t

Convert = Callable[[object], object]

_FLOAT32_MOST = 3.4028234663852886e38
FLOAT_LIMITS = {
    "double": math.inf,
    "float64": math.inf,
    "float": _FLOAT32_MOST,
    "float32": _FLOAT32_MOST,
    "float16": 65504.0,
}
"""Decimal types → the greatest value that they hold."""

_SIGNED_BITS = {"long": 64, "integer": 32, "int8": 8, "int16": 16, "int32": 32, "int64": 64}
_UNSIGNED_BITS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
WHOLE_TYPES = frozenset(_SIGNED_BITS | _UNSIGNED_BITS)
NESTED_TYPES = ("array", "object", "map", "any")
_NAMED_TYPES = ("long", "integer", "double", "float", "string", "boolean", "datetime", "binary")

# What 64 bits of nanoseconds around 1970 reach, which is how pandas keeps a point in time.
_EARLIEST, _LATEST = datetime(1677, 9, 22), datetime(2262, 4, 11)  # noqa: DTZ001 - MLflow's have none
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?", re.ASCII)
_COMMA_DECIMAL = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_NAMES_SHOWN = 10


class Refused(Exception):
    """A value that does not fit; the message says why in plain words."""


def refused(reason: str, value: object = None, **fields: object) -> Refused:
    """The refusal with the text of ``reason``."""
    return Refused(t(f"serving.refused.{reason}", value=shown(value), **fields))


# --------------------------------------------------------------------------------- signatures


def columns_of(signature: Signature | None) -> tuple[Column, ...]:
    """The signature's inputs; () where there is no signature."""
    return signature.inputs if signature else ()


def names_of(columns: Sequence[Column]) -> list[str]:
    """The columns' names; those without one are counted: "0", "1", …."""
    return [column.name or str(i) for i, column in enumerate(columns)]


def is_tensor(columns: Sequence[Column]) -> bool:
    """Whether the signature is made of tensors."""
    return bool(columns) and columns[0].type.startswith("tensor")


def is_matrix(columns: Sequence[Column]) -> bool:
    """Whether it is one tensor without a name and of two dimensions: a table."""
    return is_tensor(columns) and not columns[0].name and len(columns[0].shape or ()) == 2


def is_counted(names: Sequence[str]) -> bool:
    """Whether the names are "0", "1", …."""
    return list(names) == [str(i) for i in range(len(names))]


def dtype(column: Column) -> str:
    """``float64`` of ``tensor(float64)``; of other columns their type."""
    return column.type.removeprefix("tensor(").removesuffix(")")


def whole_limits(kind: str) -> tuple[int, int]:
    """The least and the greatest number of a type of whole numbers."""
    if kind in _UNSIGNED_BITS:
        return 0, 2 ** _UNSIGNED_BITS[kind] - 1
    half = 2 ** (_SIGNED_BITS[kind] - 1)
    return -half, half - 1


def expected(column: Column) -> str:
    """What the column takes, in plain words."""
    kind = dtype(column)
    if is_tensor((column,)):
        shape = column.shape or ()
        if shape == (-1,):
            return t("serving.type.item", type=kind)
        return t("serving.type.tensor", type=kind, shape=" × ".join(_lengths(shape)))
    if column.shape is not None:
        return t("serving.type.list", type=kind)
    if kind == "integer":
        low, high = whole_limits(kind)
        return t("serving.type.integer", low=formats.count(low), high=formats.count(high))
    return t(
        f"serving.type.{kind if kind in (*_NAMED_TYPES, *NESTED_TYPES) else 'other'}", type=kind
    )


def _lengths(shape: Iterable[int]) -> list[str]:
    return [t("serving.type.any_length") if length < 0 else str(length) for length in shape]


# ----------------------------------------------------------------------------------- values


def coercer(column: Column) -> Convert:
    """The function that makes a value fit the column.

    It raises:
        Refused: the value does not fit.
    """
    scalar = _scalar(dtype(column))
    if column.shape is not None:
        # A tensor's first dimension counts the rows.
        shape = column.shape[1:] if is_tensor((column,)) else column.shape
        return lambda value: _nested(value, shape, scalar)
    if column.required:
        return scalar if column.type == "any" else _present(scalar)
    return _optional(scalar, column.type)


def _present(scalar: Convert) -> Convert:
    def convert(value: object) -> object:
        if value is None:
            raise refused("empty")
        return scalar(value)

    return convert


def _optional(scalar: Convert, kind: str) -> Convert:
    # One missing whole number turns its column into decimals, which MLflow refuses; one missing
    # boolean becomes false without a word; binary data is decoded, missing or not.
    if kind in ("long", "integer", "boolean", "binary"):
        return _never_missing(scalar)
    return lambda value: None if value is None else scalar(value)


def _never_missing(scalar: Convert) -> Convert:
    def convert(value: object) -> object:
        if value is None:
            raise refused("empty_optional")
        return scalar(value)

    return convert


def _scalar(kind: str) -> Convert:
    if kind in WHOLE_TYPES:
        low, high = whole_limits(kind)
        return lambda value: _whole(value, low, high)
    if kind in FLOAT_LIMITS:
        limit = FLOAT_LIMITS[kind]
        return lambda value: _decimal(value, limit)
    if kind.startswith("datetime"):
        return _moment
    return _BY_TYPE.get(kind, without_nan)


def _whole(value: object, low: int, high: int) -> int:
    value = _python(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise refused("not_finite", value)
        if not value.is_integer():
            raise refused("fraction", value)
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_kind(value)
    if not low <= value <= high:
        raise refused("range", value)
    return value


def _decimal(value: object, limit: float) -> float | None:
    value = _python(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > 10**308 or int(float(value)) != value:
            raise refused("inexact", value)
        value = float(value)
    if not isinstance(value, float):
        raise _wrong_kind(value)
    if math.isinf(value):
        raise refused("infinite", value)
    if abs(value) > limit:
        raise refused("range", value)
    return None if math.isnan(value) else value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_kind(value)
    return value


def _boolean(value: object) -> bool:
    value = _python(value)
    if not isinstance(value, bool):
        raise _wrong_kind(value)
    return value


def _moment(value: object) -> str:
    if isinstance(value, str):
        moment = _parse_moment(value.strip())
    elif isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - MLflow's have none
    else:
        raise _wrong_kind(value)
    if moment.tzinfo is not None:
        raise refused("zone", value)
    if not _EARLIEST <= moment <= _LATEST:
        raise refused("range", value)
    # One format for all rows: pandas takes that of the first and refuses another.
    return moment.isoformat(timespec="microseconds")


def _parse_moment(text: str) -> datetime:
    # Only ISO 8601: pandas would read 01/02/2026 as the 2nd of January without asking.
    if not _ISO_DATE.fullmatch(text):
        raise refused("no_date", text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise refused("no_date", text) from None


def _base64(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_kind(value)
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise refused("no_base64") from None
    return value


def _array(value: object) -> object:
    if not isinstance(value, list):
        raise _wrong_kind(value)
    return without_nan(value)


def _mapping(value: object) -> object:
    if not isinstance(value, dict):
        raise _wrong_kind(value)
    return without_nan(value)


_BY_TYPE: dict[str, Convert] = {
    "string": _text,
    "str": _text,
    "boolean": _boolean,
    "bool": _boolean,
    "binary": _base64,
    "array": _array,
    "object": _mapping,
    "map": _mapping,
}


def _nested(value: object, shape: tuple[int, ...], scalar: Convert) -> object:
    if not shape:
        return _present(scalar)(value)
    if not isinstance(value, list):
        raise refused("not_list", value)
    if shape[0] >= 0 and len(value) != shape[0]:
        raise refused("length", n=len(value), wanted=shape[0])
    return [_nested(item, shape[1:], scalar) for item in value]


def without_nan(value: object) -> object:
    """``value`` with null for NaN at any depth: JSON has no NaN.

    Raises:
        Refused: an infinity, which JSON has not either.
    """
    value = _python(value)
    if isinstance(value, float):
        if math.isinf(value):
            raise refused("infinite", value)
        return None if math.isnan(value) else value
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    if isinstance(value, dict):
        return {str(name): without_nan(item) for name, item in value.items()}
    return value


def _python(value: object) -> object:
    """A scalar of NumPy (tables on pages give them) as Python's own."""
    item = getattr(value, "item", None)
    return item() if callable(item) else value


def _wrong_kind(value: object) -> Refused:
    if isinstance(value, str):
        comma = _COMMA_DECIMAL.fullmatch(value.strip())
        return refused("comma" if comma else "text", value)
    if isinstance(value, bool):
        return refused("boolean", value)
    if isinstance(value, int | float):
        return refused("number", value)
    if value is None:
        return refused("empty")
    return refused("list" if isinstance(value, list) else "object", value)


# ------------------------------------------------------------------------------------ words


def shown(value: object) -> str:
    """A value as JSON, cut to what fits in a sentence."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return formats.shorten(text, 40)


def listed(names: Iterable[object]) -> str:
    """The first names of a list, and how many more there are."""
    every = [formats.shorten(str(name)) for name in names]
    shown_names, rest = ", ".join(every[:_NAMES_SHOWN]), len(every) - _NAMES_SHOWN
    return t("serving.more_names", names=shown_names, n=rest) if rest > 0 else shown_names
