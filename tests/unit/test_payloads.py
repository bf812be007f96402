"""What a form, a typed body and a CSV file become, and what is refused before it is sent."""

import json
import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, TooLarge
from core.mlflow_api.nouns import Column, Signature
from core.serving.payloads import (
    Row,
    body_from_json,
    body_from_rows,
    check_body,
    check_params,
    check_rows,
    example_rows,
    form_fields,
    param_fields,
    row_from_form,
    rows_from_csv,
)

HOUSES = Signature(
    inputs=(
        Column("rooms", "long"),
        Column("floor", "integer"),
        Column("area", "double"),
        Column("street", "string"),
        Column("lift", "boolean"),
        Column("built", "datetime", required=False),
        Column("rent", "double", required=False),
        Column("flats", "long", required=False),
    ),
    params=(
        Column("trees", "long", required=False, default=10),
        Column("cut", "double", required=False, default=0.5),
        Column("names", "string", required=False, shape=(-1,), default=["a"]),
    ),
)
GOOD: Row = {"rooms": 3, "floor": 1, "area": 70.5, "street": "Elm", "lift": True}
SHEET = Signature(inputs=(Column(None, "tensor(float64)", shape=(-1, 3)),))
WHOLE_SHEET = Signature(inputs=(Column(None, "tensor(int8)", shape=(-1, 2)),))
PICTURES = Signature(inputs=(Column(None, "tensor(float32)", shape=(-1, 2, 2)),))
NAMED = Signature(
    inputs=(
        Column("ids", "tensor(int64)", shape=(-1, 2)),
        Column("mask", "tensor(bool)", shape=(-1,), required=False),
    )
)
UNNAMED = Signature(inputs=(Column(None, "double"), Column(None, "string")))
NESTED = Signature(inputs=(Column("tags", "array"), Column("who", "object", required=False)))


def problems(signature: Signature | None, *rows: Row) -> list[str]:
    return [str(problem) for problem in check_rows(signature, rows)[1]]


def only(signature: Signature, row: Row) -> tuple[Row, list[str]]:
    rows, found = check_rows(signature, [row])
    return (rows[0] if rows else {}), [str(problem) for problem in found]


# ------------------------------------------------------------------------- rows that are sent


def test_exact_conversions_are_made() -> None:
    row, found = only(
        HOUSES, GOOD | {"rooms": 3.0, "area": 70, "built": "1999-05-01", "rent": math.nan}
    )
    assert not found
    assert row == {
        "rooms": 3,
        "floor": 1,
        "area": 70.0,
        "street": "Elm",
        "lift": True,
        "built": "1999-05-01T00:00:00.000000",
        "rent": None,
    }
    assert type(row["rooms"]) is int
    assert type(row["area"]) is float


def test_what_a_page_gives_is_taken_like_what_json_gives() -> None:
    row, found = only(
        HOUSES,
        GOOD | {"rooms": np.int64(3), "lift": np.bool_(True), "built": date(1999, 5, 1)},
    )
    assert not found
    assert (row["rooms"], row["lift"], row["built"]) == (3, True, "1999-05-01T00:00:00.000000")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("rooms", 3.5, "3.5 is not a whole number, and MLflow would cut off its fraction"),
        ("rooms", math.nan, "NaN is not a whole number"),
        ("rooms", math.inf, "is not a whole number"),
        ("rooms", "3", '"3" is text'),
        ("rooms", True, "true is a truth value"),
        ("rooms", None, "it has no value"),
        ("rooms", 2**63, "is beyond what this type holds"),
        ("rooms", [3], "[3] is a list"),
        ("floor", 2**31, "2147483648 is beyond what this type holds"),
        ("floor", -(2**31) - 1, "is beyond what this type holds"),
        ("area", "3,5", "decimals are written with a point"),
        ("area", "x", '"x" is text'),
        ("area", False, "false is a truth value"),
        ("area", math.inf, "infinity cannot be sent"),
        ("area", 10**400, "more digits than a number of this type holds"),
        ("area", 2**53 + 1, "more digits than a number of this type holds"),
        ("area", None, "it has no value"),
        ("street", 5, "5 is a number"),
        ("street", {"a": 1}, "is a JSON object"),
        ("lift", "false", '"false" is text'),
        ("lift", 0, "0 is a number"),
        ("lift", None, "it has no value"),
        ("built", "01/02/2026", "is not a date or time as ISO 8601 writes it"),
        ("built", "2026-02-30", "is not a date or time as ISO 8601 writes it"),
        ("built", 1700000000, "1700000000 is a number"),
        ("built", "2026-01-01T00:00:00Z", "has a time zone"),
        ("built", datetime(2026, 1, 1, tzinfo=UTC), "has a time zone"),
        ("built", "1500-01-01", "is beyond what this type holds"),
        ("flats", None, "leave the column out of all rows"),
    ],
)
def test_what_mlflow_would_change_is_refused(column: str, value: object, words: str) -> None:
    _, found = only(HOUSES, GOOD | {column: value})
    assert len(found) == 1
    assert found[0].startswith(f"Row 1, column {column}: ")
    assert words in found[0]
    assert "Expected: " in found[0]


