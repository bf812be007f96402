"""Reading MLflow's SQLite file in bulk leaves the locks alone that this process holds on it."""

import gc
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from adbc_driver_sqlite import dbapi
from mlflow import MlflowClient

from core.mlflow_api.bulk import Bulk
from core.mlflow_api.bulk_connection import BulkFailed
from tests.waiting import until

INTRUDER = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
else:
    print("let in")
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one run."""
    path = tmp_path / "mlflow.db"
    client = MlflowClient(f"sqlite:///{path}")
    client.create_run(client.create_experiment("one", (tmp_path / "artifacts").as_uri()))
    return path


def while_writing(store: Path, read: Callable[[], object]) -> str:
    """What another process is told that wants to write while this one does, after ``read``."""
    ours = sqlite3.connect(store)
    ours.execute("BEGIN IMMEDIATE")
    read()
    command = [sys.executable, "-c", INTRUDER, str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ours.rollback()
    ours.close()
    return done.stdout.strip()


def test_a_lock_outlives_a_bulk_read(store: Path) -> None:
    def read() -> None:
        bulk = Bulk(f"sqlite:///{store}")
        assert bulk.heads().num_rows == 1
        bulk.close()

    assert while_writing(store, read) == "database is locked"


@pytest.mark.upstream
def test_without_a_process_of_its_own_the_read_would_drop_it(store: Path) -> None:
    def read() -> None:
        with dbapi.connect(f"file:{store}?mode=ro") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM runs")
            assert cursor.fetch_arrow_table().num_rows == 1

    assert while_writing(store, read) == "let in"


def readers() -> set[psutil.Process]:
    """The readers that this process has, those of other tests among them."""
    found = set()
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if "sqlite_reader.py" in " ".join(child.cmdline()):
                found.add(child)
    return found


def test_a_reader_that_nobody_closed_ends_with_what_it_read_for(store: Path) -> None:
    before = readers()
    bulk = Bulk(f"sqlite:///{store}")
    bulk.heads()
    (reader,) = readers() - before
    del bulk
    gc.collect()
    until(lambda: not reader.is_running(), what="the reader's end")


def test_the_reader_ends_with_whoever_asked(store: Path) -> None:
    before = readers()
    bulk = Bulk(f"sqlite:///{store}")
    bulk.heads()
    (reader,) = readers() - before
    bulk.close()
    until(lambda: not reader.is_running(), what="the reader's end")


def test_a_reader_that_was_killed_is_told_and_replaced(store: Path) -> None:
    before = readers()
    bulk = Bulk(f"sqlite:///{store}")
    bulk.heads()
    for reader in readers() - before:
        reader.kill()
    with pytest.raises(BulkFailed, match=r"ended|pipe"):
        bulk.heads()
    assert bulk.heads().num_rows == 1
    bulk.close()
