"""Requests and decisions in the ledger: read, written, and turned into nouns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict, NotAllowed, NotFound
from core.ledger import Ledger, new_id, now
from core.ledger.schema import decisions as decision_table
from core.ledger.schema import requests as table
from core.registry.gates import Result, Status
from core.registry.plan import Seen, Step
from core.registry.policy import GateUse, Level, Policy, UnknownRegistrant
from core.registry.requests.may import needed
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
from core.texts import t


def get(ledger: Ledger, request_id: str) -> Request:
    """One request with its decisions.

    Raises:
        NotFound: there is none of that id.
    """
    with ledger.transaction(t("requests.recording")) as connection:
        return read(connection, request_id)


def read(connection: Connection, request_id: str, *, lock: bool = False) -> Request:
    """The same within a transaction.

    Args:
        lock: keep others from changing it until the transaction ends.
    """
    query = sa.select(table).where(table.c.id == request_id)
    found = _requests(connection, query.with_for_update() if lock else query)
    if not found:
        raise NotFound(t("requests.gone"), t("requests.gone_next"))
    return found[0]


class Wanted(TypedDict, total=False):
    """Which requests are meant; what is left out, or None, leaves it open."""

    store: str | None
    model: str | None
    models: Sequence[str] | None
    version: int | None
    rung: str | None
    states: Sequence[State] | None
    requester: str | None
    since: datetime | None
    """Those that are open still, or were closed no earlier."""
    words: str | None
    """Each word stands somewhere in it, in any case: model, version, rung, people, comment, state,
    message."""
    limit: int | None
    """At most so many."""
    offset: int
    """Leave out so many at the beginning."""


def select(ledger: Ledger, **wanted: Unpack[Wanted]) -> list[Request]:
    """Requests, newest first; those that fit what is given."""
    with ledger.transaction(t("requests.recording")) as connection:
        return fitting(connection, **wanted)


def fitting(connection: Connection, **wanted: Unpack[Wanted]) -> list[Request]:
    """The same within a transaction."""
    query = sa.select(table).where(*_conditions(wanted))
    query = query.order_by(table.c.asked_at.desc(), table.c.id)
    query = query.limit(wanted.get("limit")).offset(wanted.get("offset", 0))
    return _requests(connection, query)


def page(ledger: Ledger, **wanted: Unpack[Wanted]) -> tuple[list[Request], int]:
    """Requests as ``select`` finds them, and how many fit whatever ``limit`` says."""
    number = sa.select(sa.func.count()).select_from(table).where(*_conditions(wanted))
    with ledger.transaction(t("requests.recording")) as connection:
        return fitting(connection, **wanted), connection.execute(number).scalar_one()


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    c = table.c
    exactly = ("store", "model", "version", "rung", "requester")
    found = [c[name] == wanted[name] for name in exactly if wanted.get(name) is not None]  # type: ignore[literal-required]
    models, states, since = wanted.get("models"), wanted.get("states"), wanted.get("since")
    if models is not None:
        found.append(c.model.in_(models))
    if states is not None:
        found.append(c.state.in_(states))
    if since is not None:
        found.append(sa.or_(c.closed_at.is_(None), c.closed_at >= since))
    return [*found, *map(_holds, (wanted.get("words") or "").split())]


def _holds(word: str) -> sa.ColumnElement[bool]:
    """Whether a request holds a word somewhere."""
    c = table.c
    version = sa.literal("v").concat(sa.cast(c.version, sa.String))
    texts = (c.model, version, c.rung, c.requester, c.comment, c.message)
    states = [one for one in State if word.casefold() in t(f"requests.state.{one}").casefold()]
    decided = sa.exists().where(
        decision_table.c.request_id == c.id, decision_table.c.actor.icontains(word, autoescape=True)
    )
    inside = (text.icontains(word, autoescape=True) for text in texts)
    return sa.or_(c.state.in_(states), decided, *inside)


def models(ledger: Ledger, store: str) -> list[str]:
    """The models of a store that anything was ever asked for."""
    query = sa.select(table.c.model).where(table.c.store == store).distinct()
    with ledger.transaction(t("requests.recording")) as connection:
        return sorted(connection.execute(query).scalars())


def insert(connection: Connection, request: Request) -> None:
    """Write a new request down.

    Raises:
        Conflict: somebody asked for the same at the same moment.
    """
    try:
        connection.execute(
            table.insert().values(
                id=request.id,
                store=request.store,
                model=request.model,
                version=request.version,
                kind=request.kind,
                rung=request.rung,
                archive_existing=request.archive_existing,
                requester=request.requester,
                requester_kind=request.requester_kind,
                registrant=request.registrant,
                comment=request.comment,
                reason="",
                state=request.state,
                message="",
                seen=asdict(request.seen),
                policy=_policy_json(request.policy),
                asked_at=request.asked_at,
                expires_at=request.expires_at,
            )
        )
    except IntegrityError as error:
        raise Conflict(
            t("requests.open_one_just_now", version=request.version, rung=request.rung),
            t("requests.open_one_next"),
        ) from error


def change(connection: Connection, request: Request, state: State, **values: Any) -> None:
    """Move a request to another state, unless it was moved by somebody else.

    Raises:
        Conflict: it is no longer in the state that ``request`` has.
    """
    if state not in OPEN:
        values |= {"closed_at": now(), "claimed_until": None}
    done = connection.execute(
        table.update()
        .where(table.c.id == request.id, table.c.state == request.state)
        .values(state=state, **values)
    )
    if done.rowcount != 1:  # SQLite has no lock of single rows, PostgreSQL has
        raise Conflict(t("requests.moved_on", what=t("requests.changed_now")))


def keep_check(connection: Connection, request: Request, found: Checked, state: State) -> None:
    """Freeze what a check found into the request, and forget approvals of something else."""
    change(
        connection,
        request,
        state,
        message="",
        bound=_plain(asdict(found.bound)),
        evidence=_plain(found.evidence),
        results=[_plain(asdict(result)) for result in found.results],
        steps=[step.as_json() for step in found.steps],
        checked_at=now(),
    )


def decide(
    connection: Connection,
    request: Request,
    actor: str,
    choice: Choice,
    comment: str,
    *,
    own_allowed: bool,
    fingerprint: str,
) -> None:
    """Write a decision down; the database itself refuses who may not.

    Raises:
        NotAllowed: it is their own request or version.
        Conflict: they have decided already.
    """
    values = {
        "id": new_id(),
        "request_id": request.id,
        "actor": actor,
        "requester": request.requester,
        "registrant": request.registrant,
        "own_allowed": own_allowed,
        "verdict": choice,
        "comment": comment,
        "binding": fingerprint,
        "at": now(),
    }
    try:
        connection.execute(decision_table.insert().values(**values))
    except IntegrityError as error:
        if "nobody_decides_for_themselves" in str(error.orig):
            raise NotAllowed(
                t("requests.not.themselves"), t("requests.not_allowed_next")
            ) from error
        raise Conflict(t("requests.not.decided"), t("requests.not_allowed_next")) from error


def bind(connection: Connection, request: Request, fingerprint: str) -> None:
    """Bind the decision that was made with the asking to what a check found."""
    connection.execute(
        decision_table.update()
        .where(
            decision_table.c.request_id == request.id,
            decision_table.c.actor == request.requester,
            decision_table.c.verdict == Choice.APPROVE,
            decision_table.c.used_by.is_(None),
        )
        .values(binding=fingerprint)
    )


def forget(connection: Connection, request: Request, decisions: Iterable[Decision]) -> None:
    """Take decisions away; the record keeps that they were made."""
    for decision in decisions:
        connection.execute(
            decision_table.delete().where(
                decision_table.c.request_id == request.id,
                decision_table.c.actor == decision.actor,
                decision_table.c.used_by.is_(None),
            )
        )


def use(
    connection: Connection, request: Request, transition_id: str, deciders: Iterable[str]
) -> bool:
    """Mark decisions as used for a transition; False where one of them was used before."""
    names = list(deciders)
    done = connection.execute(
        decision_table.update()
        .where(
            decision_table.c.request_id == request.id,
            decision_table.c.actor.in_(names),
            decision_table.c.used_by.is_(None),
        )
        .values(used_by=transition_id)
    )
    return done.rowcount == len(names)


def unuse(connection: Connection, request: Request) -> None:
    """Give decisions free again whose transition was never begun."""
    connection.execute(
        decision_table.update()
        .where(
            decision_table.c.request_id == request.id,
            decision_table.c.used_by == request.transition_id,
        )
        .values(used_by=None)
    )


def claim(connection: Connection, request: Request, transition_id: str, until: datetime) -> None:
    """Say that a request is carried out by ``transition_id``, to be begun before ``until``."""
    change(connection, request, State.APPLYING, transition_id=transition_id, claimed_until=until)


def claim_over(connection: Connection, request_id: str, at: datetime) -> bool:
    """Whether whoever claimed a request had to have begun by ``at``."""
    until = connection.execute(
        sa.select(table.c.claimed_until).where(table.c.id == request_id)
    ).scalar_one()
    return until is None or until <= at


def _requests(connection: Connection, query: sa.Select[Any]) -> list[Request]:
    found = [dict(row._mapping) for row in connection.execute(query)]
    given: dict[str, list[Decision]] = {row["id"]: [] for row in found}
    decided = connection.execute(
        sa.select(decision_table)
        .where(decision_table.c.request_id.in_(list(given)))
        .order_by(decision_table.c.at)
    )
    rows = {row["id"]: row for row in found}
    for d in decided:
        about = (rows[d.request_id]["requester"], rows[d.request_id]["registrant"])
        given[d.request_id].append(
            Decision(
                d.actor, Choice(d.verdict), d.comment, d.at, d.actor in about, d.binding, d.used_by
            )
        )
    return [_request(row, tuple(given[row["id"]])) for row in found]


def _request(row: Mapping[str, Any], decisions: tuple[Decision, ...]) -> Request:
    policy, bound = _policy(row["policy"]), row["bound"]
    kept = {name: value for name, value in row.items() if name != "claimed_until"}
    return Request(
        **{
            **kept,
            "kind": Kind(row["kind"]),
            "state": State(row["state"]),
            "seen": Seen(**{**row["seen"], "holders": tuple(row["seen"]["holders"])}),
            "policy": policy,
            "approvals_needed": needed(policy, row["registrant"], row["requester_kind"]),
            "bound": None if bound is None else Bound(**{**bound, "holders": (*bound["holders"],)}),
            "results": tuple(
                Result(**{**result, "status": Status(result["status"])})
                for result in row["results"] or ()
            ),
            "steps": tuple(Step.from_json(step) for step in row["steps"] or ()),
            "decisions": decisions,
        }
    )


def _policy_json(policy: Policy) -> dict[str, Any]:
    return {**_plain(asdict(policy)), "lives": policy.lives.total_seconds()}


def _policy(data: Mapping[str, Any]) -> Policy:
    gates = tuple(
        GateUse(use["gate"], Level(use["level"]), use["options"]) for use in data["gates"]
    )
    return Policy(
        **{
            **data,
            "ask": tuple(data["ask"]),
            "decide": tuple(data["decide"]),
            "lives": timedelta(seconds=data["lives"]),
            "unknown_registrant": UnknownRegistrant(data["unknown_registrant"]),
            "gates": gates,
        }
    )


def _plain(value: Any) -> Any:
    """As JSON that every database takes: PostgreSQL's knows neither NaN nor infinity."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case timedelta():
            return value.total_seconds()
        case datetime():
            return value.isoformat()
    return value
