"""When an endpoint was asked last: kept by its process as the time of a file in its folder."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

CALLED = "called"
"""The file. Its time is that of the last call, or the epoch where there was none yet."""


@dataclass(frozen=True)
class Calls:
    """What is known of an endpoint's calls."""

    known: bool
    """Whether they are kept, and can be seen from this machine."""
    last: datetime | None
    """The last one; None where there was none, or none is known."""


def calls(folder: Path) -> Calls:
    """What the process of an endpoint kept in its folder."""
    try:
        at = (folder / CALLED).stat().st_mtime
    except OSError:
        return Calls(False, None)
    return Calls(True, datetime.fromtimestamp(at, UTC) if at else None)


def begin(folder: Path) -> None:
    """Keep calls from now on; those that were kept stay."""
    file = folder / CALLED
    if not file.exists():
        file.touch()
        os.utime(file, (0, 0))


def called(folder: Path) -> None:
    """Note a call."""
    with suppress(OSError):  # a prediction does not fail for that; it will be told as not called
        os.utime(folder / CALLED)
