"""The one path by which a version changes its stage or an alias its version.

Everything that moves versions comes through here, whoever asked for it: alone on the model (a lease
with a fencing token), compared with what the person saw, written down before it is begun, applied
step by step, read back, and written down as it was found. Requests, gates and approvals stand in
front of this path and change nothing in it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256

from core import formats
from core.errors import Busy, Conflict, DeckError, NotFound, OutcomeUnknown
from core.ledger import Ledger, leases, now
from core.mlflow_api import Mlflow, ids
from core.people import Actor
from core.registry.ladder import LADDER, Ladder
from core.registry.plan import (
    Difference,
    ModelState,
    Seen,
    Step,
    StepKind,
    Wanted,
    differences,
    plan_transition,
    see,
)
from core.registry.record import (
    Kind,
    State,
    Transition,
    begin,
    end,
    mover,
    open_models,
    record,
    unsettled,
)
from core.texts import t

__all__ = [
    "ModelState",
    "Outcome",
    "Seen",
    "State",
    "Step",
    "Transition",
    "Wanted",
    "plan_transition",
    "read_state",
    "record",
    "remove_alias",
    "see",
    "set_alias",
    "settle",
    "transition",
]

LEASE_SECONDS = 20.0
"""Far longer than one write is waited for. Where its reply never came the lease is not given back
but prolonged, for as long as the request may live: it too lands while nobody else writes."""
WAIT_SECONDS = 3.0
_TRY_AGAIN_SECONDS = 0.1
_NAME_LENGTH = 400

Hook = Callable[[int, Step], None]
"""Is called before each write with its place in the plan; tests break off there."""


@dataclass(frozen=True)
class Alone:
    """Being the only one who changes a model."""

    token: int
    """Grows with every taking of the model's lease."""
    check: Callable[[], None]
    """Holds on to the lease; raises Conflict where it was lost."""
    linger: Callable[[float], None] = lambda _seconds: None
    """Lets the lease run out after so many seconds instead of giving it back at the end: a write
    may still land."""


HoldModel = Callable[[Ledger, str, str, str], AbstractContextManager[Alone]]
"""Makes one alone on a model: the ledger, the store's address, the model, who asks."""


@dataclass(frozen=True)
class Outcome:
    """How a change went, read back from MLflow."""

    transition: Transition | None
    """Its line in the record; None where nothing had to be changed."""
    after: ModelState
    missing: tuple[Step, ...] = ()
    """What was found not to be as wanted, although every write was accepted."""
    settled: tuple[Transition, ...] = ()
    """Earlier changes of the model that had broken off, and what was found of them."""

    @property
    def complete(self) -> bool:
        """Whether all is as wanted."""
        return not self.missing


@dataclass(frozen=True)
class _Change:
    """What is to be done under the lease."""

    kind: Kind
    model: str
    version: int
    wanted: str
    archive_existing: bool
    comment: str
    ladder: Ladder
    compare: Callable[[ModelState], None]
    """Raises Conflict where the state is not what the person saw."""
    plan: Callable[[ModelState], tuple[Step, ...]]


def transition(
    mlflow: Mlflow,
    ledger: Ledger,
    actor: Actor,
    wanted: Wanted,
    ladder: Ladder = LADDER,
    *,
    hold: HoldModel | None = None,
    before_step: Hook | None = None,
) -> Outcome:
    """Move a version to a rung of the ladder: its stage, the rung's alias and the tag.

    Args:
        hold: how to be alone on the model; a lease in the ledger unless given.
        before_step: is called before each write.

    Raises:
        NotFound: there is no such model or version.
        InvalidInput: there is no such rung.
        Conflict: something is not as the person saw it; says who changed what. Or the lease was
            lost under way; says how far it came.
        Busy: somebody else is changing this model, and did not end within about 3 s.
        DeckError: a write failed; says which steps took effect and which did not.
    """
    rung = ladder.rung(wanted.rung)

    def compare(state: ModelState) -> None:
        found = differences(state, wanted, ladder)
        if found:
            raise _conflict(mlflow, ledger, state, wanted, found)

    change = _Change(
        Kind.RUNG,
        ids.model_name(wanted.model),
        ids.version(wanted.version),
        rung.name,
        wanted.archive_existing and rung.exclusive,
        _comment(wanted.comment),
        ladder,
        compare,
        lambda state: plan_transition(state, wanted, ladder),
    )
    return _carry_out(mlflow, ledger, actor, change, hold or model_lease, before_step)


def set_alias(
    mlflow: Mlflow,
    ledger: Ledger,
    actor: Actor,
    model: str,
    alias: str,
    version: int,
    *,
    seen: int | None,
    comment: str = "",
    ladder: Ladder = LADDER,
) -> Outcome:
    """Point an alias at a version by hand, on the same path as a transition.

    Args:
        seen: the version that carried the alias when the person looked, None where none did.

    Raises:
        InvalidInput: MLflow would not take the alias.
        Conflict, NotFound, Busy, DeckError: as for ``transition``.
    """
    word, number = ids.alias(alias), ids.version(version)

    def plan(state: ModelState) -> tuple[Step, ...]:
        carrier = state.carrier(word)
        if word in state.version(number).aliases:
            return ()
        return (Step(StepKind.SET_ALIAS, number, word, None if carrier is None else str(carrier)),)

    change = _alias_change(model, number, word, seen, comment, ladder, plan)
    return _carry_out(mlflow, ledger, actor, change, model_lease, None)


