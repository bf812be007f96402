"""The outbox: webhooks, and what is to be delivered to each of them.

Every line of the record that a webhook asks for becomes one delivery; the worker looks through new
lines and delivers. A delivery is claimed by moving its next moment on, so that of several workers
one sends it; one whose sender died is sent again, under the same id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.errors import NotFound
from core.ledger import Ledger, new_id, now
from core.ledger.schema import deliveries as delivery_table
from core.ledger.schema import record as record_table
from core.ledger.schema import webhooks as table
from core.people.patterns import fits
from core.texts import t

SAMPLE = 0
"""The number of a delivery that stands for no line of the record: a test."""
_AT_ONCE = 500
_CLAIMED = timedelta(seconds=120)
BACK_OFF = tuple(timedelta(seconds=s) for s in (10, 60, 600, 3_600, 6 * 3_600, 24 * 3_600))
"""How long after each try that failed the next one comes; after the last, none does."""


class Shape(StrEnum):
    """The form of what is sent."""

    JSON = "json"
    """Ours, signed."""
    SLACK = "slack"
    TEAMS = "teams"


class State(StrEnum):
    """How far a delivery came."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    """It was tried often enough, or cannot be sent at all."""


GROUPS = {
    "requests": (
        "request.asked",
        "request.withdrawn",
        "request.waits",
        "request.expired",
        "request.superseded",
        "request.outdated",
        "request.failed",
    ),
    "decisions": ("request.approved", "request.rejected", "request.broke_glass"),
    "transitions": ("transition.",),
    "unattributed": ("unattributed.",),
}
"""What a webhook may ask for: a name → actions of the record; one that ends with a dot stands for
all that begin so."""


@dataclass(frozen=True)
class Webhook:
    """An address that is told of what happens."""

    id: str
    name: str
    url: str
    """A secret itself, where it is a chat's: never shown whole."""
    shape: Shape
    secret: str
    """What bodies are signed with."""
    actions: tuple[str, ...]
    """Names of ``GROUPS``."""
    models: str
    """A pattern with ``*`` and ``?``."""
    enabled: bool
    seen: int
    """Lines of the record up to this number were looked at."""
    made_by: str
    made_at: datetime
    removed_at: datetime | None

    def wants(self, action: str, model: str) -> bool:
        """Whether a line of the record is sent there."""
        asked = [a for group in self.actions for a in GROUPS.get(group, ())]
        named = any(action.startswith(a) if a.endswith(".") else action == a for a in asked)
        return named and fits(self.models, model)


@dataclass(frozen=True)
class Delivery:
    """One line of the record on its way to one webhook."""

    id: str
    webhook_id: str
    number: int
    """Of the line; ``SAMPLE`` and less for tests."""
    state: State
    tries: int
    next_at: datetime
    last_at: datetime | None
    status: int | None
    """The HTTP status of the last answer."""
    message: str
    action: str = ""
    """What the line tells of; only ``history`` looks it up."""
    model: str = ""

    @property
    def is_sample(self) -> bool:
        """Whether it is a test."""
        return self.number <= SAMPLE


def webhooks(ledger: Ledger) -> list[Webhook]:
    """All that were not removed, by name."""
    query = sa.select(table).where(table.c.removed_at.is_(None)).order_by(table.c.name, table.c.id)
    with ledger.transaction(t("webhooks.recording")) as connection:
        return [_webhook(row._mapping) for row in connection.execute(query)]


def webhook(ledger: Ledger, webhook_id: str) -> Webhook:
    """One webhook that was not removed.

    Raises:
        NotFound: there is none.
    """
    with ledger.transaction(t("webhooks.recording")) as connection:
        return read(connection, webhook_id)


def read(connection: Connection, webhook_id: str, *, lock: bool = False) -> Webhook:
    """The same within a transaction.

    Args:
        lock: keep others from changing it until the transaction ends.
    """
    query = sa.select(table).where(table.c.id == webhook_id, table.c.removed_at.is_(None))
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise NotFound(t("webhooks.gone"))
    return _webhook(row._mapping)


