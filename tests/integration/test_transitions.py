"""Transitions on real stores: two at once, broken off half-way, refused, and read back.

People are processes here, not threads: threads of one process hardly show the races.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa

from core.errors import (
    Busy,
    Conflict,
    DeckError,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    ServerFailed,
)
from core.ledger import Ledger, leases, now
from core.ledger.schema import leases as lease_table
from core.lifecycle.deck import Deck, open_deck
from core.people import Actor
from core.registry import settling
from core.registry.applying import Hook
from core.registry.ladder import LADDER
from core.registry.lease import LEASE_SECONDS
from core.registry.plan import ModelState, Step
from core.registry.record import Kind, State
from core.registry.transitions import (
    Alone,
    HoldModel,
    Outcome,
    Wanted,
    model_lease,
    read_state,
    record,
    remove_alias,
    see,
    set_alias,
    settle,
    settle_all,
    transition,
)
from core.settings import load
from tests.faults import Fault, FaultProxy
from tests.servers import MlflowServer, Postgres
from tests.waiting import until

PROCESSES = multiprocessing.get_context("spawn")
ROUNDS = 3
CONTROL_ROUNDS = 2
RUSH_SECONDS = 0.4
"""How long the first at the gate waits for the second; where a lease holds it off, in vain."""


@dataclass(frozen=True)
class Place:
    """Where a deck is opened, also in another process."""

    environment: dict[str, str]

    def open(self) -> Deck:
        return open_deck(load(self.environment))


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, home: Any) -> Place:
    """SQLite stores under the home; or an MLflow server and a ledger on PostgreSQL."""
    environment = {"MODELDECK_HOME": str(home)}
    if request.param == "postgres":
        server: MlflowServer = request.getfixturevalue("mlflow_server_on_postgres")
        database: Postgres = request.getfixturevalue("postgres")
        environment["MLFLOW_TRACKING_URI"] = server.url
        environment["MODELDECK_LEDGER_URI"] = database.fresh_database()
    return Place(environment)


@pytest.fixture
def deck(place: Place) -> Iterator[Deck]:
    here = place.open()
    yield here
    here.mlflow.gateway.close()
    here.ledger.close()


@pytest.fixture
def model(deck: Deck, request: pytest.FixtureRequest) -> str:
    """A model of three versions, none on a rung."""
    return make_model(deck, request.node.name)


def make_model(deck: Deck, name: str, versions: int = 3) -> str:
    tracking, registry = deck.mlflow.tracking, deck.mlflow.registry
    run = tracking.create_run(tracking.create_experiment(name), "trained")
    registry.create_model(name)
    for _ in range(versions):
        registry.create_version(name, f"{run.artifact_uri}/model", run.id)
    return name


def move(deck: Deck, model: str, version: int, rung: str, **options: Any) -> Outcome:
    who = Actor(options.pop("who", "anna"))
    return transition(
        deck.mlflow, deck.ledger, who, Wanted(model, version, rung, **options), LADDER
    )


def stages(deck: Deck, model: str) -> dict[int, str]:
    return {v.version: v.stage for v in read_state(deck.mlflow, model).versions}


def in_production(deck: Deck, model: str) -> list[int]:
    return [number for number, stage in stages(deck, model).items() if stage == "Production"]


# ------------------------------------------------------------------------------ alone


def test_a_promotion_is_applied_read_back_and_recorded(deck: Deck, model: str) -> None:
    move(deck, model, 1, "Production")
    outcome = move(deck, model, 2, "production", comment=" better ", who="ben")
    assert outcome.complete
    assert outcome.after.carrier("champion") == 2
    assert stages(deck, model) == {1: "Archived", 2: "Production", 3: "None"}
    newest, first = record(deck.ledger, model)
    assert first.state is newest.state is State.DONE
    assert (newest.actor, newest.wanted, newest.comment) == ("ben", "Production", "better")
    assert newest.before[1].rung == "Production"
    assert newest.after is not None
    assert newest.after[1].rung == "Archived"
    assert newest.after[2].aliases == ("champion",)
    tags = {v.version: v.tags[LADDER.tag] for v in outcome.after.versions if v.tags}
    assert tags == {1: "Archived", 2: "Production"}


def test_what_is_as_wanted_is_not_written_again(deck: Deck, model: str) -> None:
    move(deck, model, 1, "Production")
    assert move(deck, model, 1, "Production").transition is None
    assert len(record(deck.ledger, model)) == 1


def test_archiving_to_archived_and_none_answers_at_once(deck: Deck, model: str) -> None:
    for rung in ("Archived", "None", "Archived"):
        assert move(deck, model, 1, rung, archive_existing=True).complete


def test_who_decided_on_an_old_view_is_told_what_changed_and_by_whom(
    deck: Deck, model: str
) -> None:
    move(deck, model, 1, "Production")
    seen = see(read_state(deck.mlflow, model), 3, "Production", LADDER)
    move(deck, model, 2, "Production", who="anna")
    with pytest.raises(Conflict) as caught:
        move(deck, model, 3, "Production", expected=seen, who="ben")
    assert "v2 was moved to Production by anna" in caught.value.what
    assert "v1 was moved to Archived by anna" in caught.value.what
    assert in_production(deck, model) == [2]
    assert len(record(deck.ledger, model)) == 2


def test_a_change_made_in_mlflow_itself_is_told_as_such(deck: Deck, model: str) -> None:
    seen = see(read_state(deck.mlflow, model), 3, "Production", LADDER)
    deck.mlflow.registry.set_stage(model, 2, "Production")
    with pytest.raises(Conflict, match="v2 is in Production now; it was changed in MLflow, not"):
        move(deck, model, 3, "Production", expected=seen)


def test_a_model_or_a_version_that_is_not_there_is_said_so(deck: Deck, model: str) -> None:
    with pytest.raises(NotFound):
        move(deck, f"{model} no more", 1, "Production")
    with pytest.raises(NotFound, match="no version 9"):
        move(deck, model, 9, "Production")
    with pytest.raises(InvalidInput):
        move(deck, model, 10**30, "Production")
    assert record(deck.ledger, model) == []


def test_an_alias_by_hand_takes_the_same_path(deck: Deck, model: str) -> None:
    who = Actor("anna")
    done = set_alias(deck.mlflow, deck.ledger, who, model, "blue", 1, seen=None)
    assert done.after.carrier("blue") == 1
    assert set_alias(deck.mlflow, deck.ledger, who, model, "blue", 1, seen=1).transition is None
    with pytest.raises(Conflict, match="The alias blue points at v1 now"):
        set_alias(deck.mlflow, deck.ledger, who, model, "blue", 2, seen=None)
    set_alias(deck.mlflow, deck.ledger, who, model, "blue", 2, seen=1)
    with pytest.raises(Conflict):
        remove_alias(deck.mlflow, deck.ledger, who, model, "blue", 1)
    gone = remove_alias(deck.mlflow, deck.ledger, who, model, "blue", 2)
    assert gone.after.carrier("blue") is None
    rows = record(deck.ledger, model)
    assert {row.kind for row in rows} == {Kind.ALIAS}
    assert [row.sentence for row in rows] == [
        "alias blue taken from v2",
        "alias blue v1 → v2",
        "alias blue → v1",
    ]
    with pytest.raises(InvalidInput, match="cannot be an alias"):
        set_alias(deck.mlflow, deck.ledger, who, model, "v7", 1, seen=None)


def test_the_lease_outlasts_every_write_that_the_settings_let_wait(deck: Deck, model: str) -> None:
    name = f"model:{deck.mlflow.address}:{model}"
    waits = deck.mlflow.gateway.deadlines.write
    assert waits > LEASE_SECONDS
    left: list[float] = []
    sends = deck.mlflow.gateway.write

    def sending(*args: Any, **more: Any) -> Any:
        left.append(lasts(deck.ledger, name))
        return sends(*args, **more)

    with mock.patch.object(deck.mlflow.gateway, "write", sending):
        assert move(deck, model, 1, "Production").complete
    assert len(left) == 3
    assert min(left) > waits


def test_who_finds_the_model_taken_waits_and_is_then_told(deck: Deck, model: str) -> None:
    name = f"model:{deck.mlflow.address}:{model}"
    taken = leases.take(deck.ledger, name, "somebody", 60)
    assert taken is not None
    wanted = Wanted(model, 1, "Production")
    briefly = partial(model_lease, wait=0.3)
    with pytest.raises(Busy, match="Somebody else is changing"):
        transition(deck.mlflow, deck.ledger, Actor("anna"), wanted, hold=briefly)
    leases.give_back(deck.ledger, taken)
    assert move(deck, model, 1, "Production").complete


def test_who_loses_the_lease_on_the_way_stops_and_tells_how_far_it_came(
    deck: Deck, model: str
) -> None:
    name = f"model:{deck.mlflow.address}:{model}"

    def lose(place_in_plan: int, _step: object) -> None:
        if place_in_plan == 1:
            expire(deck.ledger, name)
            assert leases.take(deck.ledger, name, "somebody", 60) is not None

    with pytest.raises(Conflict, match=r"Done: v1 → Production\. Not done: alias champion → v1"):
        transition(
            deck.mlflow,
            deck.ledger,
            Actor("anna"),
            Wanted(model, 1, "Production"),
            before_step=lose,
        )
    assert read_state(deck.mlflow, model).carrier("champion") is None
    assert record(deck.ledger, model)[0].state is State.PARTIAL


def expire(ledger: Ledger, name: str) -> None:
    with ledger.transaction("test") as connection:
        connection.execute(
            sa.update(lease_table).where(lease_table.c.name == name).values(expires_at=now())
        )


def test_what_else_changed_meanwhile_is_told_although_every_write_was_accepted(
    deck: Deck, model: str
) -> None:
    def meddle(_place: int, step: Step) -> None:
        if step.key:
            deck.mlflow.registry.set_stage(model, 3, "Production")

    outcome = transition(
        deck.mlflow, deck.ledger, Actor("anna"), Wanted(model, 1, "Production"), before_step=meddle
    )
    assert not outcome.complete
    assert "v3 → Archived" in [step.sentence for step in outcome.missing]
    assert outcome.transition is not None
    assert outcome.transition.state is State.PARTIAL
    assert "v3 → Archived" in outcome.transition.message


# ------------------------------------------------------------------------------ two at once


@contextmanager
def nobody(_ledger: Ledger, _store: str, _model: str, _holder: str) -> Iterator[Alone]:
    """The control: no lease at all."""
    yield Alone(0, lambda _seconds=0.0: None)


@dataclass(frozen=True)
class Gate:
    """Before its first write each waits for the other, so that both have read the same state."""

    barrier: Barrier

    def __call__(self, place_in_plan: int, _step: object) -> None:
        if place_in_plan == 0:
            try:
                self.barrier.wait(RUSH_SECONDS)
            except BrokenBarrierError:  # the other one is kept out, as it should be
                return


def promote(
    place: Place,
    model: str,
    version: int,
    rounds: Sequence[HoldModel],
    start: Barrier,
    rush: Barrier,
    answers: "Queue[tuple[int, str]]",
) -> None:
    """One person's process: in each round, look, and promote ``version``."""
    deck = place.open()
    for hold in rounds:
        start.wait(60)
        seen = see(read_state(deck.mlflow, model), version, "Production", LADDER)
        wanted = Wanted(model, version, "Production", expected=seen)
        start.wait(60)
        try:
            done = transition(
                deck.mlflow,
                deck.ledger,
                Actor(f"person-{version}"),
                wanted,
                hold=hold,
                before_step=Gate(rush),
            )
            told = "done" if done.complete else "incomplete"
        except (Conflict, Busy) as error:
            told = f"{type(error).__name__}: {error.what}"
        answers.put((version, told))
        start.wait(60)


