"""Run the long proofs in full and print their dated result as Markdown: `make soak`.

Progress goes to standard error; the exit code says whether all is as it should be. Parts can be
named: `python -m tests.soak at-once killed identity`.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

from tests.servers import OURS, AccountsServer, MlflowServer, Postgres
from tests.soak import desk, identity, record

READS = 1_000


@dataclass(frozen=True)
class Result:
    """What one proof found."""

    number: int
    """Of the statement that it proves."""
    name: str
    sentence: str
    faults: tuple[str, ...]


Places = dict[str, Callable[[str], desk.Place]]
"""Database → a fresh place there, by a name for its home."""


def at_once(places: Places) -> Iterator[Result]:
    """Several processes promote at once; and the same without the lease, which must go wrong."""
    for name, fresh in places.items():
        found = desk.promote_at_once(fresh("at-once"), desk.ROUNDS, model="at once")
        missing = [] if found.rounds == desk.ROUNDS else ["it ended early"]
        yield Result(1, f"At once, {name}", found.sentence, (*found.faults, *missing))
        control = desk.promote_at_once(
            fresh("control"), desk.ROUNDS, model="control", hold=desk.nobody, until_fault=True
        )
        wrong = [fault for fault in control.faults if "in Production: [" in fault]
        said = wrong[0] if wrong else "nothing went wrong"
        yield Result(
            1, f"Control without the lease, {name}", f"as it must, it goes wrong: {said}",
            () if wrong else ("the control found nothing",),
        )  # fmt: skip


def killed(places: Places) -> Iterator[Result]:
    """A process is killed at every step of a promotion, and what it left is settled."""
    for name, fresh in places.items():
        found = desk.kill_everywhere(fresh("killed"), desk.KILLS, model="killed")
        yield Result(2, f"Killed, {name}", found.sentence, tuple(found.faults))


def identities(_places: Places) -> Iterator[Result]:
    """Two people read through one process at once from a server with accounts."""
    with tempfile.TemporaryDirectory() as folder, AccountsServer(Path(folder)) as server:
        found = identity.interleave(server, READS)
    words = f"{found.reads:,} interleaved reads of two people: {len(found.wrong)} with the other's"
    yield Result(4, "Two identities", f"{words} identity", found.wrong)


def recorded(places: Places) -> Iterator[Result]:
    """Others change MLflow beside us: all of it is found, nobody is wrongly accused."""
    for name, fresh in places.items():
        found = record.compare(fresh("record"), record.ROUNDS, model="recorded", edits=100, cuts=20)
        yield Result(5, f"Record, {name}", found.sentence, tuple(found.faults))


PARTS = {"at-once": at_once, "killed": killed, "identity": identities, "record": recorded}


def main(names: list[str]) -> int:
    """Run the parts that are named, or all; 0 where nothing is wrong."""
    unknown = set(names) - set(PARTS)
    if unknown:
        _tell(f"No such part: {', '.join(sorted(unknown))}. There are {', '.join(PARTS)}.")
        return 2
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    results: list[tuple[Result, float]] = []
    with ExitStack() as stack:
        places = _places(stack)
        for name in names or PARTS:
            began = time.monotonic()
            for result in PARTS[name](places):
                took, began = time.monotonic() - began, time.monotonic()
                results.append((result, took))
                _tell(f"{took:7.0f} s  {result.name}: {result.sentence}")
    sys.stdout.write(_markdown(results) + "\n")
    return 1 if any(result.faults for result, _ in results) else 0


def _tell(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def _places(stack: ExitStack) -> Places:
    """SQLite for both stores; and an MLflow server and the ledger on PostgreSQL."""
    root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modeldeck-soak-")))
    database = stack.enter_context(Postgres())
    folder = root / "mlflow-server"
    server = stack.enter_context(
        MlflowServer(folder, backend_uri=database.fresh_database("mlflow"))
    )

    def sqlite(name: str) -> desk.Place:
        home = root / f"sqlite-{name}"
        home.mkdir()
        return desk.Place({"MODELDECK_HOME": str(home)})

    def postgres(name: str) -> desk.Place:
        home = root / f"postgres-{name}"
        home.mkdir()
        return desk.Place(
            {
                "MODELDECK_HOME": str(home),
                "MLFLOW_TRACKING_URI": server.url,
                "MODELDECK_LEDGER_URI": database.fresh_database(),
            }
        )

    return {"SQLite": sqlite, "PostgreSQL": postgres}


def _versions() -> str:
    return f"Python {platform.python_version()}, MLflow {metadata.version('mlflow')}"


def _markdown(results: list[tuple[Result, float]]) -> str:
    memory = psutil.virtual_memory().total / 2**30
    rows = [
        f"| {r.number} | {r.name} | {'holds' if not r.faults else '**fails**'} | {r.sentence} "
        f"| {took:,.0f} s |"
        for r, took in results
    ]
    faults = [f"- {r.name}: {fault}" for r, _ in results for fault in r.faults[:20]]
    lines = [
        "# Soak",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GB, {_versions()}.",
        "`make soak` made this.",
        "",
        "| | Proof | | What was found | Took |",
        "|---|---|---|---|---|",
        *rows,
        *(["", "## Faults", "", *faults] if faults else []),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
