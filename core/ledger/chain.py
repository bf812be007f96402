"""The record: append-only lines, each bound to the one before it by a hash.

A line's hash is SHA-256 over its number, the hash before it and its body, which is canonical JSON
(sorted keys, no blanks, UTF-8). The columns beside the body repeat parts of it for searching;
whoever verifies compares them.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.ledger import Ledger, now
from core.ledger.schema import record as table
from core.texts import t

START = "0" * 64
"""Stands where the first line names the hash before it."""
UNREADABLE = "unreadable"
"""The action of a line that is not as it was written: what it says now is not to be believed."""
_LOCK = 7310444
_PART_OF_ID = 8
"""Characters from which on a text may be the beginning of an id: fewer stand in many by chance."""


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
    body: str = field(default="", repr=False)
    """As it is stored."""


def append(connection: Connection, entry: Entry) -> Line:
    """Write one line, in the caller's transaction: what it tells of and the line stand or fall
    together.

    It comes last in the transaction: until its end nobody else can write a line.
    """
    if connection.dialect.name == "postgresql":  # SQLite's transactions begin IMMEDIATE: alone
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    head = connection.execute(
        sa.select(table.c.number, table.c.hash).order_by(table.c.number.desc()).limit(1)
    ).first()
    number, previous = (head.number + 1, head.hash) if head else (1, START)
    at = now()
    body = canonical(at, entry)
    line = Line(number, at, entry, previous, link(number, previous, body), body)
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
    """A row of the table as a line; its body decides.

    A row that is not as it was written becomes a line whose action is ``UNREADABLE``, of which the
    columns say where it belongs: one changed byte takes no page down, and decides nothing.
    """
    body = _text(row.body)
    try:
        said = json.loads(body) if link(row.number, row.previous, body) == row.hash else {}
        at = datetime.fromisoformat(said.pop("at"))
        entry = Entry(**said)
    except (ValueError, TypeError, KeyError, AttributeError):
        at = _moment(row.at)
        entry = Entry(
            UNREADABLE, "", "unknown", "", row.store, row.model, row.version,
            request_id=row.request_id,
        )  # fmt: skip
    return Line(row.number, at, entry, row.previous, row.hash, body)


def _text(stored: object) -> str:
    return stored.decode("utf-8", "backslashreplace") if isinstance(stored, bytes) else str(stored)


def _moment(stored: object) -> datetime:
    """What the column says; where that is no time, the beginning of time."""
    try:
        return datetime.fromisoformat(str(stored)).replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def stored(ledger: Ledger) -> sa.Select[Any]:
    """All rows for ``line_of``, read so that no value fails: SQLite keeps any in any column."""
    c = table.c
    lite = ledger.engine.dialect.name == "sqlite"
    body = sa.cast(c.body, sa.LargeBinary).label("body") if lite else c.body
    at = sa.cast(c.at, sa.Text).label("at")
    return sa.select(
        c.number, at, c.store, c.model, c.version, c.request_id, body, c.previous, c.hash
    )


@dataclass(frozen=True)
class Head:
    """How long the record was at a moment, and the hash of its last line then."""

    count: int
    hash: str
    where: str = ""
    """Where it was found, in words; "" for the ledger's own."""

    def __str__(self) -> str:
        """As it is written down outside the ledger."""
        return f"{self.count}:{self.hash}"


def head(ledger: Ledger) -> Head | None:
    """The record's head; None where nothing is recorded."""
    query = sa.select(table.c.number, table.c.hash).order_by(table.c.number.desc()).limit(1)
    with ledger.reading(t("record.reading")) as connection:
        row = connection.execute(query).first()
    return Head(row.number, row.hash) if row else None


def line(ledger: Ledger, number: int) -> Line | None:
    """One line by its number; None where there is none."""
    with ledger.reading(t("record.reading")) as connection:
        row = connection.execute(stored(ledger).where(table.c.number == number)).first()
    return line_of(row) if row else None


class Wanted(TypedDict, total=False):
    """Which lines are meant; what is left out, or None, leaves it open."""

    store: str | None
    model: str | None
    """About this model only."""
    models: Collection[str] | None
    """About these only; a line without a model is about the model ""."""
    numbers: Collection[int] | None
    """These only."""
    request_id: str | None
    action: str | Collection[str] | None
    """One action or several; one that ends with a dot stands for all that begin so."""
    actor: str | None
    text: str | None
    """Stands in the person's name, the model's, the reason or the details, in any case; or is how
    the id of the request or of the change begins."""
    since: datetime | None
    """Written then or later."""
    until: datetime | None
    """Written before."""


