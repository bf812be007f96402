"""How many runs experiments have and when something last happened, as far as they were read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.runs.mirror import Mirror
from core.runs.spine import spine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Activity:
    """What is known of an experiment's runs."""

    runs: int = 0
    last: datetime | None = None
    """When the newest run started."""


def activity(
    mirror: Mirror, experiment_ids: Sequence[str], readable: frozenset[str], view: str = "active"
) -> Mapping[str, Activity]:
    """Experiment id → its runs, of those that the person may read.

    While the mirror is still being filled these are the runs read so far: ``mirror.coverage``.

    Args:
        view: which runs: active, deleted or all.
    """
    held = spine(mirror)
    allowed = [i for i in dict.fromkeys(experiment_ids) if i in readable]
    where = pc.index_in(held.column("experiment_id"), value_set=pa.array(allowed, pa.string()))
    place = where.fill_null(len(allowed)).to_numpy(zero_copy_only=False)
    if view != "all":
        place = np.where(held.deleted() == (view == "deleted"), place, len(allowed))
    counts = np.bincount(place, minlength=len(allowed) + 1)
    newest = np.full(len(allowed) + 1, -np.inf)
    np.fmax.at(newest, place, held.numbers("start_time"))
    return {
        i: Activity(int(n), _EPOCH + timedelta(milliseconds=at) if np.isfinite(at) else None)
        for i, n, at in zip(allowed, counts, newest.tolist(), strict=False)
    }
