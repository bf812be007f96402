"""Reads an SQLite database for another process, over ADBC: Arrow tables go back through a pipe.

Run as ``python -I sqlite_reader.py``. ADBC brings a copy of SQLite of its own, and two copies in
one process undo each other's file locks: POSIX drops all locks that a process holds on a file as
soon as any handle on it is closed (https://www.sqlite.org/howtocorrupt.html, section 2.2). So the
process that writes through MLflow must never open the same file by ADBC.

A line of JSON on standard input is a request: ``{"open": PATH, "busy": MS, "rows": N}`` first, then
``{"sql": …, "values": […]}`` and ``{"rollback": true}``. The answer is a line of JSON, ``{"error":
…}`` or ``{"rows": N}``; where a statement was asked, its table follows as an Arrow stream. When the
input ends, so does this process.
"""

import json
import os
import signal
import sys
from typing import Any
from urllib.parse import quote


def main() -> None:
    """Answer requests until there are no more."""
    # Whoever asks decides when this ends, by closing the pipe; a Ctrl-C is meant for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import pyarrow as pa
    from adbc_driver_manager.dbapi import Connection, Error
    from adbc_driver_sqlite import dbapi

    connection: Connection | None = None
    options: dict[str, str] = {}
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        asked: dict[str, Any] = json.loads(line)
        table: pa.Table | None = None
        try:
            if "open" in asked:
                connection = dbapi.connect(f"file:{quote(asked['open'])}?mode=ro")
                options = {"adbc.sqlite.query.batch_rows": str(asked["rows"])}
                with connection.cursor() as cursor:
                    cursor.execute(f"PRAGMA busy_timeout = {int(asked['busy'])}")
                connection.commit()
            elif connection is None:
                raise ValueError("nothing is open")
            elif "rollback" in asked:
                connection.rollback()
            else:
                with connection.cursor() as cursor:
                    cursor.adbc_statement.set_options(**options)
                    cursor.execute(asked["sql"], asked["values"] or None)
                    table = cursor.fetch_arrow_table()
            answer: dict[str, Any] = {"rows": 0 if table is None else table.num_rows}
        except (Error, OSError, ValueError, pa.ArrowException) as error:
            table, answer = None, {"error": str(error)[:500]}
        out.write(json.dumps(answer).encode() + b"\n")
        if table is not None:
            with pa.ipc.new_stream(out, table.schema) as stream:
                stream.write_table(table)
        out.flush()


if __name__ == "__main__":
    main()
    # Python's own way out takes longer than anything that is left to do here.
    os._exit(0)
