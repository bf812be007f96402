"""What runs, as far as whoever is here may see it.

Jobs are seen by those who may read their experiment, endpoints by those who may read their model;
by whoever asked for them, and by administrators. Where somebody may read nothing of it, a name or
a log would tell them what MLflow does not.
"""

from dataclasses import replace

from core.errors import NotAllowed, NotFound
from core.ledger import processes
from core.ledger.processes import Process
from core.lifecycle.overview import Work
from core.lifecycle.running import Running
from core.serving import endpoints as serving
from core.serving.endpoints import Endpoint
from core.texts import t
from core.training import jobs as training
from core.training.jobs import Job
from core.ui import runs
from core.ui.deck import deck, read

MOST = 100
_LOOKED_THROUGH = 1_000
"""The newest, of which those are kept that the person may see."""


def jobs() -> list[Job]:
    """The newest jobs, newest first."""
    found = training.recent(deck().ledger, MOST if _all() else _LOOKED_THROUGH)
    return [job for job in found if sees_job(job)][:MOST]


def job(job_id: str) -> Job:
    """One job.

    Raises:
        NotFound: there is none of that id.
        NotAllowed: it is somebody else's, of an experiment that the person may not read.
    """
    found = training.get(deck().ledger, job_id)
    if not sees_job(found):
        raise NotAllowed(t("permissions.not_seen"), t("permissions.not_seen_next"))
    return found


def endpoints() -> list[Endpoint]:
    """Endpoints, those that are open first, then newest first."""
    found = serving.recent(deck().ledger, MOST if _all() else _LOOKED_THROUGH)
    return [one for one in found if sees_endpoint(one)][:MOST]


def of_work(found: Work) -> Work:
    """What Home shows of the work that goes on."""
    return replace(
        found,
        open_jobs=tuple(filter(sees_job, found.open_jobs)),
        failed_jobs=tuple(filter(sees_job, found.failed_jobs)),
        endpoints=tuple(filter(sees_endpoint, found.endpoints)),
    )


def of_processes(found: list[Running]) -> list[Running]:
    """Processes; of work that the person may not see, not what it does."""
    hidden = t("permissions.hidden")
    return [one if _sees_process(one.process) else replace(one, title=hidden) for one in found]


def sees_job(one: Job) -> bool:
    """Whether whoever is here may see a job with its log."""
    return _all() or one.requested_by == deck().actor.name or one.experiment_id in runs.readable()


def sees_endpoint(one: Endpoint) -> bool:
    """The same for an endpoint."""
    return _all() or one.requested_by == deck().actor.name or one.model in _models()


def _sees_process(one: Process) -> bool:
    ledger = deck().ledger
    try:
        if one.kind == processes.JOB:
            return sees_job(training.get(ledger, one.subject))
        if one.kind == processes.ENDPOINT:
            return sees_endpoint(serving.get(ledger, one.subject))
    except NotFound:
        return _all()
    return True


def _all() -> bool:
    return deck().actor.administrator


def _models() -> frozenset[str]:
    registry = deck().mlflow.registry
    return read("models in sight", lambda: frozenset(m.name for m in registry.models()))
