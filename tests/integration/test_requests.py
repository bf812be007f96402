"""Promotion requests on real stores: asked, checked, decided, carried out once."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import Busy, Conflict, InvalidInput, NotAllowed, NotFound, OutcomeUnknown
from core.ledger import Ledger, chain, leases, new_id, now
from core.ledger.schema import decisions, record, transitions
from core.ledger.schema import requests as request_table
from core.lifecycle.deck import Deck
from core.people import Actor, Permission
from core.registry import requests
from core.registry.applying import read_state
from core.registry.desk import Desk
from core.registry.gates import Status
from core.registry.lease import model_lease
from core.registry.origin import note_registered, registrant
from core.registry.plan import Wanted
from core.registry.policy import GateUse, Level, Policy, Rule, Rules, UnknownRegistrant
from core.registry.record import State as Found
from core.registry.requests import Kind, Request, State, binding
from tests.promotions import (
    Rights,
    approved,
    asked,
    back,
    cheap_check,
    look,
    person,
    production,
    promote,
    waiting,
)
from tests.servers import MlflowServer, Postgres
from tests.soak.desk import Place, chain_faults, close, time_passes

FREE = production(unknown_registrant=UnknownRegistrant.ALLOW)
"""One approval of ben or carl; it does not matter who registered the version."""
BLOCKING = (("metric_threshold", "block", Status.FAIL),)


@pytest.fixture(params=["sqlite", "postgres"])
def deck(request: pytest.FixtureRequest, home: Any) -> Iterator[Deck]:
    """SQLite under the home; or an MLflow server and a ledger on PostgreSQL."""
    environment = {"MODELDECK_HOME": str(home)}
    if request.param == "postgres":
        server: MlflowServer = request.getfixturevalue("mlflow_server_on_postgres")
        database: Postgres = request.getfixturevalue("postgres")
        environment["MLFLOW_TRACKING_URI"] = server.url
        environment["MODELDECK_LEDGER_URI"] = database.fresh_database()
    here = Place(environment).open()
    yield here
    close(here)


@pytest.fixture
def model(deck: Deck) -> str:
    """A model of four versions, none on a rung."""
    name = f"wine {new_id()[:8]}"
    tracking, registry = deck.mlflow.tracking, deck.mlflow.registry
    run = tracking.create_run(tracking.create_experiment(name), "trained")
    registry.create_model(name)
    for number in range(1, 5):
        registry.create_version(name, f"{run.artifact_uri}/model-{number}", run.id)
    return name


@pytest.fixture
def anna(deck: Deck) -> Desk:
    return person(deck, "anna", FREE)


@pytest.fixture
def ben(deck: Deck) -> Desk:
    return person(deck, "ben", FREE)


def lines(desk: Desk, request: Request | None = None) -> list[str]:
    """The record's actions, oldest first; about one request where given."""
    query = sa.select(record.c.action).order_by(record.c.number)
    if request is not None:
        query = query.where(record.c.request_id == request.id)
    with desk.ledger.transaction("looking") as connection:
        return list(connection.execute(query).scalars())


def in_production(desk: Desk, model: str) -> list[int]:
    state = read_state(desk.mlflow, model)
    return [v.version for v in state.versions if v.stage == "Production"]


def carry_out(desk: Desk, request: Request, **options: Any) -> Any:
    return requests.carry_out(desk, request.id, cheap_check(desk), **options)


def age(ledger: Ledger, request: Request) -> None:
    """Its time is over."""
    with ledger.transaction("ageing") as connection:
        connection.execute(
            request_table.update()
            .where(request_table.c.id == request.id)
            .values(expires_at=now() - timedelta(seconds=1))
        )


# ------------------------------------------------------------------------------ the whole way


def test_asked_checked_approved_and_carried_out(anna: Desk, ben: Desk, model: str) -> None:
    assert promote(anna, ben, model, 1).complete
    request = waiting(anna, model, 2)
    assert request.state is State.WAITING
    assert [step.sentence for step in request.steps][:3] == [
        "v2 → Production",
        "alias champion v1 → v2",
        "v1 → Archived",
    ]
    request = approved(ben, request, "Better by two points.")
    assert request.state is State.APPROVED
    outcome = carry_out(ben, request)
    assert outcome.complete
    assert outcome.transition is not None
    assert (outcome.transition.path, outcome.transition.request_id) == ("desk", request.id)
    assert outcome.transition.actor == "ben"
    request = requests.get(anna, request.id)
    assert request.state is State.DONE
    assert request.transition_id == outcome.transition.id
    assert [d.used_by for d in request.decisions] == [outcome.transition.id]
    assert in_production(anna, model) == [2]
    assert lines(anna, request) == [
        "request.asked",
        "request.checked",
        "request.approved",
        "transition.begun",
        "transition.done",
        "request.done",
    ]
    assert chain_faults(anna.ledger) == []
    with pytest.raises(Conflict, match="This request is done"):
        carry_out(ben, request)


