"""Compare MLflow with what is known of it, and write down what changed there without Modeldeck.

Nothing is ever written to a stage or an alias here. A change that was taken back before anybody
looked left no trace in MLflow where it was one of aliases, and is not found.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlalchemy.engine import Connection

from core.errors import Busy, DeckError, InvalidInput, NotAllowed, NotFound
from core.ledger import Ledger, chain, now
from core.ledger.chain import Entry, Line
from core.mlflow_api import ids
from core.mlflow_api.nouns import ModelVersion
from core.mlflow_api.permissions import as_of_now
from core.people import Permission
from core.people.permissions import require_model
from core.registry import heads, known
from core.registry.desk import Desk
from core.registry.known import Known
from core.registry.lease import model_lease
from core.registry.plan import ModelState
from core.registry.record import open_models
from core.texts import t

ACKNOWLEDGED = "acknowledged"
_ALERTS = (*known.UNATTRIBUTED, chain.UNREADABLE)
_log = logging.getLogger("modeldeck.record")


def reconcile(desk: Desk, model: str | None = None) -> tuple[Line, ...]:
    """One pass over a store, or over one model: the lines that it wrote.

    A model that somebody is changing at this moment, or with a change that broke off and is not
    settled yet, is left for the next pass. Models that differ are read again, alone on each.

    Raises:
        DeckError: MLflow or the ledger does not answer.
    """
    store, ladder = desk.service.address, desk.rules.ladder
    begun = now()
    registry = desk.service.registry
    found = registry.models()
    versions = registry.all_versions(found)
    states = _states(versions)
    with desk.ledger.transaction(t("registry.recording")) as connection:
        was = known.read(connection, store, model)
        looked_at = known.looked_at(connection, store)
    states = {name: states.get(name, ModelState(name, ())) for name in (m.name for m in found)}
    if model is not None:
        states = {name: state for name, state in states.items() if name == model}
    lines: list[Line] = []
    if not looked_at:
        lines += _first_look(desk, states, whole=model is None)
        with desk.ledger.transaction(t("registry.recording")) as connection:
            was = known.read(connection, store, model)
    differing = {
        name for name in states.keys() | was.keys()
        if _differs(was.get(name, {}), states.get(name))
        or known.every(states.get(name) or ModelState(name, ()), ladder, begun).keys()
        != was.get(name, {}).keys()
        or _rungs_differ(desk, was.get(name, {}), states.get(name))
    }  # fmt: skip
    renamed = _renamed({n: was[n] for n in differing if n in was and n not in states}, states, was)
    for old, new in sorted(renamed.items()):
        lines += _rename(desk, old, new)
    broken = set(open_models(desk.ledger, store))
    for name in sorted(differing - broken - renamed.keys()):
        lines += _one(desk, name)
    with desk.ledger.transaction(t("registry.recording")) as connection:
        known.seen(connection, store, begun, {n for n in states if n not in differing})
    heads.publish(desk, *lines)
    if model is None:
        heads.republish(desk, found, versions)
    return tuple(lines)


def alerts(ledger: Ledger, store: str, model: str | None = None) -> dict[str, list[int]]:
    """Changes without Modeldeck that nobody has acknowledged yet: model → the numbers of their
    lines, newest first. There may be thousands, of which a page shows few."""
    found = chain.numbers(ledger, store=store, model=model, action=known.UNATTRIBUTED)
    if not found:
        return {}
    said = chain.lines(ledger, store=store, model=model, action=ACKNOWLEDGED, limit=None)
    done = {number for line in said for number in line.entry.details.get("numbers", ())}
    left = {name: [n for n in numbers if n not in done] for name, numbers in found.items()}
    return {name: numbers for name, numbers in left.items() if numbers}


def acknowledge(desk: Desk, numbers: int | Iterable[int], comment: str) -> Line:
    """Say, for the record, that changes without Modeldeck were looked at.

    Args:
        numbers: of lines of one model.

    Raises:
        NotAllowed: the person is neither an administrator nor one who decides on the model, or may
            not read it.
        InvalidInput: there is no comment, or no such line.
    """
    wanted = [numbers] if isinstance(numbers, int) else sorted(set(numbers))
    found = [chain.line(desk.ledger, number) for number in wanted]
    lines = [line for line in found if line and line.entry.action in _ALERTS]
    models = {line.entry.model for line in lines}
    stores = {line.entry.store for line in lines}
    if len(lines) != len(wanted) or len(models) != 1 or stores != {desk.mlflow.address}:
        raise InvalidInput(t("record.no_alert"))
    words = ids.no_control(comment.strip(), "comment")
    if not words:
        raise InvalidInput(t("record.no_comment"), field="comment")
    (model,) = models
    require_model(desk.permissions, desk.actor, model, Permission.READ)
    desk = replace(desk, actor=as_of_now(desk.mlflow, desk.actor))
    if not may_acknowledge(desk, model):
        raise NotAllowed(t("record.not_acknowledge", actor=desk.actor.name, model=model))
    entry = Entry(
        ACKNOWLEDGED,
        desk.actor.name,
        desk.actor.kind,
        store=desk.mlflow.address,
        model=model,
        version=lines[0].entry.version if len(lines) == 1 else None,
        why=words,
        details={"numbers": wanted},
    )
    with desk.ledger.transaction(t("registry.recording")) as connection:
        line = chain.append(connection, entry)
    heads.publish(desk, line)
    return line


def may_acknowledge(desk: Desk, model: str) -> bool:
    """Whether this person is an administrator, as far as a page knows, or decides on any rung of
    the model."""
    rungs = desk.rules.ladder.rungs
    decides = any(desk.rules.policy(model, r.name).may_decide(desk.actor) for r in rungs)
    return desk.actor.administrator or decides


def _states(versions: Iterable[ModelVersion]) -> dict[str, ModelState]:
    by_model: dict[str, list[ModelVersion]] = {}
    for version in versions:
        by_model.setdefault(version.model, []).append(version)
    return {name: ModelState.of(name, found) for name, found in by_model.items()}


def _differs(was: Mapping[int, Known], state: ModelState | None) -> bool:
    """Whether a model is not as it is known, as far as MLflow's own fields say."""
    if state is None or len(state.versions) != len(was):
        return True
    return any(
        (old := was.get(v.version)) is None
        or (old.stage, old.aliases, old.source, old.updated_at)
        != (v.stage, v.aliases, v.source, v.updated_at)
        for v in state.versions
    )


