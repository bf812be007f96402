"""Edits by hand as lines of the record: each says what stood there before and what stands there."""

from core.ledger import chain
from core.ledger.chain import Entry, Line
from core.registry.desk import Desk
from core.texts import t


def note(
    desk: Desk,
    action: str,
    model: str,
    version: int | None,
    key: str,
    *,
    seen: str | None,
    found: str | None,
    wanted: str | None,
) -> Line | None:
    """Write down that a person changed a text; to be called once it stands in MLflow.

    Where it stood there before anything was written, it is a line all the same unless the person
    saw it there, or the newest line about it says so: an earlier try took effect, and its reply or
    its line was lost.

    Args:
        key: of the tag or the field, or ``description``.
        seen: what the person saw; None for nothing.
        found: what stood there just before.
        wanted: what stands there now.
    """
    if found == wanted and (seen == wanted or _told(desk, action, model, version, key) == wanted):
        return None
    entry = Entry(
        action,
        desk.actor.name,
        desk.actor.kind,
        "direct",
        desk.mlflow.address,
        model,
        version,
        before={key: seen if found == wanted else found},
        after={key: wanted},
    )
    with desk.ledger.transaction(t("registry.recording")) as connection:
        return chain.append(connection, entry)


def _told(desk: Desk, action: str, model: str, version: int | None, key: str) -> str | None:
    """What the newest line about the same says; what no person can have wanted where none does."""
    alike = action.partition(".")[0] + "."
    lines = chain.lines(
        desk.ledger, store=desk.mlflow.address, model=model, action=alike, limit=None
    )
    mine = (line.entry.after or {} for line in lines if line.entry.version == version)
    return next((after[key] for after in mine if key in after), "\0")
