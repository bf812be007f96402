"""Off MLflow's deprecated stages: where each version stands is written down as alias and tag.

Then a ladder without stages reads the same, and under such a ladder the stages themselves can be
taken away. A version whose marks disagree is left as it is, and said so: somebody must decide.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.errors import Conflict, DeckError, NotAllowed
from core.mlflow_api.nouns import ModelVersion
from core.mlflow_api.permissions import as_of_now
from core.registry.contradictions import Contradiction, Mark, contradictions
from core.registry.desk import Desk
from core.registry.heads import publishing
from core.registry.ladder import NO_STAGE, Ladder, Rung
from core.registry.plan import ModelState, Step, VersionState, Wanted, plan_transition, see
from core.registry.transitions import read_state, transition
from core.texts import t

_NAMED = 10


@dataclass(frozen=True)
class Writing:
    """What is written of one version, so that its stage is no longer needed."""

    version: int
    rung: str
    """Where it stands, before and after."""
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Migration:
    """What is to be done for one model."""

    model: str
    writings: tuple[Writing, ...] = ()
    left: tuple[Contradiction, ...] = ()
    """Versions that are left as they are, each with the reason."""
    staged: int = 0
    """How many versions have a stage at all."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to write or to decide."""
        return not self.writings and not self.left


@dataclass(frozen=True)
class Progress:
    """How far the writing came."""

    done: int
    of: int
    model: str
    version: int
    error: DeckError | None = None
    """Why it was not written; the next one is tried all the same."""


def without_stages(ladder: Ladder) -> bool:
    """Whether no rung of the ladder has a stage."""
    return all(rung.stage == NO_STAGE for rung in ladder.rungs)


def plan_migration(state: ModelState, ladder: Ladder) -> Migration:
    """What to write of each version that has a stage; where it stands is the same afterwards.

    Under a ladder with stages these are the alias and the tag of its rung. Under one without, the
    stage is taken away, where alias or tag say the same.
    """
    survey = _Survey(state, ladder)
    writings, left = [], []
    for version in state.versions:
        found = survey.of(version)
        if isinstance(found, Writing):
            writings.append(found)
        elif found is not None:
            left.append(found)
    return Migration(state.model, tuple(writings), tuple(left), sum(map(_staged, state.versions)))


def plan_all(versions: Sequence[ModelVersion], ladder: Ladder) -> tuple[Migration, ...]:
    """``plan_migration`` for every model among ``versions``, by name."""
    models: dict[str, list[ModelVersion]] = {}
    for version in versions:
        models.setdefault(version.model, []).append(version)
    return tuple(plan_migration(ModelState.of(m, models[m]), ladder) for m in sorted(models))


def migrate(
    desk: Desk, planned: Sequence[Migration], should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Progress]:
    """Write what was planned, version by version, each on the one path for transitions.

    Whoever asks sees how far it came after each; it stops between two versions. What changed since
    the plan was made is refused there, and told.

    Raises:
        NotAllowed: this person is no administrator.
    """
    ladder, done = desk.rules.ladder, 0
    of = sum(len(one.writings) for one in planned)
    for one in planned:
        # Anew for each model: there may be thousands, and the right may go meanwhile.
        if not as_of_now(desk.mlflow, desk.actor).administrator:
            raise NotAllowed(t("migration.not_allowed"), t("migration.not_allowed_next"))
        for writing in one.writings:
            if should_stop():
                return
            done += 1
            try:
                _write(desk, one.model, writing, ladder)
            except DeckError as error:
                yield Progress(done, of, one.model, writing.version, error)
            else:
                yield Progress(done, of, one.model, writing.version)


def _write(desk: Desk, model: str, writing: Writing, ladder: Ladder) -> None:
    state = read_state(desk.service, model)
    version = state.find(writing.version)
    if version is None or _Survey(state, ladder).of(version) != writing:
        raise Conflict(t("migration.changed", model=model, version=writing.version))
    wanted = Wanted(
        model,
        writing.version,
        writing.rung,
        archive_existing=False,
        comment=t("migration.comment"),
        expected=see(state, writing.version, writing.rung, ladder),
    )
    with publishing(desk, model):
        transition(desk.service, desk.ledger, desk.actor, wanted, ladder)


def _staged(version: VersionState) -> bool:
    return version.stage not in ("", NO_STAGE)


class _Survey:
    """What all versions of a model say, looked through once: there may be thousands."""

    def __init__(self, state: ModelState, ladder: Ladder) -> None:
        self._model, self._ladder = state.model, ladder
        self._disagree: dict[int, Contradiction] = {}
        for one in contradictions(state, ladder):
            if one.mark is not Mark.STAGE:  # a stage without a rung is what this is there for
                self._disagree.setdefault(one.version, one)
        self._carriers = {alias: v for v in state.versions for alias in v.aliases}
        self._holders: dict[str, list[int]] = {}
        for version in state.versions:
            self._holders.setdefault(self._rung(version).name, []).append(version.version)

    def of(self, version: VersionState) -> Writing | Contradiction | None:
        """What to write of a version, or why it is left as it is; None where neither."""
        if version.version in self._disagree:
            return self._disagree[version.version]
        if not _staged(version):
            return None
        rung = self._rung(version)
        carrier = self._carriers.get(rung.alias or "", version)
        concerned = {v.version: v for v in (carrier, version)}
        state = ModelState(self._model, tuple(concerned.values()))
        wanted = Wanted(self._model, version.version, rung.name, archive_existing=False)
        steps = plan_transition(state, wanted, self._ladder)
        why = self._obstacle(version, rung, carrier.version) if steps else ""
        if why:
            return Contradiction(version.version, Mark.STAGE, why)
        return Writing(version.version, rung.name, steps) if steps else None

    def _rung(self, version: VersionState) -> Rung:
        return self._ladder.standing(version.stage, version.aliases, version.tags)

    def _obstacle(self, version: VersionState, rung: Rung, carrier: int) -> str:
        """Why the version must be left alone, "" where it need not be."""
        shown = {"version": version.version, "rung": rung.name}
        if not self._ladder.in_stage(version.stage):
            told = rung.alias in version.aliases or version.tags.get(self._ladder.tag) == rung.name
            return "" if told else t("migration.unwritten", **shown, stage=version.stage)
        if rung.alias is None:
            return ""
        others = [n for n in self._holders[rung.name] if n != version.version]
        if others:
            named = ", ".join(f"v{n}" for n in others[:_NAMED])
            return t("migration.several", **shown, others=named, alias=rung.alias)
        if carrier != version.version:
            return t("migration.carried", **shown, alias=rung.alias, carrier=carrier)
        return ""
