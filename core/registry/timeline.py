"""Who held which rung when, told by the record alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.ledger import Ledger, chain
from core.ledger.chain import Entry, Line
from core.registry.known import BASELINE, SOURCE, UNATTRIBUTED
from core.registry.ladder import Ladder
from core.registry.plan import ModelState

_ENDED = tuple(f"transition.{s}" for s in ("done", "partial", "failed", "interrupted", "undone"))
ACTIONS = (*_ENDED, "imported", BASELINE, *UNATTRIBUTED)
"""The actions of lines that say where versions stand afterwards."""


@dataclass(frozen=True)
class Span:
    """One version on one rung."""

    model: str
    rung: str
    version: int
    since: datetime
    until: datetime | None
    """None: as far as the record goes."""
    known_since: bool
    """Whether it was only found there: it may have come there before ``since``."""
    by: str
    """Who moved it there; "" where nobody knows."""
    why: str
    request_id: str
    number: int
    """The line that says so; 0 where none does."""
    known_until: bool = False
    """Whether it was only found gone: it may have left before ``until``."""
    last_known: datetime | None = None
    """When it was known to stand there last, where it was only found gone and that is on record."""
    outside: bool = False
    """Whether it came there without Modeldeck, after the first look."""

    def holds(self, at: datetime) -> bool:
        """Whether it stood there at a moment, as far as is known."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Timeline:
    """All that the record says of where versions stood."""

    spans: tuple[Span, ...]
    """In the order of the record."""
    since: datetime | None
    """Before this nothing is known; None where nothing is known at all."""
    replaced: Mapping[int, int] = field(default_factory=dict)
    """Version → the last line by which it was found gone or of another source: what stands under
    its number later is something else."""

    def holder(self, rung: str, at: datetime) -> tuple[Span, ...]:
        """Who stood on a rung at a moment; several where the rung was held by several."""
        return tuple(s for s in self.spans if s.rung == rung and s.holds(at))

    def standing(self, version: int, rung: str) -> Span | None:
        """The span of a version that stands on a rung still; None where the record knows none."""
        mine = (s for s in self.spans if s.version == version and s.rung == rung)
        return next((s for s in mine if s.until is None), None)


def timeline(ledger: Ledger, store: str, model: str) -> Timeline:
    """The spans of one model."""
    found = chain.lines(
        ledger, store=store, model=model, action=ACTIONS, newest_first=False, limit=None
    )
    return spans(found)


def held(
    ledger: Ledger, store: str, rung: str, at: datetime, model: str | None = None
) -> dict[str, tuple[Span, ...]]:
    """What stood on a rung at a moment: model → its spans, only for models known of by then."""
    found = chain.lines(
        ledger, store=store, model=model, action=ACTIONS, newest_first=False, limit=None
    )
    by_model: dict[str, list[Line]] = {}
    for line in found:
        by_model.setdefault(line.entry.model, []).append(line)
    told = {name: spans(mine) for name, mine in sorted(by_model.items()) if name}
    return {
        name: one.holder(rung, at)
        for name, one in told.items()
        if one.since is not None and one.since <= at
    }


def spans(lines: Iterable[Line]) -> Timeline:
    """The spans that lines of one model tell of, oldest line first; decides only."""
    done: list[Span] = []
    standing: dict[int, Span] = {}
    replaced: dict[int, int] = {}
    first: datetime | None = None
    for line in lines:
        entry, at = line.entry, _effective(line)
        first = first or at
        before, after = entry.before or {}, entry.after or {}
        for number in sorted({int(n) for n in (*before, *after)}):
            was, there = standing.get(number), after.get(str(number))
            rung = there["rung"] if there else None
            if there is None or entry.action == SOURCE:
                replaced[number] = line.number
            if was is not None and was.rung == rung:
                continue
            found = entry.action in (BASELINE, *UNATTRIBUTED)
            came_from = before.get(str(number), {}).get("rung")
            # Of a change that broke off only the end is known: when it was settled.
            later = found or _settled(entry)
            if was is not None:
                late = later or came_from != was.rung
                seen = _last_known(entry, was.since, at) if late else None
                done.append(
                    replace(was, until=max(at, was.since), known_until=late, last_known=seen)
                )
                del standing[number]
            if rung is not None:
                # Moved by somebody: only where this very line changed the rung.
                found = found or came_from == rung
                # Who settles a change that broke off did not move anything.
                by = "" if found else entry.details.get("begun_by") or entry.actor
                standing[number] = Span(
                    entry.model, rung, number, at, None, found or later, by,
                    entry.why, entry.request_id, line.number,
                    outside=entry.action in UNATTRIBUTED,
                )  # fmt: skip
    ordered = sorted([*done, *standing.values()], key=lambda s: (s.number, s.version))
    return Timeline(tuple(ordered), first, replaced)


def until_now(
    told: Timeline, state: ModelState, ladder: Ladder, at: datetime, *, whole: bool = True
) -> tuple[Span, ...]:
    """Spans on rungs that are for one at a time, by their beginning, brought up to what is there.

    Where nothing in the record says why a version stands where it does, or stands there no longer,
    that is known since MLflow says that it was changed last.

    Args:
        state: where its versions stand at ``at``.
        whole: whether these are all versions, so that others are gone.
    """
    rungs = {rung.name for rung in ladder.rungs if rung.exclusive}
    here = {v.version: v for v in state.versions}
    standing = {n: ladder.standing(v.stage, v.aliases, v.tags).name for n, v in here.items()}
    found: list[Span] = []
    explained: set[int] = set()
    for span in told.spans:
        n = span.version
        if span.rung not in rungs:
            continue
        if span.until is None and (standing.get(n) == span.rung or not (n in here or whole)):
            explained.add(n)
        elif span.until is None:
            left = (here[n].updated_at if n in here else None) or at
            span = replace(span, until=max(left, span.since), known_until=True)
        found.append(span)
    found += [
        Span(state.model, rung, n, here[n].updated_at or at, None, True, "", "", "", 0)
        for n, rung in standing.items()
        if rung in rungs and n not in explained
    ]
    return tuple(sorted(found, key=lambda s: (s.since, s.version)))


def _settled(entry: Entry) -> bool:
    """Whether a change was found to have broken off, and ended by somebody else or later."""
    if entry.action == "imported":
        return entry.details.get("state") in ("interrupted", "undone")
    begun_by = entry.details.get("begun_by") or entry.actor
    return bool(entry.details.get("settled")) or begun_by != entry.actor


def _last_known(entry: Entry, since: datetime, until: datetime) -> datetime | None:
    """When a version was known to stand where the line found it no more; within its span."""
    said = entry.details.get("last_known")
    return min(max(datetime.fromisoformat(said), since), until) if said else None


def _effective(line: Line) -> datetime:
    ended = line.entry.details.get("ended_at") if line.entry.action == "imported" else None
    return datetime.fromisoformat(ended) if ended else line.at
