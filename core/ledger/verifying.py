"""Whether the record is as it was written: every hash made again, every column compared.

It reads the database's own values past every conversion, so that no change hides behind one.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from core.errors import LedgerFailed
from core.ledger import Ledger, now
from core.ledger.chain import START, Head, link
from core.texts import t

MOST_FAULTS = 100
_CHUNK = 2000
_TEXTS = ("at", "action", "actor", "store", "model", "request_id", "body", "previous", "hash")
_BESIDE = ("at", "action", "actor", "store", "model", "version", "request_id")
_FIRST = -(2**63)


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it was written."""

    number: int
    """The line."""
    what: str
    """In words."""


@dataclass(frozen=True)
class Verification:
    """What was found."""

    lines: int
    """How many lines were read."""
    faults: tuple[Fault, ...]
    """At most ``MOST_FAULTS`` of them."""
    faulty: int
    """How many faults there are in all."""
    head: Head | None
    """The last line read."""
    heads: int
    """How many heads from outside were compared."""
    at: datetime
    """When it was done."""
    left_out: int = 0
    """How many lines are not there and need not be."""

    @property
    def ok(self) -> bool:
        """Whether all is as it was written."""
        return not self.faulty


def verify(
    ledger: Ledger,
    heads: Iterable[Head] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Read the whole record and compare it with itself, and with heads kept outside of it.

    Lines that are written meanwhile are read too.

    Args:
        heads: gathered before the call (``core.registry.heads``).
        progress: is told how many lines are read, of how many.

    Raises:
        LedgerFailed: the database cannot be reached.
    """
    with ledger.reading(t("record.reading")) as connection:
        total = int(connection.execute(sa.text("SELECT count(*) FROM record")).scalar_one())
    return check(_rows(ledger, total, progress), heads)


def check(
    rows: Iterable[dict[str, Any] | Fault], heads: Iterable[Head] = (), *, gaps: bool = False
) -> Verification:
    """The same for lines from anywhere, such as an export.

    Args:
        gaps: lines may be left out, as where only some were exported; then each is checked by
            itself, against the line before it where that is there, and against its own head.
        rows: in order, each with ``number``, ``previous``, ``hash`` and ``body``, and any of the
            columns beside the body. A fault in their place is one of reading.
    """
    outside: dict[int, list[Head]] = {}
    compared = 0
    for one in heads:
        outside.setdefault(one.count, []).append(one)
        compared += 1
    faults: list[Fault] = []
    faulty, seen, left_out, number, last, made = 0, 0, 0, 0, START, START

    def say(found: Iterable[Fault]) -> None:
        nonlocal faulty
        for fault in found:
            faulty += 1
            if len(faults) < MOST_FAULTS:
                faults.append(fault)

    say(_fault(0, "malformed", where=one.where, text=one.hash) for one in outside.pop(0, ()))
    for row in rows:
        if isinstance(row, Fault):
            say([row])
            continue
        here, seen = row["number"], seen + 1
        if gaps and here > number + 1:
            left_out += here - number - 1
        elif here != number + 1:
            say([_gap(number + 1, here)])
        elif row["previous"] not in (last, made):
            say([_fault(here, "previous", before=number)])
        say(_own_faults(row))
        number, last = here, row["hash"]
        made = link(here, str(row["previous"]), str(row["body"]))
        say(
            _fault(here, "head", where=one.where)
            for one in outside.pop(here, ())
            if one.hash != last
        )
    for length, found in () if gaps else sorted(outside.items()):
        key = "cut" if number else "empty"
        say(_fault(number, key, where=one.where, count=length) for one in found)
    end = Head(number, str(last)) if seen else None
    return Verification(seen, tuple(faults), faulty, end, compared, now(), left_out)


def _own_faults(row: dict[str, Any]) -> Iterator[Fault]:
    """What a line says against itself."""
    number = row["number"]
    if row.get("types") is not None:
        yield _fault(number, "types")
        return
    body = row["body"]
    if not isinstance(body, str) or row["hash"] != link(number, str(row["previous"]), body):
        yield _fault(number, "hash")
        return
    try:
        said = json.loads(body)
        written = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        at = datetime.fromisoformat(said["at"]).astimezone(UTC)
        beside = {**{name: said[name] for name in _BESIDE}, "at": f"{at:%Y-%m-%d %H:%M:%S.%f}"}
    except (ValueError, KeyError, TypeError, AttributeError):
        yield _fault(number, "body")
        return
    if written != body:
        yield _fault(number, "form")
    for name, value in beside.items():
        if name in row and (row[name] != value or type(row[name]) is not type(value)):
            yield _fault(
                number, "column", column=name, there=repr(row[name])[:100], body=repr(value)[:100]
            )


def _gap(expected: int, here: int) -> Fault:
    if here < expected:
        return _fault(here, "order", expected=expected)
    if here == expected + 1:
        return _fault(expected, "missing_one")
    return _fault(expected, "missing", first=expected, last=here - 1)


def _fault(number: int, key: str, **fields: object) -> Fault:
    return Fault(number, t(f"record.fault.{key}", number=number, **fields))


def _rows(
    ledger: Ledger, total: int, progress: Callable[[int, int], None] | None
) -> Iterator[dict[str, Any] | Fault]:
    query = sa.text(_SQLITE if ledger.engine.dialect.name == "sqlite" else _POSTGRES)
    last, seen = _FIRST, 0
    while True:
        try:
            # A transaction for each part: beside a long one SQLite's journal would only grow.
            with ledger.reading(t("record.reading")) as connection:
                part = connection.execute(query, {"last": last, "chunk": _CHUNK}).all()
        except LedgerFailed as error:
            if type(error.__cause__) is not sa.exc.DatabaseError:
                raise
            yield _fault(max(last, 0), "unreadable")
            return
        for row in part:
            yield _decoded(row._mapping)
        seen += len(part)
        if progress is not None:
            progress(seen, max(seen, total))
        if len(part) < _CHUNK:
            break
        last = part[-1].number
    if seen < total:
        yield _fault(max(last, 0), "counted", found=total, seen=seen)


def _decoded(row: Any) -> dict[str, Any]:
    found = dict(row)
    for name in _TEXTS:
        if isinstance(found[name], bytes):
            # Bytes that are no text compare unequal to everything that Modeldeck writes.
            found[name] = found[name].decode("utf-8", "backslashreplace")
    return found


# SQLite keeps any value in any column, and text that is not UTF-8: both are looked at as they are.
_SQLITE = (
    "SELECT number, version, "  # noqa: S608 - names of our own
    + ", ".join(f"CAST({name} AS BLOB) AS {name}" for name in _TEXTS)
    + ", CASE WHEN "
    + " AND ".join(f"typeof({name}) = 'text'" for name in _TEXTS)
    + " AND typeof(version) IN ('integer', 'null') THEN NULL ELSE 'other' END AS types"
    " FROM record WHERE number > :last ORDER BY number LIMIT :chunk"
)
_POSTGRES = (
    "SELECT number, version, to_char(at, 'YYYY-MM-DD HH24:MI:SS.US') AS at, "  # noqa: S608
    + ", ".join(name for name in _TEXTS if name != "at")
    + ", NULL AS types FROM record WHERE number > :last ORDER BY number LIMIT :chunk"
)
