"""What a transition would change: decided by pure functions, before anything is written."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from core.errors import NotFound
from core.mlflow_api.nouns import ModelVersion
from core.registry.ladder import Ladder, Rung
from core.texts import t


@dataclass(frozen=True)
class VersionState:
    """Where one version stands."""

    version: int
    stage: str
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    updated_at: datetime | None = None
    """When MLflow says that it was changed last; aliases and tags do not move it."""
    created_at: datetime | None = None


@dataclass(frozen=True)
class ModelState:
    """Where all versions of a model stand, as MLflow told it at one moment."""

    model: str
    versions: tuple[VersionState, ...]

    @classmethod
    def of(cls, model: str, versions: Iterable[ModelVersion]) -> Self:
        """From MLflow's versions."""
        return cls(
            model,
            tuple(
                VersionState(
                    v.version, v.stage, v.aliases, v.tags, v.source, v.updated_at, v.created_at
                )
                for v in sorted(versions, key=lambda v: v.version)
            ),
        )

    def find(self, version: int) -> VersionState | None:
        """One version; None where there is none (any longer)."""
        return next((v for v in self.versions if v.version == version), None)

    def version(self, version: int) -> VersionState:
        """One version.

        Raises:
            NotFound: there is none (any longer).
        """
        found = self.find(version)
        if found is None:
            raise NotFound(t("registry.no_version", model=self.model, version=version))
        return found

    def carrier(self, alias: str | None) -> int | None:
        """The version that carries ``alias``."""
        return next((v.version for v in self.versions if alias and alias in v.aliases), None)

    def on(self, rung: Rung, ladder: Ladder) -> tuple[int, ...]:
        """The versions that stand on ``rung``."""
        return tuple(v.version for v in self.versions if _standing(v, ladder) == rung)


@dataclass(frozen=True)
class Seen:
    """What a person saw when they decided; the change is refused where it is no longer so."""

    rung: str
    """The rung that the version stood on."""
    holders: tuple[int, ...]
    """The other versions that stood on the wanted rung; empty where many may."""
    carrier: int | None
    """The version that carried the wanted rung's alias."""


@dataclass(frozen=True)
class Wanted:
    """A transition that somebody wants."""

    model: str
    version: int
    rung: str
    archive_existing: bool = True
    """Archive what stands on the rung now. Without effect where many versions may stand there."""
    comment: str = ""
    expected: Seen | None = None
    """None: whatever the present state is, for scripts that looked a moment ago."""


class StepKind(StrEnum):
    """What a step writes."""

    SET_STAGE = "set_stage"
    SET_ALIAS = "set_alias"
    DELETE_ALIAS = "delete_alias"
    SET_TAG = "set_tag"
    DELETE_TAG = "delete_tag"
    """Only to take a change back."""


