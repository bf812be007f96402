"""Work that people start and stop: training jobs, endpoints, predictions, the sample.

Modeldeck's own account does it, after the person's right was asked for anew. Whoever asked for a
piece of work may stop it; so may an administrator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from core.errors import InvalidInput, NotAllowed, NotFound
from core.lifecycle.deck import Deck
from core.lifecycle.visit import current
from core.mlflow_api.permissions import as_of_now, still_there
from core.people import Permission
from core.people.permissions import require_experiment, require_model
from core.serving import endpoints, predict
from core.serving.endpoints import Endpoint
from core.serving.predict import Prediction
from core.texts import t
from core.training import data, jobs
from core.training.jobs import Job
from core.training.projects import Project

MOST_UPLOADS = 20
"""What one person keeps may have so many times the size of the largest file that is taken."""


def launch_job(
    deck: Deck, project: Project, typed: Mapping[str, str], *, experiment: str, title: str
) -> Job:
    """Check what was typed, find or make the experiment, and put the job in the queue.

    Args:
        typed: params by name, as text.
        experiment: its name; a new one is made with the person's own account, whose it then is.
        title: the run's name; where empty, the project's.

    Raises:
        InvalidInput: a value cannot be used; names it.
        NotAllowed: the person holds no EDIT on the experiment, or on the registered model that the
            job would add a version to; of a new one, no READ on its name.
    """
    roots = data_roots(deck)
    values = jobs.checked(project, typed, experiment=experiment, title=title, data_roots=roots)
    _require_registering(deck, values)
    experiment_id = _experiment(deck, experiment.strip())
    return jobs.submit(
        deck.service, deck.ledger, deck.actor, project, values,
        experiment_id=experiment_id, title=title.strip() or project.name,
    )  # fmt: skip


def require_begin(deck: Deck, job: Job) -> None:
    """Refuse to begin with a job for somebody who could not launch it by now.

    Args:
        deck: of whoever asked for it; see ``as_asker``.

    Raises:
        NotAllowed: with the right that is missing.
    """
    if job.experiment_id is not None:
        require_experiment(deck.permissions, deck.actor, job.experiment_id, Permission.EDIT)
    _require_registering(deck, job.params)


def as_asker(own: Deck, job: Job) -> Deck:
    """Modeldeck's own parts with the rights that whoever asked for a job has at this moment."""
    here = current(own)
    return replace(here, actor=here.rules.absent(job.requested_by, here.settings.identity))


def uploads(deck: Deck) -> Path:
    """Where files that the person uploads are kept; where people have accounts, a folder of their
    own, which is offered to nobody else."""
    root = deck.settings.upload_root
    if deck.settings.identity == "local":
        return root
    return root / sha256(deck.actor.name.encode()).hexdigest()


def data_roots(deck: Deck) -> tuple[Path, ...]:
    """Folders whose files the person's training jobs may read."""
    return (uploads(deck), *deck.settings.data_roots)


def keep_upload(deck: Deck, name: str, content: bytes) -> Path:
    """Keep a file from a browser, and return where.

    Raises:
        SignedOut: the person's account is gone.
        InvalidInput: it is neither CSV nor Parquet by its ending, or empty.
        TooLarge: it is, or where people have accounts the person's files together are.
    """
    still_there(deck.mlflow, deck.actor)
    cap = deck.settings.upload_mb * 1_000_000
    together = None if deck.settings.identity == "local" else MOST_UPLOADS * cap
    return data.keep(uploads(deck), name, content, cap, together)


def stop_job(deck: Deck, job_id: str) -> None:
    """Ask for the end of a job.

    Raises:
        NotFound: there is none of that id.
        NotAllowed: somebody else asked for it, and the person is no administrator.
    """
    _require_own(deck, jobs.get(deck.ledger, job_id).requested_by)
    jobs.request_stop(deck.ledger, job_id, deck.actor.name)


def load_sample(deck: Deck) -> Job:
    """Have the sample made, which puts its versions on the ladder: an administrator's business.

    Raises:
        NotAllowed: the person is no administrator.
    """
    require_administrator(deck, t("permissions.sample"))
    return jobs.submit_sample(deck.ledger, deck.actor)


