"""What histories come to: the same from MLflow's database and through its client."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from core.errors import InvalidInput
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.bulk import Bulk
from core.mlflow_api.bulk_connection import BulkFailed
from core.mlflow_api.histories import History
from core.runs.aggregates import FEW, Need, Plan, fill, plan_histories, summed_up
from core.runs.mirror import Mirror
from core.runs.query import Order, RunQuery, ids, query
from core.settings import load

READABLE = frozenset({"1"})
CURVES: dict[str, list[float]] = {
    "up": [1.0, 2.0, 3.0, 4.0],
    "down": [4.0, 3.0, 2.0, 1.0],
    "dip": [3.0, 0.5, 2.0, 2.5],
    "gaps": [math.nan, 2.0, 5.0, math.nan],
    "nan": [math.nan, math.nan],
    "one": [7.0],
}
ALL_OF_LOSS = ("min(loss)", "max(loss)", "first(loss)", "last(loss)", "mean(loss)", "best(loss)",
               "step_of_best(loss)", "mean(loss, 2)")  # fmt: skip


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A store with a run for each curve, and one without the metric."""
    made = connect(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("home"))}))
    where = made.tracking.create_experiment("curves")
    for name, values in {**CURVES, "none": []}.items():
        run = made.tracking.create_run(where, name, params={"kind": name})
        made.gateway.write(
            "logging",
            lambda c, run=run, values=values: [
                c.log_metric(run.id, "loss", v, step=10 * i, timestamp=1000 + i)
                for i, v in enumerate(values)
            ],
        )
        made.tracking.set_status(run.id, "FINISHED")
    yield made
    made.gateway.close()


@pytest.fixture(params=["database", "client"])
def mirror(mlflow: Mlflow, request: pytest.FixtureRequest) -> Iterator[Mirror]:
    """The store's mirror, fed from its database or by its client; no history was read yet."""
    held = Mirror.in_memory(mlflow)
    bulk = Bulk(mlflow.gateway.tracking_uri) if request.param == "database" else None
    made = Mirror(mlflow, held.cursor(), bulk)
    made.fill()
    yield made
    made.close()
    held.close()


def asked(**more: object) -> RunQuery:
    """A question about the experiment."""
    return RunQuery(("1",), order=(Order("name"),), **more)  # type: ignore[arg-type]


def read(mirror: Mirror, mlflow: Mlflow, question: RunQuery) -> int:
    """Read all that the question needs; says how many histories."""
    n = 0
    while (plan := plan_histories(mirror, question, READABLE)).missing:
        n += fill(mirror, mlflow, plan)
    return n


def cell(mirror: Mirror, name: str, column: str) -> object:
    """One cell of the table of all curves."""
    frame = query(mirror, asked(columns=(column,), limit=None), READABLE).frame
    found = frame.set_index("name").loc[name, column]
    return None if found is pd.NA else found


class TestNumbers:
    def test_both_sources_give_the_same(self, mirror: Mirror, mlflow: Mlflow) -> None:
        question = asked(columns=ALL_OF_LOSS, limit=None)
        assert read(mirror, mlflow, question) == len(CURVES)
        frame = query(mirror, question, READABLE).frame.set_index("name")
        expected = {
            "up": (1, 4, 1, 4, 2.5, 1, 0, 3.5),
            "down": (1, 4, 4, 1, 2.5, 1, 30, 1.5),
            "dip": (0.5, 3, 3, 2.5, 2, 0.5, 10, 2.25),
            "gaps": (2, 5, 2, 5, 3.5, 2, 10, 3.5),
            "one": (7, 7, 7, 7, 7, 7, 0, 7),
            "nan": (None,) * 8,
            "none": (None,) * 8,
        }
        for name, values in expected.items():
            row = [None if v is pd.NA else float(v) for v in frame.loc[name, list(ALL_OF_LOSS)]]
            assert row == list(values), name

    def test_the_last_number_is_not_the_last_value(self, mirror: Mirror, mlflow: Mlflow) -> None:
        read(mirror, mlflow, asked(columns=("last(loss)",)))
        assert cell(mirror, "gaps", "last(loss)") == 5.0
        assert math.isnan(cell(mirror, "gaps", "metrics.loss"))  # type: ignore[arg-type]

    def test_what_was_said_of_a_metric_goes_before_its_name(
        self, mirror: Mirror, mlflow: Mlflow
    ) -> None:
        question = asked(columns=("best(loss)",), directions=(("loss", "higher"),))
        read(mirror, mlflow, question)
        frame = query(mirror, question, READABLE).frame.set_index("name")
        assert frame.loc["dip", "best(loss)"] == 3.0

    @pytest.mark.parametrize("k", [1, 3, 100])
    def test_the_mean_of_the_last_values(self, mirror: Mirror, mlflow: Mlflow, k: int) -> None:
        column = f"mean(loss, {k})"
        read(mirror, mlflow, asked(columns=(column,)))
        for name, values in CURVES.items():
            numbers = [v for v in values if not math.isnan(v)][-k:]
            expected = sum(numbers) / len(numbers) if numbers else None
            assert cell(mirror, name, column) == pytest.approx(expected)

    def test_of_points_at_one_moment_the_largest_is_the_last(self) -> None:
        same = History(np.array([1, 1]), np.array([3.0, 2.0]), np.array([5, 5]))
        found = summed_up(same)
        assert (found["first"], found["last"]) == (2.0, 3.0)


