"""Both sources of the run mirror give the same rows, whatever MLflow let through."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from sqlalchemy import create_engine, text

from core.mlflow_api import Mlflow
from core.mlflow_api.batch import Batch
from core.mlflow_api.bulk import Bulk
from core.mlflow_api.bulk_connection import BulkFailed
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


@pytest.fixture(scope="module")
def odd_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, str]]:
    """A SQLite store that somebody has also written to past MLflow."""
    home = tmp_path_factory.mktemp("past")
    uri = f"sqlite:///{home}/store.db"
    mlflow, client = open_store(uri, home)
    pair = Pair(client, mlflow, uri)
    experiment, runs = pair.make(
        [Odd(name=f"r{i}", params={"p": "1"}, tags={"t": "1"}) for i in range(4)]
    )
    engine = create_engine(uri)
    with engine.begin() as connection:
        for statement in (
            "UPDATE runs SET name = NULL, user_id = '', artifact_uri = NULL WHERE run_uuid = :a",
            "DELETE FROM tags WHERE run_uuid = :a AND key = 'mlflow.runName'",
            "UPDATE runs SET name = '', end_time = 0, status = 'SCHEDULED' WHERE run_uuid = :b",
            "UPDATE tags SET value = NULL WHERE run_uuid = :c AND key = 't'",
            "UPDATE params SET value = 'a' || char(0) || 'b' WHERE run_uuid = :c",
            "UPDATE runs SET name = 'n' || char(0) WHERE run_uuid = :c",
        ):
            values = dict(zip("abc", runs, strict=False))
            used = {k: v for k, v in values.items() if f":{k}" in statement}
            connection.execute(text(statement), used)
    engine.dispose()
    yield pair, experiment
    pair.bulk.close()


def test_same_rows_of_what_was_written_past_mlflow(odd_file: tuple[Pair, str]) -> None:
    pair, experiment = odd_file
    batch = assert_same(pair, experiment, 4)
    assert set(batch.runs.column("name").to_pylist()) == {None, "r1", "n\x00", "r3"}
    assert "a\x00b" in batch.params.column("value").to_pylist()
    assert 0 not in batch.runs.column("end_time").to_pylist()


def test_same_rows_of_deleted_and_restored_experiments(sqlite: Pair) -> None:
    experiment, made = sqlite.make([Odd(name="a"), Odd(name="b", stage="deleted")])
    sqlite.client.delete_experiment(experiment)
    batch = assert_same(sqlite, experiment, 2)
    assert set(batch.runs.column("lifecycle_stage").to_pylist()) == {"deleted"}
    sqlite.client.restore_experiment(experiment)
    assert_same(sqlite, experiment, len(made))


def test_a_column_that_begins_with_thousands_of_nulls(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/store.db"
    mlflow, client = open_store(uri, tmp_path)
    pair = Pair(client, mlflow, uri)
    experiment, _ = pair.make([Odd(name="first")])
    engine = create_engine(uri)
    with engine.begin() as connection:
        made = [{"i": f"{i:032x}", "e": experiment, "s": i} for i in range(1, 1500)]
        connection.execute(
            text(
                "INSERT INTO runs (run_uuid, experiment_id, lifecycle_stage, status, start_time) "
                "VALUES (:i, :e, 'active', 'RUNNING', :s)"
            ),
            made,
        )
        connection.execute(
            text("UPDATE runs SET user_id = 'ada', end_time = 5, name = 'x' WHERE start_time = 1")
        )
    engine.dispose()
    heads = pair.bulk.heads()
    assert heads.num_rows == 1500
    last = heads.to_pylist()[-1]
    assert (last["user_id"], last["end_time"], last["name"]) == ("ada", 5, "x")
    pair.bulk.close()


def test_the_whole_store_read_at_once_is_all_runs_named(sqlite: Pair) -> None:
    sqlite.make([Odd(name="a", params={"p": "1"}, datasets=(("d", "1", None),))])
    heads = sqlite.bulk.heads()
    named = sqlite.bulk.read(heads.column("run_id").to_pylist())
    whole = sqlite.bulk.read_all()
    assert whole is not None
    assert whole.in_order() == named.in_order()


def test_only_experiments_of_ones_own_workspace(
    sqlite: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, [run] = sqlite.make([Odd(name="mine", tags={"t": "1"})])
    copy = tmp_path / "copy.db"
    with (
        closing(sqlite3.connect(file_of(sqlite))) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute("UPDATE experiments SET workspace = 'team' WHERE experiment_id = ?", [mine])
        target.commit()
    default = Bulk(f"sqlite:///{copy}")
    assert mine not in default.experiments()
    assert run not in default.heads().column("run_id").to_pylist()
    assert len(default.read([run])) == 0
    assert default.read_all() is None
    default.close()
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")
    team = Bulk(f"sqlite:///{copy}")
    assert list(team.experiments()) == [mine]
    assert team.heads().column("run_id").to_pylist() == [run]
    team.close()


def test_a_database_that_is_gone_or_none_is_said(tmp_path: Path) -> None:
    for uri in (
        f"sqlite:///{tmp_path}/nowhere.db",
        "postgresql://nobody:secret@127.0.0.1:9/none",
    ):
        bulk = Bulk(uri)
        with pytest.raises(BulkFailed) as caught:
            bulk.heads()
        assert "secret" not in str(caught.value)
        bulk.close()
    assert not list(tmp_path.glob("*.db"))


def test_what_was_written_while_the_connection_was_lost_makes_another_version(
    tmp_path: Path,
) -> None:
    file = tmp_path / "store.db"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("CREATE TABLE t (x)")
        writer.commit()
        bulk = Bulk(f"sqlite:///{file}")
        seen = bulk.version()
        assert bulk.version() == seen
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        with pytest.raises(BulkFailed):
            bulk.heads()
        assert bulk.version() != seen
        bulk.close()


def test_bulk_reads_never_write(sqlite: Pair) -> None:
    with pytest.raises(BulkFailed, match=r"read.?only"), sqlite.bulk._reading() as connection:
        connection.fetch("DELETE FROM tags")


def test_bulk_reads_never_write_on_postgres(on_postgres: Pair) -> None:
    with pytest.raises(BulkFailed, match="read-only"), on_postgres.bulk._reading() as connection:
        connection.fetch("DELETE FROM tags")


def test_a_reader_lets_a_writer_write(sqlite: Pair) -> None:
    experiment, _ = sqlite.make([Odd(name="a")])
    for _ in range(3):
        sqlite.bulk.heads()
        with closing(sqlite3.connect(file_of(sqlite), timeout=0)) as writer:
            writer.execute("UPDATE experiments SET name = name || '' WHERE name = ?", [experiment])
            writer.commit()


@pytest.mark.parametrize("kind", ["sqlite", "on_postgres"])
def test_aggregates_over_whole_histories(kind: str, request: pytest.FixtureRequest) -> None:
    pair: Pair = request.getfixturevalue(kind)
    nan = math.nan
    points = {
        "m": [(3.0, 5, 1), (1.0, 2, 2), (1.0, 3, 3), (nan, 9, 4), (2.0, 7, 5), (2.5, 7, 6)],
        "only nan": [(nan, 0, 1)],
        "other": [(9.0, 0, 1)],
    }
    _, [run, bare] = pair.make([Odd(metrics=points), Odd()])
    found = pair.bulk.metric_aggregates([run, bare], ["m", "only nan"])
    assert sorted(found.to_pylist(), key=lambda row: str(row["key"])) == [
        {
            "run_id": run, "key": "m", "count": 6, "minimum": 1.0, "maximum": 3.0, "first": 1.0,
            "last": 2.5, "mean": 1.9, "step_of_minimum": 2, "step_of_maximum": 5,
        },
        {
            "run_id": run, "key": "only nan", "count": 1, "minimum": None, "maximum": None,
            "first": None, "last": None, "mean": None, "step_of_minimum": None,
            "step_of_maximum": None,
        },
    ]  # fmt: skip


def file_of(pair: Pair) -> str:
    return pair.mlflow.gateway.tracking_uri.removeprefix("sqlite:///")


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
