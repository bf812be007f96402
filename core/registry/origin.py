"""Who registered a version: known only where it went through Modeldeck.

The version's tag says it too, but whoever may edit the model may write that tag; the record's lines
are ours alone.
"""

from typing import Any

import sqlalchemy as sa

from core.ledger import Ledger
from core.ledger.chain import Entry, Line, append, line_of, stored
from core.ledger.schema import record as table
from core.mlflow_api.nouns import ModelVersion
from core.people import Actor
from core.texts import t

ACTION = "version.registered"


def note_registered(ledger: Ledger, store: str, actor: Actor, version: ModelVersion) -> Line:
    """Write down who registered a version."""
    with ledger.transaction(t("registry.recording")) as connection:
        return append(connection, _entry(store, actor, version))


def registrant(ledger: Ledger, version: ModelVersion, store: str) -> str | None:
    """Who registered a version through Modeldeck; None where that is not known.

    A version that was deleted gives its number to the next one: the source and the time of making
    must be the same too.
    """
    with ledger.reading(t("registry.recording")) as connection:
        row = connection.execute(_newest(ledger, store, version.model, version.version)).first()
    line = line_of(row) if row else None
    if line is None or line.entry.details != _marks(version):
        return None
    return line.entry.actor


def _entry(store: str, actor: Actor, version: ModelVersion) -> Entry:
    return Entry(
        ACTION, actor.name, actor.kind, store=store, model=version.model, version=version.version,
        details=_marks(version),
    )  # fmt: skip


def _marks(version: ModelVersion) -> dict[str, str]:
    made = version.created_at
    return {"source": version.source, "created_at": made.isoformat() if made else ""}


def _newest(ledger: Ledger, store: str, model: str, version: int) -> sa.Select[Any]:
    return (
        stored(ledger)
        .where(
            table.c.store == store,
            table.c.model == model,
            table.c.version == version,
            table.c.action == ACTION,
        )
        .order_by(table.c.number.desc())
        .limit(1)
    )
