"""One tracking store's mirror: its database, what it covers, and the thread that keeps it fresh."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import duckdb

from core.mlflow_api import Mlflow
from core.mlflow_api.batch import Batch
from core.mlflow_api.ids import is_run_id
from core.runs.mirror import writing
from core.runs.mirror.source import ClientSource
from core.runs.mirror.tables import create_all
from core.settings import Settings

_REVISIONS = itertools.count(1)
"""One count for the process: a mirror that is opened anew has no revision of the one before."""


@dataclass(frozen=True)
class Coverage:
    """What the mirror holds of the store, and since when it has not looked."""

    runs: int = 0
    """Runs held."""
    total: int | None = None
    """Runs there are; None where nobody has counted."""
    complete: bool = False
    """Whether everything was read once."""
    source: Literal["database", "client"] = "client"
    at: datetime | None = None
    """When MLflow was last looked at; None: never."""
    notice: str = ""
    """What a person should know about this mirror, plain text."""
    reading: bool = False
    """Whether it is reading now."""


class Mirror:
    """The runs of one tracking store in DuckDB; any thread may use it.

    Args:
        mlflow: the store.
        connection: an open database, this mirror's own.
    """

    def __init__(self, mlflow: Mlflow, connection: duckdb.DuckDBPyConnection) -> None:
        self._mlflow = mlflow
        self._connection = connection
        self._lock = threading.RLock()
        self.source = ClientSource(mlflow)
        self.revision = next(_REVISIONS)
        self.coverage = Coverage(source=self.source.kind)
        connection.execute(create_all())

    @classmethod
    def in_memory(cls, mlflow: Mlflow) -> "Mirror":
        """A mirror without a file and without a thread: ``fill`` reads everything."""
        return cls(mlflow, connect(":memory:"))

    @property
    def dialect(self) -> str | None:
        """What kind of database MLflow itself keeps its runs in, where that is known."""
        scheme = self._mlflow.gateway.tracking_uri.partition(":")[0].partition("+")[0]
        return None if scheme in ("http", "https") else scheme

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own to read from; to be closed (``with``)."""
        return self._connection.cursor()

    @contextmanager
    def writing(self, *, changes: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """The one connection that writes, alone, in a transaction.

        Args:
            changes: whether what is written may change an answer: then the revision grows.
        """
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            if changes:
                self._changed()

    def write(self, batch: Batch) -> int:
        """Put runs in, replacing what was held of them; says how many were new or differed."""
        with self._lock:
            changed = writing.write(self._connection, batch)
            if changed:
                self._changed()
            return changed

    def fill(self) -> None:
        """Read everything once, and return when it is there."""
        for batch in self.source.batches(self.source.experiments()):
            self.write(batch)
        self.read_registered()
        self.coverage = replace(
            self.coverage, complete=True, total=self.coverage.runs, at=datetime.now(UTC)
        )

    def read_registered(self) -> None:
        """Read which runs have registered versions."""
        versions = self._mlflow.registry.all_versions()
        rows = sorted({(v.run_id, v.model, v.version) for v in versions if v.run_id})
        with self._lock:
            held = self._connection.execute("SELECT * FROM registered ORDER BY ALL").fetchall()
            if held == rows:
                return
            with self.writing() as c:
                c.execute("DELETE FROM registered")
                if rows:
                    c.executemany("INSERT INTO registered VALUES (?, ?, ?)", rows)

    def reread(self, run_ids: Sequence[str]) -> None:
        """Read these runs again now; those that MLflow no longer has are removed."""
        wanted = [i for i in dict.fromkeys(run_ids) if is_run_id(i)]
        found: set[str] = set()
        for batch in self.source.read(wanted):
            self.write(batch)
            found |= set(batch.runs.column("run_id").to_pylist())
        self._forget([i for i in wanted if i not in found])

    def want(self, experiment_ids: Sequence[str]) -> None:
        """Tell that a page looks at these experiments."""

    def settle(self, experiment_ids: Sequence[str], seconds: float) -> None:
        """Wait, no longer than ``seconds``, for a first answer about these experiments."""
        if not self.coverage.complete:
            self.fill()

    def close(self) -> None:
        """End the thread and let the file go."""
        with self._lock:
            self._connection.close()

    def _forget(self, run_ids: list[str]) -> None:
        with self._lock:
            if run_ids and writing.forget(self._connection, run_ids):
                self._changed()

    def _changed(self) -> None:
        rows = self._connection.execute("SELECT count(*) FROM runs").fetchall()
        self.coverage = replace(self.coverage, runs=rows[0][0])
        self.revision = next(_REVISIONS)


def connect(place: str | Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB database that reaches for nothing but itself."""
    return duckdb.connect(
        str(place),
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_access": False,
            "memory_limit": "256MB",
            "threads": 2,
        },
    )


def open_mirror(settings: Settings, mlflow: Mlflow) -> Mirror:
    """The mirror of the store that ``mlflow`` speaks to."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return Mirror.in_memory(mlflow)
