"""The facts of all runs that the mirror holds, in memory: what every question begins with.

A hundred thousand runs are some 20 MB here and are read in a few hundredths of a second, once a
revision of the mirror. Which runs are meant and in what order is then decided on whole columns;
params, metrics and tags stay in the mirror and are read for the runs that are shown.
"""

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.runs.mirror import Mirror

Rows = npt.NDArray[np.int32]
"""Places in the spine."""

MISSING = -1

_SQL = (
    "SELECT no, run_id, experiment_id, name, status, user_id, start_time, end_time, "
    "lifecycle_stage = 'deleted' AS deleted, parent_id FROM runs"
)


@dataclass(frozen=True, eq=False)
class Spine:
    """All runs held, newest first; runs that began together by their ids.

    This order decides wherever runs are alike in what they are sorted by.
    """

    revision: int
    table: pa.Table
    """no, run_id, experiment_id, name, status, user_id, start_time, end_time, deleted, parent_id"""
    no: npt.NDArray[np.int32]
    row_of: Rows
    """A run's number in the mirror → its place here, or ``MISSING``."""
    _made: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.no)

    def column(self, name: str) -> pa.Array:
        """One column of the table, in one piece."""
        if name not in self._made:
            self._made[name] = self.table.column(name).combine_chunks()
        return self._made[name]

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers; what is missing is NaN."""
        key = f"{name} as numbers"
        if key not in self._made:
            whole = pc.cast(self.column(name), pa.float64(), safe=False)
            self._made[key] = pc.fill_null(whole, float("nan")).to_numpy(zero_copy_only=False)
        found: npt.NDArray[np.float64] = self._made[key]
        return found

    def deleted(self) -> npt.NDArray[np.bool_]:
        """Which runs are deleted."""
        flags = pc.fill_null(self.column("deleted"), False)
        found: npt.NDArray[np.bool_] = flags.to_numpy(zero_copy_only=False)
        return found

    def of_experiments(self, ids: Sequence[str] | frozenset[str]) -> npt.NDArray[np.bool_]:
        """Which runs belong to these experiments."""
        wanted = pa.array(sorted(ids), pa.string())
        inside = pc.is_in(self.column("experiment_id"), value_set=wanted)
        found: npt.NDArray[np.bool_] = inside.to_numpy(zero_copy_only=False)
        return found

    def places(self, run_ids: Sequence[str]) -> Rows:
        """Where runs stand, by id; ``MISSING`` for those that are not held."""
        if "ids" not in self._made:
            self._made["ids"] = self.column("run_id")
        found = pc.index_in(pa.array(run_ids, pa.string()), value_set=self._made["ids"])
        return _filled(found)

    def parents(self) -> Rows:
        """Each run's place of the run it is nested in; ``MISSING`` where there is none.

        A parent that is not held stands beyond the end: ``len(self)`` and more, the same for all
        of its children.
        """
        if "parents" not in self._made:
            ids = self.column("parent_id")
            held = _filled(pc.index_in(ids, value_set=self.column("run_id")))
            away = pc.dictionary_encode(ids)
            codes = _filled(away.indices)
            outside = (held == MISSING) & (codes != MISSING)
            held[outside] = len(self) + codes[outside]
            self._made["parents"] = held
        found: Rows = self._made["parents"]
        return found

    def at(self, numbers: npt.NDArray[np.int32]) -> Rows:
        """Where runs stand, by their numbers in the mirror."""
        # What was written since this was read has numbers beyond, and belongs to the next one.
        known: Rows = self.row_of[numbers[numbers < len(self.row_of)]]
        return np.compress(known != MISSING, known)


def _filled(indices: pa.Array) -> Rows:
    whole = pc.fill_null(pc.cast(indices, pa.int32()), MISSING)
    return np.array(whole.to_numpy(zero_copy_only=False), dtype=np.int32)


def read(mirror: Mirror) -> Spine:
    """Read the facts of all runs."""
    revision = mirror.revision
    with mirror.cursor() as cursor:
        table = cursor.sql(_SQL).to_arrow_table()
    order = pc.sort_indices(
        table,
        sort_keys=[("start_time", "descending", "at_end"), ("run_id", "ascending", "at_end")],
    )
    table = table.take(order).combine_chunks()
    no = table.column("no").to_numpy().astype(np.int32)
    row_of = np.full(int(no.max(initial=0)) + 1, MISSING, np.int32)
    row_of[no] = np.arange(len(no), dtype=np.int32)
    return Spine(revision, table, no, row_of)


_lock = threading.Lock()
_spines: "weakref.WeakKeyDictionary[Mirror, Spine]" = weakref.WeakKeyDictionary()


def spine(mirror: Mirror) -> Spine:
    """The facts of all runs as of the mirror's present revision."""
    with _lock:  # whoever comes meanwhile waits for the same answer
        held = _spines.get(mirror)
        if held is None or held.revision != mirror.revision:
            held = read(mirror)
            _spines[mirror] = held
        return held
