"""Which processes Modeldeck started, on which machine, and who asked them to stop."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from core.ledger import Ledger, new_id, now
from core.ledger.schema import processes
from core.processes import Ending, ProcessRef
from core.texts import t

LOG = "log.txt"
ENDING = "ending.json"

PAGE_SERVER = "page server"
WORKER = "worker"
JOB = "job"
ENDPOINT = "endpoint"


@dataclass(frozen=True)
class Process:
    """A process that Modeldeck started."""

    id: str
    kind: str
    """``page server``, ``worker``, ``job`` or ``endpoint``."""
    subject: str
    """What it serves or does; for a job or an endpoint the id of its row."""
    node: str
    home: str
    ref: ProcessRef
    folder: Path
    """Where its log and its ending are written, on its own machine."""
    begun_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    stop_requested_at: datetime | None
    stop_requested_by: str | None

    @property
    def log(self) -> Path:
        """Its standard output and error."""
        return self.folder / LOG

    @property
    def ending(self) -> Path:
        """The file that tells how it ended."""
        return self.folder / ENDING


def record(
    ledger: Ledger, kind: str, subject: str, *, node: str, home: Path, ref: ProcessRef, folder: Path
) -> Process:
    """Write down a process that was just started."""
    row = {
        "id": new_id(),
        "kind": kind,
        "subject": subject,
        "node": node,
        "home": str(home),
        "pid": ref.pid,
        "started": ref.started,
        "folder": str(folder),
        "begun_at": now(),
        "seen_at": now(),
    }
    with ledger.transaction(t("ledger.processes")) as connection:
        connection.execute(processes.insert().values(**row))
    return get(ledger, str(row["id"]))


def get(ledger: Ledger, process_id: str) -> Process:
    """One process by its row's id."""
    with ledger.transaction(t("ledger.processes")) as connection:
        return _process(
            connection.execute(sa.select(processes).where(processes.c.id == process_id)).one()
        )


def running(ledger: Ledger, *, node: str | None = None, kind: str | None = None) -> list[Process]:
    """Processes without a recorded end, oldest first."""
    query = sa.select(processes).where(processes.c.ended_at.is_(None)).order_by("begun_at")
    if node is not None:
        query = query.where(processes.c.node == node)
    if kind is not None:
        query = query.where(processes.c.kind == kind)
    with ledger.transaction(t("ledger.processes")) as connection:
        return [_process(row) for row in connection.execute(query)]


def newest(ledger: Ledger, kind: str, *, node: str, home: Path) -> Process | None:
    """The process of this kind that was started last on a machine and home."""
    query = (
        sa.select(processes)
        .where(processes.c.kind == kind, processes.c.node == node, processes.c.home == str(home))
        .order_by(processes.c.begun_at.desc())
        .limit(1)
    )
    with ledger.transaction(t("ledger.processes")) as connection:
        row = connection.execute(query).first()
    return None if row is None else _process(row)


def seen(ledger: Ledger, process_id: str) -> None:
    """Write down that a process was alive just now."""
    _update(ledger, process_id, seen_at=now())


def ended(ledger: Ledger, process_id: str, ending: Ending | None) -> None:
    """Write down that a process has ended, when and with which exit code where that is known."""
    at, code = (ending.at, ending.exit_code) if ending else (now(), None)
    _update(ledger, process_id, ended_at=at, exit_code=code)


def request_stop(ledger: Ledger, process_id: str, by: str) -> None:
    """Ask a process to stop; whoever owns it does it."""
    _update(ledger, process_id, stop_requested_at=now(), stop_requested_by=by)


def _update(ledger: Ledger, process_id: str, **values: object) -> None:
    with ledger.transaction(t("ledger.processes")) as connection:
        connection.execute(processes.update().where(processes.c.id == process_id).values(**values))


def _process(row: sa.Row[tuple[object, ...]]) -> Process:
    data = dict(row._mapping)
    ref = ProcessRef(data.pop("pid"), data.pop("started"))
    return Process(ref=ref, **{**data, "folder": Path(data["folder"])})
