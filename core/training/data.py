"""Files that training jobs read: kept from an upload, listed, their columns looked at."""

import csv
import re
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as parquet
from pyarrow.lib import ArrowInvalid

from core import formats
from core.errors import InvalidInput, TooLarge
from core.texts import t

ENDINGS = ("csv", "parquet")
_MOST_LISTED = 200
_HEADER_BYTES = 1_000_000


def keep(folder: Path, name: str, content: bytes, cap: int, together: int | None = None) -> Path:
    """Write an uploaded file to ``folder`` and return where.

    The name is made of letters, digits, ``.``, ``_`` and ``-``, with a digest of the content: the
    same file again is the same path, another file of the same name another.

    Args:
        together: bytes that the folder's files may have in all; None: any number.

    Raises:
        InvalidInput: it is neither CSV nor Parquet by its ending, or empty.
        TooLarge: it has more than ``cap`` bytes, or there would be more than ``together``.
    """
    ending = name.rpartition(".")[2].lower()
    if ending not in ENDINGS:
        raise InvalidInput(t("training.data.ending", name=name[:80], endings=", ".join(ENDINGS)))
    if not content:
        raise InvalidInput(t("training.data.empty", name=name[:80]))
    if len(content) > cap:
        raise TooLarge(
            t("training.data.large", name=name[:80], size=formats.size(len(content)),
              cap=formats.size(cap))
        )  # fmt: skip
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name.rpartition(".")[0])[:60].strip(".-") or "data"
    path = folder / f"{stem}-{sha256(content).hexdigest()[:10]}.{ending}"
    folder.mkdir(parents=True, exist_ok=True)
    size = len(content) + sum(f.stat().st_size for f in folder.iterdir() if f != path)
    if together is not None and size > together:
        raise TooLarge(
            t("training.data.together", name=name[:80], size=formats.size(size),
              cap=formats.size(together)),
            t("training.data.together_next"),
        )  # fmt: skip
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
    return path


def files(folder: Path) -> list[Path]:
    """Data files in a folder, newest first, at most 200."""
    if not folder.is_dir():
        return []
    found = [f for f in folder.iterdir() if f.suffix.lower().lstrip(".") in ENDINGS]
    return sorted(found, key=lambda f: f.stat().st_mtime, reverse=True)[:_MOST_LISTED]


def columns(path: Path) -> list[str]:
    """The column names of a CSV or Parquet file; [] where it cannot be read as one.

    Training itself reports what is wrong with a file; this only fills a list to choose from.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return [str(name) for name in parquet.read_schema(path).names]
        with path.open("r", encoding="utf-8-sig", newline="") as file:
            head = file.read(_HEADER_BYTES)
        dialect = csv.Sniffer().sniff(head[:10_000], delimiters=",;\t|")
        return next(csv.reader(head.splitlines()[:1], dialect), [])
    except (OSError, UnicodeDecodeError, csv.Error, ArrowInvalid):
        return []
