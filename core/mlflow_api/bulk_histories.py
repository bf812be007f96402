"""Metric histories read from MLflow's database: milliseconds for 10,000 points of a run."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from core.mlflow_api.bulk_connection import Connection, open_connection
from core.mlflow_api.histories import History, history


class BulkHistories:
    """Reads metric histories from a tracking database.

    Any thread may call; each call has a connection of its own, and a few are kept for the next.

    Args:
        uri: SQLAlchemy's address, sqlite:////… or postgresql://….
    """

    def __init__(self, uri: str) -> None:
        import sqlalchemy as sa
        from mlflow.store.tracking.dbmodels.models import SqlMetric

        self._url = sa.make_url(uri)
        asked = (SqlMetric.run_uuid == sa.bindparam("run"), SqlMetric.key == sa.bindparam("key"))
        points: Any = sa.select(
            SqlMetric.step, SqlMetric.value, SqlMetric.is_nan, SqlMetric.timestamp
        )
        # Ordered by step alone, SQLite takes its index over run, metric and step, and not the one
        # over the metric of all runs, which takes hundreds of times as long.
        self._whole = self._sql(points.where(*asked).order_by(SqlMetric.step))
        after = SqlMetric.step > sa.bindparam("step")
        self._after = self._sql(points.where(*asked, after).order_by(SqlMetric.step))
        self._count = self._sql(sa.select(sa.func.count()).where(*asked))
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        weakref.finalize(self, _close, self._idle)

    def close(self) -> None:
        """Let the connections go that are kept for the next call."""
        _close(self._idle)

    def _sql(self, statement: object) -> str:
        """SQL with the run, the metric and perhaps a step as its parameters, in this order."""
        text = str(statement)
        sqlite = self._url.get_backend_name() == "sqlite"
        for i, name in enumerate(("run", "key", "step"), 1):
            text = text.replace(f":{name}", "?" if sqlite else f"${i}")
        return text

    def whole(self, run_id: str, key: str) -> History:
        """All points of one metric of one run.

        Raises:
            BulkFailed: the database does not answer as it should.
        """
        with self._connection() as connection:
            return _history(connection.fetch(self._whole, (run_id, key)))

    def newer(self, run_id: str, key: str, known: History) -> History:
        """``known`` with what was logged since; the same object where that is nothing.

        Points are never changed or removed, so that their number tells whether there are new ones.
        Mostly those come after the last step; else all is read again.

        Raises:
            BulkFailed: the database does not answer as it should.
        """
        with self._connection() as connection:
            n = int(connection.fetch(self._count, (run_id, key)).column(0)[0].as_py())
            if n == len(known):
                return known
            if len(known):
                step = int(known.steps[-1])
                more = _history(connection.fetch(self._after, (run_id, key, step)))
                if len(known) + len(more) == n:
                    return History(
                        np.concatenate([known.steps, more.steps]),
                        np.concatenate([known.values, more.values]),
                        np.concatenate([known.times, more.times]),
                    )
            return _history(connection.fetch(self._whole, (run_id, key)))

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or open_connection(self._url)
            yield connection
            # A reader of SQLite that stays in its transaction keeps every writer waiting.
            connection.rollback()
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        with self._lock:
            self._idle.append(connection)


def _close(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


def _history(table: pa.Table) -> History:
    if not table.num_rows:
        return History(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
    steps, values, nan, times = (column.to_numpy() for column in table.columns)
    return history(steps, values, nan, times)
