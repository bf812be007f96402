"""Bodies of MLflow's scoring protocol: read what somebody typed, make one from rows. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core import formats
from core.errors import InvalidInput, TooLarge
from core.mlflow_api.nouns import Signature
from core.serving.values import (
    NESTED_TYPES,
    columns_of,
    is_counted,
    is_matrix,
    is_tensor,
    listed,
    names_of,
)
from core.texts import t

Row = dict[str, object]

INPUT_KEYS = ("dataframe_split", "dataframe_records", "inputs", "instances")
"""The keys of which a body has exactly one; ``params`` may stand beside it."""

_FAULTS = {
    "Expecting ',' delimiter": "comma",
    "Expecting ':' delimiter": "colon",
    "Expecting value": "value",
    "Expecting property name enclosed in double quotes": "name",
    "Extra data": "extra",
    "Unterminated string starting at": "string",
    "Illegal trailing comma before end of object": "trailing",
    "Illegal trailing comma before end of array": "trailing",
}


@dataclass(frozen=True)
class Body:
    """A body as typed, ready for sending; ``note`` says what was added to it, "" for nothing."""

    content: dict[str, object]
    note: str = ""


def body_from_rows(
    signature: Signature | None,
    rows: Sequence[Mapping[str, object]],
    params: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The body for rows and params that were checked: ``dataframe_split`` with the columns in the
    signature's order (without one: in order of appearance), ``inputs`` for tensors."""
    columns = columns_of(signature)
    used = dict.fromkeys(name for row in rows for name in row)
    names = [name for name in names_of(columns) or used if name in used]
    body: dict[str, object]
    if is_matrix(columns):
        body = {"inputs": [list(row.values()) for row in rows]}
    elif is_tensor(columns) and not columns[0].name:
        body = {"inputs": [next(iter(row.values()), None) for row in rows]}
    elif is_tensor(columns):
        body = {"inputs": {name: [row.get(name) for row in rows] for name in names}}
    else:
        split: dict[str, object] = {"data": [[row.get(name) for name in names] for row in rows]}
        if not is_counted(names) or (columns and columns[0].name):
            split = {"columns": names, **split}
        body = {"dataframe_split": split}
    return {**body, "params": dict(params)} if params else body


def body_from_json(text: str, *, max_bytes: int | None = None) -> Body:
    """A typed body: an object with exactly one of the four keys; or a bare list, or one bare
    record, which is wrapped, and the note says so.

    Raises:
        InvalidInput: broken JSON (with line, column and position), or no such body.
        TooLarge: more than ``max_bytes``.
    """
    if max_bytes is not None and len(text.encode("utf-8", "replace")) > max_bytes:
        raise TooLarge(t("serving.json.too_large", cap=formats.size(max_bytes)))
    if not text.strip():
        raise _no_body("empty")
    content = parse_json(text)
    if isinstance(content, list):
        return _wrap_list(content)
    if not isinstance(content, dict):
        raise _no_body("scalar")
    found = [key for key in INPUT_KEYS if key in content]
    if not found:
        return _wrap_record(content)
    if len(found) > 1:
        raise _no_body("several", found=", ".join(found))
    if strange := sorted(content.keys() - {found[0], "params"}):
        raise InvalidInput(
            t("serving.json.strange", names=listed(strange), key=found[0]),
            t("serving.json.strange_next"),
        )
    rows_of(content, None)  # for its errors
    return Body(content)


def example_rows(example: object, signature: Signature | None = None) -> list[Row]:
    """The rows of an input example (``serving_input_example.json``, parsed); [] where it has none.

    A list of lists has columns "0", "1", …; what is nested deeper stays whole under "0".
    """
    if example is None:
        return []
    try:
        return rows_of(as_body(example), signature)
    except InvalidInput:
        return []  # an example is a help for the reader; one that has no rows prefills nothing


def as_body(example: object) -> dict[str, object]:
    """An example as a body: MLflow's ``input_example.json`` has no key around its table."""
    if isinstance(example, dict):
        if any(key in example for key in INPUT_KEYS):
            return example
        if "data" in example and example.keys() <= {"columns", "data", "index"}:
            return {"dataframe_split": example}
        return {"inputs": example}
    return {"inputs": example if isinstance(example, list) else [example]}


