"""Launcher of every child: runs a command and writes how it ended.

Run as ``python -I core/child.py ENDING COMMAND…``. It is the leader of the child's process group
and imports next to nothing, so that it costs a few milliseconds and little memory. A SIGTERM is
sent to the whole group; it waits for the command to end, and whoever asked for the stop kills the
group if that takes too long.
"""

import json
import os
import signal
import subprocess
import sys
import time


def main(ending: str, command: list[str]) -> int:
    """Run ``command``, write ``{"exit_code", "at"}`` to ``ending``, return the exit code."""
    # The whole group gets a stop: outlive the child, from its first moment. It inherits no handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        print(f"The command could not be started: {error}", flush=True)
        return _record(ending, 127)
    return _record(ending, child.wait())


def _record(ending: str, code: int) -> int:
    part = f"{ending}.part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump({"exit_code": code, "at": time.time()}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, ending)
    return code if 0 <= code < 256 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
