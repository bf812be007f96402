"""The front: no run of it is beaten by another, and every other run is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.runs.pareto import front

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0]) | st.floats(allow_nan=True, allow_infinity=True)


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] <= b[1] and a != b


@given(st.lists(st.tuples(VALUES, VALUES), max_size=40), st.booleans(), st.booleans())
def test_no_point_of_the_front_is_dominated_and_every_other_is(
    points: list[tuple[float, float]], lower_first: bool, lower_second: bool
) -> None:
    first, second = (np.array([p[i] for p in points], dtype=float) for i in (0, 1))
    found = front(first, second, lower_first=lower_first, lower_second=lower_second)
    signs = (1 if lower_first else -1, 1 if lower_second else -1)
    takes_part = np.isfinite(first) & np.isfinite(second)
    signed = [(signs[0] * a, signs[1] * b) for a, b in points]
    for i, point in enumerate(signed):
        beaten = any(dominates(signed[j], point) for j in np.flatnonzero(takes_part))
        assert found[i] == (takes_part[i] and not beaten)


def test_equal_points_are_all_on_the_front_or_none() -> None:
    first = np.array([1.0, 1.0, 2.0, 2.0])
    second = np.array([1.0, 1.0, 2.0, 2.0])
    found = front(first, second, lower_first=True, lower_second=True)
    assert found.tolist() == [True, True, False, False]
