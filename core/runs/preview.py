"""What can be shown of an artifact: a picture, a table, JSON, text, … Pure, runs nothing."""

import io
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from core.errors import InvalidInput
from core.texts import t

ROWS = 1_000
"""Rows of a table that are shown."""

COLUMNS = 200
TEXT = 200_000
"""Characters of a text that are shown."""

HTML = 4_000_000
"""Characters of a page that are drawn."""

JSON = 500_000
"""Bytes of JSON that are shown as a tree; more is shown as text."""

_PIXELS = 40_000_000
_UNPACKED = 200_000_000


class Kind(StrEnum):
    """How a file is shown."""

    IMAGE = "image"
    TABLE = "table"
    JSON = "json"
    TEXT = "text"
    HTML = "html"
    AUDIO = "audio"
    VIDEO = "video"
    OTHER = "other"


_KINDS = {
    Kind.IMAGE: ("png", "jpg", "jpeg", "gif", "webp", "bmp"),
    Kind.TABLE: ("csv", "tsv", "parquet"),
    Kind.JSON: ("json",),
    Kind.TEXT: (
        *("txt", "log", "md", "markdown", "rst", "yaml", "yml", "toml", "ini", "cfg", "conf"),
        *("py", "r", "sql", "sh", "xml", "js", "css", "tex", "jsonl"),
    ),
    Kind.HTML: ("html", "htm", "xhtml", "svg"),
    Kind.AUDIO: ("wav", "mp3", "ogg", "oga", "flac", "m4a"),
    Kind.VIDEO: ("mp4", "webm", "ogv", "mov"),
}
_NAMED = {"MLmodel": Kind.TEXT, "MLproject": Kind.TEXT, "Dockerfile": Kind.TEXT}
_LANGUAGES = {
    "md": "markdown",
    "markdown": "markdown",
    "yml": "yaml",
    "htm": "html",
    "xhtml": "html",
    "svg": "xml",
    "MLmodel": "yaml",
    "MLproject": "yaml",
    **{name: name for name in ("yaml", "toml", "ini", "py", "r", "sql", "html", "xml", "css")},
    "sh": "bash",
    "js": "javascript",
}

_MEDIA = {"mp3": "mpeg", "oga": "ogg", "ogv": "ogg", "m4a": "mp4", "mov": "quicktime"}


@dataclass(frozen=True)
class Table:
    """The first rows of a table."""

    frame: pd.DataFrame
    rows: int | None
    """How many there are in the file; None where that was not counted."""
    columns: int
    more: bool
    """Whether the file holds more rows than ``frame``."""


def kind_of(path: str) -> Kind:
    """How the file at ``path`` can be shown, by its name."""
    name = PurePosixPath(path).name
    if name in _NAMED:
        return _NAMED[name]
    ending = _ending(path)
    return next((kind for kind, endings in _KINDS.items() if ending in endings), Kind.OTHER)


def language_of(path: str) -> str | None:
    """The language that a text is highlighted in; None for none."""
    return _LANGUAGES.get(PurePosixPath(path).name) or _LANGUAGES.get(_ending(path))


def media_type_of(path: str) -> str:
    """The media type of a sound or a film, by its name."""
    kind = kind_of(path)
    return f"{kind}/{_MEDIA.get(_ending(path), _ending(path))}"


def as_text(data: bytes, most: int = TEXT) -> tuple[str, int]:
    """The first characters of a text, and how many it has."""
    text = data.decode("utf-8-sig", "replace")
    return text[:most], len(text)


def is_binary(data: bytes) -> bool:
    """Whether bytes are no text: they hold a NUL near their beginning."""
    return b"\x00" in data[:8192]


def as_image(data: bytes) -> bytes:
    """A picture's bytes, once its head was read.

    Raises:
        InvalidInput: it is no picture, or one with too many pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > _PIXELS:
                raise InvalidInput(t("artifacts.too_many_pixels", width=width, height=height))
            image.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise _broken() from error
    except Image.DecompressionBombError as error:
        raise InvalidInput(t("artifacts.too_many_pixels", width="?", height="?")) from error
    return data


def as_json(data: bytes) -> Any:
    """Parsed JSON; NaN and Infinity are kept as MLflow and Python write them.

    Raises:
        InvalidInput: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _broken() from error


def table_in_json(value: Any, rows: int = ROWS) -> Table | None:
    """The table in what ``mlflow.log_table`` writes: {"columns": […], "data": [[…], …]}.

    Args:
        rows: most rows that are read.
    """
    if not (isinstance(value, dict) and {"columns", "data"} <= set(value)):
        return None
    columns, data = value["columns"], value["data"]
    if not (isinstance(columns, list) and isinstance(data, list) and columns):
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        return None
    frame = pd.DataFrame(
        [[_cell(c) for c in row[:COLUMNS]] for row in data[:rows]],
        columns=_unique([str(c) for c in columns[:COLUMNS]]),
    )
    return Table(frame, len(data), len(columns), len(data) > rows)


def as_table(path: str, data: bytes, rows: int = ROWS) -> Table:
    """The first rows of a CSV, TSV or Parquet file.

    Args:
        rows: most rows that are read.

    Raises:
        InvalidInput: it cannot be read as one.
    """
    import pyarrow as pa

    try:
        if _ending(path) == "parquet":
            return _parquet(data, rows)
        separator = "\t" if _ending(path) == "tsv" else ","
        frame = pd.read_csv(
            io.BytesIO(data),
            sep=separator,
            nrows=rows + 1,
            on_bad_lines="skip",
            encoding_errors="replace",
        )
    except (ValueError, OSError, pa.ArrowException, MemoryError) as error:
        raise _broken() from error
    more = len(frame) > rows
    width = frame.shape[1]
    return Table(frame.iloc[:rows, :COLUMNS], None if more else len(frame), width, more)


def _parquet(data: bytes, rows: int) -> Table:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    head = file.metadata
    unpacked = sum(head.row_group(i).total_byte_size for i in range(head.num_row_groups))
    if unpacked > _UNPACKED:
        raise InvalidInput(t("artifacts.too_large_unpacked"))
    names = file.schema_arrow.names[:COLUMNS]
    batch = next(file.iter_batches(batch_size=rows, columns=names), None)
    frame = batch.to_pandas() if batch is not None else pd.DataFrame(columns=names)
    frame = frame.map(_cell) if len(frame) else frame
    return Table(frame, head.num_rows, head.num_columns, head.num_rows > len(frame))


def _cell(value: Any) -> Any:
    """A cell that a table can hold: what is nested is written out."""
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)[:2000]
    return value if pd.api.types.is_scalar(value) else str(value)[:2000]


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return made


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.removeprefix(".").lower()


def _broken() -> InvalidInput:
    return InvalidInput(t("artifacts.broken"), t("artifacts.broken_next"))
