"""Who held which rung when, told by the record alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from core.ledger import Ledger, chain
from core.ledger.chain import Line
from core.registry.known import BASELINE, UNATTRIBUTED

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
    """The line that says so."""

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

    def holder(self, rung: str, at: datetime) -> tuple[Span, ...]:
        """Who stood on a rung at a moment; several where the rung was held by several."""
        return tuple(s for s in self.spans if s.rung == rung and s.holds(at))


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
    first: datetime | None = None
    for line in lines:
        entry, at = line.entry, _effective(line)
        first = first or at
        before, after = entry.before or {}, entry.after or {}
        for number in sorted({int(n) for n in (*before, *after)}):
            was, there = standing.get(number), after.get(str(number))
            rung = there["rung"] if there else None
            if was is not None and was.rung == rung:
                continue
            if was is not None:
                done.append(replace(was, until=max(at, was.since)))
                del standing[number]
            if rung is not None:
                found = entry.action in (BASELINE, *UNATTRIBUTED)
                # Moved by somebody: only where this very line changed the rung.
                told = before.get(str(number), {}).get("rung") != rung
                standing[number] = Span(
                    entry.model, rung, number, at, None, found or not told,
                    "" if found or not told else entry.actor,
                    entry.why, entry.request_id, line.number,
                )  # fmt: skip
    return Timeline(
        tuple(sorted([*done, *standing.values()], key=lambda s: (s.number, s.version))), first
    )


def _effective(line: Line) -> datetime:
    ended = line.entry.details.get("ended_at") if line.entry.action == "imported" else None
    return datetime.fromisoformat(ended) if ended else line.at
