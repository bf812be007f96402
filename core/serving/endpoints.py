"""Endpoints: which model versions are served, by which process, at which address."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from core.ledger import Ledger
from core.ledger.queue import Queue
from core.ledger.schema import endpoints
from core.mlflow_api.nouns import ModelVersion
from core.people import Actor
from core.settings import http_address
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
        return http_address(self.host, self.port) if self.host and self.port else None

    @property
    def name(self) -> str:
        """Model and version, for a list."""
        return f"{self.model} v{self.version}"


QUEUE = Queue(endpoints, Endpoint, OPEN, "endpoints.reading", "endpoints.none_such")
get, owned, update = QUEUE.get, QUEUE.owned, QUEUE.update
adopt, request_stop = QUEUE.adopt, QUEUE.request_stop


def request(ledger: Ledger, actor: Actor, version: ModelVersion) -> Endpoint:
    """Ask for an endpoint of a version; the worker starts it."""
    return QUEUE.add(
        ledger, by=actor.name, state=QUEUED, model=version.model, version=version.version,
        run_id=version.run_id, source=version.source, restarts=0,
    )  # fmt: skip


def recent(ledger: Ledger, limit: int = 100) -> list[Endpoint]:
    """Endpoints, those that are open first, then newest first."""
    return QUEUE.rows(
        ledger,
        sa.select(endpoints)
        .order_by(endpoints.c.state.notin_(OPEN), endpoints.c.requested_at.desc())
        .limit(limit),
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
