"""The record's head outside the ledger, so that a tail that was cut off is missed.

A head is ``<count>:<hash>``: how many lines there were, and the hash of the last. It is written
after each line to a tag of the version that the line is about, and to a file beside the ledger, to
which lines are only ever added.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
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
_TORN = re.compile(r"\d+(:[0-9a-f]{0,63})?", re.ASCII)
"""A head that breaks off before its end."""
_log = logging.getLogger("modeldeck.record")


def publish(desk: Desk, line: Line | None) -> None:
    """Put the head outside, after the transaction that wrote ``line``; never fails.

    What could not be written is logged, and made up for by ``republish``. A tag that is not
    confirmed by the record stays as it is: it is evidence.
    """
    if line is None:
        return
    head = Head(line.number, line.hash)
    _to_file(desk, head)
    entry = line.entry
    if not entry.model or entry.store != desk.service.address:
        return
    try:
        tags = _holder(desk, entry.model, entry.version).tags
        _to_tag(desk, entry.model, entry.version, tags.get(TAG), head)
    except DeckError as error:
        # The version may be gone, or MLflow away: the action itself is done and recorded.
        _log.warning("the record's head is not in MLflow: %s", error.what)


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
    places = [
        *((model.name, None, model.tags) for model in models),
        *((version.model, version.version, version.tags) for version in versions),
    ]
    for name, number, tags in places:
        head, text = newest.get((name, number)), tags.get(TAG)
        old = parse(text, "") if text is not None else None
        if head is None or made >= _MOST_AT_ONCE or (old is not None and old.count >= head.count):
            continue
        try:
            _to_tag(desk, name, number, text, head)
            made += 1
        except DeckError as error:
            _log.warning("the record's head is not in MLflow: %s", error.what)
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
    return tuple(parse(row, where) for row in text.splitlines() if not _TORN.fullmatch(row))


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


def _to_tag(desk: Desk, model: str, version: int | None, there: str | None, head: Head) -> None:
    if there is not None:
        old = parse(there, "")
        confirmed = chain.line(desk.ledger, old.count) if old.count else None
        if old.count >= head.count or confirmed is None or confirmed.hash != old.hash:
            if old.count != head.count or old.hash != head.hash:
                _log.warning("the head in MLflow is not of this record: %s v%s", model, version)
            return
    if version is None:
        desk.service.registry.set_model_tag(model, TAG, str(head))
    else:
        desk.service.registry.set_version_tag(model, version, TAG, str(head))


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
