"""What the mirror holds: its tables, and the few questions that keeping them fresh asks of them."""

import itertools
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from core.mlflow_api.batch import RUNS, Batch
from core.runs.mirror import writing
from core.runs.mirror.tables import KINDS, create_all
from core.runs.mirror.wanted import Wanted

_REVISIONS = itertools.count(1)
"""One count for the process: a mirror that is opened anew has no revision of the one before."""

_OWN_SECONDS = 600.0
_ARRANGE_FROM = 2000
"""Runs from which on it pays to keep the rows of a name together."""
_UNFINISHED = "('RUNNING', 'SCHEDULED')"


@dataclass(frozen=True)
class Head:
    """A run that is to be read."""

    run_id: str
    experiment_id: str


class Holding:
    """The mirror's database. Any thread may call; one at a time writes.

    Args:
        connection: an open database, this holding's own.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._closed = False
        connection.execute(create_all())
        self.revision = next(_REVISIONS)
        """Grows with every change."""
        self.runs: int = self._all("SELECT count(*) FROM runs")[0][0]
        self.complete = self.fact("complete") == "yes"
        """Whether everything was read once."""
        self.total: int | None = None
        """How many runs MLflow has, where somebody counted."""
        self.wanted = Wanted()
        self._own: dict[str, float] = {}
        """Runs that were read again after a write of ours, and when that began."""

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own, to read from."""
        return self._connection.cursor()

    @contextmanager
    def writing(self, *, changes: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection that writes, alone, in a transaction; then the revision grows."""
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

    def write(self, batch: Batch, began: float | None = None) -> int:
        """Put runs in, replacing what was held of them; says how many were new or differed.

        Args:
            began: when they began to be read (``time.monotonic``): runs of which something newer
                is held already are left as they are.
        """
        with self._lock:
            if self._closed:
                return 0
            newer = self._newer(began)
            changed = writing.write(self._connection, batch.without(newer) if newer else batch)
            if changed:
                self._changed()
            return changed

    def write_own(self, batch: Batch, run_ids: Iterable[str], began: float) -> None:
        """Put in ``run_ids`` as they were read after a write of ours, and remove those that are not
        in the batch; what began to be read earlier does not replace them."""
        asked = set(run_ids)
        with self._lock:
            self._own = {i: at for i, at in self._own.items() if at > began - _OWN_SECONDS}
            self._own |= dict.fromkeys(asked, began)
            self.write(batch)
            self.forget([i for i in asked if i not in batch.ids()])

    def forget(self, run_ids: Iterable[str], began: float | None = None) -> None:
        """Remove runs that MLflow no longer has; ``began`` as for ``write``."""
        with self._lock:
            newer = self._newer(began)
            gone = [i for i in run_ids if i not in newer]
            if gone and not self._closed and writing.forget(self._connection, gone):
                self._changed()

    def compare(self, heads: pa.Table) -> tuple[list[Head], list[str]]:
        """What MLflow's list of all runs tells.

        Returns:
            The runs to read (new ones, those that differ, and those that are not finished), in the
            order of ``heads``; and the ids of runs that are held and no longer there.
        """
        same = " AND ".join(f"g.{c} IS NOT DISTINCT FROM r.{c}" for c in RUNS.names)
        with self._lock:
            self._connection.register("given", heads)
            try:
                read = self._all(
                    "SELECT g.run_id, g.experiment_id FROM given g LEFT JOIN runs r USING (run_id) "
                    f"WHERE r.no IS NULL OR NOT ({same}) OR g.status IN {_UNFINISHED} "
                    "ORDER BY g.start_time DESC, g.run_id"
                )
                gone = self._all("SELECT run_id FROM runs ANTI JOIN given USING (run_id)")
            finally:
                self._connection.unregister("given")
        return [Head(*row) for row in read], [row[0] for row in gone]

    def run_ids(
        self, experiment_ids: Iterable[str] | None = None, newest: int | None = None
    ) -> list[str]:
        """Held runs, those of wanted experiments first, then the newest; only of some experiments
        and up to a number where these are given."""
        wanted = list(self.wanted.now())
        return [
            row[0]
            for row in self._all(
                "SELECT run_id FROM runs WHERE ($1 IS NULL OR list_contains($1, experiment_id)) "
                "AND ($2 IS NULL OR no <= $2) "
                "ORDER BY list_contains($3, experiment_id) DESC, start_time DESC",
                [None if experiment_ids is None else list(experiment_ids), newest, wanted],
            )
        ]

    def weights(self) -> dict[str, int]:
        """Run id → how many metrics and params are held of it."""
        each = "SELECT run, count(*) AS n FROM {} GROUP BY run"
        both = f"{each.format('metrics')} UNION ALL {each.format('params')}"
        found = self._all(
            f"SELECT run_id, sum(n)::BIGINT FROM runs JOIN ({both}) ON run = no GROUP BY run_id"
        )
        return dict(found)

    def running(self, status: str, since: int) -> list[str]:
        """Held runs of a status that started at ``since`` (ms) or later."""
        found = self._all(
            "SELECT run_id FROM runs WHERE status = ? AND start_time >= ?", [status, since]
        )
        return [row[0] for row in found]

    def newest_number(self) -> int:
        """The number of the run that was held last."""
        return int(self._all("SELECT coalesce(max(no), 0) FROM runs")[0][0])

    def newest_start(self) -> int | None:
        """When the last run began, in ms."""
        found: int | None = self._all("SELECT max(start_time) FROM runs")[0][0]
        return found

    def fact(self, name: str) -> str | None:
        """What is written down under a name."""
        found = self._all("SELECT value FROM facts WHERE name = ?", [name])
        return str(found[0][0]) if found else None

    def note(self, name: str, value: str) -> None:
        """Write something down under a name."""
        with self.writing(changes=False) as c:
            c.execute("DELETE FROM facts WHERE name = ?", [name])
            c.execute("INSERT INTO facts VALUES (?, ?)", [name, value])

    def set_registered(self, rows: list[tuple[str, str, int]]) -> None:
        """Replace the list of registered versions by ``rows`` of run id, model and version."""
        with self._lock:
            if self._all("SELECT * FROM registered ORDER BY ALL") == rows:
                return
            with self.writing() as c:
                c.execute("DELETE FROM registered")
                runs, models, versions = zip(*rows, strict=True) if rows else ((), (), ())
                c.register(
                    "given",
                    pa.table(
                        {
                            "run_id": pa.array(runs, pa.string()),
                            "model": pa.array(models, pa.string()),
                            "version": pa.array(versions, pa.int32()),
                        }
                    ),
                )
                c.execute("INSERT INTO registered SELECT * FROM given")
                c.unregister("given")

    def arrange(self) -> None:
        """Put the rows of each metric, param and tag side by side, where most came since the last
        time: a question about one of them then reads its rows and no others.
        """
        before = int(self.fact("arranged") or 0)
        if self._closed or self.runs < max(_ARRANGE_FROM, 2 * before):
            return
        for table in KINDS:  # each alone: a write waits no longer than for one of them
            with self.writing(changes=False) as c:
                rows = f"SELECT * FROM {table} ORDER BY key, run"
                c.execute(f"CREATE OR REPLACE TABLE {table} AS {rows}")
        self.note("arranged", str(self.runs))

    def close(self) -> None:
        """Let the database go."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _newer(self, began: float | None) -> set[str]:
        """Runs of ours that were read again after ``began``."""
        return set() if began is None else {i for i, at in self._own.items() if at > began}

    def _changed(self) -> None:
        self.runs = self._all("SELECT count(*) FROM runs")[0][0]
        self.revision = next(_REVISIONS)

    def _all(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()
