"""Threads for calls that may hang."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from core.errors import Busy
from core.texts import t

P = ParamSpec("P")
T = TypeVar("T")
_MOST_WAITING = 2000


class ContextPool(Executor):
    """Runs a bounded number of calls at a time, in as many threads, which last while there is work.

    Other than ``ThreadPoolExecutor``, a call sees the context variables of whoever submitted it,
    the process may end while one hangs, and so many may wait but no more.

    Args:
        size: calls that run at a time; the others wait.
        name: what the threads are called.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._closed = False
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], object]]] = deque()
        self._threads = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have ``fn`` called, in a copy of the caller's context.

        Raises:
            Busy: too many wait already.
        """
        future: Future[T] = Future()
        context = copy_context()
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting = deque(one for one in self._waiting if not one[0].cancelled())
            if len(self._waiting) >= _MOST_WAITING:
                raise Busy(t("errors.mlflow.crowded"))
            self._waiting.append((future, lambda: context.run(fn, *args, **kwargs)))
            if self._threads < self._size:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._threads += 1
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                future, call = self._waiting.popleft()
            if self._closed:
                future.cancel()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - it is whoever waits who gets it
                    future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin no call any more; those that run are never waited for."""
        self._closed = True
