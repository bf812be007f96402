"""Being alone on a model, without a transaction that stays open."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256

from core.errors import Busy, Conflict
from core.ledger import Ledger, leases
from core.texts import t

LEASE_SECONDS = 20.0
"""Far longer than one write is waited for. Where its reply never came the lease is not given back
but prolonged, for as long as the request may live: it too lands while nobody else writes."""
WAIT_SECONDS = 3.0
_TRY_AGAIN_SECONDS = 0.1
_NAME_LENGTH = 400


@dataclass(frozen=True)
class Alone:
    """Being the only one who changes a model."""

    token: int
    """Grows with every taking of the model's lease."""
    check: Callable[..., None]
    """Holds on to the lease, for longer where what comes next may take longer (``check(seconds)``);
    raises Conflict where it was lost."""
    linger: Callable[[float], None] = lambda _seconds: None
    """Lets the lease run out after so many seconds instead of giving it back at the end: a write
    may still land."""


HoldModel = Callable[[Ledger, str, str, str], AbstractContextManager[Alone]]
"""Makes one alone on a model: the ledger, the store's address, the model, who asks."""


@contextmanager
def model_lease(
    ledger: Ledger,
    store: str,
    model: str,
    holder: str,
    seconds: float = LEASE_SECONDS,
    wait: float = WAIT_SECONDS,
) -> Iterator[Alone]:
    """Be alone on a model for the length of a ``with`` block.

    Args:
        seconds: how long the lease is held on to from each check; also how long others wait in vain
            after a crash.
        wait: how long to wait for somebody else to end.

    Raises:
        Busy: somebody else did not end within ``wait``.
    """
    name, pause, until = lease_name(store, model), threading.Event(), time.monotonic() + wait
    while (lease := leases.take(ledger, name, holder[:200], seconds)) is None:
        if time.monotonic() >= until:
            raise Busy(t("registry.busy", model=model))
        pause.wait(_TRY_AGAIN_SECONDS)

    def check(longer: float = 0.0) -> None:
        if not leases.renew(ledger, lease, max(longer, seconds)):
            raise Conflict(t("registry.lease_lost", model=model), t("registry.look_again"))

    lingers = False

    def linger(longer: float) -> None:
        nonlocal lingers
        lingers = True
        leases.renew(ledger, lease, max(longer, seconds))

    try:
        yield Alone(lease.token, check, linger)
    finally:
        if not lingers:
            leases.give_back(ledger, lease)


def lease_name(store: str, model: str) -> str:
    """What the lease on a model is called in the ledger."""
    name = f"model:{store}:{model}"
    return name if len(name) <= _NAME_LENGTH else f"model:{sha256(name.encode()).hexdigest()}"
