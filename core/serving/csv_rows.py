"""A CSV file as rows for an endpoint. Pure."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from core import formats
from core.errors import InvalidInput, TooLarge
from core.mlflow_api.nouns import Column, Signature
from core.serving.bodies import Row
from core.serving.values import (
    FLOAT_LIMITS,
    NESTED_TYPES,
    WHOLE_TYPES,
    columns_of,
    dtype,
    is_counted,
    is_matrix,
    listed,
    names_of,
)
from core.texts import t

_SEPARATORS = ",;\t|"
_CELL_LIMIT = 1_000_000  # characters
_DIGITS_LIMIT = 400  # a longer number fits no type, and reading it takes long
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def rows_from_csv(
    data: bytes, signature: Signature | None, *, max_rows: int, max_bytes: int
) -> list[Row]:
    """The rows of a CSV file that has a header line, for ``check_rows``.

    UTF-8, or UTF-16 with its mark; comma, semicolon, tab or bar between cells, found from the
    header. Cells are read by the signature's types; one that does not fit stays text, so that
    ``check_rows`` names it. An empty cell is a missing value, in a required text column "".
    Without a signature, cells that can be nothing but numbers are numbers.

    Raises:
        InvalidInput: no text, empty, a header that does not fit the signature, or a line with too
            many or too few cells; names the line.
        TooLarge: more than ``max_rows`` rows or ``max_bytes`` bytes.
    """
    if len(data) > max_bytes:
        size, cap = formats.size(len(data)), formats.size(max_bytes)
        raise TooLarge(t("serving.csv.too_large", size=size, cap=cap))
    text = _decode(data)
    if not text.strip():
        raise _unusable("empty")
    columns = columns_of(signature)
    separator = _separator(text, names_of(columns))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    before = csv.field_size_limit(_CELL_LIMIT)
    try:
        lines = ((reader.line_num, cells) for cells in reader if any(map(str.strip, cells)))
        return _read(lines, columns, max_rows)
    except csv.Error:
        raise _unusable("broken", line=formats.count(reader.line_num)) from None
    finally:
        csv.field_size_limit(before)


def _read(
    lines: Iterator[tuple[int, list[str]]], columns: Sequence[Column], max_rows: int
) -> list[Row]:
    header = [cell.strip() for cell in next(lines)[1]]
    _check_header(header, columns)
    parsers = _parsers(header, columns)
    rows: list[Row] = []
    for number, cells in lines:
        if len(cells) != len(header):
            line = formats.count(number)
            raise _unusable("ragged", line=line, found=len(cells), wanted=len(header))
        if len(rows) == max_rows:
            raise TooLarge(t("serving.csv.too_many", cap=formats.count(max_rows)))
        rows.append(
            {name: parse(cell) for name, parse, cell in zip(header, parsers, cells, strict=True)}
        )
    if not rows:
        raise _unusable("header_only")
    return rows


def _decode(data: bytes) -> str:
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _unusable("encoding", line=formats.count(line)) from None
    if "\0" in text:
        raise _unusable("binary")
    return text


def _separator(text: str, names: Sequence[str]) -> str:
    """The separator under which the header fits the signature best, else gives most cells."""
    header = text.lstrip().partition("\n")[0]

    def fit(separator: str) -> tuple[int, int]:
        cells = [cell.strip() for cell in next(csv.reader([header], delimiter=separator), [])]
        return len(set(names).intersection(cells)), len(cells)

    return max(_SEPARATORS, key=fit)


def _check_header(header: Sequence[str], columns: Sequence[Column]) -> None:
    if "" in header:
        # pandas writes its index as a first column without a name, unless told not to.
        raise _unusable("nameless" if header[0] else "index")
    twice = sorted({name for name in header if header.count(name) > 1})
    if columns and columns[0].name:
        names = names_of(columns)
        required = [name for name, c in zip(names, columns, strict=True) if c.required]
        missing = [name for name in required if name not in header]
        strange = [name for name in header if name not in names]
        if missing or strange:
            parts = [("missing", missing), ("strange", strange)]
            what = [t(f"serving.csv.{key}", names=listed(found)) for key, found in parts if found]
            raise InvalidInput(" ".join(what), t("serving.csv.header_next", names=listed(names)))
    elif all(map(_DECIMAL.fullmatch, header)) and not is_counted(header):
        raise _unusable("no_header")
    if twice:
        raise _unusable("doubled", names=listed(twice))


def _parsers(header: Sequence[str], columns: Sequence[Column]) -> list[Callable[[str], object]]:
    if columns and columns[0].name:
        by_name: Mapping[str, Column] = dict(zip(names_of(columns), columns, strict=True))
        return [_parser(by_name[name]) for name in header]
    if is_matrix(columns):
        return [_parser(columns[0])] * len(header)
    known = [_parser(column) for column in columns[: len(header)]]
    return known + [_guess] * (len(header) - len(known))


def _parser(column: Column) -> Callable[[str], object]:
    kind = dtype(column)
    if kind in WHOLE_TYPES or kind in FLOAT_LIMITS:
        return _number
    if kind in ("boolean", "bool"):
        return lambda cell: _BOOLEANS.get(cell.strip().lower(), cell.strip() or None)
    if kind in ("string", "str"):
        empty = "" if column.required else None
        return lambda cell: cell or empty
    if kind in NESTED_TYPES:
        return _json
    return lambda cell: cell.strip() or None


def _number(cell: str) -> object:
    cell = cell.strip()
    if len(cell) > _DIGITS_LIMIT:
        return cell
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if _DECIMAL.fullmatch(cell) or cell.lower() == "nan":
        return float(cell)
    return cell or None


def _json(cell: str) -> object:
    try:
        return json.loads(cell) if cell.strip() else None
    except (ValueError, RecursionError):
        return cell


def _guess(cell: str) -> object:
    # "007" and "+1" may be codes: only what JSON would write as a number is taken for one.
    value = _number(cell) if _JSON_NUMBER.fullmatch(cell.strip()) else cell or None
    return cell if isinstance(value, float) and math.isinf(value) else value


def _unusable(key: str, **fields: object) -> InvalidInput:
    return InvalidInput(t(f"serving.csv.{key}", **fields), t("serving.csv.next"))
