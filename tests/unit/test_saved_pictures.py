"""Curves in the saved file: no spike is lost, no gap is bridged, and what is left out is said."""

import math
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.lifecycle.paper import pictures
from core.statistics import LARGEST

FLAT = [(float(step), 1.0) for step in range(10_000)]
NAMES = ("v7", "v5")


def paths(drawn: str) -> list[list[tuple[float, float]]]:
    """The points of each line, in the picture's own units."""
    return [
        [(float(x), float(y)) for x, y in (point.split(",") for point in line.split())]
        for line in re.findall(r'<polyline points="([^"]*)"', drawn)
    ]


def marks(drawn: str, sign: str) -> list[float]:
    """Where along the axis a sign stands."""
    return [float(x) for x in re.findall(rf'<text x="([\d.]+)"[^>]*>{sign}</text>', drawn)]


def test_spikes_of_one_step_are_drawn_and_the_file_says_how_many_points_are() -> None:
    curve = list(FLAT)
    curve[3_333], curve[7_777] = (3_333.0, 9.0), (7_777.0, -5.0)
    drawn = pictures.lines("loss", (curve, FLAT[:10]), NAMES)
    first, second = paths(drawn)
    heights = [y for _, y in first]
    assert len({y for y in heights if heights.count(y) == 1}) == 2
    assert max(heights) - min(heights) > 100
    assert len(second) == 10
    assert re.findall(r"v\d: [\d,]+ of [\d,]+ points", drawn) == [
        f"v7: {len(first)} of 10,000 points"
    ]
    assert len(first) <= 480


def test_a_gap_is_not_bridged_and_its_nan_is_marked_also_where_points_were_thinned() -> None:
    curve = list(FLAT)
    for step in (2_500, 5_000, 5_001, 5_002):
        curve[step] = (float(step), math.nan)
    drawn = pictures.lines("loss", (curve, ()), NAMES)
    parts = paths(drawn)
    assert len(parts) == 3
    crosses = marks(drawn, "×")
    assert len(crosses) == 2  # neighbours stand on one place of the paper
    for before, after, cross in zip(parts, parts[1:], crosses, strict=False):
        assert before[-1][0] <= cross <= after[0][0]
    assert "v7: 4 points have no finite value" in drawn


def test_infinite_values_are_marked_at_their_edge_also_as_mlflow_stores_them() -> None:
    curve = [(0.0, 1.0), (1.0, LARGEST * 1.0001), (2.0, 2.0), (3.0, -math.inf), (4.0, 1.5)]
    drawn = pictures.lines("loss", (curve, ()), NAMES)
    assert len(marks(drawn, "▲")) == 1
    assert len(marks(drawn, "▼")) == 1
    assert paths(drawn) == []
    assert drawn.count("<circle") == 3  # points without a neighbour


def test_a_curve_of_nan_alone_is_still_in_the_file() -> None:
    drawn = pictures.lines("loss", ([(0.0, math.nan)], ()), NAMES)
    assert "loss" in drawn
    assert "v7: 1 point has no finite value" in drawn
    assert pictures.lines("loss", ((), ()), NAMES) == ""


@given(
    st.lists(
        st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf])),
        min_size=1, max_size=1_500,
    )
)  # fmt: skip
def test_the_lowest_and_the_highest_are_among_what_is_drawn(values: list[float]) -> None:
    steps = np.arange(len(values), dtype=float)
    numbers = np.array(values)
    shown = [value for part in pictures.thinned(steps, numbers) for value in numbers[part].tolist()]
    finite = [value for value in values if math.isfinite(value)]
    assert len(shown) <= 480
    assert all(map(math.isfinite, shown))
    if finite:
        assert (min(shown), max(shown)) == (min(finite), max(finite))