@dataclass(frozen=True)
class Step:
    """One write to MLflow."""

    kind: StepKind
    version: int
    value: str
    """The stage, the alias or the tag's value."""
    before: str | None = None
    """What stood there: the stage, the version that carried the alias, the tag's value."""
    key: str = ""
    """The tag's key."""

    @property
    def sentence(self) -> str:
        """The step in plain words; plain text, with outside text in it."""
        moved = self.kind is StepKind.SET_ALIAS and self.before is not None
        return t(
            f"registry.step.{'move_alias' if moved else self.kind}",
            version=self.version,
            value=self.value,
            before=self.before,
            key=self.key,
        )

    def in_effect(self, state: ModelState) -> bool:
        """Whether ``state`` is what this step brings about."""
        version = state.find(self.version)
        if version is None:
            return False
        match self.kind:
            case StepKind.SET_STAGE:
                return _same_stage(version.stage, self.value)
            case StepKind.SET_ALIAS:
                return self.value in version.aliases
            case StepKind.DELETE_ALIAS:
                return self.value not in version.aliases
            case StepKind.SET_TAG:
                return version.tags.get(self.key) == self.value
            case StepKind.DELETE_TAG:
                return self.key not in version.tags

    def on(self, state: ModelState) -> ModelState:
        """What ``state`` becomes by this write: an alias points at one version, the rest stays."""
        return replace(state, versions=tuple(self._on(version) for version in state.versions))

    def _on(self, version: VersionState) -> VersionState:
        mine = version.version == self.version
        match self.kind:
            case StepKind.SET_STAGE if mine:
                return replace(version, stage=self.value)
            case StepKind.SET_ALIAS | StepKind.DELETE_ALIAS:
                gains = mine and self.kind is StepKind.SET_ALIAS
                left = {alias for alias in version.aliases if alias != self.value}
                return replace(
                    version, aliases=tuple(sorted(left | {self.value} if gains else left))
                )
            case StepKind.SET_TAG if mine:
                return replace(version, tags={**version.tags, self.key: self.value})
            case StepKind.DELETE_TAG if mine:
                kept = {key: value for key, value in version.tags.items() if key != self.key}
                return replace(version, tags=kept)
        return version

    def taken_back(self) -> "Step":
        """The write that makes this one undone."""
        match self.kind:
            case StepKind.SET_ALIAS if self.before is None:
                return Step(StepKind.DELETE_ALIAS, self.version, self.value, str(self.version))
            case StepKind.SET_ALIAS:
                back = int(self.before or 0)
                return Step(StepKind.SET_ALIAS, back, self.value, str(self.version))
            case StepKind.DELETE_ALIAS:
                return Step(StepKind.SET_ALIAS, self.version, self.value)
            case StepKind.SET_TAG if self.before is None:
                return Step(StepKind.DELETE_TAG, self.version, "", self.value, self.key)
        return replace(self, value=self.before or "", before=self.value)

    def as_json(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the record."""
        return cls(**{**data, "kind": StepKind(data["kind"])})


@dataclass(frozen=True)
class Difference:
    """Something that is no longer as a person saw it."""

    version: int
    rung: str
    """Where the version stands now; "" where it is gone."""
    alias: str = ""
    """Given where not the rung but the carrier of this alias changed: ``version`` carries it now,
    0 where nobody does."""


def plan_transition(state: ModelState, wanted: Wanted, ladder: Ladder) -> tuple[Step, ...]:
    """The writes that move a version to a rung, in the order in which they are made.

    The order is chosen for those who read at any moment in between, and for a crash there:
    an alias that moves is moved in one write and is never missing; a rung's alias never points at a
    version that stands elsewhere; a rung that was held is never without a holder, so there are two
    for as long as the alias takes to move; the tag of the wanted version tells that all is done.

    Every step is one that changes something. None is needed where all is as wanted already.

    Args:
        state: what MLflow says now.
        wanted: the version and the rung.
        ladder: what the rungs mean.

    Raises:
        NotFound: the model has no such version.
        InvalidInput: the ladder has no such rung.
    """
    rung, version = ladder.rung(wanted.rung), state.version(wanted.version)
    leaving = [state.version(n) for n in _leaving(state, wanted, rung, ladder)]
    retired = ladder.rung(ladder.retired)
    steps = [*_let_go(version, rung, ladder), *_stage(version, rung)]
    carrier = state.carrier(rung.alias)
    if rung.alias and carrier != version.version:
        before = str(carrier) if carrier is not None else None
        steps.append(Step(StepKind.SET_ALIAS, version.version, rung.alias, before))
    for other in leaving:
        steps += _let_go(other, retired, ladder, moved=rung.alias)
        steps += _stage(other, retired)
    for other in leaving:
        steps += _tag(other, retired, ladder, always=True)
    stays = carrier not in (version.version, *(other.version for other in leaving))
    if carrier is not None and stays:
        steps += _bereft(state.version(carrier), rung, ladder)
    return (*steps, *_tag(version, rung, ladder, always=bool(steps)))


def see(state: ModelState, version: int, rung_name: str, ladder: Ladder) -> Seen:
    """What a person sees who looks at ``state`` and thinks of moving ``version`` to a rung.

    Raises:
        NotFound: the model has no such version.
        InvalidInput: the ladder has no such rung.
    """
    rung = ladder.rung(rung_name)
    holders = tuple(n for n in state.on(rung, ladder) if n != version) if rung.exclusive else ()
    return Seen(_standing(state.version(version), ladder).name, holders, state.carrier(rung.alias))


def differences(state: ModelState, wanted: Wanted, ladder: Ladder) -> tuple[Difference, ...]:
    """What is no longer as the person saw it; empty where all is, or nothing was expected."""
    seen = wanted.expected
    if seen is None:
        return ()
    rung = ladder.rung(wanted.rung)
    now = see(state, wanted.version, wanted.rung, ladder)
    moved = [wanted.version] if now.rung != seen.rung else []
    moved += sorted(set(now.holders) ^ set(seen.holders))
    found = []
    for number in moved:
        version = state.find(number)
        found.append(Difference(number, _standing(version, ladder).name if version else ""))
    if not found and now.carrier != seen.carrier:
        found.append(Difference(now.carrier or 0, rung.name, rung.alias or ""))
    return tuple(found)


def losing(steps: Iterable[Step], ladder: Ladder) -> tuple[str, ...]:
    """The rungs whose alias ``steps`` take from the version that carries it, and give to none."""
    taken = [step.value for step in steps if step.kind is StepKind.DELETE_ALIAS]
    return tuple(rung.name for rung in ladder.rungs if rung.alias in taken)


def touched(steps: Iterable[Step]) -> tuple[int, ...]:
    """The versions that ``steps`` change, those that lose an alias to another among them."""
    found: set[int] = set()
    for step in steps:
        found.add(step.version)
        if step.kind is StepKind.SET_ALIAS and step.before is not None:
            found.add(int(step.before))
    return tuple(sorted(found))


def _leaving(state: ModelState, wanted: Wanted, rung: Rung, ladder: Ladder) -> tuple[int, ...]:
    # MLflow's own archiving is never asked for: with these targets its server answers 500.
    if not (wanted.archive_existing and rung.exclusive):
        return ()
    return tuple(n for n in state.on(rung, ladder) if n != wanted.version)


def _let_go(
    version: VersionState, target: Rung, ladder: Ladder, moved: str | None = None
) -> list[Step]:
    """Take from a version the aliases of rungs that it will not stand on."""
    return [
        Step(StepKind.DELETE_ALIAS, version.version, rung.alias, str(version.version))
        for rung in ladder.rungs
        if rung.alias in version.aliases and rung.alias not in (None, target.alias, moved)
    ]


def _bereft(version: VersionState, rung: Rung, ladder: Ladder) -> list[Step]:
    """The tag of a version that stood on the rung by nothing but the alias that it loses."""
    left = tuple(alias for alias in version.aliases if alias != rung.alias)
    here = ladder.standing(version.stage, left, version.tags)
    if _standing(version, ladder) != rung or here == rung:
        return []
    return _tag(version, here, ladder, always=True)


def _stage(version: VersionState, rung: Rung) -> list[Step]:
    if _same_stage(version.stage, rung.stage):
        return []
    return [Step(StepKind.SET_STAGE, version.version, rung.stage, version.stage)]


def _tag(version: VersionState, rung: Rung, ladder: Ladder, *, always: bool) -> list[Step]:
    """Write the tag; also where it says so already, if there is a change to tell of."""
    before = version.tags.get(ladder.tag)
    if before == rung.name and not always:
        return []
    return [Step(StepKind.SET_TAG, version.version, rung.name, before, ladder.tag)]


def _standing(version: VersionState, ladder: Ladder) -> Rung:
    return ladder.standing(version.stage, version.aliases, version.tags)


def _same_stage(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
