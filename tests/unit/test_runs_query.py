"""The seam of run tables on a real SQLite store, and the filters that MLflow refuses."""

import math
from collections.abc import Callable, Iterator

import pandas as pd
import pytest

from core.errors import InvalidInput
from core.lifecycle.overview import latest
from core.mlflow_api import Mlflow, connect
from core.runs import filters
from core.runs.query import Order, RunQuery, choose, order_clause, query
from core.settings import load

Make = Callable[..., str]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A store with one experiment of seven runs."""
    made = connect(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("home"))}))
    tracking = made.tracking
    where = tracking.create_experiment("one")
    for i in range(7):
        run = tracking.create_run(
            where,
            f"run-{i}",
            tags={"mlflow.user": "ada", "t`k": "v"},
            params={"depth": str(i % 3), "same": "1", "a b.c/d": "x y", "größe": "1"},
        )
        values = {"loss": 1.0 / (i + 1), "m m/é": math.nan if i == 0 else float(i)}
        made.gateway.write(
            "logging",
            lambda c, run=run, values=values, i=i: [
                c.log_metric(run.id, k, v) for k, v in values.items() if i != 6
            ],
        )
    yield made
    made.gateway.close()


def names(mlflow: Mlflow, **asked: object) -> list[str]:
    """The names of the runs that a query finds."""
    return list(query(mlflow, RunQuery(("1",), **asked)).frame["name"])  # type: ignore[arg-type]


def test_the_latest_runs_of_home_come_the_same_way(mlflow: Mlflow) -> None:
    found = latest(mlflow, ["1"])
    assert [r.name for r in found] == names(mlflow)
    assert {(r.status, r.experiment_id) for r in found} == {("RUNNING", "1")}
    assert all(r.started_at is not None and r.started_at.tzinfo for r in found)


class TestRows:
    def test_newest_first_all_of_them(self, mlflow: Mlflow) -> None:
        table = query(mlflow, RunQuery(("1",)))
        assert list(table.frame["name"]) == [f"run-{i}" for i in (6, 5, 4, 3, 2, 1, 0)]
        assert (table.more, table.total) == (False, 7)
        assert str(table.frame["started_at"].dtype) == "datetime64[ms, UTC]"

    def test_nan_is_not_missing(self, mlflow: Mlflow) -> None:
        column = query(mlflow, RunQuery(("1",))).frame["metrics.m m/é"]
        assert list(column.isna()) == [True, False, False, False, False, False, False]
        assert math.isnan(column.iloc[6])

    @pytest.mark.parametrize(("limit", "offset"), [(3, 0), (3, 3), (3, 6), (7, 0), (100, 2)])
    def test_pages_are_slices_of_the_whole(self, mlflow: Mlflow, limit: int, offset: int) -> None:
        every = names(mlflow)
        table = query(mlflow, RunQuery(("1",), limit=limit, offset=offset))
        assert list(table.frame["name"]) == every[offset : offset + limit]
        assert table.more == (offset + limit < 7)
        assert table.total == (None if table.more else 7)

    def test_columns(self, mlflow: Mlflow) -> None:
        table = query(mlflow, RunQuery(("1",), columns=("params.depth",)))
        assert table.columns == ("params.depth",)

    def test_by_id_keeps_the_order_and_names_what_is_missing(self, mlflow: Mlflow) -> None:
        ids = query(mlflow, RunQuery(("1",))).ids
        mlflow.tracking.delete_run(ids[3])
        try:
            wanted = (ids[3], "x' OR", ids[0], "f" * 32, ids[3])
            table = query(mlflow, RunQuery(run_ids=wanted))
            assert table.ids == [ids[3], ids[0]]
            assert table.missing == ("x' OR", "f" * 32)
            assert list(table.frame["deleted"]) == [True, False]
            assert len(query(mlflow, RunQuery(("1",))).ids) == 6
            assert query(mlflow, RunQuery(("1",), view="deleted")).ids == [ids[3]]
        finally:
            mlflow.tracking.restore_run(ids[3])

    def test_nothing_there(self, mlflow: Mlflow) -> None:
        table = query(mlflow, RunQuery(("0",)))
        assert len(table.frame) == 0
        assert table.columns == ()


class TestOrder:
    @pytest.mark.parametrize(
        ("column", "first"),
        [
            ("metrics.loss", "run-5"),
            ("metrics.m m/é", "run-1"),
            ("name", "run-0"),
            ("started_at", "run-0"),
        ],
    )
    def test_ascending(self, mlflow: Mlflow, column: str, first: str) -> None:
        assert names(mlflow, order=(Order(column),))[0] == first

    @pytest.mark.parametrize("column", ["params.a b.c/d", "params.größe", "params.it's", "status"])
    def test_odd_names_can_be_sorted_by(self, mlflow: Mlflow, column: str) -> None:
        assert len(names(mlflow, order=(Order(column, descending=True),))) == 7

    @pytest.mark.parametrize(
        "column", ["", "loss", "metrics.", "nope.x", "params.a`b", 'params.a"b', "params.a\\b"]
    )
    def test_what_cannot_be_sorted_by(self, column: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            order_clause(Order(column))
        assert caught.value.field == "order"


class TestFilters:
    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("", 7),
            ("  metrics.loss > 0.3  ", 3),
            ("params.depth = '1' AND metrics.loss < 0.4", 1),
            ("params.`a b.c/d` = 'x y'", 7),
            ("attributes.status = 'RUNNING'", 7),
            ("run_name LIKE 'run-%'", 7),
            ("metrics.nothing > 1", 0),
        ],
    )
    def test_that_work(self, mlflow: Mlflow, text: str, count: int) -> None:
        assert len(names(mlflow, filter=text)) == count

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("loss < 1", "Did you mean metrics.loss?"),
            ("los < 1", "Did you mean metrics.loss?"),
            ("metrix.loss < 1", "Did you mean metrics.loss?"),
            ("metrics.loss == 1", "Write = instead of =="),
            ("metrics.loss <> 1", "Write != instead of <>"),
            ("params.depth = 1", "params.depth = '1'"),
            ("params.depth = two", "params.depth = 'two'"),
            ("metrics.loss < '1'", "metrics.loss < 1."),
            ("metrics.loss < one", "“one” is none"),
            ("params.depth > '1'", "only =, !=, LIKE and ILIKE"),
            ("metrics.loss < 1 OR metrics.loss > 2", "There is no OR"),
            ("metrics.loss < 1 && metrics.loss > 2", "the word AND"),
            ("NOT metrics.loss < 1", "There is no NOT"),
            ("metrics.loss BETWEEN 1 AND 2", "There is no BETWEEN"),
            ("params.depth RLIKE '1'", "with LIKE"),
            ("(metrics.loss < 1)", "without parentheses"),
            ("params.depth = '1", "is opened and never closed"),
            ("metrics.loss <", "is not complete"),
            ("metrics.loss", "is not complete"),
            ("params.a b.c/d = 'x'", "params.`a b.c/d`"),
            ("metrics.a-b < 1", "metrics.`a-b`"),
            ("name = 'x'", "attributes.run_name"),
            ("attributes.nope = 'x'", "There is no attribute “nope”"),
            ("start_time > '2026-01-01'", "start_time > 1767225600000"),
            ("params.depth IN ('1')", "IN works for run ids"),
            ("; drop table runs", "MLflow says"),
        ],
    )
    def test_that_are_explained(self, mlflow: Mlflow, text: str, said: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            names(mlflow, filter=text)
        assert said in caught.value.what
        assert "metrics.loss > " in caught.value.next_step
        assert caught.value.field == "filter"

    @pytest.mark.parametrize("text", ["a\x00b", "x" * 20_000, "start_time > " + "9" * 30])
    def test_that_are_never_sent(self, text: str) -> None:
        with pytest.raises(InvalidInput):
            filters.checked(text)

    def test_blanks_in_quotes_stay(self) -> None:
        assert filters.checked(" params.x = 'a  b' ") == "params.x = 'a  b'"

    def test_examples_work_on_the_store_they_come_from(self, mlflow: Mlflow) -> None:
        frame = query(mlflow, RunQuery(("1",))).frame
        for text in filters.examples(frame):
            names(mlflow, filter=text)

    def test_unknown_names_get_the_nearest(self) -> None:
        found = filters.unknown_names("metric.los < 1 AND params.`zz` = 'x'", ["metrics.loss"])
        assert found == [("metrics.los", "metrics.loss"), ("params.zz", "")]


class TestChoice:
    def test_what_varies_and_what_does_not(self, mlflow: Mlflow) -> None:
        made = choose(query(mlflow, RunQuery(("1",))))
        assert set(made.shown) == {"metrics.loss", "metrics.m m/é", "params.depth"}
        assert set(made.constant) == {"params.same", "params.a b.c/d", "params.größe"}
        assert (made.varying, made.existing) == (3, 6)

    def test_neither_kind_crowds_the_other_out(self) -> None:
        from core.runs.query import RunTable

        frame = pd.DataFrame(
            {f"metrics.m{i}": [1.0, 2.0] for i in range(20)}
            | {f"params.p{i}": ["1", "2"] for i in range(3)}
        )
        shown = choose(RunTable(frame), 12).shown
        assert sum(c.startswith("metrics.") for c in shown) == 9
        assert sum(c.startswith("params.") for c in shown) == 3
