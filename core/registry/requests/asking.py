"""Ask that a version be moved."""

from core import formats
from core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from core.ledger import new_id, now
from core.ledger.chain import Entry, Line, append
from core.people import Permission
from core.people.permissions import require_model
from core.registry.applying import read_state
from core.registry.desk import Desk
from core.registry.heads import publish
from core.registry.origin import registrant
from core.registry.plan import (
    ModelState,
    Seen,
    Wanted,
    differences,
    losing,
    plan_transition,
    see,
)
from core.registry.policy import Policy
from core.registry.requests import rows
from core.registry.requests.acting import entry, present, text
from core.registry.requests.earlier import earlier_holder
from core.registry.requests.may import decides_by_asking, needed, policy_for
from core.registry.requests.nouns import OPEN, Choice, Kind, Request, State
from core.registry.timeline import timeline
from core.registry.transitions import conflict
from core.texts import t


def ask(
    desk: Desk,
    model: str,
    version: int,
    rung: str,
    comment: str,
    *,
    kind: Kind = Kind.MOVE,
    archive_existing: bool | None = None,
    seen: Seen,
) -> Request:
    """Ask that a version be moved to a rung; the worker checks it next.

    An older open request of the same person for the same rung and model is superseded. Those of
    others stay, and are outdated once one of them is carried out. On a rung for many versions
    requests do not touch one another.

    Args:
        archive_existing: whether what stands there is archived; None: as the rules say.
        seen: what the person saw (``plan.see``).

    Raises:
        NotAllowed: the person may not read the model, or the rules do not let them ask.
        NotFound, InvalidInput: no such model, version or rung; no comment.
        Conflict: something changed since they looked; the version is there already; or there is an
            open request for it, which is named.
    """
    if kind is Kind.ROLLBACK:  # no gate blocks it, so it is asked for by ``roll_back`` alone
        raise InvalidInput(t("requests.not_a_rollback"), field="kind")
    comment = text(comment, "requests.no_comment")
    asked = _wanted(desk, model, version, rung, comment, kind, archive_existing, seen)
    return _write(desk, asked)


def roll_back(
    desk: Desk, model: str, rung: str, comment: str = "", *, version: int, seen: Seen
) -> Request:
    """Ask that the version which stood on a rung before the present one be put back.

    Asked for by somebody who may decide and did not register that version, their asking is their
    approval: where one is enough, it is carried out once it was checked. No gate blocks it.

    Args:
        version: the earlier holder, as the person saw it named.
        seen: what else the person saw (``plan.see``).

    Raises:
        NotFound: the record knows no earlier holder.
        Conflict: another is the earlier holder by now; or as for ``ask``.
        NotAllowed: as for ``ask``.
    """
    require_model(desk.permissions, desk.actor, model, Permission.READ)
    ladder = desk.rules.ladder
    state = read_state(desk.mlflow, model)
    store = desk.mlflow.address
    told = timeline(desk.ledger, store, model)
    earlier = earlier_holder(desk.ledger, store, told, state, ladder.rung(rung), ladder)
    if earlier is None:
        raise NotFound(
            t("requests.no_earlier", model=model, rung=rung), t("requests.no_earlier_next")
        )
    said = text(comment) or t("requests.rollback_comment", version=version, rung=rung)
    asked = _wanted(desk, model, version, rung, said, Kind.ROLLBACK, True, seen)
    if version != earlier:
        raise Conflict(
            t("requests.rollback_other", version=version, earlier=earlier, rung=rung),
            t("registry.look_again"),
        )
    return _write(
        desk, asked, decides=decides_by_asking(desk.actor, asked.policy, asked.registrant)
    )


