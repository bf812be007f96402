"""Endpoints: which model versions are served, by which process, at which address."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.errors import NotFound
from core.ledger import Ledger, new_id, now
from core.ledger.schema import endpoints
from core.mlflow_api.nouns import ModelVersion
from core.people import Actor
from core.texts import t

QUEUED, STARTING, HEALTHY, UNHEALTHY = "queued", "starting", "healthy", "unhealthy"
STOPPING, STOPPED, FAILED = "stopping", "stopped", "failed"
OPEN = (QUEUED, STARTING, HEALTHY, UNHEALTHY, STOPPING)
MOST_RESTARTS = 3


@dataclass(frozen=True)
class Endpoint:
    """A model version that is, was or will be served by a process of its own."""

    id: str
    model: str
    version: int
    run_id: str | None
    source: str
    state: str
    message: str
    requested_by: str
    requested_at: datetime
    claimed_by: str | None
    claim_token: int
    process_id: str | None
    host: str | None
    port: int | None
    nonce: str | None
    """Made anew at each start; the process answers with it, so that no other is taken for it."""
    restarts: int
    ready_at: datetime | None
    checked_at: datetime | None
    ended_at: datetime | None
    stop_requested_at: datetime | None
    stop_requested_by: str | None

    @property
    def open(self) -> bool:
        """Whether it serves, or may yet."""
        return self.state in OPEN

    @property
    def address(self) -> str | None:
        """Its URL; None until its process listens."""
        return f"http://{self.host}:{self.port}" if self.host and self.port else None

    @property
    def name(self) -> str:
        """Model and version, for a list."""
        return f"{self.model} v{self.version}"


def request(ledger: Ledger, actor: Actor, version: ModelVersion) -> Endpoint:
    """Ask for an endpoint of a version; the worker starts it."""
    endpoint_id = new_id()
    with ledger.transaction(t("endpoints.reading")) as connection:
        connection.execute(
            endpoints.insert().values(
                id=endpoint_id,
                model=version.model,
                version=version.version,
                run_id=version.run_id,
                source=version.source,
                state=QUEUED,
                message="",
                requested_by=actor.name,
                requested_at=now(),
                claim_token=0,
                restarts=0,
            )
        )
    return get(ledger, endpoint_id)


def get(ledger: Ledger, endpoint_id: str) -> Endpoint:
    """One endpoint.

    Raises:
        NotFound: there is none of that id.
    """
    with ledger.transaction(t("endpoints.reading")) as connection:
        row = connection.execute(sa.select(endpoints).where(endpoints.c.id == endpoint_id)).first()
    if row is None:
        raise NotFound(t("endpoints.none_such", id=endpoint_id[:40]))
    return Endpoint(**row._mapping)


def recent(ledger: Ledger, limit: int = 100) -> list[Endpoint]:
    """Endpoints, those that are open first, then newest first."""
    query = (
        sa.select(endpoints)
        .order_by(endpoints.c.ended_at.isnot(None), endpoints.c.requested_at.desc())
        .limit(limit)
    )
    with ledger.transaction(t("endpoints.reading")) as connection:
        return [Endpoint(**row._mapping) for row in connection.execute(query)]


def request_stop(ledger: Ledger, endpoint_id: str, by: str) -> None:
    """Ask for an endpoint's stop; the worker ends its process."""
    with ledger.transaction(t("endpoints.reading")) as connection:
        connection.execute(
            endpoints.update()
            .where(
                endpoints.c.id == endpoint_id,
                endpoints.c.state.in_(OPEN),
                endpoints.c.stop_requested_at.is_(None),
            )
            .values(stop_requested_at=now(), stop_requested_by=by)
        )


def claim_all(ledger: Ledger, owner: str, token: int) -> None:
    """Take every endpoint that waits.

    Args:
        owner: whose they are from now on.
        token: the fencing token of the owner's lease.
    """
    waits = endpoints.c.claimed_by.is_(None) & (endpoints.c.state == QUEUED)
    with ledger.transaction(t("endpoints.reading")) as connection:
        connection.execute(
            endpoints.update().where(waits).values(claimed_by=owner, claim_token=token)
        )


def adopt(ledger: Ledger, owner: str, token: int) -> None:
    """Take over what an earlier worker of this owner had claimed; its token is worth no more."""
    with ledger.transaction(t("endpoints.reading")) as connection:
        connection.execute(
            endpoints.update()
            .where(endpoints.c.claimed_by == owner, endpoints.c.state.in_(OPEN))
            .values(claim_token=token)
        )


def owned(ledger: Ledger, owner: str) -> list[Endpoint]:
    """The open endpoints of this owner, oldest first."""
    query = (
        sa.select(endpoints)
        .where(endpoints.c.claimed_by == owner, endpoints.c.state.in_(OPEN))
        .order_by(endpoints.c.requested_at)
    )
    with ledger.transaction(t("endpoints.reading")) as connection:
        return [Endpoint(**row._mapping) for row in connection.execute(query)]


def update(ledger: Ledger, endpoint: Endpoint, **values: object) -> Endpoint:
    """Write to a claimed endpoint, unless somebody took it over since.

    Raises:
        NotFound: it is another worker's now.
    """
    with ledger.transaction(t("endpoints.reading")) as connection:
        done = connection.execute(
            endpoints.update()
            .where(endpoints.c.id == endpoint.id, endpoints.c.claim_token == endpoint.claim_token)
            .values(**values)
        )
        if done.rowcount != 1:
            raise NotFound(t("endpoints.taken_over", id=endpoint.id))
    return get(ledger, endpoint.id)
