"""Which versions have had their day: pure decisions over what was gathered about each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.registry.ladder import Ladder, Rung


class Reason(StrEnum):
    """Why a version may be retired."""

    STALE = "stale"
    """Neither made nor changed for a while."""
    SUPERSEDED = "superseded"
    """It stood on a rung that another holds now, or a newer version stands above
    or in its place."""
    UNCALLED = "uncalled"
    """It is served, and nobody has asked it for a while."""
    UNALIASED = "unaliased"
    """No alias points to it."""


@dataclass(frozen=True)
class Service:
    """An endpoint that serves a version."""

    endpoint: str
    """Its id."""
    known: bool
    """Whether its calls are kept."""
    since: datetime | None
    """When it first was ready."""
    called_at: datetime | None
    """The last call; None where there was none, or none is known."""

    def idle(self, now: datetime, least: timedelta) -> bool:
        """Whether it is certain that nobody has asked it for so long."""
        last = self.called_at or self.since
        return self.known and last is not None and now - last >= least


@dataclass(frozen=True)
class Facts:
    """What is known of one version."""

    model: str
    version: int
    rung: Rung
    aliases: tuple[str, ...]
    changed_at: datetime | None
    """When it was made, or changed last, as MLflow says."""
    held: tuple[str, ...] = ()
    """Rungs for one version on which it stood before, by the record."""
    services: tuple[Service, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A version that may be retired."""

    facts: Facts
    reasons: tuple[Reason, ...]
    by: int | None
    """The newer version that stands above it or in its place; None where none does."""

    @property
    def breaks(self) -> bool:
        """Whether something points to it that would miss it."""
        return bool(self.facts.aliases or self.facts.services)


def candidates(
    found: Iterable[Facts], ladder: Ladder, now: datetime, idle: timedelta
) -> list[Candidate]:
    """The versions with a reason to retire them: those with most reasons first, then the longest
    unchanged. What is retired already is none.

    Args:
        idle: how long without a change, or without a call, is too long.
    """
    facts = [f for f in found if f.rung.name != ladder.retired]
    heights = {rung.name: height for height, rung in enumerate(ladder.rungs)}
    above = _highest(facts, heights)
    made = []
    for one in facts:
        by = _above(one, above.get(one.model, {}), heights)
        reasons = tuple(_reasons(one, by, now, idle))
        if reasons:
            made.append(Candidate(one, reasons, by))
    oldest = datetime.min.replace(tzinfo=now.tzinfo)
    return sorted(
        made,
        key=lambda c: (
            -len(c.reasons), c.facts.changed_at or oldest, c.facts.model, c.facts.version
        ),
    )  # fmt: skip


def _reasons(one: Facts, by: int | None, now: datetime, idle: timedelta) -> Iterable[Reason]:
    if one.changed_at is not None and now - one.changed_at >= idle:
        yield Reason.STALE
    # Who holds a rung for one version is not what came before it, whatever it held earlier.
    if by is not None or (one.held and not one.rung.exclusive):
        yield Reason.SUPERSEDED
    if any(service.idle(now, idle) for service in one.services):
        yield Reason.UNCALLED
    if not one.aliases:
        yield Reason.UNALIASED


def _highest(facts: Iterable[Facts], heights: Mapping[str, int]) -> dict[str, dict[int, int]]:
    """Model → height of a rung → the newest version that stands there."""
    found: dict[str, dict[int, int]] = {}
    for one in facts:
        here = found.setdefault(one.model, {})
        height = heights.get(one.rung.name, 0)
        here[height] = max(here.get(height, 0), one.version)
    return found


def _above(one: Facts, newest: Mapping[int, int], heights: Mapping[str, int]) -> int | None:
    """The newest of the newer versions that stand higher than this one, or beside it on a rung
    that is for one version."""
    least = heights.get(one.rung.name, 0) + (0 if one.rung.exclusive else 1)
    higher = [v for height, v in newest.items() if height >= least and v > one.version]
    return max(higher, default=None)
