"""Who stood on a rung before those who stand there now."""

from core.ledger import Ledger
from core.registry import known
from core.registry.ladder import Ladder, Rung
from core.registry.plan import ModelState, VersionState
from core.registry.timeline import Span, Timeline


def earlier_holder(
    ledger: Ledger, store: str, told: Timeline, state: ModelState, rung: Rung, ladder: Ladder
) -> int | None:
    """The version that held ``rung`` last before the present holder, and is still the same.

    What came there without Modeldeck is passed over for the one before it, for nobody decided on
    it, and a way back is stopped by no gate; so is what was deleted since, or whose source is
    another now. None where the record knows none.

    Args:
        told: the model's timeline (``timeline.timeline``).
        state: where its versions stand now.
    """
    here = {version.version: version for version in state.versions}
    held = [span for span in told.spans if span.rung == rung.name and not span.outside]
    for span in sorted(held, key=_left, reverse=True):
        found = here.get(span.version)
        if found is None or not _is_the_same(told, found, span):
            continue
        if ladder.standing(found.stage, found.aliases, found.tags) == rung:
            continue
        source = known.source(ledger, store, state.model, span.version)
        if source in (None, found.source):
            return span.version
    return None


def _left(span: Span) -> tuple[bool, float, int]:
    """For the order in which they left; whoever stands there still by the record left last."""
    return (span.until is None, span.until.timestamp() if span.until else 0, span.number)


def _is_the_same(told: Timeline, version: VersionState, span: Span) -> bool:
    """Whether a version is the one that the span tells of: a model that was deleted and made again
    counts its versions from 1 again."""
    replaced = told.replaced.get(span.version, 0) > span.number
    return not replaced and (version.created_at is None or version.created_at <= span.since)
