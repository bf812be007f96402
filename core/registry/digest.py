"""The digest of a version's artifacts: by it an approval knows what it was given for.

SHA-256 over canonical JSON of the files, sorted by path: ``[path, size, SHA-256]`` each. Where the
artifacts are larger than somebody wants to read again, ``[path, size]`` each: the listing. It finds
a file that came, went, was renamed or changed its size, and not one whose bytes alone changed.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

from core.errors import NotFound
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import ArtifactFile, ModelVersion
from core.settings import without_user_info
from core.texts import t

CONTENT, LISTING = "content", "listing"
MOST_FILES = 20_000

Hashed = tuple[str, int, str]
"""Path, bytes, SHA-256."""


@dataclass(frozen=True)
class Digest:
    """What the artifacts of a version were at one moment."""

    value: str
    """SHA-256, 64 hexadecimal digits."""
    of: str
    """``content``, or ``listing`` where they were too large to be read."""
    listing: str
    """The digest of the listing alone, by which a later listing is compared; as ``value`` where
    that is all there is."""
    files: tuple[tuple[str, int], ...]
    """Path and bytes of each, by path."""

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(size for _, size in self.files)


def digest(
    mlflow: Mlflow,
    version: ModelVersion,
    most_bytes: int,
    check: Callable[[], object] = lambda: None,
    scratch: Path | None = None,
) -> Digest:
    """The digest of a version's artifacts as they are now.

    One file at a time is fetched, hashed and removed.

    Args:
        most_bytes: above it the listing alone is taken; 0: always.
        check: called now and then; what it raises ends the work, and rises.
        scratch: folder for the file that is being hashed; the system's unless given.

    Raises:
        NotFound: there are no files.
        DeckError: MLflow or the artifact store does not answer, or the artifacts lie where nothing
            is read from.
    """
    uri = mlflow.artifacts.model_uri(version)
    files = mlflow.artifacts.walk(uri, MOST_FILES, check)
    if not files:
        raise NotFound(t("evidence.missing.no_files", uri=without_user_info(uri)))
    if sum(file.size or 0 for file in files) > most_bytes or not most_bytes:
        return of_listing(files)
    return of_content(_fetched(mlflow, uri, files, check, scratch))


def of_folder(folder: Path, check: Callable[[], object] = lambda: None) -> Digest:
    """The digest of artifacts that lie in a folder of this machine."""

    def each() -> Iterator[Hashed]:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            check()
            yield _hashed(path.relative_to(folder).as_posix(), path)

    return of_content(each())


def of_listing(files: Iterable[ArtifactFile]) -> Digest:
    """The digest of paths and sizes alone; -1 for a size that the store does not tell."""
    listed = sorted((f.path, -1 if f.size is None else f.size) for f in files)
    value = _canonical(listed)
    return Digest(value, LISTING, value, tuple(listed))


def of_content(hashed: Iterable[Hashed]) -> Digest:
    """The digest of paths, sizes and contents."""
    found = sorted(hashed)
    listed = [(path, size) for path, size, _ in found]
    return Digest(_canonical(found), CONTENT, _canonical(listed), tuple(listed))


def _fetched(
    mlflow: Mlflow,
    uri: str,
    files: Iterable[ArtifactFile],
    check: Callable[[], object],
    scratch: Path | None,
) -> Iterator[Hashed]:
    for file in files:
        with tempfile.TemporaryDirectory(prefix="modeldeck-", dir=scratch) as folder:
            # It may have grown since it was listed: what is fetched is held to what was listed.
            here = mlflow.artifacts.fetch(uri, file.path, Path(folder), file.size, check)
            yield _hashed(file.path, here)


def _hashed(name: str, path: Path) -> Hashed:
    with path.open("rb") as content:
        return name, path.stat().st_size, file_digest(content, "sha256").hexdigest()


def _canonical(files: Iterable[tuple[object, ...]]) -> str:
    text = json.dumps([list(file) for file in files], separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
