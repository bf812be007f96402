"""Who stood on a rung before those who stand there now."""

from core.ledger import Ledger
from core.registry import known
from core.registry.ladder import Ladder, Rung
from core.registry.plan import ModelState
from core.registry.timeline import Span, Timeline


def earlier_holder(
    ledger: Ledger, store: str, told: Timeline, state: ModelState, rung: Rung, ladder: Ladder
) -> int | None:
    """The version that held ``rung`` last before the present holder, and is still the same.

    Changes made without Modeldeck count, as far as they were found. One that was deleted since, or
    whose source is another now, is passed over for the one before it. None where the record knows
    none.

    Args:
        told: the model's timeline (``timeline.timeline``).
        state: where its versions stand now.
    """
    here = set(state.on(rung, ladder))
    held = [s for s in told.spans if s.rung == rung.name and s.version not in here]
    same = (s for s in sorted(held, key=_left, reverse=True) if _is_the_same(told, state, s))
    for span in same:
        source = known.source(ledger, store, state.model, span.version)
        if source in (None, state.version(span.version).source):
            return span.version
    return None


def _left(span: Span) -> tuple[bool, float, int]:
    """For the order in which they left; whoever stands there still by the record left last."""
    return (span.until is None, span.until.timestamp() if span.until else 0, span.number)


def _is_the_same(told: Timeline, state: ModelState, span: Span) -> bool:
    """Whether a version is the one that the span tells of: a model that was deleted and made again
    counts its versions from 1 again."""
    version = state.find(span.version)
    if version is None or told.replaced.get(span.version, 0) > span.number:
        return False
    return version.created_at is None or version.created_at <= span.since
