"""The record: which transitions were begun, by whom, what they did, and how they ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.ledger import Ledger, chain, new_id, now
from core.ledger.chain import Entry, Line
from core.ledger.schema import transitions as table
from core.registry import known
from core.registry.ladder import Ladder
from core.registry.plan import ModelState, Step, StepKind, touched
from core.texts import t


class Kind(StrEnum):
    """What was asked for."""

    RUNG = "rung"
    """A version was moved to a rung."""
    ALIAS = "alias"
    """An alias was set or removed by hand."""


class State(StrEnum):
    """How far a transition came."""

    APPLYING = "applying"
    """It was begun. Where its lease is gone, the next transition of the model settles it."""
    DONE = "done"
    """Read back: all is as wanted."""
    PARTIAL = "partial"
    """Read back: some of it is there."""
    FAILED = "failed"
    """Read back: none of it is there."""
    INTERRUPTED = "interrupted"
    """Whoever applied it went away; what of it is there was found out later."""
    UNDONE = "undone"
    """It broke off, and what of it was there was taken back."""


@dataclass(frozen=True)
class Placement:
    """Where a version stood, as far as the record keeps it."""

    rung: str
    stage: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Transition:
    """One line of the record."""

    id: str
    store: str
    """Address of the MLflow store."""
    model: str
    version: int
    kind: Kind
    wanted: str
    """The rung, or the alias."""
    archive_existing: bool
    actor: str
    comment: str
    state: State
    token: int
    """Of the lease under which it was applied."""
    steps: tuple[Step, ...]
    before: Mapping[int, Placement]
    """The versions concerned, by number."""
    after: Mapping[int, Placement] | None
    """The same read back; None where it was not yet."""
    message: str
    begun_at: datetime
    ended_at: datetime | None
    request_id: str = ""
    """The request that it carries out; "" where there was none."""
    path: str = "direct"
    """By which way it was asked for: ``direct``, ``desk``, ``rollback``, ``break_glass``."""
    line: Line | None = None
    """Its newest line in the record's chain, where it has just been written."""

    @property
    def sentence(self) -> str:
        """What was asked for, in plain words."""
        if self.kind is Kind.ALIAS:
            return " ".join(step.sentence for step in self.steps)
        return t("registry.step.set_stage", version=self.version, value=self.wanted)


def record(
    ledger: Ledger, model: str | None = None, limit: int = 100, *, store: str | None = None
) -> list[Transition]:
    """The newest transitions, newest first.

    Args:
        model: of this model only.
        limit: at most so many.
        store: of this MLflow store only; a ledger may have served several.
    """
    query = sa.select(table).order_by(table.c.begun_at.desc(), table.c.token.desc()).limit(limit)
    if model is not None:
        query = query.where(table.c.model == model)
    if store is not None:
        query = query.where(table.c.store == store)
    return _rows(ledger, query)


def unsettled(ledger: Ledger, store: str, model: str, token: int) -> list[Transition]:
    """Transitions of a model that were begun under an earlier lease than ``token`` and not ended,
    oldest first: whoever began them has gone."""
    query = (
        sa.select(table)
        .where(
            table.c.model == model,
            table.c.state == State.APPLYING,
            table.c.token < token,
            table.c.store == store,
        )
        .order_by(table.c.begun_at)
    )
    return _rows(ledger, query)


def open_models(ledger: Ledger, store: str) -> list[str]:
    """Models of a store with a transition that was begun and not ended, by name."""
    query = (
        sa.select(table.c.model)
        .where(table.c.store == store, table.c.state == State.APPLYING)
        .distinct()
        .order_by(table.c.model)
    )
    with ledger.transaction(t("registry.recording")) as connection:
        return list(connection.execute(query).scalars())


def begin(
    ledger: Ledger,
    *,
    store: str,
    model: str,
    version: int,
    kind: Kind,
    wanted: str,
    archive_existing: bool,
    actor: str,
    comment: str,
    token: int,
    steps: Sequence[Step],
    state: ModelState,
    ladder: Ladder,
    path: str = "direct",
    request_id: str = "",
    actor_kind: str = "local",
    transition_id: str = "",
) -> Transition:
    """Write down what is about to be done, before anything is: a row, and a line of the chain.

    Before it comes what changed in the model without Modeldeck.

    Args:
        state: of the whole model, read under its lease.
        path: by which way it was asked for.
        request_id: the request that it carries out.
        transition_id: the id that the request was promised; a fresh one unless given.
    """
    row = {
        "id": transition_id or new_id(),
        "store": store,
        "model": model,
        "version": version,
        "kind": kind,
        "wanted": wanted,
        "archive_existing": archive_existing,
        "actor": actor,
        "comment": comment,
        "state": State.APPLYING,
        "token": token,
        "steps": [step.as_json() for step in steps],
        "before": _snapshot(state, {version, *touched(steps)}, ladder),
        "message": "",
        "begun_at": now(),
        "request_id": request_id,
        "path": path,
    }
    with ledger.transaction(t("registry.recording")) as connection:
        connection.execute(table.insert().values(**row))
        begun = _transition(row | {"after": None, "ended_at": None})
        known.catch_up(connection, store, state, ladder)
        line = chain.append(connection, _entry(begun, "begun", actor, actor_kind))
    return replace(begun, line=line)


