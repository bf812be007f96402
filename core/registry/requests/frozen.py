"""What a check found is frozen into the request's row; the record keeps a fingerprint of it."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.ledger import Ledger, chain
from core.ledger.schema import record
from core.ledger.schema import requests as table
from core.texts import t

CHECKED = "request.checked"
"""The action of the lines that keep it, as ``frozen`` among their details."""
_FOUND = (table.c.evidence, table.c.results, table.c.steps)


def fingerprint(connection: Connection, request_id: str) -> str:
    """SHA-256 (64 hexadecimal digits) of evidence, results and steps as they are stored."""
    query = sa.select(*_FOUND).where(table.c.id == request_id)
    return _hash(connection.execute(query).one()._mapping)


def contradicted(ledger: Ledger, request_id: str) -> int | None:
    """The newest line about a check of a request, where the request holds something else than was
    found then, or the line is not as it was written; None where all is well.

    Lines from before there were fingerprints say nothing.
    """
    query = (
        chain.stored(ledger)  # one statement: a check that ends meanwhile is seen whole or not
        .add_columns(*_FOUND)
        .join(table, table.c.id == record.c.request_id)
        .where(table.c.id == request_id, record.c.action == CHECKED)
        .order_by(record.c.number.desc())
        .limit(1)
    )
    with ledger.transaction(t("requests.recording")) as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    line = chain.line_of(row)
    kept = line.entry.details.get("frozen", _hash(row._mapping))
    holds = kept == _hash(row._mapping) and line.entry.action != chain.UNREADABLE
    return None if holds else line.number


def _hash(row: Mapping[Any, Any]) -> str:
    found = {column.name: row[column.name] for column in _FOUND}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
