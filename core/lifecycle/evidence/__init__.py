"""Gathering the evidence on which a promotion is decided.

Everything is read with Modeldeck's service account: evidence is the same whoever looks. A part that
cannot be had is left out and ``missing`` says why; a server that does not answer is another thing:
that rises, so that the check is made again and nothing is judged on half of it.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from core import formats
from core.errors import DeckError, NotFound
from core.ledger import now
from core.lifecycle.deck import Deck
from core.lifecycle.evidence.pins import pins
from core.lifecycle.evidence.replicates import MOST_RUNS, Replicates, replicates
from core.lifecycle.evidence.sides import side
from core.lifecycle.example import Limits, answer
from core.mlflow_api.nouns import ArtifactFile, ModelInfo, ModelVersion, Run
from core.registry.card import read_card
from core.registry.digest import CONTENT, LISTING, MOST_FILES, Digest, digest, of_folder
from core.registry.gates.evidence import Answered, Evidence, Side
from core.registry.plan import ModelState
from core.texts import t

T = TypeVar("T")
_log = logging.getLogger("modeldeck.worker")

MB = 1_000_000


class Stopped(Exception):
    """The check is not wanted any more; no words: nobody is told."""


@dataclass(frozen=True)
class Work:
    """How a check is done."""

    folder: Path
    """For what is fetched; it is removed at the end."""
    mark: str
    """What a child process is known by."""
    say: Callable[[str], object] = lambda _: None
    """Takes what is being done, in words."""
    check: Callable[[], object] = lambda: None
    """Called now and then; it ends the work by raising ``Stopped``."""


@dataclass
class _Found:
    """What could not be had, and what is not all there is."""

    missing: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def part(self, name: str, call: Callable[[], T]) -> T | None:
        """What ``call`` gives; None where it fails for good, and why."""
        try:
            return call()
        except DeckError as error:
            if error.retryable:
                raise
            self.missing[name] = error.what
        except Stopped:
            raise
        except Exception:  # noqa: BLE001 - whatever an artifact store's client raises
            _log.exception("evidence: %s", name)
            self.missing[name] = t("evidence.missing.unreadable")
        return None


def gather(
    deck: Deck,
    model: str,
    number: int,
    rung: str,
    needs: frozenset[str] | None = None,
    *,
    work: Work,
    known: Evidence | None = None,
) -> tuple[Evidence, ModelState]:
    """What is known of a version and of the one it would replace, and where all versions stand.

    Args:
        needs: parts of the evidence that are asked for; only ``example`` is left out where it is
            not among them (it runs the model). None: all.
        known: what was gathered when the change was asked for; then the artifacts are only
            compared with it, up to the size that the settings name, and no model is run.

    Raises:
        NotFound: there is no such model or version.
        DeckError: a server does not answer.
    """
    registry, ladder = deck.service.registry, deck.rules.ladder
    registered = registry.model(model)
    versions = {v.version: v for v in registry.versions(model)}
    if number not in versions:
        raise NotFound(t("registry.no_version", model=model, version=number))
    state = ModelState.of(model, versions.values())
    held = holder(state, number, rung, deck)
    found = _Found()
    challenger, repeated = _side(deck, versions[number], found)
    present = _holder(deck, versions[held], found) if held is not None else None
    if repeated is not None and not repeated.complete:
        found.notes["replicates"] = t("evidence.notes.replicates_cut", n=MOST_RUNS)
    made, example = _artifacts(deck, versions[number], challenger, needs, found, work, known)
    if made is not None and made.of == LISTING:
        most = deck.settings.model_mb if known is None else deck.settings.digest_mb
        found.notes["digest"] = t(
            "evidence.notes.digest_listing",
            size=formats.size(made.bytes),
            most=formats.size(most * MB),
        )
    if challenger.requirements is None:
        found.missing.setdefault("pins", t("evidence.missing.no_requirements"))
    evidence = Evidence(
        model=model,
        rung=ladder.rung(rung).name,
        at=now(),
        challenger=challenger,
        holder=present,
        card=dict(read_card(registered)),
        example=example,
        pins=None
        if challenger.requirements is None
        else pins(
            challenger.requirements,
            challenger.python or "",
            present.requirements if present else None,
        ),
        digest=made.value if made else "",
        digest_of=made.of if made else "",
        listing=made.listing if made else "",
        compared="" if known is None or made is None else made.of,
        notes=found.notes,
        missing=found.missing,
    )
    return evidence, state


def holder(state: ModelState, number: int, rung_name: str, deck: Deck) -> int | None:
    """The version that ``number`` would be compared with: who stands on the rung, of several the
    one with the rung's alias, else the newest. None where nobody does, or many may."""
    ladder = deck.rules.ladder
    rung = ladder.rung(rung_name)
    others = [n for n in state.on(rung, ladder) if n != number]
    if not rung.exclusive or not others:
        return None
    carrier = state.carrier(rung.alias)
    return carrier if carrier in others else max(others)


