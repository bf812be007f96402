"""How many runs experiments have and when something last happened, counted in the background.

MLflow has no count: runs have to be read. So each experiment is read up to a cap, one at a time,
and remembered a while; a page shows what is there already and draws again when the rest is.
"""

import math
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from core import formats
from core.errors import DeckError
from core.mlflow_api import Mlflow
from core.mlflow_api.pool import ContextPool
from core.runs.query import RunQuery, query

CAP = 200
_REMEMBERED = 60.0

_Key = tuple[str, str]
"""An experiment's id, and which of its runs."""


@dataclass(frozen=True)
class Activity:
    """What is known of an experiment's runs."""

    runs: int
    """How many, at most ``CAP``."""
    more: bool
    """Whether there are more than were counted."""
    last: datetime | None
    """When the newest run started."""

    @property
    def text(self) -> str:
        """The count as it is shown: "42", or "200+"."""
        return f"{formats.count(self.runs)}+" if self.more else formats.count(self.runs)


Known = Activity | DeckError
"""A count, or why there is none."""


class Counter:
    """Counts in the background, one experiment at a time, and remembers.

    Args:
        mlflow: where runs are read; answers belong to whoever that speaks for.
    """

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow
        self._pool = ContextPool(1, "counter")
        self._lock = threading.Lock()
        self._known: dict[_Key, tuple[float, Known]] = {}
        self._underway: dict[_Key, Future[None]] = {}

    def look(
        self, experiment_ids: Iterable[str], view: str = "active", patience: float = 0.3
    ) -> Mapping[str, Known]:
        """What is known now; experiments that were not counted yet are missing.

        An old count, or an old failure, is given while the next is under way.

        Args:
            view: which runs: active, deleted or all.
            patience: seconds to wait for all answers before giving what is there.

        Returns:
            Experiment id → its activity, or the error that kept it from being read.
        """
        keys = [(experiment_id, view) for experiment_id in experiment_ids]
        now = time.monotonic()
        with self._lock:
            for key in keys:
                at, _ = self._known.get(key, (-math.inf, None))
                free = key not in self._underway or self._underway[key].done()
                if free and now - at > _REMEMBERED:
                    self._underway[key] = self._pool.submit(self._count, key, self._known)
            missing = [self._underway[key] for key in keys if key not in self._known]
        for ended in wait(missing, timeout=patience).done:
            ended.result()  # a defect in counting rises
        with self._lock:
            return {key[0]: self._known[key][1] for key in keys if key in self._known}

    def forget(self) -> None:
        """Count anew when next asked; after every write of ours."""
        with self._lock:  # what is under way may have read what was before the write
            self._known, self._underway = {}, {}

    def _count(self, key: _Key, into: dict[_Key, tuple[float, Known]]) -> None:
        if into is not self._known:
            return
        experiment_id, view = key
        answer: Known
        try:
            found = query(
                self._mlflow, RunQuery((experiment_id,), columns=(), limit=CAP, view=view)
            )
            last = found.frame["started_at"].max()
            newest = None if pd.isna(last) else last.to_pydatetime()
            answer = Activity(len(found.frame), found.more, newest)
        except DeckError as error:
            # The list of experiments is worth showing without. Remembered like a count: asking
            # again at once would keep a server that is slow from getting better.
            answer = error
        with self._lock:
            into[key] = (time.monotonic(), answer)
            if into is self._known:
                del self._underway[key]
