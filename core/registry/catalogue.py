"""Registered models and their versions, as people look at them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from core.errors import NotFound
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import ModelVersion, RegisteredModel
from core.registry.contradictions import Contradiction, contradictions
from core.registry.ladder import LADDER, Ladder, Rung
from core.registry.plan import ModelState
from core.texts import t


@dataclass(frozen=True)
class Summary:
    """One registered model in a list."""

    model: RegisteredModel
    versions: int
    held: Mapping[str, tuple[int, ...]]
    """The versions on each rung that is for one at a time, by the rung's name."""
    changed_at: datetime | None
    """When the model or one of its versions was changed last."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name


@dataclass(frozen=True)
class Dossier:
    """One registered model with its versions, newest first."""

    model: RegisteredModel
    versions: tuple[ModelVersion, ...]
    ladder: Ladder = LADDER
    complete: bool = True
    """Whether these are all versions. If not, they are those that were changed last, those with a
    rung's alias and the newest of each stage."""

    @cached_property
    def state(self) -> ModelState:
        """Where the versions stand, for plans."""
        return ModelState.of(self.model.name, self.versions)

    def version(self, number: int) -> ModelVersion:
        """One version.

        Raises:
            NotFound: there is none.
        """
        found = self._by_number.get(number)
        if found is None:
            raise NotFound(t("registry.no_version", model=self.model.name, version=number))
        return found

    def standing(self, version: ModelVersion) -> Rung:
        """The rung that a version stands on."""
        return self._standings[version.version]

    def on(self, rung: Rung) -> tuple[int, ...]:
        """The versions that stand on a rung, in ascending order."""
        return self._holders.get(rung.name, ())

    @cached_property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Marks that speak of two rungs, oldest version first."""
        return contradictions(self.state, self.ladder)

    @property
    def foremost(self) -> ModelVersion | None:
        """The version to look at first: the newest on the highest rung held, else the newest."""
        for rung in reversed(self.ladder.rungs):
            held = self.on(rung) if rung.exclusive else ()
            if held:
                return self.version(max(held))
        return self.versions[0] if self.versions else None

    def newer(self, others: Iterable[ModelVersion], *, complete: bool) -> "Dossier":
        """This with ``others`` beside it, where ours are the later news of the same version.

        Args:
            complete: whether there are no more.
        """
        known = {v.version: v for v in others} | self._by_number
        # Aliases move without a trace on the versions: those of the model are the latest.
        carriers: dict[int, list[str]] = {}
        for alias, number in sorted(self.model.aliases.items()):
            carriers.setdefault(number, []).append(alias)
        versions = (
            v if v.aliases == (mine := tuple(carriers.get(n, ()))) else replace(v, aliases=mine)
            for n, v in sorted(known.items(), reverse=True)
        )
        return replace(self, versions=tuple(versions), complete=complete)

    @cached_property
    def _by_number(self) -> dict[int, ModelVersion]:
        return {version.version: version for version in self.versions}

    @cached_property
    def _holders(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {}
        for number in sorted(self._standings):
            found.setdefault(self._standings[number].name, []).append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}

    @cached_property
    def _standings(self) -> dict[int, Rung]:
        return {v.version: standing(v, self.ladder) for v in self.versions}


def summaries(mlflow: Mlflow, ladder: Ladder = LADDER) -> list[Summary]:
    """All registered models by name, those without versions among them."""
    found = mlflow.registry.models()
    versions: dict[str, list[ModelVersion]] = {model.name: [] for model in found}
    for version in mlflow.registry.all_versions(found):
        versions.setdefault(version.model, []).append(version)
    return [_summary(model, versions[model.name], ladder) for model in found]


def dossier(mlflow: Mlflow, name: str, ladder: Ladder = LADDER) -> Dossier:
    """One registered model with all its versions.

    Raises:
        NotFound: there is none of that name.
    """
    model = mlflow.registry.model(name)
    return Dossier(model, tuple(mlflow.registry.versions(name, model)), ladder)


def first_look(
    mlflow: Mlflow, name: str, ladder: Ladder = LADDER, *, most: int = 100, also: int | None = None
) -> Dossier:
    """One registered model with the versions that matter first, in a few short calls: a server
    takes a second and more to tell of thousands.

    Args:
        most: versions to read; where there are no more, the answer is complete.
        also: a version that must be among them.

    Raises:
        NotFound: there is no such model, or no version ``also``.
    """
    model = mlflow.registry.model(name)
    changed, complete = mlflow.registry.some_versions(model, most)
    found = {v.version: v for v in (*model.latest, *changed)}
    marked = (model.aliases.get(rung.alias or "") for rung in ladder.rungs)
    wanted = {number for number in marked if number is not None}
    wanted = set() if complete else wanted | ({also} if also else set())
    for number in sorted(wanted - set(found)):
        found[number] = mlflow.registry.version(name, number, model)
    versions = tuple(found[n] for n in sorted(found, reverse=True))
    return Dossier(model, versions, ladder, complete)


def standing(version: ModelVersion, ladder: Ladder = LADDER) -> Rung:
    """The rung that a version stands on."""
    return ladder.standing(version.stage, version.aliases, version.tags)


def holders(
    versions: Iterable[ModelVersion], rung: Rung = LADDER.top, ladder: Ladder = LADDER
) -> list[ModelVersion]:
    """Those of ``versions`` that stand on a rung, in their order; on the highest unless given.

    Their aliases must be filled in: a version can stand on a rung by its alias alone.
    """
    return [version for version in versions if standing(version, ladder) == rung]


def matching(found: Iterable[Summary], words: str, *, without: str = "") -> list[Summary]:
    """Those whose name, description, aliases or tags hold every word.

    Args:
        words: separated by blanks, in any case.
        without: name of a rung; only models that nothing of stands there.
    """
    wanted = words.casefold().split()
    return [
        summary
        for summary in found
        if all(word in _text(summary) for word in wanted)
        and not (without and summary.held.get(without))
    ]


def versions_matching(found: Dossier, words: str) -> list[ModelVersion]:
    """Those versions whose number (``v7``), rung, aliases, description, tags, source or run's id
    hold every word, newest first.

    Args:
        words: separated by blanks, in any case; a word such as ``v7`` is that version alone.
    """
    wanted = words.casefold().split()
    if not wanted:
        return list(found.versions)
    return [
        version
        for version in found.versions
        if all(
            word[1:] == str(version.version)
            if word[:1] == "v" and word[1:].isdigit()
            else word in _version_text(version, found.standing(version))
            for word in wanted
        )
    ]


def prominent(found: Dossier) -> list[ModelVersion]:
    """The versions that stand on a rung for one at a time or carry an alias, newest first."""
    return [v for v in found.versions if v.aliases or found.standing(v).exclusive]


def _version_text(version: ModelVersion, rung: Rung) -> str:
    tags = (f"{key} {value}" for key, value in version.tags.items())
    parts = (version.description, version.run_id or "", version.source, version.status)
    return " ".join([rung.name, *version.aliases, *parts, *tags]).casefold()


def _text(summary: Summary) -> str:
    model = summary.model
    tags = (f"{key} {value}" for key, value in model.tags.items())
    return " ".join([model.name, model.description, *model.aliases, *tags]).casefold()


def _summary(model: RegisteredModel, versions: list[ModelVersion], ladder: Ladder) -> Summary:
    held: dict[str, tuple[int, ...]] = {}
    for rung in ladder.rungs:
        if rung.exclusive:
            here = (v.version for v in versions if standing(v, ladder) == rung)
            held[rung.name] = tuple(sorted(here, reverse=True))
    times = [model.updated_at, model.created_at, *(v.updated_at for v in versions)]
    return Summary(
        model, len(versions), held, max((at for at in times if at is not None), default=None)
    )
