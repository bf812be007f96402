"""Who held which rung when, told by the record alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

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
    """One version on one rung, or with one alias."""

    model: str
    rung: str
    """"" where the span is that of an alias."""
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
    alias: str = ""
    """The alias that it carried; "" where the span is that of a rung."""

    def holds(self, at: datetime) -> bool:
        """Whether it stood there at a moment, as far as is known."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Timeline:
    """All that the record says of where versions stood."""

    spans: tuple[Span, ...]
    """Of rungs, in the order of the record."""
    since: datetime | None
    """Before this nothing is known; None where nothing is known at all."""
    replaced: Mapping[int, int] = field(default_factory=dict)
    """Version → the last line by which it was found gone or of another source: what stands under
    its number later is something else."""
    aliases: tuple[Span, ...] = ()
    """Which version carried which alias, in the order of the record."""

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


def named(ledger: Ledger, store: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rungs and the models of which the record says that something stood there, by name; those
    that are no longer there among them."""
    rungs: set[str] = set()
    models: set[str] = set()
    for line in chain.lines(ledger, store=store, action=ACTIONS, limit=None):
        places = [*(line.entry.before or {}).values(), *(line.entry.after or {}).values()]
        rungs |= {place["rung"] for place in places}
        models.add(line.entry.model)
    return tuple(sorted(rungs - {""})), tuple(sorted(models - {""}))


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
    told = list(lines)
    replaced: dict[int, int] = {}
    for line in told:
        before, after = line.entry.before or {}, line.entry.after or {}
        for number in (*before, *after):
            if number not in after or line.entry.action == SOURCE:
                replaced[int(number)] = line.number
    of_aliases = (replace(s, rung="", alias=s.rung) for s in _spans(told, _aliases))
    first = _effective(told[0]) if told else None
    return Timeline(tuple(_spans(told, _rung)), first, replaced, tuple(of_aliases))


def _rung(place: Mapping[str, Any]) -> tuple[str, ...]:
    return (place["rung"],)


def _aliases(place: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(place.get("aliases") or ())


def _spans(
    lines: Iterable[Line], names: Callable[[Mapping[str, Any]], tuple[str, ...]]
) -> list[Span]:
    """The spans of what ``names`` finds in the places that versions stood on, under ``rung``."""
    done: list[Span] = []
    standing: dict[int, dict[str, Span]] = {}
    for line in lines:
        entry, at = line.entry, _effective(line)
        before, after = entry.before or {}, entry.after or {}
        found = entry.action in (BASELINE, *UNATTRIBUTED)
        # Of a change that broke off only the end is known: when it was settled.
        later = found or _settled(entry)
        for number in sorted({int(n) for n in (*before, *after)}):
            was, became = before.get(str(number)), after.get(str(number))
            here = names(became) if became else ()
            came_from = names(was) if was else ()
            mine = standing.setdefault(number, {})
            for name in [name for name in mine if name not in here]:
                left = mine.pop(name)
                late = later or name not in came_from
                seen = _last_known(entry, left.since, at) if late else None
                done.append(
                    replace(left, until=max(at, left.since), known_until=late, last_known=seen)
                )
            for name in here:
                if name in mine:
                    continue
                # Brought there by somebody: only where this very line changed it.
                only_found = found or name in came_from
                # Who settles a change that broke off did not move anything.
                by = "" if only_found else entry.details.get("begun_by") or entry.actor
                mine[name] = Span(
                    entry.model, name, number, at, None, only_found or later, by,
                    entry.why, entry.request_id, line.number,
                    outside=entry.action in UNATTRIBUTED,
                )  # fmt: skip
    lasting = (span for mine in standing.values() for span in mine.values())
    return sorted([*done, *lasting], key=lambda s: (s.number, s.version))


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


def aliases_until_now(
    told: Timeline, state: ModelState, ladder: Ladder, at: datetime, *, whole: bool = True
) -> tuple[Span, ...]:
    """Spans of aliases, by their beginning, brought up to what is there. A rung's alias only where
    its version did not stand on that rung: else the rung's own span says the same.

    Args:
        state: where its versions stand at ``at``.
        whole: whether these are all versions, so that others are gone.
    """
    here = {v.version: v for v in state.versions}
    found: list[Span] = []
    explained: set[tuple[int, str]] = set()
    for span in told.aliases:
        n = span.version
        if span.until is None:
            if (n in here and span.alias in here[n].aliases) or not (n in here or whole):
                explained.add((n, span.alias))
            else:  # MLflow keeps no time of an alias
                span = replace(span, until=at, known_until=True)
        found.append(span)
    found += [
        Span(state.model, "", n, at, None, True, "", "", "", 0, alias=alias)
        for n, version in here.items()
        for alias in version.aliases
        if (n, alias) not in explained
    ]
    rungs = {rung.alias: rung.name for rung in ladder.rungs if rung.alias and rung.exclusive}
    stood: dict[tuple[str | None, int], list[Span]] = {}
    for span in until_now(told, state, ladder, at, whole=whole):
        stood.setdefault((span.rung, span.version), []).append(span)
    apart = [
        s
        for s in found
        if not any(_covers(r, s) for r in stood.get((rungs.get(s.alias), s.version), ()))
    ]
    return tuple(sorted(apart, key=lambda s: (s.since, s.version)))


def _covers(one: Span, other: Span) -> bool:
    """Whether one lasted as long as the other, at least."""
    ends = one.until is None or (other.until is not None and other.until <= one.until)
    return one.since <= other.since and ends


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
