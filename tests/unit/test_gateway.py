"""The gateway's own parts: the breaker, the pool, what of an upstream message a person reads."""

import contextvars
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import Busy, FileStoreUnsupported, ServerFailed
from core.mlflow_api import connect, gateway
from core.mlflow_api.gateway import Breaker, Deadlines, Kind, plain, refuse_file_store
from core.mlflow_api.pool import ContextPool
from core.settings import load
from tests.servers import ROOT, clean_environment
from tests.waiting import until

PAUSE = 1.0


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(gateway, "time", made)
    return made


def elsewhere(breaker: Breaker) -> bool:
    """Whether somebody else, in another thread, may call now; who may says nothing yet."""
    said: list[bool] = []
    other = threading.Thread(target=lambda: said.append(breaker.enter()))
    other.start()
    other.join(10)
    return said[0]


# -------------------------------------------------------------------------------- the breaker


def test_calls_pass_as_long_as_none_fails(clock: Clock) -> None:
    breaker = Breaker(PAUSE)
    for _ in range(3):
        assert breaker.enter()
        assert elsewhere(breaker)
        breaker.leave(failed=False)


def test_after_a_failure_calls_fail_at_once(clock: Clock) -> None:
    breaker = Breaker(PAUSE)
    assert breaker.enter()
    breaker.leave(failed=True)
    assert not breaker.enter()
    assert not elsewhere(breaker)


def test_then_one_call_at_a_time_tries_again(clock: Clock) -> None:
    breaker = Breaker(PAUSE)
    assert breaker.enter()
    breaker.leave(failed=True)
    clock.now += PAUSE
    assert breaker.enter()
    assert not elsewhere(breaker), "two probes at once"
    breaker.leave(failed=True)
    assert not breaker.enter(), "it failed again, and the pause begins anew"
    clock.now += PAUSE
    assert breaker.enter()
    breaker.leave(failed=False)
    assert breaker.enter()
    assert elsewhere(breaker)


def test_a_call_that_began_before_the_failure_does_not_end_the_probe(clock: Clock) -> None:
    breaker = Breaker(PAUSE)
    gate, entered = threading.Event(), threading.Event()

    def long_call() -> None:
        assert breaker.enter()
        entered.set()
        gate.wait(10)
        breaker.leave(failed=False)

    before = threading.Thread(target=long_call)
    before.start()
    assert entered.wait(10)
    assert breaker.enter()
    breaker.leave(failed=True)
    clock.now += PAUSE
    assert breaker.enter()
    gate.set()
    before.join(10)
    assert not elsewhere(breaker), "the probe has not answered yet"
    breaker.leave(failed=False)
    assert elsewhere(breaker)


def test_a_call_that_is_broken_off_gives_its_turn_back(home: Path) -> None:
    mlflow = connect(
        load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    )
    breaker = mlflow.gateway._breaker
    assert breaker.enter()
    breaker.leave(failed=True)
    breaker._open_until = 0.0

    def broken_off(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mlflow.gateway.read("breaking off", broken_off)
    assert breaker.enter()


# --------------------------------------------------------------------------------------- pool

person = contextvars.ContextVar("person", default="nobody")


def test_a_call_sees_the_context_of_whoever_submitted_it() -> None:
    pool = ContextPool(2, "test")
    person.set("ada")
    asked = pool.submit(person.get)
    person.set("bob")
    assert asked.result(10) == "ada"
    assert pool.submit(person.get).result(10) == "bob"

    def change() -> None:
        person.set("eve")

    pool.submit(change).result(10)
    assert person.get() == "bob"


def test_a_bounded_number_runs_at_a_time_and_the_rest_can_be_cancelled() -> None:
    pool, gate, running = ContextPool(2, "test"), threading.Event(), []
    hanging = [pool.submit(lambda: (running.append(1), gate.wait(30))) for _ in range(2)]
    until(lambda: len(running) == 2)
    waiting = [pool.submit(running.append, 2) for _ in range(3)]
    assert waiting[0].cancel()
    assert not hanging[0].cancel()
    gate.set()
    assert [w.result(10) for w in waiting[1:]] == [None, None]
    assert waiting[0].cancelled()
    assert running.count(2) == 2


def test_what_waits_takes_no_thread_and_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.mlflow_api.pool._MOST_WAITING", 50)
    pool, gate = ContextPool(2, "bounded"), threading.Event()

    def threads() -> int:
        return sum(thread.name == "bounded" for thread in threading.enumerate())

    try:
        running = [pool.submit(gate.wait, 30) for _ in range(2)]
        until(lambda: all(one.running() for one in running))
        waiting = [pool.submit(gate.wait, 30) for _ in range(50)]
        assert threads() == 2
        with pytest.raises(Busy):
            pool.submit(gate.wait, 30)
        waiting[0].cancel()  # nobody waits for it any more: its place is free
        waiting.append(pool.submit(gate.wait, 30))
    finally:
        gate.set()
    assert all(one.result(10) for one in running + waiting[1:])
    until(lambda: threads() == 0)


def test_an_error_reaches_whoever_waits() -> None:
    with pytest.raises(ZeroDivisionError):
        ContextPool(1, "test").submit(lambda: 1 / 0).result(10)


def test_a_closed_pool_begins_nothing() -> None:
    pool, gate = ContextPool(1, "test"), threading.Event()
    first = pool.submit(gate.wait, 30)
    until(first.running)
    second = pool.submit(gate.wait, 30)
    pool.shutdown()
    gate.set()
    assert first.result(10)
    until(second.cancelled)


def test_a_process_may_end_while_a_call_hangs() -> None:
    script = (
        "import threading; from core.mlflow_api.pool import ContextPool; e = threading.Event();"
        "ContextPool(1, 'x').submit(lambda: (e.set(), threading.Event().wait())); e.wait()"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), timeout=60, check=False)
    assert done.returncode == 0


