"""Versions that runs and training jobs make: many at once, and who made them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from core.errors import (
    DeckError,
    InvalidInput,
    LedgerFailed,
    NotFound,
    OutcomeUnknown,
    ServerSlow,
    ServerUnreachable,
)
from core.lifecycle.deck import Deck
from core.mlflow_api import Mlflow
from core.mlflow_api.ids import new_model_name
from core.mlflow_api.nouns import LoggedModel, Run
from core.registry.desk import Desk
from core.registry.register import folders, register, source_of_folder, source_of_model
from core.runs.work import Outcome, Work
from core.texts import t
from core.training.jobs import Job

_NEVER = datetime.min.replace(tzinfo=UTC)


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
    last = last_logged(run, mlflow.tracking.logged_model)
    if last is not None:
        return source_of_model(last)
    found = folders(mlflow, run)
    if not found:
        raise NotFound(t("experiments.bulk.no_model"), t("experiments.bulk.no_model_next"))
    return source_of_folder(run.id, found[-1])


def last_logged(run: Run, read: Callable[[str], LoggedModel]) -> str | None:
    """The id of the model that a run logged last: by step, of the same step by its creation.

    Args:
        read: gives a logged model; asked only where several have the last step.

    Raises:
        NotFound: all of those are gone.
    """
    ids = run.last_models
    if len(ids) < 2:
        return ids[0] if ids else None
    found, gone = [], None
    for model_id in ids:
        try:
            found.append(read(model_id))
        except NotFound as error:
            gone = error
    if not found and gone is not None:
        raise gone
    return max(found, key=lambda m: (m.created_at or _NEVER, m.id)).id


def register_trained(deck: Deck, job: Job) -> str:
    """Register the model of a job that ended well for whoever asked for the job, who needs the
    rights for it at this moment; may be repeated.

    Args:
        deck: of whoever asked for it; see ``core.lifecycle.launch.as_asker``.

    Returns:
        why it was not registered; "" where it was, or where that was not asked for.

    Raises:
        DeckError: MLflow or the ledger does not answer; it is tried again later.
    """
    name = job.params.get("register_as")
    if not name or job.run_id is None:
        return ""
    try:
        run = deck.mlflow.tracking.run(job.run_id)
        register(deck.desk, run.id, newest_model(deck.mlflow, run), name)
    except (ServerUnreachable, ServerSlow, OutcomeUnknown, LedgerFailed):
        raise
    except DeckError as error:
        return t("training.not_registered", name=name, why=error.what)
    return ""
