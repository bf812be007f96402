"""Connections to MLflow's tracking database that can only read and give Arrow tables."""

import fcntl
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import pyarrow as pa

if TYPE_CHECKING:
    from sqlalchemy import URL

_READER = Path(__file__).with_name("sqlite_reader.py")
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
_PIPE_BYTES = 1 << 20
_CONNECT_SECONDS = 3
_STATEMENT_SECONDS = 60
_BUSY_SECONDS = 5
_END_SECONDS = 5.0
_ROWS_AT_ONCE = 65_536
_QUIET = {
    "connect_timeout": str(_CONNECT_SECONDS),
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
"""What makes libpq give up a server that no longer answers."""
_READ_ONLY = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


class BulkFailed(Exception):
    """The database cannot be read in bulk; the message is for the log."""


class Connection(Protocol):
    """What reads; every method raises ``BulkFailed`` where the database does not answer."""

    def fetch(self, sql: str, values: Sequence[object] = ()) -> pa.Table:
        """All rows of one statement; ``values`` are its parameters, in order."""
        ...

    def rollback(self) -> None:
        """End the transaction that the first ``fetch`` began."""
        ...

    def close(self) -> None:
        """Let the database go; never raises."""
        ...


def open_connection(url: "URL") -> Connection:
    """A connection that can only read, and waits a bounded time for whoever writes.

    Raises:
        BulkFailed: the database cannot be opened.
    """
    if url.get_backend_name() == "sqlite":
        return SqliteReader(url.database or "")
    return PostgresqlConnection(url)


class SqliteReader:
    """An SQLite file, read by a process of its own (``sqlite_reader``, which says why)."""

    def __init__(self, path: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_READER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        )
        self._to = cast(IO[bytes], self._process.stdin)
        self._from = cast(IO[bytes], self._process.stdout)
        # Also where nobody closes it: a reader must not outlive what it reads for.
        self.close = weakref.finalize(self, _end, self._process)
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux: fewer switches between the two processes
            with suppress(OSError):
                fcntl.fcntl(self._from, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._ask({"open": path, "busy": _BUSY_SECONDS * 1000, "rows": _ROWS_AT_ONCE})
        except BulkFailed:
            self.close()
            raise

    def fetch(self, sql: str, values: Sequence[object] = ()) -> pa.Table:
        """All rows of one statement."""
        self._ask({"sql": sql, "values": list(values)})
        try:
            with pa.ipc.open_stream(self._from) as stream:
                return stream.read_all()
        except (OSError, pa.ArrowException) as error:
            raise BulkFailed(str(error)[:500]) from error

    def rollback(self) -> None:
        """End the transaction."""
        self._ask({"rollback": True})

    def _ask(self, request: dict[str, Any]) -> None:
        try:
            self._to.write(json.dumps(request).encode() + b"\n")
            self._to.flush()
            answer = json.loads(self._from.readline() or '{"error": "the reader has ended"}')
        except (OSError, ValueError) as error:
            raise BulkFailed(str(error)[:500]) from error
        if "error" in answer:
            raise BulkFailed(answer["error"])


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a reader's process."""
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # what was not sent yet has nobody to go to
            cast(IO[bytes], pipe).close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class PostgresqlConnection:
    """PostgreSQL over ADBC, in this process."""

    def __init__(self, url: "URL") -> None:
        from adbc_driver_manager.dbapi import Error
        from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]

        self._errors = (Error, OSError, pa.ArrowException)
        plain = url.set(drivername="postgresql").update_query_dict(_QUIET)
        try:
            self._connection = dbapi.connect(plain.render_as_string(hide_password=False))
            with self._connection.cursor() as cursor:
                cursor.execute(_READ_ONLY)
                cursor.execute(f"SET statement_timeout = '{_STATEMENT_SECONDS}s'")
            self._connection.commit()
        except self._errors as error:
            raise BulkFailed(str(error)[:500]) from error

    def fetch(self, sql: str, values: Sequence[object] = ()) -> pa.Table:
        """All rows of one statement."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetch_arrow_table()
        except self._errors as error:
            raise BulkFailed(str(error)[:500]) from error

    def rollback(self) -> None:
        """End the transaction."""
        try:
            self._connection.rollback()
        except self._errors as error:
            raise BulkFailed(str(error)[:500]) from error

    def close(self) -> None:
        """Let the connection go."""
        with suppress(*self._errors):  # it may be broken already
            self._connection.close()
