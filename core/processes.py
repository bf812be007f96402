"""Processes of this machine: start one in a group of its own, know it again, end it.

A process is known by its pid together with its start time: a pid alone may since belong to
somebody else. Every child runs under ``core.child``, which writes how it ended to a file, so that
whoever adopts it later learns the exit code too.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from core.logs import redact

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``core``."""

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
              "REQUESTS_CA_BUNDLE", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")  # fmt: skip


@dataclass(frozen=True)
class ProcessRef:
    """A process of this machine, told from any later one with the same pid."""

    pid: int
    started: float
    """Start time in seconds as the operating system counts: since the machine started (Linux) or
    since the epoch."""


@dataclass(frozen=True)
class Ending:
    """How a child ended."""

    exit_code: int
    """The exit code; minus the signal's number where a signal ended it."""
    at: datetime
    """When, aware, in UTC."""


_started: list[subprocess.Popen[bytes]] = []
CHILD_MARK = "_MODELDECK_CHILD"
_GRACE = timedelta(seconds=8)
_SAME_START = 0.05  # seconds; Linux counts in hundredths


def clean_environment(extra: Mapping[str, str], *, child_of: str) -> dict[str, str]:
    """An environment for a child: what any program needs, and ``extra``; no credentials.

    Args:
        child_of: the id of the row that the child belongs to, by which ``find_child`` knows it.
    """
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The interpreter's own folder first: entry points call `python` and find this environment's.
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    env["PYTHONUNBUFFERED"] = "1"
    env[CHILD_MARK] = child_of
    return {**env, **extra}


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    ending: Path,
) -> ProcessRef:
    """Start ``command`` (an argument list, no shell) in a process group of its own.

    Args:
        command: the program and its arguments.
        env: the child's whole environment.
        cwd: the folder it stands in.
        log: file that takes its standard output and error, appended.
        ending: file that ``read_ending`` reads once it has ended.

    Raises:
        OSError: the launcher cannot be started.
    """
    reap()
    log.parent.mkdir(parents=True, exist_ok=True)
    ending.unlink(missing_ok=True)
    launcher = [sys.executable, "-I", str(ROOT / "core" / "child.py"), str(ending), *command]
    with log.open("ab") as out:
        # A daemon's double life is not needed: the group outlives us, and init reaps it then.
        child = subprocess.Popen(
            launcher, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True, close_fds=True,
        )  # fmt: skip
    _started.append(child)
    return ProcessRef(child.pid, _start_time(child.pid) or 0.0)


def alive(ref: ProcessRef) -> bool:
    """Whether exactly this process still runs (a zombie does not)."""
    started = _start_time(ref.pid)
    if started is None or abs(started - ref.started) > _SAME_START:
        return False
    try:
        return psutil.Process(ref.pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def read_ending(path: Path) -> Ending | None:
    """How a child ended, as its launcher wrote it; None where nothing is written (yet)."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return Ending(int(data["exit_code"]), datetime.fromtimestamp(data["at"], UTC))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def find_child(child_of: str) -> ProcessRef | None:
    """The living child with this mark that leads its process group; None where there is none."""
    for pid in _marked(child_of):
        started = _start_time(pid)
        if started is not None and _group(pid) == pid:
            return ProcessRef(pid, started)
    return None


def signal_group(ref: ProcessRef, number: signal.Signals) -> bool:
    """Send a signal to the process's whole group; False where it no longer runs."""
    if not alive(ref):
        return False
    try:
        os.killpg(ref.pid, number)
    except ProcessLookupError:
        return False
    return True


def stop_politely(ref: ProcessRef, asked_at: datetime, *, told: bool) -> None:
    """Tell a process's group to end, and end it where it was told and took too long.

    Args:
        asked_at: when its stop was asked for.
        told: whether an earlier call told it.
    """
    if not told:
        signal_group(ref, signal.SIGTERM)
    elif datetime.now(UTC) - asked_at > _GRACE:
        signal_group(ref, signal.SIGKILL)


def kill_leftovers(ref: ProcessRef, child_of: str) -> None:
    """End what is left of a child that has ended: all that carry its mark, and its whole group.

    The group is ended only where some of it carries the mark: after the machine or the container
    has started again, its number may be that of somebody else's.
    """
    marked = _marked(child_of)
    if any(_group(pid) == ref.pid for pid in marked):
        _send(os.killpg, ref.pid)
    for pid in marked:  # one may have left the group
        _send(os.kill, pid)


def this_process() -> ProcessRef:
    """The process that calls."""
    return ProcessRef(os.getpid(), _start_time(os.getpid()) or 0.0)


def reap() -> None:
    """Collect what ``start`` started and has ended, so that none stays behind as a zombie."""
    for child in list(_started):
        if child.poll() is not None:
            _started.remove(child)


def tail(path: Path, max_bytes: int = 64_000) -> str:
    """The end of a log file as text without credentials; "" where there is none yet."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            length = file.tell()
            file.seek(max(0, length - max_bytes))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    # A cut first line would read like a whole one.
    return redact(text if length <= max_bytes else text.partition("\n")[2])


def _start_time(pid: int) -> float | None:
    """When a process started; None where there is none of that number."""
    try:
        if not psutil.LINUX:
            return psutil.Process(pid).create_time()
        # psutil tells a time of day, which jumps when the clock is set: a child would be taken for
        # a stranger. What follows the program's name in brackets are numbers.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def _marked(child_of: str) -> list[int]:
    """Pids of the living processes that carry this mark; children inherit it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(CHILD_MARK) == child_of:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _send(kill: Callable[[int, int], None], number: int) -> None:
    try:
        kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return