def insert(connection: Connection, made: Webhook) -> None:
    """Write a new webhook down."""
    connection.execute(
        table.insert().values(
            id=made.id, name=made.name, url=made.url, shape=made.shape, secret=made.secret,
            actions=list(made.actions), models=made.models, enabled=made.enabled, seen=made.seen,
            made_by=made.made_by, made_at=made.made_at,
        )
    )  # fmt: skip


def change(connection: Connection, webhook_id: str, **values: Any) -> None:
    """Change some columns of a webhook."""
    connection.execute(table.update().where(table.c.id == webhook_id).values(**values))


def newest(connection: Connection) -> int:
    """The number of the record's last line; 0 for none."""
    return connection.execute(sa.select(sa.func.max(record_table.c.number))).scalar() or 0


def enqueue(ledger: Ledger) -> int:
    """Make deliveries of the record's new lines; how many were made."""
    made = 0
    for one in webhooks(ledger):
        if one.enabled:
            with ledger.transaction(t("webhooks.recording")) as connection:
                made += _enqueue(connection, one)[1]
    return made


def catch_up(connection: Connection, one: Webhook) -> Webhook:
    """Make deliveries of all lines up to the record's end; the webhook as it is then.

    Args:
        one: as ``read`` gave it with ``lock``.
    """
    while True:
        seen, _ = _enqueue(connection, one)
        if seen == one.seen:
            return one
        one = replace(one, seen=seen)


def _enqueue(connection: Connection, one: Webhook) -> tuple[int, int]:
    """Up to which line was looked now, and how many deliveries were made."""
    c = record_table.c
    new = connection.execute(
        sa.select(c.number, c.action, c.model)
        .where(c.number > one.seen)
        .order_by(c.number)
        .limit(_AT_ONCE)
    ).all()
    if not new:
        return one.seen, 0
    seen = new[-1].number
    moved = connection.execute(
        table.update().where(table.c.id == one.id, table.c.seen == one.seen).values(seen=seen)
    )
    if moved.rowcount != 1:  # another worker was faster
        return one.seen, 0
    wanted = [line.number for line in new if one.wants(line.action, line.model)]
    for number in wanted:
        post(connection, one.id, number)
    return seen, len(wanted)


def post(connection: Connection, webhook_id: str, number: int) -> str:
    """Put one delivery into the outbox; its id."""
    made = new_id()
    connection.execute(
        delivery_table.insert().values(
            id=made, webhook_id=webhook_id, number=number, state=State.WAITING, tries=0,
            next_at=now(), message="",
        )
    )  # fmt: skip
    return made


def post_sample(connection: Connection, webhook_id: str) -> str:
    """Put a test into the outbox; its id."""
    least = connection.execute(
        sa.select(sa.func.min(delivery_table.c.number)).where(
            delivery_table.c.webhook_id == webhook_id
        )
    ).scalar()
    return post(connection, webhook_id, min(least or 0, 1) - 1)


def again(connection: Connection, delivery_id: str) -> None:
    """Send a delivery once more, with all its tries."""
    connection.execute(
        delivery_table.update()
        .where(delivery_table.c.id == delivery_id)
        .values(state=State.WAITING, tries=0, next_at=now(), message="")
    )


def delivery(ledger: Ledger, delivery_id: str) -> Delivery:
    """One delivery.

    Raises:
        NotFound: there is none.
    """
    query = sa.select(delivery_table).where(delivery_table.c.id == delivery_id)
    with ledger.transaction(t("webhooks.recording")) as connection:
        row = connection.execute(query).first()
    if row is None:
        raise NotFound(t("webhooks.no_delivery"))
    return _delivery(row._mapping)


