"""Cells of run tables: outside text made visible, missing beside NaN, durations, nested names."""

import math

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runs.asked import RunTable
from core.ui.markup import visible
from core.ui.run_cells import LONGEST_CELL, NESTED, cells, headline, text


def table(
    names: list[str], parents: list[str | None], depth: list[int], **more: object
) -> RunTable:
    n = len(names)
    start = pd.Series(pd.to_datetime([1_760_000_000_000] * n, unit="ms", utc=True))
    made = {
        "run_id": [f"{i:032x}" for i in range(n)],
        "name": pd.array(names, "str"),
        "status": ["FINISHED"] * n,
        "started_at": start,
        "ended_at": start,
        "seconds": [0.2345, 9.5, 3661.4, math.nan][:n],
        "user": ["ada"] * n,
        "experiment_id": ["1"] * n,
        "parent_id": pd.array(parents, "str"),
        "deleted": [i == 1 for i in range(n)],
        "depth": depth,
        **more,
    }
    return RunTable(pd.DataFrame(made), total=n)


@given(st.lists(st.text(max_size=12) | st.none(), max_size=8))
def test_text_is_made_visible_as_everywhere_else(values: list[str | None]) -> None:
    fit = [v if v is None or v.isprintable() or v.encode("utf-8", "ignore") else "" for v in values]
    fit = [v if v is None else v.encode("utf-8", "ignore").decode() for v in fit]
    made = text(pa.array(fit, pa.string())).to_pylist()
    assert made == [None if v is None else visible(v) for v in fit]


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\x00", "\x1b", "\u2066", "\ufeff"])
def test_no_sign_that_cannot_be_seen_is_left(sign: str) -> None:
    assert text(pa.array([f"a{sign}b", "plain", None])).to_pylist() == ["ab", "plain", None]


def test_long_text_is_cut_where_it_shows() -> None:
    [cut, whole] = text(pa.array(["x" * (LONGEST_CELL + 1), "y" * LONGEST_CELL])).to_pylist()
    assert cut == "x" * LONGEST_CELL + "…"
    assert whole == "y" * LONGEST_CELL


def test_headlines_that_look_alike_stay_two_columns() -> None:
    assert headline("metrics.a\u202e", {"metrics.a": 1}) == "metrics.a'"


def test_cells_of_families() -> None:
    first = "0" * 32
    rows = table(["p", "c", "g", "away"], [None, first, f"{1:032x}", "f" * 32], [0, 1, 2, 0])
    made = cells(rows, ()).to_pydict()
    assert made["name"] == ["p", f"{NESTED}c", f"\u2003{NESTED}g", f"{NESTED}away"]
    assert made["parent"] == [None, "p", "c", "f" * 32]
    assert [len(badges) for badges in made["status"]] == [1, 2, 1, 1]
    seconds = [None if d is None else d.total_seconds() for d in made["seconds"]]
    assert seconds == [0.234, 9.5, 3661, None]
    assert "parent" not in cells(rows, (), parents=False).column_names


def test_missing_is_not_nan() -> None:
    values = pd.arrays.FloatingArray(
        pd.array([1.0, math.nan, 0.0], "float64").to_numpy(),
        pd.array([False, False, True], "bool").to_numpy(),
    )
    rows = table(["a", "b", "c"], [None] * 3, [0] * 3, **{"metrics.m": values})
    column = cells(rows, ("metrics.m",)).column("metrics.m")
    assert column.null_count == 1
    assert math.isnan(column.to_pylist()[1])


def test_an_empty_table() -> None:
    assert cells(table([], [], []), ()).num_rows == 0
