"""Gathering the evidence on which a promotion is decided.

Everything is read with Modeldeck's service account: evidence is the same whoever looks. A part that
cannot be had is left out and ``missing`` says why; a server that does not answer, a full disk and
the like are another thing: that rises, so that the check is made again and nothing is judged on
half of it.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from core import formats
from core.errors import DeckError, NotFound
from core.ledger import now
from core.lifecycle.deck import Deck
from core.lifecycle.evidence.measured import Measured, measured, some
from core.lifecycle.evidence.pins import pins
from core.lifecycle.evidence.replicates import MOST_RUNS, of_metrics, replicates
from core.lifecycle.evidence.sides import side
from core.lifecycle.example import Limits, answer
from core.mlflow_api.nouns import ArtifactFile, ModelInfo, ModelVersion, Run
from core.registry.card import read_card
from core.registry.digest import CONTENT, LISTING, MOST_FILES, Digest, digest, of_folder
from core.registry.gates.evidence import Answered, Evidence, Pins, Side
from core.registry.plan import ModelState
from core.settings import without_user_info
from core.texts import t

T = TypeVar("T")
_log = logging.getLogger("modeldeck.worker")

MB = 1_000_000
_OF_HOLDER = "holder."
_STORED = ("files", "signature", "digest")
"""Parts from the artifact store, whose clients raise what they like."""
_IN_A_FILE = (ArithmeticError, AssertionError, LookupError, RecursionError)
"""What reading an odd file raises: the next try would raise it too."""


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
    """What could not be had of one version, and what is not all there is."""

    before: frozenset[str] | None = None
    """The parts that could not be had when the change was asked for; None: this is that look."""
    missing: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def since(cls, known: Evidence | None, of: str = "") -> Self:
        """For another look than the one that gave ``known``; ``of`` begins the parts' names."""
        if known is None:
            return cls()
        return cls(frozenset(n.removeprefix(of) for n in known.missing if n.startswith(of)))

    def part(self, name: str, call: Callable[[], T]) -> T | None:
        """What ``call`` gives; None where it fails for good, and why.

        Raises:
            DeckError: it may succeed at the next try.
        """
        try:
            return call()
        except DeckError as error:
            if error.retryable:
                raise
            self.missing[name] = error.what
        except Stopped:
            raise
        except Exception as error:
            _log.exception("evidence: %s", name)
            if self._passes(name, error):
                raise _unseen(name, error) from error
            self.missing[name] = t("evidence.missing.unreadable")
        return None

    def _passes(self, name: str, error: Exception) -> bool:
        """Whether an error that nobody foresaw may be over at the next try.

        What was approved must not count as changed because it could not be read just now; what
        could not be read before either may stay so.
        """
        if isinstance(error, _IN_A_FILE):
            return False
        if isinstance(error, OSError) or name in _STORED:
            return True
        return self.before is not None and name not in self.before


