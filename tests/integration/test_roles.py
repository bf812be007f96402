"""Roles × actions at the use cases: who may do what, cell by cell."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from core.errors import Conflict, NotAllowed, NotFound
from core.lifecycle import launch, permissions, running, supervisor
from core.people import Everything, Permission
from core.registry import requests
from core.registry.requests import Request, acting, asking, binding, direct
from tests.roles import ACTIONS, ROLES, Case, Role, World, found

# Columns are the roles of tests.roles, rows the actions: x may, . may not. What one asked for one
# may stop whatever became of one's rights, as long as one's account is there. Where no right is
# asked for, whose session is over is let through here: they get no deck to do it with, which is
# tested where people sign in.
SPECIFIED = """
                   nob rea use edi man dec bli ask mak adm ser rev exp
see_request         .   x   x   x   x   x   .   x   x   x   x   .   .
ask                 .   x   x   x   x   x   .   x   x   x   x   .   .
comment             .   x   x   x   x   x   .   x   x   x   x   .   .
withdraw_own        .   x   x   x   x   x   .   x   x   x   x   .   .
withdraw_other      .   .   .   .   .   .   .   .   .   x   .   .   .
recheck             .   .   .   .   .   x   .   x   x   x   .   .   .
approve             .   .   .   .   .   x   .   .   .   .   .   .   .
approve_own         .   .   .   .   .   .   .   .   .   .   .   .   .
reject              .   .   .   .   .   x   .   .   .   .   .   .   .
break_glass         .   .   .   .   .   .   .   .   .   x   .   .   .
roll_back           .   x   x   x   x   x   .   x   x   x   x   .   .
move                .   .   .   x   x   .   .   .   .   x   x   .   .
move_past           .   .   .   .   .   .   .   .   .   .   .   .   .
leave_past          .   .   .   .   .   .   .   .   .   .   .   .   .
set_alias           .   .   .   x   x   .   .   .   .   x   x   .   .
take_alias          .   .   .   .   .   .   .   .   .   .   .   .   .
register_version    .   .   .   x   x   .   .   .   .   x   x   .   .
register_model      .   .   .   x   x   .   .   .   .   x   x   .   .
create_model        .   .   .   .   .   .   .   .   .   x   .   .   .
describe            .   .   .   x   x   .   .   .   .   x   x   .   .
tag                 .   .   .   x   x   .   .   .   .   x   x   .   .
edit_card           .   .   .   x   x   .   .   .   .   x   x   .   .
start_endpoint      .   .   x   x   x   .   .   .   .   x   x   .   .
stop_own_endpoint   x   x   x   x   x   x   x   x   x   x   x   x   .
stop_endpoint       .   .   .   .   .   .   .   .   .   x   .   .   .
predict             .   .   x   x   x   .   .   .   .   x   x   .   .
launch_job          .   .   .   x   x   .   .   .   .   x   x   .   .
launch_into         .   .   .   x   x   .   .   .   .   x   x   .   .
stop_job            .   .   .   .   .   .   .   .   .   x   .   .   .
load_sample         .   .   .   .   .   .   .   .   .   x   .   .   .
settle              .   .   .   x   x   .   .   .   .   x   x   .   .
upload              x   x   x   x   x   x   x   x   x   x   x   x   .
start_worker        .   .   .   .   .   .   .   .   .   x   .   .   .
stop_worker         .   .   .   .   .   .   .   .   .   x   .   .   .
see_rights          .   .   .   .   .   x   x   x   x   x   .   x   x
"""


def cells() -> Iterator[tuple[str, Role, bool]]:
    """Action, role, and whether they may."""
    head, *rows = SPECIFIED.strip().splitlines()
    assert head.split() == [role.name[:3] for role in ROLES]
    for row in rows:
        action, *marks = row.split()
        assert len(marks) == len(ROLES), action
        for role, mark in zip(ROLES, marks, strict=True):
            yield action, role, mark == "x"


CELLS = tuple(cells())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("roles"))
    yield made
    made.close()


def may(world: World, action: str, role: Role) -> bool:
    """Whether the use case does it; anything but yes and "not allowed" rises."""
    try:
        ACTIONS[action](world.case(role))
    except NotAllowed:
        return False
    return True


def test_the_table_is_whole() -> None:
    assert {action for action, _, _ in CELLS} == set(ACTIONS)
    assert len(CELLS) >= 100


@pytest.mark.parametrize("action", ACTIONS)
def test_each_role(world: World, action: str) -> None:
    """One row of the table."""
    wanted = {role.name: allowed for a, role, allowed in CELLS if a == action}
    assert {role.name: may(world, action, role) for role in ROLES} == wanted


HELD_BY_THE_DATABASE = {
    "approve_own": {role.name for role in ROLES},
    "approve": {"asker", "maker"},
    "reject": {"asker", "maker"},
}
"""What nobody does although every check is taken out: decide on their own request or version."""


@pytest.mark.parametrize("action", ACTIONS)
def test_without_the_check_the_table_fails(
    world: World, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with the checks taken out everybody may do everything, but for what the
    database itself refuses."""

    def allow(*_: object) -> None:
        return None

    monkeypatch.setattr(world, "deck", replace(world.deck, permissions=Everything()))
    monkeypatch.setattr(acting, "against", allow)
    monkeypatch.setattr(asking, "require_asker", allow)
    monkeypatch.setattr(direct, "goes_directly", lambda *_: True)
    monkeypatch.setattr(launch, "_require_own", allow)
    monkeypatch.setattr(launch, "require_administrator", allow)
    monkeypatch.setattr(launch, "still_there", allow)
    monkeypatch.setattr(running, "require_administrator", allow)
    monkeypatch.setattr(supervisor, "require_administrator", allow)
    monkeypatch.setattr(permissions, "may_see_all", lambda *_: True)
    held = HELD_BY_THE_DATABASE.get(action, set())
    free = {role.name: may(world, action, role) for role in ROLES}
    assert free == {role.name: role.name not in held for role in ROLES}


