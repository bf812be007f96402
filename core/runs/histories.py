"""Metric histories of many runs: read side by side, kept within a bound, then only what is new."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Literal

from core.mlflow_api import Mlflow
from core.mlflow_api.bulk_connection import BulkFailed
from core.mlflow_api.bulk_histories import BulkHistories
from core.mlflow_api.histories import ClientHistories, History
from core.mlflow_api.pool import ContextPool

MOST_CURVES = 300
"""Histories read for one figure."""

MOST_POINTS = 6_000_000
"""Points read for one figure; 24 bytes each."""

ENDED = ("FINISHED", "FAILED", "KILLED")

_KEPT_POINTS = 6_000_000
_AT_ONCE = 6
_AT_ONCE_FROM_DATABASE = 2
_RUNS_IN_ONE_ANSWER = 20
_LOOK_SECONDS = 0.2

_log = logging.getLogger(__name__)

Pair = tuple[str, str]
"""Run id and metric."""


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
class Line:
    """One metric of one run."""

    run: str
    name: str
    """The run's."""
    key: str
    history: History


@dataclass(frozen=True)
class Curves:
    """Histories of several metrics and runs, run by run in the order asked for."""

    lines: tuple[Line, ...]
    existing: int
    """How many there are for these runs and metrics."""
    short: Literal["", "curves", "points", "stopped"] = ""
    """Why not all were read: as many as one figure draws, as many points, or it was stopped."""

    @property
    def single(self) -> tuple[str, ...]:
        """Metrics of which no run has more than one value: there is no curve to see."""
        longest: dict[str, int] = {}
        for line in self.lines:
            longest[line.key] = max(longest.get(line.key, 0), len(line.history))
        return tuple(key for key, points in longest.items() if points == 1)

    @property
    def points(self) -> int:
        """How many points there are."""
        return sum(len(line.history) for line in self.lines)


class Histories:
    """Reads metric histories, and keeps what it read.

    Args:
        mlflow: where they are read; what is kept belongs to whoever that speaks for.
        database: MLflow's tracking database, where this process may read it; else None.
    """

    def __init__(self, mlflow: Mlflow, database: str | None = None) -> None:
        self._client = ClientHistories(mlflow.gateway)
        self._bulk = BulkHistories(database) if database else None
        self._lock = threading.Lock()
        self._kept: OrderedDict[Pair, tuple[History, bool]] = OrderedDict()
        self._points = 0
        self._long: set[str] = set()

    def close(self) -> None:
        """Let the database go, where there is one."""
        if self._bulk is not None:
            self._bulk.close()

    def curves(
        self,
        runs: Sequence[Wanted],
        keys: Sequence[str],
        progress: Callable[[int, int], None] | None = None,
        *,
        most: int = MOST_CURVES,
        only_kept: bool = False,
    ) -> Curves:
        """The histories of ``keys`` for ``runs``; of running runs with what is new.

        Args:
            progress: told how many of how many were read, several times a second. What it raises
                ends the reading and rises; what was read by then is kept.
            only_kept: read nothing, because somebody stopped the reading.

        Raises:
            DeckError: the first failure; the others are not waited for.
        """
        pairs = [(run, key) for run in runs for key in keys if key in run.metrics]
        chosen = pairs[:most]
        found: dict[Pair, History] = {}
        todo: list[tuple[Pair, bool]] = []
        for run, key in chosen:
            kept = self._look((run.id, key))
            if kept is not None and (kept[1] or only_kept):
                found[run.id, key] = kept[0]
            else:
                todo.append(((run.id, key), run.ended))
        if todo and not only_kept:
            self._read(todo, found, len(chosen), progress)
        lines = tuple(
            Line(run.id, run.name, key, found[run.id, key])
            for run, key in chosen
            if (run.id, key) in found
        )
        short: Literal["", "curves", "points", "stopped"] = ""
        if len(lines) < len(pairs):
            short = "stopped" if only_kept else "points" if len(lines) < len(chosen) else "curves"
        return Curves(lines, len(pairs), short)

    def _read(
        self,
        todo: Sequence[tuple[Pair, bool]],
        found: dict[Pair, History],
        of: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Read what is to do into ``found``, until there are as many points as one figure has."""
        ended = dict(todo)
        pool = ContextPool(_AT_ONCE_FROM_DATABASE if self._bulk else _AT_ONCE, "history")
        running: dict[Future[dict[Pair, History]], list[Pair]] = {}

        def begin(pairs: list[Pair], *, together: bool) -> None:
            ask = self._together if together else self._singly
            running[pool.submit(ask, pairs)] = pairs

        try:
            for pairs in self._parcels(list(ended)):
                begin(pairs, together=len(pairs) > 1)
            total = sum(len(history) for history in found.values())
            while running and total < MOST_POINTS:
                done, _ = wait(running, _LOOK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    pairs = running.pop(future)
                    for pair, history in future.result().items():
                        found[pair] = history
                        total += len(history)
                        self._keep(pair, history, ended=ended[pair])
                    for pair in pairs:
                        if pair not in found:
                            begin([pair], together=False)
                if progress is not None:
                    progress(len(found), of)
        finally:
            pool.shutdown()

    def _parcels(self, pairs: Sequence[Pair]) -> list[list[Pair]]:
        """What is asked for in one go: one by one of a database, else a metric of many runs."""
        new = [pair for pair in pairs if self._look(pair) is None]
        parcels = [[pair] for pair in pairs if pair not in set(new)]
        if self._bulk is not None:
            return parcels + [[pair] for pair in new]
        for key in dict.fromkeys(key for _, key in new):
            of_key = [pair for pair in new if pair[1] == key]
            size = 1 if key in self._long else _RUNS_IN_ONE_ANSWER
            parcels += [of_key[i : i + size] for i in range(0, len(of_key), size)]
        return parcels

    def _together(self, pairs: Sequence[Pair]) -> dict[Pair, History]:
        """Those of one metric that one answer holds whole."""
        key = pairs[0][1]
        if key in self._long:
            return {}
        found = self._client.many([run for run, _ in pairs], key)
        if len(found) * 2 < len(pairs):
            self._long.add(key)
        return {(run, key): history for run, history in found.items()}

    def _singly(self, pairs: Sequence[Pair]) -> dict[Pair, History]:
        ((run, key),) = pairs
        kept = self._look((run, key))
        if self._bulk is not None:
            try:
                return {pairs[0]: _ask(self._bulk, run, key, kept)}
            except BulkFailed as error:
                _log.warning("a history is read through the client: %s", error)
        return {pairs[0]: _ask(self._client, run, key, kept)}

    def _look(self, pair: Pair) -> tuple[History, bool] | None:
        with self._lock:
            kept = self._kept.get(pair)
            if kept is not None:
                self._kept.move_to_end(pair)
            return kept

    def _keep(self, pair: Pair, history: History, *, ended: bool) -> None:
        with self._lock:
            before = self._kept.pop(pair, None)
            # Two sessions may have read the same one at once.
            self._points += len(history) - (len(before[0]) if before else 0)
            self._kept[pair] = (history, ended)
            while self._points > _KEPT_POINTS and len(self._kept) > 1:
                _, (dropped, _) = self._kept.popitem(last=False)
                self._points -= len(dropped)


def _ask(
    source: BulkHistories | ClientHistories, run: str, key: str, kept: tuple[History, bool] | None
) -> History:
    return source.whole(run, key) if kept is None else source.newer(run, key, kept[0])
