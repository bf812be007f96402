"""Threads for calls that may hang."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ContextPool(Executor):
    """Runs a bounded number of calls at a time, each in a thread of its own.

    Other than ``ThreadPoolExecutor``, a call sees the context variables of whoever submitted it,
    and the process may end while one hangs.

    Args:
        size: calls that run at a time; the others wait.
        name: what the threads are called.
    """

    def __init__(self, size: int, name: str) -> None:
        self._slots = threading.BoundedSemaphore(size)
        self._name = name
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have ``fn`` called, in a copy of the caller's context."""
        future: Future[T] = Future()
        context = copy_context()

        def work() -> None:
            with self._slots:
                if self._closed:
                    future.cancel()
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(context.run(fn, *args, **kwargs))
                    except BaseException as error:  # noqa: BLE001 - it is whoever waits who gets it
                        future.set_exception(error)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin no call any more; those that run are never waited for."""
        self._closed = True
