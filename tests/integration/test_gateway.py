"""The gateway before a real server, with faults in between; and MLflow's own behaviour that we
work around."""

import contextvars
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider
from mlflow.tracking.request_header.registry import _request_header_provider_registry

from core.errors import (
    DeckError,
    InvalidInput,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    ServerFailed,
    ServerSlow,
    ServerUnreachable,
    StoreNeedsUpgrade,
)
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.gateway import Kind
from core.settings import load
from tests.faults import Fault, FaultProxy
from tests.servers import ROOT, MlflowServer, clean_environment
from tests.waiting import until

DEADLINE = "1"
PATIENT = {"MODELDECK_METADATA_DEADLINE": "30"}
"""Where nothing is slow on purpose, and the machine may be."""
WITHIN = 5.0
"""Seconds in which a person is told, whatever happens."""

NO_WORD_OF = re.compile(
    r"traceback|<!doctype|<html|guest network|urllib3|HTTPConnectionPool|Max retries|\bobject at\b"
    r"|Response body|API request|SELECT|psycopg|sqlalchemy",
    re.IGNORECASE,
)


@pytest.fixture
def proxy(mlflow_server: MlflowServer) -> Iterator[FaultProxy]:
    with FaultProxy(mlflow_server.url) as started:
        yield started


@pytest.fixture
def opened(home: Path) -> Iterator[Callable[..., Mlflow]]:
    """Opens an address with small deadlines."""
    made: list[Mlflow] = []

    def open_(uri: str = "", **more: str) -> Mlflow:
        environment = {
            "MODELDECK_HOME": str(home),
            "MLFLOW_TRACKING_URI": uri,
            "MODELDECK_METADATA_DEADLINE": DEADLINE,
            **more,
        }
        made.append(connect(load(environment)))
        return made[-1]

    yield open_
    for one in made:
        one.gateway.close()


@pytest.fixture
def through(proxy: FaultProxy, opened: Callable[..., Mlflow]) -> Mlflow:
    """The server, seen through the proxy, warm."""
    mlflow = opened(proxy.url)
    mlflow.tracking.experiments()
    proxy.requests.clear()
    return mlflow


def told(call: Callable[[], object]) -> DeckError:
    """The error that a call ends with, in time and in words fit for a person."""
    began = time.monotonic()
    with pytest.raises(DeckError) as failure:
        call()
    assert time.monotonic() - began < WITHIN
    error = failure.value
    said = f"{error.title}\n{error.what}\n{error.next_step}"
    assert not NO_WORD_OF.search(said), said
    assert len(error.what) < 400
    assert error.next_step
    return error


# ------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (Fault.REFUSE, ServerUnreachable, "No connection"),
        (Fault.RESET, ServerUnreachable, "No connection"),
        (Fault.LOST_REPLY, ServerUnreachable, "No connection"),
        (Fault.HANG, ServerSlow, "did not answer within"),
        (Fault.SLOW, ServerSlow, "did not answer within"),
        (Fault.ERROR_500, ServerFailed, "HTTP 500"),
        (Fault.HTML, ServerFailed, "does not speak MLflow's protocol"),
    ],
)
def test_a_read_through_trouble(
    proxy: FaultProxy, through: Mlflow, fault: Fault, kind: type[DeckError], words: str
) -> None:
    proxy.set(fault)
    error = told(through.tracking.experiments)
    assert type(error) is kind
    assert words in error.what
    assert proxy.url in error.what
    assert "listing experiments" in error.what
    assert error.retryable
    proxy.set(Fault.PASS)
    until(lambda: works(through), what="the server to be found again")


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOST_REPLY])
def test_a_read_whose_connection_was_closed_is_asked_once_more(
    proxy: FaultProxy, through: Mlflow, fault: Fault
) -> None:
    """As where the server closes one that nobody used for a while just when it is used again."""
    assert works(through)
    before = len(proxy.requests)
    closed = iter([True])
    proxy.set(fault, lambda _: next(closed, False))
    assert works(through)
    assert len(proxy.requests) == before + 2
    proxy.set(fault)
    assert not works(through)
    assert len(proxy.requests) == before + 4  # and no more than once


