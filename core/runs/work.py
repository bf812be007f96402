"""Something done to many runs, in threads of its own: how far it is, what failed, what it changed.

It goes on when the person leaves the page, and ends at their stop.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from core.errors import DeckError, ServerSlow, ServerUnreachable
from core.mlflow_api import Mlflow
from core.mlflow_api.pool import ContextPool
from core.runs import edits
from core.runs.edits import Action, Edit

LANES = 4
"""Runs that are changed at a time."""


@dataclass(frozen=True)
class Outcome:
    """What was done to one run."""

    changed: bool
    """Whether anything was: a run may be as it should be already."""
    edit: Edit | None = None
    """What can be taken back."""
    said: str = ""
    """What came of it, plain text."""


@dataclass(frozen=True)
class Failure:
    """A run that could not be changed, and why: plain text."""

    run_id: str
    why: str


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is; all but ``finished`` are numbers of runs, or whether."""

    total: int
    tried: int
    changed: int
    failed: int
    finished: bool
    stopped: bool
    """Whether somebody, or a server that does not answer, ended it early."""


class Work:
    """Does one thing to each run, several at a time, until all are done or it is stopped.

    Args:
        run_ids: the runs, fixed from now on.
        do: does it to the run at an index of ``run_ids``. Its DeckErrors are failures of that run.
        settle: told at the end which runs were tried; a mirror reads them again.
    """

    def __init__(
        self,
        run_ids: Sequence[str],
        do: Callable[[int], Outcome],
        settle: Callable[[Sequence[str]], object] = lambda _: None,
    ) -> None:
        self.run_ids = tuple(run_ids)
        self._do = do
        self._settle = settle
        self._lock = threading.Lock()
        self._next = 0
        self._stop = threading.Event()
        self._finished = threading.Event()
        self._tried: list[str] = []
        self._changed = 0
        self._edits: list[Edit] = []
        self._failures: list[Failure] = []
        self._said: list[tuple[str, str]] = []
        self.defect: BaseException | None = None
        """What was no DeckError; whoever looks raises it."""
        self.unsettled = ""
        """Why ``settle`` failed, plain text: what was written may be seen later only."""

    def start(self) -> "Work":
        """Begin, in threads that see the caller's context variables."""
        pool = ContextPool(LANES, "work")
        self._lanes = LANES
        for _ in range(LANES):
            pool.submit(self._lane).add_done_callback(self._lane_ended)
        return self

    def stop(self) -> None:
        """Begin no further run; those that are being written are finished."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, no longer than that; whether it came."""
        return self._finished.wait(seconds)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        with self._lock:
            return Progress(
                total=len(self.run_ids),
                tried=len(self._tried),
                changed=self._changed,
                failed=len(self._failures),
                finished=self._finished.is_set(),
                stopped=self._stop.is_set() and len(self._tried) < len(self.run_ids),
            )

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What was changed and can be taken back."""
        with self._lock:
            return tuple(self._edits)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What failed."""
        with self._lock:
            return tuple(self._failures)

    @property
    def said(self) -> tuple[tuple[str, str], ...]:
        """Run id and what came of it, where there is something to say."""
        with self._lock:
            return tuple(self._said)

    def _lane(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                index = self._next
                self._next += 1
            if index >= len(self.run_ids):
                return
            self._one(index)

    def _one(self, index: int) -> None:
        run_id = self.run_ids[index]
        try:
            made = self._do(index)
        except DeckError as error:
            with self._lock:
                self._tried.append(run_id)
                self._failures.append(Failure(run_id, f"{error.what} {error.next_step}".strip()))
            if isinstance(error, (ServerUnreachable, ServerSlow)):
                self.stop()  # the others would only wait for the same
            return
        with self._lock:
            self._tried.append(run_id)
            self._changed += made.changed
            if made.edit is not None:
                self._edits.append(made.edit)
            if made.said:
                self._said.append((run_id, made.said))

    def _lane_ended(self, lane: "Future[None]") -> None:
        if lane.exception() is not None:
            self.defect = lane.exception()
            self.stop()
        with self._lock:
            self._lanes -= 1
            last = self._lanes == 0
        if last:
            try:
                self._settle(self._tried)
            except DeckError as error:
                self.unsettled = error.what
            finally:
                self._finished.set()


def changing(
    mlflow: Mlflow,
    run_ids: Sequence[str],
    action: Action,
    settle: Callable[[Sequence[str]], object] = lambda _: None,
) -> Work:
    """Work that does ``action`` to each of ``run_ids``, in their order; not yet started.

    Raises:
        InvalidInput: the action's texts cannot be used.
    """
    ready = edits.checked(action)
    ids = tuple(run_ids)

    def do(index: int) -> Outcome:
        edit = edits.change(mlflow, ids[index], ready, index + 1)
        return Outcome(edit is not None, edit)

    return Work(ids, do, settle)


def undoing(
    mlflow: Mlflow,
    made: Sequence[Edit],
    settle: Callable[[Sequence[str]], object] = lambda _: None,
) -> Work:
    """Work that takes edits back, each only where the value is still the one it wrote."""
    back = tuple(made)

    def do(index: int) -> Outcome:
        return Outcome(True, edits.undo(mlflow, back[index]))

    return Work([edit.run_id for edit in back], do, settle)
