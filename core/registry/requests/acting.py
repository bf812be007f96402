"""What every use case on a request shares: rights asked anew, one transaction, its lines."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from core import formats
from core.errors import Conflict, InvalidInput, NotAllowed
from core.ledger import now
from core.ledger.chain import Entry, Line, append
from core.mlflow_api import ids
from core.mlflow_api.permissions import as_of_now
from core.people import MODELDECK
from core.registry.desk import Desk
from core.registry.heads import publish
from core.registry.plan import losing
from core.registry.policy import Policy
from core.registry.requests import rows
from core.registry.requests.may import against, policy_for
from core.registry.requests.nouns import Kind, Request, State
from core.texts import t

MOST_TEXT = 5_000
"""Characters of a comment or a reason."""


@dataclass
class Act:
    """One person's action on one request, within one transaction."""

    connection: Connection
    request: Request
    """As it is in the database, locked."""
    policy: Policy
    """What the rules say today."""
    desk: Desk
    lines: list[Line] = field(default_factory=list)

    def write(self, action: str, why: str = "", path: str = "desk", **details: Any) -> None:
        """Append a line to the record, in this transaction."""
        actor = self.desk.actor
        self.lines.append(
            append(
                self.connection,
                entry(self.request, action, actor.name, actor.kind, why, path, details),
            )
        )


@contextmanager
def acting(desk: Desk, request_id: str, action: str) -> Iterator[Act]:
    """Act on a request: whether this person may is asked of MLflow and of today's rules first.

    What is written within stands or falls together; the record's head is published afterwards.

    Raises:
        NotFound: there is no such request.
        NotAllowed: this person may not do that.
        Conflict: it is not the time for it: the request was closed, expired, …
    """
    request = present(desk, request_id)
    permission = desk.permissions.on_model(desk.actor, request.model)
    actor = as_of_now(desk.mlflow, desk.actor)
    with desk.ledger.transaction(t("requests.recording")) as connection:
        request = rows.read(connection, request_id, lock=True)
        policy = policy_today(desk, request)
        refusal = against(action, request, actor, permission, policy, now())
        if refusal is not None:
            kind = NotAllowed if refusal.person else Conflict
            raise kind(refusal.why, t("requests.not_allowed_next"))
        act = Act(connection, request, policy, desk)
        yield act
    publish(desk, *act.lines)


def policy_today(desk: Desk, request: Request) -> Policy:
    """What the rules say today for what a request asks for."""
    standing = request.bound.standing if request.bound else request.seen.rung
    lost = losing(request.steps, desk.rules.ladder)
    return policy_for(desk.rules, request.model, standing, request.rung, request.kind, lost)


def present(desk: Desk, request_id: str) -> Request:
    """A request, marked as expired where its time is over and nobody did so yet."""
    request = rows.get(desk.ledger, request_id)
    if not request.overdue(now()):
        return request
    _expire(desk, request)
    return rows.get(desk.ledger, request_id)


def expire(desk: Desk) -> list[Request]:
    """Mark every request of this store whose time is over; those that it marked."""
    waiting = (State.CHECKING, State.BLOCKED, State.WAITING, State.APPROVED)
    found = rows.select(desk.ledger, store=desk.mlflow.address, states=waiting)
    return [request for request in found if request.overdue(now()) and _expire(desk, request)]


def _expire(desk: Desk, request: Request) -> bool:
    lines: list[Line] = []
    with desk.ledger.transaction(t("requests.recording")) as connection:
        request = rows.read(connection, request.id, lock=True)
        if not request.overdue(now()):
            return False
        words = t("requests.expired", at=formats.moment(request.expires_at))
        rows.change(connection, request, State.EXPIRED, message=words)
        line = entry(request, "request.expired", MODELDECK, "worker", "", "worker",
                     {"expires_at": request.expires_at.isoformat()})  # fmt: skip
        lines.append(append(connection, line))
    publish(desk, *lines)
    return True


def entry(
    request: Request,
    action: str,
    actor: str,
    actor_kind: str,
    why: str = "",
    path: str = "desk",
    details: Mapping[str, Any] | None = None,
) -> Entry:
    """A line of the record about a request."""
    return Entry(
        action,
        actor,
        actor_kind,
        path,
        request.store,
        request.model,
        request.version,
        request.rung,
        request.id,
        request.transition_id or "",
        why=why,
        details=dict(details or {}),
    )


def path_of(request: Request) -> str:
    """By which way a request is carried out, as the record calls it."""
    if request.broke_glass:
        return "break_glass"
    return "rollback" if request.kind is Kind.ROLLBACK else "desk"


def text(value: str, missing: str = "") -> str:
    """A comment as it is kept.

    Args:
        missing: the key of what is said where there is none; "" where none is needed.

    Raises:
        InvalidInput: it is missing, too long, or holds NUL.
    """
    cleaned = ids.no_control(value.strip(), "comment")
    if missing and not cleaned:
        raise InvalidInput(t(missing), field="comment")
    if len(cleaned) > MOST_TEXT:
        raise InvalidInput(t("requests.long", most=MOST_TEXT), field="comment")
    return cleaned
