"""What is sent to an endpoint: the form made from a model's signature, and the checks. Pure.

MLflow's scoring server answers 200 to much that it changed without a word: it cuts 3.5 to 3 for a
``long`` column, takes the text "false" for true, drops columns and params that it does not know.
So everything is checked here first, and refused in words that name the row and the column.

Rows are dicts of column name → value; columns without names are counted: "0", "1", ….
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from core import formats
from core.errors import InvalidInput
from core.mlflow_api.nouns import Column, Signature
from core.serving.bodies import (
    INPUT_KEYS,
    Body,
    Row,
    as_body,
    body_from_json,
    body_from_rows,
    example_rows,
    parse_json,
    rows_of,
)
from core.serving.csv_rows import rows_from_csv
from core.serving.values import (
    Refused,
    coercer,
    columns_of,
    expected,
    is_matrix,
    is_tensor,
    listed,
    names_of,
    whole_limits,
)
from core.texts import t

__all__ = [
    "Body",
    "Field",
    "Problem",
    "Row",
    "body_from_json",
    "body_from_rows",
    "check_body",
    "check_params",
    "check_rows",
    "example_rows",
    "form_fields",
    "param_fields",
    "row_from_form",
    "rows_from_csv",
]

Kind = Literal["integer", "number", "text", "boolean", "datetime", "json"]

_KINDS: dict[str, Kind] = {
    "long": "integer",
    "integer": "integer",
    "double": "number",
    "float": "number",
    "string": "text",
    "binary": "text",
    "boolean": "boolean",
    "datetime": "datetime",
}
_SAFE = 2**53 - 1  # the greatest whole number that a browser's number field holds exactly
_SKELETON_LIMIT = 1_000  # numbers


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Attributes:
        name: the column or param; "" for a field that holds a whole body.
        kind: what is typed in it.
        required: whether it may not stay empty.
        default: from the example: int, float, bool, or text (ISO 8601 for a datetime, JSON for
            kind ``json``); None where the example says nothing.
        help: the type in plain words.
        minimum: the least number that it takes; None for no limit.
        maximum: the greatest.
    """

    name: str
    kind: Kind
    required: bool
    default: object
    help: str
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class Problem:
    """Why something is not sent; ``str()`` of it is a sentence.

    Attributes:
        row: counted from 1; None where it concerns all rows or none.
        column: the column or param; "" where it concerns a whole row.
        what: what is wrong.
        expected: what would be right, "" where ``what`` says it all.
    """

    row: int | None
    column: str
    what: str
    expected: str

    def __str__(self) -> str:
        place = [] if self.row is None else [t("serving.problem.row", row=formats.count(self.row))]
        place += [t("serving.problem.column", column=self.column)] if self.column else []
        what = f"{', '.join(place)}: {self.what}." if place else f"{self.what}."
        right = t("serving.problem.expected", expected=self.expected) if self.expected else ""
        return f"{what[0].upper()}{what[1:]} {right}".strip()


# ------------------------------------------------------------------------------------ forms


def form_fields(signature: Signature | None, example: object) -> tuple[Field, ...]:
    """The form for one row, prefilled from the first row of ``example`` (parsed JSON, or None).

    For tensors, and for a model without a signature, one field for the whole body as JSON.
    """
    columns = columns_of(signature)
    if not columns or is_tensor(columns):
        return (_body_field(columns, example),)
    rows = example_rows(example, signature)
    first = rows[0] if rows else {}
    named = zip(names_of(columns), columns, strict=True)
    return tuple(_field(name, column, first.get(name)) for name, column in named)


def param_fields(signature: Signature | None, example: object) -> tuple[Field, ...]:
    """The form for the signature's params, prefilled from the example, else with their defaults."""
    given = example.get("params") if isinstance(example, dict) else None
    values = given if isinstance(given, dict) else {}
    return tuple(
        _field(name, column, values.get(name, column.default))
        for name, column in _params(signature).items()
    )


def row_from_form(fields: Iterable[Field], values: Mapping[str, object]) -> Row:
    """The row (or the params) that a form's values make; empty fields are left out.

    Raises:
        InvalidInput: a field of kind ``json`` does not hold JSON; names the field.
    """
    row: Row = {}
    for field in fields:
        value = values.get(field.name)
        if field.kind == "json" and isinstance(value, str):
            if value.strip():
                row[field.name] = parse_json(value, field.name)
        elif value is not None and (value != "" or field.required):
            row[field.name] = value
    return row


def _field(name: str, column: Column, example: object) -> Field:
    kind: Kind = "json" if column.shape else _KINDS.get(column.type, "json")
    default = _fitting(column, example)
    low = high = None
    if kind == "integer":
        low, high = whole_limits(column.type)
        low, high = max(low, -_SAFE), min(high, _SAFE)
        if isinstance(default, int) and not low <= default <= high:
            kind, low, high = "json", None, None
    if kind == "json" and default is not None:
        default = json.dumps(default, ensure_ascii=False)
    need = t(f"serving.field.{'required' if column.required else 'optional'}")
    words = t("serving.field.help", expected=expected(column), need=need)
    return Field(name, kind, column.required, default, words, low, high)


def _fitting(column: Column, value: object) -> object:
    try:
        return None if value is None else coercer(column)(value)
    except Refused:
        return None  # an example that breaks its own signature prefills nothing