def history(ledger: Ledger, webhook_id: str, limit: int = 100) -> list[Delivery]:
    """The newest deliveries of a webhook, newest first; tests among them where they were tried."""
    c = delivery_table.c
    when = sa.func.coalesce(c.last_at, c.next_at)
    query = (
        sa.select(delivery_table, record_table.c.action, record_table.c.model)
        .outerjoin(record_table, record_table.c.number == c.number)
        .where(c.webhook_id == webhook_id)
        .order_by(when.desc(), c.number.desc())
        .limit(limit)
    )
    with ledger.transaction(t("webhooks.recording")) as connection:
        return [_delivery(row._mapping) for row in connection.execute(query)]


def due(ledger: Ledger) -> list[str]:
    """Ids of the enabled webhooks for which something is to be delivered now.

    Those first of which nothing waits that was tried already, then those tried longest ago: however
    many do not answer, they take turns among themselves and hold up no other.
    """
    c = delivery_table.c
    longest = sa.func.min(c.next_at)
    query = (
        sa.select(c.webhook_id)
        .join(table, table.c.id == c.webhook_id)
        .where(c.state == State.WAITING, table.c.enabled, table.c.removed_at.is_(None))
        .group_by(c.webhook_id)
        .having(longest <= now())
        .order_by(sa.func.max(c.last_at).asc().nulls_first(), longest, c.webhook_id)
    )
    with ledger.transaction(t("webhooks.recording")) as connection:
        return list(connection.execute(query).scalars())


def claim(ledger: Ledger, webhook_id: str) -> Delivery | None:
    """The oldest delivery of a webhook that is due, for whoever calls alone; None for none."""
    c = delivery_table.c
    query = (
        sa.select(delivery_table)
        .where(c.webhook_id == webhook_id, c.state == State.WAITING, c.next_at <= now())
        .order_by(c.number)
        .limit(1)
    )
    with ledger.transaction(t("webhooks.recording")) as connection:
        row = connection.execute(query).first()
        if row is None:
            return None
        taken = connection.execute(
            delivery_table.update()
            .where(c.id == row.id, c.tries == row.tries, c.next_at == row.next_at)
            .values(tries=row.tries + 1, next_at=now() + _CLAIMED, last_at=now())
        )
        if taken.rowcount != 1:
            return None
    return delivery(ledger, row.id)


def finish(
    ledger: Ledger, sent: Delivery, status: int | None, message: str, *, again: bool = True
) -> None:
    """Write down how a try went.

    Args:
        sent: as ``claim`` gave it.
        status: of the answer, where there was one.
        message: why it failed; "" where it was taken.
        again: whether trying once more can help.
    """
    values: dict[str, Any] = {"status": status, "message": message[:500], "last_at": now()}
    if not message:
        values |= {"state": State.DELIVERED}
    elif sent.tries > len(BACK_OFF) or not again:
        values |= {"state": State.GIVEN_UP}
    else:
        values |= {"next_at": now() + BACK_OFF[sent.tries - 1]}
    c = delivery_table.c
    with ledger.transaction(t("webhooks.recording")) as connection:
        connection.execute(
            delivery_table.update().where(c.id == sent.id, c.tries == sent.tries).values(**values)
        )


def counts(ledger: Ledger, ids: Sequence[str]) -> dict[str, dict[State, int]]:
    """How many deliveries of each webhook are in which state."""
    c = delivery_table.c
    query = (
        sa.select(c.webhook_id, c.state, sa.func.count())
        .where(c.webhook_id.in_(ids))
        .group_by(c.webhook_id, c.state)
    )
    found: dict[str, dict[State, int]] = {one: {} for one in ids}
    with ledger.transaction(t("webhooks.recording")) as connection:
        for webhook_id, state, n in connection.execute(query):
            found[webhook_id][State(state)] = n
    return found


def _webhook(row: Any) -> Webhook:
    return Webhook(**{**row, "shape": Shape(row["shape"]), "actions": tuple(row["actions"])})


def _delivery(row: Any) -> Delivery:
    found = {name: value for name, value in dict(row).items() if value is not None}
    empty = {"last_at": None, "status": None}
    return Delivery(**{**empty, **found, "state": State(row["state"])})