def test_a_rejection_needs_a_reason_and_closes(anna: Desk, ben: Desk, model: str) -> None:
    request = waiting(anna, model, 1)
    with pytest.raises(InvalidInput, match="why"):
        requests.reject(ben, request.id, "  ", binding=binding(request))
    done = requests.reject(ben, request.id, "Not on Friday.", binding=binding(request))
    assert done.state is State.REJECTED
    assert done.message == "ben rejected it: Not on Friday."
    with pytest.raises(Conflict, match="rejected"):
        approved(ben, done)
    assert asked(anna, model, 1).state is State.CHECKING  # and it can be asked again


def test_two_of_two_approve_and_nobody_twice(deck: Deck, model: str) -> None:
    rules = production(approvals=2, unknown_registrant=UnknownRegistrant.ALLOW)
    anna, ben, carl = (person(deck, name, rules) for name in ("anna", "ben", "carl"))
    request = approved(ben, waiting(anna, model, 1))
    assert request.state is State.WAITING
    with pytest.raises(Conflict, match="decided already"):
        approved(ben, request)
    with pytest.raises(Conflict, match="waiting for a decision; only an approved one"):
        carry_out(ben, request)
    assert approved(carl, request).state is State.APPROVED


@pytest.mark.parametrize(
    ("unknown", "needed"),
    [(UnknownRegistrant.ONE_MORE, 2), (UnknownRegistrant.ALLOW, 1), (UnknownRegistrant.BLOCK, 1)],
)
def test_where_nobody_knows_who_registered_it_the_rules_decide(
    deck: Deck, model: str, unknown: UnknownRegistrant, needed: int
) -> None:
    rules = production(unknown_registrant=unknown)
    request = waiting(person(deck, "anna", rules), model, 1)
    assert request.registrant is None
    assert request.approvals_needed == needed
    ben = person(deck, "ben", rules)
    if unknown is UnknownRegistrant.BLOCK:
        with pytest.raises(NotAllowed, match="Nobody knows who registered v1"):
            approved(ben, request)
    else:
        wanted = State.APPROVED if needed == 1 else State.WAITING
        assert approved(ben, request).state is wanted


# ------------------------------------------------------------------------------ who


def test_nobody_decides_on_their_own_request(deck: Deck, model: str, ben: Desk) -> None:
    request = waiting(ben, model, 1)
    for decide in (requests.approve, requests.reject):
        with pytest.raises(NotAllowed, match="You asked for it"):
            decide(ben, request.id, "Mine.", binding=binding(request))
    assert requests.may(ben, request).why_not["approve"].startswith("You asked for it")


def test_nobody_decides_on_the_version_that_they_registered(
    deck: Deck, model: str, anna: Desk, ben: Desk
) -> None:
    version = deck.mlflow.registry.version(model, 1)
    note_registered(deck.ledger, deck.mlflow.address, ben.actor, version)
    request = waiting(anna, model, 1)
    assert request.registrant == "ben"
    with pytest.raises(NotAllowed, match="You registered v1"):
        approved(ben, request)
    assert approved(person(deck, "carl", FREE), request).state is State.APPROVED


def test_a_tag_makes_nobody_the_registrant_and_a_number_used_again_neither(
    deck: Deck, model: str
) -> None:
    registry, store = deck.mlflow.registry, deck.mlflow.address
    registry.set_version_tag(model, 4, "modeldeck.registered_by", "somebody else")
    assert registrant(deck.ledger, registry.version(model, 4), store) is None
    note_registered(deck.ledger, store, Actor("ben"), registry.version(model, 4))
    assert registrant(deck.ledger, registry.version(model, 4), store) == "ben"
    for other in ({"source": "elsewhere"}, {"created_at": now()}):
        again = replace(registry.version(model, 4), **other)  # type: ignore[arg-type]
        assert registrant(deck.ledger, again, store) is None


def test_the_database_itself_refuses_who_decides_for_themselves(
    anna: Desk, ben: Desk, model: str
) -> None:
    request = waiting(anna, model, 1)
    row = {
        "id": new_id(), "request_id": request.id, "requester": "anna", "registrant": "carl",
        "verdict": "approve", "comment": "", "binding": "", "at": now(),
    }  # fmt: skip
    for name in ("anna", "carl"):
        with pytest.raises(IntegrityError), ben.ledger.transaction("forging") as connection:
            connection.execute(decisions.insert().values(**row, actor=name, own_allowed=False))
    approved(ben, request)
    with pytest.raises(IntegrityError), ben.ledger.transaction("forging") as connection:
        connection.execute(decisions.insert().values(**row, actor="ben", own_allowed=False))
    assert [d.actor for d in requests.get(anna, request.id).decisions] == ["ben"]


