"""The promotion desk under real processes: several that promote at once, and one that is killed.

People are processes here, not threads: threads of one process hardly show the races.
"""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from core.errors import Busy, Conflict, DeckError
from core.ledger import Ledger, chain, now
from core.ledger.schema import decisions, leases, record, requests, transitions
from core.lifecycle.deck import Deck, open_deck
from core.mlflow_api.registry import Registry
from core.people import Actor
from core.registry import heads
from core.registry import record as transition_record
from core.registry import transitions as path
from core.registry.lease import Alone, HoldModel, model_lease
from core.registry.plan import ModelState, see
from core.registry.policy import UnknownRegistrant
from core.registry.record import State as Found
from core.registry.requests import State, ask, carry_out, carrying_out, checked, rows, settle
from core.registry.transitions import read_state
from core.settings import load
from tests.promotions import approved, cheap_check, person, production, waiting

PROCESSES = multiprocessing.get_context("spawn")
CHILDREN = multiprocessing.get_context("forkserver")
_SLOW = ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store")
"""What takes long to import: once for all who are killed."""
ROUNDS = 500
KILLS = 20
"""At every place."""
PEOPLE = 4
PATIENCE = 120.0
"""Seconds that processes wait for one another; a limit for a failure, no measure."""
MODEL = "wine"


@dataclass(frozen=True)
class Place:
    """Where a deck is opened, also in another process."""

    environment: dict[str, str]

    def open(self) -> Deck:
        # How long one waits for an answer is not what is proved here, and must not decide it.
        return open_deck(load({"MODELDECK_METADATA_DEADLINE": "30", **self.environment}))


def make_model(deck: Deck, name: str, versions: int) -> str:
    """A registered model whose first version is in Production."""
    tracking, registry = deck.mlflow.tracking, deck.mlflow.registry
    run = tracking.create_run(tracking.create_experiment(name), "trained")
    registry.create_model(name)
    for number in range(1, versions + 1):
        registry.create_version(name, f"{run.artifact_uri}/model-{number}", run.id)
    wanted = path.Wanted(name, 1, "Production")
    path.transition(deck.mlflow, deck.ledger, Actor("modeldeck", "worker"), wanted)
    return name


def in_production(state: ModelState) -> list[int]:
    return [v.version for v in state.versions if v.stage == "Production"]


# ------------------------------------------------------------------------------ at once


@contextmanager
def nobody(_ledger: Ledger, _store: str, _model: str, _holder: str) -> Iterator[Alone]:
    """The control: no lease at all."""
    yield Alone(0, lambda _seconds=0.0: None)


@dataclass
class AtOnce:
    """What came of rounds in which several promoted at once."""

    rounds: int = 0
    carried_out: int = 0
    refused: int = 0
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        return (
            f"{self.rounds} rounds of {PEOPLE} processes: {self.carried_out} promotions carried "
            f"out, {self.refused} refused, {self.acknowledged} acknowledged acts looked up in the "
            f"record, {len(self.faults)} faults"
        )


Acts = list[tuple[str, str]]
"""(request, the record's word for what was acknowledged)."""


@dataclass(frozen=True)
class Told:
    """What one process tells after a round."""

    acts: Acts
    carried_out: int
    refused: int
    broken: str = ""


def promote_at_once(
    place: Place, rounds: int, *, model: str = MODEL, hold: HoldModel = model_lease,
    until_fault: bool = False,
) -> AtOnce:  # fmt: skip
    """Rounds in which each of several people has a version approved for Production, and then
    everybody carries out everything that is approved, at once.

    Args:
        rounds: how many.
        hold: how to be alone on the model; ``nobody`` for the control.
        until_fault: stop at the first round that went wrong.
    """
    deck, found = place.open(), AtOnce()
    make_model(deck, model, 1 + 2 * PEOPLE)
    gate = PROCESSES.Barrier(PEOPLE + 1)
    answers: Any = PROCESSES.Queue()
    people = [
        PROCESSES.Process(target=_person, args=(place, model, n, rounds, hold, gate, answers))
        for n in range(PEOPLE)
    ]
    for process in people:
        process.start()
    try:
        for _ in range(rounds):
            gate.wait(PATIENCE)  # all ask
            gate.wait(PATIENCE)  # all carry out
            told: list[Told] = [answers.get(timeout=PATIENCE) for _ in people]
            _look(deck, model, told, found)
            if until_fault and found.faults:
                break
            gate.wait(PATIENCE)  # the next round
        _look_at_the_end(deck, model, found)
    finally:
        for process in people:
            process.join(0 if found.faults else PATIENCE)
            process.kill()
            process.join()
        close(deck)
    return found