def lines(
    ledger: Ledger,
    *,
    newest_first: bool = True,
    after: int | None = None,
    limit: int | None = 100,
    offset: int = 0,
    **wanted: Unpack[Wanted],
) -> list[Line]:
    """Lines of the record.

    Args:
        after: with a number greater than this, for going through them all.
        limit: at most so many; None for all.
        offset: leave out so many at the beginning.
        wanted: which lines (``Wanted``).
    """
    query = stored(ledger).where(*_conditions(ledger, wanted))
    if after is not None:
        query = query.where(table.c.number > after)
    order = table.c.number.desc() if newest_first else table.c.number.asc()
    query = query.order_by(order).limit(limit).offset(offset or None)
    with ledger.reading(t("record.reading")) as connection:
        rows = connection.execute(query).all()
    return [line_of(row) for row in rows]  # making their hashes again takes its time


def count(ledger: Ledger, **wanted: Unpack[Wanted]) -> int:
    """How many lines there are of those that ``lines`` would give."""
    query = sa.select(sa.func.count()).select_from(table).where(*_conditions(ledger, wanted))
    with ledger.reading(t("record.reading")) as connection:
        return int(connection.execute(query).scalar_one())


def numbers(ledger: Ledger, **wanted: Unpack[Wanted]) -> dict[str, list[int]]:
    """Model → the numbers of the lines about it that ``lines`` would give, newest first."""
    c = table.c
    query = sa.select(c.model, c.number).where(*_conditions(ledger, wanted))
    found: dict[str, list[int]] = {}
    with ledger.reading(t("record.reading")) as connection:
        for row in connection.execute(query.order_by(c.number.desc())):
            found.setdefault(row.model, []).append(row.number)
    return found


def newest_of_each(ledger: Ledger, store: str) -> dict[tuple[str, int | None], Head]:
    """For each version of a store the newest line about it: (model, version) → head; without a
    version the newest that is about the registered model alone."""
    c = table.c
    newest = (
        sa.select(sa.func.max(c.number).label("number"))
        .where(c.store == store, c.model != "")
        .group_by(c.model, c.version)
        .subquery()
    )
    query = sa.select(c.model, c.version, c.number, c.hash).join(
        newest, c.number == newest.c.number
    )
    with ledger.reading(t("record.reading")) as connection:
        return {(r.model, r.version): Head(r.number, r.hash) for r in connection.execute(query)}


def actors(
    ledger: Ledger, store: str | None = None, models: Collection[str] | None = None
) -> list[str]:
    """The names of all who stand in the record, or in its lines about some models."""
    query = sa.select(table.c.actor).where(table.c.actor != "").distinct()
    if store is not None:
        query = query.where(table.c.store == store)
    if models is not None:
        query = query.where(table.c.model.in_(models))
    with ledger.reading(t("record.reading")) as connection:
        return sorted(connection.execute(query).scalars())


def _conditions(ledger: Ledger, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    c = table.c
    exactly = ("store", "model", "request_id", "actor")
    found = [c[name] == wanted[name] for name in exactly if wanted.get(name) is not None]  # type: ignore[literal-required]
    models, action, text = wanted.get("models"), wanted.get("action"), wanted.get("text")
    numbers = wanted.get("numbers")
    since, until = wanted.get("since"), wanted.get("until")
    if models is not None:
        found.append(c.model.in_(models))
    if numbers is not None:
        found.append(c.number.in_(numbers))
    if action is not None:
        words = [action] if isinstance(action, str) else list(action)
        exact = c.action.in_([word for word in words if not word.endswith(".")])
        begin = [c.action.startswith(word, autoescape=True) for word in words if word[-1:] == "."]
        found.append(sa.or_(exact, *begin))
    if since is not None:
        found.append(c.at >= since)
    if until is not None:
        found.append(c.at < until)
    if text:
        # The whole body first, which is quick; it also holds the names of its fields.
        inside = json.dumps(text, ensure_ascii=False)[1:-1]
        found.append(c.body.icontains(inside, autoescape=True))
        parts = [c.actor, c.model, *(_part(ledger, name) for name in ("why", "rung", "details"))]
        says = [part.icontains(text, autoescape=True) for part in parts]
        if len(text) >= _PART_OF_ID:
            ids = (c.request_id, _part(ledger, "transition_id"))
            says += [one.istartswith(text, autoescape=True) for one in ids]
        found.append(sa.or_(*says))
    return found


def _part(ledger: Ledger, name: str) -> sa.ColumnElement[str]:
    """Of the bodies that can be read: one that cannot would end the search."""
    c, make = table.c, sa.func
    if ledger.engine.dialect.name == "sqlite":
        part = make.json_extract(c.body, f"$.{name}", type_=sa.Text)
        return sa.case((make.json_valid(c.body) == 1, part))
    sealed = sa.cast(c.number, sa.Text) + "\n" + c.previous + "\n" + c.body
    hashed = make.encode(make.sha256(make.convert_to(sealed, "UTF8")), "hex")
    part = make.json_extract_path_text(sa.cast(c.body, sa.JSON), name, type_=sa.Text)
    return sa.case((hashed == c.hash, part))
