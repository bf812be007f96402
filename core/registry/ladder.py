"""The ladder: the rungs that a version can stand on, and what each means in MLflow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from core.errors import InvalidInput
from core.texts import t

NO_STAGE = "None"


@dataclass(frozen=True)
class Rung:
    """One rung. A version that stands on it has this stage, this alias and this tag's value."""

    name: str
    """What people call it; also the value of the ladder's version tag."""
    stage: str
    """The MLflow stage: None, Staging, Production or Archived."""
    alias: str | None = None
    """The alias that its newest holder carries."""
    exclusive: bool = False
    """Whether it is meant for one version at a time: others are archived unless asked not to."""


@dataclass(frozen=True)
class Ladder:
    """Rungs in the order in which versions climb them."""

    rungs: tuple[Rung, ...]
    retired: str
    """Name of the rung that earlier holders are moved to; never an exclusive one."""
    tag: str = "modeldeck.stage"
    """Key of the version tag that names the rung. MLflow has no event for stages: writing this tag
    last makes its webhook fire once everything else is in place."""

    @property
    def top(self) -> Rung:
        """The rung that versions climb to: the highest that is for one version at a time."""
        return next(rung for rung in reversed(self.rungs) if rung.exclusive)

    def rung(self, name: str) -> Rung:
        """The rung of that name, in any case: MLflow too takes its stages in any case.

        Raises:
            InvalidInput: there is none.
        """
        for rung in self.rungs:
            if rung.name.casefold() == name.strip().casefold():
                return rung
        names = ", ".join(rung.name for rung in self.rungs)
        raise InvalidInput(t("registry.no_rung", name=name[:80], names=names), field="rung")

    def rung_of_alias(self, alias: str) -> Rung | None:
        """The rung that ``alias`` belongs to."""
        return next((rung for rung in self.rungs if rung.alias == alias), None)

    def standing(self, stage: str, aliases: tuple[str, ...], tags: Mapping[str, str]) -> Rung:
        """The rung that a version stands on.

        The stage decides; where several rungs share it, the alias, then the tag, then the lowest of
        them. A version without a stage, or in one that no rung has, stands on the highest rung
        whose alias it carries: some teams work with aliases alone. There a rung that has an alias
        is held by whoever carries it and by nobody else, whatever an old tag says.
        """
        here = self.in_stage(stage)
        bare = not here or here[0].stage == NO_STAGE
        carried = (self.rungs if bare else here) if aliases else ()
        named = [r for r in carried if r.alias and r.alias in aliases]
        if bare:
            here = [rung for rung in here or self.in_stage(NO_STAGE) if rung.alias is None]
        tagged = [rung for rung in here if rung.name == tags.get(self.tag)]
        return [*named[-1:], *tagged, *here, self.rungs[0]][0]

    def in_stage(self, stage: str) -> Sequence[Rung]:
        """The rungs of an MLflow stage; none where the ladder does without it."""
        return self._of_stage.get((stage or NO_STAGE).casefold(), ())

    @cached_property
    def _of_stage(self) -> dict[str, tuple[Rung, ...]]:
        # It is asked of every version, of which there are thousands.
        stages = [rung.stage.casefold() for rung in self.rungs]
        return {
            s: tuple(r for r, of in zip(self.rungs, stages, strict=True) if of == s) for s in stages
        }


LADDER = Ladder(
    rungs=(
        Rung("None", "None"),
        Rung("Staging", "Staging", alias="challenger", exclusive=True),
        Rung("Production", "Production", alias="champion", exclusive=True),
        Rung("Archived", "Archived"),
    ),
    retired="Archived",
)
"""The ladder that every store starts with."""
