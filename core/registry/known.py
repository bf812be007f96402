"""What Modeldeck knows of the versions in MLflow, and what changed there without it.

A row for each version says how it stood when it was last written or looked at. Where MLflow differs
from it, somebody else wrote.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.formats import visible
from core.ledger import Ledger, chain, now
from core.ledger.chain import Entry, Line
from core.ledger.schema import known_versions as table
from core.ledger.schema import record as chain_table
from core.mlflow_api.nouns import ModelVersion
from core.registry.ladder import NO_STAGE, Ladder
from core.registry.plan import ModelState, VersionState
from core.texts import t

BASELINE = "baseline"
"""The action of lines that say what was found when Modeldeck first looked."""
STAGE, ALIAS, RUNG, TAG, SOURCE, TIMESTAMP, NEW, DELETED, MODEL_DELETED, RENAMED = UNATTRIBUTED = (
    "unattributed.stage",
    "unattributed.alias",
    "unattributed.rung",
    "unattributed.tag",
    "unattributed.source",
    "unattributed.timestamp",
    "unattributed.new",
    "unattributed.deleted",
    "unattributed.model_deleted",
    "unattributed.renamed",
)
"""The actions of lines about changes that were made without Modeldeck."""


@dataclass(frozen=True)
class Known:
    """One version as it was last written or looked at."""

    version: int
    stage: str
    aliases: tuple[str, ...]
    rung: str
    source: str
    updated_at: datetime | None
    """MLflow's time of its last change. None while a write of ours is under way that moves it:
    whatever is found next is ours."""
    known_at: datetime
    """When it was last seen to be so."""
    tag: tuple[str, str] | None = None
    """The ladder's tag: its key, and its value, "" where it is missing. None where that was not
    looked at yet."""

    @property
    def placement(self) -> dict[str, Any]:
        """Where it stands, as lines of the record keep it."""
        return {"rung": self.rung, "stage": self.stage, "aliases": list(self.aliases)}


def of(version: VersionState, ladder: Ladder, at: datetime) -> Known:
    """A version as MLflow tells it."""
    return Known(
        version.version,
        version.stage,
        version.aliases,
        ladder.standing(version.stage, version.aliases, version.tags).name,
        version.source,
        version.updated_at,
        at,
        (ladder.tag, version.tags.get(ladder.tag, "")),
    )


def every(state: ModelState, ladder: Ladder, at: datetime) -> dict[int, Known]:
    """All versions of a model as MLflow tells them."""
    return {v.version: of(v, ladder, at) for v in state.versions}


def changes(
    store: str, model: str, was: Mapping[int, Known], became: Mapping[int, Known], ladder: Ladder
) -> list[Entry]:
    """What happened to a model without Modeldeck: one entry for each change; decides only.

    A version that is new, stands on the lowest rung and carries no alias is no change to tell of:
    whoever trains registers versions.

    Args:
        was: how its versions are known to have stood.
        became: how they stand.
    """
    lowest = ladder.standing(NO_STAGE, (), {}).name
    found: list[Entry] = []

    def say(action: str, versions: Iterable[int], path: str = "outside", **details: Any) -> None:
        concerned = sorted(set(versions))
        known = [was[n].known_at for n in concerned if n in was]
        found.append(
            Entry(
                action,
                actor="",
                actor_kind="unknown",
                path=path,
                store=store,
                model=model,
                version=concerned[-1],
                rung=became[concerned[-1]].rung if concerned[-1] in became else "",
                before={str(n): was[n].placement for n in concerned if n in was},
                after={str(n): became[n].placement for n in concerned if n in became},
                details={
                    "last_known": min(known).isoformat() if known else None,
                    "changed": _latest(became[n].updated_at for n in concerned if n in became),
                    **details,
                },
            )
        )

    for n in sorted(was.keys() | became.keys()):
        old, new = was.get(n), became.get(n)
        if new is None:
            say(DELETED, [n])
        elif old is None:
            if new.rung != lowest:
                say(NEW, [n])
        else:
            for action in _actions(old, new, ladder):
                path = "reconcile" if action == BASELINE else "outside"
                say(action, [n], path, **(_tags(old, new) if action == TAG else {}))
            if old.source != new.source:
                say(SOURCE, [n], source_before=old.source, source_after=new.source)
    told = {entry.version for entry in found if entry.action == NEW}
    carried, carries = _carriers(was), _carriers(became)
    for alias in sorted(carried.keys() | carries.keys()):
        source, target = carried.get(alias), carries.get(alias)
        with_its_version = target is None and source not in became
        if source != target and not with_its_version and not (source is None and target in told):
            concerned = [n for n in (source, target) if n is not None]
            entry_version = target if target is not None else source
            say(ALIAS, concerned, alias=alias, from_version=source, to_version=target)
            found[-1] = replace(found[-1], version=entry_version)
    return found


def _actions(old: Known, new: Known, ladder: Ladder) -> Iterable[str]:
    """What happened to one version, aliases and source apart."""
    elsewhere = old.rung != new.rung and old.aliases == new.aliases
    timed = old.updated_at is not None and old.updated_at != new.updated_at
    if old.stage != new.stage:
        yield STAGE
        timed = False  # the stage moves it
    elif elsewhere and _by_a_tag(old, ladder):
        yield RUNG  # by its tag alone
        return
    elif elsewhere:  # nobody moved it: the rungs are others now
        yield BASELINE
    if _retagged(old, new):
        yield TAG
    if timed and old.source == new.source:
        yield TIMESTAMP


def _retagged(old: Known, new: Known) -> bool:
    """Whether a tag has another value; of another ladder's tag nothing was known."""
    return bool(old.tag and new.tag and old.tag[0] == new.tag[0] and old.tag != new.tag)