def remove_alias(
    mlflow: Mlflow,
    ledger: Ledger,
    actor: Actor,
    model: str,
    alias: str,
    version: int,
    *,
    comment: str = "",
    ladder: Ladder = LADDER,
) -> Outcome:
    """Take an alias from the version that carries it, on the same path as a transition.

    Raises:
        Conflict: another version carries it by now, or none.
        NotFound, Busy, DeckError: as for ``transition``.
    """
    number = ids.version(version)

    def plan(state: ModelState) -> tuple[Step, ...]:
        if state.carrier(alias) != number:
            return ()
        return (Step(StepKind.DELETE_ALIAS, number, alias, str(number)),)

    change = _alias_change(model, number, alias, number, comment, ladder, plan)
    return _carry_out(mlflow, ledger, actor, change, model_lease, None)


def settle(
    mlflow: Mlflow, ledger: Ledger, actor: Actor, model: str, ladder: Ladder = LADDER
) -> tuple[Transition, ...]:
    """Find out how changes of a model that broke off have ended, and write it down.

    Raises:
        Busy: somebody is changing the model, so nothing has broken off.
    """
    with model_lease(ledger, mlflow.address, model, actor.name) as alone:
        return _settle(mlflow, ledger, model, ladder, alone)


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
                settled += _settle(mlflow, ledger, model, ladder, alone)
        except Busy:
            continue
        except DeckError as error:  # the models after it must not wait for this one
            trouble.append(error)
    if trouble:
        raise trouble[0]
    return tuple(settled)


def read_state(mlflow: Mlflow, model: str) -> ModelState:
    """Where a model's versions stand now.

    Raises:
        NotFound: there is no such model.
    """
    return ModelState.of(model, mlflow.registry.versions(model))


@contextmanager
def model_lease(
    ledger: Ledger,
    store: str,
    model: str,
    holder: str,
    seconds: float = LEASE_SECONDS,
    wait: float = WAIT_SECONDS,
) -> Iterator[Alone]:
    """Be alone on a model for the length of a ``with`` block.

    Args:
        seconds: how long the lease is held on to from each check; also how long others wait in vain
            after a crash.
        wait: how long to wait for somebody else to end.

    Raises:
        Busy: somebody else did not end within ``wait``.
    """
    name, pause, until = _lease_name(store, model), threading.Event(), time.monotonic() + wait
    while (lease := leases.take(ledger, name, holder[:200], seconds)) is None:
        if time.monotonic() >= until:
            raise Busy(t("registry.busy", model=model))
        pause.wait(_TRY_AGAIN_SECONDS)

    def check() -> None:
        if not leases.renew(ledger, lease, seconds):
            raise Conflict(t("registry.lease_lost", model=model), t("registry.look_again"))

    lingers = False

    def linger(longer: float) -> None:
        nonlocal lingers
        lingers = True
        leases.renew(ledger, lease, max(longer, seconds))

    try:
        yield Alone(lease.token, check, linger)
    finally:
        if not lingers:
            leases.give_back(ledger, lease)


def _lease_name(store: str, model: str) -> str:
    name = f"model:{store}:{model}"
    return name if len(name) <= _NAME_LENGTH else f"model:{sha256(name.encode()).hexdigest()}"


def _alias_change(
    model: str,
    version: int,
    alias: str,
    seen: int | None,
    comment: str,
    ladder: Ladder,
    plan: Callable[[ModelState], tuple[Step, ...]],
) -> _Change:
    def compare(state: ModelState) -> None:
        carrier = state.carrier(alias)
        if carrier not in (seen, version):
            raise Conflict(_alias_words(alias, carrier))

    return _Change(
        kind=Kind.ALIAS,
        model=ids.model_name(model),
        version=version,
        wanted=alias,
        archive_existing=False,
        comment=_comment(comment),
        ladder=ladder,
        compare=compare,
        plan=plan,
    )


def _comment(text: str) -> str:
    return ids.no_control(text.strip(), "comment")


def _carry_out(
    mlflow: Mlflow,
    ledger: Ledger,
    actor: Actor,
    change: _Change,
    hold: HoldModel,
    before_step: Hook | None,
) -> Outcome:
    with hold(ledger, mlflow.address, change.model, actor.name) as alone:
        settled = _settle(mlflow, ledger, change.model, change.ladder, alone)
        state = read_state(mlflow, change.model)
        change.compare(state)
        steps = change.plan(state)
        if not steps:
            return Outcome(None, state, settled=settled)
        begun = begin(
            ledger,
            store=mlflow.address,
            model=change.model,
            version=change.version,
            kind=change.kind,
            wanted=change.wanted,
            archive_existing=change.archive_existing,
            actor=actor.name,
            comment=change.comment,
            token=alone.token,
            steps=steps,
            state=state,
            ladder=change.ladder,
        )
        failure = _apply(mlflow, change.model, steps, alone, before_step)
        return replace(_read_back(mlflow, ledger, change, begun, failure), settled=settled)


