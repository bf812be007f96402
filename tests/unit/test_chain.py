"""The record's lines: written, read, verified, and every change of them found (SQLite)."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.ledger import Ledger, chain
from core.ledger.chain import Entry, Head
from core.ledger.schema import record
from core.ledger.verifying import Verification, verify
from core.lifecycle.paper import exported
from tests.tampering import allow_changes, edit_one_byte

ENTRY = Entry(
    "request.asked",
    "ada",
    store="sqlite:///x",
    model="wine",
    version=7,
    rung="Production",
    request_id="r1",
    after={"7": {"rung": "Production", "stage": "Production", "aliases": ["champion"]}},
    why="better by 1 % – größer",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{file}")
    opened.migrate()
    yield opened
    opened.close()


def write(ledger: Ledger, *entries: Entry) -> list[chain.Line]:
    with ledger.transaction("testing") as connection:
        return [chain.append(connection, entry) for entry in entries]


def many(ledger: Ledger, n: int) -> list[chain.Line]:
    made = [
        Entry(
            ("request.asked", "transition.done", "unattributed.stage")[i % 3],
            ("ada", "bob")[i % 2],
            store="s",
            model=f"m{i % 4}",
            version=i or None,
            request_id=f"r{i % 5}",
            why=f"reason {i}",
        )
        for i in range(n)
    ]
    return write(ledger, *made)


def numbers(lines: list[chain.Line]) -> list[int]:
    return [line.number for line in lines]


def test_lines_come_back_as_they_were_written_and_hang_together(ledger: Ledger) -> None:
    first, second = write(ledger, ENTRY, ENTRY)
    assert chain.lines(ledger) == [second, first]
    assert (first.number, first.previous, second.previous) == (1, chain.START, first.hash)
    assert chain.head(ledger) == Head(2, second.hash)
    assert chain.line(ledger, 1) == first
    assert chain.line(ledger, 3) is None


def test_an_empty_record_has_no_head_and_is_in_order(ledger: Ledger) -> None:
    assert chain.head(ledger) is None
    found = verify(ledger)
    assert found.ok
    assert (found.lines, found.head) == (0, None)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"model": "m1"}, [10, 6, 2]),
        ({"model": "m1", "newest_first": False}, [2, 6, 10]),
        ({"models": ["m1", "m2"], "limit": 2}, [11, 10]),
        ({"models": []}, []),
        ({"request_id": "r4"}, [10, 5]),
        ({"actor": "bob", "limit": 2, "offset": 1}, [10, 8]),
        ({"action": "transition."}, [11, 8, 5, 2]),
        ({"action": ["transition.done", "request."], "limit": 3}, [11, 10, 8]),
        ({"store": "other"}, []),
        ({"text": "REASON 1"}, [12, 11, 2]),
        ({"text": "reason%"}, []),
        ({"text": "actor_kind"}, []),
        ({"after": 10, "newest_first": False}, [11, 12]),
    ],
)
def test_lines_are_found_by_what_is_asked(
    ledger: Ledger, wanted: dict[str, object], expected: list[int]
) -> None:
    many(ledger, 12)
    assert numbers(chain.lines(ledger, **wanted)) == expected  # type: ignore[arg-type]
    paging = {"newest_first", "limit", "offset", "after"}
    if not paging & wanted.keys():
        assert chain.count(ledger, **wanted) == len(expected)  # type: ignore[arg-type]


def test_lines_are_found_by_their_time(ledger: Ledger) -> None:
    (line,) = write(ledger, ENTRY)
    later = line.at + timedelta(seconds=1)
    assert chain.lines(ledger, since=line.at, until=later) == [line]
    assert chain.lines(ledger, since=later) == []
    assert chain.lines(ledger, until=line.at) == []


def test_text_with_quotes_and_other_letters_is_found(ledger: Ledger) -> None:
    (line,) = write(ledger, Entry("x", "ada", why='she said "größer" \\ done'))
    for text in ('said "gr', "größer", "\\ done"):
        assert chain.lines(ledger, text=text) == [line]


def test_lines_are_found_by_the_ids_they_carry_and_not_by_a_few_letters_of_one(
    ledger: Ledger,
) -> None:
    asked, changed = "ada" + "0" * 29, "1" * 32
    line, other = write(
        ledger,
        Entry("x", "bob", request_id=asked, transition_id=changed),
        Entry("x", "ada", why="by hand"),
    )
    for text in (asked, asked[:8].upper(), changed):
        assert chain.lines(ledger, text=text) == [line]
    assert chain.lines(ledger, text="ada") == [other]
    assert chain.lines(ledger, text=asked[1:]) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE record SET actor = 'eve'",
        "DELETE FROM record",
        "INSERT OR REPLACE INTO record SELECT * FROM record",
        "REPLACE INTO record (number, at) VALUES ('1', '')",
        "UPDATE OR REPLACE record SET number = 1",
    ],
)
def test_the_database_refuses_changes(ledger: Ledger, change: str) -> None:
    write(ledger, ENTRY, ENTRY)
    with pytest.raises(Exception, match="append-only"), ledger.transaction("x") as connection:
        connection.execute(sa.text(change))
    assert verify(ledger).ok


def test_a_line_and_what_it_tells_of_stand_or_fall_together(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.transaction("testing") as connection:
            chain.append(connection, ENTRY)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert chain.head(ledger) is None


def test_verifying_tells_how_far_it_is(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.ledger.verifying._CHUNK", 4)
    lines = many(ledger, 10)
    told: list[tuple[int, int]] = []
    found = verify(ledger, [Head(7, lines[6].hash)], lambda *at: told.append(at))
    assert told == [(4, 10), (8, 10), (10, 10)]
    assert (found.ok, found.lines, found.heads) == (True, 10, 1)
    assert found.head == chain.head(ledger)


# ------------------------------------------------------------------------------------ tampering


def test_a_hundred_edits_of_one_byte_are_all_found_and_placed(ledger: Ledger) -> None:
    many(ledger, 40)
    allow_changes(ledger)
    dice = random.Random(4)
    for _ in range(100):
        edit = edit_one_byte(ledger, dice)
        found = verify(ledger)
        assert not found.ok, edit
        assert edit.number in {fault.number for fault in found.faults}, (edit, found.faults)
        edit.undo()
    assert verify(ledger).ok


def test_one_changed_byte_of_a_body_takes_no_line_with_it(ledger: Ledger) -> None:
    (line,) = write(ledger, ENTRY)
    many(ledger, 2)
    allow_changes(ledger)
    body = line.body.encode()
    for place in range(len(body)):
        for byte in (b"x", b"\xff"):
            edited = body[:place] + byte + body[place + 1 :]
            change_body(ledger, 1, edited)
            (third, second, first) = chain.lines(ledger)
            assert (first.number, first.at) == (1, line.at)
            if edited != body:
                assert first.entry.action == chain.UNREADABLE
                assert (first.entry.model, first.entry.version) == ("wine", 7)
                assert first.body == edited.decode("utf-8", "backslashreplace")
            assert {second.entry.model, third.entry.model} == {"m0", "m1"}


def change_body(ledger: Ledger, number: int, body: bytes) -> None:
    with ledger.transaction("changing") as connection:
        change = "UPDATE record SET body = CAST(:body AS TEXT) WHERE number = :n"
        connection.execute(sa.text(change), {"body": body, "n": number})


def test_a_line_whose_time_is_none_is_read(ledger: Ledger) -> None:
    write(ledger, ENTRY)
    allow_changes(ledger)
    with ledger.transaction("changing") as connection:
        connection.execute(sa.text("UPDATE record SET at = 'x', body = '{}'"))
    (line,) = chain.lines(ledger)
    assert (line.entry.action, line.at.year) == (chain.UNREADABLE, 1970)


def test_what_means_the_same_is_not_what_was_written(ledger: Ledger) -> None:
    (line,) = write(ledger, ENTRY)
    allow_changes(ledger)
    change_body(ledger, 1, f" {line.body}".encode())
    (found,) = chain.lines(ledger)
    assert found.entry.action == chain.UNREADABLE
    assert found.body == f" {line.body}"
    saved = json.loads(exported(found))
    assert chain.link(1, saved["previous"], saved["body"]) != saved["hash"]


def test_bytes_changed_in_the_file_itself_are_found(ledger: Ledger, file: Path) -> None:
    lines = many(ledger, 20)
    ledger.close()
    sqlite3.connect(file).execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    whole = file.read_bytes()
    dice = random.Random(5)
    for line in dice.sample(lines, 10):
        at = whole.index(f'"why":"{line.entry.why}"'.encode()) + dice.randrange(20)
        edited = bytearray(whole)
        edited[at] ^= 1 << dice.randrange(7)
        file.write_bytes(edited)
        found = verify(ledger)
        assert line.number in {fault.number for fault in found.faults}
        ledger.close()
    file.write_bytes(whole)
    assert verify(ledger).ok


def test_twenty_cut_tails_are_all_found(ledger: Ledger) -> None:
    lines = many(ledger, 60)
    allow_changes(ledger)
    dice = random.Random(6)
    for _ in range(20):
        left, published = sorted(dice.sample(range(1, 61), 2))
        head = Head(published, lines[published - 1].hash, "version 7 of wine")

        def look(head: Head = head) -> Verification:
            return verify(ledger, [head])

        found = cut_and_back(ledger, left, look)
        assert [fault.number for fault in found.faults] == [left]
        assert str(left) in found.faults[0].what
        assert "version 7 of wine" in found.faults[0].what
        assert str(published) in found.faults[0].what
    assert verify(ledger).ok


def cut_and_back(ledger: Ledger, left: int, look: Callable[[], Verification]) -> Verification:
    with ledger.transaction("cutting") as connection:
        gone = connection.execute(sa.select(record).where(record.c.number > left)).all()
        connection.execute(record.delete().where(record.c.number > left))
    found = look()
    with ledger.transaction("undoing") as connection:
        connection.execute(record.insert(), [dict(row._mapping) for row in gone])
    return found


def test_without_a_head_outside_a_cut_tail_is_not_seen(ledger: Ledger) -> None:
    """The control: it is the head outside that finds it."""
    many(ledger, 10)
    allow_changes(ledger)
    assert cut_and_back(ledger, 4, lambda: verify(ledger)).ok


def test_a_record_written_anew_is_found_by_a_head_outside(ledger: Ledger) -> None:
    lines = many(ledger, 10)
    allow_changes(ledger)
    with ledger.transaction("rewriting") as connection:
        connection.execute(record.delete())
        for line in lines:
            entry = line.entry if line.number != 3 else ENTRY
            chain.append(connection, entry)
    assert verify(ledger).ok
    found = verify(ledger, [Head(2, lines[1].hash, "x"), Head(10, lines[9].hash, "the file")])
    assert {fault.number for fault in found.faults} == {2, 10}
    assert "the file" in found.faults[-1].what


@pytest.mark.parametrize(
    ("gone", "number", "words"), [([5], 5, "5 is missing"), ([5, 6, 7], 5, "5 to 7 are missing")]
)
def test_lines_taken_out_of_the_middle_are_named(
    ledger: Ledger, gone: list[int], number: int, words: str
) -> None:
    many(ledger, 10)
    allow_changes(ledger)
    with ledger.transaction("cutting") as connection:
        connection.execute(record.delete().where(record.c.number.in_(gone)))
    found = verify(ledger)
    assert [fault.number for fault in found.faults] == [number]
    assert words in found.faults[0].what


def test_two_lines_that_changed_places_are_found(ledger: Ledger) -> None:
    many(ledger, 6)
    allow_changes(ledger)
    with ledger.transaction("swapping") as connection:
        for old, new in ((2, 99), (4, 2), (99, 4)):
            connection.execute(record.update().where(record.c.number == old).values(number=new))
    assert {2, 4} <= {fault.number for fault in verify(ledger).faults}


def test_an_emptied_record_is_found(ledger: Ledger) -> None:
    lines = many(ledger, 3)
    allow_changes(ledger)
    with ledger.transaction("emptying") as connection:
        connection.execute(record.delete())
    (fault,) = verify(ledger, [Head(3, lines[2].hash, "the file")]).faults
    assert "empty" in fault.what


def test_many_faults_are_counted_and_not_all_listed(ledger: Ledger) -> None:
    many(ledger, 150)
    allow_changes(ledger)
    with ledger.transaction("changing") as connection:
        connection.execute(record.update().values(actor="eve"))
    found = verify(ledger)
    assert (len(found.faults), found.faulty) == (100, 150)


def test_a_head_that_is_none_is_said(ledger: Ledger) -> None:
    (line,) = write(ledger, ENTRY)
    (fault,) = verify(ledger, [Head(0, "rubbish", "v7"), Head(1, line.hash)]).faults
    assert "rubbish" in fault.what
