"""Leases: being the only one, for a while, without holding a transaction open.

A lease is a row with a holder, an end and a token that grows with every taking (a fencing token:
M. Kleppmann, "How to do distributed locking", 2016). Whoever writes under a lease asks first
whether its token is still the newest.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from core.errors import Busy, Conflict
from core.ledger import Ledger, now
from core.ledger.schema import leases
from core.texts import t


@dataclass(frozen=True)
class Lease:
    """A lease that was taken."""

    name: str
    holder: str
    token: int
    """Grows by one with every taking of the same name."""


def take(ledger: Ledger, name: str, holder: str, seconds: float) -> Lease | None:
    """Take the lease ``name`` for ``seconds``; None where somebody else holds it."""
    try:
        with ledger.transaction(t("ledger.leasing")) as connection:
            row = connection.execute(
                sa.select(leases).where(leases.c.name == name).with_for_update()
            ).first()
            if row is None:
                connection.execute(
                    leases.insert().values(
                        name=name, holder=holder, token=1, expires_at=_end(connection, seconds)
                    )
                )
                return Lease(name, holder, 1)
            if row.expires_at > _now(connection):
                return None
            connection.execute(
                leases.update()
                .where(leases.c.name == name)
                .values(holder=holder, token=row.token + 1, expires_at=_end(connection, seconds))
            )
            return Lease(name, holder, row.token + 1)
    except IntegrityError:  # somebody made the row between our look and our insert
        return None


def renew(ledger: Ledger, lease: Lease, seconds: float) -> bool:
    """Hold on to a lease for ``seconds`` from now; False where it was lost."""
    with ledger.transaction(t("ledger.leasing")) as connection:
        done = connection.execute(
            leases.update()
            .where(leases.c.name == lease.name, leases.c.token == lease.token)
            .values(expires_at=_end(connection, seconds))
        )
        return done.rowcount == 1


def give_back(ledger: Ledger, lease: Lease) -> None:
    """End a lease early; nothing happens where it was lost already."""
    with ledger.transaction(t("ledger.leasing")) as connection:
        connection.execute(
            leases.update()
            .where(leases.c.name == lease.name, leases.c.token == lease.token)
            .values(expires_at=_now(connection))
        )


def expire(ledger: Ledger, name: str) -> None:
    """End a lease whose holder is known to be dead."""
    with ledger.transaction(t("ledger.leasing")) as connection:
        connection.execute(
            leases.update().where(leases.c.name == name).values(expires_at=_now(connection))
        )


def holds(connection: Connection, lease: Lease) -> bool:
    """Whether ``lease`` is still the newest of its name and has not run out."""
    row = connection.execute(sa.select(leases).where(leases.c.name == lease.name)).first()
    return row is not None and row.token == lease.token and row.expires_at > _now(connection)


def check(ledger: Ledger, lease: Lease) -> None:
    """Raise where the lease was lost.

    Raises:
        Conflict: it ran out, or somebody else took it since.
    """
    with ledger.transaction(t("ledger.leasing")) as connection:
        if not holds(connection, lease):
            raise Conflict(t("ledger.lost", name=lease.name))


@contextmanager
def held(ledger: Ledger, name: str, holder: str, *, seconds: float, what: str) -> Iterator[Lease]:
    """Hold the lease ``name`` for the length of a ``with`` block.

    Args:
        what: what is being done, for the words of the error.

    Raises:
        Busy: somebody else holds it.
    """
    lease = take(ledger, name, holder, seconds)
    if lease is None:
        raise Busy(t("ledger.busy", what=what))
    try:
        yield lease
    finally:
        give_back(ledger, lease)


def _end(connection: Connection, seconds: float) -> datetime:
    return _now(connection) + timedelta(seconds=seconds)


def _now(connection: Connection) -> datetime:
    """The present moment, by one clock for all who take leases: several hosts may share PostgreSQL,
    whose own clock it is then; SQLite's file is one host's."""
    if connection.dialect.name != "postgresql":
        return now()
    moment: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return moment
