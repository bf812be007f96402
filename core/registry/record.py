"""The record: which transitions were begun, by whom, what they did, and how they ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from core.ledger import Ledger, new_id, now
from core.ledger.schema import transitions as table
from core.registry.ladder import Ladder
from core.registry.plan import ModelState, Step, touched
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
) -> Transition:
    """Write down what is about to be done, before anything is."""
    row = {
        "id": new_id(),
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
    }
    with ledger.transaction(t("registry.recording")) as connection:
        connection.execute(table.insert().values(**row))
    return get(ledger, str(row["id"]))


def end(
    ledger: Ledger,
    begun: Transition,
    state: State,
    after: ModelState,
    ladder: Ladder,
    message: str = "",
) -> Transition:
    """Write down how a transition ended, unless somebody settled it in the meantime."""
    values = {
        "state": state,
        "after": _snapshot(after, begun.before, ladder),
        "message": message,
        "ended_at": now(),
    }
    with ledger.transaction(t("registry.recording")) as connection:
        connection.execute(
            table.update()
            .where(table.c.id == begun.id, table.c.state == State.APPLYING)
            .values(**values)
        )
    return get(ledger, begun.id)


def get(ledger: Ledger, transition_id: str) -> Transition:
    """One transition by its row's id."""
    with ledger.transaction(t("registry.recording")) as connection:
        row = connection.execute(sa.select(table).where(table.c.id == transition_id)).one()
    return _transition(row._mapping)


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
