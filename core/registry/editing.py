"""Descriptions and tags by hand: all but the tag that tells where a version stands.

Each edit names what the person saw and is refused where it is no longer so: nobody's newer text is
replaced unread. Written by Modeldeck's own account, for whoever holds EDIT on the model. Every one
is a line of the record.
"""

from core.errors import Conflict, InvalidInput, OutcomeUnknown
from core.mlflow_api import ids
from core.mlflow_api.nouns import ModelVersion, RegisteredModel
from core.people import Permission
from core.people.permissions import require_model
from core.registry import edited, heads, known
from core.registry.card import PREFIX
from core.registry.desk import Desk
from core.registry.lease import model_lease
from core.registry.plan import ModelState
from core.registry.register import ASKED_BY
from core.texts import t

OURS = (ASKED_BY, "modeldeck.record")
"""Tags that say who did what: written by Modeldeck alone."""


def describe(desk: Desk, model: str, version: int | None, text: str, *, seen: str) -> None:
    """Replace the description of a version, or of the registered model where that is None.

    A version's is written alone on the model: it moves the version's time in MLflow, and a pass or
    a transition that looked in between would take that for somebody else's change.

    Args:
        seen: the description that the person saw.

    Raises:
        NotAllowed: the person holds no EDIT on the model.
        Conflict: it is another by now; nothing was written.
        Busy: somebody else is changing the model.
    """
    require_model(desk.permissions, desk.actor, model, Permission.EDIT)
    if version is None:
        found = _compare_text(desk, model, version, (seen, text))
        if found != text:
            desk.service.registry.describe_model(model, text)
        line = edited.note(
            desk, "model.described", model, None, "description",
            seen=seen, found=found, wanted=text,
        )  # fmt: skip
        heads.publish(desk, line)
        return
    registry, store, ladder = desk.service.registry, desk.mlflow.address, desk.rules.ladder
    with model_lease(desk.ledger, store, model, desk.actor.name) as alone:
        found = _compare_text(desk, model, version, (seen, text))
        # What others changed before is told first: ours would hide it.
        state = ModelState.of(model, registry.versions(model))
        alone.check(2 * desk.service.gateway.deadlines.write)
        with desk.ledger.transaction(t("registry.recording")) as connection:
            lines = known.catch_up(connection, store, state, ladder)
        known.expect(desk.ledger, store, model, version)
        try:
            registry.describe_version(model, version, text)
        except OutcomeUnknown:
            alone.linger(2 * desk.service.gateway.deadlines.longest)
            raise
        now = registry.version(model, version)
        alone.check()
        with desk.ledger.transaction(t("registry.recording")) as connection:
            known.note(connection, store, [now], ladder)
        mine = edited.note(
            desk, "version.described", model, version, "description",
            seen=seen, found=found, wanted=text,
        )  # fmt: skip
    heads.publish(desk, *lines, mine)


def set_tag(
    desk: Desk, model: str, version: int | None, key: str, value: str, *, seen: str | None
) -> None:
    """Write one tag of a version, or of the registered model where that is None.

    Args:
        seen: the tag's value that the person saw, None where there was no such tag.

    Raises:
        NotAllowed: the person holds no EDIT on the model.
        InvalidInput: the key is missing, NUL is in it or in the value, or Modeldeck itself writes
            the tag.
        Conflict: the tag has another value by now; nothing was written.
    """
    require_model(desk.permissions, desk.actor, model, Permission.EDIT)
    key = ids.no_control(_free(desk, key, version), "key")
    ids.no_control(value, "value")
    found = _compare(desk, model, version, key, (seen, value))
    if found == value:
        pass  # it stands there already, though perhaps not in the record
    elif version is None:
        desk.service.registry.set_model_tag(model, key, value)
    else:
        desk.service.registry.set_version_tag(model, version, key, value)
    line = edited.note(desk, "tag.set", model, version, key, seen=seen, found=found, wanted=value)
    heads.publish(desk, line)


def delete_tag(desk: Desk, model: str, version: int | None, key: str, *, seen: str | None) -> None:
    """Remove one tag of a version, or of the registered model where that is None.

    Args:
        seen: the tag's value that the person saw.

    Raises:
        NotAllowed: the person holds no EDIT on the model.
        InvalidInput: Modeldeck itself writes the tag.
        Conflict: the tag has another value by now; nothing was removed.
    """
    require_model(desk.permissions, desk.actor, model, Permission.EDIT)
    _free(desk, key, version)
    found = _compare(desk, model, version, key, (seen, None))
    if found is None:
        pass  # it is gone already, though perhaps not in the record
    elif version is None:
        desk.service.registry.delete_model_tag(model, key)
    else:
        desk.service.registry.delete_version_tag(model, version, key)
    line = edited.note(
        desk, "tag.deleted", model, version, key, seen=seen, found=found, wanted=None
    )
    heads.publish(desk, line)


def _now(desk: Desk, model: str, version: int | None) -> RegisteredModel | ModelVersion:
    registry = desk.mlflow.registry
    return registry.model(model) if version is None else registry.version(model, version)


def _compare_text(desk: Desk, model: str, version: int | None, fine: tuple[str, ...]) -> str:
    found = _now(desk, model, version).description
    if found not in fine:
        raise Conflict(t("registry.other_description"), t("registry.other_description_next"))
    return found


def _compare(
    desk: Desk, model: str, version: int | None, key: str, fine: tuple[str | None, ...]
) -> str | None:
    value = _now(desk, model, version).tags.get(key)
    if value is None and value not in fine:
        raise Conflict(t("registry.tag_gone", key=key))
    if value not in fine:
        raise Conflict(t("registry.other_tag", key=key, value=value))
    return value


def _free(desk: Desk, key: str, version: int | None) -> str:
    # Written last by a transition, so that a webhook tells of it: by hand it would tell a lie.
    tag = desk.rules.ladder.tag
    if version is not None and key.strip() == tag:
        raise InvalidInput(t("registry.tag_of_ladder", key=tag), field="key")
    if key.strip() in OURS:
        raise InvalidInput(t("registry.tag_of_ours", key=key.strip()), field="key")
    if version is None and key.strip().startswith(PREFIX):
        raise InvalidInput(t("card.of_card", key=key.strip()[:250]), field="key")
    if not key.strip():
        raise InvalidInput(t("registry.tag_without_key"), field="key")
    return key.strip()
