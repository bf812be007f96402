"""The mirror when something is wrong: MLflow away, its database unreadable, another server here."""

import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from core.errors import ServerSlow
from core.mlflow_api import connect
from core.mlflow_api.batch import Batch
from core.runs.mirror import Mirror, open_mirror
from core.runs.mirror import sync as sync_module
from core.settings import load
from core.texts import t
from tests.faults import Fault, FaultProxy
from tests.mirrors import Odd, make_runs, open_store, rows
from tests.servers import MlflowServer
from tests.waiting import until


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_module, "_WATCHED", 0.2)
    monkeypatch.setattr(sync_module, "_FAILED_REST", 0.5)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def started(stack: ExitStack, **environment: str) -> Mirror:
    settings = load(environment)
    mirror = open_mirror(settings, connect(settings))
    stack.callback(mirror.close)
    return mirror


def count(mirror: Mirror) -> int:
    with mirror.cursor() as c:
        return int(rows(c, "SELECT count(*) FROM runs")[0][0])


def store(folder: Path, runs: int) -> str:
    """A SQLite store with some runs; returns its address."""
    uri = f"sqlite:///{folder}/store.db"
    _, client = open_store(uri, folder / "made")
    make_runs(client, "0", [Odd(name=f"r{i}") for i in range(runs)])
    return uri


def complete(mirror: Mirror) -> Mirror:
    def look() -> bool:
        mirror.want(["0"])
        return mirror.coverage.complete and mirror.coverage.at is not None

    until(look, 60, "the mirror to be complete")
    return mirror


def test_the_file_is_there_after_a_restart_and_brought_up_to_date(
    tmp_path: Path, stack: ExitStack
) -> None:
    uri = store(tmp_path, 2)
    home = str(tmp_path / "home")
    first = complete(started(stack, MODELDECK_HOME=home, MLFLOW_TRACKING_URI=uri))
    first.close()
    _, client = open_store(uri, tmp_path / "made")
    make_runs(client, "0", [Odd(name="since")])
    again = started(stack, MODELDECK_HOME=home, MLFLOW_TRACKING_URI=uri)
    assert count(again) >= 2
    assert again.coverage.complete
    assert again.coverage.at is not None
    until(lambda: count(again) == 3, 30, "the run made since")
    assert again.coverage.notice == ""


def test_a_damaged_file_is_told_and_filled_again(tmp_path: Path, stack: ExitStack) -> None:
    uri = store(tmp_path, 2)
    home = tmp_path / "home"
    complete(started(stack, MODELDECK_HOME=str(home), MLFLOW_TRACKING_URI=uri)).close()
    [file] = (home / "mirror").glob("*.duckdb")
    file.write_bytes(b"rubbish" * 1000)
    again = complete(started(stack, MODELDECK_HOME=str(home), MLFLOW_TRACKING_URI=uri))
    assert again.coverage.notice == t("mirror.notice.rebuilt")
    assert count(again) == 2


def test_a_second_page_server_works_on_a_file_of_its_own(tmp_path: Path, stack: ExitStack) -> None:
    uri = store(tmp_path, 2)
    home = tmp_path / "home"
    first = complete(started(stack, MODELDECK_HOME=str(home), MLFLOW_TRACKING_URI=uri))
    second = complete(started(stack, MODELDECK_HOME=str(home), MLFLOW_TRACKING_URI=uri))
    assert first.coverage.notice == ""
    assert second.coverage.notice == t("mirror.notice.second")
    assert count(second) == count(first) == 2
    second.close()
    assert len(list((home / "mirror").glob("*.duckdb"))) == 1


def test_a_database_of_another_server_is_not_read(
    tmp_path: Path, mlflow_server: MlflowServer, stack: ExitStack
) -> None:
    other = store(tmp_path, 3)
    _, client = open_store(mlflow_server.url, tmp_path / "made")
    client.create_experiment(f"mine {time.time_ns()}")
    mirror = started(
        stack,
        MODELDECK_HOME=str(tmp_path / "home"),
        MLFLOW_TRACKING_URI=mlflow_server.url,
        MODELDECK_MIRROR_URI=other,
    )
    until(lambda: mirror.coverage.notice == t("mirror.notice.other"), 30, "the notice")
    complete(mirror)
    assert mirror.coverage.source == "client"
    assert mirror.database is None
    with mirror.cursor() as c:
        assert rows(c, "SELECT count(*) FROM runs WHERE name IN ('r0', 'r1', 'r2')") == [(0,)]