def test_one_who_is_alone_approves_their_own_and_the_record_says_so(deck: Deck, model: str) -> None:
    local = replace(deck.desk, rules=production())
    request = approved(local, waiting(local, model, 1))
    assert request.approvals_needed == 1
    assert request.decisions[0].own
    assert carry_out(local, request).complete
    query = sa.select(record.c.body).where(record.c.action == "request.approved")
    with deck.ledger.transaction("looking") as connection:
        assert '"own":true' in connection.execute(query).scalar_one()


def test_rights_are_asked_anew_at_every_action(deck: Deck, model: str, anna: Desk) -> None:
    rights = Rights()
    ben = person(deck, "ben", FREE, rights)
    request = waiting(anna, model, 1)
    rights.levels["ben"] = Permission.NONE
    acts = {
        "approve": partial(approved, ben, request),
        "comment": partial(requests.comment, ben, request.id, "Hm."),
        "read": partial(requests.get, ben, request.id),
        "ask": partial(asked, ben, model, 2),
    }
    for act in acts.values():
        with pytest.raises(NotAllowed):
            act()
    assert requests.waiting_for(ben) == []
    assert requests.listed(ben) == []
    rights.levels["ben"] = Permission.READ
    assert [r.id for r in requests.waiting_for(ben)] == [request.id]
    assert [r.id for r in requests.listed(ben)] == [request.id]
    demoted = replace(ben, rules=production(decide=("carl",)))
    with pytest.raises(NotAllowed, match="do not name you"):
        approved(demoted, request)
    assert approved(ben, request).state is State.APPROVED


# ------------------------------------------------------------------------------ bound


def test_an_approval_of_something_else_than_is_there_is_refused(
    anna: Desk, ben: Desk, model: str
) -> None:
    request = waiting(anna, model, 1)
    for forged in ("", "0" * 64, binding(replace(request, version=2))):
        with pytest.raises(Conflict, match="what was checked is another"):
            requests.approve(ben, request.id, "", binding=forged)
    requests.recheck(anna, request.id)
    warned = cheap_check(anna, ("card_complete", "warn", Status.FAIL))
    again = requests.checked(anna.ledger, request.id, warned(request))
    with pytest.raises(Conflict, match="what was checked is another"):
        approved(ben, request)
    assert approved(ben, again).state is State.APPROVED


def test_approvals_of_what_is_found_otherwise_later_are_forgotten(deck: Deck, model: str) -> None:
    rules = production(approvals=2, unknown_registrant=UnknownRegistrant.ALLOW)
    anna, ben = person(deck, "anna", rules), person(deck, "ben", rules)
    request = approved(ben, waiting(anna, model, 1))
    requests.recheck(anna, request.id)
    same = requests.checked(anna.ledger, request.id, cheap_check(anna)(request))
    assert same.approvals == 1
    requests.recheck(anna, request.id)
    other = cheap_check(anna, ("card_complete", "warn", Status.FAIL))(request)
    assert requests.checked(anna.ledger, request.id, other).approvals == 0


@pytest.mark.parametrize("change", ["holder", "archived", "alias", "gate", "gone", "late"])
def test_what_changed_since_the_approval_must_be_asked_again(
    anna: Desk, ben: Desk, model: str, change: str
) -> None:
    registry, gateway = anna.mlflow.registry, anna.mlflow.gateway
    request = approved(ben, waiting(anna, model, 1))
    check, hold = cheap_check(ben), model_lease
    words = {
        "holder": "was nothing, and is v3 now", "archived": "v1 was in None and is in Archived",
        "alias": "is v3 now", "gate": "gates that the desk's rules name are others",
        "gone": "no version 1", "late": "v3 is in Production now",
    }  # fmt: skip
    if change == "holder":
        registry.set_stage(model, 3, "Production")
    elif change == "archived":
        registry.set_stage(model, 1, "Archived")
    elif change == "alias":
        registry.set_alias(model, "champion", 3)
    elif change == "gone":
        gateway.write("deleting", lambda c: c.delete_model_version(model, "1"))
    elif change == "gate":
        check = cheap_check(ben, ("card_complete", "warn", Status.FAIL))
    else:  # after the check and before the lease: nothing slips in between
        found = check(request)
        registry.set_stage(model, 3, "Production")
        check = lambda _request: found  # noqa: E731
    with pytest.raises(Conflict, match="It must be asked again") as caught:
        requests.carry_out(ben, request.id, check, hold=hold)
    assert words[change] in caught.value.what
    request = requests.get(anna, request.id)
    assert request.state is State.OUTDATED
    assert words[change] in request.message
    assert lines(anna, request)[-1] == "request.outdated"
    assert "transition.begun" not in lines(anna, request)


