"""The ledger on SQLite: its tables, its times, and its failures in words."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import LedgerFailed
from core.ledger import Ledger, chain, new_id, processes
from core.ledger.chain import Entry
from core.ledger.schema import leases, record
from core.processes import Ending, ProcessRef

ROW = {"name": "x", "holder": "a", "token": 1, "expires_at": datetime(2026, 3, 3, tzinfo=UTC)}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    opened.migrate()
    yield opened
    opened.close()


def process(ledger: Ledger, kind: str = processes.JOB, node: str = "here") -> processes.Process:
    return processes.record(
        ledger, kind, "x", node=node, home=Path("/home"), ref=ProcessRef(7, 1.5), folder=Path("/f")
    )


def test_an_error_takes_everything_back(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.transaction("testing") as connection:
            connection.execute(leases.insert().values(ROW))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with ledger.transaction("testing") as connection:
        assert connection.execute(sa.select(leases)).all() == []


def test_times_come_back_aware_and_in_utc(ledger: Ledger) -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 3, 3, 1, 30, 0, 123456, tzinfo=east)
    with ledger.transaction("testing") as connection:
        connection.execute(leases.insert().values(name="x", holder="a", token=1, expires_at=moment))
        (back,) = connection.execute(sa.select(leases.c.expires_at)).one()
    assert back == moment
    assert back.tzinfo is UTC


def test_a_fault_of_ours_is_not_blamed_on_the_database(ledger: Ledger) -> None:
    def twice() -> None:
        with ledger.transaction("testing") as connection:
            connection.execute(leases.insert().values(ROW))
            connection.execute(leases.insert().values(ROW))

    with pytest.raises(IntegrityError):
        twice()


@pytest.mark.parametrize("fault", ["garbage", "no table", "read only folder"])
def test_a_broken_database_is_said_in_words(tmp_path: Path, fault: str) -> None:
    file = tmp_path / "ledger.db"
    if fault == "garbage":
        file.write_bytes(b"this is no database " * 100)
    elif fault == "read only folder":
        file = Path("/proc/self/ledger.db")
    ledger = Ledger(f"sqlite:///{file}")
    with pytest.raises(LedgerFailed) as failure, ledger.transaction("looking") as connection:
        connection.execute(sa.select(leases))
    assert str(file) in failure.value.what
    assert "looking" in failure.value.what
    assert "MODELDECK_LEDGER_URI" in failure.value.next_step
    assert "SELECT" not in failure.value.what
    ledger.close()


def test_tables_of_a_newer_modeldeck_are_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.transaction("testing") as connection:
        connection.execute(sa.text("UPDATE alembic_version_modeldeck SET version_num = '9999'"))
    with pytest.raises(LedgerFailed, match="newer Modeldeck") as failure:
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").migrate()
    assert "newer" in failure.value.next_step


def test_a_writer_who_does_not_end_is_waited_for_and_then_said(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{file}?timeout=0.1")
    ledger.migrate()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerFailed, match="leasing"), ledger.transaction("leasing"):
        raise AssertionError("two wrote at once")
    other.close()
    with ledger.transaction("leasing") as connection:
        assert connection.execute(sa.select(leases)).all() == []
    ledger.close()


def test_who_only_reads_waits_for_no_writer_and_holds_up_none(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}?timeout=0.1")
    ledger.migrate()
    with ledger.transaction("writing") as connection:
        line = chain.append(connection, Entry("request.asked", "ada", model="wine"))
    with ledger.transaction("writing") as connection:
        chain.append(connection, Entry("request.asked", "ben", model="wine"))
        assert chain.lines(ledger) == [line]
        assert chain.numbers(ledger) == {"wine": [line.number]}
    with ledger.reading("reading") as reader:
        assert reader.execute(sa.select(sa.func.count()).select_from(record)).scalar_one() == 2
        with ledger.transaction("writing") as connection:
            chain.append(connection, Entry("request.asked", "eve", model="wine"))
        assert reader.execute(sa.select(sa.func.count()).select_from(record)).scalar_one() == 2
    assert chain.count(ledger) == 3
    ledger.close()


def test_processes_are_found_by_what_they_are(ledger: Ledger) -> None:
    job, worker, far = (
        process(ledger),
        process(ledger, processes.WORKER),
        process(ledger, node="far"),
    )
    assert [p.id for p in processes.running(ledger)] == [job.id, worker.id, far.id]
    assert [p.id for p in processes.running(ledger, node="far")] == [far.id]
    assert [p.id for p in processes.running(ledger, kind=processes.WORKER)] == [worker.id]
    again = process(ledger, processes.WORKER)
    newest = processes.newest(ledger, processes.WORKER, node="here", home=Path("/home"))
    assert newest is not None
    assert newest.id == again.id
    assert processes.newest(ledger, processes.WORKER, node="here", home=Path("/other")) is None


def test_a_process_ends_when_it_ended_and_not_when_that_was_seen(ledger: Ledger) -> None:
    long_ago = datetime(2026, 3, 3, tzinfo=UTC)
    made = process(ledger)
    assert (made.ref, made.folder, made.ended_at) == (ProcessRef(7, 1.5), Path("/f"), None)
    processes.ended(ledger, made.id, Ending(3, long_ago))
    done = processes.get(ledger, made.id)
    assert (done.ended_at, done.exit_code) == (long_ago, 3)
    assert processes.running(ledger) == []


def test_a_stop_names_who_asked(ledger: Ledger) -> None:
    made = process(ledger)
    processes.request_stop(ledger, made.id, "ada")
    assert processes.get(ledger, made.id).stop_requested_by == "ada"


def test_ids_are_fresh() -> None:
    assert len({new_id() for _ in range(100)}) == 100
    assert len(new_id()) == 32
