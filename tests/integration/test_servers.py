"""The servers and faults that other tests stand on."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests
from mlflow import MlflowClient

from tests.faults import Fault, FaultProxy
from tests.servers import (
    MlflowServer,
    ModeldeckApp,
    Postgres,
    Server,
    clean_environment,
    group_members,
    processes_of,
)
from tests.waiting import until

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=10"
CREATE = "/api/2.0/mlflow/experiments/create"


@pytest.fixture
def proxy(mlflow_server: MlflowServer) -> Iterator[FaultProxy]:
    with FaultProxy(mlflow_server.url) as started:
        yield started


def test_until_returns_the_first_true_answer() -> None:
    answers = iter([0, None, "", 7, 8])
    assert until(lambda: next(answers), 5, every=0) == 7


def test_until_names_what_never_came() -> None:
    with pytest.raises(AssertionError, match=r"waited 0 s in vain for a bus; last: None"):
        until(lambda: None, 0, "a bus")


def test_no_setting_of_this_machine_reaches_a_test(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere.example")
    assert "MLFLOW_TRACKING_URI" not in clean_environment()
    assert "MODELDECK_HOME" not in clean_environment()
    assert home.is_dir()


def test_a_server_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    server = Server(tmp_path / "log")
    server.launch(["/bin/sh", "-c", "echo no such luck; exit 3"], clean_environment())
    with pytest.raises(AssertionError, match=r"ended with 3[\s\S]*no such luck"):
        server.wait_for("http://127.0.0.1:9/")


def test_a_server_ends_with_its_children(tmp_path: Path) -> None:
    server = Server(tmp_path / "log")
    script = "sleep 600 & trap '' TERM; echo ready; wait; wait"
    server.launch(["/bin/sh", "-c", script], clean_environment())
    until(lambda: "ready" in server.output(), 30, "the script to start")
    group = server.pid
    assert len(group_members(group)) == 2
    server.end()
    assert group_members(group) == []


def test_mlflow_server_keeps_runs_and_proxies_artifacts(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    client = MlflowClient(mlflow_server.url)
    run = client.create_run(client.create_experiment("servers: artifacts"))
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    note = tmp_path / "note.txt"
    note.write_text("kept")
    client.log_artifact(run.info.run_id, str(note))
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["note.txt"]
    assert list(mlflow_server.artifacts.rglob("note.txt"))


def test_postgres_makes_databases_that_know_nothing_of_each_other(postgres: Postgres) -> None:
    assert postgres.version.startswith("18.")
    first, second = (
        postgres.fresh_database().replace("postgresql+psycopg", "postgresql") for _ in range(2)
    )
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    with psycopg.connect(second) as connection:
        found = connection.execute("SELECT to_regclass('kept')").fetchone()
    assert found == (None,)


def test_postgres_keeps_its_data_over_a_restart() -> None:
    server = Postgres()
    try:
        server.start()
        url = server.fresh_database("kept").replace("postgresql+psycopg", "postgresql")
        server.end()
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
    assert not server.folder.exists()


def test_mlflow_server_runs_on_postgres(mlflow_server_on_postgres: MlflowServer) -> None:
    client = MlflowClient(mlflow_server_on_postgres.url)
    made = client.create_experiment("on PostgreSQL")
    assert client.get_experiment(made).name == "on PostgreSQL"


def test_the_application_starts_with_its_worker_and_stops_without_a_rest(home: Path) -> None:
    with ModeldeckApp(home) as app:
        assert requests.get(app.url, timeout=30).status_code == 200
        until(lambda: app.processes("core worker"), 60, "the worker")
        app.kill()
        assert app.processes("core worker"), "the worker outlives its page server"
        assert not app.processes("streamlit")
        app.start()
    assert processes_of(home) == []


def test_proxy_passes_requests_and_bodies(proxy: FaultProxy) -> None:
    made = requests.post(proxy.url + CREATE, json={"name": "through"}, timeout=30)
    assert made.status_code == 200
    names = [
        row["name"] for row in requests.get(proxy.url + SEARCH, timeout=30).json()["experiments"]
    ]
    assert "through" in names
    assert proxy.requests == [f"POST {CREATE}", f"GET {SEARCH}"]


def test_proxy_refuses_and_comes_back_at_the_same_address(proxy: FaultProxy) -> None:
    proxy.set(Fault.REFUSE)
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(proxy.url, timeout=30)
    proxy.set(Fault.PASS)
    assert requests.get(proxy.url + "/health", timeout=30).text == "OK"


def test_proxy_hangs_until_the_fault_ends(proxy: FaultProxy) -> None:
    proxy.set(Fault.HANG)
    with pytest.raises(requests.ReadTimeout):
        requests.get(proxy.url + "/health", timeout=0.3)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(("fault", "status"), [(Fault.ERROR_500, 500), (Fault.HTML, 200)])
def test_proxy_answers_html_of_its_own(proxy: FaultProxy, fault: Fault, status: int) -> None:
    proxy.set(fault)
    reply = requests.get(proxy.url + "/health", timeout=30)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "text/html"
    assert "guest network" in reply.text


def test_proxy_drips_the_true_reply(mlflow_server: MlflowServer) -> None:
    with FaultProxy(mlflow_server.url, byte_seconds=0.002) as proxy:
        proxy.set(Fault.SLOW)
        started = time.monotonic()
        reply = requests.get(proxy.url + "/health", timeout=30)
    assert reply.text == "OK"
    assert time.monotonic() - started >= 0.002 * len(reply.text)


def test_proxy_resets(proxy: FaultProxy) -> None:
    proxy.set(Fault.RESET)
    with pytest.raises(requests.ConnectionError, match="reset"):
        requests.get(proxy.url + "/health", timeout=30)


def test_proxy_loses_the_reply_of_a_write_that_took_effect(
    proxy: FaultProxy, mlflow_server: MlflowServer
) -> None:
    proxy.set(Fault.LOST_REPLY, when=lambda line: line.startswith("POST"))
    with pytest.raises(requests.ConnectionError):
        requests.post(proxy.url + CREATE, json={"name": "lost but made"}, timeout=30)
    assert requests.get(proxy.url + "/health", timeout=30).text == "OK"
    assert MlflowClient(mlflow_server.url).get_experiment_by_name("lost but made") is not None