def _apply(
    mlflow: Mlflow, model: str, steps: Sequence[Step], alone: Alone, before_step: Hook | None
) -> DeckError | None:
    """Make the writes, each once. Gives back what stopped it; the caller looks what is there."""
    for place, step in enumerate(steps):
        try:
            if before_step is not None:
                before_step(place, step)
            alone.check()
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


def _read_back(
    mlflow: Mlflow,
    ledger: Ledger,
    change: _Change,
    begun: Transition,
    failure: DeckError | None,
) -> Outcome:
    """Look what is there, write it down, and say so.

    Raises:
        DeckError: of the kind of ``failure``, where it left something undone; or OutcomeUnknown
            where a write may still land, or nothing can be read: the row stays open, and is
            settled once the lease is free.
    """
    try:
        after = read_state(mlflow, change.model)
        missing = change.plan(after)
    except DeckError as unreadable:
        reason = failure or unreadable
        raise OutcomeUnknown(
            t("registry.unreadable", what=reason.what, model=change.model),
            t("registry.unreadable_next"),
        ) from reason

    def close(state: State, message: str = "") -> Transition:
        return end(ledger, begun, state, after, change.ladder, message)

    if not missing:
        return Outcome(close(State.DONE), after)
    done, undone = _sorted(begun.steps, after)
    words = _how_far(done, undone or missing)
    if isinstance(failure, OutcomeUnknown):
        # What is there now says nothing of what will be once the write has landed.
        raise OutcomeUnknown(f"{failure.what} {words}", t("registry.unknown_next")) from failure
    if failure is None:
        line = close(State.PARTIAL, t("registry.changed_since", what=words))
        return Outcome(line, after, missing)
    words = f"{failure.what} {words}"
    close(State.PARTIAL if done else State.FAILED, words)
    raise type(failure)(words, failure.next_step) from failure


def _settle(
    mlflow: Mlflow, ledger: Ledger, model: str, ladder: Ladder, alone: Alone
) -> tuple[Transition, ...]:
    """Rows that are still open although their lease is gone: look what is there of each."""
    broken = unsettled(ledger, mlflow.address, model, alone.token)
    if not broken:
        return ()
    try:
        state, gone = read_state(mlflow, model), False
    except NotFound:
        state, gone = ModelState(model, ()), True
    settled = []
    for row in broken:
        done, undone = _sorted(row.steps, state)
        if gone:
            found, words = State.INTERRUPTED, t("registry.gone", model=model)
        elif undone:
            found, words = State.INTERRUPTED, t("registry.interrupted", what=_how_far(done, undone))
        else:
            found, words = State.DONE, t("registry.settled")
        settled.append(end(ledger, row, found, state, ladder, words))
    return tuple(settled)


def _sorted(steps: Sequence[Step], state: ModelState) -> tuple[list[Step], list[Step]]:
    """The steps that are in effect, and those that are not."""
    done = [step for step in steps if step.in_effect(state)]
    return done, [step for step in steps if step not in done]


def _how_far(done: Sequence[Step], undone: Sequence[Step]) -> str:
    missing = _listed(undone)
    if not done:
        return t("registry.none_done", undone=missing)
    return t("registry.some_done", done=_listed(done), undone=missing)


def _listed(steps: Sequence[Step]) -> str:
    return "; ".join(step.sentence for step in steps)


def _conflict(
    mlflow: Mlflow,
    ledger: Ledger,
    state: ModelState,
    wanted: Wanted,
    found: Sequence[Difference],
) -> Conflict:
    """Say what changed since the person looked, and by whom where the record knows."""
    rows = record(ledger, wanted.model, store=mlflow.address)
    return Conflict(" ".join(_difference_words(state, rows, item) for item in found))


def _difference_words(state: ModelState, rows: Sequence[Transition], item: Difference) -> str:
    if item.alias:
        return _alias_words(item.alias, item.version or None)
    version = state.find(item.version)
    if version is None:
        return t("registry.conflict.gone", version=item.version)
    row = mover(rows, item.version, item.rung)
    if row is None:
        return t("registry.conflict.outside", version=item.version, rung=item.rung)
    since = (now() - (row.ended_at or row.begun_at)).total_seconds()
    ago = formats.duration(since)
    return t(
        "registry.conflict.moved" if since >= 2 else "registry.conflict.just_moved",
        version=item.version,
        rung=item.rung,
        actor=row.actor,
        ago=ago,
    )


def _alias_words(alias: str, carrier: int | None) -> str:
    if carrier is None:
        return t("registry.conflict.alias_gone", alias=alias)
    return t("registry.conflict.alias", alias=alias, version=carrier)
