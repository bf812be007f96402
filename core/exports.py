"""Tables as files, with cells that a spreadsheet program shows and does not carry out."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """A CSV file (UTF-8 with a byte order mark, for spreadsheet programs), header first."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([cell(name) for name in columns])
    for row in rows:
        writer.writerow([cell(row.get(name)) for name in columns])
    return out.getvalue().encode("utf-8-sig")


def cell(value: object) -> object:
    """A cell's value: text that a spreadsheet program would take for a formula gets a ``'``.

    Numbers stay numbers: a negative one is no formula.
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_RISKY):
        return f"'{value}"
    return value
