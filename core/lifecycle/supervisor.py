"""What the page server does beside drawing pages: it keeps the worker running, and nothing else."""

import logging
import os
import sys
import threading
from collections.abc import Callable

from core.errors import DeckError
from core.ledger import processes as ledger_processes
from core.lifecycle.deck import Deck
from core.lifecycle.launch import require_administrator
from core.lifecycle.running import overview
from core.locks import is_locked
from core.processes import ROOT, start, this_process
from core.settings import Settings
from core.texts import t

_log = logging.getLogger("modeldeck")
_EVERY = 2.0


class Supervisor(threading.Thread):
    """A thread of the page server: opens early what pages need, and keeps a worker running.

    Args:
        open_deck: gives the deck that the pages work with.
    """

    def __init__(self, settings: Settings, open_deck: Callable[[], Deck]) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._settings = settings
        self._open_deck = open_deck
        self._done = threading.Event()
        self._deck: Deck | None = None
        self._own: ledger_processes.Process | None = None

    def run(self) -> None:
        """Look every two seconds until closed."""
        while not self._done.is_set():
            try:
                self._look()
            except (DeckError, OSError) as error:
                # The pages say the same to people; the next look may find it mended.
                _log.warning("%s", error)
            self._done.wait(_EVERY)

    def close(self) -> list[str]:
        """End, and name what still runs.

        Returns:
            lines for the terminal.
        """
        self._done.set()
        self.join(5)
        if self._deck is None:
            return []
        try:
            if self._own is not None:
                ledger_processes.ended(self._deck.ledger, self._own.id, None)
            home = str(self._settings.home)
            left = [one for one in overview(self._deck) if one.alive and one.process.home == home]
        except DeckError as error:
            return [error.what]
        if not left:
            return []
        lines = [t("processes.terminal.still")]
        lines += [f"  {p.process.kind} {p.title} (pid {p.process.ref.pid})" for p in left]
        return [*lines, t("processes.terminal.stop")]

    def _look(self) -> None:
        if self._deck is None:
            deck = self._open_deck()
            self._own = ledger_processes.record(
                deck.ledger,
                ledger_processes.PAGE_SERVER,
                f"{self._settings.host}:{self._settings.port}",
                node=self._settings.node,
                home=self._settings.home,
                ref=this_process(),
                folder=self._settings.home,
            )
            self._deck = deck  # last: what failed before is done again
            if self._settings.worker == "auto":
                self._keep_worker()
            # The first person should not wait for MLflow's import and the store's first opening.
            self._deck.mlflow.tracking.experiments()
        if self._own is not None:
            ledger_processes.seen(self._deck.ledger, self._own.id)
        if self._settings.worker == "auto":
            self._keep_worker()

    def _keep_worker(self) -> None:
        if self._deck is None or is_locked(self._settings.home / "worker.lock"):
            return
        last = ledger_processes.newest(
            self._deck.ledger,
            ledger_processes.WORKER,
            node=self._settings.node,
            home=self._settings.home,
        )
        stopped_at = last.stop_requested_at if last else None
        if stopped_at and self._own and stopped_at > self._own.begun_at:
            return  # somebody stopped it on purpose since this page server began
        start_worker(self._settings)


def start_worker_for(deck: Deck) -> None:
    """``start_worker`` for a person: an administrator's business, as its stop is.

    Raises:
        NotAllowed: the person is no administrator.
    """
    require_administrator(deck, t("permissions.worker"))
    start_worker(deck.settings)


def start_worker(settings: Settings) -> None:
    """Start the worker of this home, on its own; where one runs already it ends at once."""
    folder = settings.home / "worker"
    start(
        [sys.executable, "-m", "core", "worker"],
        env=dict(os.environ),
        cwd=ROOT,
        log=folder / ledger_processes.LOG,
        ending=folder / ledger_processes.ENDING,
    )
