"""Changes that broke off in the middle are settled: finished, or taken back, or left as found.

Whoever changes a model settles what broke off there first, under the same lease; the worker does so
for all models now and then. What is done is decided by ``verdict`` over what the record says and
what MLflow says, and written down with its reason.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from core.errors import Busy, DeckError, NotFound
from core.ledger import Ledger, now
from core.ledger.schema import requests
from core.mlflow_api import Mlflow
from core.people import Actor, Permission
from core.people.permissions import require_model
from core.registry.applying import apply, done_and_undone, how_far, listed, read_state
from core.registry.desk import Desk
from core.registry.heads import publishing
from core.registry.ladder import LADDER, Ladder
from core.registry.lease import Alone, model_lease
from core.registry.plan import ModelState, Step, StepKind, VersionState, Wanted, plan_transition
from core.registry.record import Kind, Placement, State, Transition, end, open_models, unsettled
from core.texts import t

_log = logging.getLogger("modeldeck.settling")


class Way(StrEnum):
    """How a change that broke off is settled."""

    DONE = "done"
    """All of it is there: only its ending was not written down."""
    FINISH = "finish"
    """The remaining steps are made."""
    TAKE_BACK = "take_back"
    """Its steps are taken back."""
    LEAVE = "leave"
    """Somebody else changed the same in the meantime: nothing is written."""


@dataclass(frozen=True)
class Verdict:
    """What is to be done about a change that broke off."""

    way: Way
    steps: tuple[Step, ...] = ()
    """The writes for it, in their order."""


def settle(
    mlflow: Mlflow, ledger: Ledger, actor: Actor, model: str, ladder: Ladder = LADDER
) -> tuple[Transition, ...]:
    """Settle the changes of a model that broke off, and write down how.

    Args:
        mlflow: what writes: Modeldeck's service account where there are accounts.

    Raises:
        Busy: somebody is changing the model, so nothing has broken off.
        DeckError: MLflow does not answer; it is tried again later.
    """
    with model_lease(ledger, mlflow.address, model, actor.name) as alone:
        return settle_under(mlflow, ledger, actor, model, ladder, alone)


def settle_for(desk: Desk, model: str) -> tuple[Transition, ...]:
    """``settle`` for a person, who holds EDIT on the model; Modeldeck's own account writes.

    Raises:
        NotAllowed: they do not.
        DeckError: as for ``settle``.
    """
    require_model(desk.permissions, desk.actor, model, Permission.EDIT)
    with publishing(desk, model):
        return settle(desk.service, desk.ledger, desk.actor, model, desk.rules.ladder)


def settle_all(
    mlflow: Mlflow, ledger: Ledger, actor: Actor, ladder: Ladder = LADDER
) -> tuple[Transition, ...]:
    """``settle`` for every model of this store; one that somebody is changing is left alone.

    Raises:
        DeckError: a model could not be settled; the first of several, once all were tried.
    """
    settled: list[Transition] = []
    trouble: list[DeckError] = []
    for model in open_models(ledger, mlflow.address):
        try:
            with model_lease(ledger, mlflow.address, model, actor.name, wait=0) as alone:
                settled += settle_under(mlflow, ledger, actor, model, ladder, alone)
        except Busy:
            continue
        except DeckError as error:  # the models after it must not wait for this one
            trouble.append(error)
    if trouble:
        raise trouble[0]
    return tuple(settled)


def settle_under(
    mlflow: Mlflow, ledger: Ledger, actor: Actor, model: str, ladder: Ladder, alone: Alone
) -> tuple[Transition, ...]:
    """The same for whoever is alone on the model already.

    Raises:
        DeckError: MLflow does not answer. What was begun stays open, and is settled later.
    """
    settled = []
    for row in unsettled(ledger, mlflow.address, model, alone.token):
        try:
            state = read_state(mlflow, model)
        except NotFound:
            found, words = State.INTERRUPTED, t("registry.gone", model=model)
            state = ModelState(model, ())
        else:
            decided = verdict(row, state, ladder, holds=_holds(ledger, row, state))
            found, words, state = _settle(mlflow, row, state, decided, alone)
        if found is State.INTERRUPTED:
            _log.warning("%s v%s: %s", model, row.version, words)
        settled.append(
            end(ledger, row, found, state, ladder, words, actor=actor.name, actor_kind=actor.kind)
        )
    return tuple(settled)


def verdict(row: Transition, state: ModelState, ladder: Ladder, *, holds: bool) -> Verdict:
    """How a change that broke off is to be settled; decides only.

    It is finished where the versions concerned stand exactly as its first steps left them, nobody
    else has come to the rung meanwhile, and the decision behind it still holds. It is taken back
    where only the first of these is so. Else somebody else has written too, and nobody can tell
    whose will it would be to write more.

    Args:
        state: the whole model as it is now.
        holds: whether the decision behind it still holds.
    """
    if not done_and_undone(row.steps, state)[1]:
        return Verdict(Way.DONE)
    made = reached(row.before, row.steps, state, ladder)
    if made is None:
        return Verdict(Way.LEAVE)
    remaining = row.steps[made:]
    if holds and _as_wanted(row, _after(state, remaining), ladder):
        return Verdict(Way.FINISH, remaining)
    return Verdict(Way.TAKE_BACK, tuple(step.taken_back() for step in reversed(row.steps[:made])))


def reached(
    before: Mapping[int, Placement], steps: Sequence[Step], state: ModelState, ladder: Ladder
) -> int | None:
    """How many of ``steps`` were made, where the versions concerned stand exactly as these leave
    them; None where they do not."""
    aliases = {rung.alias for rung in ladder.rungs} | {
        step.value for step in steps if step.kind in (StepKind.SET_ALIAS, StepKind.DELETE_ALIAS)
    }
    expected = _before(before, steps)
    keys = {step.key for step in steps if step.key}
    found = None
    for made in range(len(steps) + 1):
        if made:
            expected = steps[made - 1].on(expected)
        if all(_alike(v, state.find(v.version), aliases, keys) for v in expected.versions):
            found = made
    return found


def _before(before: Mapping[int, Placement], steps: Sequence[Step]) -> ModelState:
    tags: dict[int, dict[str, str]] = {number: {} for number in before}
    for step in reversed(steps):  # the first write of a tag tells what stood there
        if step.kind is StepKind.SET_TAG and step.before is not None:
            tags.setdefault(step.version, {})[step.key] = step.before
    return ModelState(
        "", tuple(VersionState(n, p.stage, p.aliases, tags[n]) for n, p in before.items())
    )


def _alike(
    one: VersionState, other: VersionState | None, aliases: set[str | None], keys: set[str]
) -> bool:
    if other is None or one.stage.casefold() != other.stage.casefold():
        return False
    if aliases & set(one.aliases) != aliases & set(other.aliases):
        return False
    return all(one.tags.get(key) == other.tags.get(key) for key in keys)


def _after(state: ModelState, steps: Sequence[Step]) -> ModelState:
    for step in steps:
        state = step.on(state)
    return state


def _as_wanted(row: Transition, state: ModelState, ladder: Ladder) -> bool:
    if row.kind is Kind.ALIAS:
        return True
    wanted = Wanted(row.model, row.version, row.wanted, row.archive_existing)
    return not plan_transition(state, wanted, ladder)


def _holds(ledger: Ledger, row: Transition, state: ModelState) -> bool:
    """Whether the decision behind a change still holds: its request was neither closed nor has it
    expired, and the version is made from the source that was approved."""
    if not row.request_id:
        return True
    with ledger.transaction(t("registry.recording")) as connection:
        request = connection.execute(
            sa.select(requests).where(requests.c.id == row.request_id)
        ).first()
    version = state.find(row.version)
    if request is None or version is None or not request.bound:
        return False
    mine = request.state == "applying" and request.transition_id == row.id
    return bool(mine and now() < request.expires_at and version.source == request.bound["source"])


def _settle(
    mlflow: Mlflow, row: Transition, state: ModelState, decided: Verdict, alone: Alone
) -> tuple[State, str, ModelState]:
    """Do what was decided: what is found then, in words too."""
    done, undone = done_and_undone(row.steps, state)
    if decided.way is Way.DONE:
        return State.DONE, t("registry.settled"), state
    if decided.way is Way.LEAVE:
        return State.INTERRUPTED, t("registry.interrupted", what=how_far(done, undone)), state
    failure = apply(mlflow, row.model, decided.steps, alone)
    if failure is not None:
        raise failure
    after = read_state(mlflow, row.model)
    missing = [step for step in decided.steps if not step.in_effect(after)]
    if missing:
        words = t("registry.settling_failed", what=listed(missing))
        return State.INTERRUPTED, words, after
    steps = listed(decided.steps)
    if decided.way is Way.FINISH:
        return State.DONE, t("registry.finished", what=steps), after
    if not steps:
        return State.UNDONE, t("registry.nothing_to_undo"), after
    return State.UNDONE, t("registry.undone", what=steps), after
