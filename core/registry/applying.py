"""The writes of a plan, each made once, and what is there of it afterwards."""

from collections.abc import Callable, Sequence

from core.errors import DeckError, OutcomeUnknown
from core.mlflow_api import Mlflow
from core.registry.lease import Alone
from core.registry.plan import ModelState, Step, StepKind
from core.texts import t

Hook = Callable[[int, Step], None]
"""Is called before each write with its place in the plan; tests break off there."""


def read_state(mlflow: Mlflow, model: str) -> ModelState:
    """Where a model's versions stand now.

    Raises:
        NotFound: there is no such model.
    """
    return ModelState.of(model, mlflow.registry.versions(model))


def apply(
    mlflow: Mlflow, model: str, steps: Sequence[Step], alone: Alone, before_step: Hook | None = None
) -> DeckError | None:
    """Make the writes, each once. Gives back what stopped it; the caller looks what is there."""
    for place, step in enumerate(steps):
        try:
            if before_step is not None:
                before_step(place, step)
            # Others must not take the lease while this write is waited for, whatever the settings
            # allow it.
            alone.check(2 * mlflow.gateway.deadlines.write)
            _write(mlflow, model, step)
        except OutcomeUnknown as error:
            # The reply is lost, not always the write: look, and go on where it took effect.
            if not _took_effect(mlflow, model, step):
                # It may land for as long as it takes to connect and then to wait for the reply.
                alone.linger(2 * mlflow.gateway.deadlines.longest)
                return error
        except DeckError as error:
            return error
    return None


def _took_effect(mlflow: Mlflow, model: str, step: Step) -> bool:
    """Whether a write whose reply was lost is there; False where that cannot be seen."""
    try:
        return step.in_effect(read_state(mlflow, model))
    except DeckError:
        return False


def _write(mlflow: Mlflow, model: str, step: Step) -> None:
    registry = mlflow.registry
    match step.kind:
        case StepKind.SET_STAGE:
            registry.set_stage(model, step.version, step.value)
        case StepKind.SET_ALIAS:
            registry.set_alias(model, step.value, step.version)
        case StepKind.DELETE_ALIAS:
            registry.delete_alias(model, step.value)
        case StepKind.SET_TAG:
            registry.set_version_tag(model, step.version, step.key, step.value)
        case StepKind.DELETE_TAG:
            registry.delete_version_tag(model, step.version, step.key)


def done_and_undone(steps: Sequence[Step], state: ModelState) -> tuple[list[Step], list[Step]]:
    """The steps that are in effect, and those that are not."""
    done = [step for step in steps if step.in_effect(state)]
    return done, [step for step in steps if step not in done]


def how_far(done: Sequence[Step], undone: Sequence[Step]) -> str:
    """What of a plan is there and what is not, in words."""
    missing = listed(undone)
    if not done:
        return t("registry.none_done", undone=missing)
    return t("registry.some_done", done=listed(done), undone=missing)


def listed(steps: Sequence[Step]) -> str:
    """Steps in words, one after another."""
    return "; ".join(step.sentence for step in steps)