def test_rules_that_became_stricter_count_at_once(deck: Deck, model: str, anna: Desk) -> None:
    ben = person(deck, "ben", FREE)
    request = approved(ben, waiting(anna, model, 1))
    strict = replace(ben, rules=production(approvals=2, unknown_registrant=UnknownRegistrant.ALLOW))
    with pytest.raises(Conflict, match="2 must approve now, and 1 did"):
        carry_out(strict, request)
    request = requests.get(anna, request.id)
    assert request.state is State.WAITING
    assert "2 must approve now, and 1 did" in request.message
    assert lines(anna, request)[-1] == "request.waits"
    assert requests.tally(strict, request) == (1, 2)
    nobody = replace(strict, rules=production(decide=("carl", "dora"), approvals=2))
    assert requests.tally(nobody, request) == (0, 3)  # one more: nobody knows who registered it
    carl = person(deck, "carl", strict.rules)
    assert carry_out(strict, approved(carl, request)).complete


GATED = Rules(
    rules=(
        Rule("*", "Production", Policy(decide=("ben",), approvals=1)),
        Rule("*", "Staging", Policy(ask=("group:team",), gates=(GateUse("age", Level.BLOCK),))),
    ),
    groups={"team": ("edda",)},
)
"""Nobody approves Staging, and a gate may block it."""


@pytest.mark.parametrize(
    ("lost", "why"), [("right", "has no EDIT right"), ("rule", "do not let edda ask")]
)
def test_what_nobody_approves_is_moved_for_who_may_still_move_it(
    deck: Deck, model: str, lost: str, why: str
) -> None:
    rights = Rights({"edda": Permission.EDIT})
    edda = person(deck, "edda", GATED, rights)
    edda = replace(edda, actor=replace(edda.actor, groups=frozenset({"team"})))
    worker = replace(edda, actor=Actor("modeldeck", "worker"))
    blocked = ("age", "block", Status.FAIL)
    request = waiting(edda, model, 1, "Staging", (blocked,))
    assert request.state is State.BLOCKED
    requests.recheck(edda, request.id)
    request = requests.checked(edda.ledger, request.id, cheap_check(edda)(request))
    assert request.state is State.APPROVED
    if lost == "right":
        rights.levels["edda"] = Permission.READ
    else:
        worker = replace(worker, rules=replace(GATED, groups={"team": ("somebody",)}))
    with pytest.raises(Conflict, match=why):
        carry_out(worker, request)
    assert requests.get(edda, request.id).state is State.OUTDATED
    assert read_state(deck.mlflow, model).version(1).stage == "None"


def test_what_nobody_approves_is_carried_out_while_who_asked_may_move_it(
    deck: Deck, model: str
) -> None:
    edda = person(deck, "edda", GATED, Rights({"edda": Permission.EDIT}))
    edda = replace(edda, actor=replace(edda.actor, groups=frozenset({"team"})))
    request = waiting(edda, model, 1, "Staging")
    assert carry_out(replace(edda, actor=Actor("modeldeck", "worker")), request).complete


def test_the_alias_of_production_is_not_taken_on_the_way_to_elsewhere(
    deck: Deck, model: str
) -> None:
    """A store from elsewhere: v1 is in Staging by its stage, and clients load it as champion."""
    deck.mlflow.registry.set_stage(model, 1, "Staging")
    deck.mlflow.registry.set_alias(model, "champion", 1)
    edda = person(deck, "edda", FREE, Rights({"edda": Permission.EDIT}))
    for version, rung in ((1, "None"), (2, "Staging")):
        with pytest.raises(NotAllowed, match="decided by others"):
            requests.move(edda, Wanted(model, version, rung))
        request = waiting(edda, model, version, rung)
        assert (request.state, request.approvals_needed) == (State.WAITING, 1)
        assert requests.may(person(deck, "ben", FREE), request).approve
        requests.withdraw(edda, request.id)
    assert requests.move(edda, Wanted(model, 3, "Staging", archive_existing=False)).complete
    assert read_state(deck.mlflow, model).carrier("champion") == 1


# ------------------------------------------------------------------------------ gates


