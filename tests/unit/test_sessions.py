"""Sessions and tries to sign in, by a clock of the test's own."""

import pytest

from core.mlflow_api.credentials import Credential
from core.people.attempts import Attempts
from core.people.sessions import End, Sessions, key_of

IDLE = 600.0
ANN = Credential("ann", "secret-of-ann")


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(IDLE, clock)


def begin(sessions: Sessions, name: str = "ann") -> str:
    """Sign somebody in; the session's key."""
    return key_of(sessions.begin(name, ANN, administrator=False))


def test_only_the_id_of_the_cookie_finds_a_session(sessions: Sessions) -> None:
    made = sessions.begin("ann", ANN, administrator=True)
    found = sessions.find(key_of(made))
    assert found is not None
    assert (found.name, found.administrator, found.credential) == ("ann", True, ANN)
    assert sessions.find(made) is None
    assert sessions.find("") is None
    # What is kept would give nobody a cookie, and shows no password.
    assert made not in repr(vars(sessions))
    assert ANN.password not in repr(found)


def test_ids_are_long_and_each_is_another(sessions: Sessions) -> None:
    made = {sessions.begin("ann", ANN, administrator=False) for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 40


def test_it_ends_after_idle_time_and_every_visit_begins_it_anew(
    sessions: Sessions, clock: Clock
) -> None:
    key = begin(sessions)
    for _ in range(3):
        clock.now += IDLE - 1
        assert sessions.visit(key) is not None
    # Looking is no visit: what a page asks by itself keeps nobody signed in.
    clock.now += IDLE - 1
    assert sessions.find(key) is not None
    clock.now += 2
    assert sessions.find(key) is None
    assert sessions.end_of(key) is End.IDLE
    assert sessions.visit(key) is None


def test_it_ends_when_told_and_says_why(sessions: Sessions) -> None:
    first, second = begin(sessions), begin(sessions)
    sessions.end(first, End.SIGNED_OUT)
    sessions.end(first, End.ACCOUNT)
    assert sessions.find(first) is None
    assert sessions.end_of(first) is End.SIGNED_OUT
    assert sessions.find(second) is not None
    assert sessions.confirm(first, administrator=True) is None
    assert sessions.end_of("never") is End.UNKNOWN


def test_an_account_is_looked_at_by_one_who_is_due(sessions: Sessions, clock: Clock) -> None:
    key = begin(sessions)
    assert not sessions.due(key, 30)
    clock.now += 30
    assert [sessions.due(key, 30) for _ in range(3)] == [True, False, False]
    clock.now += 29
    changed = sessions.confirm(key, administrator=True)
    assert changed is not None
    assert changed.administrator
    clock.now += 29
    assert not sessions.due(key, 30), "it was confirmed meanwhile"


def test_memory_is_bounded(
    sessions: Sessions, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.people.sessions._MOST", 3)
    monkeypatch.setattr("core.people.sessions._MOST_ENDS", 2)
    keys = []
    for _ in range(6):
        clock.now += 1
        keys.append(begin(sessions))
        sessions.visit(keys[0])
    assert len(sessions) == 3
    assert sessions.find(keys[0]) is not None, "those who were away longest give way"
    assert [sessions.end_of(key) for key in keys[1:3]] == [End.UNKNOWN, End.IDLE]
    clock.now += IDLE + 1
    begin(sessions)
    assert len(sessions) == 1


# ------------------------------------------------------------------------------ tries


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(3, 60.0, clock)


def test_after_some_failures_one_waits_and_waiting_ends(attempts: Attempts, clock: Clock) -> None:
    for _ in range(3):
        assert attempts.begin("ann") == 0.0
        clock.now += 10
    assert attempts.begin("ann") == 30.0
    assert attempts.begin("bob") == 0.0, "others are not concerned"
    clock.now += 29
    assert attempts.begin("ann") == 1.0, "asking while waiting makes it no longer"
    clock.now += 1
    assert attempts.begin("ann") == 0.0
    assert attempts.begin("ann") == 10.0


def test_what_went_well_is_forgotten(attempts: Attempts) -> None:
    for _ in range(10):
        assert attempts.begin("ann") == 0.0
        attempts.take_back("ann")
    for _ in range(3):
        attempts.begin("ann")
    attempts.forget("ann")
    assert attempts.begin("ann") == 0.0
    attempts.take_back("nobody")


def test_the_memory_of_tries_is_bounded(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.people.attempts._MOST_KEYS", 5)
    for number in range(50):
        attempts.begin(f"name {number}")
    assert len(attempts._failures) == 5