def race(
    place: Place, deck: Deck, model: str, rounds: Sequence[HoldModel]
) -> Iterator[tuple[HoldModel, list[int], dict[int, str]]]:
    """Rounds of two people who promote versions 2 and 3: who is in Production, who was told what.

    Before each round version 1 holds it.
    """
    start, rush = PROCESSES.Barrier(3), PROCESSES.Barrier(2)
    answers: Queue[tuple[int, str]] = PROCESSES.Queue()
    people = [
        PROCESSES.Process(target=promote, args=(place, model, n, rounds, start, rush, answers))
        for n in (2, 3)
    ]
    for person in people:
        person.start()
    try:
        for hold in rounds:
            move(deck, model, 1, "Production")
            rush.reset()
            start.wait(60)
            start.wait(60)
            told = dict((answers.get(timeout=60), answers.get(timeout=60)))
            start.wait(60)
            yield hold, in_production(deck, model), told
    finally:
        for person in people:
            person.kill()
            person.join()


def test_two_people_at_once_one_production_version_and_both_told_the_truth(
    place: Place, deck: Deck, model: str
) -> None:
    """The last rounds are the control: with the lease taken out the same race goes wrong."""
    gone_wrong = []
    rounds = (*[model_lease] * ROUNDS, *[nobody] * CONTROL_ROUNDS)
    for hold, holders, told in race(place, deck, model, rounds):
        if hold is nobody:
            gone_wrong.append(len(holders) > 1)
            continue
        assert len(holders) == 1
        winner, loser = holders[0], ({2, 3} - set(holders)).pop()
        assert told[winner] == "done"
        # Where the first one took long, the second waited in vain, and was told that.
        assert told[loser].startswith(("Conflict", "Busy"))
        moved = f"v{winner} was moved to Production by person-{winner}"
        assert moved in told[loser] or told[loser].startswith("Busy")
        assert read_state(deck.mlflow, model).carrier("champion") == winner
    assert any(gone_wrong)