@pytest.mark.parametrize(
    ("fault", "kind", "sent"),
    [
        (Fault.REFUSE, ServerUnreachable, 0),
        (Fault.RESET, OutcomeUnknown, 1),
        (Fault.LOST_REPLY, OutcomeUnknown, 1),
        (Fault.HANG, OutcomeUnknown, 1),
        (Fault.SLOW, OutcomeUnknown, 1),
        (Fault.ERROR_500, ServerFailed, 1),
        (Fault.HTML, ServerFailed, 1),
    ],
)
def test_a_write_through_trouble_is_sent_once(
    proxy: FaultProxy, through: Mlflow, fault: Fault, kind: type[DeckError], sent: int
) -> None:
    name = f"written through {fault}"
    proxy.set(fault)
    error = told(lambda: through.tracking.create_experiment(name))
    assert type(error) is kind
    assert name in error.what
    assert [line for line in proxy.requests if "create" in line] == [
        "POST /api/2.0/mlflow/experiments/create"
    ] * sent
    proxy.set(Fault.PASS)
    until(lambda: works(through), what="the server to be found again")
    reached = fault in (Fault.LOST_REPLY, Fault.SLOW)
    assert (through.tracking.experiment_by_name(name) is not None) == reached


def works(mlflow: Mlflow) -> bool:
    try:
        mlflow.tracking.experiments()
    except DeckError:
        return False
    return True


class Gate502(FaultProxy):
    """A gateway before the server that gives up waiting, although the server has acted."""

    status = "504 Gateway Timeout"

    def _answer(self, client: Any, request: bytes, line: str, ended: threading.Event) -> None:
        self._forward(client, request, None)
        client.sendall(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Timeout"])
def test_a_write_that_something_in_between_gave_up_may_have_taken_effect(
    mlflow_server: MlflowServer, opened: Callable[..., Mlflow], status: str
) -> None:
    with Gate502(mlflow_server.url) as gate:
        gate.status = status
        mlflow = opened(gate.url)
        error = told(lambda: mlflow.tracking.create_experiment(f"written through {status}"))
        assert type(error) is OutcomeUnknown
        assert len(gate.requests) == 1
        assert type(told(mlflow.tracking.experiments)) is ServerFailed
    assert opened(mlflow_server.url, **PATIENT).tracking.experiment_by_name(
        f"written through {status}"
    )


class Sluggish(FaultProxy):
    """A proxy that waits before it asks the server what a long answer depends on."""

    def _answer(self, client: Any, request: bytes, line: str, ended: threading.Event) -> None:
        if "runs/search" in line:
            ended.wait(2.5 * float(DEADLINE))
        super()._answer(client, request, line, ended)


def test_a_long_answer_of_a_server_that_works_is_waited_for(
    mlflow_server: MlflowServer, opened: Callable[..., Mlflow]
) -> None:
    with Sluggish(mlflow_server.url) as proxy:
        mlflow = opened(proxy.url)
        mlflow.tracking.experiments()
        assert mlflow.tracking.search(["0"], limit=1000).runs is not None
        assert type(told(lambda: mlflow.tracking.search(["0"], limit=10))) is ServerSlow


def test_an_address_where_nothing_is(opened: Callable[..., Mlflow]) -> None:
    mlflow = opened("http://user:hunter2@nowhere.invalid:5000")
    error = told(mlflow.tracking.experiments)
    assert type(error) is ServerUnreachable
    assert "http://nowhere.invalid:5000" in error.what
    assert "hunter2" not in error.what


# -------------------------------------------------------------------------------- the breaker


def test_after_a_failure_others_fail_at_once_and_one_tries(
    proxy: FaultProxy, through: Mlflow
) -> None:
    proxy.set(Fault.HANG)
    assert type(told(through.tracking.experiments)) is ServerSlow
    proxy.requests.clear()
    said: list[str] = []

    def ask() -> None:
        error = told(through.tracking.experiments)
        said.append(error.what)

    until(lambda: through.gateway._breaker.enter() and not through.gateway._breaker.leave(
        failed=True), 10)  # fmt: skip
    callers = [threading.Thread(target=ask) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(20)
    assert len(said) == 20
    assert all("failed a moment ago" in what for what in said), "the pause has just begun"
    assert proxy.requests == []


def test_while_one_tries_the_others_do_not_wait(proxy: FaultProxy, through: Mlflow) -> None:
    proxy.set(Fault.HANG)
    assert type(told(through.tracking.experiments)) is ServerSlow
    proxy.requests.clear()
    slow: list[DeckError] = []

    def probe() -> None:
        until(lambda: slow or not isinstance(try_it(), ServerUnreachable), 20)

    def try_it() -> DeckError:
        error = told(through.tracking.experiments)
        if isinstance(error, ServerSlow):
            slow.append(error)
        return error

    prober = threading.Thread(target=probe)
    prober.start()
    until(lambda: proxy.requests, what="the probe to be sent")
    assert "failed a moment ago" in told(through.tracking.experiments).what
    prober.join(20)
    assert len(slow) == 1
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG])
def test_it_is_found_again_soon_after_its_return(
    proxy: FaultProxy, through: Mlflow, fault: Fault
) -> None:
    proxy.set(fault)
    told(through.tracking.experiments)
    proxy.set(Fault.PASS)
    until(lambda: works(through), 2.0, "the server within two seconds")


