"""An approved request is carried out: compared with what is there, used once, settled if it broke
off."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict, DeckError, NotAdministering, NotAllowed, NotFound
from core.ledger import new_id, now
from core.ledger.chain import Entry, Line, append
from core.people import Actor
from core.registry.desk import Desk
from core.registry.heads import publish, publishing
from core.registry.lease import HoldModel, model_lease
from core.registry.plan import ModelState, Seen, Step, Wanted
from core.registry.record import State as Found
from core.registry.record import Transition, find
from core.registry.requests import rows
from core.registry.requests.acting import entry, path_of, policy_today, present
from core.registry.requests.asking import require_asker
from core.registry.requests.binding import binding, changed
from core.registry.requests.may import counted, needed_now
from core.registry.requests.nouns import OPEN, Check, Choice, Request, State
from core.registry.settling import settle_all
from core.registry.transitions import Outcome, Warrant, transition
from core.texts import t

CLAIM = timedelta(seconds=60)
"""For as long may whoever claimed a request take until it is begun: far longer than the model's
lease is waited for."""


def carry_out(
    desk: Desk, request_id: str, check: Check, *, hold: HoldModel | None = None
) -> Outcome:
    """Carry an approved request out, once.

    What it was approved for is compared twice: by a check made anew, before the approval is used,
    and alone on the model, where nothing can come in between. It is moved with Modeldeck's service
    account, in the name of whoever approved last.

    Args:
        check: looks anew at the digest, the gates and the plan.
        hold: how to be alone on the model; a lease in the ledger unless given.

    Raises:
        Conflict: it is not approved, or being carried out; or what was approved is no longer what
            is there: it is outdated then, and must be asked again.
        Busy: somebody else is changing the model; the request stays approved.
        OutcomeUnknown: a reply was lost; the request is settled once that is over.
        DeckError: it failed; the request says how far it came.
    """
    request = present(desk, request_id)
    _require_approved(request)
    _require_asker(desk, request)
    compared = ""
    try:
        found = check(request)
        different, compared = changed(request, found), str(found.evidence.get("compared", ""))
    except NotFound as error:
        different = (error.what,)
    if different:
        raise _outdated(desk, request, " ".join(different))
    with publishing(desk, request.model):  # once, whatever was written on the way
        claimed = _claim(desk, request_id)
        try:
            outcome = _move(desk, claimed, hold)
        except DeckError as error:
            raise _after_failure(desk, claimed, error) from error
        except IntegrityError as error:  # the database begins what was approved once, and no more
            raise _outdated(desk, claimed, t("requests.used")) from error
        conclude(desk, claimed, outcome.transition, compared)
    return outcome


def settle(desk: Desk) -> list[Request]:
    """Settle everything of this store that broke off: transitions, then the requests behind them.

    Returns:
        the requests that it moved on.

    Raises:
        DeckError: a model could not be settled; the others were.
    """
    moved: list[Request] = []
    failed: list[DeckError] = []
    with publishing(desk):
        try:
            settle_all(desk.service, desk.ledger, desk.actor, desk.rules.ladder)
        except DeckError as error:
            failed.append(error)
        for request in rows.select(desk.ledger, store=desk.mlflow.address, states=[State.APPLYING]):
            try:
                if _settle(desk, request):
                    moved.append(request)
            except DeckError as error:  # those after it must not wait for this one
                failed.append(error)
    if failed:
        raise failed[0]
    return moved


def conclude(desk: Desk, request: Request, row: Transition | None, compared: str = "") -> bool:
    """Close a request whose transition has ended; False where somebody did so already.

    Other open requests for the same rung are outdated where it changed: its holder is another now.

    Args:
        compared: what was compared of the artifacts just before, ``content`` or ``listing``; ""
            where that is not known any longer.
    """
    if row is None or row.state is Found.APPLYING:
        return False
    done = row.state is Found.DONE
    with desk.ledger.transaction(t("requests.recording")) as connection:
        now_is = rows.read(connection, request.id, lock=True)
        if now_is.state is not State.APPLYING or now_is.transition_id != row.id:
            return False
        words = row.message or t("requests.carried_out")
        if done and compared == "listing" and request.bound and request.bound.digest_of != compared:
            words = f"{words} {t('requests.listing_alone')}"
        for glass in now_is.decisions:
            if glass.choice is Choice.BREAK_GLASS:
                said = t("requests.broke_glass", actor=glass.actor, reason=now_is.reason)
                words = f"{said} {words}"
        rows.change(connection, now_is, State.DONE if done else State.FAILED, message=words)
        actor = desk.actor
        details = {
            "transition": row.state,
            "steps": [step.sentence for step in row.steps],
            "compared": compared,
        }
        told = [entry(now_is, f"request.{'done' if done else 'failed'}", actor.name, actor.kind,
                      row.message, path_of(now_is), details)]  # fmt: skip
        if done and any(r.exclusive for r in desk.rules.ladder.rungs if r.name == now_is.rung):
            told += _outdate_others(connection, now_is, actor)
        # Last: who writes to the record is alone on it, and waits for nobody's request then.
        for one in told:
            append(connection, one)
    return True


def _require_approved(request: Request) -> None:
    if request.state is State.APPLYING:
        raise Conflict(t("requests.taken"), t("requests.not_allowed_next"))
    if request.state is not State.APPROVED:
        state = t(f"requests.state.{request.state}")
        raise Conflict(t("requests.not_approved", state=state), t("requests.not_allowed_next"))


def _require_asker(desk: Desk, request: Request) -> None:
    """Where nobody approves, asking is moving: whoever asked must still hold the right to it."""
    policy = policy_today(desk, request)
    if request.broke_glass or needed_now(request, policy):
        return
    asker = desk.rules.absent(request.requester, request.requester_kind)
    try:
        require_asker(replace(desk, actor=asker), request.model, request.rung, policy)
    except NotAdministering:  # nobody knows: it is tried again
        raise
    except NotAllowed as error:
        what = t("requests.asker_right", requester=request.requester, what=error.what)
        raise _outdated(desk, request, what) from error


def _claim(desk: Desk, request_id: str) -> Request:
    """Use the approvals of a request for one transition, which has an id from now on."""
    transition_id, at = new_id(), now()
    words = ""
    with desk.ledger.transaction(t("requests.recording")) as connection:
        request = rows.read(connection, request_id, lock=True)
        _require_approved(request)
        if request.overdue(at):
            raise Conflict(t("requests.not.expired"), t("requests.not_allowed_next"))
        policy = policy_today(desk, request)
        named_by = None if desk.actor.decides_alone else desk.rules
        approving = counted(request, binding(request), policy, named_by)
        need = needed_now(request, policy)
        glass = any(d.choice is Choice.BREAK_GLASS for d in approving)
        enough = glass or len(approving) >= need
        if enough:
            rows.claim(connection, request, transition_id, at + CLAIM)
            if not rows.use(connection, request, transition_id, [d.actor for d in approving]):
                raise Conflict(t("requests.used"), t("requests.not_allowed_next"))
        else:
            words = t("requests.more_needed", needed=need, approvals=len(approving))
            rows.change(connection, request, State.WAITING, message=words)
            actor = desk.actor
            line = entry(request, "request.waits", actor.name, actor.kind, words, path_of(request),
                         {"needed": need, "approvals": [d.actor for d in approving]})  # fmt: skip
            append(connection, line)
    if not enough:
        raise Conflict(words, t("requests.not_allowed_next"))
    return rows.get(desk.ledger, request_id)


def _move(desk: Desk, request: Request, hold: HoldModel | None) -> Outcome:
    bound = request.bound
    if bound is None or request.transition_id is None:
        raise Conflict(t("requests.changed.never_checked"))
    wanted = Wanted(
        request.model,
        request.version,
        request.rung,
        request.archive_existing,
        request.comment,
        Seen(bound.standing, bound.holders, bound.carrier),
    )

    def compare(state: ModelState, steps: tuple[Step, ...]) -> None:
        if state.version(request.version).source != bound.source:
            raise Conflict(t("requests.changed.source", version=request.version))
        if steps != request.steps:
            raise Conflict(t("requests.changed.steps"))
        mine = rows.get(desk.ledger, request.id)
        if mine.state is not State.APPLYING or mine.transition_id != request.transition_id:
            raise Conflict(t("requests.taken"), t("requests.not_allowed_next"))

    warrant = Warrant(path_of(request), request.id, request.transition_id, compare)
    return transition(
        desk.service,
        desk.ledger,
        _mover(request),
        wanted,
        desk.rules.ladder,
        warrant=warrant,
        hold=hold,
    )


def _mover(request: Request) -> Actor:
    """In whose name it is moved: who approved last, or who asked where nobody had to approve."""
    approving = [d for d in request.decisions if d.choice is not Choice.REJECT]
    name = approving[-1].actor if approving else request.requester
    return Actor(name, request.requester_kind)


def _after_failure(desk: Desk, request: Request, error: DeckError) -> DeckError:
    """Move a request on whose transition did not go through; what to raise."""
    row = find(desk.ledger, request.transition_id or "")
    if row is not None:
        conclude(desk, request, row)
    elif isinstance(error, Conflict | NotFound):
        return _outdated(desk, request, error.what)
    else:  # it was never begun: the model was busy, or MLflow away
        _give_back(desk, request)
    return error


def _settle(desk: Desk, request: Request) -> bool:
    row = find(desk.ledger, request.transition_id or "")
    if row is not None:
        return conclude(desk, request, row)
    with desk.ledger.transaction(t("requests.recording")) as connection:
        over = rows.claim_over(connection, request.id, now())
    if not over:
        return False
    # Alone on the model: who claimed it and is only slow must not begin it in this moment.
    with model_lease(desk.ledger, desk.mlflow.address, request.model, desk.actor.name):
        row = find(desk.ledger, request.transition_id or "")
        return _give_back(desk, request) if row is None else conclude(desk, request, row)


def _give_back(desk: Desk, request: Request) -> bool:
    """Give a request's approvals free again: nothing was begun with them."""
    with desk.ledger.transaction(t("requests.recording")) as connection:
        now_is = rows.read(connection, request.id, lock=True)
        if now_is.state is not State.APPLYING or now_is.transition_id != request.transition_id:
            return False
        rows.unuse(connection, now_is)
        rows.change(
            connection, now_is, State.APPROVED, message=t("requests.never_begun"),
            transition_id=None, claimed_until=None,
        )  # fmt: skip
    return True


