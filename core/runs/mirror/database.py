"""The mirror fed from MLflow's own database, read in bulk."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from core.mlflow_api.batch import Batch
from core.mlflow_api.bulk import Bulk

if TYPE_CHECKING:
    from core.runs.mirror.holding import Holding

_FIRST_CHUNK, _CHUNK = 100, 10_000
_ROWS = 500_000
"""What a chunk should bring at most: runs with thousands of metrics come fewer at a time."""
_ROWS_OF_WHOLE = 1_500_000
_RECONCILED_AT_ONCE = 2_500


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
        self._rows_a_run = 0.0
        """Rows that a run of the last chunk had; 0: nothing was read yet."""

    def look(self) -> Iterator[None]:
        """Bring in what is new, running or changed in its head; remove what is gone.

        Yields after every write.
        """
        version = self._bulk.version()
        if version is not None and version == self._seen:
            return
        heads = self._bulk.heads()
        self._holding.total = heads.num_rows
        differing, gone = self._holding.compare(heads)
        self._holding.forget(gone)
        size = _FIRST_CHUNK
        while differing:
            # Sorted anew for every chunk: another page may have asked for something since.
            wanted = self._holding.wanted.now()
            differing.sort(key=lambda one: one.experiment_id not in wanted)
            batch = self._whole(len(differing), heads.num_rows)
            if batch is None:
                some, differing = differing[:size], differing[size:]
                batch = self._bulk.read([one.run_id for one in some])
            else:
                differing = []
            self._holding.write(batch)
            self._rows_a_run = max(1.0, batch.rows / max(1, len(batch)))
            size = self._fitting(_CHUNK)
            yield
        self._seen = version

    def _whole(self, differing: int, runs: int) -> Batch | None:
        """The whole store at once, where most of it is to be read and it is small enough."""
        rows = runs * self._rows_a_run
        if not rows or rows > _ROWS_OF_WHOLE or differing < max(_FIRST_CHUNK, runs * 0.8):
            return None
        return self._bulk.read_all()

    def _fitting(self, most: int) -> int:
        """How many runs to read at once, at most ``most``."""
        return max(1, min(most, int(_ROWS / max(1.0, self._rows_a_run))))

    def reconcile(self) -> bool:
        """Compare some runs in full, to find late edits of tags, params and metrics.

        Returns:
            Whether there was anything to compare: nothing is, while nobody wrote.
        """
        version = self._bulk.version()
        if not self._left:
            if version is not None and version == self._pass_done:
                return False
            self._left = self._holding.run_ids()
            self._pass_began = version
        size = self._fitting(_RECONCILED_AT_ONCE)
        some, self._left = self._left[:size], self._left[size:]
        self._holding.write(self._bulk.read(some))
        if not self._left:
            self._pass_done = self._pass_began
        return True

    def read(self, run_ids: Sequence[str]) -> Batch:
        """These runs, as they are now."""
        return self._bulk.read(run_ids)

    def metric_aggregates(self, run_ids: Sequence[str], keys: Sequence[str]) -> pa.Table:
        """What whole histories come to; see ``Bulk.metric_aggregates``."""
        return self._bulk.metric_aggregates(run_ids, keys)

    def metric_tails(self, run_ids: Sequence[str], keys: Sequence[str], last: int) -> pa.Table:
        """The means of the last values; see ``Bulk.metric_tails``."""
        return self._bulk.metric_tails(run_ids, keys, last)

    def close(self) -> None:
        """Let the connection go."""
        self._bulk.close()
