"""What histories come to is the same from each database and through the client that reads them."""

import math
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from core.mlflow_api import Mlflow
from core.mlflow_api.bulk import Bulk
from core.runs.aggregates import fill, plan_histories
from core.runs.mirror import Mirror
from core.runs.query import RunQuery
from tests.mirrors import Odd, make_runs, open_store, rows
from tests.servers import MlflowServer, Postgres

NUMBER = count()
KEYS = ("loss", "a: b", "x y/z")
VALUE = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
POINT = st.tuples(VALUE, st.integers(-3, 6), st.integers(1, 4))
RUNS = st.lists(
    st.dictionaries(st.sampled_from(KEYS), st.lists(POINT, min_size=1, max_size=8)),
    min_size=1,
    max_size=3,
)
COLUMNS = ("min(loss)", "best(loss)", "mean(a: b, 2)", "mean(loss, 3)", "first(x y/z)")
READ = (
    "SELECT run_id, keys.name, t.* EXCLUDE (run, key) FROM {} t "
    "JOIN runs ON no = run JOIN keys ON id = key ORDER BY ALL"
)
SOME = settings(
    max_examples=6, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True)
class Pair:
    """One store, seen through the client and in bulk."""

    client: MlflowClient
    mlflow: Mlflow
    database: str


def pair(uri: str, database: str, home: Path) -> Pair:
    mlflow, client = open_store(uri, home)
    return Pair(client, mlflow, database)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    home = tmp_path_factory.mktemp("aggregates")
    uri = f"sqlite:///{home}/store.db"
    return pair(uri, uri, home)


@pytest.fixture(scope="module")
def on_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    uri = postgres.fresh_database()
    return pair(uri, uri, tmp_path_factory.mktemp("aggregates"))


@pytest.fixture(scope="module")
def over_http(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    home = tmp_path_factory.mktemp("aggregates")
    return pair(mlflow_server.url, mlflow_server.backend_uri, home)


def same_from_both(store: Pair, runs: list[dict[str, list[tuple[float, int, int]]]]) -> None:
    experiment = store.client.create_experiment(f"aggregates {next(NUMBER)}")
    made = make_runs(store.client, experiment, [Odd(metrics=one) for one in runs])
    found = []
    for bulk in (None, Bulk(store.database)):
        held = Mirror.in_memory(store.mlflow)
        mirror = Mirror(store.mlflow, held.cursor(), bulk) if bulk else held
        mirror.reread(made)
        asked = RunQuery((experiment,), columns=COLUMNS, view="all", limit=None)
        plan = plan_histories(mirror, asked, frozenset({experiment}))
        assert plan.in_bulk == (bulk is not None)
        fill(mirror, store.mlflow, plan)
        assert plan_histories(mirror, asked, frozenset({experiment})) == replace(
            plan, missing=(), points=0
        )
        with mirror.cursor() as cursor:
            found.append([rows(cursor, READ.format(table)) for table in ("aggregates", "tails")])
        mirror.close()
        held.close()
    for of_client, of_database in zip(*found, strict=True):
        assert len(of_client) == len(of_database)
        for one, other in zip(of_client, of_database, strict=True):
            assert one[:2] == other[:2]
            assert [v is None for v in one] == [v is None for v in other]
            numbers = [v for v in one[2:] if v is not None]
            assert numbers == pytest.approx(
                [v for v in other[2:] if v is not None], rel=1e-9, abs=1e-9
            )


@SOME
@given(runs=RUNS)
def test_on_sqlite(sqlite: Pair, runs: list[dict[str, list[tuple[float, int, int]]]]) -> None:
    same_from_both(sqlite, runs)


@SOME
@given(runs=RUNS)
def test_on_postgres(
    on_postgres: Pair, runs: list[dict[str, list[tuple[float, int, int]]]]
) -> None:
    same_from_both(on_postgres, runs)


@settings(SOME, max_examples=3)
@given(runs=RUNS)
def test_over_http(over_http: Pair, runs: list[dict[str, list[tuple[float, int, int]]]]) -> None:
    same_from_both(over_http, runs)