def _holder(deck: Deck, version: ModelVersion, found: _Found) -> Side:
    of_holder = _Found()
    present, _ = _side(deck, version, of_holder)
    found.missing |= {f"holder.{part}": why for part, why in of_holder.missing.items()}
    return present


def _side(deck: Deck, version: ModelVersion, found: _Found) -> tuple[Side, Replicates | None]:
    service = deck.service
    run: Run | None = None
    repeated = logged = None
    if version.run_id is None:
        found.missing["run"] = t("evidence.missing.run")
    else:
        run_id = version.run_id
        run = found.part("run", lambda: service.tracking.run(run_id))
    if run is not None:
        present = run
        repeated = found.part("replicates", lambda: replicates(service, present))
    elif version.logged_model_id is not None:
        model_id = version.logged_model_id
        logged = found.part("run", lambda: service.tracking.logged_model(model_id))
    uri = found.part("files", lambda: service.artifacts.model_uri(version))
    files: tuple[ArtifactFile, ...] | None = None
    info: ModelInfo | None = None
    if uri is not None:
        files = found.part("files", lambda: service.artifacts.walk(uri, MOST_FILES))
        info = found.part("signature", lambda: service.artifacts.model_info(uri))
    if info is None:
        found.missing["pins"] = found.missing.get("signature") or found.missing["files"]
    return side(version, run, logged, repeated, info, files or ()), repeated


def _artifacts(
    deck: Deck,
    version: ModelVersion,
    challenger: Side,
    needs: frozenset[str] | None,
    found: _Found,
    work: Work,
    known: Evidence | None,
) -> tuple[Digest | None, Answered | None]:
    """The digest, and the model's answer where it is asked for: of the very files that were
    hashed."""
    if known is not None:
        return _again(deck, version, found, work, known)
    most, size = deck.settings.model_mb * MB, challenger.bytes or 0
    wanted = needs is None or "example" in needs
    if not wanted or size > most:
        if wanted:
            found.missing["example"] = t(
                "evidence.missing.example_too_large",
                size=formats.size(size),
                most=formats.size(most),
            )
        return found.part("digest", lambda: _hash(deck, version, most, work)), None
    target = work.folder / "model"
    shutil.rmtree(work.folder, ignore_errors=True)
    try:
        work.say(t("evidence.fetching", done=formats.size(size)))
        made = found.part("digest", lambda: _fetch(deck, version, target, most, work))
        if made is None:
            found.missing["example"] = found.missing["digest"]
            return None, None
        work.say(t("evidence.answering"))
        limits = Limits(deck.settings.example_seconds, deck.settings.example_mb * MB)
        return made, answer(target, work.mark, limits, work.check)
    finally:
        shutil.rmtree(work.folder, ignore_errors=True)


def _fetch(deck: Deck, version: ModelVersion, target: Path, most: int, work: Work) -> Digest:
    artifacts = deck.service.artifacts
    artifacts.download(artifacts.model_uri(version), target, most, work.check)
    return of_folder(target, work.check)


def _hash(deck: Deck, version: ModelVersion, most: int, work: Work) -> Digest:
    work.say(t("evidence.digesting"))
    work.folder.mkdir(parents=True, exist_ok=True)
    try:
        return digest(deck.service, version, most, work.check, work.folder)
    finally:
        shutil.rmtree(work.folder, ignore_errors=True)


def _again(
    deck: Deck, version: ModelVersion, found: _Found, work: Work, known: Evidence
) -> tuple[Digest | None, Answered | None]:
    made = found.part("digest", lambda: _hash(deck, version, deck.settings.digest_mb * MB, work))
    same = made is not None and made.value == (
        known.digest if made.of == known.digest_of == CONTENT else known.listing
    )
    if known.example is None:
        if "example" in known.missing:
            found.missing["example"] = known.missing["example"]
    elif not same:
        found.missing["example"] = t("evidence.missing.example_unchecked")
    return made, known.example if same else None