# ------------------------------------------------------------------------------------ context

person = contextvars.ContextVar("person", default="nobody")


class WhoAsks(RequestHeaderProvider):
    """What MLflow puts on every request, read in the thread that sends it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def in_context(self) -> bool:
        return True

    def request_headers(self) -> dict[str, str]:
        self.seen.append(person.get())
        return {"X-Person": person.get()}


@pytest.fixture
def who_asks() -> Iterator[WhoAsks]:
    provider = WhoAsks()
    registry = _request_header_provider_registry._registry
    registry.append(provider)
    yield provider
    registry.remove(provider)


@pytest.fixture
def artifact_uri(mlflow_server: MlflowServer, tmp_path: Path) -> str:
    """A run's artifacts: a folder with two files."""
    client = MlflowClient(mlflow_server.url)
    run = client.create_run("0")
    for name in ("a.txt", "b.txt"):
        client.log_text(run.info.run_id, name, f"folder/{name}")
    return str(run.info.artifact_uri)


def test_calls_are_made_in_the_name_of_whoever_asks(
    mlflow_server: MlflowServer,
    opened: Callable[..., Mlflow],
    who_asks: WhoAsks,
    artifact_uri: str,
    tmp_path: Path,
) -> None:
    mlflow = opened(mlflow_server.url, **PATIENT)
    for name in ("ada", "bob"):
        who_asks.seen.clear()
        person.set(name)
        mlflow.tracking.experiments()
        assert mlflow.artifacts.read(artifact_uri, "folder/a.txt", 100) == b"a.txt"
        mlflow.artifacts.download(artifact_uri, tmp_path / name)
        assert (tmp_path / name / "folder" / "b.txt").read_text() == "b.txt"
        assert len(who_asks.seen) >= 5
        assert set(who_asks.seen) == {name}


@pytest.mark.upstream
def test_mlflow_downloads_in_threads_that_know_nobody(
    mlflow_server: MlflowServer, who_asks: WhoAsks, artifact_uri: str, tmp_path: Path
) -> None:
    person.set("ada")
    repository = get_artifact_repository(artifact_uri, tracking_uri=mlflow_server.url)
    who_asks.seen.clear()
    repository.download_artifacts("", str(tmp_path))
    assert set(who_asks.seen) == {"ada", "nobody"}


# ---------------------------------------------------------------------------------------- ids

HUGE = str(10**30)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.tracking.experiment(HUGE),
        lambda m: m.tracking.experiment(str(2**63)),
        lambda m: m.tracking.experiment("1\x00"),
        lambda m: m.tracking.search([HUGE]),
        lambda m: m.tracking.create_experiment("a\x00"),
        lambda m: m.tracking.create_run(HUGE, "x"),
        lambda m: m.tracking.run("../../experiments/get"),
        lambda m: m.tracking.run("x" * 65),
        lambda m: m.registry.model("a\x00"),
        lambda m: m.registry.model("a/b"),
        lambda m: m.registry.version("a", 10**30),
        lambda m: m.registry.set_alias("a", "latest", 1),
        lambda m: m.registry.set_alias("a", "b\x00", 1),
        lambda m: m.registry.describe_model("a", "b\x00"),
        lambda m: m.artifacts.list("mlflow-artifacts:/0/x/artifacts", "../../../etc"),
        lambda m: m.artifacts.read("mlflow-artifacts:/0/x/artifacts", "/etc/passwd", 10),
    ],
)
def test_what_would_break_the_server_is_not_sent(
    proxy: FaultProxy, through: Mlflow, call: Callable[[Mlflow], object]
) -> None:
    assert type(told(lambda: call(through))) is InvalidInput
    assert proxy.requests == []


