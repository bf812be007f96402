"""Order and families over whole columns, columns as text, directions by name."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.mlflow_api.nouns import Experiment
from core.runs import columns, directions
from core.runs.columns import ATTRIBUTES, FUNCTIONS, Column
from core.runs.directions import direction, of_experiments
from core.runs.families import together
from core.runs.query import Order, RunQuery, ids, names, query
from tests.small_mirror import READABLE, ARun, a_run, mirror_of

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
VALUES = st.sampled_from([math.nan, 0.0, -1.5, 2.0, 2.0, 1e300])
TEXTS = st.sampled_from(["1", "10", "9", "-2", "1e3", "abc", "Äpfel", "", "nan", "0.5"])


@st.composite
def some_runs(draw: st.DrawFn) -> list[ARun]:
    """Runs with few different values, so that many are alike; some nested, some in a ring."""
    n = draw(st.integers(0, 14))
    parents = ["", "", "gone", *(f"run{i:02}" for i in range(n))]
    return [
        a_run(
            f"run{i:02}",
            draw(st.sampled_from([None, 1, 2, 3])),
            params=draw(st.dictionaries(st.just("p"), TEXTS)),
            metrics=draw(st.dictionaries(st.just("m"), VALUES)),
            parent=draw(st.sampled_from(parents)),
        )
        for i in range(n)
    ]


ORDERS = st.lists(
    st.builds(
        Order,
        st.sampled_from(["metrics.m", "params.p", "started_at", "name", "seconds", "metrics.none"]),
        st.booleans(),
    ),
    max_size=2,
).map(tuple)


def key_of(run: ARun, order: Order) -> tuple[object, ...]:
    """What a run is sorted by, said once more in plain Python; numbers alone."""
    sign = -1 if order.descending else 1
    if order.column == "metrics.m":
        value = run.metrics.get("m")
        if value is None:
            return (2, 0)
        return (1, 0) if math.isnan(value) else (0, sign * value)
    return (0, 0)


class TestOrder:
    @given(some_runs(), ORDERS)
    @settings(max_examples=20, deadline=None)
    def test_every_run_once_whatever_the_order(
        self, given_runs: list[ARun], order: tuple[Order, ...]
    ) -> None:
        mirror = mirror_of(given_runs)
        for nesting in ("flat", "families"):
            asked = RunQuery(order=order, nesting=nesting)  # type: ignore[arg-type]
            found = ids(mirror, asked, READABLE)
            assert sorted(found) == sorted(r.id for r in given_runs)
            assert found == ids(mirror, asked, READABLE)
        mirror.close()

    @given(some_runs(), st.booleans())
    @settings(max_examples=20, deadline=None)
    def test_numbers_then_nan_then_missing_then_newest_first_then_by_id(
        self, given_runs: list[ARun], descending: bool
    ) -> None:
        mirror = mirror_of(given_runs)
        order = Order("metrics.m", descending)
        expected = sorted(
            given_runs,
            key=lambda r: (*key_of(r, order), -(r.start or -math.inf), r.id),
        )
        found = ids(mirror, RunQuery(order=(order,)), READABLE)
        assert found == [r.id for r in expected]
        mirror.close()

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (["10", "9", "1e3", "x"], ["9", "10", "1e3", "x"]),
            (["10", "9", "x", "y"], ["10", "9", "x", "y"]),
            (["b", "a", "B", "ä"], ["B", "a", "b", "ä"]),
            (["0.5", "", "0.1"], ["0.1", "0.5", ""]),
        ],
    )
    def test_params_are_numbers_where_most_of_them_are(
        self, values: list[str], expected: list[str]
    ) -> None:
        mirror = mirror_of([*(a_run(v or "e", 1, params={"p": v}) for v in values), a_run("no", 9)])
        wanted = ("params.p",)
        up = query(mirror, RunQuery(columns=wanted, order=(Order("params.p"),)), READABLE)
        assert list(up.frame["params.p"].iloc[:-1]) == expected
        assert up.ids[-1] == "no"
        back = Order("params.p", descending=True)
        down = query(mirror, RunQuery(columns=wanted, order=(back,)), READABLE)
        assert down.ids[-1] == "no", "what is missing comes last either way"

    def test_tags_that_are_numbers(self) -> None:
        mirror = mirror_of([a_run(v, 1, tags={"fold": v}) for v in ("10", "9", "2")])
        assert ids(mirror, RunQuery(order=(Order("tags.fold"),)), READABLE) == ["2", "9", "10"]


class TestFamilies:
    @given(some_runs(), ORDERS)
    @settings(max_examples=30, deadline=None)
    def test_they_stay_together(self, given_runs: list[ARun], order: tuple[Order, ...]) -> None:
        mirror = mirror_of(given_runs)
        asked = RunQuery(order=order, nesting="families", columns=(), limit=None)
        frame = query(mirror, asked, READABLE).frame
        place = {run: i for i, run in enumerate(frame["run_id"])}
        depth = dict(zip(frame["run_id"], frame["depth"], strict=True))
        for run, parent in zip(frame["run_id"], frame["parent_id"], strict=True):
            if parent in place and depth[run]:  # a ring is cut at one of its runs
                assert depth[run] == depth[parent] + 1
                between = range(place[parent] + 1, place[run])
                assert all(frame["depth"].iloc[i] > depth[parent] for i in between)
        mirror.close()

    def test_a_family_stands_where_the_best_of_it_would(self) -> None:
        mirror = mirror_of(
            [
                a_run("sweep", 1),
                a_run("good", 2, metrics={"m": 1.0}, parent="sweep"),
                a_run("bad", 3, metrics={"m": 9.0}, parent="sweep"),
                a_run("fold", 3, metrics={"m": 0.1}, parent="bad"),
                a_run("alone", 4, metrics={"m": 0.5}),
                a_run("other", 5, metrics={"m": 5.0}),
            ]
        )
        asked = RunQuery(order=(Order("metrics.m"),), nesting="families", columns=())
        table = query(mirror, asked, READABLE)
        assert table.ids == ["sweep", "bad", "fold", "good", "alone", "other"]
        assert list(table.frame["depth"]) == [0, 1, 2, 1, 0, 0]
        assert ids(mirror, RunQuery(nesting="top"), READABLE) == ["other", "alone", "sweep"]
        flat = query(mirror, RunQuery(order=(Order("metrics.m"),)), READABLE)
        assert flat.ids[:2] == ["fold", "alone"]
        assert not flat.frame["depth"].any()

    def test_parents_that_are_not_among_the_rows_are_named(self) -> None:
        mirror = mirror_of(
            [
                a_run("head", 1),
                a_run("hidden", 1, experiment="2"),
                a_run("one", 4, metrics={"m": 1.0}, parent="head"),
                a_run("two", 2, metrics={"m": 1.0}, parent="head"),
                a_run("three", 3, metrics={"m": 1.0}, parent="hidden"),
                a_run("four", 3, metrics={"m": 1.0}, parent="nowhere"),
            ]
        )
        asked = RunQuery(filter="metrics.m = 1", nesting="families", columns=())
        table = query(mirror, asked, READABLE)
        assert table.ids == ["one", "two", "four", "three"]
        assert list(table.frame["depth"]) == [1, 1, 1, 1]
        assert table.parents == {"head": "head"}, "no name of an experiment that nobody may read"

    def test_pages_are_slices(self) -> None:
        mirror = mirror_of(
            [a_run(f"r{i}", i, parent=f"r{i % 3}" if i > 2 else "") for i in range(9)]
        )
        asked = RunQuery(nesting="families", columns=())
        every = ids(mirror, asked, READABLE)
        pages = [
            query(mirror, RunQuery(nesting="families", columns=(), limit=4, offset=o), READABLE)
            for o in (0, 4, 8)
        ]
        assert [i for page in pages for i in page.ids] == every

    def test_rings_and_long_chains(self) -> None:
        ring = np.array([1, 2, 0, 3], np.int32)
        rows, depth = together(np.arange(4, dtype=np.int32), ring)
        assert sorted(rows) == [0, 1, 2, 3]
        assert depth.min() == 0
        pairs = np.arange(20_000, dtype=np.int32) ^ 1
        rows, _ = together(np.arange(20_000, dtype=np.int32), pairs)
        assert len(set(rows.tolist())) == 20_000
        chain = np.arange(-1, 3_000, dtype=np.int32)
        rows, depth = together(np.arange(3_001, dtype=np.int32), chain)
        assert len(set(rows.tolist())) == 3_001
        assert depth.max() == 100


class TestColumns:
    @given(st.sampled_from(["metrics", "params", "tags"]), NAMES)
    def test_names_with_any_characters(self, kind: str, name: str) -> None:
        column = columns.parse(f"{kind}.{name}")
        assert (column.kind, column.name) == (kind, name)
        assert column.text == f"{kind}.{name}"

    @given(st.sampled_from(FUNCTIONS), NAMES.filter(str.strip), st.none() | st.integers(1, 999_999))
    def test_calls(self, function: str, name: str, last: int | None) -> None:
        made = Column("aggregate", name, function, last if function == "mean" else None)
        assert columns.parse(made.text) == made

    @pytest.mark.parametrize("name", ATTRIBUTES)
    def test_attributes(self, name: str) -> None:
        assert columns.parse(name) == Column("attribute", name)

    @pytest.mark.parametrize(
        ("text", "name", "last"),
        [
            ("mean(a b, 10)", "a b", 10),
            ("mean(`x, 10`)", "x, 10", None),
            ("mean(`a``b`)", "a`b", None),
        ],
    )
    def test_quotes(self, text: str, name: str, last: int | None) -> None:
        assert columns.parse(text) == Column("aggregate", name, "mean", last)

    @pytest.mark.parametrize(
        "text",
        ["", "x", "metrics.", "metric.x", "min()", "min( )", "min(x, 5)", "mean(x, 0)",
         "mean(x, 99999999)", "median(x)", "min(x", "min(`x)", "min(a(b))"],
    )  # fmt: skip
    def test_what_is_none(self, text: str) -> None:
        assert not columns.is_column(text)
        with pytest.raises(InvalidInput) as caught:
            columns.parse(text, "order")
        assert caught.value.field == "order"


class TestDirections:
    @pytest.mark.parametrize(
        ("metric", "way"),
        [
            ("loss", "lower"), ("val_loss", "lower"), ("trainLoss", "lower"), ("RMSE", "lower"),
            ("val/mean_absolute_error", "lower"), ("accuracy_loss", "lower"),
            ("neg_log_likelihood", "lower"), ("log_likelihood", "higher"),
            ("accuracy", "higher"), ("val-acc", "higher"), ("top5_accuracy", "higher"),
            ("roc_auc", "higher"), ("f1", "higher"), ("test.f1-macro", "higher"), ("R2", "higher"),
            ("r2_score", "higher"), ("mAP", "higher"), ("epoch", None), ("lr", None), ("", None),
            ("glossary", None), ("brier_score", "lower"), ("fid_score", "lower"),
            ("wer_score", "lower"), ("score", "higher"), ("val_score", "higher"),
            ("brier_skill_score", "higher"), ("score_seconds", "lower"),
        ],
    )  # fmt: skip
    def test_by_the_name(self, metric: str, way: str | None) -> None:
        assert direction(metric) == way

    def test_what_was_said_goes_first(self) -> None:
        said = {"loss": "higher"}
        text = directions.write(said)  # type: ignore[arg-type]
        about = experiment(text)
        assert of_experiments([about, experiment('{"loss": "lower"}')]) == said
        assert direction("loss", of_experiments([about])) == "higher"

    @pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"a": "up", "b": 1}', "[" * 5000])
    def test_tags_that_say_nothing(self, text: str) -> None:
        assert of_experiments([experiment(text)]) == {}


def experiment(text: str) -> Experiment:
    """An experiment with this text in its tag of directions."""
    return Experiment("1", "one", "active", "", {directions.TAG: text}, None, None)


def test_very_many_names_and_very_many_metrics_in_one_run() -> None:
    wide = a_run("wide", 1, metrics={f"w{i}": float(i) for i in range(8000)})
    many = [a_run(f"r{i}", 2, metrics={f"m{i}": 1.0}) for i in range(4000)]
    mirror = mirror_of([wide, *many])
    found = names(mirror, RunQuery(), READABLE)
    assert len(found.metrics) == 12_000
    table = query(mirror, RunQuery(limit=None, columns=("metrics.w7", "metrics.m3")), READABLE)
    assert len(table.frame) == 4001
    assert table.frame["metrics.w7"].count() == 1
    everything = query(mirror, RunQuery(filter="metrics.w0 = 0"), READABLE)
    assert (len(everything.columns), everything.left_out) == (2000, 6000)
