"""Every process that Modeldeck started: which there are, and their end."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import psutil

from core import locks
from core.errors import Busy, DeckError
from core.ledger import Ledger, now
from core.ledger import processes as ledger_processes
from core.ledger.processes import Process
from core.lifecycle.deck import Deck
from core.lifecycle.launch import may_stop, require_administrator, stop_endpoint, stop_job
from core.lifecycle.worker import Worker
from core.processes import alive, read_ending
from core.serving import endpoints
from core.texts import t
from core.training import jobs

_PATIENCE = 12.0
_FORGOTTEN_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Running:
    """A process as a page shows it."""

    process: Process
    title: str
    """What it does, in words; outside text."""
    here: bool
    """Whether it runs on this machine."""
    alive: bool | None
    """Whether it lives; None where that cannot be seen from here."""
    stoppable: bool
    """Whether the person may stop it."""
    memory: int | None
    """Resident bytes of its whole group; None where that cannot be seen from here."""


def overview(deck: Deck) -> list[Running]:
    """All processes without a recorded end.

    Page servers and workers that are gone are written off: of this machine at once, of another one
    where nothing has been seen of them for ten minutes.
    """
    found = []
    for process in ledger_processes.running(deck.ledger):
        here = process.node == deck.settings.node
        lives = alive(process.ref) if here else None
        gone = lives is False or (not here and now() - process.seen_at > _FORGOTTEN_AFTER)
        if gone and process.kind in (ledger_processes.PAGE_SERVER, ledger_processes.WORKER):
            # Nobody settles these: they were killed. Jobs and endpoints are the worker's to settle.
            ending = read_ending(process.ending) if here else None
            ledger_processes.ended(deck.ledger, process.id, ending)
            continue
        title, owner = _subject(deck.ledger, process)
        memory = _memory(process) if lives else None
        found.append(Running(process, title, here, lives, may_stop(deck, owner), memory))
    return found


def stop(deck: Deck, process: Process) -> None:
    """End one process: a job or endpoint through the worker, the others by signal.

    Raises:
        NotAllowed: it is somebody else's, or Modeldeck's own and the person no administrator.
        Busy: it runs on another machine, whose own page or worker has to end it.
    """
    by = deck.actor.name
    if process.kind == ledger_processes.JOB:
        stop_job(deck, process.subject)
        return
    if process.kind == ledger_processes.ENDPOINT:
        stop_endpoint(deck, process.subject)
        return
    require_administrator(deck, t("permissions.process"))
    if process.kind == ledger_processes.WORKER:
        ledger_processes.request_stop(deck.ledger, process.id, by)
    elif process.node != deck.settings.node:
        raise Busy(t("processes.elsewhere", node=process.node), t("processes.elsewhere_next"))
    elif alive(process.ref):
        ledger_processes.request_stop(deck.ledger, process.id, by)
        os.kill(process.ref.pid, signal.SIGINT)


def stop_all(deck: Deck, say: Callable[[str], None]) -> bool:
    """End everything of this home on this machine: page servers, worker, jobs, endpoints.

    The page servers go first, for they would start the worker again; then the worker, whose part
    is taken over here so that every job and its run get their true end.

    Args:
        say: takes a line for each thing that ended.

    Returns:
        whether nothing is left.
    """
    home, node = str(deck.settings.home), deck.settings.node
    clean = True
    for kind in (ledger_processes.PAGE_SERVER, ledger_processes.WORKER):
        for process in ledger_processes.running(deck.ledger, node=node, kind=kind):
            if process.home == home and process.ref.pid != os.getpid():
                clean &= _end(deck.ledger, process, say)
    lock = _wait_for_lock(deck)
    if lock is None:
        say(t("processes.terminal.worker_stays"))
        return False
    with lock:
        worker = Worker(deck, claims=False)
        try:
            left = worker.drain(_PATIENCE * 2, deck.actor.name)
        finally:
            worker.close()
    running = ledger_processes.running(deck.ledger, node=node)
    living = {process.subject for process in running if alive(process.ref)}
    for subject, name in left.items():
        say(t(f"processes.terminal.{'left' if subject in living else 'unsettled'}", name=name))
    return clean and living.isdisjoint(left)


def _end(ledger: Ledger, process: Process, say: Callable[[str], None]) -> bool:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if alive(process.ref):
            os.kill(process.ref.pid, number)
        if _until(lambda: not alive(process.ref), _PATIENCE):
            break
    gone = not alive(process.ref)
    if gone:
        ledger_processes.ended(ledger, process.id, read_ending(process.ending))
    say(
        t(
            "processes.terminal.ended" if gone else "processes.terminal.lives",
            kind=process.kind,
            pid=process.ref.pid,
        )
    )
    return gone


def _wait_for_lock(deck: Deck) -> locks.Held | None:
    path = deck.settings.home / "worker.lock"
    held: list[locks.Held] = []

    def taken() -> bool:
        file = locks.take(path)
        if file is not None:
            held.append(file)
        return file is not None

    return held[0] if _until(taken, _PATIENCE) else None


def _until(done: Callable[[], bool], seconds: float) -> bool:
    end = now().timestamp() + seconds
    while now().timestamp() < end:
        if done():
            return True
        threading.Event().wait(0.1)
    return done()


def _subject(ledger: Ledger, process: Process) -> tuple[str, str]:
    """What a process does, in words, and who asked for it; "" where Modeldeck itself did."""
    try:
        if process.kind == ledger_processes.JOB:
            job = jobs.get(ledger, process.subject)
            return job.title, job.requested_by
        if process.kind == ledger_processes.ENDPOINT:
            served = endpoints.get(ledger, process.subject)
            return served.name, served.requested_by
    except DeckError:
        return process.subject, ""
    return process.subject, ""


def _memory(process: Process) -> int | None:
    try:
        leader = psutil.Process(process.ref.pid)
        return sum(p.memory_info().rss for p in (leader, *leader.children(recursive=True)))
    except psutil.NoSuchProcess:
        return None


def worker_runs(deck: Deck) -> bool:
    """Whether any worker has been seen within the last ten seconds."""
    workers = ledger_processes.running(deck.ledger, kind=ledger_processes.WORKER)
    return any((now() - w.seen_at).total_seconds() < 10 for w in workers)