def _rungs_differ(desk: Desk, was: Mapping[int, Known], state: ModelState | None) -> bool:
    """The same as far as the ladder says: a rung, or the tag that names it."""
    became = known.every(state, desk.rules.ladder, now()) if state else {}
    return any((was[n].rung, was[n].tag) != (k.rung, k.tag) for n, k in became.items() if n in was)


def _one(desk: Desk, model: str) -> list[Line]:
    """One model that differs, read again alone on it."""
    store, ladder = desk.service.address, desk.rules.ladder
    try:
        with model_lease(desk.ledger, store, model, desk.actor.name, wait=0) as alone:
            if model in open_models(desk.ledger, store):
                return []
            try:
                state = ModelState.of(model, desk.service.registry.versions(model))
            except NotFound:
                state = None
            alone.check()
            with desk.ledger.transaction(t("registry.recording")) as connection:
                if state is None:
                    return _model_gone(connection, store, model)
                return list(known.catch_up(connection, store, state, ladder))
    except Busy:
        _log.info("%s is being changed: compared at the next pass", model)
    except DeckError as error:  # the models after it must not wait for this one
        _log.warning("%s could not be compared with the record: %s", model, error.what)
    return []


def _model_gone(connection: Connection, store: str, model: str) -> list[Line]:
    was = known.read(connection, store, model).get(model, {})
    known.put(connection, store, model, was, {})
    if not was:
        return []
    entry = _outside(known.MODEL_DELETED, store, model, was)
    return [chain.append(connection, entry)]


def _renamed(
    gone: Mapping[str, Mapping[int, Known]],
    states: Mapping[str, ModelState],
    was: Mapping[str, Mapping[int, Known]],
) -> dict[str, str]:
    """Old name → new: all versions with their sources stand under a name that nobody knew."""
    fresh = {
        frozenset((v.version, v.source) for v in state.versions): name
        for name, state in states.items()
        if state.versions and name not in was
    }
    pairs = {
        old: fresh.get(frozenset((k.version, k.source) for k in rows.values()))
        for old, rows in gone.items()
    }
    return {old: new for old, new in pairs.items() if new is not None}


def _rename(desk: Desk, old: str, new: str) -> list[Line]:
    store = desk.service.address
    with desk.ledger.transaction(t("registry.recording")) as connection:
        was = known.read(connection, store, old).get(old, {})
        if not was or known.read(connection, store, new):
            return []
        # A renaming moves the time of every version: what is found next accuses nobody of that.
        moved = {n: known.untimed(k) for n, k in was.items()}
        known.put(connection, store, old, was, {})
        known.put(connection, store, new, {}, moved)
        entry = _outside(known.RENAMED, store, new, was, after=True, old_name=old, new_name=new)
        line = chain.append(connection, entry)
        gone = _outside(known.RENAMED, store, old, was, old_name=old, new_name=new)
        return [line, chain.append(connection, gone)]


def _outside(
    action: str, store: str, model: str, was: Mapping[int, Known], *, after: bool = False,
    **details: object,
) -> Entry:  # fmt: skip
    standing = {str(n): k.placement for n, k in sorted(was.items())}
    return Entry(
        action,
        "",
        "unknown",
        "outside",
        store,
        model,
        before={} if after else standing,
        after=standing if after else {},
        details={
            "last_known": min(k.known_at for k in was.values()).isoformat(),
            "versions": len(was),
            **details,
        },
    )


def _first_look(desk: Desk, states: Mapping[str, ModelState], *, whole: bool) -> list[Line]:
    """What is found where nobody looked before: it accuses nobody."""
    store, ladder, at = desk.service.address, desk.rules.ladder, now()
    lines: list[Line] = []
    with desk.ledger.transaction(t("registry.recording")) as connection:
        if known.looked_at(connection, store):  # another process was quicker
            return []
        mine = known.read(connection, store)
        fresh = {n: known.every(s, ladder, at) for n, s in sorted(states.items()) if n not in mine}
        for name, found in fresh.items():
            known.put(connection, store, name, {}, found)
        # Last: who writes to the record is alone on it, and waits for nobody's rows then.
        for name, found in fresh.items():
            entry = known.baseline(store, name, found, ladder)
            if entry is not None:
                lines.append(chain.append(connection, entry))
        if whole:
            total = sum(len(state.versions) for state in states.values())
            entry = Entry(
                known.BASELINE, "", "unknown", "reconcile", store,
                details={"models": len(states), "versions": total},
            )  # fmt: skip
            lines.append(chain.append(connection, entry))
    return lines
