"""The record: append-only lines, each bound to the one before it by a hash.

A line's hash is SHA-256 over its number, the hash before it and its body, which is canonical JSON
(sorted keys, no blanks, UTF-8). The columns beside the body repeat parts of it for searching;
whoever verifies compares them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.ledger import now
from core.ledger.schema import record as table

START = "0" * 64
"""Stands where the first line names the hash before it."""
_LOCK = 7310444


@dataclass(frozen=True)
class Entry:
    """What is to be written down."""

    action: str
    """What happened, such as ``request.asked``; the ledger's page has words for each."""
    actor: str
    actor_kind: str = "local"
    path: str = "desk"
    """By which way: ``desk``, ``direct``, ``rollback``, ``break_glass``, ``worker``,
    ``reconcile``."""
    store: str = ""
    """Address of the MLflow store."""
    model: str = ""
    version: int | None = None
    rung: str = ""
    request_id: str = ""
    transition_id: str = ""
    before: Mapping[str, Any] | None = None
    """Version → where it stood: ``{"7": {"rung", "stage", "aliases"}}``."""
    after: Mapping[str, Any] | None = None
    why: str = ""
    """The person's comment or reason."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else belongs to it: plain JSON."""


@dataclass(frozen=True)
class Line:
    """One line of the record."""

    number: int
    """1, 2, 3, … without gaps."""
    at: datetime
    entry: Entry
    previous: str
    hash: str


def append(connection: Connection, entry: Entry) -> Line:
    """Write one line, in the caller's transaction: what it tells of and the line stand or fall
    together."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions begin IMMEDIATE: alone
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    head = connection.execute(
        sa.select(table.c.number, table.c.hash).order_by(table.c.number.desc()).limit(1)
    ).first()
    number, previous = (head.number + 1, head.hash) if head else (1, START)
    at = now()
    body = canonical(at, entry)
    line = Line(number, at, entry, previous, link(number, previous, body))
    connection.execute(
        table.insert().values(
            number=number, at=at, action=entry.action, actor=entry.actor, store=entry.store,
            model=entry.model, version=entry.version, request_id=entry.request_id,
            body=body, previous=previous, hash=line.hash,
        )
    )  # fmt: skip
    return line


def canonical(at: datetime, entry: Entry) -> str:
    """The body of a line: canonical JSON of its time and its entry."""
    return json.dumps(
        {"at": at.astimezone(UTC).isoformat(), **asdict(entry)},
        sort_keys=True, separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip


def link(number: int, previous: str, body: str) -> str:
    """The hash that binds a line to the one before it."""
    return sha256(f"{number}\n{previous}\n{body}".encode()).hexdigest()


def line_of(row: Any) -> Line:
    """A row of the table as a line; its body decides."""
    body = json.loads(row.body)
    at = datetime.fromisoformat(body.pop("at"))
    return Line(row.number, at, Entry(**body), row.previous, row.hash)
