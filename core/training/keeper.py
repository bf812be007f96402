"""The worker's part in a training job: start its process, look after it, settle how it ended."""

import configparser
import logging
import os
import shutil
import site
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import DeckError, NotFound
from core.ledger import Ledger, now
from core.ledger import processes as ledger_processes
from core.mlflow_api import Mlflow
from core.mlflow_api.credentials import service_account
from core.processes import (
    Ending,
    alive,
    clean_environment,
    find_child,
    kill_leftovers,
    read_ending,
    start,
    stop_politely,
    tail,
)
from core.settings import Settings
from core.texts import t
from core.training import jobs
from core.training.jobs import Job

_log = logging.getLogger("modeldeck.worker")
_CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
                "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_SERVER_CERT_PATH")  # fmt: skip
_LENT = "credential"
_RUN_STATUS = {jobs.FINISHED: "FINISHED", jobs.FAILED: "FAILED", jobs.STOPPED: "KILLED"}


@dataclass(frozen=True)
class Launch:
    """What to start for a job."""

    command: list[str]
    cwd: Path
    env: Mapping[str, str]


class JobKeeper:
    """Looks after claimed jobs, one step at a time; every step can be repeated after a crash.

    Args:
        launch: makes the command of a job.
        finish: is called once a job has ended well, before that is written down; gives what is to
            be said on the job.
    """

    def __init__(
        self,
        settings: Settings,
        mlflow: Mlflow,
        ledger: Ledger,
        launch: Callable[[Job], Launch],
        finish: Callable[[Job], str] = lambda _: "",
    ) -> None:
        self._settings = settings
        self._mlflow = mlflow
        self._ledger = ledger
        self._launch = launch
        self._finish = finish

    def folder(self, job: Job) -> Path:
        """Where the job's log and ending are."""
        return self._settings.home / "jobs" / job.id

    def look(self, job: Job) -> None:
        """Take one step with a job: start it, pass on a stop, or settle its end."""
        if job.state == jobs.PREPARING:
            self._abandon(job)
            return
        if job.process_id is None:
            self._begin(job)
            return
        process = ledger_processes.get(self._ledger, job.process_id)
        if alive(process.ref):
            ledger_processes.seen(self._ledger, process.id)
            if job.stop_requested_at is not None:
                stopping = job.state == jobs.STOPPING
                if not stopping:
                    jobs.update(self._ledger, job, state=jobs.STOPPING)
                stop_politely(process.ref, job.stop_requested_at, told=stopping)
            return
        kill_leftovers(process.ref, job.id)
        ending = read_ending(process.ending)
        ledger_processes.ended(self._ledger, process.id, ending)
        self._settle(job, ending, process.folder)

    def _abandon(self, job: Job) -> None:
        """Settle a job whose asking broke off, and the run that it may have got."""
        if job.experiment_id:
            tagged = f"tags.`{jobs.JOB_TAG}` = '{job.id}'"
            for run in self._mlflow.tracking.search([job.experiment_id], tagged).runs:
                job = jobs.update(self._ledger, job, run_id=run.id)
        self._close(job, jobs.FAILED, None, t("training.not_completed"))

    def _begin(self, job: Job) -> None:
        folder = self.folder(job)
        # A worker that died between starting the child and writing it down left it running, and it
        # may have ended since: it is not started twice, and not left alone by a stop.
        ref = find_child(job.id)
        if ref is None:
            ending = read_ending(folder / ledger_processes.ENDING)
            if ending is not None:
                self._settle(job, ending, folder)
                return
            if job.stop_requested_at is not None:
                self._close(job, jobs.STOPPED, None)
                return
            try:
                plan = self._launch(job)
                ref = start(
                    plan.command,
                    env={**plan.env, **lend_credential(self._settings, folder)},
                    cwd=plan.cwd,
                    log=folder / ledger_processes.LOG,
                    ending=folder / ledger_processes.ENDING,
                )
            except (OSError, DeckError) as error:
                if isinstance(error, DeckError) and error.retryable:
                    raise  # MLflow could not be asked, say: the next look tries again
                self._close(job, jobs.FAILED, None, t("training.not_started", why=error))
                return
        process = ledger_processes.record(
            self._ledger,
            ledger_processes.JOB,
            job.id,
            node=self._settings.node,
            home=self._settings.home,
            ref=ref,
            folder=folder,
        )
        job = jobs.update(self._ledger, job, state=jobs.RUNNING, process_id=process.id)
        if job.run_id:
            self._mlflow.tracking.set_status(job.run_id, "RUNNING")

    def _settle(self, job: Job, ending: Ending | None, folder: Path) -> None:
        code, status = ending.exit_code if ending else None, self._run_status(job)
        state = jobs.outcome(code, status, stop_requested=job.stop_requested_at is not None)
        words = self._finish(job) if state == jobs.FINISHED else ""
        if state == jobs.FAILED:
            words = _last_words(folder / ledger_processes.LOG)
        self._close(job, state, ending, words)

    def _close(self, job: Job, state: str, ending: Ending | None, message: str = "") -> None:
        # MLflow first: should it fail, the job stays open here and the next look tries again.
        # A program that was stopped may have taken that for a failure of its own.
        unsettled = ("RUNNING", "SCHEDULED", *(["FAILED"] if state == jobs.STOPPED else []))
        if job.run_id and self._run_status(job) in unsettled:
            self._mlflow.tracking.set_status(job.run_id, _RUN_STATUS[state])
        shutil.rmtree(self.folder(job) / _LENT, ignore_errors=True)
        at, code = (ending.at, ending.exit_code) if ending else (now(), None)
        jobs.update(self._ledger, job, state=state, exit_code=code, ended_at=at, message=message)

    def _run_status(self, job: Job) -> str | None:
        try:
            run = self._mlflow.tracking.run(job.run_id) if job.run_id else None
        except NotFound:  # somebody removed the run for good; the job itself still has an end
            return None
        return run.status if run and run.lifecycle_stage == "active" else None