class TestQuestions:
    def test_a_filter(self, mirror: Mirror, mlflow: Mlflow) -> None:
        question = asked(filter="min(loss) < 1 OR best(loss) = 7")
        assert ids(mirror, question, READABLE) == []
        assert read(mirror, mlflow, question) == len(CURVES)
        assert list(query(mirror, question, READABLE).frame["name"]) == ["dip", "one"]

    def test_the_rest_of_a_filter_goes_first(self, mirror: Mirror, mlflow: Mlflow) -> None:
        question = asked(filter="max(loss) >= 3 AND params.kind IN ('up', 'one', 'none')")
        plan = plan_histories(mirror, question, READABLE)
        assert plan.histories == 2
        fill(mirror, mlflow, plan)
        assert list(query(mirror, question, READABLE).frame["name"]) == ["one", "up"]

    def test_an_order(self, mirror: Mirror, mlflow: Mlflow) -> None:
        question = RunQuery(("1",), order=(Order("mean(loss)", descending=True),))
        read(mirror, mlflow, question)
        assert list(query(mirror, question, READABLE).frame["name"])[:2] == ["one", "gaps"]

    def test_columns_need_the_rows_shown_alone(self, mirror: Mirror) -> None:
        plan = plan_histories(mirror, asked(columns=("min(loss)",), limit=2, offset=1), READABLE)
        assert plan.histories == 2  # dip and gaps
        assert plan.at_once

    def test_what_was_read_is_not_read_again(self, mirror: Mirror, mlflow: Mlflow) -> None:
        question = asked(columns=("min(loss)",))
        assert read(mirror, mlflow, question) == len(CURVES)
        assert plan_histories(mirror, question, READABLE) == Plan(
            in_bulk=mirror.source.kind == "database"
        )

    def test_nobody_gets_histories_of_what_they_may_not_read(self, mirror: Mirror) -> None:
        question = asked(filter="min(loss) < 1", columns=("max(loss)",))
        assert plan_histories(mirror, question, frozenset({"0"})).histories == 0

    def test_a_run_that_logs_more_is_read_again(self, mirror: Mirror, mlflow: Mlflow) -> None:
        where = mlflow.tracking.create_experiment(f"live {mirror.source.kind}")
        run = mlflow.tracking.create_run(where, "live")
        readable = frozenset({where})
        question = RunQuery((where,), columns=("max(loss)",))

        def log(value: float, step: int) -> object:
            mlflow.gateway.write(
                "logging", lambda c: c.log_metric(run.id, "loss", value, step=step)
            )
            mirror.reread([run.id])
            fill(mirror, mlflow, plan_histories(mirror, question, readable))
            return query(mirror, question, readable).frame["max(loss)"].iloc[0]

        assert [log(2.0, 0), log(5.0, 1), log(3.0, 2)] == [2.0, 5.0, 5.0]

    def test_many_are_asked_about_first(self) -> None:
        runs = tuple(str(i) for i in range(FEW + 1))
        assert not Plan(((Need("loss"), runs),)).at_once
        assert Plan(((Need("loss"), runs[1:]),)).at_once
        both = Plan(((Need("loss"), runs[:9]), (Need("loss", 5), runs[:9])))
        assert both.histories == 9

    def test_what_is_no_aggregate(self, mirror: Mirror) -> None:
        with pytest.raises(InvalidInput):
            plan_histories(mirror, asked(columns=("median(loss)",)), READABLE)


class TestReading:
    def test_progress_and_a_stop(self, mirror: Mirror, mlflow: Mlflow) -> None:
        plan = plan_histories(mirror, asked(columns=("min(loss)",)), READABLE)
        told: list[tuple[int, int]] = []
        done = fill(mirror, mlflow, plan, lambda n, of: told.append((n, of)))
        assert (done, told[-1]) == (len(CURVES), (len(CURVES), len(CURVES)))

    def test_nothing_is_begun_after_a_stop(self, mlflow: Mlflow) -> None:
        held = Mirror.in_memory(mlflow)
        held.fill()
        plan = plan_histories(held, asked(columns=("min(loss)",)), READABLE)
        assert fill(held, mlflow, plan, stop=lambda: True) == 0
        assert plan_histories(held, asked(columns=("min(loss)",)), READABLE) == plan
        held.close()

    def test_a_database_that_fails_is_gone_round(
        self, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = Mirror.in_memory(mlflow)
        mirror = Mirror(mlflow, held.cursor(), Bulk(mlflow.gateway.tracking_uri))
        mirror.fill()

        def fail(*_: object) -> None:
            raise BulkFailed("gone")

        monkeypatch.setattr(Bulk, "metric_aggregates", fail)
        question = asked(columns=("min(loss)",))
        assert read(mirror, mlflow, question) == len(CURVES)
        assert cell(mirror, "dip", "min(loss)") == 0.5
        mirror.close()
        held.close()
