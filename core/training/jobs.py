"""Training jobs: rows in the ledger, which is the queue, and what may happen to them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from core.errors import Conflict, DeckError, InvalidInput, OutcomeUnknown
from core.ledger import Ledger, new_id, now
from core.ledger.queue import Queue
from core.ledger.schema import jobs
from core.mlflow_api import Mlflow, ids
from core.people import Actor
from core.texts import t
from core.training.projects import Project, check

PREPARING = "preparing"
"""Asked for; its run is being made."""
QUEUED, STARTING, RUNNING, STOPPING = "queued", "starting", "running", "stopping"
FINISHED, FAILED, STOPPED = "finished", "failed", "stopped"
OPEN = (PREPARING, QUEUED, STARTING, RUNNING, STOPPING)
JOB_TAG = "modeldeck.job"
"""The run's tag that names its job."""
SAMPLE = "sample"
"""The job that makes the sample project; it has no run of its own."""

_PREPARED_WITHIN = timedelta(seconds=60)
_PROGRESS = re.compile(r"^progress (\d+)/(\d+) (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A training job."""

    id: str
    project: str
    entry_point: str
    title: str
    params: Mapping[str, str]
    experiment_id: str | None
    run_id: str | None
    state: str
    message: str
    requested_by: str
    requested_at: datetime
    claimed_by: str | None
    claim_token: int
    process_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    stop_requested_at: datetime | None
    stop_requested_by: str | None

    @property
    def open(self) -> bool:
        """Whether it may still do something."""
        return self.state in OPEN

    @property
    def needs_slot(self) -> bool:
        """Whether it is, or will be, a process."""
        return not (self.withdrawn or self.state == PREPARING)

    @property
    def withdrawn(self) -> bool:
        """Whether it was stopped before it was started, and only has to be settled."""
        return self.state == STOPPING and self.process_id is None


QUEUE = Queue(jobs, Job, OPEN, "training.reading", "training.no_job")
get, owned, update = QUEUE.get, QUEUE.owned, QUEUE.update
adopt, request_stop = QUEUE.adopt, QUEUE.request_stop


@dataclass(frozen=True)
class Progress:
    """How far a job has come, as its log tells."""

    done: int
    total: int
    text: str


def checked(
    project: Project,
    typed: Mapping[str, str],
    *,
    experiment: str,
    title: str,
    data_roots: Sequence[Path],
) -> dict[str, str]:
    """The params of a job, once all that was typed was checked.

    Args:
        typed: params by name, as text.
        experiment: its name.
        title: the run's name.
        data_roots: folders whose files the job may read.

    Raises:
        InvalidInput: a value cannot be used; names it.
    """
    values = check(project, typed, data_roots)
    if not experiment.strip():
        raise InvalidInput(t("training.no_experiment"), field="experiment")
    if values.get("register_as"):
        ids.new_model_name(values["register_as"])
    for field, text in (("experiment", experiment), ("title", title)):
        ids.no_control(text, field)
    return dict(values)


def submit(
    mlflow: Mlflow,
    ledger: Ledger,
    actor: Actor,
    project: Project,
    values: Mapping[str, str],
    *,
    experiment_id: str,
    title: str,
) -> Job:
    """Put a job in the queue, with its run: MLflow shows the job from its first second.

    Whether the person may is asked by ``core.lifecycle.launch``.

    The row comes before the run, so that whatever breaks off in between, the worker finds the run
    by its tag and settles both.

    Args:
        values: params that ``projects.check`` let through.
        title: the run's name.

    Raises:
        DeckError: MLflow or the ledger failed; nothing is started.
    """
    job_id = new_id()
    QUEUE.add(
        ledger, by=actor.name, id=job_id, state=PREPARING, project=project.name,
        entry_point=project.entry_point, title=title, params=dict(values),
        experiment_id=experiment_id,
    )  # fmt: skip
    try:
        run_id = _make_run(mlflow, actor, project, experiment_id, title, job_id)
    except OutcomeUnknown:
        raise
    except DeckError as error:
        try:
            _forget(ledger, job_id)
        except DeckError as second:
            error.add_note(second.what)
        raise
    mlflow.tracking.set_status(run_id, "SCHEDULED")
    _enqueue(ledger, job_id, run_id)
    return get(ledger, job_id)


def _make_run(
    mlflow: Mlflow, actor: Actor, project: Project, experiment_id: str, title: str, job_id: str
) -> str:
    run = mlflow.tracking.create_run(
        experiment_id,
        title,
        tags={
            "mlflow.user": actor.name,
            "mlflow.source.type": "PROJECT",
            "mlflow.source.name": project.name,
            "mlflow.project.entryPoint": project.entry_point,
            "mlflow.project.backend": "local",
            JOB_TAG: job_id,
            "modeldeck.requested_by": actor.name,
        },
    )
    return run.id


def _enqueue(ledger: Ledger, job_id: str, run_id: str) -> None:
    waits = (jobs.c.id == job_id) & (jobs.c.state == PREPARING) & jobs.c.claimed_by.is_(None)
    with ledger.transaction(t("training.reading")) as connection:
        done = connection.execute(jobs.update().where(waits).values(state=QUEUED, run_id=run_id))
    if done.rowcount != 1:  # it took so long that a worker has settled it
        raise Conflict(t("training.not_completed"))


def _forget(ledger: Ledger, job_id: str) -> None:
    with ledger.transaction(t("training.reading")) as connection:
        connection.execute(jobs.delete().where(jobs.c.id == job_id, jobs.c.state == PREPARING))


def submit_sample(ledger: Ledger, actor: Actor) -> Job:
    """Put the making of the sample in the queue, once: an open one is given back instead."""
    for job in recent(ledger, 50):
        if job.project == SAMPLE and job.open:
            return job
    return QUEUE.add(
        ledger, by=actor.name, state=QUEUED, project=SAMPLE, entry_point="main",
        title=t("training.sample"), params={},
    )  # fmt: skip


def recent(ledger: Ledger, limit: int = 100) -> list[Job]:
    """Jobs, newest first."""
    return QUEUE.rows(ledger, sa.select(jobs).order_by(jobs.c.requested_at.desc()).limit(limit))


def unfinished(ledger: Ledger) -> list[Job]:
    """All jobs that may still do something, oldest first."""
    return QUEUE.rows(
        ledger, sa.select(jobs).where(jobs.c.state.in_(OPEN)).order_by(jobs.c.requested_at)
    )


def claim(ledger: Ledger, owner: str, token: int) -> Job | None:
    """Take the job that has waited longest; None where none waits.

    Args:
        owner: whose it is from now on.
        token: the fencing token of the owner's lease.
    """
    with ledger.transaction(t("training.reading")) as connection:
        row = connection.execute(
            sa.select(jobs.c.id)
            .where(jobs.c.state == QUEUED, jobs.c.stop_requested_at.is_(None))
            .order_by(jobs.c.requested_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return None
        taken = connection.execute(
            jobs.update()
            .where(jobs.c.id == row.id, jobs.c.state == QUEUED)
            .values(state=STARTING, claimed_by=owner, claim_token=token, started_at=now())
        )
        if taken.rowcount != 1:
            return None
    return get(ledger, row.id)


def claim_withdrawn(ledger: Ledger, owner: str, token: int) -> None:
    """Take the jobs whose stop was asked for while they still waited; they need no slot."""
    with ledger.transaction(t("training.reading")) as connection:
        connection.execute(
            jobs.update()
            .where(jobs.c.state == QUEUED, jobs.c.stop_requested_at.isnot(None))
            .values(state=STOPPING, claimed_by=owner, claim_token=token)
        )


def claim_abandoned(ledger: Ledger, owner: str, token: int) -> None:
    """Take the jobs whose asking broke off before they were in the queue; they need no slot."""
    with ledger.transaction(t("training.reading")) as connection:
        connection.execute(
            jobs.update()
            .where(
                jobs.c.state == PREPARING,
                jobs.c.claimed_by.is_(None),
                jobs.c.requested_at < now() - _PREPARED_WITHIN,
            )
            .values(claimed_by=owner, claim_token=token)
        )


def progress(log: str) -> Progress | None:
    """The last ``progress 3/8 What`` line of a log; None where there is none."""
    found = _PROGRESS.findall(log)
    if not found:
        return None
    done, total, text = found[-1]
    return Progress(int(done), int(total), text.strip())


def outcome(exit_code: int | None, run_status: str | None, *, stop_requested: bool) -> str:
    """How a job ended, as far as can be known.

    Args:
        exit_code: of the process; None where nobody saw it.
        run_status: the run's status in MLflow; None for a job without a run.
        stop_requested: whether somebody had asked for the stop.
    """
    if exit_code == 0 or (exit_code is None and run_status == "FINISHED"):
        return FINISHED
    return STOPPED if stop_requested else FAILED
