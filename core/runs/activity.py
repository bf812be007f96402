"""How many runs experiments have and when something last happened, counted in the background.

MLflow has no count: runs have to be read. So each experiment is read up to a cap, by few threads,
and remembered a while; a page shows what is there already and draws again when the rest is.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime

from core import formats
from core.errors import DeckError
from core.mlflow_api import Mlflow
from core.runs.query import VIEWS

CAP = 200
_AT_ONCE = 3
_REMEMBERED = 60.0


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


class Counter:
    """Counts in the background and remembers.

    Args:
        mlflow: where runs are read; answers belong to whoever that speaks for.
    """

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="counter")
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], tuple[float, Future[Activity | None]]] = {}

    def look(
        self, experiment_ids: Iterable[str], view: str = "active", patience: float = 0.3
    ) -> Mapping[str, Activity | None]:
        """What is known now; experiments still being counted are missing.

        Args:
            view: which runs: active, deleted or all.
            patience: seconds to wait for all answers before giving what is there.

        Returns:
            Experiment id → its activity, or None where it could not be read.
        """
        now = time.monotonic()
        asked: dict[str, Future[Activity | None]] = {}
        with self._lock:
            for experiment_id in experiment_ids:
                key = (experiment_id, view)
                since, future = self._asked.get(key, (0.0, None))
                if future is None or (future.done() and now - since > _REMEMBERED):
                    future = self._pool.submit(copy_context().run, self._count, experiment_id, view)
                    self._asked[key] = (now, future)
                asked[experiment_id] = future
        wait(asked.values(), timeout=patience)
        return {i: future.result() for i, future in asked.items() if future.done()}

    def forget(self) -> None:
        """Count anew when next asked; after every write of ours."""
        with self._lock:
            self._asked = {k: v for k, v in self._asked.items() if not v[1].done()}

    def _count(self, experiment_id: str, view: str) -> Activity | None:
        try:
            page = self._mlflow.tracking.search([experiment_id], limit=CAP, view=VIEWS[view])
        except DeckError:
            # The list of experiments is worth showing without; the next look asks again.
            with self._lock:
                self._asked.pop((experiment_id, view), None)
            return None
        newest = max((r.started_at for r in page.runs if r.started_at), default=None)
        return Activity(len(page.runs), page.next_token is not None, newest)