# ------------------------------------------------------------------------------ broken off


@dataclass(frozen=True)
class DieBefore:
    """Ends the whole process, as ``kill -9`` does, before a step of the plan."""

    place_in_plan: int

    def __call__(self, place_in_plan: int, _step: object) -> None:
        if place_in_plan == self.place_in_plan:
            os.kill(os.getpid(), signal.SIGKILL)


def promote_and_die(place: Place, model: str, before: int) -> None:
    deck = place.open()
    transition(
        deck.mlflow,
        deck.ledger,
        Actor("anna"),
        Wanted(model, 2, "Production"),
        before_step=DieBefore(before),
    )


def kill_half_way(place: Place, deck: Deck, model: str, before: int) -> None:
    """Version 1 is in Production; somebody who moves 2 there is killed before a step."""
    move(deck, model, 1, "Production")
    child = PROCESSES.Process(target=promote_and_die, args=(place, model, before))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert record(deck.ledger, model)[0].state is State.APPLYING
    name = f"model:{deck.mlflow.address}:{model}"
    assert leases.take(deck.ledger, name, "ben", 60) is None  # its lease lives on for a while
    expire(deck.ledger, name)


@pytest.mark.parametrize("before", [0, 2])
def test_a_change_that_was_killed_is_finished_before_the_next(
    place: Place, deck: Deck, model: str, before: int
) -> None:
    kill_half_way(place, deck, model, before)
    outcome = move(deck, model, 3, "Production", who="ben")
    assert in_production(deck, model) == [3]
    (settled,) = outcome.settled
    assert settled.state is State.DONE
    assert settled.actor == "anna"
    assert "was finished afterwards" in settled.message
    assert ("alias champion v1 → v2" in settled.message) == (before == 0)
    assert "v1 → Archived" in settled.message
    assert [row.state for row in record(deck.ledger, model)][:2] == [State.DONE, State.DONE]


