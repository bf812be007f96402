"""How often somebody may try to sign in: MLflow itself lets anybody try for ever."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_MOST_KEYS = 10_000


class Attempts:
    """Counts failed tries by a key, such as an account's name or an address.

    Who is told to wait has not tried, so that waiting ends. Nobody who is signed in is concerned.

    Args:
        most: failures within ``seconds`` after which one waits.
        seconds: how long a failure counts.
        clock: seconds that only grow.
    """

    def __init__(
        self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, key: str) -> float:
        """Count a try as failed until ``forgive``: many at once would else all pass.

        Returns:
            0.0, or the seconds to wait; then it was not counted.
        """
        now = self._clock()
        with self._lock:
            times = self._failures.setdefault(key, deque())
            self._failures.move_to_end(key)
            while times and now - times[0] >= self._seconds:
                times.popleft()
            if len(times) >= self._most:
                return self._seconds - (now - times[0])
            times.append(now)
            while len(self._failures) > _MOST_KEYS:
                self._failures.popitem(last=False)
            return 0.0

    def take_back(self, key: str) -> None:
        """The last try of ``key`` did not fail, or was none."""
        with self._lock:
            times = self._failures.get(key)
            if times:
                times.pop()

    def forget(self, key: str) -> None:
        """Forget all tries of ``key``: the right password was given."""
        with self._lock:
            self._failures.pop(key, None)
