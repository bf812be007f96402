"""Look at requests: one, a list, those that wait for a person, and what a person may do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.errors import NotAllowed
from core.ledger import now
from core.mlflow_api.permissions import as_of_now
from core.people import Permission
from core.people.permissions import require_model
from core.registry.desk import Desk
from core.registry.requests import rows
from core.registry.requests.acting import policy_today
from core.registry.requests.binding import binding
from core.registry.requests.may import Rights, counted, needed_now, rights
from core.registry.requests.nouns import Request, State
from core.registry.requests.rows import get as get_row
from core.texts import t

WAITING = (State.BLOCKED, State.WAITING)


@dataclass(frozen=True)
class Page:
    """Those of the requests that were looked for that are shown."""

    shown: tuple[Request, ...]
    total: int
    """How many there are, whether shown or not."""


def get(desk: Desk, request_id: str) -> Request:
    """One request.

    Raises:
        NotFound: there is none.
        NotAllowed: the person may not read its model.
    """
    request = get_row(desk.ledger, request_id)
    require_model(desk.permissions, desk.actor, request.model, Permission.READ)
    if not present(desk, [request.model]):
        raise NotAllowed(
            t("people.missing.model", actor=desk.actor.name, model=request.model, right="READ")
        )
    return request


def present(desk: Desk, names: Iterable[str]) -> list[str]:
    """Of some models those that MLflow lists for the person; an administrator is told of all.

    Of a model that was deleted or renamed MLflow forgets whom it was kept from, and answers what
    everybody has by default.
    """
    found = list(names)
    if not found or desk.actor.administrator:
        return found
    there = {model.name for model in desk.mlflow.registry.models()}
    return [name for name in found if name in there]


def may(desk: Desk, request: Request) -> Rights:
    """What this person may do with a request now; for drawing, each action asks again."""
    permission = desk.permissions.on_model(desk.actor, request.model)
    return rights(request, desk.actor, permission, policy_today(desk, request), now())


def tally(desk: Desk, request: Request) -> tuple[int, int]:
    """How many approvals a request has and how many it needs: of an open one those that count by
    the rules of today, of a closed one as it was."""
    if not request.open:
        return request.approvals, request.approvals_needed
    policy = policy_today(desk, request)
    need = needed_now(request, policy)
    if request.state in (State.CHECKING, State.APPLYING):
        return request.approvals, need
    named_by = None if desk.actor.decides_alone else desk.rules
    return len(counted(request, binding(request), policy, named_by)), need


def waiting_for(desk: Desk) -> list[Request]:
    """Open requests that wait for a decision of this person, the oldest first."""
    found = rows.select(desk.ledger, store=desk.mlflow.address, states=WAITING)
    # The rules first: what they say costs nothing, and MLflow is asked for each model.
    mine = [request for request in reversed(found) if _waits(desk, request)]
    there = set(_readable(desk, {request.model for request in mine}))
    return [request for request in mine if request.model in there]


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
    return rows.select(
        desk.ledger, store=desk.mlflow.address, models=_asked_for(desk, model), states=states,
        limit=limit, offset=offset,
    )  # fmt: skip


def page(
    desk: Desk, *, states: Sequence[State] | None = None, requester: str | None = None,
    since: datetime | None = None, words: str = "", limit: int,
) -> Page:  # fmt: skip
    """Requests of this store whose model the person may read, and how many of those there are.

    Args:
        requester: who asked.
        since: those that are open still, or were closed no earlier.
        words: each stands somewhere in it.
        limit: at most so many are shown, the newest.
    """
    shown, total = rows.page(
        desk.ledger, store=desk.mlflow.address, models=_asked_for(desk), states=states,
        requester=requester, since=since, words=words, limit=limit,
    )  # fmt: skip
    return Page(tuple(shown), total)


def _asked_for(desk: Desk, model: str | None = None) -> list[str]:
    """The models that anything was asked for and that the person may read; of one where given."""
    names = rows.models(desk.ledger, desk.mlflow.address) if model is None else [model]
    return _readable(desk, names)


def _readable(desk: Desk, names: Iterable[str]) -> list[str]:
    """Of some models those that the person may read."""
    # Who administers is told of all: a session knows it a while longer than it is so.
    desk = replace(desk, actor=as_of_now(desk.mlflow, desk.actor))
    return desk.permissions.readable(desk.actor, present(desk, names))


def _waits(desk: Desk, request: Request) -> bool:
    """Whether it waits for this person, if they may read the model."""
    policy = policy_today(desk, request)
    allowed = rights(request, desk.actor, Permission.READ, policy, now())
    return allowed.approve or allowed.reject
