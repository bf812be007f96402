"""Launcher of every child: runs a command and writes how it ended.

Run as ``python -I core/child.py ENDING COMMAND…``. It is the leader of the child's process group
and imports next to nothing, so that it costs a few milliseconds and little memory. On SIGTERM it
passes the signal on and waits; the group is killed by whoever asked for the stop if that takes too
long.
"""

import json
import os
import signal
import subprocess
import sys
import time


def main(ending: str, command: list[str]) -> int:
    """Run ``command``, write ``{"exit_code", "at"}`` to ``ending``, return the exit code."""
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        print(f"The command could not be started: {error}", flush=True)
        return _record(ending, 127)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the whole group gets it; outlive the child
    signal.signal(signal.SIGINT, lambda *_: None)
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