def test_what_a_gate_blocks_is_checked_again_or_the_glass_is_broken(
    deck: Deck, model: str, anna: Desk, ben: Desk
) -> None:
    request = waiting(anna, model, 1, verdicts=BLOCKING)
    assert request.state is State.BLOCKED
    with pytest.raises(Conflict, match="A gate blocks it"):
        approved(ben, request)
    requests.recheck(anna, request.id)
    fixed = requests.checked(anna.ledger, request.id, cheap_check(anna)(request))
    assert fixed.state is State.WAITING
    requests.recheck(anna, request.id)
    blocked = requests.checked(anna.ledger, request.id, cheap_check(anna, *BLOCKING)(request))
    with pytest.raises(NotAllowed, match="administrator"):
        requests.break_glass(ben, request.id, "Now.", binding=binding(blocked))
    root = person(deck, "root", FREE, administrator=True)
    with pytest.raises(InvalidInput, match="needs a reason"):
        requests.break_glass(root, request.id, "", binding=binding(blocked))
    broken = requests.break_glass(root, request.id, "Outage.", binding=binding(blocked))
    assert (broken.state, broken.reason) == (State.APPROVED, "Outage.")
    outcome = requests.carry_out(root, request.id, cheap_check(root, *BLOCKING))
    assert outcome.transition.path == "break_glass"
    assert "root broke the glass: Outage." in requests.get(anna, request.id).message
    assert "request.broke_glass" in lines(anna, request)


# ------------------------------------------------------------------------------ others


def test_a_second_request_for_the_same_is_refused_and_a_newer_one_takes_its_place(
    anna: Desk, ben: Desk, model: str
) -> None:
    first = waiting(anna, model, 1)
    with pytest.raises(Conflict, match=r"open request for v1 → Production already: anna"):
        asked(ben, model, 1)
    of_ben = waiting(ben, model, 3)
    second = waiting(anna, model, 2)
    assert requests.get(anna, first.id).state is State.SUPERSEDED
    assert requests.get(anna, of_ben.id).state is State.WAITING
    assert carry_out(ben, approved(ben, second)).complete
    assert requests.get(anna, of_ben.id).state is State.OUTDATED
    with pytest.raises(Conflict, match="is in Production already"):
        asked(anna, model, 2)


def test_withdrawn_by_whoever_asked_or_an_administrator(
    deck: Deck, anna: Desk, ben: Desk, model: str
) -> None:
    request = waiting(anna, model, 1)
    with pytest.raises(NotAllowed, match="Only anna"):
        requests.withdraw(ben, request.id)
    assert requests.withdraw(anna, request.id, "Later.").state is State.WITHDRAWN
    root = person(deck, "root", FREE, administrator=True)
    assert requests.withdraw(root, asked(anna, model, 1).id).state is State.WITHDRAWN


def test_what_waited_too_long_is_expired_also_where_no_timer_ran(
    anna: Desk, ben: Desk, model: str
) -> None:
    late, other = waiting(anna, model, 1), waiting(ben, model, 2)
    age(anna.ledger, late)
    with pytest.raises(Conflict, match="expired"):
        approved(ben, late)
    assert requests.get(anna, late.id).state is State.EXPIRED
    ready = approved(person_carl(anna), other)
    age(anna.ledger, ready)
    assert [r.id for r in requests.expire(anna)] == [ready.id]
    assert requests.expire(anna) == []
    with pytest.raises(Conflict, match="expired"):
        carry_out(ben, ready)
    assert lines(anna, ready)[-1] == "request.expired"


def person_carl(desk: Desk) -> Desk:
    return replace(desk, actor=Actor("carl", "mlflow"))


def test_who_decided_on_an_old_view_of_the_model_cannot_ask(anna: Desk, model: str) -> None:
    seen = look(anna, model, 1)
    anna.mlflow.registry.set_stage(model, 2, "Production")
    with pytest.raises(Conflict, match="v2 is in Production now"):
        requests.ask(anna, model, 1, "Production", "Better.", seen=seen)
    with pytest.raises(NotFound):
        requests.get(anna, new_id())


def test_what_somebody_did_meanwhile_without_modeldeck_needs_no_decision(
    anna: Desk, model: str
) -> None:
    request = asked(anna, model, 1)
    registry = anna.mlflow.registry
    registry.set_stage(model, 1, "Production")
    registry.set_alias(model, "champion", 1)
    registry.set_version_tag(model, 1, anna.rules.ladder.tag, "Production")
    request = requests.checked(anna.ledger, request.id, cheap_check(anna)(request))
    assert request.state is State.OUTDATED
    assert "is in Production already" in request.message
    assert lines(anna, request)[-1] == "request.outdated"


# ------------------------------------------------------------------------------ back and archived


def test_a_decider_rolls_back_with_one_click_and_others_ask_for_it(
    anna: Desk, ben: Desk, model: str
) -> None:
    with pytest.raises(NotFound, match="knows no version"):
        back(ben, model, 1)
    promote(anna, ben, model, 1)
    promote(anna, ben, model, 2)
    of_anna = back(anna, model, 1)
    of_anna = requests.checked(anna.ledger, of_anna.id, cheap_check(anna)(of_anna))
    assert (of_anna.kind, of_anna.version, of_anna.state) == (Kind.ROLLBACK, 1, State.WAITING)
    requests.withdraw(anna, of_anna.id)
    # Not even a gate keeps what did no harm from coming back.
    of_ben = back(ben, model, 1, "Errors since noon.")
    check = cheap_check(ben, *BLOCKING)
    of_ben = requests.checked(ben.ledger, of_ben.id, check(of_ben))
    assert (of_ben.state, of_ben.decisions[0].own) == (State.APPROVED, True)
    outcome = requests.carry_out(ben, of_ben.id, check)
    assert outcome.transition is not None
    assert outcome.transition.path == "rollback"
    assert in_production(ben, model) == [1]