def test_a_change_that_was_killed_is_taken_back_where_somebody_else_came_to_the_rung(
    place: Place, deck: Deck, model: str
) -> None:
    kill_half_way(place, deck, model, 2)
    deck.mlflow.registry.set_stage(model, 3, "Production")  # in MLflow, without Modeldeck
    (settled,) = settle(deck.mlflow, deck.ledger, Actor("ben"), model)
    assert settled.state is State.UNDONE
    assert "taken back afterwards: alias champion v2 → v1; v2 → None." in settled.message
    state = read_state(deck.mlflow, model)
    assert {v.version: v.stage for v in state.versions} == {
        1: "Production",
        2: "None",
        3: "Production",
    }
    assert state.carrier("champion") == 1
    assert settle(deck.mlflow, deck.ledger, Actor("ben"), model) == ()


def test_a_change_that_was_killed_is_left_as_it_is_where_somebody_else_changed_the_same(
    place: Place, deck: Deck, model: str
) -> None:
    kill_half_way(place, deck, model, 2)
    deck.mlflow.registry.set_stage(model, 2, "Staging")
    (settled,) = settle(deck.mlflow, deck.ledger, Actor("ben"), model)
    assert settled.state is State.INTERRUPTED
    assert "Not done: v2 → Production; v1 → Archived" in settled.message
    assert stages(deck, model) == {1: "Production", 2: "Staging", 3: "None"}


