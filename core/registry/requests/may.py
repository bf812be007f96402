"""Who may do what with a request: pure decisions over plain data.

The rules of today say who may decide. How many must approve is the larger of what the rules said
when it was asked and what they say now: rules that became stricter count at once, rules that became
laxer count for new requests.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.people import Actor, Permission
from core.registry.ladder import Ladder
from core.registry.policy import Policy, Rules, UnknownRegistrant
from core.registry.requests.nouns import Choice, Decision, Kind, Request, State
from core.texts import t

ACTIONS = ("comment", "withdraw", "approve", "reject", "break_glass", "recheck")
LOCAL = "local"


@dataclass(frozen=True)
class Rights:
    """What one person may do with one request now."""

    comment: bool
    withdraw: bool
    approve: bool
    reject: bool
    break_glass: bool
    recheck: bool
    why_not: Mapping[str, str] = field(default_factory=dict)
    """Action → the reason in plain words, for each that is not allowed."""


def policy_for(
    rules: Rules, model: str, standing: str, rung: str, kind: Kind, losing: Iterable[str] = ()
) -> Policy:
    """What holds for moving a version from ``standing`` to ``rung``.

    On the way up the rung that is reached decides. Leaving a rung downwards, or for a rung that
    asks nobody, needs as many approvals as reaching it, by the same people: else whoever may
    archive could empty Production. Who registered the version matters only on the way up.

    Args:
        losing: rungs whose alias the move takes away (``plan.losing``); they are left by it too,
            wherever the stage says that the version stands.
    """
    policy = rules.policy(model, rung)
    here, free = _height(rules.ladder, rung), not policy.approvals
    for name in sorted({standing, *losing} - {rung}, key=lambda one: _height(rules.ladder, one)):
        left = rules.policy(model, name)
        if left.approvals and (free or here < _height(rules.ladder, name)):
            policy = replace(
                policy,
                approvals=max(left.approvals, policy.approvals),
                decide=left.decide,
                lives=left.lives,
                unknown_registrant=UnknownRegistrant.ALLOW,
            )
    if kind is not Kind.MOVE:
        policy = replace(policy, unknown_registrant=UnknownRegistrant.ALLOW)
    return policy


def _height(ladder: Ladder, rung: str) -> int:
    """How high a rung is; what is retired stands below all, wherever the ladder names it."""
    names = [r.name for r in ladder.rungs if r.name != ladder.retired]
    return names.index(rung) if rung in names else -1


def needed(policy: Policy, registrant: str | None, requester_kind: str) -> int:
    """How many must approve; 0 where nobody has to.

    One more where nobody knows who registered the version and the policy says so. With identity
    ``local`` there is nobody but one.
    """
    if requester_kind == LOCAL:
        return min(policy.approvals, 1)
    unknown = registrant is None and policy.unknown_registrant is UnknownRegistrant.ONE_MORE
    return policy.approvals + (1 if unknown and policy.approvals else 0)


def needed_now(request: Request, policy: Policy) -> int:
    """How many must approve by the rules of today and by those of the day it was asked."""
    today = needed(policy, request.registrant, request.requester_kind)
    return max(request.approvals_needed, today)


def counted(
    request: Request, fingerprint: str, policy: Policy | None = None, rules: Rules | None = None
) -> tuple[Decision, ...]:
    """The approvals that hold for what is there: given to it as it is, and not used.

    Args:
        policy: what the rules say today (``policy_for``); an approval of somebody whom they name no
            longer does not count.
        rules: say who is in which group; None where one is alone and need not be named.
    """
    return tuple(
        d
        for d in request.decisions
        if d.choice is not Choice.REJECT
        and d.binding == fingerprint
        and d.used_by is None
        and (policy is None or rules is None or _still_decides(d, request, policy, rules))
    )


def _still_decides(decision: Decision, request: Request, policy: Policy, rules: Rules) -> bool:
    """Whether the rules of today still name whoever approved. Who is in a group of the provider's
    is known of those alone who are there: there the approval holds."""
    if decision.choice is Choice.BREAK_GLASS or request.requester_kind == LOCAL:
        return True
    who = Actor(decision.actor, request.requester_kind, rules.groups_of(decision.actor))
    groups = {name.removeprefix("group:") for name in policy.decide if name.startswith("group:")}
    return policy.may_decide(who) or not groups <= rules.groups.keys()


def after_check(request: Request, blocked: bool, approvals: int, need: int) -> State:
    """The state of a request that was just checked.

    A gate never blocks the way back: the earlier holder passed when it came, and a version that
    does harm must go.
    """
    if blocked and request.kind is not Kind.ROLLBACK:
        return State.BLOCKED
    return State.APPROVED if approvals >= need else State.WAITING


def after_decision(request: Request, choice: Choice, approvals: int, need: int) -> State:
    """The state after a decision; ``approvals`` counts it."""
    if choice is Choice.REJECT:
        return State.REJECTED
    if choice is Choice.BREAK_GLASS or approvals >= need:
        return State.APPROVED
    return request.state


def decides_by_asking(actor: Actor, policy: Policy, registrant: str | None) -> bool:
    """Whether asking for the way back is an approval of it: that of somebody who decides, and who
    did not register the version, unless there is nobody else."""
    others = actor.decides_alone or actor.name != registrant
    return policy.approvals > 0 and policy.may_decide(actor) and others


def own(request: Request, actor: Actor) -> bool:
    """Whether a decision of this person is about their own request or version."""
    return actor.name in (request.requester, request.registrant)


def rights(
    request: Request, actor: Actor, permission: Permission, policy: Policy, now: datetime
) -> Rights:
    """What a person may do with a request.

    Args:
        permission: the person's level on the model in MLflow.
        policy: what the rules say today (``policy_for``).
    """
    why_not = {}
    for action in ACTIONS:
        refusal = against(action, request, actor, permission, policy, now)
        if refusal is not None:
            why_not[action] = refusal.why
    return Rights(**{action: action not in why_not for action in ACTIONS}, why_not=why_not)


@dataclass(frozen=True)
class Refusal:
    """Why an action is refused."""

    why: str
    person: bool
    """Whether it is the person who may not; else it is not the time."""


def against(
    action: str,
    request: Request,
    actor: Actor,
    permission: Permission,
    policy: Policy,
    now: datetime,
) -> Refusal | None:
    """What speaks against an action of ``ACTIONS``: the person first, then the request's state."""
    if permission < Permission.READ:
        return Refusal(t("requests.not.read", model=request.model), person=True)
    for why in _person(action, request, actor, policy):
        return Refusal(why, person=True)
    for why in _time(action, request, actor, now):
        return Refusal(why, person=False)
    return None


