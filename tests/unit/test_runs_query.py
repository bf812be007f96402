"""Runs asked of the mirror: which ones, in what order, with what columns, and for whom."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from core.errors import InvalidInput
from core.lifecycle.overview import latest
from core.mlflow_api import Mlflow, connect
from core.runs.activity import Activity, activity
from core.runs.mirror import Mirror
from core.runs.names import Name, Names, choose
from core.runs.query import Order, RunQuery, RunTable, count, ids, names, query
from core.settings import load

ALL = frozenset({"0", "1"})


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


@pytest.fixture(scope="module")
def mirror(mlflow: Mlflow) -> Iterator[Mirror]:
    """The store's mirror, filled."""
    made = Mirror.in_memory(mlflow)
    made.fill()
    yield made
    made.close()


def found(mirror: Mirror, **asked: object) -> list[str]:
    """The names of the runs that a query finds."""
    return list(query(mirror, RunQuery(("1",), **asked), ALL).frame["name"])  # type: ignore[arg-type]


def test_the_latest_runs_of_home_come_the_same_way(mirror: Mirror) -> None:
    shown = latest(mirror, ["0", "1"])
    assert [r.name for r in shown] == found(mirror)
    assert {(r.status, r.experiment_id) for r in shown} == {("RUNNING", "1")}
    assert all(r.started_at is not None and r.started_at.tzinfo for r in shown)


class TestRows:
    def test_newest_first_all_of_them(self, mirror: Mirror) -> None:
        table = query(mirror, RunQuery(("1",)), ALL)
        assert list(table.frame["name"]) == [f"run-{i}" for i in (6, 5, 4, 3, 2, 1, 0)]
        assert (table.more, table.total) == (False, 7)
        assert str(table.frame["started_at"].dtype) == "datetime64[ms, UTC]"
        assert set(table.frame["user"]) == {"ada"}
        assert table.frame["ended_at"].isna().all()
        assert table.frame["seconds"].isna().all()

    def test_as_mlflow_has_them(self, mirror: Mirror, mlflow: Mlflow) -> None:
        frame = query(mirror, RunQuery(("1",)), ALL).frame
        for run, row in zip(
            mlflow.tracking.search(["1"]).runs, frame.to_dict("records"), strict=True
        ):
            assert (row["run_id"], row["name"], row["status"]) == (run.id, run.name, run.status)
            assert row["started_at"] == run.started_at
            assert {k: row[f"params.{k}"] for k in run.params} == run.params
            assert {k: row[f"tags.{k}"] for k in run.tags} == run.tags

    def test_nan_is_not_missing(self, mirror: Mirror) -> None:
        column = query(mirror, RunQuery(("1",)), ALL).frame["metrics.m m/é"]
        assert list(column.isna()) == [True, False, False, False, False, False, False]
        assert math.isnan(column.iloc[6])

    @pytest.mark.parametrize(
        ("limit", "offset"), [(3, 0), (3, 3), (3, 6), (7, 0), (100, 2), (None, 1), (2, 50)]
    )
    def test_pages_are_slices_of_the_whole(
        self, mirror: Mirror, limit: int | None, offset: int
    ) -> None:
        every = found(mirror)
        table = query(mirror, RunQuery(("1",), limit=limit, offset=offset), ALL)
        end = len(every) if limit is None else offset + limit
        assert list(table.frame["name"]) == every[offset:end]
        assert table.more == (end < 7)
        assert table.total == 7

    def test_columns_stand_as_they_were_asked_for(self, mirror: Mirror) -> None:
        wanted = ("params.depth", "tags.none", "metrics.loss", "metrics.none", "max(loss)")
        table = query(mirror, RunQuery(("1",), columns=wanted), ALL)
        assert table.columns == wanted
        assert table.frame[["tags.none", "metrics.none", "max(loss)"]].isna().all(axis=None)

    def test_what_is_no_column(self, mirror: Mirror) -> None:
        with pytest.raises(InvalidInput) as caught:
            query(mirror, RunQuery(("1",), columns=("loss",)), ALL)
        assert caught.value.field == "columns"

    def test_by_id_keeps_the_order_and_names_what_is_missing(self, mirror: Mirror) -> None:
        every = ids(mirror, RunQuery(("1",)), ALL)
        wanted = (every[3], "x' OR", every[0], "f" * 32, every[3])
        table = query(mirror, RunQuery(run_ids=wanted), ALL)
        assert table.ids == [every[3], every[0]]
        assert table.missing == ("x' OR", "f" * 32)

    def test_a_run_that_was_made_just_now_is_found_by_its_id(
        self, mirror: Mirror, mlflow: Mlflow
    ) -> None:
        where = mlflow.tracking.create_experiment("new")
        made = mlflow.tracking.create_run(where, "fresh")
        assert query(mirror, RunQuery(run_ids=(made.id,)), ALL | {where}).ids == [made.id]

    def test_deleted_ones(self, mirror: Mirror, mlflow: Mlflow) -> None:
        run_id = ids(mirror, RunQuery(("1",)), ALL)[3]
        mlflow.tracking.delete_run(run_id)
        mirror.reread([run_id])
        try:
            assert count(mirror, RunQuery(("1",)), ALL) == 6
            assert ids(mirror, RunQuery(("1",), view="deleted"), ALL) == [run_id]
            assert count(mirror, RunQuery(("1",), view="all"), ALL) == 7
            by_id = query(mirror, RunQuery(run_ids=(run_id,)), ALL)
            assert list(by_id.frame["deleted"]) == [True]
            assert activity(mirror, ["1"], ALL)["1"].runs == 6
            assert activity(mirror, ["1"], ALL, "deleted")["1"].runs == 1
        finally:
            mlflow.tracking.restore_run(run_id)
            mirror.reread([run_id])

    def test_nothing_there(self, mirror: Mirror) -> None:
        table = query(mirror, RunQuery(("0",)), ALL)
        assert len(table.frame) == 0
        assert table.columns == ()
        assert activity(mirror, ["0"], ALL) == {"0": Activity()}

    def test_who_may_not_read_an_experiment_sees_nothing_of_it(self, mirror: Mirror) -> None:
        every = tuple(ids(mirror, RunQuery(("1",)), ALL))
        nobody = frozenset({"0"})
        for asked in (RunQuery(), RunQuery(("1",)), RunQuery(("1",), filter="metrics.loss > 0")):
            assert query(mirror, asked, nobody).total == 0
            assert names(mirror, asked, nobody) == Names(0)
        by_id = query(mirror, RunQuery(run_ids=every), nobody)
        assert (by_id.ids, by_id.missing) == ([], every)
        assert activity(mirror, ["1"], nobody) == {}
        with pytest.raises(InvalidInput) as caught:
            query(mirror, RunQuery(("1",), filter="los < 1"), nobody)
        assert "loss" not in caught.value.what

    def test_an_answer_follows_what_is_written(self, mirror: Mirror, mlflow: Mlflow) -> None:
        run_id = ids(mirror, RunQuery(("1",)), ALL)[0]
        before = mirror.revision
        mlflow.tracking.rename_run(run_id, "renamed")
        mirror.reread([run_id])
        assert mirror.revision > before
        assert found(mirror)[0] == "renamed"
        mlflow.tracking.rename_run(run_id, "run-6")
        mirror.reread([run_id])
        assert found(mirror)[0] == "run-6"