def end(
    ledger: Ledger,
    begun: Transition,
    state: State,
    after: ModelState,
    ladder: Ladder,
    message: str = "",
    *,
    actor: str = "",
    actor_kind: str = "local",
) -> Transition:
    """Write down how a transition ended, unless somebody settled it in the meantime.

    What was found beside it, and is neither as before nor as planned, is written down first, as
    changed without Modeldeck: whoever reads the lines in their order takes it for nobody's move.

    Args:
        after: the whole model, read back under its lease; without versions where it is gone.
        actor: who found out how it ended, where that is not who began it.
    """
    snapshot = _snapshot(after, begun.before, ladder)
    ended = replace(
        begun, state=state, after=_placements(snapshot), message=message, ended_at=now(), line=None
    )
    with ledger.transaction(t("registry.recording")) as connection:
        changed = connection.execute(
            table.update()
            .where(table.c.id == begun.id, table.c.state == State.APPLYING)
            .values(state=state, after=snapshot, message=message, ended_at=ended.ended_at)
        )
        if changed.rowcount:
            if after.versions:
                _know(connection, begun, after, ladder)
                known.catch_up(connection, begun.store, after, ladder)
            entry = _entry(ended, state, actor or begun.actor, actor_kind, settled=bool(actor))
            ended = replace(ended, line=chain.append(connection, entry))
    return ended if ended.line else get(ledger, begun.id)


def get(ledger: Ledger, transition_id: str) -> Transition:
    """One transition by its row's id."""
    with ledger.transaction(t("registry.recording")) as connection:
        row = connection.execute(sa.select(table).where(table.c.id == transition_id)).one()
    return _transition(row._mapping)


def find(ledger: Ledger, transition_id: str) -> Transition | None:
    """One transition by its row's id; None where there is none."""
    found = _rows(ledger, sa.select(table).where(table.c.id == transition_id))
    return found[0] if found else None


def mover(rows: Iterable[Transition], version: int, rung: str) -> Transition | None:
    """Of ``rows`` (newest first) the one that moved a version to the rung where it stands now.

    None where the last move on record went elsewhere, or there is none: then it was moved without
    Modeldeck.
    """
    for row in rows:
        was, became = row.before.get(version), (row.after or {}).get(version)
        if was and became and was.rung != became.rung:
            return row if became.rung == rung else None
    return None


def _rows(ledger: Ledger, query: sa.Select[Any]) -> list[Transition]:
    with ledger.transaction(t("registry.recording")) as connection:
        return [_transition(row._mapping) for row in connection.execute(query)]


def _snapshot(
    state: ModelState, versions: Iterable[int], ladder: Ladder
) -> dict[str, dict[str, object]]:
    found = (state.find(number) for number in sorted(versions))
    return {
        str(v.version): {
            "rung": ladder.standing(v.stage, v.aliases, v.tags).name,
            "stage": v.stage,
            "aliases": list(v.aliases),
        }
        for v in found
        if v
    }


def _know(connection: Connection, begun: Transition, after: ModelState, ladder: Ladder) -> None:
    """Know of the versions concerned what the steps brought about, and nothing beyond it."""
    was = known.read(connection, begun.store, begun.model).get(begun.model, {})
    stages = {s.version: s.value for s in begun.steps if s.kind is StepKind.SET_STAGE}
    moves = (StepKind.SET_ALIAS, StepKind.DELETE_ALIAS)
    moved = {s.value for s in begun.steps if s.kind in moves}
    tags = {s.version: (s.key, s.value) for s in begun.steps if s.kind is StepKind.SET_TAG}
    became = dict(was)
    for number in begun.before:
        found, old = after.find(number), was.get(number)
        if found is None or old is None:
            continue
        staged = stages.get(number, "").casefold() == found.stage.casefold()
        kept = [alias for alias in old.aliases if alias not in moved]
        mine = replace(
            found,
            stage=found.stage if staged else old.stage,
            aliases=tuple(sorted([*kept, *(moved & set(found.aliases))])),
            source=old.source,
            updated_at=found.updated_at if number in stages else old.updated_at,
        )
        one = known.of(mine, ladder, now())
        became[number] = one if one.tag == tags.get(number) else replace(one, tag=old.tag)
    known.put(connection, begun.store, begun.model, was, became)


def _entry(
    row: Transition, what: str, actor: str, actor_kind: str, *, settled: bool = False
) -> Entry:
    ended = row.after is not None
    return Entry(
        f"transition.{what}",
        actor=actor,
        actor_kind=actor_kind,
        path=row.path,
        store=row.store,
        model=row.model,
        version=row.version,
        rung=row.wanted if row.kind is Kind.RUNG else "",
        request_id=row.request_id,
        transition_id=row.id,
        before=_as_json(row.before),
        after=_as_json(row.after) if row.after is not None else None,
        why=row.comment,
        details={
            "kind": row.kind,
            "wanted": row.wanted,
            "steps": [step.as_json() for step in row.steps],
            **({"begun_by": row.actor, "message": row.message} if ended else {}),
            **({"settled": True} if settled else {}),
        },
    )


def _as_json(placements: Mapping[int, Placement]) -> dict[str, dict[str, Any]]:
    return {
        str(n): {"rung": p.rung, "stage": p.stage, "aliases": list(p.aliases)}
        for n, p in placements.items()
    }


def _placements(data: Mapping[str, Any]) -> dict[int, Placement]:
    return {
        int(number): Placement(place["rung"], place["stage"], tuple(place["aliases"]))
        for number, place in data.items()
    }


def _transition(row: Any) -> Transition:
    data = dict(row)
    before, after = data["before"], data["after"]
    return Transition(
        **{
            **data,
            "kind": Kind(data["kind"]),
            "state": State(data["state"]),
            "steps": tuple(Step.from_json(step) for step in data["steps"]),
            "before": _placements(before),
            "after": None if after is None else _placements(after),
        }
    )
