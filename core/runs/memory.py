"""Answers that are remembered while nothing has changed, within a bound of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import pandas as pd

from core.runs.asked import RunTable

T = TypeVar("T")

_LEAST = 1_000
"""Bytes that any answer is reckoned at."""
_A_NAME = 400
"""Bytes of an object in a sequence, roughly."""


class Memory:
    """Remembers the last answer to each question; any thread may use it.

    An answer of another revision is not given any more, and makes room for the new one.

    Args:
        most: bytes, about; what was used longest ago goes first.
    """

    def __init__(self, most: int = 128_000_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Hashable, Any, int]] = OrderedDict()
        self._bytes = 0

    def get(self, question: Hashable, revision: Hashable, answer: Callable[[], T]) -> T:
        """What is remembered, or the answer asked for now; an error rises and is not kept."""
        with self._lock:
            held = self._kept.get(question)
            if held is not None and held[0] == revision:
                self._kept.move_to_end(question)
                return cast(T, held[1])
        made = answer()
        size = bytes_of(made)
        with self._lock:
            self._drop(question)
            self._kept[question] = (revision, made, size)
            self._bytes += size
            while self._bytes > self._most and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))
        return made

    def has(self, question: Hashable, revision: Hashable) -> bool:
        """Whether the answer is there."""
        with self._lock:
            held = self._kept.get(question)
            return held is not None and held[0] == revision

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _drop(self, question: Hashable) -> None:
        self._bytes -= self._kept.pop(question, (None, None, 0))[2]


def bytes_of(answer: object) -> int:
    """About how much memory an answer takes."""
    codes = getattr(answer, "codes", None)  # of groups: a number for each run
    if codes is not None:
        return _LEAST + int(codes.nbytes)
    if isinstance(answer, RunTable):
        answer = answer.frame
    if isinstance(answer, pd.DataFrame):
        return _LEAST + int(answer.memory_usage(deep=False).sum())
    if isinstance(answer, list | tuple):
        return _LEAST + 100 * len(answer)
    columns = getattr(answer, "by_column", None)
    return _LEAST + _A_NAME * len(columns or ())