def test_the_greatest_and_the_least_are_taken() -> None:
    for value in (2**31 - 1, -(2**31)):
        assert not problems(HOUSES, GOOD | {"floor": value})
    for value in (2**63 - 1, -(2**63)):
        assert not problems(HOUSES, GOOD | {"rooms": value})


def test_a_float_column_takes_no_more_than_four_bytes_hold() -> None:
    signature = Signature(inputs=(Column("x", "float"),))
    assert not problems(signature, {"x": 0.1})
    assert "beyond what this type holds" in problems(signature, {"x": 1e39})[0]


def test_columns_too_many_and_too_few_are_named() -> None:
    row = GOOD | {"colour": "red"}
    del row["area"]
    extra, missing = problems(HOUSES, row)
    assert extra.startswith("Row 1, column colour: the model does not know it")
    assert "rooms, floor, area" in extra
    assert missing == "Column area: it is missing in all rows. Expected: a number (double)."


def test_problems_come_in_the_order_of_the_rows() -> None:
    found = check_rows(HOUSES, [GOOD | {"lift": 1}, GOOD, GOOD | {"rooms": 1.5}])[1]
    assert [(problem.row, problem.column) for problem in found] == [(1, "lift"), (3, "rooms")]


def test_a_required_column_may_not_be_missing_in_one_row() -> None:
    without = {name: value for name, value in GOOD.items() if name != "area"}
    assert problems(HOUSES, GOOD, without)[0].startswith("Row 2, column area: it has no value")


def test_no_rows_are_refused() -> None:
    assert problems(HOUSES) == ["There is no row to predict."]


def test_without_a_signature_nothing_but_infinity_is_refused() -> None:
    rows, found = check_rows(None, [{"a": 1}, {"b": [math.nan]}])
    assert not found
    assert rows == [{"a": 1, "b": None}, {"a": None, "b": [None]}]
    assert "infinity" in problems(None, {"a": {"b": math.inf}})[0]


def test_tensors_of_two_dimensions_are_tables() -> None:
    assert check_rows(SHEET, [{"x": 1, "y": 2.5, "z": math.nan}]) == (
        [{"0": 1.0, "1": 2.5, "2": None}],
        [],
    )
    assert problems(SHEET, {"x": 1}) == ["Row 1: the row has 1 value. Expected: 3 values."]
    assert problems(WHOLE_SHEET, {"0": 1, "1": 1.5})[0].startswith("Row 1, column 1: 1.5 is not a")
    assert "beyond" in problems(WHOLE_SHEET, {"0": 1, "1": 128})[0]
    assert "type int8" in problems(WHOLE_SHEET, {"0": 1, "1": "a"})[0]
    assert "has no value" in problems(SHEET, {"x": 1, "y": 2, "z": None})[0]