def _person(
    place: Place, model: str, number: int, rounds: int, hold: HoldModel, gate: Barrier, answers: Any
) -> None:
    """One process: in each round ask, have it approved, and carry out what all had approved."""
    deck = place.open()
    rules = _rules("decider")
    me, decider = person(deck, f"person-{number}", rules), person(deck, "decider", rules)
    check = cheap_check(me)
    mine = (2 + 2 * number, 3 + 2 * number)
    for _ in range(rounds):
        gate.wait(PATIENCE)
        state = read_state(deck.mlflow, model)
        acts: Acts = []
        broken = ""
        try:
            version = next(v for v in mine if v not in in_production(state))
            seen = see(state, version, "Production", rules.ladder)
            request = ask(me, model, version, "Production", "Better.", seen=seen)
            request = checked(deck.ledger, request.id, cheap_check(me, state=state)(request))
            acts += [(request.id, "request.asked"), (request.id, "request.checked")]
            approved(decider, request)
            acts.append((request.id, "request.approved"))
        except DeckError as error:
            broken = f"person {number} could not ask: {error.what}"
        gate.wait(PATIENCE)
        done = refused = 0
        todo = sorted(r.id for r in rows.select(deck.ledger, model=model, states=[State.APPROVED]))
        for place_in_line in range(len(todo)):
            request_id = todo[(place_in_line + number) % len(todo)]
            try:
                carry_out(decider, request_id, check, hold=hold)
                acts += [(request_id, "transition.done"), (request_id, "request.done")]
                done += 1
            except (Conflict, Busy):
                refused += 1
            except DeckError as error:
                broken = f"person {number} could not carry out: {error.what}"
        answers.put(Told(acts, done, refused, broken))
        gate.wait(PATIENCE)
    close(deck)


def _look(deck: Deck, model: str, told: list[Told], found: AtOnce) -> None:
    """Whether all is as it should be after a round."""
    found.rounds += 1
    where = f"round {found.rounds}: "
    state = read_state(deck.mlflow, model)
    holders = in_production(state)
    if len(holders) != 1 or state.carrier("champion") not in holders:
        found.faults.append(f"{where}in Production: {holders}, {state.carrier('champion')} leads")
    done = sum(one.carried_out for one in told)
    if done != 1:
        found.faults.append(f"{where}{done} were told that theirs was carried out")
    found.faults += [where + one.broken for one in told if one.broken]
    found.carried_out += done
    found.refused += sum(one.refused for one in told)
    acts = Counter(act for one in told for act in one.acts)
    found.acknowledged += acts.total()
    ids = {request_id for request_id, _ in acts}
    with deck.ledger.transaction("looking") as connection:
        lines = Counter(
            (row.request_id, row.action)
            for row in connection.execute(
                sa.select(record.c.request_id, record.c.action).where(record.c.request_id.in_(ids))
            )
        )
    found.faults += [f"{where}not in the record: {act}" for act in acts - lines]


def _look_at_the_end(deck: Deck, model: str, found: AtOnce) -> None:
    """Whether each approval was used at most once, and nothing is left open."""
    with deck.ledger.transaction("looking") as connection:
        used = connection.execute(
            sa.select(decisions.c.request_id, decisions.c.used_by, transitions.c.id.label("begun"))
            .outerjoin(transitions, transitions.c.request_id == decisions.c.request_id)
            .where(decisions.c.used_by.is_not(None))
        ).all()
        moved = connection.execute(
            sa.select(transitions.c.request_id, transitions.c.state).where(
                transitions.c.model == model, transitions.c.request_id != ""
            )
        ).all()
        stuck = connection.execute(
            sa.select(sa.func.count()).select_from(requests).where(
                requests.c.model == model, requests.c.state == State.APPLYING
            )
        ).scalar_one()  # fmt: skip
    for request_id, times in Counter(row.request_id for row in moved).items():
        if times > 1:
            found.faults.append(f"the approval of {request_id} was used {times} times")
    for row in used:
        if row.begun is not None and row.begun != row.used_by:
            found.faults.append(f"the approval of {row.request_id} was used for another change")
    begun = sum(row.state == Found.DONE for row in moved)
    if begun != found.carried_out:
        found.faults.append(f"{begun} changes done, {found.carried_out} acknowledged")
    if stuck:
        found.faults.append(f"{stuck} requests are being carried out for ever")
    found.faults += chain_faults(deck.ledger)


