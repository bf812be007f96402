"""The mirror fed from MLflow's own database, read in bulk."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from core.mlflow_api.batch import Batch
from core.mlflow_api.bulk import Bulk

if TYPE_CHECKING:
    from core.runs.mirror.holding import Holding

_FIRST_CHUNK, _CHUNK = 100, 10_000
_ROWS = 500_000
"""What a chunk may bring: runs with thousands of metrics come fewer at a time."""
_ROWS_OF_WHOLE = 1_500_000
_RECONCILED_AT_ONCE = 2_500


def fitting(run_ids: Sequence[str], weights: Mapping[str, int], most: int) -> int:
    """How many of the first runs to read at once: at least one, at most ``most``.

    Args:
        weights: rows of each run, where there are many.
    """
    rows = 0
    for n, run_id in enumerate(run_ids[:most]):
        rows += weights.get(run_id, 0)
        if n and rows > _ROWS:
            return n
    return min(most, len(run_ids))


class DatabaseFeed:
    """Looks at all runs' heads in one read, and reads those in full that are new or differ.

    Methods raise ``BulkFailed`` where the database does not answer.
    """

    kind: Literal["database"] = "database"

    def __init__(self, bulk: Bulk, holding: "Holding") -> None:
        self._bulk = bulk
        self._holding = holding
        self._seen: int | None = None
        """The database's version at the last look that came to its end."""
        self._left: list[str] = []
        """Runs that the current pass over late edits has still to read."""
        self._pass_began: int | None = None
        self._pass_done: int | None = None
        self._weights: Mapping[str, int] = {}

    def look(self) -> Iterator[None]:
        """Bring in what is new, running or changed in its head; remove what is gone.

        Yields after every write.
        """
        version = self._bulk.version()
        if version is not None and version == self._seen:
            return
        began = time.monotonic()
        heads = self._bulk.heads()
        self._holding.total = heads.num_rows
        differing, gone = self._holding.compare(heads)
        self._holding.forget(gone, began)
        weights = self._bulk.weights() if len(differing) > _FIRST_CHUNK else {}
        most = _FIRST_CHUNK
        while differing:
            # Sorted anew for every chunk: another page may have asked for something since.
            wanted = self._holding.wanted.now()
            differing.sort(key=lambda one: one.experiment_id not in wanted)
            began = time.monotonic()
            batch = None
            if most == _CHUNK and len(differing) > 0.8 * heads.num_rows:
                rows = sum(weights.values())
                batch = self._bulk.read_all() if rows < _ROWS_OF_WHOLE else None
            if batch is None:
                ids = [one.run_id for one in differing]
                size = fitting(ids, weights, most)
                batch, differing = self._bulk.read(ids[:size]), differing[size:]
            else:
                differing = []
            self._holding.write(batch, began)
            most = _CHUNK
            yield
        self._seen = version

    def reconcile(self) -> bool:
        """Compare some runs in full, to find late edits of tags, params and metrics.

        Returns:
            Whether there is more to compare: nothing is, where all were or nobody wrote since.
        """
        if not self._left:
            version = self._bulk.version()
            if version is not None and version == self._pass_done:
                return False
            self._left, self._weights = self._holding.run_ids(), self._holding.weights()
            self._pass_began = version
        size = fitting(self._left, self._weights, _RECONCILED_AT_ONCE)
        some, self._left = self._left[:size], self._left[size:]
        began = time.monotonic()
        self._holding.write(self._bulk.read(some), began)
        if not self._left:
            self._pass_done = self._pass_began
        return bool(self._left)

    def read(self, run_ids: Sequence[str]) -> Batch:
        """These runs, as they are now."""
        return self._bulk.read(run_ids)

    def metric_aggregates(self, run_ids: Sequence[str], keys: Sequence[str]) -> pa.Table:
        """What whole histories come to; see ``Bulk.metric_aggregates``."""
        return self._bulk.metric_aggregates(run_ids, keys)

    def metric_tails(self, run_ids: Sequence[str], keys: Sequence[str], last: int) -> pa.Table:
        """The means of the last values; see ``Bulk.metric_tails``."""
        return self._bulk.metric_tails(run_ids, keys, last)
