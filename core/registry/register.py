"""Make a version of a registered model from a model that a run logged."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.errors import Busy, Conflict, InvalidInput, NotFound, OutcomeUnknown
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import ModelVersion, Run
from core.people import Permission
from core.people.permissions import require_experiment, require_model
from core.registry import heads, known
from core.registry.desk import Desk
from core.registry.lease import model_lease
from core.registry.origin import note_registered, registrant
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


def register(desk: Desk, run_id: str, source: str, name: str, description: str = "") -> Registered:
    """Register a run's model under ``name``, which is made where it does not exist.

    A version of the same model under the same name is found, not made twice, also after a reply
    that was lost; where its tag names this person and the record names nobody, it does afterwards.
    Modeldeck's own account writes it, for somebody who holds EDIT on the registered model; a new
    one is made for whoever holds EDIT on the run's experiment and READ on that name.

    Args:
        source: the run's model, as ``source_of_model`` or ``source_of_folder`` gives it.

    Raises:
        InvalidInput: the name cannot be a model's, or the model is not the run's.
        NotAllowed: the person may not read the run, or not change the registered model.
        OutcomeUnknown: the reply was lost, and no such version can be seen yet.
    """
    name = name.strip()
    if not name:
        raise InvalidInput(t("run.register.no_name"), field="name")
    run = desk.mlflow.tracking.run(run_id)
    # Our own account could make a version of anything: what is asked for has to be this run's.
    if not _made_by(desk, run, source):
        raise InvalidInput(t("run.register.not_its"), field="source")
    store = desk.mlflow.address
    found = _existing(desk, run, name, source)
    if found is not None:
        # An earlier try made it, and its line was lost. Whoever is named takes it upon themselves:
        # who registered a version has fewer rights over it, never more.
        mine = found.tags.get(ASKED_BY) == desk.actor.name
        if mine and registrant(desk.ledger, found, store) is None:
            heads.publish(desk, note_registered(desk.ledger, store, desk.actor, found))
        return Registered(found, made=False)
    try:
        version = desk.service.registry.create_version(
            name, source, run.id, description.strip(), {ASKED_BY: desk.actor.name}
        )
    except OutcomeUnknown:
        # Only what carries this person's name counts: it may be another's with the same source.
        made = _same(desk, name, source)
        if made is None or made.tags.get(ASKED_BY) != desk.actor.name:
            raise
        version = made
    heads.publish(desk, note_registered(desk.ledger, store, desk.actor, version))
    # Alone on the model: whoever read it before this version was there would take it for deleted.
    # Where somebody else holds on to the model, the next pass finds a new version like any other.
    with (
        suppress(Busy),
        model_lease(desk.ledger, store, name, desk.actor.name),
        desk.ledger.transaction(t("registry.recording")) as connection,
    ):
        known.note_made(connection, store, version, desk.rules.ladder)
    return Registered(version, made=True)


def _made_by(desk: Desk, run: Run, source: str) -> bool:
    """Whether a source is a model that the run made, as far as the person may see."""
    model_id = source.removeprefix(source_of_model(""))
    if model_id != source:
        return model_id in run.logged_models or (
            desk.mlflow.tracking.logged_model(model_id).run_id == run.id
        )
    return source.startswith(source_of_folder(run.id, "")) and ".." not in source.split("/")


def _existing(desk: Desk, run: Run, name: str, source: str) -> ModelVersion | None:
    """The newest version with this source; makes the registered model where there is none."""
    person = desk.permissions, desk.actor
    require_experiment(*person, run.experiment_id, Permission.READ)
    registry = desk.service.registry
    try:
        registry.versions(name)
    except NotFound:
        # Of a name that they may not even read it would not be theirs to see.
        require_model(*person, name, Permission.READ)
        require_experiment(*person, run.experiment_id, Permission.EDIT)
        try:
            registry.create_model(name)
        except Conflict:
            # Somebody else made it at the same moment: then it is theirs to say who may.
            require_model(*person, name, Permission.EDIT)
    else:
        require_model(*person, name, Permission.EDIT)
    return _same(desk, name, source)


def _same(desk: Desk, name: str, source: str) -> ModelVersion | None:
    """The newest version of a registered model that was made from ``source``."""
    versions = desk.service.registry.versions(name)
    return next((v for v in versions if v.source == source), None)