@pytest.mark.upstream
@pytest.mark.parametrize("experiment_id", [HUGE, str(2**63)])
def test_mlflow_answers_500_to_a_number_too_large(
    mlflow_server: MlflowServer, experiment_id: str
) -> None:
    path = f"/api/2.0/mlflow/experiments/get?experiment_id={experiment_id}"
    assert status(mlflow_server, path) == 500


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.tracking.search(["0"], "params.x = 'a\x00'"),
        lambda m: m.tracking.search(["0"], "params.\x00 = 'a'"),
        lambda m: m.tracking.experiment_by_name("a\x00"),
        lambda m: m.tracking.create_run("0", "a\x00"),
        lambda m: m.tracking.metric_history("a" * 32, "m\x00"),
        lambda m: m.registry.set_version_tag("nul", 1, "k", "b\x00"),
        lambda m: m.registry.create_model("nul two", "b\x00"),
    ],
)
def test_nul_on_postgresql_is_refused_in_words(
    mlflow_server_on_postgres: MlflowServer,
    opened: Callable[..., Mlflow],
    call: Callable[[Mlflow], object],
) -> None:
    mlflow = opened(mlflow_server_on_postgres.url, **PATIENT)
    assert isinstance(told(lambda: call(mlflow)), InvalidInput | NotFound)


