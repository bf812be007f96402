"""The one path by which a version changes its stage or an alias its version.

Everything that moves versions comes through here, whoever asked for it: alone on the model (a lease
with a fencing token), compared with what the person saw, written down before it is begun, applied
step by step, read back, and written down as it was found. Requests, gates and approvals stand in
front of this path and change nothing in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core import formats
from core.errors import Conflict, DeckError, OutcomeUnknown
from core.ledger import Ledger, now
from core.mlflow_api import Mlflow, ids
from core.people import Actor
from core.registry.applying import Hook, apply, done_and_undone, how_far, read_state
from core.registry.ladder import LADDER, Ladder
from core.registry.lease import LEASE_SECONDS, Alone, HoldModel, model_lease
from core.registry.plan import (
    Difference,
    ModelState,
    Step,
    StepKind,
    Wanted,
    differences,
    plan_transition,
    see,
)
from core.registry.record import Kind, State, Transition, begin, end, mover, record
from core.registry.settling import settle, settle_all, settle_under
from core.texts import t

__all__ = [
    "LEASE_SECONDS",
    "Alone",
    "HoldModel",
    "Outcome",
    "Wanted",
    "Warrant",
    "conflict",
    "model_lease",
    "read_state",
    "record",
    "remove_alias",
    "see",
    "set_alias",
    "settle",
    "settle_all",
    "transition",
]


@dataclass(frozen=True)
class Warrant:
    """By whose decision a version is moved."""

    path: str = "direct"
    """``direct``, ``desk``, ``rollback`` or ``break_glass``."""
    request_id: str = ""
    transition_id: str = ""
    """The id that the request was promised, so that its approval is used once."""
    compare: Callable[[ModelState, tuple[Step, ...]], None] = lambda _state, _steps: None
    """Is called under the lease with what is there and what would be done; raises Conflict where
    that is not what was approved."""


DIRECT = Warrant()


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
    warrant: Warrant = DIRECT


def transition(
    mlflow: Mlflow,
    ledger: Ledger,
    actor: Actor,
    wanted: Wanted,
    ladder: Ladder = LADDER,
    *,
    warrant: Warrant = DIRECT,
    hold: HoldModel | None = None,
    before_step: Hook | None = None,
) -> Outcome:
    """Move a version to a rung of the ladder: its stage, the rung's alias and the tag.

    Args:
        mlflow: what writes: Modeldeck's service account where there are accounts.
        warrant: by whose decision.
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
            raise conflict(mlflow, ledger, state, wanted, found)
        warrant.compare(state, plan_transition(state, wanted, ladder))

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
        warrant,
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
        settled = settle_under(mlflow, ledger, actor, change.model, change.ladder, alone)
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
            actor_kind=actor.kind,
            comment=change.comment,
            token=alone.token,
            steps=steps,
            state=state,
            ladder=change.ladder,
            path=change.warrant.path,
            request_id=change.warrant.request_id,
            transition_id=change.warrant.transition_id,
        )
        failure = apply(mlflow, change.model, steps, alone, before_step)
        outcome = _read_back(mlflow, ledger, actor, change, begun, failure)
        return replace(outcome, settled=settled)


def _read_back(
    mlflow: Mlflow,
    ledger: Ledger,
    actor: Actor,
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
        return end(ledger, begun, state, after, change.ladder, message, actor_kind=actor.kind)

    if not missing:
        return Outcome(close(State.DONE), after)
    done, undone = done_and_undone(begun.steps, after)
    words = how_far(done, undone or missing)
    if isinstance(failure, OutcomeUnknown):
        # What is there now says nothing of what will be once the write has landed.
        raise OutcomeUnknown(f"{failure.what} {words}", t("registry.unknown_next")) from failure
    if failure is None:
        line = close(State.PARTIAL, t("registry.changed_since", what=words))
        return Outcome(line, after, missing)
    words = f"{failure.what} {words}"
    close(State.PARTIAL if done else State.FAILED, words)
    raise type(failure)(words, failure.next_step) from failure


def conflict(
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