def test_the_way_back_is_to_the_version_that_was_named(anna: Desk, ben: Desk, model: str) -> None:
    for version in (1, 2):
        promote(anna, ben, model, version)
    seen = look(ben, model, 1)
    promote(anna, ben, model, 3)
    with pytest.raises(Conflict, match="v3 was moved to Production by ben"):
        requests.roll_back(ben, model, "Production", version=1, seen=seen)
    with pytest.raises(Conflict, match="that is v2 by now"):
        back(ben, model, 1)
    assert back(ben, model, 2).version == 2


def test_whoever_registered_a_version_does_not_bring_it_back_alone(
    anna: Desk, ben: Desk, model: str
) -> None:
    first = anna.mlflow.registry.version(model, 1)
    note_registered(anna.ledger, anna.mlflow.address, ben.actor, first)
    promote(anna, person_like(ben, "carl"), model, 1)
    promote(anna, ben, model, 2)
    request = back(ben, model, 1)
    request = requests.checked(ben.ledger, request.id, cheap_check(ben)(request))
    assert (request.state, request.approvals) == (State.WAITING, 0)
    assert approved(person_like(ben, "carl"), request).state is State.APPROVED


def test_artifacts_that_were_changed_do_not_come_back_by_asking(
    anna: Desk, ben: Desk, model: str
) -> None:
    for version in (1, 2):
        promote(anna, ben, model, version)
    request = back(ben, model, 1)
    found = cheap_check(ben)(request)
    altered = replace(found, bound=replace(found.bound, digest="0" * 64))
    request = requests.checked(ben.ledger, request.id, altered)
    assert (request.state, request.approvals) == (State.WAITING, 0)
    assert "are not what they were" in request.message


def person_like(desk: Desk, name: str) -> Desk:
    return replace(desk, actor=replace(desk.actor, name=name))


def test_what_a_rollback_was_approved_for_is_what_its_first_check_found(
    deck: Deck, model: str
) -> None:
    rules = production(approvals=2, unknown_registrant=UnknownRegistrant.ALLOW)
    one = production(approvals=1, unknown_registrant=UnknownRegistrant.ALLOW)
    anna, ben = person(deck, "anna", one), person(deck, "ben", one)
    promote(anna, ben, model, 1)
    promote(anna, ben, model, 2)
    ben = person(deck, "ben", rules)
    request = back(ben, model, 1)
    request = requests.checked(ben.ledger, request.id, cheap_check(ben)(request))
    assert (request.state, request.approvals) == (State.WAITING, 1)
    requests.recheck(ben, request.id)
    found = cheap_check(ben)(request)
    other = replace(found, bound=replace(found.bound, digest="0" * 64))
    request = requests.checked(ben.ledger, request.id, other)
    assert (request.state, request.approvals) == (State.WAITING, 0)


def test_what_took_the_number_of_an_earlier_holder_is_no_earlier_holder(
    anna: Desk, ben: Desk, model: str
) -> None:
    promote(anna, ben, model, 1)
    promote(anna, ben, model, 2)
    request = back(anna, model, 1)
    assert request.version == 1
    requests.withdraw(anna, request.id)
    registry = anna.mlflow.registry
    anna.mlflow.gateway.write("deleting", lambda c: c.delete_registered_model(model))
    registry.create_model(model)
    registry.create_version(model, "s3://models/of-somebody-else")
    with pytest.raises(NotFound, match="knows no version"):
        back(anna, model, 1)


def test_leaving_production_takes_as_many_as_reaching_it(
    deck: Deck, anna: Desk, ben: Desk, model: str
) -> None:
    promote(anna, ben, model, 1)
    editor = person(deck, "anna", FREE, Rights({"anna": Permission.EDIT}))
    with pytest.raises(NotAllowed, match="decided by others"):
        requests.move(editor, Wanted(model, 1, "Archived"))
    with pytest.raises(NotAllowed, match="moves with a request for Production"):
        requests.set_alias(editor, model, "champion", 2, seen=1)
    with pytest.raises(NotAllowed, match="moves with a request for Production"):
        requests.remove_alias(editor, model, "champion", 1)
    request = waiting(anna, model, 1, "Archived")
    assert (request.kind, request.approvals_needed) == (Kind.ARCHIVE, 1)
    assert carry_out(ben, approved(ben, request)).complete
    assert in_production(anna, model) == []