def _body_field(columns: Sequence[Column], example: object) -> Field:
    body: dict[str, object] = {"dataframe_records": [{}]}
    if example is not None:
        body = as_body(example)
    elif columns:
        zeros = {column.name: _zeros(column.shape or ()) for column in columns}
        body = {"inputs": zeros if columns[0].name else zeros[None]}
    types = [f"{c.name}: {expected(c)}" if c.name else expected(c) for c in columns]
    words = ", ".join(types) or t("serving.field.no_signature", keys=", ".join(INPUT_KEYS))
    return Field("", "json", True, json.dumps(body, indent=2, ensure_ascii=False), words)


def _zeros(shape: Sequence[int]) -> object:
    sizes = [1 if length < 0 else length for length in shape]
    value: object = 0
    for length in reversed(sizes if math.prod(sizes) <= _SKELETON_LIMIT else [0]):
        value = [value] * length
    return value


# ----------------------------------------------------------------------------------- checks


def check_rows(
    signature: Signature | None, rows: Sequence[Mapping[str, object]]
) -> tuple[list[Row], list[Problem]]:
    """``rows`` as they are sent, and every reason not to send them (then they are not to be used).

    Exact conversions are made, see ``core.serving.values``. Without a signature nothing but
    infinity can be refused.
    """
    if not rows:
        return [], [Problem(None, "", t("serving.problem.no_rows"), "")]
    columns = columns_of(signature)
    if not columns:
        names = dict.fromkeys(name for row in rows for name in row)
        return _check_columns({name: Column(name, "any") for name in names}, rows)
    if columns[0].name:
        named = dict(zip(names_of(columns), columns, strict=True))
        coerced, problems = _check_columns(named, rows)
        return coerced, _strangers(named, rows) + problems
    return _check_by_position(columns, rows)


def check_params(
    signature: Signature | None, params: Mapping[str, object]
) -> tuple[Row, list[Problem]]:
    """``params`` as they are sent, and every reason not to send them."""
    known = _params(signature)
    coerced: Row = {}
    problems = []
    for name, value in params.items():
        if name not in known:
            what = t("serving.problem.unknown_param")
            problems.append(Problem(None, name, what, _one_of(known)))
            continue
        try:
            coerced[name] = coercer(known[name])(value)
        except Refused as refusal:
            problems.append(Problem(None, name, str(refusal), expected(known[name])))
    return coerced, problems


def check_body(signature: Signature | None, body: Mapping[str, object]) -> list[Problem]:
    """Every reason not to send a body that somebody typed; none where it may go as it is."""
    params = body.get("params", {})
    if not isinstance(params, dict):
        return [Problem(None, "params", t("serving.problem.no_object"), "")]
    try:
        rows = rows_of(body, signature)
    except InvalidInput as error:
        return [Problem(None, "", error.what.rstrip("."), "")]
    return check_rows(signature, rows)[1] + check_params(signature, params)[1]


def _check_columns(
    columns: Mapping[str, Column], rows: Sequence[Mapping[str, object]]
) -> tuple[list[Row], list[Problem]]:
    coerced: list[Row] = [{} for _ in rows]
    problems = []
    for name, column in columns.items():
        if not any(name in row for row in rows):
            if column.required:
                what = t("serving.problem.missing")
                problems.append(Problem(None, name, what, expected(column)))
            continue
        convert, right = coercer(column), expected(column)
        for number, (row, into) in enumerate(zip(rows, coerced, strict=True), 1):
            try:
                into[name] = convert(row.get(name))
            except Refused as refusal:
                problems.append(Problem(number, name, str(refusal), right))
    return coerced, sorted(problems, key=lambda problem: problem.row or 0)


def _check_by_position(
    columns: Sequence[Column], rows: Sequence[Mapping[str, object]]
) -> tuple[list[Row], list[Problem]]:
    """Columns without names: only their number and order can be held against the rows."""
    if is_matrix(columns):
        # A tensor of two dimensions is a table: each of its columns is a list of that type.
        width = (columns[0].shape or ())[1]
        item = replace(columns[0], shape=(-1,))
        columns = [item] * (len(rows[0]) if width < 0 else width)
    width = len(columns)
    right = t("serving.problem.width_expected", n=width)
    problems = [
        Problem(number, "", t("serving.problem.width", n=len(row)), right)
        for number, row in enumerate(rows, 1)
        if len(row) != width
    ]
    if problems:
        return [], problems
    numbered = [{str(i): value for i, value in enumerate(row.values())} for row in rows]
    return _check_columns({str(i): column for i, column in enumerate(columns)}, numbered)


def _strangers(known: Mapping[str, object], rows: Sequence[Mapping[str, object]]) -> list[Problem]:
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        for name in row.keys() - known.keys():
            first.setdefault(name, number)
    return [
        Problem(first[name], name, t("serving.problem.extra"), _one_of(known))
        for name in sorted(first)
    ]


def _params(signature: Signature | None) -> dict[str, Column]:
    return {column.name or "": column for column in (signature.params if signature else ())}


def _one_of(names: Iterable[str]) -> str:
    shown = listed(names)
    return t("serving.problem.one_of", names=shown) if shown else t("serving.problem.none")
