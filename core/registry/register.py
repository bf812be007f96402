"""Make a version of a registered model from a model that a run logged."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from core.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import ModelVersion, Run
from core.people import Actor
from core.texts import t

ASKED_BY = "modeldeck.registered_by"
"""The version tag that names who registered it: MLflow itself keeps no name."""

MOST_FOLDERS = 30
LEVELS = 2


@dataclass(frozen=True)
class Registered:
    """The version, and whether this call made it or found it."""

    version: ModelVersion
    made: bool


def folders(mlflow: Mlflow, run: Run) -> list[str]:
    """Folders with a model among a run's artifacts: where clients before MLflow 3 put models.

    Looked for in the top two levels, in at most ``MOST_FOLDERS`` folders.
    """
    found: list[str] = []
    todo = [(f.path, 1) for f in mlflow.artifacts.list(run.artifact_uri) if f.is_dir]
    looked = 0
    while todo and looked < MOST_FOLDERS:
        path, level = todo.pop(0)
        looked += 1
        inside = mlflow.artifacts.list(run.artifact_uri, path)
        if any(PurePosixPath(f.path).name == "MLmodel" for f in inside if not f.is_dir):
            found.append(path)
        elif level < LEVELS:
            todo += [(f.path, level + 1) for f in inside if f.is_dir]
    return found


def source_of_model(model_id: str) -> str:
    """MLflow's address of a logged model."""
    return f"models:/{model_id}"


def source_of_folder(run_id: str, path: str) -> str:
    """MLflow's address of a folder among a run's artifacts."""
    return f"runs:/{run_id}/{path}"


def register(
    mlflow: Mlflow,
    actor: Actor,
    run_id: str,
    source: str,
    name: str,
    description: str = "",
) -> Registered:
    """Register a run's model under ``name``, which is made where it does not exist.

    A version of the same model under the same name is found, not made twice, also after a reply
    that was lost.

    Args:
        source: the model, as ``source_of_model`` or ``source_of_folder`` gives it.

    Raises:
        InvalidInput: the name cannot be a model's.
        OutcomeUnknown: the reply was lost, and no such version can be seen yet.
    """
    name = name.strip()
    if not name:
        raise InvalidInput(t("run.register.no_name"), field="name")
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