def create_model(deck: Deck, name: str, about: str) -> None:
    """Make a registered model without versions: an administrator's business, for MLflow would give
    MANAGE to whoever makes one themselves. Others register a run's model under a new name.

    Raises:
        NotAllowed: the person is no administrator.
        Conflict: there is one of that name.
    """
    require_administrator(deck, t("permissions.create"))
    deck.service.registry.create_model(name, about)


def start_endpoint(deck: Deck, model: str, version: int) -> Endpoint:
    """Ask for an endpoint of a version; the worker starts it.

    Raises:
        NotAllowed: the person holds no USE on the model.
        NotFound: there is no such version.
    """
    require_model(deck.permissions, deck.actor, model, Permission.USE)
    found = deck.mlflow.registry.version(model, version)
    return endpoints.request(deck.ledger, deck.actor, found)


def stop_endpoint(deck: Deck, endpoint_id: str) -> None:
    """Ask for the end of an endpoint.

    Raises:
        NotFound: there is none of that id.
        NotAllowed: somebody else asked for it, and the person is no administrator.
    """
    _require_own(deck, endpoints.get(deck.ledger, endpoint_id).requested_by)
    endpoints.request_stop(deck.ledger, endpoint_id, deck.actor.name)


def ask_endpoint(
    deck: Deck,
    endpoint_id: str,
    body: Mapping[str, object],
    rows: Sequence[Mapping[str, object]] = (),
) -> Prediction:
    """One prediction; ``body`` and ``rows`` as for ``core.serving.predict.ask``.

    Raises:
        NotAllowed: the person holds no USE on the model that is served.
        EndpointFailed: the endpoint did not answer, or not well.
    """
    served = endpoints.get(deck.ledger, endpoint_id)
    require_model(deck.permissions, deck.actor, served.model, Permission.USE)
    return predict.ask(deck.settings, deck.ledger, endpoint_id, body, rows)


def may_stop(deck: Deck, requested_by: str) -> bool:
    """Whether the person may stop what somebody asked for, as far as a page knows."""
    return deck.actor.administrator or deck.actor.name == requested_by


def require_administrator(deck: Deck, what: str) -> None:
    """Refuse whoever is no administrator.

    Args:
        what: what they wanted to do, in words.

    Raises:
        NotAllowed: with that.
    """
    if not _administers(deck):
        raise NotAllowed(
            t("permissions.administrator", actor=deck.actor.name, what=what),
            t("permissions.administrator_next"),
        )


def _require_own(deck: Deck, requested_by: str) -> None:
    still_there(deck.mlflow, deck.actor)
    if deck.actor.name != requested_by and not _administers(deck):
        raise NotAllowed(
            t("permissions.not_own", actor=deck.actor.name, owner=requested_by),
            t("permissions.not_own_next", owner=requested_by),
        )


def _administers(deck: Deck) -> bool:
    """Whether the person is an administrator at this moment: a session knows it a while longer."""
    return as_of_now(deck.mlflow, deck.actor).administrator


def _require_registering(deck: Deck, params: Mapping[str, str]) -> None:
    name = params.get("register_as")
    if name:
        # Of a name that they may not even read it would not be theirs to see whether it exists.
        wanted = Permission.EDIT if _exists(deck, name) else Permission.READ
        require_model(deck.permissions, deck.actor, name, wanted)


def _exists(deck: Deck, model: str) -> bool:
    try:
        deck.service.registry.model(model)
    except NotFound:
        return False
    return True


def _experiment(deck: Deck, name: str) -> str:
    known = deck.service.tracking.experiment_by_name(name)
    if known is None:
        return deck.mlflow.tracking.create_experiment(name)
    require_experiment(deck.permissions, deck.actor, known.id, Permission.EDIT)
    if known.lifecycle_stage != "active":
        raise InvalidInput(t("training.deleted_experiment", name=known.name), field="experiment")
    return known.id
