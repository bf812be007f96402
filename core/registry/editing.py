"""Descriptions and tags by hand: all but the tag that tells where a version stands.

Each edit names what the person saw and is refused where it is no longer so: nobody's newer text is
replaced unread.
"""

from core.errors import Conflict, InvalidInput
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import ModelVersion, RegisteredModel
from core.registry.card import PREFIX
from core.registry.ladder import LADDER, Ladder
from core.texts import t


def describe(mlflow: Mlflow, model: str, version: int | None, text: str, *, seen: str) -> None:
    """Replace the description of a version, or of the registered model where that is None.

    Args:
        seen: the description that the person saw.

    Raises:
        Conflict: it is another by now; nothing was written.
    """
    if _now(mlflow, model, version).description not in (seen, text):
        raise Conflict(t("registry.other_description"), t("registry.other_description_next"))
    if version is None:
        mlflow.registry.describe_model(model, text)
    else:
        mlflow.registry.describe_version(model, version, text)


def set_tag(
    mlflow: Mlflow,
    model: str,
    version: int | None,
    key: str,
    value: str,
    *,
    seen: str | None,
    ladder: Ladder = LADDER,
) -> None:
    """Write one tag of a version, or of the registered model where that is None.

    Args:
        seen: the tag's value that the person saw, None where there was no such tag.

    Raises:
        InvalidInput: the key is missing, or the tag belongs to the ladder.
        Conflict: the tag has another value by now; nothing was written.
    """
    key = _free(key, version, ladder)
    _compare(mlflow, model, version, key, (seen, value))
    if version is None:
        mlflow.registry.set_model_tag(model, key, value)
    else:
        mlflow.registry.set_version_tag(model, version, key, value)


def delete_tag(
    mlflow: Mlflow,
    model: str,
    version: int | None,
    key: str,
    *,
    seen: str | None,
    ladder: Ladder = LADDER,
) -> None:
    """Remove one tag of a version, or of the registered model where that is None.

    Args:
        seen: the tag's value that the person saw.

    Raises:
        InvalidInput: the tag belongs to the ladder.
        Conflict: the tag has another value by now; nothing was removed.
    """
    _free(key, version, ladder)
    _compare(mlflow, model, version, key, (seen, None))
    if version is None:
        mlflow.registry.delete_model_tag(model, key)
    else:
        mlflow.registry.delete_version_tag(model, version, key)


def _now(mlflow: Mlflow, model: str, version: int | None) -> RegisteredModel | ModelVersion:
    registry = mlflow.registry
    return registry.model(model) if version is None else registry.version(model, version)


def _compare(
    mlflow: Mlflow, model: str, version: int | None, key: str, fine: tuple[str | None, ...]
) -> None:
    value = _now(mlflow, model, version).tags.get(key)
    if value is None and value not in fine:
        raise Conflict(t("registry.tag_gone", key=key))
    if value not in fine:
        raise Conflict(t("registry.other_tag", key=key, value=value))


def _free(key: str, version: int | None, ladder: Ladder) -> str:
    # Written last by a transition, so that a webhook tells of it: by hand it would tell a lie.
    if version is not None and key.strip() == ladder.tag:
        raise InvalidInput(t("registry.tag_of_ladder", key=ladder.tag), field="key")
    if version is None and key.strip().startswith(PREFIX):
        raise InvalidInput(t("card.of_card", key=key.strip()[:250]), field="key")
    if not key.strip():
        raise InvalidInput(t("registry.tag_without_key"), field="key")
    return key.strip()
