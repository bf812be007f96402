"""Jobs whose asking broke off: nothing is started, and no run stays open for ever."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict, InvalidInput, LedgerFailed, OutcomeUnknown, ServerUnreachable
from core.lifecycle.deck import Deck, open_deck
from core.settings import load
from core.training import jobs, projects
from core.training.jobs import Job
from core.training.keeper import JobKeeper, Launch


@pytest.fixture
def deck(home: Path) -> Iterator[Deck]:
    opened = open_deck(load({"MODELDECK_HOME": str(home)}))
    yield opened
    opened.mlflow.gateway.close()
    opened.ledger.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PREPARED_WITHIN", timedelta(0))


def submit(deck: Deck, experiment: str) -> Job:
    return jobs.submit(
        deck.mlflow, deck.ledger, deck.actor, projects.tabular(), {},
        experiment_id=experiment, title="try",
    )  # fmt: skip


def nothing_to_start(_job: Job) -> Launch:
    raise AssertionError("a job that was not completed was started")


def settled(deck: Deck) -> Job:
    """The only job, after a worker's look."""
    (job,) = jobs.recent(deck.ledger)
    assert job.state == jobs.PREPARING
    assert jobs.claim(deck.ledger, "w", 1) is None
    jobs.claim_abandoned(deck.ledger, "w", 1)
    (job,) = jobs.owned(deck.ledger, "w")
    assert not job.needs_slot
    JobKeeper(deck.settings, deck.mlflow, deck.ledger, nothing_to_start).look(job)
    return jobs.get(deck.ledger, job.id)


def broken(error: Exception) -> Any:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


def test_what_is_completed_waits_with_its_run(deck: Deck) -> None:
    experiment = deck.mlflow.tracking.create_experiment("a")
    job = submit(deck, experiment)
    assert job.state == jobs.QUEUED
    assert job.run_id is not None
    assert deck.mlflow.tracking.run(job.run_id).status == "SCHEDULED"
    jobs.claim_abandoned(deck.ledger, "w", 1)
    assert jobs.get(deck.ledger, job.id).claimed_by is None


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("where", ["server", "ledger", "reply"])
def test_the_run_of_a_job_that_broke_off_is_settled(
    deck: Deck, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = deck.mlflow.tracking.create_experiment("a")
    tracking = deck.mlflow.tracking
    with monkeypatch.context() as fault:
        if where == "server":
            error: Exception = ServerUnreachable("gone")
            fault.setattr(type(tracking), "set_status", broken(error))
        elif where == "ledger":
            error = LedgerFailed("gone")
            fault.setattr(jobs, "_enqueue", broken(error))
        else:
            error = OutcomeUnknown("gone")
            create = tracking.create_run

            def lost(*args: Any, **more: Any) -> None:
                create(*args, **more)
                raise error

            fault.setattr(type(tracking), "create_run", lambda _self, *a, **m: lost(*a, **m))
        with pytest.raises(type(error)) as raised:
            submit(deck, experiment)
        assert raised.value is error
    job = settled(deck)
    assert job.state == jobs.FAILED
    assert "not completed" in job.message
    assert job.run_id is not None
    assert tracking.run(job.run_id).status == "FAILED"


@pytest.mark.usefixtures("at_once")
def test_a_job_without_a_run_is_settled_too(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = deck.mlflow.tracking.create_experiment("a")
    with monkeypatch.context() as fault:
        fault.setattr(jobs, "_make_run", broken(OutcomeUnknown("gone")))
        with pytest.raises(OutcomeUnknown):
            submit(deck, experiment)
    assert settled(deck).run_id is None


def test_a_refusal_leaves_nothing(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = deck.mlflow.tracking.create_experiment("a")
    monkeypatch.setattr(jobs, "_make_run", broken(InvalidInput("no")))
    with pytest.raises(InvalidInput):
        submit(deck, experiment)
    assert jobs.recent(deck.ledger) == []


def test_a_second_failure_does_not_hide_the_first(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = deck.mlflow.tracking.create_experiment("a")
    monkeypatch.setattr(jobs, "_make_run", broken(ServerUnreachable("first")))
    monkeypatch.setattr(jobs, "_forget", broken(LedgerFailed("second")))
    with pytest.raises(ServerUnreachable, match="first") as raised:
        submit(deck, experiment)
    assert raised.value.__notes__ == ["second"]


@pytest.mark.usefixtures("at_once")
def test_whoever_comes_after_the_worker_changes_nothing(deck: Deck) -> None:
    job = jobs.QUEUE.add(
        deck.ledger, by="ada", state=jobs.PREPARING, project="p", entry_point="main", title="t",
        params={},
    )  # fmt: skip
    jobs.claim_abandoned(deck.ledger, "w", 1)
    with pytest.raises(Conflict):
        jobs._enqueue(deck.ledger, job.id, "0" * 32)
    assert jobs.get(deck.ledger, job.id).run_id is None