def rows_of(body: Mapping[str, object], signature: Signature | None) -> list[Row]:
    """The rows in a body that has one of the four keys.

    Raises:
        InvalidInput: what stands under the key has not the form that belongs to it.
    """
    key = next(key for key in INPUT_KEYS if key in body)
    data = body[key]
    if key == "dataframe_split":
        return _split_rows(data)
    records = isinstance(data, list) and all(isinstance(item, dict) for item in data)
    if key == "dataframe_records" and not records:
        raise InvalidInput(t("serving.json.records"))
    if isinstance(data, list):
        columns = columns_of(signature)
        # A list of bare values is the one column, where the model has only one.
        name = columns[0].name if len(columns) == 1 and not is_tensor(columns) else None
        return [_row(item, name or "0") for item in data]
    if key == "instances":
        raise InvalidInput(t("serving.json.instances"))
    return _columnwise(data, signature) if isinstance(data, dict) else [{"0": data}]


def _split_rows(data: object) -> list[Row]:
    lines = data.get("data") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(lines, list):
        raise InvalidInput(t("serving.json.split"))
    if strange := sorted(data.keys() - {"columns", "data", "index"}):
        raise InvalidInput(t("serving.json.split_strange", names=listed(strange)))
    names = data.get("columns")
    if names is None:
        names = list(range(len(lines[0]))) if lines and isinstance(lines[0], list) else []
    if not isinstance(names, list):
        raise InvalidInput(t("serving.json.split"))
    names = [str(name) for name in names]
    if len(set(names)) < len(names):
        raise _doubled(names)
    for number, line in enumerate(lines, 1):
        if not isinstance(line, list):
            raise InvalidInput(t("serving.json.no_list", row=f"{number:,}"))
        if len(line) != len(names):
            raise InvalidInput(
                t("serving.json.ragged", row=f"{number:,}", found=len(line), wanted=len(names))
            )
    return [dict(zip(names, line, strict=True)) for line in lines]


def _row(item: object, name: str) -> Row:
    if isinstance(item, dict):
        return dict(item)
    if isinstance(item, list) and not any(isinstance(value, list | dict) for value in item):
        return {str(i): value for i, value in enumerate(item)}
    return {name: item}


def _columnwise(data: dict[str, object], signature: Signature | None) -> list[Row]:
    """``{"a": [1, 2], "b": [3, 4]}`` is two rows, unless a column holds lists itself."""
    lists = [value for value in data.values() if isinstance(value, list)]
    holds_lists = any(column.type in NESTED_TYPES for column in columns_of(signature))
    if len(lists) < len(data) or holds_lists:
        return [dict(data)]
    if len({len(values) for values in lists}) > 1:
        raise InvalidInput(t("serving.json.lengths"))
    return [dict(zip(data, values, strict=True)) for values in zip(*lists, strict=True)]


def _wrap_list(content: list[object]) -> Body:
    if not content:
        raise InvalidInput(t("serving.json.no_rows"))
    records = [isinstance(item, dict) for item in content]
    if all(records):
        return Body({"dataframe_records": content}, t("serving.json.wrapped_records"))
    if any(records):
        raise InvalidInput(t("serving.json.mixed"))
    return Body({"inputs": content}, t("serving.json.wrapped_inputs"))


def _wrap_record(content: dict[str, object]) -> Body:
    # Anything nested may be a body with a misspelt key rather than a record.
    if not content or any(isinstance(value, list | dict) for value in content.values()):
        raise _no_body("no_key", found=listed(content) or "{}")
    return Body({"dataframe_records": [content]}, t("serving.json.wrapped_record"))


def parse_json(text: str, field: str = "") -> object:
    """The value of a JSON text; a name that stands twice in an object is refused, since Python
    would keep the last one without a word.

    Raises:
        InvalidInput: with line, column and position; ``field`` is passed on.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_name_once)
    except json.JSONDecodeError as error:
        fault = t(f"serving.json.fault.{_FAULTS.get(error.msg, 'other')}")
        line, column = formats.count(error.lineno), formats.count(error.colno)
        raise InvalidInput(
            t("serving.json.broken", line=line, column=column, fault=fault),
            t("serving.json.broken_next"),
            field=field,
            position=error.pos,
        ) from None
    except RecursionError:
        raise InvalidInput(t("serving.json.deep"), field=field) from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise InvalidInput(t("serving.json.digits"), field=field) from None


def _each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _doubled([name for name, _ in pairs])
    return content


def _doubled(names: Sequence[str]) -> InvalidInput:
    twice = sorted({name for name in names if names.count(name) > 1})
    return InvalidInput(t("serving.json.doubled", names=listed(twice)))


def _no_body(key: str, **fields: object) -> InvalidInput:
    what = t(f"serving.json.{key}", **fields)
    return InvalidInput(what, t("serving.json.next", keys=", ".join(INPUT_KEYS)))
