"""What pages look at, and whether anybody looks at all."""

import threading
import time
from collections.abc import Iterable

_LOOKED_SECONDS = 60.0


class Wanted:
    """The experiments that pages asked for lately; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[str, float] = {}
        self.changed = threading.Event()
        """Set when an experiment is wanted that was not before; the reader clears it."""

    def add(self, experiment_ids: Iterable[str]) -> None:
        """A page looks at these now."""
        now = time.monotonic()
        with self._lock:
            new = [e for e in experiment_ids if now - self._at.get(e, -1e9) > _LOOKED_SECONDS]
            self._at |= dict.fromkeys(experiment_ids, now)
        if new:
            self.changed.set()

    def now(self) -> frozenset[str]:
        """Those that a page looked at within the last minute."""
        oldest = time.monotonic() - _LOOKED_SECONDS
        with self._lock:
            self._at = {e: at for e, at in self._at.items() if at >= oldest}
            return frozenset(self._at)