def project_environment(settings: Settings, job: Job) -> dict[str, str]:
    """The environment of a job's process: the tracking server with its credential, and the run."""
    credentials = {name: os.environ[name] for name in _CREDENTIALS if name in os.environ}
    env = {
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "MLFLOW_REGISTRY_URI": settings.registry_uri or settings.tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MPLBACKEND": "Agg",
        **credentials,
    }
    if not settings.tracking_uri.startswith("http"):
        # A database store's client would else make folders where the process stands.
        env["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(settings.artifact_root)
    if job.run_id:
        env["MLFLOW_RUN_ID"] = job.run_id
    if job.experiment_id:
        env["MLFLOW_EXPERIMENT_ID"] = job.experiment_id
    return clean_environment(env, child_of=job.id)


def lend_credential(settings: Settings, folder: Path) -> dict[str, str]:
    """What a job's process needs to be Modeldeck's account at the tracking server, where it has
    one: a home folder, readable by nobody else, with the file that MLflow's client looks for there.
    So the password stands in no process's environment.

    Args:
        folder: the job's; the home folder in it goes when the job is settled.

    Returns:
        variables for the process.
    """
    account = service_account(settings)
    if account is None:
        return {}
    own = folder / _LENT
    shutil.rmtree(own, ignore_errors=True)
    (own / ".mlflow").mkdir(parents=True, mode=0o700)
    own.chmod(0o700)
    file = configparser.RawConfigParser()
    file["mlflow"] = {
        "mlflow_tracking_username": account.user.replace("%", "%%"),
        "mlflow_tracking_password": account.password.replace("%", "%%"),
    }
    with os.fdopen(
        os.open(own / ".mlflow" / "credentials", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
    ) as opened:
        file.write(opened)
    # Packages that were installed for this machine's user are found by the home folder, too.
    return {"HOME": str(own), "PYTHONUSERBASE": site.getuserbase()}


def _last_words(log: Path) -> str:
    """The last line of a log that says something, for a list."""
    lines = [line.strip() for line in tail(log, 8_000).splitlines() if line.strip()]
    return lines[-1][:500] if lines else t("training.no_words")
