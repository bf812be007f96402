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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``core``."""

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
              "REQUESTS_CA_BUNDLE", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")  # fmt: skip


@dataclass(frozen=True)
class ProcessRef:
    """A process of this machine, told from any later one with the same pid."""

    pid: int
    started: float
    """Start time, seconds since the epoch, as the operating system has it."""


@dataclass(frozen=True)
class Ending:
    """How a child ended."""

    exit_code: int
    """The exit code; minus the signal's number where a signal ended it."""
    at: float
    """Seconds since the epoch."""


CHILD_MARK = "_MODELDECK_CHILD"


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
    log.parent.mkdir(parents=True, exist_ok=True)
    ending.unlink(missing_ok=True)
    launcher = [sys.executable, "-I", str(ROOT / "core" / "child.py"), str(ending), *command]
    with log.open("ab") as out:
        # A daemon's double life is not needed: the group outlives us, and init reaps it then.
        child = subprocess.Popen(
            launcher, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True, close_fds=True,
        )  # fmt: skip
    return ProcessRef(child.pid, _start_time(child.pid) or 0.0)


def alive(ref: ProcessRef) -> bool:
    """Whether exactly this process still runs (a zombie does not)."""
    try:
        process = psutil.Process(ref.pid)
        return (
            abs(process.create_time() - ref.started) < 1.0
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def read_ending(path: Path) -> Ending | None:
    """How a child ended, as its launcher wrote it; None where nothing is written (yet)."""
    try:
        data = json.loads(path.read_text("utf-8"))
        return Ending(int(data["exit_code"]), float(data["at"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def find_child(child_of: str) -> ProcessRef | None:
    """The living child with this mark that leads its process group; None where there is none."""
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get(CHILD_MARK) == child_of
                and os.getpgid(process.pid) == process.pid
            ):
                return ProcessRef(process.pid, process.create_time())
        except (
            psutil.NoSuchProcess,
            psutil.AccessDenied,
            psutil.ZombieProcess,
            ProcessLookupError,
        ):
            continue
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


def group_members(ref: ProcessRef) -> list[int]:
    """Pids of the group that ``ref`` leads, also after the leader itself has ended."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == ref.pid and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


def kill_leftovers(ref: ProcessRef) -> None:
    """End what is left of a group whose leader has ended."""
    if group_members(ref):
        try:
            os.killpg(ref.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def this_process() -> ProcessRef:
    """The process that calls."""
    return ProcessRef(os.getpid(), psutil.Process().create_time())


def reap() -> None:
    """Collect children of ours that have ended, so that none stays behind as a zombie."""
    for child in psutil.Process().children():
        try:
            os.waitpid(child.pid, os.WNOHANG)
        except ChildProcessError:
            continue


def tail(path: Path, max_bytes: int = 64_000) -> str:
    """The end of a log file as text; "" where there is none yet."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            length = file.tell()
            file.seek(max(0, length - max_bytes))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    # A cut first line would read like a whole one.
    return text if length <= max_bytes else text.partition("\n")[2]


def _start_time(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