def _person(action: str, request: Request, actor: Actor, policy: Policy) -> Iterator[str]:
    asked = actor.name == request.requester
    match action:
        case "withdraw" if not (asked or actor.administrator):
            yield t("requests.not.requester", requester=request.requester)
        case "recheck" if not (asked or actor.administrator or policy.may_decide(actor)):
            yield t("requests.not.concerned")
        case "break_glass" if not actor.administrator:
            yield t("requests.not.administrator")
        case "approve" | "reject":
            yield from _decider(action, request, actor, policy)


def _decider(action: str, request: Request, actor: Actor, policy: Policy) -> Iterator[str]:
    if not policy.may_decide(actor):
        yield t("requests.not.decider", rung=request.rung, model=request.model)
    if actor.decides_alone:
        return
    if actor.name == request.requester:
        yield t("requests.not.own_request")
    if actor.name == request.registrant:
        yield t("requests.not.own_version", version=request.version)
    if action == "approve" and _origin_blocks(request, policy):
        yield t("requests.not.unknown_registrant", version=request.version)


def _time(action: str, request: Request, actor: Actor, now: datetime) -> Iterator[str]:
    if action == "comment":
        return
    if not request.open:
        yield t("requests.not.closed", state=t(f"requests.state.{request.state}"))
    if request.state is State.APPLYING:
        yield t("requests.not.applying")
    if request.overdue(now):
        yield t("requests.not.expired")
    if action == "withdraw":
        return
    if action in ("approve", "reject") and any(d.actor == actor.name for d in request.decisions):
        yield t("requests.not.decided")
    if action == "reject":
        return
    if request.state is State.CHECKING:
        yield t("requests.not.checking")
    if request.state is State.APPROVED:
        yield t("requests.not.approved")
    if action == "approve" and request.state is State.BLOCKED:
        yield t("requests.not.blocked")


def _origin_blocks(request: Request, policy: Policy) -> bool:
    said = (policy.unknown_registrant, request.policy.unknown_registrant)
    return request.registrant is None and UnknownRegistrant.BLOCK in said
