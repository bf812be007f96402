"""Versions that runs and training jobs make: many at once, and who made them."""

from collections.abc import Callable, Sequence

from core.errors import InvalidInput, NotFound
from core.lifecycle.deck import Deck
from core.mlflow_api import Mlflow
from core.mlflow_api.ids import new_model_name
from core.mlflow_api.nouns import Run
from core.people import Actor
from core.registry.desk import Desk
from core.registry.origin import note_registered, registrant
from core.registry.register import folders, register, source_of_folder, source_of_model
from core.runs.work import Outcome, Work
from core.texts import t
from core.training import jobs
from core.training.jobs import Job


def promoting(
    desk: Desk,
    run_ids: Sequence[str],
    model: str,
    settle: Callable[[Sequence[str]], object] = lambda _: None,
) -> Work:
    """Work that registers the model of each run as a version of ``model``; not yet started.

    Whether the person may is asked for each run, when its turn comes.

    Raises:
        InvalidInput: ``model`` cannot be a model's name.
    """
    name = model.strip()
    if not name:
        raise InvalidInput(t("run.register.no_name"), field="name")
    new_model_name(name)
    ids = tuple(run_ids)

    def do(index: int) -> Outcome:
        run = desk.mlflow.tracking.run(ids[index])
        made = register(desk, run.id, newest_model(desk.mlflow, run), name)
        key = "made" if made.made else "there"
        said = t(f"experiments.bulk.version_{key}", version=made.version.version)
        return Outcome(made.made, None, said)

    return Work(ids, do, settle)


def newest_model(mlflow: Mlflow, run: Run) -> str:
    """MLflow's address of the model that a run logged last.

    Raises:
        NotFound: it logged none.
    """
    if run.logged_models:
        return source_of_model(run.logged_models[-1])
    found = folders(mlflow, run)
    if not found:
        raise NotFound(t("experiments.bulk.no_model"), t("experiments.bulk.no_model_next"))
    return source_of_folder(run.id, found[-1])


def note_trained(deck: Deck, job: Job) -> None:
    """Write down that whoever asked for a job has registered the version that it made.

    Where Modeldeck ends before that was written, nobody knows who registered it, and the rules say
    what holds then.
    """
    name = job.params.get("register_as")
    if not name or job.run_id is None or job.state != jobs.FINISHED:
        return
    store = deck.service.address
    asker = Actor(job.requested_by, deck.settings.identity)
    for version in deck.service.registry.versions_of_run(job.run_id):
        if version.model == name and registrant(deck.ledger, version, store) is None:
            note_registered(deck.ledger, store, asker, version)
