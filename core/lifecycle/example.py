"""A model's answer to its own input example, from a child process that is watched.

The child has no credentials, a process group of its own and low priority; it is ended with all that
it started when it takes too long, takes too much memory, or has answered. It runs as this user, as
endpoints and training jobs do.
"""

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import psutil

from core import formats
from core.mlflow_api.answering import EXAMPLE
from core.processes import (
    ROOT,
    ProcessRef,
    alive,
    clean_environment,
    find_child,
    kill_leftovers,
    read_ending,
    signal_group,
    start,
)
from core.registry.gates.evidence import Answered
from core.texts import t

_PLAIN_EXAMPLE = "input_example.json"
"""What older versions of MLflow log alone."""
_LOOK_SECONDS = 0.1
_RESULT_BYTES = 64_000
_WORDS = 600


@dataclass(frozen=True)
class Limits:
    """What a model may take."""

    seconds: float
    """For everything: starting, loading, answering twice."""
    memory: int
    """Resident bytes of the child and all that it starts."""


def answer(
    model: Path, mark: str, limits: Limits, check: Callable[[], object] = lambda: None
) -> Answered:
    """Have the model in the folder ``model`` answer its input example.

    Args:
        mark: what the child is known by; one that is left of an earlier try is ended first.
        check: called ten times a second; what it raises ends the child, and rises.
    """
    if not (model / EXAMPLE).is_file():
        key = "other_form" if (model / _PLAIN_EXAMPLE).is_file() else "none"
        return Answered(ok=False, reason=t(f"evidence.example.{key}"))
    left = find_child(mark)
    if left is not None:
        kill_leftovers(left, mark)
    folder = model.parent / "answer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [
        sys.executable, "-m", "core.mlflow_api.answering",
        "--model", str(model), "--result", str(folder / "result.json"),
        "--seconds", str(limits.seconds), "--memory", str(limits.memory),
    ]  # fmt: skip
    ref = start(
        command,
        env=clean_environment({"PYTHONPATH": str(ROOT)}, child_of=mark),
        cwd=folder,
        log=folder / "log",
        ending=folder / "ending.json",
    )
    try:
        most, broke = _watch(ref, folder / "ending.json", limits, check)
    finally:
        signal_group(ref, signal.SIGKILL)
        kill_leftovers(ref, mark)
    if broke:
        return Answered(ok=False, reason=broke, memory=most or None)
    ending = read_ending(folder / "ending.json")
    return _read(folder / "result.json", ending.exit_code if ending else None, most)


def _watch(
    ref: ProcessRef, ending: Path, limits: Limits, check: Callable[[], object]
) -> tuple[int, str]:
    """The most memory seen, and why it was ended; "" where it ended by itself."""
    most, end, pause = 0, time.monotonic() + limits.seconds, Event()
    while alive(ref) and not ending.exists():
        check()
        most = max(most, _resident(ref))
        if most > limits.memory:
            return most, t("evidence.example.memory", most=formats.size(limits.memory))
        if time.monotonic() > end:
            return most, t("evidence.example.time", most=formats.duration(limits.seconds))
        pause.wait(_LOOK_SECONDS)
    return most, ""


def _resident(ref: ProcessRef) -> int:
    try:
        parent = psutil.Process(ref.pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in family:
        try:
            total += process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def _ended(code: int | None) -> str:
    if code is None:  # it was ended from outside, or its launcher with it
        return t("evidence.example.vanished")
    return t("evidence.example.ended", code=code)


def _read(path: Path, code: int | None, most: int) -> Answered:
    """What the child wrote, believed only as far as it has the form agreed upon."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_RESULT_BYTES))
    except FileNotFoundError:
        return Answered(ok=False, reason=_ended(code), memory=most)
    except (ValueError, RecursionError, OSError):
        return Answered(ok=False, reason=t("evidence.example.garbage"), memory=most)
    if not isinstance(found, Mapping) or not isinstance(found.get("ok"), bool):
        return Answered(ok=False, reason=t("evidence.example.garbage"), memory=most)
    claimed = _number(found.get("memory"))
    memory = max(most, int(claimed or 0))
    if not found["ok"]:
        reason = " ".join(str(found.get("reason") or "").split())[:_WORDS]
        return Answered(ok=False, reason=reason or _ended(code), memory=memory)
    rows, load, seconds = (_number(found.get(n)) for n in ("rows", "load_seconds", "seconds"))
    if rows is None or load is None or seconds is None:
        return Answered(ok=False, reason=t("evidence.example.garbage"), memory=most)
    return Answered(
        ok=True, rows=int(rows), seconds=seconds, load_seconds=load, memory=memory or None
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e18 else None  # false for NaN
