"""Tables as files: no cell is a formula to a spreadsheet program."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.exports import cell, csv_bytes

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1+2", "'-1+2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("plain = text", "plain = text"),
        ("", ""),
        (None, ""),
        (-1.5, -1.5),
        (0, 0),
    ],
)
def test_a_cell_is_shown_and_not_carried_out(value: object, written: object) -> None:
    assert cell(value) == written


def test_header_and_missing_cells() -> None:
    content = csv_bytes(["run", "=m"], [{"run": "a"}, {"run": "b", "=m": -1}])
    assert content.startswith(b"\xef\xbb\xbf")
    assert read(content) == [["run", "'=m"], ["a", ""], ["b", "-1"]]


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")), max_size=4)
)
def test_every_text_comes_back_and_none_begins_a_formula(texts: list[str]) -> None:
    columns = [f"c{i}" for i in range(len(texts))]
    back = read(csv_bytes(["first", *columns], [dict(zip(columns, texts, strict=True))]))[1][1:]
    assert not any(text.startswith(RISKY) for text in back)
    assert [text.removeprefix("'") if t.startswith(RISKY) else text for text, t in
            zip(back, texts, strict=True)] == texts  # fmt: skip