def chain_faults(ledger: Ledger) -> list[str]:
    """Whether the record's lines hang together, looked at with nothing but their hashes."""
    with ledger.transaction("looking") as connection:
        lines = connection.execute(sa.select(record).order_by(record.c.number)).all()
    previous, faults = chain.START, []
    for number, line in enumerate(lines, 1):
        if line.number != number or line.previous != previous:
            faults.append(f"line {number} of the record does not follow")
        previous = chain.link(line.number, line.previous, line.body)
        if previous != line.hash:
            faults.append(f"line {number} of the record has another hash")
    return faults


# ------------------------------------------------------------------------------ killed


@dataclass(frozen=True)
class Point:
    """A place in the way of a promotion before which the process is killed."""

    owner: Any
    name: str
    label: str


POINTS = (
    Point(carrying_out, "_claim", "the approval is used"),
    Point(rows, "use", "… within that transaction"),
    Point(path, "begin", "the intent is written"),
    Point(transition_record.chain, "append", "a line of the record, within a transaction"),
    Point(Registry, "set_stage", "a stage"),
    Point(Registry, "set_alias", "an alias"),
    Point(Registry, "set_version_tag", "a tag"),
    Point(path, "end", "the outcome is written"),
    Point(carrying_out, "conclude", "the request is closed"),
    Point(carrying_out, "append", "… within that transaction"),
    Point(heads, "publish", "the record's head is written outside"),
)
"""Every step between intent, MLflow call, outcome and record."""


@dataclass
class Killed:
    """What came of processes that were killed on their way."""

    places: list[str] = field(default_factory=list)
    """Where they were killed, in the order of the way."""
    kills: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    """How the requests ended up after the restart."""
    faults: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        ended = ", ".join(f"{n} {state}" for state, n in sorted(self.ended.items()))
        return (
            f"{self.kills} kills at {len(self.places)} places; after the restart {ended}; "
            f"{len(self.faults)} faults"
        )


def kill_everywhere(place: Place, times: int, *, model: str = MODEL) -> Killed:
    """Kill a process that carries an approved request out, at every place of its way, ``times``
    each, and settle what it left as a worker does that starts next."""
    CHILDREN.set_forkserver_preload([__name__, *_SLOW])
    deck, found = place.open(), Killed()
    make_model(deck, model, 3)
    found.places = _places(deck, place, model)
    for turn in range(times):
        for at in range(len(found.places)):
            number = signal.SIGKILL if (turn + at) % 2 else None
            _kill_and_settle(deck, place, model, at, number, found)
    found.faults += chain_faults(deck.ledger)
    close(deck)
    return found


def _places(deck: Deck, place: Place, model: str) -> list[str]:
    """The places of one way that nobody interrupts, each by what would have come next."""
    request_id = _approved(deck, model)
    answers: Any = CHILDREN.Queue()
    child = CHILDREN.Process(
        target=_carry_out_and_die, args=(place, request_id, None, None, answers)
    )
    child.start()
    labels: list[str] = answers.get(timeout=PATIENCE)
    child.join(PATIENCE)
    assert rows.get(deck.ledger, request_id).state is State.DONE
    return [*labels, "the end"]


def _approved(deck: Deck, model: str) -> str:
    """A request for the version that is not in Production, approved; its id."""
    (held,) = in_production(read_state(deck.mlflow, model))
    version = 3 if held == 2 else 2
    anna, ben = person(deck, "anna", _rules()), person(deck, "ben", _rules())
    return approved(ben, waiting(anna, model, version)).id


def _rules(decider: str = "ben") -> Any:
    return production(decide=(decider,), unknown_registrant=UnknownRegistrant.ALLOW)


