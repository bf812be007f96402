"""Waiting for something to become true, instead of sleeping and hoping."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(
    predicate: Callable[[], Found], seconds: float = 30.0, what: str = "", *, every: float = 0.05
) -> Found:
    """Ask ``predicate`` every ``every`` seconds until it answers something true, and return that.

    ``seconds`` is a limit for a thing that never comes; a slow machine only takes longer.

    Raises:
        AssertionError: nothing true came within ``seconds``; names ``what`` and the last answer.
    """
    pause = threading.Event()
    end = time.monotonic() + seconds
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= end:
            name = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"waited {seconds:g} s in vain for {name}; last: {answer!r}")
        pause.wait(every)