def _wanted(
    desk: Desk,
    model: str,
    version: int,
    rung_name: str,
    comment: str,
    kind: Kind,
    archive_existing: bool | None,
    seen: Seen,
) -> Request:
    """The request as it would be written, once nothing speaks against it."""
    require_model(desk.permissions, desk.actor, model, Permission.READ)
    ladder = desk.rules.ladder
    rung = ladder.rung(rung_name)
    if rung.name == ladder.retired and kind is Kind.MOVE:
        kind = Kind.ARCHIVE
    found = desk.mlflow.registry.versions(model)
    state = ModelState.of(model, found)
    usual = desk.rules.policy(model, rung.name)
    archive = usual.archive_earlier if archive_existing is None else archive_existing
    wanted = Wanted(model, version, rung.name, archive, comment, seen)
    changed = differences(state, wanted, ladder)
    if changed:
        raise conflict(desk.mlflow, desk.ledger, state, wanted, changed)
    steps = plan_transition(state, wanted, ladder)
    if not steps:
        raise Conflict(t("requests.already", model=model, version=version, rung=rung.name))
    standing = see(state, version, rung.name, ladder).rung
    lost = losing(steps, ladder)
    policy = policy_for(desk.rules, model, standing, rung.name, kind, lost)
    require_asker(desk, model, rung.name, policy)
    made_by = registrant(desk.ledger, next(v for v in found if v.version == version),
                         desk.mlflow.address)  # fmt: skip
    at = now()
    return Request(
        id=new_id(),
        store=desk.mlflow.address,
        model=model,
        version=version,
        kind=kind,
        rung=rung.name,
        archive_existing=archive and rung.exclusive,
        requester=desk.actor.name,
        requester_kind=desk.actor.kind,
        registrant=made_by,
        comment=comment,
        reason="",
        state=State.CHECKING,
        message="",
        seen=seen,
        policy=policy,
        approvals_needed=needed(policy, made_by, desk.actor.kind),
        bound=None,
        evidence=None,
        results=(),
        steps=(),
        decisions=(),
        asked_at=at,
        checked_at=None,
        expires_at=at + policy.lives,
        closed_at=None,
        transition_id=None,
    )


def require_asker(desk: Desk, model: str, rung: str, policy: Policy) -> None:
    """Refuse whoever the rules do not let ask for a rung.

    Raises:
        NotAllowed: they do not; or nobody has to approve and the person lacks EDIT on the model.
    """
    if not policy.may_ask(desk.actor) and not policy.may_decide(desk.actor):
        raise NotAllowed(
            t("requests.not_asker", actor=desk.actor.name, model=model, rung=rung),
            t("requests.not_asker_next"),
        )
    # Where nobody approves, asking is moving.
    if policy.approvals == 0:
        require_model(desk.permissions, desk.actor, model, Permission.EDIT)


def _write(desk: Desk, asked: Request, *, decides: bool = False) -> Request:
    lines: list[Line] = []
    told: list[Entry] = []
    actor = desk.actor
    for other in rows.select(
        desk.ledger, store=asked.store, model=asked.model, rung=asked.rung, states=OPEN
    ):
        present(desk, other.id)  # what is overdue stands in nobody's way
    with desk.ledger.transaction(t("requests.recording")) as connection:
        others = rows.fitting(
            connection, store=asked.store, model=asked.model, rung=asked.rung, states=OPEN
        )
        _refuse_second(asked, others)
        rows.insert(connection, asked)
        if decides:
            rows.decide(
                connection, asked, actor.name, Choice.APPROVE, asked.comment,
                own_allowed=True, fingerprint="",
            )  # fmt: skip
        # Where many may stand, one more does not take another's place.
        rivals = others if desk.rules.ladder.rung(asked.rung).exclusive else []
        for other in rivals:
            if other.requester == actor.name and other.state is not State.APPLYING:
                words = t("requests.superseded", requester=actor.name, version=asked.version,
                          rung=asked.rung)  # fmt: skip
                rows.change(connection, other, State.SUPERSEDED, message=words)
                told.append(
                    entry(other, "request.superseded", actor.name, actor.kind,
                          details={"by": asked.id, "version": asked.version})
                )  # fmt: skip
        details = {
            "kind": asked.kind,
            "needed": asked.approvals_needed,
            "registrant": asked.registrant,
            "archive_existing": asked.archive_existing,
            "expires_at": asked.expires_at.isoformat(),
            "decides": decides,
        }
        path = "rollback" if asked.kind is Kind.ROLLBACK else "desk"
        told.append(
            entry(asked, "request.asked", actor.name, actor.kind, asked.comment, path, details)
        )
        # Last: who writes to the record is alone on it, and waits for nobody's request then.
        lines += [append(connection, one) for one in told]
    publish(desk, *lines)
    return rows.get(desk.ledger, asked.id)


def _refuse_second(asked: Request, others: list[Request]) -> None:
    for other in others:
        if other.version == asked.version:
            raise Conflict(
                t(
                    "requests.open_one",
                    version=other.version,
                    rung=other.rung,
                    requester=other.requester,
                    ago=formats.duration(asked.asked_at - other.asked_at),
                ),
                t("requests.open_one_next"),
            )
