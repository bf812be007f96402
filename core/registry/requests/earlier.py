"""Who stood on a rung before those who stand there now."""

from core.ledger import Ledger
from core.registry.ladder import Ladder, Rung
from core.registry.plan import ModelState
from core.registry.record import record

MOST_ROWS = 1_000
"""Transitions of a model that are looked through, newest first."""


def earlier_holder(
    ledger: Ledger, store: str, state: ModelState, rung: Rung, ladder: Ladder
) -> int | None:
    """The version that stood on ``rung`` before the present holder, and is still there.

    As the record has it: where somebody changed the model without Modeldeck, the last holder that
    Modeldeck knew. None where it knows none.
    """
    here = set(state.on(rung, ladder))
    for row in record(ledger, state.model, MOST_ROWS, store=store):
        for moment in (row.after or {}, row.before):
            for number in sorted(moment, reverse=True):
                stood = moment[number].rung == rung.name
                if stood and number not in here and state.find(number) is not None:
                    return number
    return None
