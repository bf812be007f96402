"""Look at requests: one, a list, those that wait for a person, and what a person may do."""

from collections.abc import Sequence

from core.ledger import now
from core.people import Permission
from core.people.permissions import require_model
from core.registry.desk import Desk
from core.registry.requests import rows
from core.registry.requests.acting import policy_today
from core.registry.requests.may import Rights, rights
from core.registry.requests.nouns import Request, State
from core.registry.requests.rows import get as get_row

WAITING = (State.BLOCKED, State.WAITING)


def get(desk: Desk, request_id: str) -> Request:
    """One request.

    Raises:
        NotFound: there is none.
        NotAllowed: the person may not read its model.
    """
    request = get_row(desk.ledger, request_id)
    require_model(desk.permissions, desk.actor, request.model, Permission.READ)
    return request


def may(desk: Desk, request: Request) -> Rights:
    """What this person may do with a request now; for drawing, each action asks again."""
    permission = desk.permissions.on_model(desk.actor, request.model)
    return rights(request, desk.actor, permission, policy_today(desk, request), now())


def waiting_for(desk: Desk) -> list[Request]:
    """Open requests that wait for a decision of this person, the oldest first."""
    found = rows.select(desk.ledger, store=desk.mlflow.address, states=WAITING)
    return [r for r in reversed(found) if _waits(desk, r)]


def listed(
    desk: Desk,
    *,
    model: str | None = None,
    states: Sequence[State] | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Request]:
    """Requests of this store whose model the person may read, newest first.

    Args:
        limit: at most so many of those.
        offset: leave out so many of those at the beginning.
    """
    store = desk.mlflow.address
    asked_about = rows.models(desk.ledger, store) if model is None else [model]
    readable = [
        name
        for name in asked_about
        if desk.permissions.on_model(desk.actor, name) >= Permission.READ
    ]
    return rows.select(
        desk.ledger, store=store, models=readable, states=states, limit=limit, offset=offset
    )


def _waits(desk: Desk, request: Request) -> bool:
    allowed = may(desk, request)
    return allowed.approve or allowed.reject
