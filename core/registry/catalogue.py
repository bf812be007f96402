"""Registered models and their versions, as people look at them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from core.errors import NotFound
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import ModelVersion, RegisteredModel
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
    """One registered model with all its versions, newest first."""

    model: RegisteredModel
    versions: tuple[ModelVersion, ...]
    ladder: Ladder = LADDER

    @cached_property
    def state(self) -> ModelState:
        """Where the versions stand, for plans."""
        return ModelState.of(self.model.name, self.versions)

    def version(self, number: int) -> ModelVersion:
        """One version.

        Raises:
            NotFound: there is none.
        """
        for version in self.versions:
            if version.version == number:
                return version
        raise NotFound(t("registry.no_version", model=self.model.name, version=number))

    def standing(self, version: ModelVersion) -> Rung:
        """The rung that a version stands on."""
        return standing(version, self.ladder)

    def on(self, rung: Rung) -> tuple[int, ...]:
        """The versions that stand on a rung."""
        return self.state.on(rung, self.ladder)

    @property
    def foremost(self) -> ModelVersion | None:
        """The version to look at first: the newest on the highest rung held, else the newest."""
        for rung in reversed(self.ladder.rungs):
            held = self.on(rung) if rung.exclusive else ()
            if held:
                return self.version(max(held))
        return self.versions[0] if self.versions else None


def summaries(mlflow: Mlflow, ladder: Ladder = LADDER) -> list[Summary]:
    """All registered models by name, those without versions among them."""
    found = mlflow.registry.models()
    versions: dict[str, list[ModelVersion]] = {model.name: [] for model in found}
    for version in mlflow.registry.all_versions(found):
        versions.setdefault(version.model, []).append(version)
    return [_summary(model, versions[model.name], ladder) for model in found]


def dossier(mlflow: Mlflow, name: str, ladder: Ladder = LADDER) -> Dossier:
    """One registered model.

    Raises:
        NotFound: there is none of that name.
    """
    model = mlflow.registry.model(name)
    return Dossier(model, tuple(mlflow.registry.versions(name)), ladder)


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
