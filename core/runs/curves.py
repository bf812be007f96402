"""Metric histories of many runs, fetched side by side and remembered within a bound."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass

import pandas as pd

from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import MetricPoint
from core.mlflow_api.pool import ContextPool

MOST_CURVES = 200
"""Histories read for one figure."""

_AT_ONCE = 6
_MOST_POINTS = 2_000_000
ENDED = ("FINISHED", "FAILED", "KILLED")


@dataclass(frozen=True)
class Wanted:
    """A run whose histories are wanted."""

    id: str
    name: str
    ended: bool
    """It logs no more, so what was read once stays true."""
    metrics: frozenset[str]
    """The metrics that it has."""


@dataclass(frozen=True)
class Curves:
    """Points of several metrics and runs.

    ``points`` has one row a point: run_id, run_name, key, step, value, at (aware, UTC).
    """

    points: pd.DataFrame
    read: int
    """How many histories were read."""
    existing: int
    """How many there are for these runs and metrics."""
    single: tuple[str, ...]
    """Metrics of which no run has more than one value: there is no curve to see."""


class Histories:
    """Reads metric histories, and keeps those of runs that have ended.

    Args:
        mlflow: where they are read; what is kept belongs to whoever that speaks for.
    """

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], list[MetricPoint]] = OrderedDict()
        self._points = 0

    def curves(
        self,
        runs: Sequence[Wanted],
        keys: Sequence[str],
        progress: Callable[[int, int], None] | None = None,
        most: int = MOST_CURVES,
    ) -> Curves:
        """The histories of ``keys`` for ``runs``, at most ``most``, a metric at a time.

        Args:
            progress: told how many of how many were read.

        Raises:
            DeckError: the first failure; the others are not waited for.
        """
        pairs = [(run, key) for run in runs for key in keys if key in run.metrics]
        chosen = pairs[:most]
        known = {(r.id, k): points for r, k in chosen if (points := self._known(r.id, k))}
        todo = [(run, key) for run, key in chosen if (run.id, key) not in known]
        pool = ContextPool(_AT_ONCE, "history")
        futures = {
            pool.submit(self._mlflow.tracking.metric_history, run.id, key): (run, key)
            for run, key in todo
        }
        try:
            for done, future in enumerate(as_completed(futures), len(known) + 1):
                run, key = futures[future]
                known[run.id, key] = points = future.result()
                if run.ended:
                    self._keep(run.id, key, points)
                if progress is not None:
                    progress(done, len(chosen))
        finally:
            pool.shutdown()
        longest = {
            k: max((len(known[r.id, k]) for r, k2 in chosen if k2 == k), default=0) for k in keys
        }
        rows = [(run.id, run.name, key, known[run.id, key]) for run, key in chosen]
        single = tuple(k for k in keys if longest[k] == 1)
        return Curves(_frame(rows), len(chosen), len(pairs), single)

    def _known(self, run_id: str, key: str) -> list[MetricPoint] | None:
        with self._lock:
            points = self._kept.get((run_id, key))
            if points is not None:
                self._kept.move_to_end((run_id, key))
            return points

    def _keep(self, run_id: str, key: str, points: list[MetricPoint]) -> None:
        with self._lock:
            # Two sessions may have read the same one at once.
            self._points += len(points) - len(self._kept.pop((run_id, key), ()))
            self._kept[run_id, key] = points
            while self._points > _MOST_POINTS and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._points -= len(dropped)


def _frame(rows: Sequence[tuple[str, str, str, list[MetricPoint]]]) -> pd.DataFrame:
    lengths = [len(points) for *_, points in rows]

    def repeated(values: Sequence[str]) -> list[str]:
        return [v for v, n in zip(values, lengths, strict=True) for _ in range(n)]

    every = [p for *_, points in rows for p in points]
    return pd.DataFrame(
        {
            "run_id": pd.Series(repeated([r[0] for r in rows]), dtype=object),
            "run_name": pd.Series(repeated([r[1] for r in rows]), dtype=object),
            "key": pd.Series(repeated([r[2] for r in rows]), dtype=object),
            "step": pd.Series([p.step for p in every], dtype="int64"),
            "value": pd.Series([p.value for p in every], dtype="float64"),
            "at": pd.to_datetime([p.at for p in every], utc=True),
        }
    )