def test_tensors_of_more_dimensions_keep_their_shape() -> None:
    picture = [[1, 2], [3, 4.5]]
    rows, found = check_rows(PICTURES, [{"0": picture}])
    assert not found
    assert body_from_rows(PICTURES, rows) == {"inputs": [[[1.0, 2.0], [3.0, 4.5]]]}
    assert "the list has 1 items instead of 2" in problems(PICTURES, {"0": [[1, 2]]})[0]
    assert "is not a list" in problems(PICTURES, {"0": [1, 2]})[0]


def test_named_tensors() -> None:
    rows, found = check_rows(NAMED, [{"ids": [1, 2]}, {"ids": [3, 4.0]}])
    assert not found
    assert body_from_rows(NAMED, rows) == {"inputs": {"ids": [[1, 2], [3, 4]]}}
    assert "1.5 is not a whole number" in problems(NAMED, {"ids": [1, 1.5]})[0]


def test_columns_without_names_go_by_their_order() -> None:
    rows, found = check_rows(UNNAMED, [{"x": 1, "y": "a"}])
    assert not found
    assert body_from_rows(UNNAMED, rows) == {"dataframe_split": {"data": [[1.0, "a"]]}}
    assert problems(UNNAMED, {"x": 1})[0].startswith("Row 1: the row has 1 value.")


def test_nested_columns() -> None:
    assert not problems(NESTED, {"tags": ["a"], "who": {"name": "B"}})
    assert '"a" is text' in problems(NESTED, {"tags": "a"})[0]
    assert "is a list" in problems(NESTED, {"tags": [], "who": []})[0]


def test_params() -> None:
    assert check_params(HOUSES, {"trees": 5.0, "cut": 1, "names": ["x"]}) == (
        {"trees": 5, "cut": 1.0, "names": ["x"]},
        [],
    )
    found = [str(p) for p in check_params(HOUSES, {"tree": 5, "trees": 5.5, "names": [1]})[1]]
    assert found[0].startswith("Column tree: the model does not know this param")
    assert "trees, cut, names" in found[0]
    assert "5.5 is not a whole number" in found[1]
    assert "1 is a number" in found[2]
    assert "takes no params" in str(check_params(None, {"a": 1})[1][0])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.sampled_from([HOUSES, SHEET, PICTURES, NAMED, UNNAMED, NESTED, None]), st.data())
def test_whatever_is_let_through_can_be_written_as_json(
    signature: Signature | None, data: st.DataObject
) -> None:
    names = [c.name or str(i) for i, c in enumerate(signature.inputs)] if signature else ["a"]
    rows = data.draw(st.lists(st.dictionaries(st.sampled_from(names), VALUES), max_size=3))
    coerced, found = check_rows(signature, rows)
    for problem in found:
        assert str(problem).endswith(".")
    if not found:
        json.dumps(body_from_rows(signature, coerced), allow_nan=False)


# ----------------------------------------------------------------------------------- forms


def test_the_form_has_a_field_for_each_column() -> None:
    example = {"dataframe_split": {"columns": list(GOOD), "data": [list(GOOD.values())]}}
    fields = {field.name: field for field in form_fields(HOUSES, example)}
    assert {name: field.kind for name, field in fields.items()} == {
        "rooms": "integer",
        "floor": "integer",
        "area": "number",
        "street": "text",
        "lift": "boolean",
        "built": "datetime",
        "rent": "number",
        "flats": "integer",
    }
    assert (fields["floor"].minimum, fields["floor"].maximum) == (-(2**31), 2**31 - 1)
    assert fields["rooms"].default == 3
    assert fields["area"].default == 70.5
    assert fields["built"].default is None
    assert fields["built"].required is False
    assert fields["area"].help == "a number (double), required"
    values = {name: field.default for name, field in fields.items()}
    assert row_from_form(fields.values(), values) == GOOD


def test_an_example_that_breaks_its_own_signature_prefills_nothing() -> None:
    (field,) = form_fields(Signature(inputs=(Column("n", "long"),)), {"inputs": [{"n": 1.5}]})
    assert field.default is None