def _outdated(desk: Desk, request: Request, what: str) -> Conflict:
    """Close a request as outdated, and say so; the error to raise."""
    words = t("requests.outdated", what=what)
    lines: list[Line] = []
    with desk.ledger.transaction(t("requests.recording")) as connection:
        now_is = rows.read(connection, request.id, lock=True)
        mine = now_is.transition_id == request.transition_id
        if now_is.state not in (State.APPROVED, State.APPLYING) or not mine:
            # Somebody else was quicker: what changed is what they did.
            state = t(f"requests.state.{now_is.state}")
            return Conflict(t("requests.quicker", state=state), t("requests.not_allowed_next"))
        rows.change(connection, now_is, State.OUTDATED, message=words)
        actor = desk.actor
        line = entry(now_is, "request.outdated", actor.name, actor.kind, what, path_of(now_is))
        lines.append(append(connection, line))
    publish(desk, *lines)
    return Conflict(words, t("requests.outdated_next"))


def _outdate_others(connection: Connection, done: Request, actor: Actor) -> list[Entry]:
    """Close those that are outdated by one that is done; what the record is to say of them."""
    others = rows.fitting(
        connection, store=done.store, model=done.model, rung=done.rung, states=OPEN
    )
    words = t("requests.holder_changed", version=done.version, rung=done.rung)
    told = []
    for other in others:
        if other.state in (State.CHECKING, State.APPLYING):
            continue  # it is looked at anew in any case
        rows.change(connection, other, State.OUTDATED, message=words)
        told.append(
            entry(other, "request.outdated", actor.name, actor.kind, words, "worker",
                  {"by": done.id})
        )  # fmt: skip
    return told
