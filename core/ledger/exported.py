"""Files of exported lines: whether one is as it was written, and what it says of the ledger."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from core.ledger.chain import Head
from core.ledger.verifying import Fault, Verification, check
from core.texts import t

_WANTED = {"number": int, "previous": str, "hash": str, "body": str}


def check_file(file: Path) -> Verification:
    """Check an export as JSON Lines: ``{number, previous, hash, body}`` in order, and last
    ``{"head": "<count>:<hash>"}``, the head of the whole record.

    Lines that were not exported are counted, not accused: a filter leaves them out. A file that
    does not end with a head was cut off, and is told so.

    Raises:
        InvalidInput: the file cannot be read.
    """
    texts = _texts(file)
    head = _head(texts[-1])
    rows = list(_rows(texts[:-1] if head is not None else texts))
    if head is None:
        rows.append(Fault(len(texts), t("record.export.no_head")))
        return check(rows, gaps=True)
    found = check(rows, [head] if head.count else (), gaps=True)
    last = found.head.count if found.head else 0
    if last > head.count:
        return _with(found, Fault(last, t("record.export.beyond", number=last, n=head.count)))
    return replace(found, left_out=found.left_out + head.count - last)


def heads(file: Path) -> tuple[Head, ...]:
    """The heads that an export holds, to compare the ledger with: every line of it says how the
    record ended there, and the last how the whole of it did.

    A row that says neither is a head of count 0.

    Raises:
        InvalidInput: the file cannot be read.
    """
    where, texts = t("record.where.export", name=file.name), _texts(file)
    last = _head(texts[-1])
    rows = _rows(texts if last is None else texts[:-1])
    found = [
        Head(0, row.what, where) if isinstance(row, Fault)
        else Head(row["number"], row["hash"], where)
        for row in rows
    ]  # fmt: skip
    return (*found, replace(last, where=where)) if last and last.hash else tuple(found)


def _texts(file: Path) -> list[str]:
    try:
        # Other characters that end a line may stand within one.
        return file.read_text("utf-8", "backslashreplace").removesuffix("\n").split("\n")
    except OSError as error:
        raise InvalidInput(t("record.export.unreadable", file=file, why=error.strerror)) from error


def _head(text: str) -> Head | None:
    """The head that a line of the file holds; count 0 where nothing was recorded yet."""
    try:
        said = json.loads(text)["head"]
        count, _, digest = said.partition(":")
        return Head(int(count), digest, t("record.export.head")) if said else Head(0, "")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _rows(texts: Iterable[str]) -> Iterator[dict[str, Any] | Fault]:
    for place, text in enumerate(texts, 1):
        try:
            row = json.loads(text)
        except ValueError:
            row = None
        if isinstance(row, dict) and all(type(row.get(n)) is kind for n, kind in _WANTED.items()):
            yield {name: row[name] for name in _WANTED}
        else:
            yield Fault(place, t("record.export.no_line", place=place))


def _with(found: Verification, fault: Fault) -> Verification:
    return replace(found, faults=(*found.faults, fault), faulty=found.faulty + 1)