def test_a_settlement_that_is_killed_is_settled_by_the_next(
    place: Place, deck: Deck, model: str
) -> None:
    kill_half_way(place, deck, model, 1)
    deck.mlflow.registry.set_stage(model, 3, "Production")
    child = PROCESSES.Process(target=settle_and_die, args=(place, model))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert stages(deck, model)[2] == "None"  # taken back, and not yet written down
    expire(deck.ledger, f"model:{deck.mlflow.address}:{model}")
    (settled,) = settle(deck.mlflow, deck.ledger, Actor("ben"), model)
    assert settled.state is State.UNDONE
    assert stages(deck, model) == {1: "Production", 2: "None", 3: "Production"}


def settle_and_die(place: Place, model: str) -> None:
    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    deck = place.open()
    settling.end = die  # type: ignore[assignment]
    settle(deck.mlflow, deck.ledger, Actor("worker"), model)


def test_a_change_whose_ending_alone_was_lost_is_found_complete(deck: Deck, model: str) -> None:
    done = move(deck, model, 1, "Production").transition
    assert done is not None
    with deck.ledger.transaction("test") as connection:
        connection.execute(
            sa.text("UPDATE transitions SET state = 'applying', after = NULL WHERE id = :id"),
            {"id": done.id},
        )
    (settled,) = settle(deck.mlflow, deck.ledger, Actor("ben"), model)
    assert settled.state is State.DONE
    assert "found complete afterwards" in settled.message


def test_the_worker_settles_every_model_and_leaves_alone_what_is_being_changed(
    deck: Deck, model: str
) -> None:
    done = move(deck, model, 1, "Production").transition
    assert done is not None
    with deck.ledger.transaction("test") as connection:
        connection.execute(
            sa.text("UPDATE transitions SET state = 'applying', after = NULL WHERE id = :id"),
            {"id": done.id},
        )
    with model_lease(deck.ledger, deck.mlflow.address, model, "anna"):
        assert settle_all(deck.mlflow, deck.ledger, Actor("worker")) == ()
    settled = settle_all(deck.mlflow, deck.ledger, Actor("worker"))
    assert [(row.id, row.state) for row in settled] == [(done.id, State.DONE)]
    assert settle_all(deck.mlflow, deck.ledger, Actor("worker")) == ()


