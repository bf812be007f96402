"""A lock on a file: held by one process, given back by the operating system when it ends."""

import fcntl
from pathlib import Path
from typing import IO

Held = IO[str]
"""A lock that is held until the file is closed."""


def take(path: Path) -> Held | None:
    """Take the lock and keep it as long as the returned file is open; None where it is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock now."""
    if not path.exists():
        return False
    file = take(path)
    if file is None:
        return True
    file.close()
    return False
