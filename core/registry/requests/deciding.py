"""Comment, approve, reject, break the glass, withdraw."""

from core.errors import Conflict
from core.registry.desk import Desk
from core.registry.requests import rows
from core.registry.requests.acting import Act, acting, text
from core.registry.requests.binding import binding as fingerprint_of
from core.registry.requests.may import after_decision, counted, needed_now, own
from core.registry.requests.nouns import Choice, Decision, Request, State
from core.texts import t

_ACTIONS = {
    Choice.APPROVE: "request.approved",
    Choice.REJECT: "request.rejected",
    Choice.BREAK_GLASS: "request.broke_glass",
}


def comment(desk: Desk, request_id: str, said: str) -> Request:
    """Say something about a request, open or closed; the record keeps it.

    Raises:
        InvalidInput: nothing was said, or too much.
        NotAllowed: the person may not read the model.
    """
    said = text(said, "requests.no_comment")
    with acting(desk, request_id, "comment") as act:
        act.write("request.commented", said)
    return rows.get(desk.ledger, request_id)


def withdraw(desk: Desk, request_id: str, why: str = "") -> Request:
    """Take a request back.

    Raises:
        NotAllowed: only whoever asked or an administrator may.
        Conflict: it is closed, or being carried out.
    """
    why = text(why)
    with acting(desk, request_id, "withdraw") as act:
        words = t("requests.withdrawn", actor=desk.actor.name)
        rows.change(act.connection, act.request, State.WITHDRAWN, message=words)
        act.write("request.withdrawn", why)
    return rows.get(desk.ledger, request_id)


def approve(desk: Desk, request_id: str, said: str = "", *, binding: str) -> Request:
    """Approve a request as it was seen. It is approved once enough have.

    Args:
        binding: ``binding(request)`` of what the person saw.

    Raises:
        NotAllowed: the person does not decide on this, or it is their own request or version.
        Conflict: it is not what the person saw any longer, blocked, closed, or decided by them.
    """
    return _decide(desk, request_id, Choice.APPROVE, text(said), binding)


def reject(desk: Desk, request_id: str, said: str, *, binding: str) -> Request:
    """Reject a request as it was seen; that closes it.

    Raises:
        InvalidInput: no comment was given.
        NotAllowed, Conflict: as for ``approve``.
    """
    return _decide(desk, request_id, Choice.REJECT, text(said, "requests.no_comment"), binding)


def break_glass(desk: Desk, request_id: str, reason: str, *, binding: str) -> Request:
    """Approve alone, past gates that block and approvals that are missing.

    It stands in the record as an action of its own, with the reason, and in the request's message.

    Raises:
        InvalidInput: no reason was given.
        NotAllowed: the person is no administrator.
        Conflict: as for ``approve``.
    """
    return _decide(
        desk, request_id, Choice.BREAK_GLASS, text(reason, "requests.no_reason"), binding
    )


def _decide(desk: Desk, request_id: str, choice: Choice, said: str, seen: str) -> Request:
    with acting(desk, request_id, str(choice)) as act:
        request, actor = act.request, desk.actor
        fingerprint = fingerprint_of(request)
        if seen != fingerprint:
            raise Conflict(
                t("requests.moved_on", what=t("requests.other_binding")),
                t("requests.moved_on_next"),
            )
        if choice is Choice.BREAK_GLASS:  # it takes the place of an approval of theirs
            rows.forget(act.connection, request, _by(request, actor.name))
        rows.decide(
            act.connection,
            request,
            actor.name,
            choice,
            said,
            own_allowed=actor.decides_alone or choice is Choice.BREAK_GLASS,
            fingerprint=fingerprint,
        )
        _advance(act, choice, said, fingerprint)
    return rows.get(desk.ledger, request_id)


def _advance(act: Act, choice: Choice, said: str, fingerprint: str) -> None:
    request, actor = act.request, act.desk.actor
    present = rows.read(act.connection, request.id)
    named_by = None if actor.decides_alone else act.desk.rules
    approvals = len(counted(present, fingerprint, act.policy, named_by))
    need = needed_now(request, act.policy)
    state = after_decision(request, choice, approvals, need)
    values: dict[str, str] = {}
    if choice is Choice.REJECT:
        values["message"] = t("requests.rejected", actor=actor.name, comment=said)
    if choice is Choice.BREAK_GLASS:
        values["message"] = t("requests.broke_glass", actor=actor.name, reason=said)
        values["reason"] = said
    rows.change(act.connection, request, state, **values)
    act.write(
        _ACTIONS[choice],
        said,
        "break_glass" if choice is Choice.BREAK_GLASS else "desk",
        approvals=approvals,
        needed=need,
        state=str(state),
        own=own(request, actor),
        binding=fingerprint,
        blocked_by=[result.gate for result in request.results if result.blocks],
    )


def _by(request: Request, name: str) -> list[Decision]:
    return [decision for decision in request.decisions if decision.actor == name]