def test_where_the_database_cannot_be_read_the_client_is_taken_and_later_the_database(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "_DATABASE_AGAIN", 1.0)
    uri = store(tmp_path, 2)
    file, away = tmp_path / "store.db", tmp_path / "away.db"
    with MlflowServer(tmp_path / "server", backend_uri=f"sqlite:///{tmp_path}/served.db") as server:
        # The server has its own file: what bulk reads are given can be taken away.
        file.unlink()
        served = tmp_path / "served.db"
        _, client = open_store(server.url, tmp_path / "made")
        make_runs(client, "0", [Odd(name="a"), Odd(name="b")])
        mirror = started(
            stack,
            MODELDECK_HOME=str(tmp_path / "home"),
            MLFLOW_TRACKING_URI=server.url,
            MODELDECK_MIRROR_URI=uri,
        )
        until(lambda: mirror.coverage.source == "client", 60, "the client to be taken")
        complete(mirror)
        assert mirror.coverage.notice == t("mirror.notice.client")
        assert count(mirror) == 2
        with closing(sqlite3.connect(served)) as a, closing(sqlite3.connect(away)) as b:
            a.backup(b)
        shutil.move(away, file)

        def back() -> bool:
            mirror.want(["0"])
            return mirror.coverage.source == "database"

        until(back, 60, "the database to be taken again")
        until(lambda: mirror.coverage.notice == "", 30, "the notice to go")


def test_while_mlflow_is_away_pages_are_told_at_once_and_then_it_goes_on(
    tmp_path: Path, mlflow_server: MlflowServer, stack: ExitStack
) -> None:
    with FaultProxy(mlflow_server.url) as proxy:
        home = str(tmp_path / "home")
        _, client = open_store(mlflow_server.url, tmp_path / "made")
        experiment = client.create_experiment(f"away {time.time_ns()}")
        make_runs(client, experiment, [Odd(name="before")])
        mirror = complete(started(stack, MODELDECK_HOME=home, MLFLOW_TRACKING_URI=proxy.url))
        last = mirror.coverage.at
        proxy.set(Fault.REFUSE)
        [run] = make_runs(client, experiment, [Odd(name="meanwhile")])
        until(lambda: mirror._sync._failed, 30, "the failure to be noticed")
        began = time.monotonic()
        mirror.settle([experiment], 20)
        mirror.reread([run])
        assert time.monotonic() - began < 10
        assert mirror.coverage.at is not None
        assert last is not None
        assert mirror.coverage.complete
        proxy.set(Fault.PASS)

        def there() -> bool:
            mirror.want([experiment])
            with mirror.cursor() as c:
                return rows(c, "SELECT count(*) FROM runs WHERE run_id = ?", run) == [(1,)]

        until(there, 60, "the run that was made while MLflow was away")


def test_a_first_read_that_failed_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow, _ = open_store(store(tmp_path, 25), tmp_path / "made")
    whole, asked = mlflow.tracking.search_batch, []

    def slow_once(
        experiments: Sequence[str], text: str = "", limit: int = 1000, token: str | None = None
    ) -> tuple[Batch, str | None]:
        asked.append(text)
        if len(asked) == 2:
            raise ServerSlow("slow")
        return whole(experiments, text, limit, token)

    monkeypatch.setattr(mlflow.tracking, "search_batch", slow_once)
    with closing(Mirror.in_memory(mlflow)) as mirror:
        with pytest.raises(ServerSlow):
            mirror.fill()
        assert count(mirror) == 20
        assert not mirror.coverage.complete
        mirror.fill()
        assert count(mirror) == 25
        assert mirror.coverage.complete
    # The first five of make_runs are the oldest: the rest was read before the failure.
    assert asked[2] == "attributes.start_time <= 1760000000005"


def test_what_was_read_before_a_write_of_ours_does_not_undo_it(
    tmp_path: Path, stack: ExitStack
) -> None:
    uri = store(tmp_path, 1)
    mlflow, client = open_store(uri, tmp_path / "made")
    with closing(Mirror.in_memory(mlflow)) as mirror:
        mirror.fill()
        with mirror.cursor() as c:
            [(run,)] = rows(c, "SELECT run_id FROM runs")
            began = time.monotonic()
            before = mirror.source.read([run])
            client.set_tag(run, "ours", "1")
            mirror.reread([run])
            mirror._holding.write(before, began)
            mirror._holding.forget([run], began)
            held = "SELECT count(*) FROM tags JOIN keys ON id = key WHERE name = 'ours'"
            assert rows(c, held) == [(1,)]
            mirror._holding.write(before, time.monotonic())
            assert rows(c, held) == [(0,)]
