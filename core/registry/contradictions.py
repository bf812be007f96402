"""Marks of a version that speak of two rungs: its stage of one, an alias or the tag of another."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from core.registry.ladder import NO_STAGE, Ladder
from core.registry.plan import ModelState, VersionState
from core.texts import t


class Mark(StrEnum):
    """Which mark speaks against where a version stands."""

    STAGE = "stage"
    ALIAS = "alias"
    TAG = "tag"


@dataclass(frozen=True)
class Contradiction:
    """Two marks that do not go together."""

    version: int
    mark: Mark
    sentence: str
    """In plain words; plain text, with outside text in it."""


def contradictions(state: ModelState, ladder: Ladder) -> tuple[Contradiction, ...]:
    """What speaks against where the versions stand, oldest version first.

    A mark that is missing contradicts nothing: some work with stages alone, or with aliases alone.
    """
    return tuple(
        Contradiction(version.version, mark, sentence)
        for version in state.versions
        for mark, sentence in _of(version, ladder)
    )


def _of(version: VersionState, ladder: Ladder) -> Iterator[tuple[Mark, str]]:
    here = ladder.standing(version.stage, version.aliases, version.tags)
    shown = {"version": version.version, "rung": here.name}
    staged = ladder.in_stage(version.stage)
    by_stage = bool(staged) and staged[0].stage != NO_STAGE
    if not staged:
        yield Mark.STAGE, t("rules.marks.stage", **shown, stage=version.stage)
    for alias in version.aliases:
        rung = ladder.rung_of_alias(alias)
        if rung is not None and rung != here:
            key = "alias" if by_stage else "second_alias"
            yield Mark.ALIAS, t(f"rules.marks.{key}", **shown, alias=alias, other=rung.name)
    tag = version.tags.get(ladder.tag)
    if tag and tag != here.name:
        yield Mark.TAG, t("rules.marks.tag", **shown, key=ladder.tag, tag=tag[:80])
