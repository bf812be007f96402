"""The record on both databases: what refuses changes, and that every one of them is found."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.ledger import Ledger, chain
from core.ledger.chain import Entry, Head
from core.ledger.schema import record
from core.ledger.verifying import verify
from tests.servers import Postgres
from tests.tampering import allow_changes, edit_one_byte

LINES = 40
REPLACED = """
    INSERT INTO record SELECT * FROM record WHERE true
    ON CONFLICT (number) DO UPDATE SET actor = 'eve'
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        address = postgres.fresh_database()
    opened = Ledger(address)
    opened.migrate()
    with opened.transaction("testing") as connection:
        for i in range(LINES):
            chain.append(
                connection,
                Entry(f"request.asked{i % 3}", f"ada{i}", store="s", model=f"größe {i % 4}",
                      version=i or None, request_id=f"r{i % 5}", why=f"reason {i}"),
            )  # fmt: skip
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE record SET actor = 'eve'",
        "DELETE FROM record",
        "TRUNCATE record",
        REPLACED,
    ],
)
def test_the_database_refuses_every_change(ledger: Ledger, change: str) -> None:
    if ledger.engine.dialect.name == "sqlite" and change.startswith("TRUNCATE"):
        change = "DELETE FROM record WHERE 1 = 1"  # what it has instead
    with pytest.raises(Exception) as refused, ledger.transaction("x") as connection:  # noqa: PT011
        connection.execute(sa.text(change))
    assert "append-only" in f"{refused.value} {refused.value.__cause__}"
    assert chain.count(ledger) == LINES


def test_a_hundred_edits_of_one_byte_and_twenty_cut_tails_are_all_found(ledger: Ledger) -> None:
    before = chain.lines(ledger, newest_first=False, limit=None)
    allow_changes(ledger)
    dice = random.Random(8)
    for _ in range(100):
        edit = edit_one_byte(ledger, dice)
        assert edit.number in {fault.number for fault in verify(ledger).faults}, edit
        edit.undo()
    for left in dice.sample(range(1, LINES), 20):
        head = Head(LINES, before[-1].hash, "version 7 of wine")
        with ledger.transaction("cutting") as connection:
            gone = connection.execute(sa.select(record).where(record.c.number > left)).all()
            connection.execute(record.delete().where(record.c.number > left))
        assert [fault.number for fault in verify(ledger, [head]).faults] == [left]
        with ledger.transaction("undoing") as connection:
            connection.execute(record.insert(), [dict(row._mapping) for row in gone])
    assert verify(ledger, [Head(LINES, before[-1].hash)]).ok


def test_lines_are_searched_alike(ledger: Ledger) -> None:
    assert [line.number for line in chain.lines(ledger, text="REASON 39")] == [40]
    assert chain.count(ledger, text="größe 3") == 10
    assert chain.count(ledger, text="actor_kind") == 0
    allow_changes(ledger)
    with ledger.transaction("changing") as connection:
        connection.execute(sa.text("UPDATE record SET body = '{reason' WHERE number = 9"))
    assert chain.count(ledger, text="reason 39") == 1  # a body that cannot be read ends no search
    assert chain.lines(ledger, action="request.", limit=None)[-9].entry.action == chain.UNREADABLE
    assert chain.newest_of_each(ledger, "s")["größe 3", 39].count == 40
    assert chain.newest_of_each(ledger, "s")["größe 0", None].count == 1