def _unseen(part: str, error: Exception) -> DeckError:
    """An error that is over by itself, without the words of somebody's client: they may hold an
    address with a key."""
    why = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
    words = t("evidence.unseen", part=t(f"evidence.part.{part}"), why=why)
    made = DeckError(words, t("evidence.unseen_next"))
    made.retryable = True
    return made


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
        DeckError: a server does not answer, or something could not be read just now.
    """
    registry, ladder = deck.service.registry, deck.rules.ladder
    registered = registry.model(model)
    versions = {v.version: v for v in registry.versions(model)}
    if number not in versions:
        raise NotFound(t("registry.no_version", model=model, version=number))
    state = ModelState.of(model, versions.values())
    held = holder(state, number, rung, deck)
    found = _Found.since(known)
    challenger = _side(deck, versions[number], found)
    present = _holder(deck, versions[held], found, known) if held is not None else None
    made, example = _artifacts(deck, versions[number], challenger, needs, found, work, known)
    found.notes |= _compared(deck, made, first=known is None)
    evidence = Evidence(
        model=model,
        rung=ladder.rung(rung).name,
        at=now(),
        challenger=challenger,
        holder=present,
        card=dict(read_card(registered)),
        example=example,
        pins=_pins(challenger, present, found),
        digest=made.value if made else "",
        digest_of=made.of if made else "",
        listing=made.listing if made else "",
        compared="" if known is None else _by(known, made),
        notes=found.notes,
        missing=found.missing,
        shared=not ladder.rung(rung).exclusive,
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


def _holder(deck: Deck, version: ModelVersion, found: _Found, known: Evidence | None) -> Side:
    of_holder = _Found.since(known, _OF_HOLDER)
    present = _side(deck, version, of_holder)
    found.missing |= {f"{_OF_HOLDER}{part}": why for part, why in of_holder.missing.items()}
    found.notes |= {f"{_OF_HOLDER}{part}": said for part, said in of_holder.notes.items()}
    return present


def _side(deck: Deck, version: ModelVersion, found: _Found) -> Side:
    service = deck.service
    run: Run | None = None
    repeated = None
    if version.run_id is None:
        found.missing["run"] = t("evidence.missing.run")
    else:
        run_id = version.run_id
        run = found.part("run", lambda: service.tracking.run(run_id))
    of_version = version.version, version.logged_model_id, run
    told = found.part("metrics", lambda: measured(service, *of_version)) or Measured({})
    if run is None and version.run_id is not None:  # its own metrics may stand in the run alone
        found.missing.setdefault("metrics", found.missing["run"])
    elif run is None and version.logged_model_id is None:
        found.missing["metrics"] = t("evidence.missing.metrics")
    if told.notes:
        found.notes["metrics"] = " ".join(told.notes)
    if run is not None:
        present = run
        repeated = found.part("replicates", lambda: replicates(service, present))
    if repeated is not None:
        complete = repeated.complete
        repeated, other = of_metrics(repeated, told.metrics)
        said = [t("evidence.notes.replicates_cut", n=MOST_RUNS)] if not complete else []
        if other:
            names = some(other)
            said.append(t("evidence.notes.repeated", version=version.version, names=names))
        if said:
            found.notes["replicates"] = " ".join(said)
    uri = found.part("files", lambda: service.artifacts.model_uri(version))
    files: tuple[ArtifactFile, ...] | None = None
    info: ModelInfo | None = None
    if uri is not None:
        files = found.part("files", lambda: service.artifacts.walk(uri, MOST_FILES))
        info = found.part("signature", lambda: service.artifacts.model_info(uri))
    else:  # nobody saw that it has none
        found.missing["signature"] = found.missing["files"]
    if info is None:
        found.missing["pins"] = found.missing["signature"]
    return side(version, run, told, repeated, info, files or ())


def _pins(challenger: Side, present: Side | None, found: _Found) -> Pins | None:
    wanted, python = challenger.requirements, challenger.python or ""
    if wanted is None:
        found.missing.setdefault("pins", t("evidence.missing.no_requirements"))
        return None
    return found.part(
        "pins", lambda: pins(wanted, python, present.requirements if present else None)
    )


def _compared(deck: Deck, made: Digest | None, *, first: bool) -> dict[str, str]:
    """What the digest does not see, and what will not be seen before applying."""
    if made is None:
        return {}
    size, again = formats.size(made.bytes), deck.settings.digest_mb
    if made.of == LISTING:
        most = formats.size((deck.settings.model_mb if first else again) * MB)
        return {"digest": t("evidence.notes.digest_listing", size=size, most=most)}
    if first and made.bytes > again * MB:
        most = formats.size(again * MB)
        return {"digest": t("evidence.notes.compared_listing", size=size, most=most)}
    return {}


def _by(known: Evidence, made: Digest | None) -> str:
    """By what two digests can be compared; "" where one is missing."""
    if made is None or not known.digest:
        return ""
    return CONTENT if made.of == known.digest_of == CONTENT else LISTING


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
        return made, found.part("example", lambda: answer(target, work.mark, limits, work.check))
    finally:
        shutil.rmtree(work.folder, ignore_errors=True)


def _fetch(deck: Deck, version: ModelVersion, target: Path, most: int, work: Work) -> Digest:
    artifacts = deck.service.artifacts
    uri = artifacts.model_uri(version)
    if not artifacts.list(uri):
        raise NotFound(t("evidence.missing.no_files", uri=without_user_info(uri)))
    artifacts.download(uri, target, most, work.check)
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
    by = _by(known, made)
    same = made is not None and (
        made.value == known.digest if by == CONTENT else bool(by) and made.listing == known.listing
    )
    if known.example is None:
        if "example" in known.missing:
            found.missing["example"] = known.missing["example"]
    elif not same:
        found.missing["example"] = t("evidence.missing.example_unchecked")
    return made, known.example if same else None
