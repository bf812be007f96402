"""Make a version of a registered model from a model that a run logged."""

from dataclasses import dataclass

from core.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import ModelVersion
from core.people import Actor
from core.texts import t

ASKED_BY = "modeldeck.registered_by"
"""The version tag that names who registered it: MLflow itself keeps no name."""


@dataclass(frozen=True)
class Registered:
    """The version, and whether this call made it or found it."""

    version: ModelVersion
    made: bool


def register(
    mlflow: Mlflow,
    actor: Actor,
    run_id: str,
    logged_model_id: str,
    name: str,
    description: str = "",
) -> Registered:
    """Register a logged model under ``name``, which is made where it does not exist.

    A version of the same model under the same name is found, not made twice, also after a reply
    that was lost.

    Raises:
        InvalidInput: the name cannot be a model's.
        OutcomeUnknown: the reply was lost, and no such version can be seen yet.
    """
    name = name.strip()
    if not name:
        raise InvalidInput(t("run.register.no_name"), field="name")
    source = f"models:/{logged_model_id}"
    found = _existing(mlflow, name, source)
    if found is not None:
        return Registered(found, made=False)
    try:
        version = mlflow.registry.create_version(
            name, source, run_id, description.strip(), {ASKED_BY: actor.name}
        )
    except OutcomeUnknown:
        found = _existing(mlflow, name, source)
        if found is None:
            raise
        return Registered(found, made=True)
    return Registered(version, made=True)


def _existing(mlflow: Mlflow, name: str, source: str) -> ModelVersion | None:
    """The newest version with this source; makes the registered model where there is none."""
    try:
        versions = mlflow.registry.versions(name)
    except NotFound:
        try:
            mlflow.registry.create_model(name)
        except Conflict:
            # Somebody else made it at the same moment, which is what was wanted.
            versions = mlflow.registry.versions(name)
        else:
            return None
    return next((v for v in versions if v.source == source), None)
