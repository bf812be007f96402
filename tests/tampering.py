"""What somebody does who holds the ledger's database: changes of written lines, past its guards."""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.ledger import Ledger
from core.ledger.schema import record

COLUMNS = (
    "number", "at", "action", "actor", "store", "model", "version", "request_id", "body",
    "previous", "hash",
)  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One change of one byte, which can be taken back."""

    number: int
    column: str
    before: Any
    after: Any
    undo: Callable[[], None]


def allow_changes(ledger: Ledger) -> None:
    """Take away what makes the database refuse them."""
    with ledger.transaction("tampering") as connection:
        if ledger.engine.dialect.name == "postgresql":
            connection.execute(sa.text("DROP TRIGGER record_stays ON record"))
            return
        for change in ("update", "delete", "insert"):
            connection.execute(sa.text(f"DROP TRIGGER record_stays_{change}"))


def edit_one_byte(ledger: Ledger, dice: random.Random) -> Edit:
    """Change one byte of one column of one line, by raw SQL."""
    postgres = ledger.engine.dialect.name == "postgresql"
    with ledger.transaction("tampering") as connection:
        numbers = connection.execute(sa.select(record.c.number)).scalars().all()
        number = dice.choice(numbers)
        while True:
            column = dice.choice(COLUMNS)
            cast = f"{column}::text" if postgres else f"CAST({column} AS TEXT)"
            query = f"SELECT {cast} FROM record WHERE number = :n"  # noqa: S608 - our own names
            before = connection.execute(sa.text(query), {"n": number}).scalar_one()
            changed = _one_byte_other(column, before or "", set(numbers))
            if changed:
                break
        after = dice.choice(changed)

    def put(where: str, value: str) -> None:
        kinds = {"number": "bigint", "version": "integer", "at": "timestamp"}
        new = f"CAST(:v AS {kinds.get(column, 'text')})" if postgres else ":v"
        change = f"UPDATE record SET {column} = {new} WHERE number = :n"  # noqa: S608
        with ledger.transaction("tampering") as connection:
            done = connection.execute(sa.text(change), {"v": value, "n": int(where)})
            assert done.rowcount == 1

    there = after if column == "number" else str(number)
    put(str(number), after)
    return Edit(number, column, before, after, lambda: put(there, before))


def _one_byte_other(column: str, before: str, numbers: set[int]) -> list[str]:
    """Every text that may stand in the column and differs from ``before`` in one byte; of a time
    the last digit alone, of a number none that another line has."""
    letters, places = string.printable[:95], range(len(before))
    if column in ("number", "version"):
        letters = "123456789"
    elif column == "at":
        letters, places = string.digits, places[-1:]
    texts = [
        before[:place] + letter + before[place + 1 :]
        for place in places
        for letter in letters
        if letter != before[place]
    ]
    return [text for text in texts if column != "number" or int(text) not in numbers]
