"""MLflow's tracking database read in bulk over ADBC: tens of thousands of runs a second.

Nothing is ever written. Tables and columns are those of MLflow's own classes, so that a release
that renames one fails loudly, in a test.
"""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from core.mlflow_api.batch import DATASETS, METRICS, PARAMS, RUNS, TAGS, Batch
from core.mlflow_api.bulk_connection import BulkFailed, Connection, open_connection
from core.mlflow_api.bulk_statements import statements
from core.mlflow_api.convert import moment

AGGREGATES = pa.schema(
    [
        ("run_id", pa.string()),
        ("key", pa.string()),
        ("count", pa.int64()),
        ("minimum", pa.float64()),
        ("maximum", pa.float64()),
        ("first", pa.float64()),
        ("last", pa.float64()),
        ("mean", pa.float64()),
        ("step_of_minimum", pa.int64()),
        ("step_of_maximum", pa.int64()),
    ]
)

TAILS = pa.schema(
    [("run_id", pa.string()), ("key", pa.string()), ("k", pa.int32()), ("mean", pa.float64())]
)

_WEIGHTS = pa.schema([("run_id", pa.string()), ("n", pa.int64())])
_OF_RUN = {"params": PARAMS, "metrics": METRICS, "tags": TAGS, "datasets": DATASETS}
_NULL_IF_EMPTY = {"name", "status", "user_id", "artifact_uri", "context"}
_LOCK_SECONDS = 10.0
_CLOSE_SECONDS = 3.0


def can_be_read(uri: str) -> bool:
    """Whether there is a driver for the database of this address."""
    return uri.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql")


class Bulk:
    """A tracking database to read from. Any thread may call; one at a time is served.

    Every method raises ``BulkFailed`` where the database does not answer as it should, and what it
    reads in one call belongs together.

    Args:
        uri: SQLAlchemy's address, sqlite:////… or postgresql://….
    """

    kind: Literal["database"] = "database"

    def __init__(self, uri: str) -> None:
        import sqlalchemy as sa

        self.uri = uri
        self._url = sa.make_url(uri)
        self.dialect = self._url.get_backend_name()
        self._statements = statements(self.dialect)
        # What MLflow's client would ask for; where nobody made any, there is the default alone.
        self._workspace = os.environ.get("MLFLOW_WORKSPACE", "").strip() or "default"
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._opened = 0

    def version(self) -> int | None:
        """A number that differs once somebody else has written, and after a failure; None where
        there is none."""
        if self.dialect != "sqlite":
            return None
        with self._reading() as connection:
            table = connection.fetch("PRAGMA data_version")
            # SQLite counts for each connection alone, and begins anew with the next one.
            return self._opened << 32 | int(table.column(0)[0].as_py())

    def experiments(self) -> dict[str, datetime | None]:
        """All experiments of the workspace, deleted ones too: id → when it was made."""
        with self._reading() as connection:
            found = self._ask(connection, "experiments")
        return {row["experiment_id"]: moment(row["creation_time"]) for row in found.to_pylist()}

    def heads(self) -> pa.Table:
        """All runs of the workspace (columns of ``RUNS``), newest first."""
        with self._reading() as connection:
            return _typed(self._ask(connection, "heads"), RUNS)

    def weights(self) -> dict[str, int]:
        """Run id → how many metrics and params it has; runs without any are left out."""
        with self._reading() as connection:
            counted = [self._ask(connection, f"weights_of_{n}") for n in ("metrics", "params")]
        both = pa.concat_tables(t.cast(_WEIGHTS) for t in counted)
        summed = both.group_by("run_id").aggregate([("n", "sum")])
        columns = (summed.column(name).to_pylist() for name in ("run_id", "n_sum"))
        return dict(zip(*columns, strict=True))

    def read(self, run_ids: Sequence[str]) -> Batch:
        """These runs with all that belongs to them; those that are gone are left out."""
        ids = json.dumps(list(run_ids))
        with self._reading() as connection:
            runs = _typed(self._ask(connection, "runs", ids=ids), RUNS)
            rest = (_typed(self._ask(connection, n, ids=ids), s) for n, s in _OF_RUN.items())
            return Batch(runs, *rest)

    def read_all(self) -> Batch | None:
        """All runs of the workspace, which takes half the time of naming them, and memory for all.

        None where the database has other workspaces too: then the runs have to be named.
        """
        with self._reading() as connection:
            if self._ask(connection, "others").column(0)[0].as_py():
                return None
            runs = _typed(self._ask(connection, "heads"), RUNS)
            rest = (_typed(self._ask(connection, f"all_{n}"), s) for n, s in _OF_RUN.items())
            return Batch(runs, *rest)

    def metric_aggregates(self, run_ids: Sequence[str], keys: Sequence[str]) -> pa.Table:
        """What the whole histories of some metrics come to (columns of ``AGGREGATES``).

        NaN is left out of all but ``count``, infinite values out of ``mean``; ``first`` and
        ``last`` go by step, then by time.
        """
        with self._reading() as connection:
            ids, names = json.dumps(list(run_ids)), json.dumps(list(keys))
            found = self._ask(connection, "aggregates", ids=ids, keys=names)
        return _typed(found, AGGREGATES)

    def metric_tails(self, run_ids: Sequence[str], keys: Sequence[str], last: int) -> pa.Table:
        """The means of the last values of some metrics (columns of ``TAILS``), NaN and infinite
        ones left out.

        Args:
            last: how many values.
        """
        with self._reading() as connection:
            ids, names = json.dumps(list(run_ids)), json.dumps(list(keys))
            found = self._ask(connection, "tails", ids=ids, keys=names, last=str(last))
        k = pa.array([last] * found.num_rows, pa.int32())
        return _typed(found.append_column("k", k), TAILS)

    def close(self) -> None:
        """Let the connection go, unless somebody hangs in it."""
        if self._lock.acquire(timeout=_CLOSE_SECONDS):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def _ask(self, connection: Connection, name: str, **values: str) -> pa.Table:
        statement = self._statements[name]
        given = {"workspace": self._workspace, **values}
        return connection.fetch(statement.text, statement.values(given))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """The connection, in a transaction that sees one moment of the database."""
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise BulkFailed("others read for too long")
        try:
            try:
                if self._connection is None:
                    self._connection = open_connection(self._url)
                    self._opened += 1
                yield self._connection
                # A reader of SQLite that stays in its transaction keeps every writer waiting.
                self._connection.rollback()
            except pa.ArrowException as error:
                self._disconnect()
                raise BulkFailed(str(error)[:500]) from error
            except BaseException:
                # An answer may be half read, and a transaction left open keeps writers waiting.
                self._disconnect()
                raise
        finally:
            self._lock.release()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    typed = table.select(schema.names).cast(schema)
    for name in _NULL_IF_EMPTY & set(schema.names):
        column = typed.column(name)
        some = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        typed = typed.set_column(typed.column_names.index(name), schema.field(name), some)
    return typed