def test_what_nobody_decides_is_moved_at_once_by_whoever_may_edit(deck: Deck, model: str) -> None:
    reader = person(deck, "anna", FREE)
    editor = person(deck, "anna", FREE, Rights({"anna": Permission.EDIT}))
    with pytest.raises(NotAllowed, match="EDIT"):
        requests.move(reader, Wanted(model, 1, "Staging"))
    with pytest.raises(NotAllowed, match="EDIT"):
        asked(reader, model, 1, "Staging")
    done = requests.move(editor, Wanted(model, 1, "Staging"))
    assert done.transition is not None
    assert (done.transition.path, done.transition.actor) == ("direct", "anna")
    with pytest.raises(NotAllowed, match="ask for it"):
        requests.move(editor, Wanted(model, 1, "Production"))
    assert requests.set_alias(editor, model, "blue", 1, seen=None).complete
    assert requests.remove_alias(editor, model, "blue", 1).complete
    # Asked for all the same, it is approved by the check alone.
    assert waiting(editor, model, 2, "Staging").state is State.APPROVED


def test_one_who_is_alone_moves_at_once_unless_a_gate_can_block(deck: Deck, model: str) -> None:
    local = replace(deck.desk, rules=FREE)
    assert requests.move(local, Wanted(model, 1, "Production")).complete
    gates = (GateUse("metric_threshold", Level.BLOCK),)
    (rule,) = FREE.rules
    gated = Rules(rules=(Rule("*", "Production", replace(rule.policy, gates=gates)),))
    with pytest.raises(NotAllowed, match="ask for it"):
        requests.move(replace(local, rules=gated), Wanted(model, 2, "Production"))


# ------------------------------------------------------------------------------ broken off


def test_a_model_that_is_taken_leaves_the_request_approved(
    anna: Desk, ben: Desk, model: str
) -> None:
    request = approved(ben, waiting(anna, model, 1))
    name = f"model:{ben.mlflow.address}:{model}"
    taken = leases.take(ben.ledger, name, "somebody", 60)
    assert taken is not None
    with pytest.raises(Busy):
        carry_out(ben, request, hold=partial(model_lease, wait=0.2))
    again = requests.get(ben, request.id)
    assert again.state is State.APPROVED
    assert [d.used_by for d in again.decisions] == [None]
    leases.give_back(ben.ledger, taken)
    assert carry_out(ben, again).complete


def test_to_what_could_not_be_hashed_no_approval_is_bound(
    anna: Desk, ben: Desk, model: str
) -> None:
    def unread(request: Request) -> Any:
        found = cheap_check(anna)(request)
        return replace(found, bound=replace(found.bound, digest="", digest_of=""))

    request = asked(anna, model, 1)
    request = requests.checked(anna.ledger, request.id, unread(request))
    assert request.state is State.BLOCKED
    assert "could not be read" in request.message
    with pytest.raises(Conflict):
        approved(ben, request)
    requests.recheck(anna, request.id)
    again = requests.checked(anna.ledger, request.id, cheap_check(anna)(request))
    assert (again.state, again.message) == (State.WAITING, "")
    # What only leaves the ladder may be gone already.
    edda = replace(anna, actor=Actor("edda", "oidc"), permissions=Rights({"edda": Permission.EDIT}))
    leaving = asked(edda, model, 2, "Archived")
    leaving = requests.checked(anna.ledger, leaving.id, unread(leaving))
    assert leaving.state is not State.BLOCKED


def test_what_is_overdue_stands_in_nobodys_way(anna: Desk, model: str) -> None:
    old = waiting(anna, model, 1)
    age(anna.ledger, old)
    new = asked(anna, model, 1)
    assert requests.get(anna, old.id).state is State.EXPIRED
    assert new.state is State.CHECKING


def test_a_rollback_that_is_checked_again_keeps_the_approval_of_whoever_asked(
    deck: Deck, model: str
) -> None:
    rules = production(
        decide=("ben", "carl"), approvals=2, unknown_registrant=UnknownRegistrant.ALLOW
    )
    anna, ben = person(deck, "anna", FREE), person(deck, "ben", rules)
    for version in (1, 2):
        promote(anna, person(deck, "carl", FREE), model, version)
    request = back(ben, model, 1)
    first = cheap_check(ben, ("age", "warn", Status.PASS))(request)
    request = requests.checked(ben.ledger, request.id, first)
    requests.recheck(ben, request.id)
    later = cheap_check(ben, ("age", "warn", Status.FAIL))(request)
    request = requests.checked(ben.ledger, request.id, later)
    assert [d.actor for d in request.decisions] == ["ben"]
    assert approved(person(deck, "carl", rules), request).state is State.APPROVED


