"""Both sources of the run mirror give the same rows, whatever MLflow let through."""

import math
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from core.mlflow_api import Mlflow
from core.mlflow_api.batch import Batch
from core.mlflow_api.bulk import Bulk
from tests.mirrors import Odd, make_runs, open_store
from tests.servers import MlflowServer, Postgres

NUMBER = count()
TABLES = ("runs", "params", "metrics", "tags", "datasets")

WORD = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
LONG = st.sampled_from(["x" * 5999, "é" * 3000, "\U0001f600" * 1000, "a\nb\tc\r\n", "\u202eltr"])
TEXT = WORD | LONG | st.sampled_from(["", "nan", "None", "1_000", "0.10", "'", '"', "\\", "%"])
# The characters that MLflow takes in a name, unicode among them.
KEY = st.text(st.sampled_from("ab Z0_-./: éß漢"), min_size=1, max_size=20).filter(
    lambda k: k.strip(" ./") == k and ".." not in k and "//" not in k and "/." not in k
    and "./" not in k
) | st.sampled_from(["same", "x" * 250])  # fmt: skip
VALUE = st.floats(width=64) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324])
POINT = st.tuples(VALUE, st.integers(-5, 10**12), st.integers(0, 10**13))
CONTEXT = st.none() | st.sampled_from(["training", "eval", "漢"])
RUN = st.builds(
    Odd,
    name=st.none() | WORD.map(lambda n: n[:200]),
    params=st.dictionaries(KEY, TEXT, max_size=4),
    metrics=st.dictionaries(KEY, st.lists(POINT, min_size=1, max_size=4), max_size=4),
    tags=st.dictionaries(KEY, TEXT, max_size=4),
    datasets=st.lists(
        st.tuples(st.sampled_from(["a", "ü b"]), st.sampled_from(["d1", "d2"]), CONTEXT),
        max_size=3,
        unique_by=lambda d: d[:2],
    ).map(tuple),
    parent=st.none() | st.integers(0, 2),
    status=st.sampled_from(["FINISHED", "FAILED", "KILLED", "RUNNING"]),
    stage=st.sampled_from(["active", "active", "deleted", "restored"]),
)
RUNS = st.lists(RUN, min_size=1, max_size=4)
SOME = settings(
    max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class Pair:
    """One store, seen through the client and in bulk."""

    def __init__(self, client: MlflowClient, mlflow: Mlflow, database: str) -> None:
        self.client = client
        self.mlflow = mlflow
        self.bulk = Bulk(database)

    def make(self, runs: list[Odd]) -> tuple[str, list[str]]:
        experiment = self.client.create_experiment(f"odd {next(NUMBER)}")
        return experiment, make_runs(self.client, experiment, runs)

    def both(self, experiment: str) -> tuple[Batch, Batch]:
        by_client, more = self.mlflow.tracking.search_batch([experiment])
        assert more is None
        heads = self.bulk.heads()
        pairs = zip(*columns(heads, "run_id", "experiment_id"), strict=True)
        ids = [i for i, e in pairs if e == experiment]
        # The client's own order, newest first, is that of the heads.
        assert ids == by_client.runs.column("run_id").to_pylist()
        return by_client.in_order(), self.bulk.read(ids).in_order()


def columns(table: object, *names: str) -> list[list[str]]:
    return [table.column(name).to_pylist() for name in names]  # type: ignore[attr-defined]


def assert_same(pair: Pair, experiment: str, runs: int) -> Batch:
    by_client, in_bulk = pair.both(experiment)
    assert len(in_bulk) == runs
    for table in TABLES:
        one, other = getattr(by_client, table), getattr(in_bulk, table)
        assert one.schema == other.schema
        assert one.to_pylist() == other.to_pylist(), table
    return in_bulk


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    home = tmp_path_factory.mktemp("sources")
    uri = f"sqlite:///{home}/store.db"
    mlflow, client = open_store(uri, home)
    pair = Pair(client, mlflow, uri)
    yield pair
    pair.bulk.close()


@pytest.fixture(scope="module")
def on_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    uri = postgres.fresh_database()
    mlflow, client = open_store(uri, tmp_path_factory.mktemp("sources"))
    pair = Pair(client, mlflow, uri)
    yield pair
    pair.bulk.close()


@pytest.fixture(scope="module")
def over_http(
    mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    mlflow, client = open_store(mlflow_server.url, tmp_path_factory.mktemp("sources"))
    pair = Pair(client, mlflow, mlflow_server.backend_uri)
    yield pair
    pair.bulk.close()


@SOME
@given(runs=RUNS)
def test_same_rows_from_client_and_bulk_on_sqlite(sqlite: Pair, runs: list[Odd]) -> None:
    experiment, made = sqlite.make(runs)
    assert_same(sqlite, experiment, len(made))


@SOME
@given(runs=RUNS)
def test_same_rows_from_client_and_bulk_on_postgres(on_postgres: Pair, runs: list[Odd]) -> None:
    experiment, made = on_postgres.make(runs)
    assert_same(on_postgres, experiment, len(made))


@settings(SOME, max_examples=10)
@given(runs=RUNS)
def test_same_rows_over_http_and_from_its_database(over_http: Pair, runs: list[Odd]) -> None:
    experiment, made = over_http.make(runs)
    assert_same(over_http, experiment, len(made))