def test_a_model_that_is_gone_or_fails_does_not_keep_the_others_from_being_settled(
    deck: Deck, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, failing = f"a {model}", f"b {model}"  # before it by name
    for name in (make_model(deck, gone, 1), make_model(deck, failing, 1), model):
        move(deck, name, 1, "Production")
    with deck.ledger.transaction("test") as connection:
        connection.execute(sa.text("UPDATE transitions SET state = 'applying', after = NULL"))
    deck.mlflow.gateway.write("deleting", lambda c: c.delete_registered_model(gone))
    real = settling.read_state

    def read(mlflow: Any, name: str) -> ModelState:
        if name == failing:
            raise ServerFailed("It failed.")
        return real(mlflow, name)

    with monkeypatch.context() as patch:
        patch.setattr(settling, "read_state", read)
        with pytest.raises(ServerFailed, match="It failed"):
            settle_all(deck.mlflow, deck.ledger, Actor("worker"))
    lost, open_yet, found = (record(deck.ledger, name)[0] for name in (gone, failing, model))
    assert lost.state is State.INTERRUPTED
    assert "The model is gone" in lost.message
    assert open_yet.state is State.APPLYING
    assert found.state is State.DONE
    assert [row.model for row in settle_all(deck.mlflow, deck.ledger, Actor("w"))] == [failing]


# ------------------------------------------------------------------------------ a server that fails


@pytest.fixture
def proxied(mlflow_server: MlflowServer, home: Any) -> Iterator[tuple[FaultProxy, Deck]]:
    with FaultProxy(mlflow_server.url) as proxy:
        here = Place(
            {
                "MODELDECK_HOME": str(home),
                "MLFLOW_TRACKING_URI": proxy.url,
                "MODELDECK_METADATA_DEADLINE": "3",
            }
        ).open()
        yield proxy, here
        here.mlflow.gateway.close()
        here.ledger.close()


def fail_at(
    proxy: FaultProxy, place_in_plan: int, fault: Fault, only: Callable[[str], bool] | None = None
) -> Hook:
    def hook(now_at: int, _step: object) -> None:
        if now_at == place_in_plan:
            proxy.set(fault, only)

    return hook


def test_a_write_whose_reply_is_lost_is_looked_up_and_not_sent_again(
    proxied: tuple[FaultProxy, Deck],
) -> None:
    proxy, deck = proxied
    model = make_model(deck, "lost reply", versions=1)
    hook = fail_at(proxy, 0, Fault.LOST_REPLY, lambda request: "transition-stage" in request)
    outcome = transition(
        deck.mlflow, deck.ledger, Actor("anna"), Wanted(model, 1, "Production"), before_step=hook
    )
    assert outcome.complete
    sent = [request for request in proxy.requests if "transition-stage" in request]
    assert len(sent) == 1


def test_a_write_that_lands_late_lands_while_nobody_else_writes(
    proxied: tuple[FaultProxy, Deck],
) -> None:
    proxy, deck = proxied
    model = make_model(deck, "lands late", versions=4)
    move(deck, model, 1, "Production")
    seen = see(read_state(deck.mlflow, model), 3, "Production", LADDER)
    proxy.set(Fault.LATE, lambda request: "transition-stage" in request)
    with pytest.raises(OutcomeUnknown, match="Nothing of it was there when read back"):
        move(deck, model, 4, "Production", who="anna")

    wanted = Wanted(model, 3, "Production", expected=seen)
    briefly = partial(model_lease, wait=0.2)
    with pytest.raises(Busy, match="may still take effect"):
        transition(deck.mlflow, deck.ledger, Actor("ben"), wanted, hold=briefly)
    assert settle_all(deck.mlflow, deck.ledger, Actor("worker")) == ()
    assert record(deck.ledger, model)[0].state is State.APPLYING
    name = f"model:{deck.mlflow.address}:{model}"
    longest = deck.mlflow.gateway.deadlines.longest
    assert leases.take(deck.ledger, name, "ben", 1) is None
    assert lasts(deck.ledger, name) > longest

    proxy.set(Fault.PASS)
    until(lambda: stages(deck, model)[4] == "Production", 20, "the late write to land")
    expire(deck.ledger, name)
    (settled,) = settle_all(deck.mlflow, deck.ledger, Actor("worker"))
    assert settled.state is State.DONE
    assert "finished afterwards: alias champion v1 → v4" in settled.message
    with pytest.raises(Conflict, match="v4 was moved to Production by anna"):
        transition(deck.mlflow, deck.ledger, Actor("ben"), wanted)
    assert move(deck, model, 3, "Production", who="ben").complete
    assert in_production(deck, model) == [3]
    assert read_state(deck.mlflow, model).carrier("champion") == 3


def lasts(ledger: Ledger, name: str) -> float:
    """Seconds until a lease runs out."""
    with ledger.transaction("test") as connection:
        row = connection.execute(sa.select(lease_table).where(lease_table.c.name == name)).one()
    return float((row.expires_at - now()).total_seconds())


def test_a_write_that_fails_tells_what_took_effect_and_what_did_not(
    proxied: tuple[FaultProxy, Deck],
) -> None:
    proxy, deck = proxied
    model = make_model(deck, "fails half-way", versions=1)
    hook = fail_at(proxy, 1, Fault.ERROR_500, lambda request: "alias" in request)
    with pytest.raises(DeckError, match=r"Done: v1 → Production\. Not done: alias champion → v1"):
        transition(
            deck.mlflow,
            deck.ledger,
            Actor("anna"),
            Wanted(model, 1, "Production"),
            before_step=hook,
        )
    assert record(deck.ledger, model)[0].state is State.PARTIAL


def test_a_server_that_dies_under_way_leaves_a_change_that_is_settled_later(
    proxied: tuple[FaultProxy, Deck],
) -> None:
    proxy, deck = proxied
    model = make_model(deck, "dies half-way", versions=1)
    with pytest.raises(OutcomeUnknown, match="could not be read back"):
        transition(
            deck.mlflow,
            deck.ledger,
            Actor("anna"),
            Wanted(model, 1, "Production"),
            before_step=fail_at(proxy, 1, Fault.REFUSE),
        )
    assert record(deck.ledger, model)[0].state is State.APPLYING
    proxy.set(Fault.PASS)
    outcome = until_it_works(deck, model)
    assert [row.state for row in outcome.settled] == [State.DONE]
    assert outcome.complete


def until_it_works(deck: Deck, model: str) -> Outcome:
    """The gateway lets a call through again a moment after a failure."""

    def attempt() -> Outcome | None:
        try:
            return move(deck, model, 1, "Production")
        except DeckError:
            return None

    found = until(attempt, 20, "the server to be asked again")
    assert found is not None
    return found