def _tags(old: Known, new: Known) -> dict[str, str]:
    (key, before), (_, after) = old.tag or ("", ""), new.tag or ("", "")
    # A search on PostgreSQL would end at a line with NUL, which a tag may hold elsewhere.
    return {"tag": key, "tag_before": visible(before), "tag_after": visible(after)}


def _by_a_tag(old: Known, ladder: Ladder) -> bool:
    """Whether a tag alone decides under ``ladder`` that a version stood where it is known to."""
    tags: list[dict[str, str]] = [{}, *({ladder.tag: rung.name} for rung in ladder.rungs)]
    return old.rung in {ladder.standing(old.stage, old.aliases, tag).name for tag in tags}


def read(connection: Connection, store: str, model: str | None = None) -> dict[
    str, dict[int, Known]
]:  # fmt: skip
    """What is known of a store's models, or of one: model → version → how it stood."""
    query = sa.select(table).where(table.c.store == store)
    if model is not None:
        query = query.where(table.c.model == model)
    found: dict[str, dict[int, Known]] = {}
    for row in connection.execute(query):
        found.setdefault(row.model, {})[row.version] = Known(
            row.version, row.stage, tuple(row.aliases), row.rung, row.source, row.updated_at,
            row.known_at, row.tag and tuple(row.tag),
        )  # fmt: skip
    return found


def source(ledger: Ledger, store: str, model: str, version: int) -> str | None:
    """Where a version's files are, as far as is known; None where it is not known."""
    query = sa.select(table.c.source).where(
        table.c.store == store, table.c.model == model, table.c.version == version
    )
    with ledger.transaction(t("record.reading")) as connection:
        return connection.execute(query).scalar_one_or_none()


def catch_up(
    connection: Connection, store: str, state: ModelState, ladder: Ladder
) -> tuple[Line, ...]:
    """Write down what changed in a model without Modeldeck, and know it from now on.

    To be called under the model's lease with what was read under it. A model that is seen for the
    first time gets a line of what was found, which accuses nobody.
    """
    was = read(connection, store, state.model).get(state.model, {})
    became = every(state, ladder, now())
    if not was and not looked_at(connection, store):
        entries = [e for e in [baseline(store, state.model, became, ladder)] if e]
    else:
        entries = changes(store, state.model, was, became, ladder)
    put(connection, store, state.model, was, became)
    return tuple(chain.append(connection, entry) for entry in entries)


def baseline(store: str, model: str, found: Mapping[int, Known], ladder: Ladder) -> Entry | None:
    """The line of a model that is seen for the first time; None where nothing stands higher."""
    lowest = ladder.standing(NO_STAGE, (), {}).name
    standing = {n: k for n, k in sorted(found.items()) if k.rung != lowest or k.aliases}
    if not standing:
        return None
    return Entry(
        BASELINE,
        actor="",
        actor_kind="unknown",
        path="reconcile",
        store=store,
        model=model,
        after={str(n): k.placement for n, k in standing.items()},
        details={"versions": len(found)},
    )


