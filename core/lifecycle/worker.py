"""The worker: one a home, owner of its jobs and endpoints.

It starts their processes in groups of their own and writes each down with pid and start time, so
that they go on when the worker ends and the next worker knows them again.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256

from core import locks
from core.errors import DeckError
from core.ledger import leases, now
from core.ledger import processes as ledger_processes
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.desk_keeper import AT_ONCE, DeskKeeper
from core.lifecycle.launch import as_asker, require_begin
from core.lifecycle.promotion import register_trained
from core.lifecycle.webhooks import WebhookKeeper
from core.processes import ROOT, reap, this_process
from core.serving import endpoints
from core.serving.keeper import EndpointKeeper
from core.settings import Settings
from core.texts import t
from core.training import jobs, projects
from core.training.keeper import JobKeeper, Launch, project_environment

_log = logging.getLogger("modeldeck.worker")
_TICK = 0.4
_LOCK_TRIES, _LOCK_PAUSE = 10, 0.15  # seconds
_LEASE_SECONDS = 20.0
_DESK_EVERY = 1.0
_WEBHOOKS_EVERY = 2.0
_WEBHOOKS_AT_ONCE = 2
_REST = 1.5  # seconds, after a look that failed


def main(settings: Settings) -> int:
    """Be this home's worker until told to stop; at once done where another is."""
    lock = _take_lock(settings)
    if lock is None:
        print(t("worker.other"), flush=True)  # noqa: T201 - its log
        return 0
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with lock:
        worker: Worker | None = None
        while worker is None and not done.is_set():
            try:
                worker = Worker(open_deck(settings))
            except DeckError as error:  # the database may be back in a moment
                _log.warning("%s", error)
                done.wait(2)
        if worker is not None:
            worker.run(done)
    return 0


def _take_lock(settings: Settings) -> locks.Held | None:
    # Whoever looks whether it is held holds it for a moment.
    for _ in range(_LOCK_TRIES):
        lock = locks.take(settings.home / "worker.lock")
        if lock is not None:
            return lock
        threading.Event().wait(_LOCK_PAUSE)
    return None


