"""The thread that keeps the mirror fresh, and never lets a page wait for long."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from queue import SimpleQueue

import duckdb

from core.errors import DeckError, ServerSlow, ServerUnreachable
from core.mlflow_api import Mlflow
from core.mlflow_api.bulk import Bulk
from core.mlflow_api.bulk_connection import BulkFailed
from core.mlflow_api.tracking import ALL
from core.runs.mirror.client import ClientFeed
from core.runs.mirror.database import DatabaseFeed
from core.runs.mirror.holding import Holding
from core.texts import t

_LOG = logging.getLogger(__name__)

_WATCHED, _ALONE = 2.0, 30.0
"""Seconds between two looks at MLflow, while pages look and while nobody does."""
_LOOK_REST = 5.0
"""A look is followed by a pause at least so many times as long as it took."""
_EDITS_REST, _EDITS_REST_ALONE = 9.0, 50.0
"""The same for the search for late edits."""
_FAILED_REST = 10.0
_REGISTERED_EVERY = _NOTED_EVERY = 60.0
_TRIES = 3
_DATABASE_AGAIN = 60.0
_FRESH = 10.0
"""Where the last look is not older, a page that begins need not wait for the next."""
_FIRST_ANSWER = 1.0
_ENDING = 3.0


class Sync:
    """Reads MLflow into a holding: everything once, and from then on what changes.

    Args:
        mlflow: the store.
        holding: where the runs are kept.
        bulk: the store's database, where this process may read it.
        certain: whether ``bulk`` needs no look whether it is this store's.
    """

    def __init__(
        self, mlflow: Mlflow, holding: Holding, bulk: Bulk | None, *, certain: bool
    ) -> None:
        self._mlflow = mlflow
        self._holding = holding
        self._bulk = bulk
        self._certain = certain
        self.feed: ClientFeed | DatabaseFeed = (
            ClientFeed(mlflow, holding) if bulk is None else DatabaseFeed(bulk, holding)
        )
        noted = holding.fact("at")
        self.at = datetime.fromisoformat(noted) if noted else None
        """When MLflow was last looked at, in this process or the one before."""
        self._noted_at = 0.0
        self.notice = ""
        self.reading = False
        self._opened = False
        self._bulk_failures = 0
        self._bulk_left_at = 0.0
        self._registered_at = -_REGISTERED_EVERY
        self._again: SimpleQueue[str] = SimpleQueue()
        # What ``settle`` waits for; guarded by the condition.
        self._moved = threading.Condition()
        self._looked = -_FRESH
        self._steps = 0
        self._failed = False
        self._feeding = threading.Lock()
        """Held while a feed reads: it keeps its place between two calls."""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="run-mirror", daemon=True)

    def start(self) -> None:
        """Begin to read in the background."""
        self._thread.start()

    @property
    def started(self) -> bool:
        """Whether the background thread reads."""
        return self._thread.is_alive()

    @property
    def database(self) -> str | None:
        """The address of the database that is read, once it is known to be this store's."""
        read = self._bulk is not None and isinstance(self.feed, DatabaseFeed) and self._certain
        return self._bulk.uri if read and self._bulk is not None else None

    def fill(self) -> None:
        """Look at everything now, late edits too, and return when it is there.

        Raises:
            DeckError: MLflow does not answer.
            BulkFailed: its database does not.
        """
        had_all = self._holding.complete
        self._look()
        self._read_registered()
        while had_all and self._reconcile():
            pass

    def refresh(self, seconds: float) -> None:
        """Have a look at what is new, running or just ended, and wait for it.

        Where a thread reads, that is told to, and waited for at most ``seconds``; else the look is
        done here and takes what it takes.

        Raises:
            DeckError: MLflow does not answer; only where no thread reads.
            BulkFailed: its database does not; the same.
        """
        if not self.started:
            self._look()
            return
        self._holding.wanted.changed.set()
        self._await(time.monotonic(), seconds, lambda _: False)

    def reread(self, run_ids: Sequence[str]) -> None:
        """Read some runs again now; those that are gone are removed.

        Where that fails they are read with the next look: the write itself was done.
        """
        try:
            self._read_again(list(run_ids))
        except (DeckError, BulkFailed) as error:
            _LOG.info("Runs just written are read later: %s", error)
            for run_id in run_ids:
                self._again.put(run_id)
            self._holding.wanted.changed.set()

    def settle(self, experiment_ids: Sequence[str], seconds: float) -> None:
        """Wait, at most ``seconds``, until a first answer about these experiments is there.

        Of a small store that is all of it. Returns at once where MLflow does not answer.
        """
        if not self.started:
            if not self._holding.complete:
                self.fill()
            return
        self._holding.wanted.add(experiment_ids)
        began = time.monotonic()
        steps = self._steps

        def first_answer(waited: float) -> bool:
            return waited >= _FIRST_ANSWER and self._steps > steps

        self._await(began - _FRESH, seconds, first_answer)

    def close(self) -> None:
        """End the thread, after the call that it is in."""
        self._closed.set()
        self._holding.wanted.changed.set()
        with self._moved:
            self._moved.notify_all()
        if self.started:
            self._thread.join(_ENDING)
        if self._bulk is not None:
            self._bulk.close()

    def _await(self, since: float, seconds: float, enough: Callable[[float], bool]) -> None:
        """Wait for the end of a look that began after ``since``, a failure, or what is ``enough``
        after so many seconds."""
        began = time.monotonic()
        with self._moved:
            while not (self._failed or self._looked > since or self._closed.is_set()):
                waited = time.monotonic() - began
                if waited >= seconds or enough(waited):
                    return
                self._moved.wait(min(seconds - waited, 0.25))

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._round()
            except BulkFailed as error:
                self._fail(error)
                self._on_bulk_failed()
            except (ServerUnreachable, ServerSlow) as error:
                self._fail(error)
                self._await_answer()
            except (DeckError, duckdb.Error) as error:
                self._fail(error)
                if isinstance(error, duckdb.Error):
                    self.notice = t("mirror.notice.broken")
                self._rest(_FAILED_REST)
            except Exception as error:  # noqa: BLE001 - a defect must not end the reading for ever
                _LOG.exception("The runs could not be read")
                self._fail(error)
                self.notice = t("mirror.notice.broken")
                self._rest(_FAILED_REST)

    def _round(self) -> None:
        """One look, and what is done until the next."""
        began = time.monotonic()
        if isinstance(self.feed, ClientFeed):
            if self._mlflow.gateway.is_away:
                self._await_answer()
            if self._bulk is not None and began - self._bulk_left_at > _DATABASE_AGAIN:
                self._bulk_left_at = began
                self.feed = self._database_again(self._bulk)
        self._look()
        if began - self._registered_at > _REGISTERED_EVERY:
            self._read_registered()
            self._registered_at = began
        self._pause(began)

    def _look(self) -> None:
        """One look at MLflow, from its beginning to its end."""
        with self._feeding:
            self._look_alone()

    def _look_alone(self) -> None:
        began, now = time.monotonic(), datetime.now(UTC)
        self._holding.wanted.changed.clear()
        self.reading = True
        try:
            self._open()
            again = [self._again.get() for _ in range(self._again.qsize())]
            try:
                if again:
                    self._read_again(again)
            except BaseException:
                for run_id in again:
                    self._again.put(run_id)
                raise
            for _ in self.feed.look():
                with self._moved:
                    self._steps += 1
                    self._moved.notify_all()
                if self._closed.is_set():
                    return
        finally:
            self.reading = False
        self.at = now
        if began - self._noted_at > _NOTED_EVERY:
            self._holding.note("at", now.isoformat())
            self._noted_at = began
        if isinstance(self.feed, DatabaseFeed):
            self._bulk_failures, self.notice = 0, ""
        if not self._holding.complete:
            self._holding.complete = True
            self._holding.note("complete", "yes")
        with self._moved:
            self._looked, self._failed = began, False
            self._moved.notify_all()
        self._holding.arrange()

    def _open(self) -> None:
        """Have the client open the store, which makes the tables of a new one; and see that the
        database is this store's. Each is done once."""
        if self._opened and (self._certain or isinstance(self.feed, ClientFeed)):
            return
        known = self._mlflow.tracking.experiments(ALL)
        self._opened = True
        if self._bulk is not None and isinstance(self.feed, DatabaseFeed) and not self._certain:
            there = self._bulk.experiments()
            if any(there.get(e.id, "") != e.created_at for e in known):
                self._use_client(t("mirror.notice.other"))
                self._bulk.close()
                self._bulk = None
            self._certain = True

    def _read_again(self, run_ids: list[str]) -> None:
        began = time.monotonic()
        self._holding.write_own(self.feed.read(run_ids), run_ids, began)

    def _read_registered(self) -> None:
        versions = self._mlflow.registry.all_versions()
        self._holding.set_registered(
            sorted({(v.run_id, v.model, v.version) for v in versions if v.run_id})
        )

    def _pause(self, began: float) -> None:
        """Until the next look: find late edits, in a bounded share of the time."""
        watched = bool(self._holding.wanted.now())
        rest = _EDITS_REST if watched else _EDITS_REST_ALONE
        took = time.monotonic() - began
        end = began + max(_WATCHED if watched else _ALONE, _LOOK_REST * took)
        more = True
        while more and time.monotonic() < end and not self._holding.wanted.changed.is_set():
            piece = time.monotonic()
            more = self._reconcile()
            self._rest(min(rest * (time.monotonic() - piece), end - time.monotonic()))
        self._rest(end - time.monotonic())

    def _reconcile(self) -> bool:
        with self._feeding:
            return self.feed.reconcile()

    def _await_answer(self) -> None:
        """Wait until MLflow answers again, without calls that would stand in the way of pages'
        own: the gateway asks small questions by itself."""
        since = time.monotonic()
        while not self._closed.is_set() and not self._mlflow.gateway.answers(since):
            self._closed.wait(_WATCHED if self._holding.wanted.now() else _FAILED_REST)

    def _on_bulk_failed(self) -> None:
        self._bulk_failures += 1
        if self._bulk_failures >= _TRIES:
            self._use_client(t("mirror.notice.client"))
        self._rest(self._bulk_failures)

    def _use_client(self, notice: str) -> None:
        self.feed = ClientFeed(self._mlflow, self._holding)
        self.notice = notice
        self._bulk_left_at = time.monotonic()

    def _database_again(self, bulk: Bulk) -> ClientFeed | DatabaseFeed:
        try:
            bulk.experiments()
        except BulkFailed:
            return self.feed
        return DatabaseFeed(bulk, self._holding)

    def _fail(self, error: Exception) -> None:
        _LOG.warning("The runs could not be read: %s", error)
        with self._moved:
            self._failed = True
            self._moved.notify_all()

    def _rest(self, seconds: float) -> None:
        """Do nothing for a while, or until a page wants something new."""
        if seconds > 0 and not self._closed.is_set():
            self._holding.wanted.changed.wait(seconds)
