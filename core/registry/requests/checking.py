"""What the worker found is frozen into a request; and a request is sent to be checked again."""

from dataclasses import replace

from sqlalchemy.engine import Connection

from core.ledger import Ledger
from core.ledger.chain import append
from core.people import MODELDECK
from core.registry.desk import Desk
from core.registry.requests import rows
from core.registry.requests.acting import acting, entry
from core.registry.requests.binding import binding
from core.registry.requests.frozen import CHECKED, fingerprint
from core.registry.requests.may import after_check, counted
from core.registry.requests.nouns import OPEN, Checked, Kind, Request, State
from core.texts import t


def checked(ledger: Ledger, request_id: str, found: Checked) -> Request:
    """Freeze what a check found into a request that waits for it: it waits for decisions next.

    Or a gate blocks it; or nobody has to approve, and it is approved. Approvals of something else
    than what was found now are forgotten. A request in another state is left alone: somebody closed
    it meanwhile.
    """
    with ledger.transaction(t("requests.recording")) as connection:
        request = rows.read(connection, request_id, lock=True)
        if request.state is not State.CHECKING:
            return request
        if request.kind is Kind.ROLLBACK and found.bound.holders != request.seen.holders:
            words = t("requests.rollback_moved", rung=request.rung)
            return _close(connection, request, words)
        if not found.steps:  # somebody else did it meanwhile
            words = t(
                "requests.already", model=request.model, version=request.version, rung=request.rung
            )
            return _close(connection, request, words)
        # To what could not be hashed no approval can be bound; what only leaves needs none of it.
        unbound = request.kind is Kind.MOVE and not found.bound.digest
        blocked = unbound or any(result.blocks for result in found.results)
        rows.keep_check(connection, request, found, State.CHECKING)
        frozen = rows.read(connection, request_id)
        altered = request.kind is Kind.ROLLBACK and _altered(connection, request, found)
        if not altered and _decided_by_asking(request, found):
            rows.bind(connection, frozen, binding(frozen))
            frozen = rows.read(connection, request_id)
        holding = counted(frozen, binding(frozen))
        stale = [d for d in frozen.decisions if d not in holding]
        rows.forget(connection, frozen, stale)
        state = after_check(frozen, blocked, len(holding), frozen.approvals_needed)
        words = t("requests.no_digest") if unbound else ""
        if altered:
            words = t("requests.rollback_altered", version=request.version, rung=request.rung)
        rows.change(connection, frozen, state, message=words)
        details = {
            "state": state,
            "digest": found.bound.digest,
            "digest_of": found.bound.digest_of,
            "gates": dict(found.bound.gates),
            "steps": [step.sentence for step in found.steps],
            "forgotten": [d.actor for d in stale],
            "frozen": fingerprint(connection, request_id),
        }
        line = entry(frozen, CHECKED, MODELDECK, "worker", "", "worker", details)
        append(connection, line)
    return rows.get(ledger, request_id)


def _decided_by_asking(request: Request, found: Checked) -> bool:
    """Whether an approval that was given with the asking is for what was found now: at the first
    check, and at later ones of a rollback, which no gate blocks, while all but the gates is the
    same."""
    if request.bound is None:
        return True
    same = replace(request.bound, gates=found.bound.gates) == found.bound
    return request.kind is Kind.ROLLBACK and same and request.steps == found.steps


def _altered(connection: Connection, request: Request, found: Checked) -> bool:
    """Whether the artifacts of a version that is to come back are not those that were approved when
    it was brought to its rung last."""
    before = rows.fitting(
        connection, store=request.store, model=request.model, version=request.version,
        rung=request.rung, states=[State.DONE], limit=1,
    )  # fmt: skip
    known = before[0].bound if before else None
    if known is None or not known.digest or known.digest_of != found.bound.digest_of:
        return False
    return known.source == found.bound.source and known.digest != found.bound.digest


def outdate(ledger: Ledger, request_id: str, why: str) -> Request:
    """Close an open request of which nothing can come any more, such as one of a version that is
    gone.

    Args:
        why: in plain words.
    """
    with ledger.transaction(t("requests.recording")) as connection:
        request = rows.read(connection, request_id, lock=True)
        if request.state not in OPEN or request.state is State.APPLYING:
            return request
        return _close(connection, request, why)


def recheck(desk: Desk, request_id: str) -> Request:
    """Have a request checked again, for what it needs may be there by now.

    Raises:
        NotAllowed: only whoever asked, whoever decides or an administrator may.
        Conflict: it is being checked, approved or closed.
    """
    with acting(desk, request_id, "recheck") as act:
        rows.change(act.connection, act.request, State.CHECKING, message="")
        act.write("request.rechecked")
    return rows.get(desk.ledger, request_id)


def _close(connection: Connection, request: Request, words: str) -> Request:
    rows.change(connection, request, State.OUTDATED, message=words)
    append(connection, entry(request, "request.outdated", MODELDECK, "worker", words, "worker"))
    return rows.read(connection, request.id)
