"""Tags by hand: all but the one that tells where a version stands."""

from core.errors import InvalidInput
from core.mlflow_api import Mlflow
from core.registry.ladder import LADDER, Ladder
from core.texts import t


def set_version_tag(
    mlflow: Mlflow, model: str, version: int, key: str, value: str, ladder: Ladder = LADDER
) -> None:
    """Write one tag of a version.

    Raises:
        InvalidInput: the key is missing, or the tag belongs to the ladder.
    """
    mlflow.registry.set_version_tag(model, version, _free(key, ladder), value)


def delete_version_tag(
    mlflow: Mlflow, model: str, version: int, key: str, ladder: Ladder = LADDER
) -> None:
    """Remove one tag of a version.

    Raises:
        InvalidInput: the tag belongs to the ladder.
    """
    mlflow.registry.delete_version_tag(model, version, _free(key, ladder))


def set_model_tag(mlflow: Mlflow, model: str, key: str, value: str) -> None:
    """Write one tag of a registered model.

    Raises:
        InvalidInput: the key is missing.
    """
    mlflow.registry.set_model_tag(model, _named(key), value)


def _free(key: str, ladder: Ladder) -> str:
    # Written last by a transition, so that a webhook tells of it: by hand it would tell a lie.
    if key.strip() == ladder.tag:
        raise InvalidInput(t("registry.tag_of_ladder", key=ladder.tag), field="key")
    return _named(key)


def _named(key: str) -> str:
    if not key.strip():
        raise InvalidInput(t("registry.tag_without_key"), field="key")
    return key.strip()
