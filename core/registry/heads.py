"""The record's head outside the ledger, so that a tail that was cut off is missed.

A head is ``<count>:<hash>``: how many lines there were, and the hash of the last. It is written
after each action to a tag of the version that a line is about, and to a file beside the ledger, to
which lines are only ever added.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from core.errors import DeckError
from core.ledger import Ledger, chain
from core.ledger.chain import Head, Line
from core.mlflow_api.nouns import ModelVersion, RegisteredModel
from core.registry.desk import Desk
from core.texts import t

TAG = "modeldeck.record"
"""Key of the tag, on a version, or on the registered model where no version is concerned."""

_MOST_AT_ONCE = 200
"""Tags that are written in one go."""
_TORN = re.compile(r"\d+(:[0-9a-f]{0,63})?", re.ASCII)
"""A head that breaks off before its end."""
_log = logging.getLogger("modeldeck.record")


def publish(desk: Desk, *lines: Line | None) -> None:
    """Put the head outside, after the transaction that wrote ``lines``; never fails.

    The file gets the newest of them, each version and model the newest that is about it. What could
    not be written is logged, and made up for by ``republish``. A tag that is not confirmed by the
    record stays as it is: it is evidence.
    """
    written = sorted((line for line in lines if line is not None), key=lambda line: line.number)
    if not written:
        return
    _to_file(desk, _head(written[-1]))
    store = desk.service.address
    mine = [line for line in written if line.entry.model and line.entry.store == store]
    places = {(line.entry.model, line.entry.version): line for line in mine}
    # Somebody waits for this; what is beyond is made up for.
    for line in [*places.values()][-_MOST_AT_ONCE:]:
        _to_tag(desk, line.entry.model, line.entry.version, _head(line))


@contextmanager
def publishing(desk: Desk, model: str | None = None) -> Iterator[None]:
    """Publish what is written within about the store, or about one model; also where it fails.

    Who tells only how it went gives no line of what broke off, or of what was found beside it.
    """
    before = chain.head(desk.ledger)
    try:
        yield
    finally:
        _publish_after(desk, before.count if before else 0, model)


def _publish_after(desk: Desk, number: int, model: str | None) -> None:
    try:
        lines = chain.lines(
            desk.ledger, store=desk.service.address, model=model, after=number, limit=None
        )
    except DeckError as error:  # what was done must not seem to have failed by it
        _log.warning("the record's head is not outside: %s", error.what)
        return
    publish(desk, *lines)


def republish(
    desk: Desk, models: Iterable[RegisteredModel], versions: Iterable[ModelVersion]
) -> int:
    """Write the heads that could not be written at their time; how many were.

    Args:
        models: all of the store, as just read.
        versions: the same of theirs.
    """
    newest = chain.newest_of_each(desk.ledger, desk.service.address)
    made = 0
    places: list[tuple[str, int | None, Mapping[str, str]]] = [
        *((model.name, None, model.tags) for model in models),
        *((version.model, version.version, version.tags) for version in versions),
    ]
    for name, number, tags in places:
        head = newest.get((name, number))
        if head is None or made >= _MOST_AT_ONCE or not _behind(desk, tags.get(TAG), head):
            continue
        made += _to_tag(desk, name, number, head)
    head_now = chain.head(desk.ledger)
    if head_now is not None and head_now.count > _last_in_file(desk):
        _to_file(desk, head_now)
    return made


def gather(desk: Desk) -> tuple[Head, ...]:
    """All heads that are kept outside, for ``verify``.

    Raises:
        DeckError: MLflow cannot be read.
    """
    models = desk.service.registry.models()
    versions = desk.service.registry.all_versions(models)
    return (*in_file(desk.heads, desk.ledger), *_in_tags(models, versions))


def in_file(folder: Path | None, ledger: Ledger) -> tuple[Head, ...]:
    """The heads in the file beside the ledger."""
    file = _file(folder, ledger)
    if file is None or not file.exists():
        return ()
    where = t("record.where.file", name=file.name)
    text = file.read_text("utf-8", "replace")
    # A line may have broken off: whoever wrote it was ended.
    rows = (row for row in text.splitlines() if row.strip())
    return tuple(parse(row, where) for row in rows if not _TORN.fullmatch(row))


def parse(text: str, where: str) -> Head:
    """A head as it was written; count 0 where it is none."""
    count, _, digest = text.strip().partition(":")
    if count.isascii() and count.isdigit() and len(count) < 19 and len(digest) == 64:
        return Head(int(count), digest, where)
    return Head(0, text.strip()[:100], where)


def _in_tags(models: list[RegisteredModel], versions: list[ModelVersion]) -> Iterator[Head]:
    for model in models:
        if TAG in model.tags:
            yield parse(model.tags[TAG], t("record.where.model", model=model.name))
    for v in versions:
        if TAG in v.tags:
            where = t("record.where.version", model=v.model, version=v.version)
            yield parse(v.tags[TAG], where)


def _holder(desk: Desk, model: str, version: int | None) -> RegisteredModel | ModelVersion:
    registry = desk.service.registry
    return registry.model(model) if version is None else registry.version(model, version)


def _to_tag(desk: Desk, model: str, version: int | None, head: Head) -> bool:
    """Write a head to its tag unless what stands there has to stay; whether it was written."""
    registry = desk.service.registry
    try:
        if not _behind(desk, _holder(desk, model, version).tags.get(TAG), head):
            return False
        if version is None:
            registry.set_model_tag(model, TAG, str(head))
        else:
            registry.set_version_tag(model, version, TAG, str(head))
    except DeckError as error:
        # The version may be gone, or MLflow away: the action itself is done and recorded.
        _log.warning("the record's head is not in MLflow: %s", error.what)
        return False
    return True


def _behind(desk: Desk, there: str | None, head: Head) -> bool:
    """Whether ``head`` is newer than what a tag says, and the record confirms what it says."""
    if there is None:
        return True
    old = parse(there, "")
    if old.count == head.count and old.hash == head.hash:
        return False
    confirmed = chain.line(desk.ledger, old.count) if old.count else None
    if confirmed is None or confirmed.hash != old.hash:
        _log.warning("a head in MLflow is not of this record: %s", there[:100])
        return False
    return old.count < head.count


def _head(line: Line) -> Head:
    return Head(line.number, line.hash)


def _file(folder: Path | None, ledger: Ledger) -> Path | None:
    # One home may have served several ledgers, each with a record of its own.
    name = sha256(ledger.address.encode()).hexdigest()[:8]
    return None if folder is None else folder / f"record-{name}.heads"


def _to_file(desk: Desk, head: Head) -> None:
    file = _file(desk.heads, desk.ledger)
    if file is None:
        return
    try:
        # One short write at the end of the file: processes that write at once do not mix.
        number = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            length = os.fstat(number).st_size
            torn = length > 0 and os.pread(number, 1, length - 1) != b"\n"
            before = "\n" if torn else ""  # whoever wrote the last line was ended
            os.write(number, f"{before}{head}\n".encode())
        finally:
            os.close(number)
    except OSError as error:
        _log.warning("the record's head is not in %s: %s", file.name, error)


def _last_in_file(desk: Desk) -> int:
    return max((head.count for head in in_file(desk.heads, desk.ledger)), default=0)