def test_numbers_that_no_number_field_holds_are_typed_as_json() -> None:
    (field,) = form_fields(Signature(inputs=(Column("id", "long"),)), [{"id": 2**60}])
    assert (field.kind, field.default) == ("json", str(2**60))
    assert row_from_form([field], {"id": field.default}) == {"id": 2**60}


def test_a_field_with_broken_json_is_named() -> None:
    fields = form_fields(NESTED, None)
    assert row_from_form(fields, {"tags": '["a"]', "who": " "}) == {"tags": ["a"]}
    with pytest.raises(InvalidInput) as caught:
        row_from_form(fields, {"tags": '["a"'})
    assert caught.value.field == "tags"


def test_tensors_and_unsigned_models_get_one_field_for_the_body() -> None:
    (field,) = form_fields(PICTURES, None)
    assert (field.name, field.kind) == ("", "json")
    assert json.loads(str(field.default)) == {"inputs": [[[0, 0], [0, 0]]]}
    assert "float32" in field.help
    (field,) = form_fields(None, {"dataframe_records": [{"a": 1}]})
    assert body_from_json(str(field.default)).content == {"dataframe_records": [{"a": 1}]}
    (field,) = form_fields(None, None)
    assert "no signature" in field.help


def test_params_are_prefilled_from_the_example_or_their_defaults() -> None:
    fields = param_fields(HOUSES, {"inputs": [], "params": {"trees": 7}})
    assert [(f.name, f.kind, f.default) for f in fields] == [
        ("trees", "integer", 7),
        ("cut", "number", 0.5),
        ("names", "json", '["a"]'),
    ]


# ----------------------------------------------------------------------------------- bodies


def test_rows_become_a_split_table_in_the_signatures_order() -> None:
    reordered = dict(reversed(GOOD.items()))
    body = body_from_rows(HOUSES, [reordered], {"trees": 5})
    assert body == {
        "dataframe_split": {
            "columns": ["rooms", "floor", "area", "street", "lift"],
            "data": [[3, 1, 70.5, "Elm", True]],
        },
        "params": {"trees": 5},
    }


