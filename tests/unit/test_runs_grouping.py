"""Groups of runs: what makes one, what its metrics come to, and which runs are in it."""

import math
import statistics as plain
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.mlflow_api.batch import LARGEST
from core.runs import grouping
from core.runs.grouping import By, GroupOrder, group, statistics
from core.runs.mirror import Mirror
from core.runs.query import Order, RunQuery, count, ids
from core.runs.select import select
from core.runs.values import Numbers
from tests.small_mirror import READABLE, a_run, batch_of, mirror_of

RUNS = (
    a_run("a1", 5, params={"lr": "0.1", "seed": "1"}, metrics={"loss": 1.0}),
    a_run("a2", 4, params={"lr": "0.1", "seed": "2"}, metrics={"loss": 3.0}),
    a_run("b1", 3, params={"lr": "0.10", "seed": "1"}, metrics={"loss": math.nan}),
    a_run("b2", 2, params={"lr": "0.10", "seed": "2"}, metrics={"loss": 7.0}),
    a_run("c1", 1, params={"seed": "1"}, metrics={"loss": LARGEST}),
    a_run("c2", 0, params={"seed": "2", 'it\'s "q"': "x"}, metrics={}),
)


@pytest.fixture(scope="module")
def mirror() -> Mirror:
    """Six runs in three groups."""
    return mirror_of(RUNS)


