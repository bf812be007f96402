"""The mirror's file: one a tracking store, owned by one page server, rebuilt when it is no good."""

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from core import locks
from core.runs.mirror.tables import FORMAT, TABLES
from core.texts import t

_MEMORY = "192MB"
_SPILL = "4GB"


@dataclass(frozen=True)
class Place:
    """An open file, its lock, and what a person should know about it."""

    connection: duckdb.DuckDBPyConnection
    path: Path
    notice: str
    lock: locks.Held
    own: bool
    """Whether the file ends with this process."""

    def release(self) -> None:
        """Give the lock back, after the connection was closed; remove a file of one's own."""
        if self.own:
            _remove(self.path)
            _lock_of(self.path).unlink(missing_ok=True)
        self.lock.close()


def open_place(folder: Path, store: str) -> Place:
    """Open the file of a store in ``folder``, or one of this process's own where it is taken.

    Args:
        store: what names the store; a file that was made for another is built again.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_stale(folder)
    path = folder / f"{hashlib.sha256(store.encode()).hexdigest()[:16]}.duckdb"
    lock = locks.take(_lock_of(path))
    if lock is None:
        return _own(path, store)
    try:
        connection, rebuilt = _open(path, store)
    except duckdb.IOException:
        # Some other program has the file open.
        lock.close()
        return _own(path, store)
    return Place(connection, path, t("mirror.notice.rebuilt") if rebuilt else "", lock, own=False)


def connect(place: Path | None) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB database (None: in memory) that reaches for nothing but itself."""
    return duckdb.connect(
        ":memory:" if place is None else str(place),
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_access": False,
            "memory_limit": _MEMORY,
            "max_temp_directory_size": _SPILL,
            "threads": 2,
        },
    )


def _own(path: Path, store: str) -> Place:
    """A file for this process alone, which no other will use after it."""
    while True:
        own = path.with_name(f"{path.stem}-{os.getpid()}-{secrets.token_hex(4)}.duckdb")
        lock = locks.take(_lock_of(own))
        if lock is not None:
            connection, _ = _open(own, store)
            return Place(connection, own, t("mirror.notice.second"), lock, own=True)


def _open(path: Path, store: str) -> tuple[duckdb.DuckDBPyConnection, bool]:
    """The open file, and whether one that was there had to go.

    Raises:
        duckdb.IOException: another program has it open.
    """
    there = path.exists()
    if there:
        try:
            connection = connect(path)
        except duckdb.IOException as error:
            if "set lock on file" in str(error):  # the path alone may hold any word
                raise
        except duckdb.Error:
            pass
        else:
            if _is_sound(connection, store):
                return connection, False
            connection.close()
    _remove(path)
    connection = connect(path)
    connection.execute(f"CREATE TABLE facts ({TABLES['facts']})")
    connection.execute("INSERT INTO facts VALUES ('made_for', ?)", [_made_for(store)])
    return connection, there


def _is_sound(connection: duckdb.DuckDBPyConnection, store: str) -> bool:
    """Whether the file is a mirror of this store, in today's form, and all of it can be read."""
    try:
        found = connection.execute("SELECT value FROM facts WHERE name = 'made_for'").fetchall()
        if found != [(_made_for(store),)]:
            return False
        for table in TABLES:
            # Every block is read, and with that its checksum compared.
            connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM {table}").fetchall()
    except duckdb.Error:
        return False
    return True


def _made_for(store: str) -> str:
    return f"{FORMAT} {hashlib.sha256(store.encode()).hexdigest()}"


def _remove_stale(folder: Path) -> None:
    """Remove the files that processes kept for themselves alone and left behind."""
    for lock_file in folder.glob("*-*.lock"):
        lock = locks.take(lock_file)
        if lock is not None:
            _remove(lock_file.with_suffix(".duckdb"))
            lock_file.unlink(missing_ok=True)
            lock.close()


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}.wal"):
        path.with_name(name).unlink(missing_ok=True)
    shutil.rmtree(path.with_name(f"{path.name}.tmp"), ignore_errors=True)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")
