"""Runs as files: CSV, Parquet and LaTeX."""

import io
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from core import formats
from core.exports import cell
from core.runs.columns import ATTRIBUTES, parse
from core.runs.query import RunTable

ALWAYS = tuple(a for a in ATTRIBUTES if a != "deleted")
"""Columns of a file beside those that were chosen."""
LATEX = ("name", "status")
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Behind the end of a row these two would belong to it.
    "[": "{[}",
    "*": "{*}",
    '"': r"\textquotedbl{}",
}
_TABLE = str.maketrans(_SPECIAL)


def arrow(rows: RunTable, columns: Sequence[str]) -> pa.Table:
    """The rows with the columns that every file has, then ``columns``; missing values are null."""
    wanted = [c for c in dict.fromkeys([*ALWAYS, *columns]) if c in rows.frame]
    # Column by column: pandas as a whole would take NaN for missing.
    return pa.table({c: _column(rows.frame[c]) for c in wanted})


def csv(rows: RunTable, columns: Sequence[str]) -> bytes:
    """A CSV file (UTF-8 with a byte order mark) whose cells no spreadsheet program carries out.

    Missing values are empty; NaN is written as such.
    """
    table = arrow(rows, columns)
    made = {str(cell(name)): _safe(table.column(name)) for name in table.column_names}
    out = io.BytesIO()
    out.write("\ufeff".encode())
    pa.csv.write_csv(pa.table(made), out)
    return out.getvalue()


def parquet(rows: RunTable, columns: Sequence[str]) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pa.parquet.write_table(arrow(rows, columns), out, compression="zstd")
    return out.getvalue()


def latex(rows: RunTable, columns: Sequence[str]) -> str:
    """A table for LaTeX with the package booktabs: name, status, then ``columns``."""
    wanted = [c for c in dict.fromkeys([*LATEX, *columns]) if c in rows.frame]
    right = [pd.api.types.is_numeric_dtype(rows.frame[c].dtype) for c in wanted]
    head = " & ".join(escaped(_headline(c)) for c in wanted)
    cells = [[_tex(v) for v in rows.frame[c].astype(object)] for c in wanted]
    lines = [f"{' & '.join(line)} \\\\" for line in zip(*cells, strict=True)]
    return "\n".join(
        [
            "% \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{''.join('r' if r else 'l' for r in right)}}}",
            "\\toprule",
            f"{head} \\\\",
            "\\midrule",
            *lines,
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Outside text for LaTeX, on one line: nothing in it is a command."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(line.split()).translate(_TABLE)


def _headline(column: str) -> str:
    return parse(column).label


def _tex(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return "--"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        if math.isinf(value):
            return r"$\infty$" if value > 0 else r"$-\infty$"
        text = formats.number(value)
        return f"${text}$" if text.startswith("-") else text
    if isinstance(value, pd.Timestamp):
        return escaped(f"{value:%Y-%m-%d %H:%M}")
    return escaped(str(value))


def _column(values: "pd.Series[Any]") -> pa.ChunkedArray | pa.Array:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        plain = pa.array(values.dt.tz_convert(None).to_numpy().astype("datetime64[ms]"))
        return plain.cast(pa.timestamp("ms", "UTC"))
    made = pa.array(values)
    return made.cast(pa.string()) if pa.types.is_large_string(made.type) else made


def _safe(values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_timestamp(values.type):
        return pa.compute.strftime(values, "%Y-%m-%dT%H:%M:%SZ")
    if not pa.types.is_string(values.type):
        return values
    unique = values.unique()
    made = pa.array([None if v is None else cell(v) for v in unique.to_pylist()], pa.string())
    return made.take(pa.compute.index_in(values, unique))