def _carry_out_and_die(
    place: Place, request_id: str, at: int | None, number: int | None, answers: Any
) -> None:
    """In a process of its own: carry out, and end as by a power cut before the ``at``-th step."""
    deck = place.open()
    passed: list[str] = []

    def reach(label: str) -> None:
        if at is not None and len(passed) == at:
            if number is None:
                os._exit(9)
            os.kill(os.getpid(), number)
        passed.append(label)

    ben = person(deck, "ben", _rules())
    with ExitStack() as patched:
        for point in POINTS:
            patched.enter_context(patch.object(point.owner, point.name, _watched(point, reach)))
        carry_out(ben, request_id, cheap_check(ben))
    reach("the end")
    answers.put(passed[:-1])
    answers.close()
    answers.join_thread()


def _watched(point: Point, reach: Callable[[str], None]) -> Callable[..., Any]:
    real = getattr(point.owner, point.name)

    def watched(*args: Any, **options: Any) -> Any:
        reach(point.label)
        return real(*args, **options)

    return watched


def _kill_and_settle(
    deck: Deck, place: Place, model: str, at: int, number: int | None, found: Killed
) -> None:
    request_id = _approved(deck, model)
    before = read_state(deck.mlflow, model)
    answers = CHILDREN.Queue()  # held here until the child is over
    way = (place, request_id, at, number, answers)
    child = CHILDREN.Process(target=_carry_out_and_die, args=way)
    child.start()
    child.join(PATIENCE)
    where = f"before “{found.places[at]}” ({at}): "
    if child.exitcode != (9 if number is None else -number):
        found.faults.append(f"{where}it ended with {child.exitcode}, not killed")
    found.kills += 1
    time_passes(deck.ledger)
    settle(person_of_the_worker(deck))
    request = rows.get(deck.ledger, request_id)
    found.ended[str(request.state)] += 1
    state = read_state(deck.mlflow, model)
    if request.state is State.APPROVED:
        # Never begun: nothing was changed, and it can be carried out as if nothing had been.
        if state != before:
            found.faults.append(f"{where}nothing was begun, and yet something was changed")
        ben = person(deck, "ben", _rules())
        carry_out(ben, request_id, cheap_check(ben))
        request, state = rows.get(deck.ledger, request_id), read_state(deck.mlflow, model)
    if request.state is not State.DONE:
        found.faults.append(f"{where}the request is {request.state}: {request.message}")
    if in_production(state) != [request.version] or state.carrier("champion") != request.version:
        found.faults.append(f"{where}{in_production(state)} in Production")
    found.faults += [where + fault for fault in _record_faults(deck.ledger, request_id)]


def _record_faults(ledger: Ledger, request_id: str) -> list[str]:
    """What is not in the record of a request that was carried out, or more than once."""
    once = ("request.asked", "request.checked", "request.approved", "transition.begun",
            "transition.done", "request.done")  # fmt: skip
    with ledger.transaction("looking") as connection:
        lines = Counter(
            connection.execute(
                sa.select(record.c.action).where(record.c.request_id == request_id)
            ).scalars()
        )
        used = connection.execute(
            sa.select(decisions.c.used_by).where(decisions.c.request_id == request_id)
        ).scalars().all()  # fmt: skip
        moved = connection.execute(
            sa.select(transitions.c.id, transitions.c.state).where(
                transitions.c.request_id == request_id
            )
        ).all()
    faults = [f"{lines[action]} lines {action}" for action in once if lines[action] != 1]
    if [row.id for row in moved] != used or any(row.state != Found.DONE for row in moved):
        faults.append(f"approvals used for {used}, changes {moved}")
    return faults


def person_of_the_worker(deck: Deck) -> Any:
    """The desk as the worker sees it."""
    return person(deck, "modeldeck", _rules(), kind="worker")


def time_passes(ledger: Ledger) -> None:
    """Leases and claims of those who were killed run out, without waiting for it."""
    past = now() - timedelta(seconds=1)
    with ledger.transaction("time passes") as connection:
        connection.execute(leases.update().values(expires_at=past))
        connection.execute(
            requests.update()
            .where(requests.c.claimed_until.is_not(None))
            .values(claimed_until=past)
        )


def close(deck: Deck) -> None:
    deck.mlflow.gateway.close()
    deck.ledger.close()
