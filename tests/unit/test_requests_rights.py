"""Who may do what with a request, and what an approval is bound to: decided over plain data."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.people import Actor, Permission
from core.registry.gates import Result, Status
from core.registry.ladder import Rung
from core.registry.plan import Seen, Step, StepKind
from core.registry.policy import Policy, Rule, Rules, UnknownRegistrant
from core.registry.requests.binding import binding, changed
from core.registry.requests.may import (
    ACTIONS,
    after_check,
    after_decision,
    counted,
    decides_by_asking,
    needed,
    needed_now,
    policy_for,
    rights,
)
from core.registry.requests.nouns import (
    OPEN,
    Bound,
    Checked,
    Choice,
    Decision,
    Kind,
    Request,
    State,
)

NOW = datetime(2026, 3, 3, 14, tzinfo=UTC)
POLICY = Policy(decide=("ben", "group:managers"), approvals=1)
BOUND = Bound(7, "models:/m-1", "d" * 64, "content", (5,), 5, "None", {"0:age": "pass"})
STEPS = (Step(StepKind.SET_STAGE, 7, "Production", "None"),)
REQUEST = Request(
    id="r", store="s", model="wine", version=7, kind=Kind.MOVE, rung="Production",
    archive_existing=True, requester="anna", requester_kind="mlflow", registrant="dora",
    comment="Better.", reason="", state=State.WAITING, message="", seen=Seen("None", (5,), 5),
    policy=POLICY, approvals_needed=1, bound=BOUND, evidence={},
    results=(Result("age", "block", Status.PASS, "Ten days."),), steps=STEPS, decisions=(),
    asked_at=NOW, checked_at=NOW, expires_at=NOW + timedelta(days=1), closed_at=None,
    transition_id=None,
)  # fmt: skip
ANNA, BEN, CARL, DORA = (Actor(n, "mlflow") for n in ("anna", "ben", "carl", "dora"))
MANAGER = Actor("emil", "oidc", frozenset({"managers"}))
ROOT = Actor("root", "mlflow", administrator=True)


def allowed(
    actor: Actor,
    request: Request = REQUEST,
    policy: Policy = POLICY,
    level: Permission = Permission.READ,
    at: datetime = NOW,
) -> set[str]:
    given = rights(request, actor, level, policy, at)
    may = {action for action in ACTIONS if getattr(given, action)}
    assert set(given.why_not) == set(ACTIONS) - may
    assert all(given.why_not.values())
    return may


def test_each_has_their_part() -> None:
    assert allowed(ANNA) == {"comment", "withdraw", "recheck"}
    assert allowed(BEN) == allowed(MANAGER) == {"comment", "approve", "reject", "recheck"}
    assert allowed(CARL) == {"comment"}
    assert allowed(DORA, policy=replace(POLICY, decide=("dora",))) == {"comment", "recheck"}
    assert allowed(ROOT) == {"comment", "withdraw", "recheck", "break_glass"}


@pytest.mark.parametrize("actor", [ANNA, BEN, CARL, DORA, MANAGER, ROOT])
def test_nobody_does_anything_without_the_right_to_read(actor: Actor) -> None:
    assert allowed(actor, level=Permission.NONE) == set()


@pytest.mark.parametrize("actor", [BEN, CARL])
def test_the_right_to_manage_makes_no_decider(actor: Actor) -> None:
    named = replace(POLICY, decide=("somebody",))
    assert "approve" not in allowed(actor, policy=named, level=Permission.MANAGE)


@pytest.mark.parametrize("state", [s for s in State if s not in OPEN] + [State.APPLYING])
def test_what_is_closed_or_under_way_is_only_commented_on(state: State) -> None:
    for actor in (ANNA, BEN, ROOT):
        assert allowed(actor, replace(REQUEST, state=state)) == {"comment"}


def test_what_is_overdue_is_only_commented_on() -> None:
    assert allowed(BEN, at=REQUEST.expires_at) == {"comment"}


def test_a_gate_that_blocks_leaves_rejecting_and_the_glass() -> None:
    blocked = replace(REQUEST, state=State.BLOCKED)
    assert allowed(BEN, blocked) == {"comment", "reject", "recheck"}
    assert "break_glass" in allowed(ROOT, blocked)
    checking = replace(REQUEST, state=State.CHECKING)
    assert allowed(BEN, checking) == {"comment", "reject"}
    assert allowed(ROOT, checking) == {"comment", "withdraw"}


def test_one_who_is_alone_decides_on_their_own() -> None:
    me = Actor("anna", "local", administrator=True)
    assert {"approve", "reject", "withdraw"} <= allowed(me, policy=replace(POLICY, decide=()))


def test_nobody_decides_twice() -> None:
    once = replace(REQUEST, decisions=(Decision("ben", Choice.APPROVE, "", NOW),))
    assert allowed(BEN, once) == {"comment", "recheck"}


def test_how_many_must_approve() -> None:
    assert needed(POLICY, "dora", "mlflow") == 1
    assert needed(POLICY, None, "mlflow") == 2
    for said in (UnknownRegistrant.ALLOW, UnknownRegistrant.BLOCK):
        assert needed(replace(POLICY, unknown_registrant=said), None, "mlflow") == 1
    assert needed(replace(POLICY, approvals=3), None, "local") == 1
    assert needed(Policy(), None, "mlflow") == 0
    assert needed_now(REQUEST, replace(POLICY, approvals=2)) == 2
    assert needed_now(replace(REQUEST, approvals_needed=3), POLICY) == 3


def test_the_rules_of_the_rung_that_is_left_hold_too() -> None:
    rules = Rules(rules=(Rule("*", "Production", POLICY),))
    left = policy_for(rules, "wine", "Production", "Archived", Kind.ARCHIVE)
    assert (left.approvals, left.decide) == (1, POLICY.decide)
    assert policy_for(rules, "wine", "Staging", "Archived", Kind.ARCHIVE).approvals == 0
    reached = policy_for(rules, "wine", "None", "Production", Kind.MOVE)
    assert reached == POLICY
    back = policy_for(rules, "wine", "Archived", "Production", Kind.ROLLBACK)
    assert needed(back, None, "mlflow") == 1


SCIENTISTS = Policy(decide=("group:scientists",), approvals=2)
MANAGERS = Policy(
    decide=("group:managers",), approvals=1, unknown_registrant=UnknownRegistrant.BLOCK
)
BOTH = Rules(rules=(Rule("*", "Staging", SCIENTISTS), Rule("*", "Production", MANAGERS)))


def test_on_the_way_up_the_rung_that_is_reached_decides() -> None:
    assert policy_for(BOTH, "wine", "Staging", "Production", Kind.MOVE) == MANAGERS
    assert policy_for(BOTH, "wine", "Archived", "Production", Kind.MOVE) == MANAGERS


@pytest.mark.parametrize("reached", ["Staging", "Archived", "None"])
def test_on_the_way_down_those_decide_who_decided_on_the_way_up(reached: str) -> None:
    down = policy_for(BOTH, "wine", "Production", reached, Kind.MOVE)
    assert down.decide == MANAGERS.decide
    assert down.approvals == (2 if reached == "Staging" else 1)


def test_a_rung_that_asks_nobody_is_no_way_round_the_one_that_is_left() -> None:
    rules = Rules(rules=(Rule("*", "Staging", SCIENTISTS),))
    up = policy_for(rules, "wine", "Staging", "Production", Kind.MOVE)
    assert (up.decide, up.approvals) == (SCIENTISTS.decide, 2)


def test_what_takes_the_alias_of_a_rung_leaves_it_too() -> None:
    """Clients load it by that alias, wherever its stage says that it stands."""
    for standing, reached in (("Staging", "None"), ("None", "Staging"), ("None", "None")):
        kept = policy_for(BOTH, "wine", standing, reached, Kind.MOVE)
        lost = policy_for(BOTH, "wine", standing, reached, Kind.MOVE, ["Production"])
        assert lost.decide == MANAGERS.decide
        assert lost.approvals == max(1, kept.approvals)
    assert policy_for(BOTH, "wine", "None", "Production", Kind.MOVE, ["Staging"]) == MANAGERS


def test_of_all_that_is_left_the_highest_decides() -> None:
    names = ("None", "Staging", "Production", "Frozen", "Archived")
    rungs = tuple(Rung(name, "None") for name in names)
    rules = replace(BOTH, ladder=replace(BOTH.ladder, rungs=rungs))
    lost = policy_for(rules, "wine", "Staging", "Frozen", Kind.MOVE, ["Production"])
    assert (lost.decide, lost.approvals) == (MANAGERS.decide, 2)


def test_asking_for_the_way_back_approves_it_but_not_by_who_registered_the_version() -> None:
    assert decides_by_asking(BEN, POLICY, None)
    assert decides_by_asking(BEN, POLICY, "dora")
    assert not decides_by_asking(BEN, POLICY, "ben")
    assert not decides_by_asking(ANNA, POLICY, None)
    assert not decides_by_asking(BEN, replace(POLICY, approvals=0), None)
    assert decides_by_asking(Actor("ben", "local"), POLICY, "ben")


def test_an_approval_of_somebody_who_decides_no_longer_does_not_count() -> None:
    mine = binding(REQUEST)
    given = (
        Decision("ben", Choice.APPROVE, "", NOW, binding=mine),
        Decision("emil", Choice.APPROVE, "", NOW, binding=mine),
        Decision("root", Choice.BREAK_GLASS, "", NOW, binding=mine),
    )
    request = replace(REQUEST, decisions=given)

    def holding(policy: Policy, rules: Rules) -> list[str]:
        return [d.actor for d in counted(request, mine, policy, rules)]

    listed = Rules(groups={"managers": ("emil",)})
    assert holding(POLICY, listed) == ["ben", "emil", "root"]
    assert holding(replace(POLICY, decide=("group:managers",)), listed) == ["emil", "root"]
    assert holding(POLICY, Rules(groups={"managers": ()})) == ["ben", "root"]
    # Who is in a group of the provider's is not known of those who are away.
    assert holding(POLICY, Rules()) == ["ben", "emil", "root"]
    alone = replace(request, requester_kind="local")
    nobody = replace(POLICY, decide=())
    assert len(counted(alone, mine, nobody, listed)) == 3


def test_states_after_a_check_and_after_a_decision() -> None:
    assert after_check(REQUEST, False, 0, 1) is State.WAITING
    assert after_check(REQUEST, True, 0, 1) is State.BLOCKED
    assert after_check(REQUEST, False, 0, 0) is State.APPROVED
    assert after_check(replace(REQUEST, kind=Kind.ROLLBACK), True, 1, 1) is State.APPROVED
    assert after_decision(REQUEST, Choice.APPROVE, 1, 2) is State.WAITING
    assert after_decision(REQUEST, Choice.APPROVE, 2, 2) is State.APPROVED
    assert after_decision(REQUEST, Choice.BREAK_GLASS, 1, 3) is State.APPROVED
    assert after_decision(REQUEST, Choice.REJECT, 0, 1) is State.REJECTED


def test_only_unused_approvals_of_what_is_there_count() -> None:
    mine = binding(REQUEST)
    given = (
        Decision("a", Choice.APPROVE, "", NOW, binding=mine),
        Decision("b", Choice.APPROVE, "", NOW, binding="0" * 64),
        Decision("c", Choice.APPROVE, "", NOW, binding=mine, used_by="t"),
        Decision("d", Choice.REJECT, "", NOW, binding=mine),
        Decision("e", Choice.BREAK_GLASS, "", NOW, binding=mine),
    )
    holding = counted(replace(REQUEST, decisions=given), mine)
    assert [d.actor for d in holding] == ["a", "e"]


OTHER_BOUND = {
    "version": 8, "source": "models:/m-2", "digest": "e" * 64, "digest_of": "listing",
    "holders": (), "carrier": None, "standing": "Staging", "gates": {"0:age": "fail"},
}  # fmt: skip


@pytest.mark.parametrize("part", OTHER_BOUND)
def test_every_part_of_what_is_bound_is_compared(part: str) -> None:
    other = replace(BOUND, **{part: OTHER_BOUND[part]})
    assert binding(replace(REQUEST, bound=other)) != binding(REQUEST)
    words = changed(REQUEST, Checked(other, {}, REQUEST.results, STEPS))
    assert len(words) == 1


def test_the_fingerprint_is_of_all_that_is_shown_and_of_nothing_else() -> None:
    same = Checked(BOUND, {}, REQUEST.results, STEPS)
    assert changed(REQUEST, same) == ()
    shown = {
        "id": "q", "model": "beer", "version": 8, "rung": "Staging", "archive_existing": False,
        "results": (), "steps": (),
    }  # fmt: skip
    for name, value in shown.items():
        assert binding(replace(REQUEST, **{name: value})) != binding(REQUEST)  # type: ignore[arg-type]
    decided = (Decision("ben", Choice.APPROVE, "", NOW),)
    assert binding(replace(REQUEST, decisions=decided)) == binding(REQUEST)
    assert changed(REQUEST, replace(same, steps=())) == (
        "Carrying it out would take other steps by now.",
    )
    assert changed(replace(REQUEST, bound=None), same) == ("it was never checked.",)