@pytest.mark.parametrize(
    ("example", "rows"),
    [
        ({"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}, [{"a": 1}, {"a": 2}]),
        ({"dataframe_split": {"data": [[1, 2]]}}, [{"0": 1, "1": 2}]),
        ({"dataframe_records": [{"a": 1}]}, [{"a": 1}]),
        ({"inputs": [[1, 2]]}, [{"0": 1, "1": 2}]),
        ({"inputs": [[[1]], [[2]]]}, [{"0": [[1]]}, {"0": [[2]]}]),
        ({"inputs": {"a": [1, 2], "b": [3, 4]}}, [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"inputs": {"a": 1, "b": "x"}}, [{"a": 1, "b": "x"}]),
        ({"inputs": "a question"}, [{"0": "a question"}]),
        ({"instances": [{"a": 1}], "params": {"p": 1}}, [{"a": 1}]),
        ({"columns": ["a"], "data": [[1]]}, [{"a": 1}]),
        ([1, 2], [{"0": 1}, {"0": 2}]),
        ("text", [{"0": "text"}]),
        ({"a": [1, 2], "b": [1]}, []),
        ({"dataframe_split": 5}, []),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, []),
        (None, []),
    ],
)
def test_rows_of_an_example(example: object, rows: list[Row]) -> None:
    assert example_rows(example) == rows


def test_lists_in_columns_of_lists_are_one_row() -> None:
    assert example_rows({"inputs": {"tags": ["a", "b"]}}, NESTED) == [{"tags": ["a", "b"]}]


def test_bare_values_are_the_one_column() -> None:
    signature = Signature(inputs=(Column("text", "string"),))
    assert not check_body(signature, {"inputs": ["a", "b"]})
    assert "1 is a number" in str(check_body(signature, {"inputs": [1]})[0])


def test_a_typed_body_is_checked_like_rows() -> None:
    body = body_from_json(json.dumps({"dataframe_records": [GOOD | {"rooms": 3.5}]})).content
    assert "3.5 is not a whole number" in str(check_body(HOUSES, body)[0])
    body = body_from_json(json.dumps({"inputs": [GOOD], "params": {"depth": 1}})).content
    assert "does not know this param" in str(check_body(HOUSES, body)[0])
    assert "no JSON object" in str(check_body(HOUSES, {"inputs": [GOOD], "params": 5})[0])
    assert "different lengths" in str(check_body(HOUSES, {"inputs": {"a": [1], "b": []}})[0])


def test_bare_lists_and_records_are_wrapped_and_it_is_said() -> None:
    records = body_from_json('[{"a": 1}]')
    assert records.content == {"dataframe_records": [{"a": 1}]}
    assert "dataframe_records" in records.note
    assert body_from_json('{"a": 1}').content == {"dataframe_records": [{"a": 1}]}
    assert body_from_json("[[1, 2]]").content == {"inputs": [[1, 2]]}
    assert body_from_json('{"inputs": [1]}').note == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There is no JSON"),
        ("5", "a single value"),
        ("[]", "no row"),
        ("{}", "none of the names"),
        ('[{"a": 1}, 2]', "side by side"),
        ('{"dataframe_spilt": {"data": []}}', "it has dataframe_spilt"),
        ('{"inputs": [1], "instances": [1]}', "several inputs: inputs, instances"),
        ('{"inputs": [1], "parms": {}}', "stands parms, which MLflow would drop"),
        ('{"dataframe_split": [1]}', "has to be an object"),
        ('{"dataframe_split": {"columns": "a", "data": [[1]]}}', "has to be an object"),
        ('{"dataframe_split": {"data": [1]}}', "Row 1 of dataframe_split is not a list"),
        ('{"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}', "Row 2"),
        ('{"dataframe_split": {"data": [], "name": 1}}', "not name"),
        ('{"dataframe_records": {"a": 1}}', "has to be a list of records"),
        ('{"instances": 5}', "has to be a list"),
        ('{"inputs": [1], "inputs": [2]}', "twice: inputs"),
        ('[{"a": 1, "a": 2}]', "twice: a"),
        ("[" * 200_000, "nested too deeply"),
        ("[" + "9" * 5_000 + "]", "too many digits"),
    ],
)
def test_bodies_that_no_scoring_server_takes(text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        body_from_json(text)
    assert words in caught.value.what
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("text", "line", "column", "position"),
    [
        ('{"inputs": [1,\n 2 3]}', 2, 4, 18),
        ('{"inputs": [1,]}', 1, 15, 14),
        ("{'inputs': [1]}", 1, 2, 1),
        ('{"inputs": "a', 1, 12, 11),
        ('{"inputs": [1]} x', 1, 17, 16),
    ],
)
def test_broken_json_is_shown_where_it_breaks(
    text: str, line: int, column: int, position: int
) -> None:
    with pytest.raises(InvalidInput) as caught:
        body_from_json(text)
    assert f"line {line}, column {column}" in caught.value.what
    assert caught.value.position == position


def test_typed_bodies_have_a_limit() -> None:
    with pytest.raises(TooLarge):
        body_from_json('{"inputs": [1]}', max_bytes=5)


# -------------------------------------------------------------------------------------- CSV

HEADER = "rooms,floor,area,street,lift"


def csv(text: str | bytes, signature: Signature | None = HOUSES, **caps: int) -> list[Row]:
    data = text.encode() if isinstance(text, str) else text
    limits = {"max_rows": 100, "max_bytes": 100_000} | caps
    return rows_from_csv(data, signature, **limits)


@pytest.mark.parametrize(
    "data",
    [
        f"{HEADER}\n3,1,70.5,Elm,true\n".encode(),
        f"{HEADER}\r\n3,1,70.5,Elm,TRUE".encode(),
        b"\xef\xbb\xbf" + f"{HEADER}\n3,1,70.5,Elm,1\n\n".encode(),
        f"{HEADER}\n3,1,70.5,Elm,yes\n".encode("utf-16"),
        f"{HEADER}\n3,1,70.5,Elm,true\n".replace(",", ";").encode(),
        f"{HEADER}\n3,1,70.5,Elm,true\n".replace(",", "\t").encode(),
        b'"rooms", floor ,area,street,lift\n 3 ,1,70.5,"Elm",true\n',
        b"street,lift,rooms,floor,area\nElm,true,3,1,70.5\n",
    ],
)
def test_csv_as_programs_write_it(data: bytes) -> None:
    (row,) = csv(data)
    assert row == GOOD