def status(server: MlflowServer, path: str, body: dict[str, object] | None = None) -> int:
    request = urllib.request.Request(  # noqa: S310 - our own address
        server.url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_what_mlflow_refuses_is_said_in_its_words(through: Mlflow) -> None:
    missing = told(lambda: through.tracking.run("0" * 32))
    assert type(missing) is NotFound
    assert "0" * 32 in missing.what
    odd = told(lambda: through.tracking.search(["0"], "metrics.a >> 1"))
    assert type(odd) is InvalidInput
    assert "searching runs" in odd.what


# ----------------------------------------------------------------------- the registry's traps


@pytest.fixture(scope="module")
def model(mlflow_server: MlflowServer) -> str:
    """A registered model with two versions, the first of which has an alias."""
    client = MlflowClient(mlflow_server.url)
    client.create_registered_model("traps")
    run = client.create_run("0")
    for _ in range(2):
        client.create_model_version("traps", f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias("traps", "champion", "1")
    return "traps"


@pytest.mark.upstream
def test_mlflow_searches_versions_without_their_aliases(
    mlflow_server: MlflowServer, model: str, opened: Callable[..., Mlflow]
) -> None:
    client = MlflowClient(mlflow_server.url)
    assert [v.aliases for v in client.search_model_versions(f"name = '{model}'")] == [[], []]
    registry = opened(mlflow_server.url, **PATIENT).registry
    assert [v.aliases for v in registry.versions(model)] == [(), ("champion",)]
    everywhere = {(v.model, v.version): v.aliases for v in registry.all_versions()}
    assert everywhere[model, 1] == ("champion",)


@pytest.mark.upstream
def test_mlflow_numbers_versions_as_text_over_http_and_as_numbers_from_a_database(
    mlflow_server: MlflowServer, model: str, opened: Callable[..., Mlflow]
) -> None:
    for uri, kind in ((mlflow_server.url, str), (mlflow_server.backend_uri, int)):
        found = MlflowClient(uri).search_model_versions(f"name = '{model}'")
        assert {type(v.version) for v in found} == {kind}
        assert [v.version for v in opened(uri, **PATIENT).registry.versions(model)] == [2, 1]


@pytest.mark.upstream
def test_mlflow_answers_500_to_archiving_while_archiving(
    mlflow_server: MlflowServer, model: str
) -> None:
    body = {"name": model, "version": "1", "stage": "Archived", "archive_existing_versions": True}
    path = "/api/2.0/mlflow/model-versions/transition-stage"
    assert status(mlflow_server, path, body) == 500


def test_we_never_ask_it_to(through: Mlflow, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    genuine = MlflowClient.transition_model_version_stage

    def watched(self: MlflowClient, *args: object, **kwargs: object) -> object:
        asked.append(kwargs["archive_existing_versions"])
        return genuine(self, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, "transition_model_version_stage", watched)
    for stage in ("Staging", "Production", "Archived", "None"):
        through.registry.set_stage(model, 2, stage)
        assert through.registry.version(model, 2).stage == stage
    assert asked == [False] * 4


# ----------------------------------------------------------------------------- stores at hand

MLFLOW_ALONE = """
import sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
run = client.create_run(client.create_experiment("made without a place"))
client.log_text(run.info.run_id, "x", "x.txt")
"""
WITH_US = """
import os
from core.mlflow_api import connect
from core.settings import load
mlflow = connect(load())
made = mlflow.tracking.create_experiment(f"made by {os.getpid()}")
run = mlflow.tracking.create_run(made, "x")
print(mlflow.tracking.experiment("0").artifact_location, run.artifact_uri, sep="\\n")
mlflow.registry.create_model(f"made by {os.getpid()}")
"""


def stand_in(
    folder: Path, script: str, *arguments: str, **variables: str
) -> "subprocess.Popen[str]":
    bare = clean_environment({"PYTHONPATH": str(ROOT), **variables})
    # A database store that an earlier test opened has set this for the whole process.
    bare.pop("_MLFLOW_SERVER_ARTIFACT_ROOT", None)
    command = [sys.executable, "-c", script, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=bare, stdout=pipe, stderr=pipe, text=True)


def said(process: "subprocess.Popen[str]") -> list[str]:
    out, problems = process.communicate(timeout=300)
    assert process.returncode == 0, problems
    return out.splitlines()


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_a_new_store_is_opened_by_several_at_once_and_nothing_is_written_where_they_stand(
    empty: Path, home: Path
) -> None:
    patient = {"MODELDECK_HOME": str(home), "MODELDECK_METADATA_DEADLINE": "60"}
    openers = [stand_in(empty, WITH_US, **patient) for _ in range(3)]
    places = [place for opener in openers for place in said(opener)]
    assert len(places) == 6
    assert all(place.removeprefix("file://").startswith(f"{home}/artifacts") for place in places)
    assert list(empty.iterdir()) == []
    assert sorted(file.name for file in home.iterdir()) == [
        "artifacts",
        "mlflow.db",
        "store.lock",
    ]


@pytest.mark.upstream
def test_mlflow_writes_there_unless_told_where(empty: Path, home: Path) -> None:
    said(stand_in(empty, MLFLOW_ALONE, f"sqlite:///{home / 'mlflow.db'}"))
    assert [file.name for file in empty.iterdir()] == ["mlruns"]


def test_a_store_with_an_older_schema_gets_the_command_that_mends_it(
    home: Path, opened: Callable[..., Mlflow]
) -> None:
    uri = f"sqlite:///{home / 'older.db'}"
    make_older_store(uri)
    before = revision(uri)
    mlflow = opened(uri)
    with pytest.raises(StoreNeedsUpgrade) as refusal:
        mlflow.tracking.experiments()
    assert revision(uri) == before, "nothing is changed without being asked for"
    words = shlex.split(refusal.value.command)
    assert words == ["mlflow", "db", "upgrade", uri]
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=home,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [e.name for e in opened(uri, **PATIENT).tracking.experiments()] == ["Default"]


def make_older_store(uri: str) -> None:
    """A store as an earlier MLflow left it: its migrations, but for the last ones."""
    engine = sa.create_engine(uri)
    InitialBase.metadata.create_all(engine)
    engine.dispose()
    config = _get_alembic_config(uri)
    revisions = [r.revision for r in ScriptDirectory.from_config(config).walk_revisions()]
    command.upgrade(config, revisions[3])


def revision(uri: str) -> object:
    engine = sa.create_engine(uri)
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    engine.dispose()
    return found


@pytest.mark.upstream
def test_mlflow_changes_an_older_store_without_asking(home: Path) -> None:
    uri = f"sqlite:///{home / 'older.db'}"
    make_older_store(uri)
    before = revision(uri)
    MlflowClient(uri).search_experiments()
    assert revision(uri) != before


# ------------------------------------------------------------------------------ whose address


def test_another_server_does_not_get_the_tracking_servers_credential(
    mlflow_server: MlflowServer,
    opened: Callable[..., Mlflow],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("_MLFLOW_SERVER_ARTIFACT_ROOT", raising=False)  # of an earlier test
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    mlflow = opened(mlflow_server.url)
    with FaultProxy(mlflow_server.url) as elsewhere:
        host = elsewhere.url.removeprefix("http://")
        for uri in (elsewhere.url, f"mlflow-artifacts://{host}/x", f"http://u:p@{host}/x"):
            error = told(lambda uri=uri: mlflow.artifacts.list(uri))  # type: ignore[misc]
            assert type(error) is NotAllowed
            assert "u:p" not in error.what
        assert elsewhere.requests == []
    own = mlflow_server.url.removeprefix("http://")
    assert mlflow.artifacts.list(f"mlflow-artifacts://{own}/nothing") == []


def test_deadlines_reach_the_calls(opened: Callable[..., Mlflow]) -> None:
    mlflow = opened("http://127.0.0.1:9", MODELDECK_PAGE_DEADLINE="7")
    assert mlflow.gateway.deadlines.of(Kind.METADATA) == float(DEADLINE)
    assert mlflow.gateway.deadlines.of(Kind.PAGE) == 7
    told(mlflow.tracking.experiments)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