class TestGroups:
    def test_texts_that_differ_are_groups_that_differ(self, mirror: Mirror) -> None:
        made = group(mirror, RunQuery(), By(("params.lr",)), ["metrics.loss"], READABLE)
        assert [None if isinstance(v, float) else v for v in made.frame["params.lr"]] == [
            "0.1", "0.10", None,
        ]  # fmt: skip
        assert list(made.frame["runs"]) == [2, 2, 2]
        assert (made.total, made.runs) == (3, 6)

    def test_nan_and_infinity_are_counted_aside(self, mirror: Mirror) -> None:
        made = group(mirror, RunQuery(), By(("params.lr",)), ["metrics.loss"], READABLE)
        loss = made.stats["metrics.loss"]
        assert list(loss["n"]) == [2, 1, 0]
        assert list(loss["nan"]) == [0, 1, 0]
        assert list(loss["infinite"]) == [0, 0, 1]
        assert list(loss["mean"].round(6).fillna(-1)) == [2.0, 7.0, -1]
        assert loss["sd"].iloc[0] == pytest.approx(math.sqrt(2))
        assert loss["sd"].iloc[1:].isna().all(), "one number has no spread"
        assert list(loss["best"].fillna(-1)) == [1.0, 7.0, -1]

    @pytest.mark.parametrize(
        "value", ["C:\\", "x" * 6000, "'\""], ids=["backslash", "long", "quotes"]
    )
    def test_no_filter_where_it_would_be_misread(self, value: str) -> None:
        mirror = mirror_of([a_run("a", 1, params={"p": value, "q": value})])
        made = group(mirror, RunQuery(), By(("params.p", "params.q")), [], READABLE)
        assert made.filter(0) is None

    def test_runs_written_meanwhile_change_no_group(self) -> None:
        mirror = mirror_of(a_run(f"r{i}", i, params={"lr": "0.1"}) for i in range(4))
        before = select(mirror, RunQuery(), READABLE)
        mirror.write(batch_of(a_run(f"n{i}", 9, params={"lr": f"{i}"}) for i in range(40)))
        with mirror.cursor() as cursor:
            codes = grouping._by_all_params(cursor, before.spine, before.rows, ())
        assert codes.tolist() == [0, 0, 0, 0]

    def test_all_params_but_the_seed(self, mirror: Mirror) -> None:
        made = group(mirror, RunQuery(), By(all_params_but=("seed",)), [], READABLE)
        assert sorted(made.frame["runs"]) == [1, 1, 2, 2]
        assert "params.seed" not in made.frame
        assert [made.ids(i) for i in range(2)] == [["a1", "a2"], ["b1", "b2"]]

    def test_all_params_and_runs_without_any(self) -> None:
        bare = mirror_of([a_run("x", 1), a_run("y", 0)])
        made = group(bare, RunQuery(), By(all_params_but=()), [], READABLE)
        assert list(made.frame["runs"]) == [2]

    def test_several_columns(self, mirror: Mirror) -> None:
        made = group(mirror, RunQuery(), By(("params.lr", "params.seed")), [], READABLE)
        assert made.total == 6

    def test_attributes(self, mirror: Mirror) -> None:
        made = group(mirror, RunQuery(), By(("status",)), [], READABLE)
        assert list(made.frame["runs"]) == [6]

    def test_the_filter_of_a_group_finds_its_runs(self, mirror: Mirror) -> None:
        for by in (("params.lr",), ("params.lr", "params.seed"), ("status", "params.lr")):
            made = group(mirror, RunQuery(), By(by), [], READABLE)
            for i in range(len(made.frame)):
                text = made.filter(i)
                assert text is not None
                assert ids(mirror, RunQuery(filter=text), READABLE) == made.ids(i)

    def test_a_group_stands_where_the_first_of_its_runs_does(self, mirror: Mirror) -> None:
        asked = RunQuery(order=(Order("metrics.loss", descending=True),))
        made = group(mirror, asked, By(("params.lr",)), [], READABLE)
        assert [made.ids(i)[0] for i in range(3)] == ["c1", "b2", "a2"]

    def test_order_and_pages(self, mirror: Mirror) -> None:
        by = By(("params.lr",))
        most = GroupOrder("metrics.loss", "mean", descending=True)
        every = group(mirror, RunQuery(), by, ["metrics.loss"], READABLE, most)
        assert list(every.stats["metrics.loss"]["mean"].fillna(-1)) == [7.0, 2.0, -1]
        page = group(mirror, RunQuery(limit=1, offset=1), by, ["metrics.loss"], READABLE, most)
        assert (page.total, len(page.frame)) == (3, 1)
        assert page.ids(0) == every.ids(1)

    def test_of_runs_that_match(self, mirror: Mirror) -> None:
        made = group(mirror, RunQuery(filter="params.seed = '1'"), By(("params.lr",)), [], READABLE)
        assert list(made.frame["runs"]) == [1, 1, 1]

    def test_who_may_not_read_sees_no_group(self, mirror: Mirror) -> None:
        made = group(mirror, RunQuery(), By(("params.lr",)), ["metrics.loss"], frozenset({"9"}))
        assert (made.total, len(made.frame), made.runs) == (0, 0, 0)

    @pytest.mark.parametrize("by", ["metrics.loss", "started_at", "nonsense", "best(loss)"])
    def test_what_nothing_is_grouped_by(self, mirror: Mirror, by: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            group(mirror, RunQuery(), By((by,)), [], READABLE)
        assert caught.value.field == "group"

    def test_what_has_no_mean(self, mirror: Mirror) -> None:
        with pytest.raises(InvalidInput):
            group(mirror, RunQuery(), By(("params.lr",)), ["params.seed"], READABLE)


VALUES = st.lists(
    st.one_of(
        st.none(),
        st.just(math.nan),
        st.just(LARGEST),
        st.floats(-1e6, 1e6),
    ),
    max_size=30,
)


@given(VALUES, st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_groups_add_up(values: Sequence[float | None], groups: int) -> None:
    codes = np.arange(len(values), dtype=np.int64) % groups
    column = Numbers(
        np.array([0.0 if v is None else v for v in values], float),
        np.array([v is None for v in values], bool),
    )
    made = statistics(column, codes, groups, "lower")
    there = sum(v is not None for v in values)
    assert made[["n", "nan", "infinite"]].to_numpy().sum() == there
    for i, row in made.iterrows():
        of = [v for v, c in zip(values, codes, strict=True) if c == i and v is not None]
        numbers = [v for v in of if math.isfinite(v) and abs(v) < LARGEST]
        assert row["n"] == len(numbers)
        if numbers:
            assert row["mean"] == pytest.approx(plain.fmean(numbers), abs=1e-6)
            assert (row["best"], row["max"]) == (min(numbers), max(numbers))
        else:
            assert math.isnan(row["mean"])
        if len(numbers) > 1:
            assert row["sd"] == pytest.approx(plain.stdev(numbers), abs=1e-6)
        else:
            assert math.isnan(row["sd"])


PARAMS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", "01"]), max_size=3)


@given(st.lists(PARAMS, max_size=12), st.sets(st.sampled_from("abc"), max_size=2))
@settings(max_examples=25, deadline=None)
def test_groups_by_all_params_are_those_of_equal_params(
    params: list[dict[str, str]], but: set[str]
) -> None:
    mirror = mirror_of([a_run(f"r{i:02}", i, params=p) for i, p in enumerate(params)])
    made = group(mirror, RunQuery(limit=None), By(all_params_but=tuple(but)), [], READABLE)
    expected: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for i, p in reversed(list(enumerate(params))):
        key = tuple(sorted((k, v) for k, v in p.items() if k not in but))
        expected.setdefault(key, []).append(f"r{i:02}")
    found = [made.ids(i) for i in range(len(made.frame))]
    assert sorted(found) == sorted(expected.values())
    assert int(made.frame["runs"].sum()) == made.runs == count(mirror, RunQuery(), READABLE)
    mirror.close()