class Worker:
    """Looks at every open job and endpoint of its home, again and again.

    Args:
        deck: the parts it works with.
        claims: whether it takes new work; without, it only finishes what it has.
    """

    def __init__(self, deck: Deck, *, claims: bool = True) -> None:
        settings = deck.settings
        self._deck = deck
        self._claims = claims
        self.owner = sha256(f"{settings.node}\n{settings.home}".encode()).hexdigest()[:32]
        self._jobs = JobKeeper(
            settings,
            deck.mlflow,
            deck.ledger,
            lambda job: _launch(deck, job),
            lambda job: register_trained(as_asker(deck, job), job),
        )
        self._endpoints = EndpointKeeper(settings, deck.mlflow, deck.ledger)
        self._desk = DeskKeeper(deck, self.owner)
        self._webhooks = WebhookKeeper(deck)
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="keeper")
        self._last: dict[str, float] = {}
        self._looking: dict[str, Future[None]] = {}
        self._rests_until: dict[str, float] = {}
        self._lease = self._take_lease()
        self._own = ledger_processes.record(
            deck.ledger,
            ledger_processes.WORKER,
            str(settings.home),
            node=settings.node,
            home=settings.home,
            ref=this_process(),
            folder=settings.home / "worker",
        )
        jobs.adopt(deck.ledger, self.owner, self._lease.token)
        endpoints.adopt(deck.ledger, self.owner, self._lease.token)

    def run(self, done: threading.Event) -> None:
        """Work until ``done``, a stop asked for on a page, or the loss of the lease."""
        while not done.is_set():
            try:
                if self._told_to_stop() or not self._renew():
                    break
                self.tick()
            except DeckError as error:
                _log.warning("%s", error)
                done.wait(2)
            done.wait(_TICK)
        self.close()

    def tick(self) -> None:
        """Start one look at everything that is open and is not being looked at."""
        reap()
        ledger, settings = self._deck.ledger, self._deck.settings
        ledger_processes.seen(ledger, self._own.id)
        if self._claims:
            jobs.claim_withdrawn(ledger, self.owner, self._lease.token)
            jobs.claim_abandoned(ledger, self.owner, self._lease.token)
            busy = sum(job.needs_slot for job in jobs.owned(ledger, self.owner))
            for _ in range(settings.job_slots - busy):
                if jobs.claim(ledger, self.owner, self._lease.token) is None:
                    break
            endpoints.claim_all(ledger, self.owner, self._lease.token)
        for job in jobs.owned(ledger, self.owner):
            self._look(job.id, self._look_at_job)
        for endpoint in endpoints.owned(ledger, self.owner):
            self._look(endpoint.id, self._look_at_endpoint)
        if self._claims:
            self._every(_DESK_EVERY, "requests", self._look_at_requests)
            self._every(_WEBHOOKS_EVERY, "webhooks", self._look_at_webhooks)
            for name, seconds in self._desk.timers.items():
                self._every(seconds, name, self._desk.do)

    def _every(self, seconds: float, key: str, step: Callable[[str], None]) -> None:
        if time.monotonic() - self._last.get(key, float("-inf")) > seconds:
            self._last[key] = time.monotonic()
            self._look(key, step)

    def _look_at_requests(self, _key: str) -> None:
        self._look_at_most(AT_ONCE, "check:", self._desk.waiting(), self._desk.check)

    def _look_at_webhooks(self, _key: str) -> None:
        due = self._webhooks.due()
        self._look_at_most(_WEBHOOKS_AT_ONCE, "webhook:", due, self._webhooks.deliver)

    def _look_at_most(
        self, most: int, prefix: str, ids: Sequence[str], step: Callable[[str], None]
    ) -> None:
        """Look at so many of one kind at a time: each may take long, and jobs need threads too."""
        free = most - sum(key.startswith(prefix) for key in list(self._looking))
        fresh = [i for i in ids if f"{prefix}{i}" not in self._looking]
        for one in fresh[: max(0, free)]:
            self._look(f"{prefix}{one}", lambda key: step(key.removeprefix(prefix)))

    def _look_at_job(self, job_id: str) -> None:
        # Read anew: since the tick read it, the look before this one may have changed it.
        job = jobs.get(self._deck.ledger, job_id)
        if job.open:
            self._jobs.look(job)

    def _look_at_endpoint(self, endpoint_id: str) -> None:
        endpoint = endpoints.get(self._deck.ledger, endpoint_id)
        if endpoint.open:
            self._endpoints.look(endpoint)

    def drain(self, seconds: float, by: str) -> dict[str, str]:
        """Stop everything this worker owns and wait for it.

        Args:
            seconds: how long to wait at most.
            by: who asked.

        Returns:
            what could not be settled in that time: id → name.
        """
        ledger = self._deck.ledger
        end = now().timestamp() + seconds
        while True:
            left_jobs = jobs.owned(ledger, self.owner)
            left_endpoints = endpoints.owned(ledger, self.owner)
            for job in left_jobs:
                jobs.request_stop(ledger, job.id, by)
            for endpoint in left_endpoints:
                endpoints.request_stop(ledger, endpoint.id, by)
            left = {j.id: j.title for j in left_jobs} | {e.id: e.name for e in left_endpoints}
            if not left or now().timestamp() > end:
                return left
            self.tick()
            threading.Event().wait(0.2)

    def close(self) -> None:
        """End as a worker; what it started lives on, but a check, which begins anew."""
        self._desk.close()
        self._pool.shutdown(wait=True)
        try:
            ledger_processes.ended(self._deck.ledger, self._own.id, None)
            leases.give_back(self._deck.ledger, self._lease)
        except DeckError as error:
            _log.warning("%s", error)

    def _look(self, key: str, step: Callable[[str], None]) -> None:
        if key in self._looking or time.monotonic() < self._rests_until.get(key, 0.0):
            return
        # A step may wait for MLflow; the others should not wait for it.
        self._looking[key] = future = self._pool.submit(step, key)
        future.add_done_callback(lambda done: self._looked(key, done))

    def _looked(self, key: str, done: Future[None]) -> None:
        error = done.exception()
        if error is None:
            self._rests_until.pop(key, None)
        else:
            foreseen = isinstance(error, DeckError)
            _log.warning("%s: %s", key, error, exc_info=None if foreseen else error)
            self._rests_until[key] = time.monotonic() + _REST
        del self._looking[key]

    def _take_lease(self) -> leases.Lease:
        name = f"worker:{self.owner}"
        while True:
            # The file lock is ours, so whoever holds this lease is dead: its time may run out.
            lease = leases.take(self._deck.ledger, name, self.owner, _LEASE_SECONDS)
            if lease is not None:
                return lease
            leases.expire(self._deck.ledger, name)

    def _renew(self) -> bool:
        return leases.renew(self._deck.ledger, self._lease, _LEASE_SECONDS)

    def _told_to_stop(self) -> bool:
        return ledger_processes.get(self._deck.ledger, self._own.id).stop_requested_at is not None


def _launch(deck: Deck, job: jobs.Job) -> Launch:
    """What to start for a job: a project's entry point, or the making of the sample.

    Raises:
        NotAllowed: whoever asked for it may not have it by now.
    """
    require_begin(as_asker(deck, job), job)
    settings = deck.settings
    env = project_environment(settings, job)
    if job.project == jobs.SAMPLE:
        own = {
            "MODELDECK_HOME": str(settings.home),
            "MODELDECK_LEDGER_URI": settings.ledger_uri,
            "MODELDECK_NODE": settings.node,
        }
        return Launch([sys.executable, "-m", "core", "demo"], ROOT, {**env, **own})
    project = projects.find(job.project)
    # Not the job registers its model but the worker does, once that is known to be allowed.
    params = {**job.params, "register_as": ""}
    return Launch(projects.command(project, params), project.folder, env)