# -------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Run with id=1 not found", "Run with id=1 not found"),
        ("two\n  lines", "two lines"),
        ("Oh. Traceback (most recent call last):\n  File secret.py", "Oh."),
        ("API request failed with error code 404 != 200. Response body: '<html>x'",
         "API request failed with error code 404 != 200"),
        ("(psycopg.errors.X) bad\n[SQL: SELECT secret FROM x]", "bad"),
        ("BAD_REQUEST: (raised as a result of autoflush; x) (psycopg.DataError) no NUL", "no NUL"),
        ("INVALID_PARAMETER_VALUE: a (sic) b (1.5) c", "a (sic) b (1.5) c"),
        ("at http://user:hunter2@host/x", "at http://host/x"),
    ],
)  # fmt: skip
def test_what_a_person_reads_of_an_upstream_message(message: str, words: str) -> None:
    assert plain(message) == words


def test_a_long_message_is_shortened() -> None:
    assert len(plain("x" * 10_000)) == 300


def test_deadlines_go_by_kind() -> None:
    deadlines = Deadlines(metadata=1, page=2, artifact=3)
    assert [deadlines.of(kind) for kind in Kind] == [1, 2, 3]
    assert deadlines.longest == 3


def test_what_every_page_asks_is_answered_or_given_up_within_five_seconds() -> None:
    settings = load({})
    assert settings.metadata_deadline * 1.5 < 5, "a write gets half as much again"
    assert Deadlines().metadata == settings.metadata_deadline
    assert Deadlines().page == settings.page_deadline
    assert Deadlines().artifact == settings.artifact_deadline


# --------------------------------------------------------------------------------- file stores


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("/data/mlruns", "/data"),
        ("file:///data/mlruns", "/data"),
        ("file:/data/my runs", "/data/my runs"),
        ("mlruns", "."),
    ],
)
def test_a_folder_of_files_is_refused_with_the_command_that_migrates_it(
    uri: str, source: str
) -> None:
    with pytest.raises(FileStoreUnsupported) as refusal:
        refuse_file_store(uri)
    words = shlex.split(refusal.value.command)
    assert words[:4] == ["mlflow", "migrate-filestore", "--source", source]
    assert words[4] == "--target"
    target = words[5]
    assert load({"MLFLOW_TRACKING_URI": target}).tracking_uri == target, "it can be used then"


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"])
def test_a_file_store_is_refused_at_the_first_call(home: Path, variable: str) -> None:
    mlflow = connect(load({"MODELDECK_HOME": str(home), variable: "/data/mlruns"}))
    with pytest.raises(FileStoreUnsupported):
        mlflow.tracking.experiments()
    assert not (home / "mlflow.db").exists()


@pytest.mark.parametrize("uri", ["http://x", "sqlite:////x.db", "postgresql://u@h/d", "mysql://h"])
def test_other_stores_are_not(uri: str) -> None:
    refuse_file_store(uri)


def test_a_fault_of_ours_rises_as_it_is(home: Path) -> None:
    mlflow = connect(
        load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    )
    with pytest.raises(ZeroDivisionError):
        mlflow.gateway.read("dividing", lambda _: 1 / 0)
    with pytest.raises(ServerFailed):
        mlflow.gateway.read("converting", odd_reply)


def odd_reply(_: object) -> None:
    raise gateway.OddReply("a run without an id")