def put(
    connection: Connection,
    store: str,
    model: str,
    was: Mapping[int, Known],
    became: Mapping[int, Known],
) -> None:
    """Know ``became`` of a model from now on instead of ``was``.

    Not everybody who writes here is alone on the model: the last one counts.
    """
    gone = [n for n in was if n not in became]
    fresh = [became[n] for n in sorted(became) if was.get(n) != became[n]]
    if gone:
        connection.execute(
            table.delete().where(
                table.c.store == store, table.c.model == model, table.c.version.in_(gone)
            )
        )
    if fresh:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(table)
        key = [column.name for column in table.primary_key]
        rest = {c.name: insert.excluded[c.name] for c in table.c if c.name not in key}
        connection.execute(
            insert.on_conflict_do_update(index_elements=key, set_=rest),
            [_row(store, model, known) for known in fresh],
        )


def note(
    connection: Connection, store: str, versions: Iterable[ModelVersion], ladder: Ladder
) -> None:
    """Know versions as they were read back after a write of our own.

    To be called alone on the model; where the write moves a version's time in MLflow, call
    ``expect`` before it.
    """
    at = now()
    for version in versions:
        one = ModelState.of(version.model, [version]).versions[0]
        was = read(connection, store, version.model).get(version.model, {}).get(one.version)
        # Of a version that is known the time alone is ours: what else changed is not.
        became = replace(was, updated_at=one.updated_at) if was else of(one, ladder, at)
        before = {} if was is None else {one.version: was}
        put(connection, store, version.model, before, {one.version: became})


def note_made(connection: Connection, store: str, version: ModelVersion, ladder: Ladder) -> None:
    """Know a version that we made as it was then, unless somebody has looked at it since.

    Where nobody ever looked at the store, the first look will find it among the others.
    """
    mine = read(connection, store, version.model).get(version.model, {})
    if version.version in mine or not (mine or looked_at(connection, store)):
        return
    one = of(ModelState.of(version.model, [version]).versions[0], ladder, now())
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    row = _row(store, version.model, one)
    connection.execute(insert.values(row).on_conflict_do_nothing())


def expect(ledger: Ledger, store: str, model: str, version: int) -> None:
    """Say beforehand that a write of our own will move a version's time in MLflow."""
    with ledger.transaction(t("registry.recording")) as connection:
        connection.execute(
            table.update()
            .where(table.c.store == store, table.c.model == model, table.c.version == version)
            .values(updated_at=None)
        )


def untimed(one: Known) -> Known:
    """The same, whatever MLflow's time of it."""
    return replace(one, updated_at=None)


def seen(connection: Connection, store: str, at: datetime, models: Iterable[str]) -> None:
    """Say that models were found at ``at`` as they are known.

    A version that somebody else is writing of at this moment is left to them, and to the next
    pass: whoever waited here, with others of the rows held, could be waited for in turn.
    """
    mine = (table.c.store == store, table.c.model == sa.bindparam("name"))
    free = sa.select(table.c.version).where(*mine, table.c.known_at < at)
    change = table.update().where(
        *mine, table.c.version.in_(free.with_for_update(skip_locked=True))
    )
    names = [{"name": name} for name in sorted(models)]
    if names:
        connection.execute(change.values(known_at=at), names)


def looked_at(connection: Connection, store: str) -> bool:
    """Whether a pass over the whole store was made, so that what is unknown is new."""
    record = chain_table
    query = sa.select(record.c.number).where(
        record.c.action == BASELINE, record.c.store == store, record.c.model == ""
    )
    return connection.execute(query.limit(1)).first() is not None


def _carriers(known: Mapping[int, Known]) -> dict[str, int]:
    return {alias: n for n, k in known.items() for alias in k.aliases}


def _latest(times: Iterable[datetime | None]) -> str | None:
    found = [at for at in times if at is not None]
    return max(found).isoformat() if found else None


def _row(store: str, model: str, known: Known) -> dict[str, Any]:
    return {
        "store": store,
        "model": model,
        "version": known.version,
        "stage": known.stage,
        "aliases": list(known.aliases),
        "rung": known.rung,
        "source": known.source,
        "updated_at": known.updated_at,
        "known_at": known.known_at,
        "tag": known.tag,
    }