def test_cells_that_do_not_fit_are_named_by_the_check() -> None:
    rows = csv(f'{HEADER}\n3.5,x,"1,5",,maybe\n,1,NaN,Elm,no\n')
    found = problems(HOUSES, *rows)
    assert [f.split(":")[0] for f in found] == [
        "Row 1, column rooms",
        "Row 1, column floor",
        "Row 1, column area",
        "Row 1, column lift",
        "Row 2, column rooms",
    ]
    assert "decimals are written with a point" in found[2]
    assert rows[0]["street"] == ""


def test_numbers_in_scripts_other_than_latin_and_with_underscores_are_text() -> None:
    rows = csv(f"{HEADER}\n٣,1_0,1e999,Elm,no\n")
    assert [f.split(":")[0] for f in problems(HOUSES, *rows)] == [
        "Row 1, column rooms",
        "Row 1, column floor",
        "Row 1, column area",
    ]


def test_quoted_cells_may_hold_separators_and_lines() -> None:
    (row,) = csv(f'{HEADER}\n3,1,70.5,"Elm, 5\n2nd floor",true\n')
    assert row["street"] == "Elm, 5\n2nd floor"


def test_a_separator_in_a_column_name_does_not_mislead() -> None:
    signature = Signature(inputs=(Column("a,b", "long"), Column("c", "long")))
    assert csv("a,b;c\n1;2\n", signature) == [{"a,b": 1, "c": 2}]


def test_tables_for_tensors_and_for_models_without_a_signature() -> None:
    assert csv("0,1,2\n1,2.5,NaN\n", SHEET)[0]["1"] == 2.5
    assert csv("a,b,c,d,e\n1,2.5,x,,007\n", None) == [
        {"a": 1, "b": 2.5, "c": "x", "d": None, "e": "007"}
    ]
    assert csv('tags,who\n"[""a""]","{"\n', NESTED) == [{"tags": ["a"], "who": "{"}]


@pytest.mark.parametrize(
    ("data", "signature", "words"),
    [
        (b"", HOUSES, "empty"),
        (b" \n \n", HOUSES, "empty"),
        (HEADER.encode(), HOUSES, "no rows"),
        (b"a,b\n1,\xff\n", None, "not text in UTF-8 (line 2)"),
        (b"PK\x03\x04\x00\x00,b\n", None, "binary"),
        (f"{HEADER}\n3,1,70.5\n".encode(), HOUSES, "Line 2 has 3 cells, but the header has 5"),
        (b"rooms,floor,street,lift,hue\n", HOUSES, "These columns are missing: area."),
        (b"rooms,floor,street,lift,hue\n", HOUSES, "does not know these columns: hue."),
        (b",a\n0,1\n", None, "index=False"),
        (b"a,\n0,1\n", None, "A column has no name"),
        (b"a,a\n0,1\n", None, "twice: a"),
        (b"1.5,2,3\n4,5,6\n", SHEET, "holds numbers, not column names"),
        (b'a,b\n1,"x\n', None, "quotes in line 2 do not match"),
    ],
)
def test_files_that_cannot_be_read(data: bytes, signature: Signature, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        csv(data, signature)

    assert words in caught.value.what
    assert caught.value.next_step


def test_files_have_limits() -> None:
    two = f"{HEADER}\n" + "3,1,70.5,Elm,true\n" * 2
    assert len(csv(two, max_rows=2)) == 2
    with pytest.raises(TooLarge, match="more than 1 rows"):
        csv(two, max_rows=1)
    with pytest.raises(TooLarge):
        csv(two, max_bytes=10)