class TestOrder:
    @pytest.mark.parametrize(
        ("column", "first"),
        [
            ("metrics.loss", "run-5"),
            ("metrics.m m/é", "run-1"),
            ("name", "run-0"),
            ("started_at", "run-0"),
            ("params.depth", "run-6"),
        ],
    )
    def test_ascending(self, mirror: Mirror, column: str, first: str) -> None:
        assert found(mirror, order=(Order(column),))[0] == first

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize(
        "column",
        ["metrics.loss", "metrics.m m/é", "metrics.none", "params.depth", "tags.mlflow.user",
         "name", "status", "started_at", "ended_at", "user"],
    )  # fmt: skip
    def test_the_same_as_mlflow_where_it_can_sort(
        self, mirror: Mirror, mlflow: Mlflow, column: str, descending: bool
    ) -> None:
        theirs = {"name": "attributes.run_name", "status": "attributes.status",
                  "started_at": "attributes.start_time", "ended_at": "attributes.end_time",
                  "user": "tags.`mlflow.user`"}  # fmt: skip
        kind, _, name = column.partition(".")
        clause = theirs.get(column, f"{kind}.`{name}`") + (" DESC" if descending else " ASC")
        expected = [r.id for r in mlflow.tracking.search(["1"], order=[clause]).runs]
        ours = ids(mirror, RunQuery(("1",), order=(Order(column, descending),)), ALL)
        assert ours == expected

    def test_nan_comes_after_numbers_and_before_what_is_missing(self, mirror: Mirror) -> None:
        for descending in (False, True):
            names_found = found(mirror, order=(Order("metrics.m m/é", descending),))
            assert names_found[-2:] == ["run-0", "run-6"]

    def test_several_columns(self, mirror: Mirror) -> None:
        order = (Order("params.depth", descending=True), Order("metrics.loss", descending=True))
        assert found(mirror, order=order) == [
            "run-2", "run-5", "run-1", "run-4", "run-0", "run-3", "run-6",
        ]  # fmt: skip

    @pytest.mark.parametrize("column", ["", "loss", "metrics.", "nope.x", "best(", "worst(loss)"])
    def test_what_cannot_be_sorted_by(self, mirror: Mirror, column: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            found(mirror, order=(Order(column),))
        assert caught.value.field == "order"


class TestFilters:
    @pytest.mark.parametrize(
        ("text", "n"),
        [
            ("", 7),
            ("  metrics.loss > 0.3  ", 3),
            ("params.depth = '1' AND metrics.loss < 0.4", 1),
            ("params.depth = '1' OR metrics.loss < 0.2", 3),
            ("params.`a b.c/d` = 'x y'", 7),
            ("attributes.status = 'RUNNING'", 7),
            ("run_name LIKE 'run-%'", 7),
            ("metrics.nothing > 1", 0),
            ("metrics.loss IS NULL", 1),
            ("loss < 0.2", 1),
        ],
    )
    def test_that_work(self, mirror: Mirror, text: str, n: int) -> None:
        assert len(found(mirror, filter=text)) == n
        assert count(mirror, RunQuery(("1",), filter=text), ALL) == n

    def test_a_name_that_is_nearly_right_is_offered(self, mirror: Mirror) -> None:
        with pytest.raises(InvalidInput) as caught:
            found(mirror, filter="los < 1")
        assert "metrics.loss" in caught.value.what + caught.value.next_step
        assert caught.value.field == "filter"

    def test_an_experiment_by_its_name(self, mirror: Mirror) -> None:
        asked = RunQuery(filter="experiment = 'one'", experiment_names=(("1", "one"),))
        assert count(mirror, asked, ALL) == 7


class TestNames:
    def test_what_runs_have(self, mirror: Mirror) -> None:
        made = names(mirror, RunQuery(("1",)), ALL)
        assert made.runs == 7
        loss = made.get("metrics.loss")
        assert loss == Name("metrics", "loss", 6, 6, 6, 1 / 6, 1.0, "lower")
        odd = made.get("metrics.m m/é")
        assert odd is not None
        assert (odd.runs, odd.distinct, odd.numbers, odd.minimum) == (6, 6, 5, 1.0)
        depth = made.get("params.depth")
        assert depth is not None
        assert (depth.distinct, depth.numeric, depth.maximum) == (3, True, 2.0)
        word = made.get("params.a b.c/d")
        assert word is not None
        assert (word.distinct, word.numeric, word.minimum) == (1, False, None)

    def test_of_the_runs_that_match(self, mirror: Mirror) -> None:
        made = names(mirror, RunQuery(("1",), filter="metrics.loss > 0.3"), ALL)
        loss = made.get("metrics.loss")
        assert loss is not None
        assert (made.runs, loss.runs, loss.minimum) == (3, 3, 1 / 3)

    def test_what_varies_and_what_does_not(self, mirror: Mirror) -> None:
        made = choose(names(mirror, RunQuery(("1",)), ALL))
        assert set(made.shown) == {"metrics.loss", "metrics.m m/é", "params.depth"}
        assert set(made.constant) == {"params.same", "params.a b.c/d", "params.größe"}
        assert (made.varying, made.existing) == (3, 6)

    def test_neither_kind_crowds_the_other_out(self) -> None:
        metrics = tuple(Name("metrics", f"m{i}", 2, 2, 2, 0, 1) for i in range(20))
        params = tuple(Name("params", f"p{i}", 2, 2, 2, 0, 1) for i in range(3))
        shown = choose(Names(2, metrics, params), 12).shown
        assert sum(c.startswith("metrics.") for c in shown) == 9
        assert sum(c.startswith("params.") for c in shown) == 3

    def test_what_most_runs_have_comes_first(self) -> None:
        some = (
            Name("metrics", "rare", 1, 1, 1, 0, 0),
            Name("metrics", "system/cpu", 9, 9, 9, 0, 1),
            Name("metrics", "common", 9, 9, 9, 0, 1),
        )
        assert choose(Names(9, some), 2).shown == ("metrics.common", "metrics.rare")


def test_nobody_named_any_columns_and_there_are_very_many(mirror: Mirror) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.runs.query.MOST_COLUMNS", 2)
        table = query(mirror, RunQuery(("1",)), ALL)
    assert table.columns == ("metrics.loss", "metrics.m m/é")
    assert table.left_out == 4 + 3
    assert isinstance(table, RunTable)
    assert np.isfinite(table.frame["metrics.loss"].dropna().astype(float)).all()
