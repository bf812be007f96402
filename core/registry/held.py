"""Who stood on which rung and when: made from the changes on record and what stands there now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.registry.ladder import Ladder
from core.registry.plan import ModelState
from core.registry.record import Transition


@dataclass(frozen=True)
class Span:
    """One version on one rung."""

    rung: str
    version: int
    since: datetime
    until: datetime | None = None
    """None: it stands there now."""
    known_since: bool = False
    """Whether it was only found there: it may have stood there before ``since``."""
    known_until: bool = False
    """Whether it was only found gone: it may have left before ``until``."""
    by: str = ""
    """Who put it there; "" where that is not known."""
    request_id: str = ""


def spans(
    rows: Iterable[Transition], state: ModelState, ladder: Ladder, now: datetime
) -> tuple[Span, ...]:
    """Spans on rungs that are for one at a time, by their beginning.

    Changes without Modeldeck leave no time: a version that is found where no change on record put
    it is known since it was found, or since MLflow says that it was changed last.

    Args:
        rows: changes of one model on record, in any order.
        state: where its versions stand now.
    """
    story = _Story({rung.name for rung in ladder.rungs if rung.exclusive})
    ended = (row for row in rows if row.after is not None)
    for row in sorted(ended, key=lambda row: (row.begun_at, row.token)):
        story.tell(row)
    for version in state.versions:
        rung = ladder.standing(version.stage, version.aliases, version.tags).name
        story.find(version.version, rung, version.updated_at or now)
    for number in set(story.held) - {version.version for version in state.versions}:
        story.leave(number, now, found=True)  # it was deleted
    return tuple(sorted([*story.done, *story.held.values()], key=lambda s: (s.since, s.version)))


class _Story:
    """Spans as they come about."""

    def __init__(self, rungs: set[str]) -> None:
        self._rungs = rungs
        self.done: list[Span] = []
        self.held: dict[int, Span] = {}

    def tell(self, row: Transition) -> None:
        """A change that is on record."""
        at = row.ended_at or row.begun_at
        for number, place in row.before.items():
            self.find(number, place.rung, row.begun_at)
        for number, place in (row.after or {}).items():
            if number in self.held and self.held[number].rung == place.rung:
                continue
            self.leave(number, at, found=False)
            if place.rung in self._rungs:
                self.held[number] = Span(
                    place.rung, number, at, by=row.actor, request_id=row.request_id
                )

    def find(self, version: int, rung: str, at: datetime) -> None:
        """It stands on ``rung`` at this moment, whatever was known of it."""
        if version in self.held and self.held[version].rung != rung:
            self.leave(version, at, found=True)
        if version not in self.held and rung in self._rungs:
            self.held[version] = Span(rung, version, at, known_since=True)

    def leave(self, version: int, at: datetime, *, found: bool) -> None:
        """It stands there no longer."""
        span = self.held.pop(version, None)
        if span is not None:
            self.done.append(replace(span, until=max(at, span.since), known_until=found))


def lanes(found: Sequence[Span], now: datetime) -> tuple[int, ...]:
    """For each span (ordered by beginning) a lane of its rung in which nothing overlaps it."""
    free: dict[str, list[datetime]] = {}
    taken = []
    for span in found:
        ends = free.setdefault(span.rung, [])
        lane = next((i for i, end in enumerate(ends) if end <= span.since), len(ends))
        ends[lane : lane + 1] = [span.until or now]
        taken.append(lane)
    return tuple(taken)
