"""The mirror fed through MLflow's client, page by page: works with every server."""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pyarrow.compute as pc

from core.errors import ServerSlow
from core.mlflow_api import Mlflow
from core.mlflow_api.batch import Batch
from core.mlflow_api.tracking import ALL, PAGE_LIMIT

if TYPE_CHECKING:
    from core.runs.mirror.holding import Holding

_FIRST_PAGE = 20
_PAGE_SECONDS = 5.0
"""What a page should take at most; runs with thousands of metrics come in smaller pages."""
_PAGE_ROWS = 300_000
_IDS_AT_ONCE = 200
_NEWS_AT_ONCE = 100
_RUNNING_AT_ONCE = 500
_RECONCILED_AT_ONCE = 200
_CLOCKS_SECONDS = 60
"""How far the clocks of those who make runs may differ for a new run to be found at once."""


@dataclass
class _Pass:
    """A walk over all runs of some experiments, to find late edits and what is gone."""

    experiments: frozenset[str]
    newest: int
    """The last run's number when it began: what came later is not missed."""
    token: str | None = None
    seen: set[str] = field(default_factory=set)


class ClientFeed:
    """Reads everything once, newest first and what pages want before the rest; then what is new.

    Methods raise ``DeckError`` where MLflow does not answer.
    """

    kind: Literal["client"] = "client"

    def __init__(self, mlflow: Mlflow, holding: "Holding") -> None:
        self._tracking = mlflow.tracking
        self._holding = holding
        self._stages: dict[str, str] = {}
        self._filled: set[str] = set()
        self._reached: dict[str, int] = {}
        """How far back in time experiments were read that are not filled yet."""
        self._size = _FIRST_PAGE
        self._passes: dict[bool, _Pass] = {}
        self._wanted_turn = False

    def look(self) -> Iterator[None]:
        """Read what was never read; else what is new, running or has just ended.

        Yields after every write.
        """
        stages = {e.id: e.lifecycle_stage for e in self._tracking.experiments(ALL)}
        if not self._stages and self._holding.complete:
            self._filled = set(stages)  # by the process before
        began = bool(self._filled)
        # An experiment that was deleted or restored took all its runs along.
        self._filled -= {e for e, stage in stages.items() if stage != self._stages.get(e, stage)}
        self._stages = stages
        yield from self._fill(set(stages) - self._filled)
        if began:
            yield from self._news()

    def reconcile(self) -> bool:
        """Compare a page of runs, those of wanted experiments every other time.

        Returns:
            Whether there is more to compare: at the end of a walk over all runs there is not.
        """
        self._wanted_turn = not self._wanted_turn
        wanted = self._holding.wanted.now() & set(self._stages)
        some = self._wanted_turn and bool(wanted)
        group = wanted if some else frozenset(self._stages)
        here = self._passes.get(some)
        if here is None or here.experiments != group:
            here = self._passes[some] = _Pass(group, self._holding.newest_number())
        if not group:
            return False
        size = min(_RECONCILED_AT_ONCE, self._size)
        began = time.monotonic()
        batch, here.token = self._tracking.search_batch(sorted(group), "", size, here.token)
        self._holding.write(batch, began)
        here.seen |= batch.ids()
        if here.token is None:
            del self._passes[some]
            # Over all: runs of experiments that are gone for good are in none of the group.
            held = self._holding.run_ids(group if some else None, here.newest)
            missing = [i for i in held if i not in here.seen]
            began = time.monotonic()
            found = self.read(missing)
            self._holding.write(found, began)
            self._holding.forget(set(missing) - found.ids(), began)
            return some
        return True

    def read(self, run_ids: Sequence[str]) -> Batch:
        """These runs, as they are now."""
        experiments = [e.id for e in self._tracking.experiments(ALL)] if run_ids else []
        found = []
        for start in range(0, len(run_ids), _IDS_AT_ONCE):
            some = run_ids[start : start + _IDS_AT_ONCE]
            text = f"attributes.run_id IN ({', '.join(repr(i) for i in some)})"
            found.append(self._tracking.search_batch(experiments, text, len(some))[0])
        return Batch.joined(found)

    def metric_aggregates(self, run_ids: Sequence[str], keys: Sequence[str]) -> None:
        """None: through a client whole histories have to be read."""
        return

    def _fill(self, rest: set[str]) -> Iterator[None]:
        while rest:
            group = frozenset(self._holding.wanted.now() & rest) or frozenset(rest)
            finished = yield from self._pages(group, rest)
            if finished:
                rest -= group
                self._filled |= group
                for experiment in group:
                    self._reached.pop(experiment, None)

    def _pages(self, group: frozenset[str], rest: set[str]) -> Generator[None, None, bool]:
        """Read the group's runs, from where an earlier attempt came to.

        Returns:
            Whether it came to the end: where a page begins to want others, those go first.
        """
        reached = [self._reached.get(experiment) for experiment in group]
        before = None if None in reached else max(r for r in reached if r is not None)
        text = "" if before is None else f"attributes.start_time <= {before}"
        token: str | None = None
        size = _FIRST_PAGE
        while True:
            began = time.monotonic()
            try:
                batch, token = self._tracking.search_batch(sorted(group), text, size, token)
            except ServerSlow:
                self._size = max(_FIRST_PAGE, size // 4)
                raise
            self._size = size = _next_size(batch, size, time.monotonic() - began)
            self._holding.write(batch, began)
            oldest = pc.min(batch.runs.column("start_time")).as_py()
            if oldest is not None:
                self._reached |= dict.fromkeys(group, oldest)
            yield
            if token is None:
                return True
            if self._holding.wanted.now() & (rest - group):
                return False

    def _news(self) -> Iterator[None]:
        now = int(time.time() * 1000)
        newest = min(self._holding.newest_start() or 0, now)
        since = max(0, newest - _CLOCKS_SECONDS * 1000)
        for batch, began in self._search(f"attributes.start_time > {since}", _NEWS_AT_ONCE):
            self._holding.write(batch, began)
            yield
        for status in ("RUNNING", "SCHEDULED"):
            # One page, the newest: runs whose trainer was killed stay RUNNING for ever.
            found = self._search(f"attributes.status = '{status}'", _RUNNING_AT_ONCE)
            batch, began = next(found, (Batch.joined([]), time.monotonic()))
            running, oldest = batch.ids(), 0
            if len(batch) >= min(_RUNNING_AT_ONCE, self._size):
                oldest = pc.min(batch.runs.column("start_time")).as_py() + 1
            ended = [i for i in self._holding.running(status, oldest) if i not in running]
            self._holding.write(batch, began)
            self._holding.write(self.read(ended), began)
            yield

    def _search(self, text: str, size: int) -> Iterator[tuple[Batch, float]]:
        """Pages of matching runs of all experiments, each with when it began to be read."""
        token: str | None = None
        while self._stages:
            page = max(_FIRST_PAGE, min(size, self._size))
            began = time.monotonic()
            batch, token = self._tracking.search_batch(sorted(self._stages), text, page, token)
            yield batch, began
            if token is None:
                return


def _next_size(batch: Batch, size: int, seconds: float) -> int:
    """How many runs the next page may have, by what the last one took and brought."""
    if not len(batch):
        return size
    fitting = len(batch) * min(_PAGE_SECONDS / max(seconds, 0.001), _PAGE_ROWS / (batch.rows + 1))
    return max(_FIRST_PAGE, min(PAGE_LIMIT, 4 * size, int(fitting)))