@pytest.fixture
def case(world: World) -> Case:
    """A decider, who may approve."""
    return world.case(next(role for role in ROLES if role.name == "decider"))


def unchanged(case: Case, request: Request) -> bool:
    """Whether a request stands as it did."""
    return requests.get(case.deck.desk, request.id) == request


class TestForgedEvents:
    """What a browser sends is not believed: the use case looks at the request itself."""

    def test_a_binding_of_nothing(self, case: Case) -> None:
        made = case.prepared()
        for forged in ("", "0" * 64, binding(made).upper(), made.id):
            with pytest.raises(Conflict):
                requests.approve(case.deck.desk, made.id, binding=forged)
            with pytest.raises(Conflict):
                requests.reject(case.deck.desk, made.id, "no", binding=forged)
        assert unchanged(case, made)

    def test_the_binding_of_another_request(self, case: Case, world: World) -> None:
        made, other = case.prepared(), world.case(case.role).prepared()
        case.table.levels["decider"] = Permission.READ
        with pytest.raises(Conflict):
            requests.approve(case.deck.desk, made.id, binding=binding(other))
        with pytest.raises(Conflict):
            requests.approve(case.deck.desk, other.id, binding=binding(made))
        assert unchanged(case, made)
        assert unchanged(case, other)

    def test_what_was_seen_before_it_was_checked_again(self, case: Case) -> None:
        made = case.prepared()
        requests.recheck(case.deck.desk, made.id)
        found_now = found(case.deck, made)
        other = replace(found_now.bound, digest="another")
        again = requests.checked(case.deck.ledger, made.id, replace(found_now, bound=other))
        with pytest.raises(Conflict):
            requests.approve(case.deck.desk, made.id, binding=binding(made))
        assert unchanged(case, again)
        requests.approve(case.deck.desk, made.id, binding=binding(again))

    def test_before_it_was_checked(self, case: Case) -> None:
        made = case.ask(case.as_("somebody"))
        with pytest.raises(Conflict):
            requests.approve(case.deck.desk, made.id, binding=binding(made))
        assert unchanged(case, made)

    def test_a_closed_request(self, case: Case) -> None:
        other = case.as_("somebody")
        made = case.prepared(other)
        closed = requests.withdraw(other.desk, made.id)
        for call in (requests.approve, requests.reject):
            with pytest.raises(Conflict):
                call(case.deck.desk, made.id, "no", binding=binding(made))
        assert unchanged(case, closed)

    def test_twice(self, case: Case) -> None:
        made = case.prepared()
        done = requests.approve(case.deck.desk, made.id, binding=binding(made))
        for call in (requests.approve, requests.reject):
            with pytest.raises(Conflict):
                call(case.deck.desk, made.id, "no", binding=binding(made))
        assert unchanged(case, done)

    def test_a_request_that_is_not(self, case: Case) -> None:
        for forged in ("", "0" * 32, "' OR 1=1 --"):
            with pytest.raises(NotFound):
                requests.approve(case.deck.desk, forged, binding="x")

    def test_somebody_whose_button_is_not_drawn(self, world: World) -> None:
        """Nothing is drawn, and the event comes all the same."""
        reader = world.case(next(role for role in ROLES if role.name == "reader"))
        made = reader.prepared()
        rights = requests.may(reader.deck.desk, made)
        assert {rights.approve, rights.reject, rights.break_glass} == {False}
        for call in (requests.approve, requests.reject, requests.break_glass):
            with pytest.raises(NotAllowed):
                call(reader.deck.desk, made.id, "now", binding=binding(made))
        assert unchanged(reader, made)