def test_what_was_compared_just_before_stands_in_the_record(
    anna: Desk, ben: Desk, model: str
) -> None:
    request = approved(ben, waiting(anna, model, 1))
    with anna.ledger.transaction("as if hashed") as connection:
        assert request.bound is not None
        bound = {**asdict(request.bound), "digest_of": "content"}
        connection.execute(request_table.update().values(bound=bound))
        fingerprint = binding(replace(request, bound=replace(request.bound, digest_of="content")))
        connection.execute(decisions.update().values(binding=fingerprint))

    def too_large(found: Request) -> Any:
        seen = cheap_check(ben)(found)
        same = replace(seen.bound, digest_of="content")
        return replace(seen, bound=same, evidence={"compared": "listing"})

    requests.carry_out(ben, request.id, too_large)
    done = requests.get(ben, request.id)
    assert "names and sizes were compared" in done.message
    (line,) = chain.lines(ben.ledger, request_id=request.id, action="request.done")
    assert line.entry.details["compared"] == "listing"


def test_whoever_comes_second_is_told_that_it_was_done(anna: Desk, ben: Desk, model: str) -> None:
    request = approved(ben, waiting(anna, model, 1))

    def overtaken(found: Request) -> Any:
        carry_out(ben, request)  # the worker, while the page still looked
        return cheap_check(ben)(found)

    with pytest.raises(Conflict, match="Somebody else was quicker: this request is done"):
        requests.carry_out(ben, request.id, overtaken)
    assert requests.get(ben, request.id).state is State.DONE


def forge_approved(desk: Desk, request: Request) -> None:
    """Write into the rows what no use case would."""
    with desk.ledger.transaction("forging") as connection:
        connection.execute(
            request_table.update()
            .where(request_table.c.id == request.id)
            .values(state=State.APPROVED, closed_at=None)
        )


def test_an_approval_that_was_used_is_not_used_again_whatever_the_rows_say(
    anna: Desk, ben: Desk, model: str
) -> None:
    request = approved(ben, waiting(anna, model, 1))
    carry_out(ben, request)
    registry = ben.mlflow.registry  # all is put back as it was when it was approved
    registry.set_stage(model, 1, "None")
    registry.delete_alias(model, "champion")
    registry.delete_version_tag(model, 1, ben.rules.ladder.tag)
    forge_approved(ben, request)
    with pytest.raises(Conflict, match=r"1 must approve now, and 0 did"):
        carry_out(ben, request)
    forge_approved(ben, request)
    with ben.ledger.transaction("forging") as connection:
        connection.execute(decisions.update().values(used_by=None))
    with pytest.raises(Conflict, match="used already"):
        carry_out(ben, request)
    assert requests.get(ben, request.id).state is State.OUTDATED
    assert in_production(ben, model) == []


def test_a_request_whose_change_was_taken_back_says_so(anna: Desk, ben: Desk, model: str) -> None:
    request = approved(ben, waiting(anna, model, 1))
    carry_out(ben, request)
    with ben.ledger.transaction("as if it had been killed") as connection:
        connection.execute(
            transitions.update()
            .where(transitions.c.request_id == request.id)
            .values(state=Found.APPLYING, after=None)
        )
        connection.execute(
            request_table.update()
            .where(request_table.c.id == request.id)
            .values(state=State.APPLYING, closed_at=None)
        )
    ben.mlflow.registry.delete_alias(model, "champion")
    ben.mlflow.gateway.write(
        "deleting", lambda c: c.delete_model_version_tag(model, "1", ben.rules.ladder.tag)
    )
    age(ben.ledger, request)  # what was approved no longer holds: it is not finished
    time_passes(ben.ledger)
    (settled,) = requests.settle(ben)
    assert settled.id == request.id
    done = requests.get(ben, request.id)
    assert done.state is State.FAILED
    assert "taken back afterwards: v1 → None" in done.message
    assert in_production(ben, model) == []
    assert lines(ben, request)[-2:] == ["transition.undone", "request.failed"]
    assert requests.settle(ben) == []


def test_a_lost_reply_leaves_the_request_to_be_settled(anna: Desk, ben: Desk, model: str) -> None:
    request = approved(ben, waiting(anna, model, 1))
    real = type(ben.service.registry).set_alias

    def lose(self: Any, *values: Any) -> None:
        raise OutcomeUnknown("No reply came.", "Look.")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(ben.service.registry), "set_alias", lose)
        with pytest.raises(OutcomeUnknown):
            carry_out(ben, request)
    assert type(ben.service.registry).set_alias is real
    assert requests.get(ben, request.id).state is State.APPLYING
    assert requests.settle(ben) == []  # its lease lives on: the write may still land
    time_passes(ben.ledger)
    assert [r.id for r in requests.settle(ben)] == [request.id]
    assert requests.get(ben, request.id).state is State.DONE
    assert in_production(ben, model) == [1]
