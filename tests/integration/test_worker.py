"""The worker: real worker processes, real jobs and endpoints, killed at the worst moments."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Self

import mlflow
import psutil
import pytest

from core.errors import EndpointFailed
from core.ledger import new_id
from core.ledger import processes as ledger_processes
from core.ledger.schema import endpoints as endpoints_table
from core.lifecycle import running
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.launch import launch_job
from core.mlflow_api.nouns import ModelVersion
from core.processes import CHILD_MARK, ProcessRef, alive, clean_environment, start, tail
from core.registry.register import ASKED_BY
from core.serving import endpoints, predict
from core.serving.endpoints import Endpoint
from core.settings import load
from core.training import jobs, projects
from core.training.jobs import Job
from core.training.keeper import project_environment
from tests.faults import Fault, FaultProxy
from tests.servers import (
    ROOT,
    MlflowServer,
    ModeldeckApp,
    Postgres,
    Server,
    group_members,
    processes_of,
)
from tests.servers import clean_environment as environment_for
from tests.waiting import until

SECONDS = 120.0
"""A limit for what never comes; no measure of speed."""

# The real worker, with one more registered project, whose jobs do as they are told.
WORKER = """
import sys
from pathlib import Path
from core.lifecycle.worker import main
from core.settings import load
from core.training import projects
known = projects.find
projects.find = lambda name: projects.load(Path(sys.argv[1])) if name == "told" else known(name)
sys.exit(main(load()))
"""
MLPROJECT = """
name: told
entry_points:
  main:
    parameters: {do: string, to: {type: string, default: ""}}
    command: python act.py {do} {to}
"""
ACT = """
import os, signal, subprocess, sys, threading
from pathlib import Path
do, to = sys.argv[1], sys.argv[2]
print("begun", os.getpid(), flush=True)
if do == "exit":
    print("\\nIt did what it could.", flush=True)
    sys.exit(int(to))
if do == "wait":
    while not Path(to).exists():
        threading.Event().wait(0.05)
    sys.exit(int(Path(to).read_text()))
if do == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait = "import threading; threading.Event().wait()"
    for alone in (False, True):
        child = subprocess.Popen([sys.executable, "-c", wait], start_new_session=alone)
        print("child", child.pid, flush=True)
    threading.Event().wait()
"""
MODEL = """
import os
import mlflow
import pandas as pd

if os.environ.get("_MODELDECK_CHILD") and {broken}:
    raise RuntimeError("its heart is broken")


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        return model_input * 2


mlflow.models.set_model(Doubler())
"""
SECRETS = {
    "MLFLOW_TRACKING_USERNAME": "ada",
    "MLFLOW_TRACKING_PASSWORD": "hunter2-tracking",
    "AWS_SECRET_ACCESS_KEY": "hunter2-aws",
    "PGPASSWORD": "hunter2-pg",
    "GITHUB_TOKEN": "hunter2-git",
}


class Worker(Server):
    """A worker process of a home."""

    def __init__(self, home: Path, project: Path, environment: Mapping[str, str]) -> None:
        super().__init__(home.parent / f"{home.name}-worker.log")
        self.command = [sys.executable, "-c", WORKER, str(project)]
        self.environment = environment_for({"MODELDECK_HOME": str(home), **environment})

    def start(self) -> Self:
        self.launch(self.command, self.environment)
        return self


class Shop:
    """A home with its worker, MLflow behind a proxy, and jobs that do as they are told."""

    def __init__(self, folder: Path, server: MlflowServer, proxy: FaultProxy) -> None:
        self.home = folder / "home"
        self.project = folder / "told"
        self.project.mkdir()
        (self.project / "MLproject").write_text(MLPROJECT)
        (self.project / "act.py").write_text(ACT)
        self.proxy = proxy
        environment = {"MODELDECK_JOB_SLOTS": "4", **SECRETS}
        self.worker = Worker(
            self.home, self.project, {"MLFLOW_TRACKING_URI": proxy.url, **environment}
        )
        # What the tests ask MLflow themselves goes past the proxy.
        self.deck: Deck = open_deck(
            load({"MODELDECK_HOME": str(self.home), "MLFLOW_TRACKING_URI": server.url})
        )
        self.ledger = self.deck.ledger
        node = self.deck.settings.node
        self.owner = sha256(f"{node}\n{self.home}".encode()).hexdigest()[:32]
        self.experiment = self.deck.mlflow.tracking.create_experiment(f"jobs of {folder.name}")
        self._released = 0

    # ---------------------------------------------------------------------------- the worker

    def open(self) -> None:
        """Have the worker run."""
        if self.worker.process is None:
            self.worker.start()
            until(lambda: self.worker.pid in self.worker_pids(), SECONDS, "the worker")

    def worker_pids(self) -> list[int]:
        kind = ledger_processes.WORKER
        return [p.ref.pid for p in ledger_processes.running(self.ledger, kind=kind)]

    # ------------------------------------------------------------------------------ its jobs

    def submit(self, do: str, to: object = "") -> Job:
        return jobs.submit(
            self.deck.mlflow, self.ledger, self.deck.actor, projects.load(self.project),
            {"do": do, "to": str(to)}, experiment_id=self.experiment, title=f"{do} {to}",
        )  # fmt: skip

    def gate(self) -> Path:
        """A file that does not exist: a job that waits for it ends with the code written there."""
        self._released += 1
        return self.home / f"gate-{self._released}"

    def job(self, job: Job) -> Job:
        return jobs.get(self.ledger, job.id)

    def until_job(self, job: Job, *states: str) -> Job:
        def there() -> Job | None:
            found = self.job(job)
            return found if found.state in states else None

        return until(there, SECONDS, f"job {job.title} to be {states}; {self.worker.output(5)}")

    def running(self, job: Job) -> tuple[Job, ProcessRef]:
        """The job once its program has begun, with its process."""
        found = self.until_job(job, jobs.RUNNING)
        until(lambda: "begun" in self.log(job), SECONDS, f"job {job.title} to begin")
        assert found.process_id is not None
        return found, ledger_processes.get(self.ledger, found.process_id).ref

    def log(self, job: Job) -> str:
        return tail(self.home / "jobs" / job.id / ledger_processes.LOG)

    def run_status(self, job: Job) -> str:
        assert job.run_id is not None
        return self.deck.mlflow.tracking.run(job.run_id).status

    def ended(self, job: Job) -> tuple[str, int | None, str]:
        """State, exit code and the run's status of a job, once it has ended."""
        found = self.until_job(job, jobs.FINISHED, jobs.FAILED, jobs.STOPPED)
        return found.state, found.exit_code, self.run_status(found)

    # ------------------------------------------------------------------------- its endpoints

    def serve(self, version: ModelVersion) -> Endpoint:
        return endpoints.request(self.ledger, self.deck.actor, version)

    def endpoint(self, endpoint: Endpoint) -> Endpoint:
        return endpoints.get(self.ledger, endpoint.id)

    def until_endpoint(
        self, endpoint: Endpoint, what: Callable[[Endpoint], object], words: str
    ) -> Endpoint:
        def there() -> Endpoint | None:
            found = self.endpoint(endpoint)
            return found if what(found) else None

        return until(there, SECONDS, f"{words}; {self.worker.output(5)}")

    def healthy(self, endpoint: Endpoint) -> tuple[Endpoint, ProcessRef]:
        """The endpoint once it serves, with its process."""
        found = self.until_endpoint(
            endpoint, lambda e: e.state == endpoints.HEALTHY, "the endpoint to be healthy"
        )
        assert found.process_id is not None
        return found, ledger_processes.get(self.ledger, found.process_id).ref

    def predicts(self, endpoint: Endpoint) -> object:
        body = {"dataframe_split": {"columns": ["x"], "data": [[21]]}}
        asked = predict.ask(self.deck.settings, self.ledger, endpoint.id, body)
        return asked.answer.predictions

    # ----------------------------------------------------------------------------------- end

    def close(self) -> None:
        self.proxy.set(Fault.PASS)
        environment = self.worker.environment
        app = ModeldeckApp(self.home, environment=environment)
        done = app.command("stop")
        self.worker.end()
        left = processes_of(self.home)
        for process in left:
            process.kill()
        self.ledger.close()
        self.deck.mlflow.gateway.close()
        assert done.returncode == 0, done.stdout + done.stderr
        assert left == [], "the module leaves something behind"


@pytest.fixture(scope="module")
def shop(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with FaultProxy(mlflow_server.url) as proxy:
        made = Shop(tmp_path_factory.mktemp("shop"), mlflow_server, proxy)
        yield made
        made.close()


@pytest.fixture
def open_shop(shop: Shop) -> Shop:
    """The shop with its worker at work."""
    shop.proxy.set(Fault.PASS)
    shop.open()
    return shop


@pytest.fixture
def closed_shop(shop: Shop) -> Shop:
    """The shop after its worker was killed."""
    shop.open()
    shop.worker.kill()
    return shop


@pytest.fixture(scope="module")
def versions(
    mlflow_server: MlflowServer, shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ModelVersion]:
    """Registered models: "good" doubles what it gets, "broken" cannot be loaded."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hints about signatures
        environment.setenv("MLFLOW_TRACKING_URI", mlflow_server.url)
        for name, broken in (("good", False), ("broken", True)):
            code = folder / f"{name}.py"
            code.write_text(MODEL.format(broken=broken))
            with mlflow.start_run(experiment_id=shop.experiment):
                mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(code),
                    pip_requirements=["mlflow"],
                    registered_model_name=f"worker-{name}",
                )
    registry = shop.deck.mlflow.registry
    return {name: registry.version(f"worker-{name}", 1) for name in ("good", "broken")}


# -------------------------------------------------------------------------------- one a home


def test_there_is_one_worker_however_often_it_is_started(home: Path, tmp_path: Path) -> None:
    environment = environment_for({"MODELDECK_HOME": str(home)})
    starters = [Server(tmp_path / f"worker-{n}.log") for n in range(5)]
    try:
        for _ in range(2):
            for starter in starters:
                if starter.process is None:
                    starter.launch([sys.executable, "-m", "core", "worker"], environment)
            losers = until(lambda: only_one_lives(starters), SECONDS, "four to go home")
            for loser in losers:
                assert loser.process is not None
                assert loser.process.returncode == 0
                assert "This home has a worker already." in loser.output()
                loser.end()
            (winner,) = [starter for starter in starters if starter.process is not None]
            until(
                lambda pid=winner.pid: workers_of(home) == [pid], SECONDS, "it to be written down"
            )
            winner.kill()  # the lock of the dead holds nobody up
    finally:
        for starter in starters:
            starter.end()


def workers_of(home: Path) -> list[int]:
    """Pids of the living workers that a home's ledger knows."""
    ledger = open_deck(load({"MODELDECK_HOME": str(home)})).ledger
    known = ledger_processes.running(ledger, kind=ledger_processes.WORKER)
    ledger.close()
    return [process.ref.pid for process in known if alive(process.ref)]


def only_one_lives(starters: list[Server]) -> list[Server] | None:
    ended = [s for s in starters if s.process is not None and s.process.poll() is not None]
    return ended if len(ended) == len(starters) - 1 else None


# ------------------------------------------------------------------------------------- ends


def test_jobs_run_to_their_true_end(open_shop: Shop) -> None:
    good, bad = open_shop.submit("exit", 0), open_shop.submit("exit", 3)
    polite = open_shop.submit("wait", open_shop.gate())
    missing = open_shop.submit("no such thing")
    assert open_shop.run_status(good) == "SCHEDULED", "MLflow shows it from its first second"
    open_shop.running(polite)
    jobs.request_stop(open_shop.ledger, polite.id, "bob")
    assert open_shop.ended(good) == (jobs.FINISHED, 0, "FINISHED")
    assert open_shop.ended(bad) == (jobs.FAILED, 3, "FAILED")
    assert open_shop.ended(polite) == (jobs.STOPPED, -signal.SIGTERM, "KILLED")
    assert open_shop.ended(missing)[0] == jobs.FINISHED
    assert open_shop.job(bad).message == "It did what it could."
    assert open_shop.job(good).message == ""


def test_what_a_job_trained_the_worker_registers(open_shop: Shop) -> None:
    deck = open_shop.deck
    typed = {"data": "bundled:iris", "family": "linear", "folds": "2", "register_as": "by-worker"}
    job = launch_job(deck, projects.tabular(), typed, experiment="trained", title="t")
    assert open_shop.ended(job) == (jobs.FINISHED, 0, "FINISHED")
    assert open_shop.job(job).message == ""
    (version,) = deck.mlflow.registry.versions("by-worker")
    assert version.run_id == job.run_id
    assert version.tags[ASKED_BY] == deck.actor.name


def test_a_stop_ends_the_whole_group_and_who_left_it(open_shop: Shop) -> None:
    job = open_shop.submit("stubborn")
    _, ref = open_shop.running(job)
    lines = until(
        lambda: (
            [line for line in open_shop.log(job).splitlines() if line.startswith("child")][1:]
            and open_shop.log(job)
        ),
        SECONDS,
        "two children",
    )
    pids = [int(line.split()[1]) for line in lines.splitlines()]
    assert len(pids) == 3
    jobs.request_stop(open_shop.ledger, job.id, "bob")
    assert open_shop.ended(job) == (jobs.STOPPED, None, "KILLED")
    until(lambda: not any(lives(pid) for pid in pids), SECONDS, "all of them to end")
    assert group_members(ref.pid) == []
    assert open_shop.job(job).stop_requested_by == "bob"


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_slots_limit_what_runs_and_a_stop_in_the_queue_is_settled_at_once(open_shop: Shop) -> None:
    gate = open_shop.gate()
    busy = [open_shop.submit("wait", gate) for _ in range(4)]
    for job in busy:
        open_shop.running(job)
    waiting, unwanted = open_shop.submit("exit", 0), open_shop.submit("exit", 0)
    jobs.request_stop(open_shop.ledger, unwanted.id, "bob")
    assert open_shop.ended(unwanted) == (jobs.STOPPED, None, "KILLED")
    assert open_shop.job(waiting).state == jobs.QUEUED
    assert open_shop.log(unwanted) == "", "it was never started"
    gate.write_text("0")
    assert {open_shop.ended(job) for job in [*busy, waiting]} == {(jobs.FINISHED, 0, "FINISHED")}


# --------------------------------------------------------------------------- killed, adopted


def test_jobs_go_on_without_a_worker_and_the_next_one_learns_how_they_ended(
    open_shop: Shop,
) -> None:
    gates = [open_shop.gate() for _ in range(3)]
    waiting = [open_shop.submit("wait", gate) for gate in gates]
    before = [open_shop.running(job)[1] for job in waiting]
    open_shop.worker.kill()
    gates[0].write_text("5")
    until(lambda: not alive(before[0]), SECONDS, "a job to end while nobody looks")
    queued = open_shop.submit("exit", 0)
    open_shop.open()
    after = [open_shop.running(job)[1] for job in waiting[1:]]
    assert after == before[1:], "the same processes, not new ones"
    for gate, code in zip(gates[1:], ("0", "3"), strict=True):
        gate.write_text(code)
    assert open_shop.ended(waiting[0]) == (jobs.FAILED, 5, "FAILED")
    assert open_shop.ended(waiting[1]) == (jobs.FINISHED, 0, "FINISHED")
    assert open_shop.ended(waiting[2]) == (jobs.FAILED, 3, "FAILED")
    assert open_shop.ended(queued) == (jobs.FINISHED, 0, "FINISHED")
    assert [open_shop.log(job).count("begun") for job in [*waiting, queued]] == [1] * 4
    job = open_shop.job(waiting[0])
    assert job.process_id is not None
    process = ledger_processes.get(open_shop.ledger, job.process_id)
    new_worker = next(
        p
        for p in ledger_processes.running(open_shop.ledger, kind=ledger_processes.WORKER)
        if p.ref.pid == open_shop.worker.pid
    )
    assert process.ended_at is not None
    assert process.ended_at < new_worker.begun_at, "it ended when it ended, not when that was seen"


def test_a_process_that_is_killed_with_its_launcher_is_settled_as_failed(open_shop: Shop) -> None:
    job = open_shop.submit("wait", open_shop.gate())
    _, ref = open_shop.running(job)
    os.killpg(ref.pid, signal.SIGKILL)
    assert open_shop.ended(job) == (jobs.FAILED, None, "FAILED")


def test_a_number_given_to_somebody_else_meanwhile_is_left_alone(closed_shop: Shop) -> None:
    """As after a restart of the machine: the job is gone, its pid and group are a stranger's."""
    stranger = Server(closed_shop.home.parent / "stranger.log")
    stranger.launch(["sleep", "600"], dict(os.environ))
    try:
        job = as_if_claimed(closed_shop, closed_shop.submit("wait", closed_shop.gate()))
        process = ledger_processes.record(
            closed_shop.ledger, ledger_processes.JOB, job.id, node=closed_shop.deck.settings.node,
            home=closed_shop.home, ref=ProcessRef(stranger.pid, 1.0),
            folder=closed_shop.home / "jobs" / job.id,
        )  # fmt: skip
        jobs.update(closed_shop.ledger, job, state=jobs.RUNNING, process_id=process.id)
        closed_shop.open()
        assert closed_shop.ended(job) == (jobs.FAILED, None, "FAILED")
        assert stranger.process is not None
        assert stranger.process.poll() is None
    finally:
        stranger.end()


# ----------------------------------------------- killed between starting and writing it down


def as_if_claimed(shop: Shop, job: Job) -> Job:
    claimed = jobs.claim(shop.ledger, shop.owner, 1)
    assert claimed is not None
    assert claimed.id == job.id
    return claimed


def as_if_started(shop: Shop, job: Job) -> ProcessRef:
    """What a worker leaves that dies right after it has started the job's process."""
    job = as_if_claimed(shop, job)
    folder = shop.home / "jobs" / job.id
    return start(
        projects.command(projects.load(shop.project), job.params),
        env=project_environment(shop.deck.settings, job),
        cwd=shop.project,
        log=folder / ledger_processes.LOG,
        ending=folder / ledger_processes.ENDING,
    )


def test_a_job_that_was_started_but_not_written_down_is_not_started_twice(
    closed_shop: Shop,
) -> None:
    gate = closed_shop.gate()
    living = closed_shop.submit("wait", gate)
    ref = as_if_started(closed_shop, living)
    over = closed_shop.submit("exit", 4)
    gone = as_if_started(closed_shop, over)
    until(lambda: not alive(gone), SECONDS, "the one to end before there is a worker")
    closed_shop.open()
    assert closed_shop.running(living)[1] == ref
    gate.write_text("0")
    assert closed_shop.ended(living) == (jobs.FINISHED, 0, "FINISHED")
    assert closed_shop.ended(over) == (jobs.FAILED, 4, "FAILED")
    assert closed_shop.log(living).count("begun") == closed_shop.log(over).count("begun") == 1


def test_a_stop_finds_it_too(closed_shop: Shop) -> None:
    job = closed_shop.submit("wait", closed_shop.gate())
    ref = as_if_started(closed_shop, job)
    jobs.request_stop(closed_shop.ledger, job.id, "bob")
    endpoint_id = new_id()
    with closed_shop.ledger.transaction("testing") as connection:
        connection.execute(
            endpoints_table.insert().values(
                id=endpoint_id, model="m", version=1, source="", state=endpoints.STARTING,
                message="", requested_by="ada", requested_at=ledger_processes.now(), restarts=0,
                claimed_by=closed_shop.owner, claim_token=1, stop_requested_by="bob",
                stop_requested_at=ledger_processes.now(),
            )
        )  # fmt: skip
    folder = closed_shop.home / "endpoints" / endpoint_id
    served = start(
        ["sleep", "600"], env=clean_environment({}, child_of=endpoint_id), cwd=closed_shop.home,
        log=folder / "log.txt", ending=folder / "ending.json",
    )  # fmt: skip
    closed_shop.open()
    assert closed_shop.ended(job)[::2] == (jobs.STOPPED, "KILLED")
    until(
        lambda: endpoints.get(closed_shop.ledger, endpoint_id).state == endpoints.STOPPED,
        SECONDS,
        "the endpoint to be stopped",
    )
    until(lambda: not alive(ref) and not alive(served), SECONDS, "both processes to end")


# ------------------------------------------------------------------------- MLflow in trouble


def test_a_run_that_was_deleted_holds_nobody_up(closed_shop: Shop) -> None:
    withdrawn = closed_shop.submit("exit", 0)
    started = closed_shop.submit("exit", 0)
    for job in (withdrawn, started):
        assert job.run_id is not None
        closed_shop.deck.mlflow.tracking.delete_run(job.run_id)
    jobs.request_stop(closed_shop.ledger, withdrawn.id, "bob")
    behind = closed_shop.submit("exit", 0)
    closed_shop.open()
    assert closed_shop.ended(behind) == (jobs.FINISHED, 0, "FINISHED")
    assert closed_shop.until_job(withdrawn, jobs.STOPPED)
    assert closed_shop.until_job(started, jobs.FINISHED)


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.ERROR_500])
def test_a_job_that_ends_while_mlflow_is_away_is_settled_once_it_is_back(
    open_shop: Shop, fault: Fault
) -> None:
    gate = open_shop.gate()
    ending, stopped = open_shop.submit("wait", gate), open_shop.submit("wait", open_shop.gate())
    _, first = open_shop.running(ending)
    _, second = open_shop.running(stopped)
    waiting = [open_shop.submit("wait", open_shop.gate()) for _ in range(2)]
    for job in waiting:
        open_shop.running(job)
    unwanted = open_shop.submit("exit", 0)
    open_shop.proxy.set(fault)
    jobs.request_stop(open_shop.ledger, unwanted.id, "bob")
    gate.write_text("0")
    jobs.request_stop(open_shop.ledger, stopped.id, "bob")
    until(lambda: not alive(first) and not alive(second), SECONDS, "the stop to come through")
    for job in (ending, stopped, unwanted):
        assert open_shop.job(job).open, "it cannot be told yet"
    open_shop.proxy.set(Fault.PASS)
    assert open_shop.ended(ending) == (jobs.FINISHED, 0, "FINISHED")
    assert open_shop.ended(stopped) == (jobs.STOPPED, -signal.SIGTERM, "KILLED")
    assert open_shop.ended(unwanted) == (jobs.STOPPED, None, "KILLED")
    for job in waiting:
        Path(job.params["to"]).write_text("0")
        assert open_shop.ended(job) == (jobs.FINISHED, 0, "FINISHED")


def test_all_is_stopped_also_while_mlflow_is_away(
    open_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = open_shop.submit("wait", open_shop.gate())
    _, ref = open_shop.running(job)
    open_shop.proxy.set(Fault.REFUSE)
    monkeypatch.setattr(running, "_PATIENCE", 2.0)
    away = {"MODELDECK_HOME": str(open_shop.home), "MLFLOW_TRACKING_URI": open_shop.proxy.url}
    deck = open_deck(load(away))
    said: list[str] = []
    assert running.stop_all(deck, said.append), said
    deck.ledger.close()
    deck.mlflow.gateway.close()
    open_shop.worker.end()
    assert not alive(ref)
    assert [line for line in said if "MLflow could not be told" in line and job.title in line]
    assert open_shop.job(job).open
    open_shop.proxy.set(Fault.PASS)
    open_shop.open()
    assert open_shop.ended(job) == (jobs.STOPPED, -signal.SIGTERM, "KILLED")


# --------------------------------------------------------------------------- on the page


def test_every_process_is_listed_and_a_worker_stopped_there_leaves_its_jobs(
    open_shop: Shop,
) -> None:
    job = open_shop.submit("wait", open_shop.gate())
    _, ref = open_shop.running(job)
    shown = {one.process.kind: one for one in running.overview(open_shop.deck)}
    assert shown["job"].title == job.title
    assert shown["job"].process.ref == ref
    assert shown["job"].alive
    assert (shown["job"].memory or 0) > 1_000_000
    assert shown["worker"].process.ref.pid == open_shop.worker.pid
    assert running.worker_runs(open_shop.deck)
    running.stop(open_shop.deck, shown["worker"].process)
    assert open_shop.worker.process is not None
    assert open_shop.worker.process.wait(SECONDS) == 0
    open_shop.worker.end()
    assert alive(ref)
    assert "worker" not in [one.process.kind for one in running.overview(open_shop.deck)]
    assert not running.worker_runs(open_shop.deck)
    open_shop.open()
    running.stop(open_shop.deck, shown["job"].process)
    assert open_shop.ended(job) == (jobs.STOPPED, -signal.SIGTERM, "KILLED")


def test_a_worker_that_was_killed_is_written_off(closed_shop: Shop) -> None:
    shown = [one.process.kind for one in running.overview(closed_shop.deck)]
    assert "worker" not in shown


# ------------------------------------------------------------------------ several, one ledger


def test_workers_of_two_homes_never_run_the_same_job(
    postgres: Postgres, shop: Shop, tmp_path: Path
) -> None:
    number, gate = 16, tmp_path / "gate"
    environment = {"MODELDECK_LEDGER_URI": postgres.fresh_database(), "MODELDECK_JOB_SLOTS": "3"}
    homes = [tmp_path / "one", tmp_path / "two"]
    deck = open_deck(load({"MODELDECK_HOME": str(homes[0]), **environment}))
    for _ in range(number):
        jobs.QUEUE.add(
            deck.ledger, by="ada", state=jobs.QUEUED, project="told", entry_point="main", title="x",
            params={"do": "wait", "to": str(gate)},
        )  # fmt: skip
    workers = [Worker(home, shop.project, environment) for home in homes]
    try:
        for worker in workers:
            worker.start()

        def all_jobs(*states: str) -> list[Job]:
            return [job for job in jobs.recent(deck.ledger, number) if job.state in states]

        until(lambda: len(all_jobs(jobs.RUNNING)) == 6, SECONDS, "both to have all they can take")
        gate.write_text("0")
        until(lambda: len(all_jobs(jobs.FINISHED)) == number, SECONDS, "all jobs to be done")
        owners = [job.claimed_by for job in all_jobs(jobs.FINISHED)]
        assert min(owners.count(owner) for owner in set(owners)) >= 3
        assert len(set(owners)) == 2
        logs = [file.read_text() for home in homes for file in home.glob("jobs/*/log.txt")]
        assert [log.count("begun") for log in logs] == [1] * number
    finally:
        for worker in workers:
            worker.end()
        deck.ledger.close()


def test_a_ledger_that_goes_away_is_waited_for(tmp_path: Path, shop: Shop) -> None:
    with Postgres() as postgres:
        environment = {"MODELDECK_LEDGER_URI": postgres.fresh_database()}
        deck = open_deck(load({"MODELDECK_HOME": str(tmp_path / "one"), **environment}))
        with Worker(tmp_path / "one", shop.project, environment) as worker:
            job = jobs.QUEUE.add(
                deck.ledger, by="ada", state=jobs.QUEUED, project="told", entry_point="main",
                title="x", params={"do": "wait", "to": str(tmp_path / "gate")},
            )  # fmt: skip
            until(lambda: jobs.get(deck.ledger, job.id).state == jobs.RUNNING, SECONDS)
            postgres.end()
            (tmp_path / "gate").write_text("0")
            until(lambda: "did not answer as expected" in worker.output(), SECONDS, "a word of it")
            postgres.start()
            until(lambda: jobs.get(deck.ledger, job.id).state == jobs.FINISHED, SECONDS)
            assert worker.process is not None
            assert worker.process.poll() is None
        deck.ledger.close()


# --------------------------------------------------------------------------------- endpoints


@pytest.fixture(scope="module")
def served(shop: Shop, versions: dict[str, ModelVersion]) -> Endpoint:
    """An endpoint that serves."""
    shop.proxy.set(Fault.PASS)
    shop.open()
    return shop.healthy(shop.serve(versions["good"]))[0]


def test_an_endpoint_serves(open_shop: Shop, served: Endpoint) -> None:
    endpoint, ref = open_shop.healthy(served)
    assert endpoint.message == ""
    assert endpoint.restarts == 0
    assert alive(ref)
    assert open_shop.predicts(endpoint) == [{"x": 42}]


def test_children_have_the_credentials_they_need_and_no_others(
    open_shop: Shop, served: Endpoint
) -> None:
    job = open_shop.submit("wait", open_shop.gate())
    _, job_ref = open_shop.running(job)
    _, endpoint_ref = open_shop.healthy(served)
    assert open_shop.worker.process is not None
    assert set(SECRETS.values()) <= set(environment_of(open_shop.worker.pid).values())
    for ref, allowed in ((job_ref, {"ada", "hunter2-tracking"}), (endpoint_ref, set[str]())):
        members = group_members(ref.pid)
        assert len(members) == 2, "the launcher and the program"
        for member in members:
            env = environment_of(member.pid)
            assert {value for value in env.values() if value in SECRETS.values()} == allowed
            assert not [name for name in env if name.startswith("MODELDECK_")]
            assert CHILD_MARK in env
            assert "hunter2" not in " ".join(member.cmdline())
    assert "MLFLOW_TRACKING_URI" not in environment_of(endpoint_ref.pid)
    Path(job.params["to"]).write_text("0")
    open_shop.ended(job)


def environment_of(pid: int) -> dict[str, str]:
    """What the operating system itself says."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_an_endpoint_goes_on_without_a_worker_and_is_adopted(
    open_shop: Shop, served: Endpoint
) -> None:
    endpoint, ref = open_shop.healthy(served)
    open_shop.worker.kill()
    assert open_shop.predicts(endpoint) == [{"x": 42}]
    before = endpoint.checked_at
    open_shop.open()
    open_shop.until_endpoint(endpoint, lambda e: e.checked_at != before, "the next look at it")
    after, same = open_shop.healthy(endpoint)
    assert same == ref
    assert (after.nonce, after.port, after.restarts) == (endpoint.nonce, endpoint.port, 0)


def test_another_process_on_its_port_is_never_taken_for_it(
    open_shop: Shop, served: Endpoint, tmp_path: Path
) -> None:
    endpoint, ref = open_shop.healthy(served)
    launcher = psutil.Process(ref.pid)
    (program,) = launcher.children()
    launcher.suspend()  # else it would end, and its end be seen
    program.kill()
    other = tmp_path / "other"
    model = next((open_shop.home / "models").iterdir())
    other.mkdir()
    impostor = Server(other / "log.txt")
    command = [sys.executable, "-m", "core.mlflow_api.scoring", "--model", str(model)]
    command += ["--endpoint", "other", "--model-name", "worker-good", "--model-version", "2"]
    command += ["--nonce", "ff", "--port", str(endpoint.port)]
    impostor.launch(
        [*command, "--ready-file", str(other / "ready.json")],
        environment_for({"PYTHONPATH": str(ROOT)}),
        cwd=other,
    )
    try:
        until((other / "ready.json").exists, SECONDS, "the other process to serve")
        found = open_shop.until_endpoint(
            endpoint,
            lambda e: e.message == "Another process answers at this address.",
            "the other to be found out",
        )
        assert found.state == endpoints.UNHEALTHY
        with pytest.raises(EndpointFailed):
            open_shop.predicts(endpoint)
        launcher.resume()
        again = open_shop.until_endpoint(
            endpoint, lambda e: e.restarts == 1 and e.state == endpoints.HEALTHY, "a new start"
        )
        assert again.port != endpoint.port
        assert again.nonce != endpoint.nonce
        assert open_shop.predicts(again) == [{"x": 42}]
    finally:
        if launcher.is_running():
            launcher.resume()
        impostor.end()


def test_a_model_process_that_is_killed_is_started_again_though_mlflow_is_away(
    open_shop: Shop, served: Endpoint
) -> None:
    endpoint, ref = open_shop.healthy(served)
    open_shop.proxy.set(Fault.REFUSE)
    os.killpg(ref.pid, signal.SIGKILL)
    waiting = open_shop.until_endpoint(
        endpoint, lambda e: "No connection to the MLflow" in e.message, "the fetch to fail"
    )
    assert waiting.open
    assert waiting.restarts == endpoint.restarts + 1
    open_shop.proxy.set(Fault.PASS)
    again, after = open_shop.healthy(endpoint)
    assert after != ref
    assert open_shop.predicts(again) == [{"x": 42}]


def test_a_model_that_cannot_be_loaded_fails_with_its_words(
    open_shop: Shop, versions: dict[str, ModelVersion]
) -> None:
    broken = open_shop.serve(versions["broken"])
    gone = open_shop.serve(versions["good"].__class__(**vars(versions["good"]) | {"version": 99}))
    failed = open_shop.until_endpoint(broken, lambda e: not e.open, "the endpoint to fail")
    assert failed.state == endpoints.FAILED
    assert "its heart is broken" in failed.message
    assert "Traceback" not in failed.message
    assert failed.restarts == 0, "it would only fail again"
    missing = open_shop.until_endpoint(gone, lambda e: not e.open, "the endpoint to fail")
    assert missing.state == endpoints.FAILED
    assert "99" in missing.message


def test_an_endpoint_is_stopped(open_shop: Shop, served: Endpoint) -> None:
    _, ref = open_shop.healthy(served)
    endpoints.request_stop(open_shop.ledger, served.id, "bob")
    done = open_shop.until_endpoint(served, lambda e: not e.open, "the endpoint to stop")
    assert done.state == endpoints.STOPPED
    assert done.address is None
    assert group_members(ref.pid) == []
    with pytest.raises(EndpointFailed):
        open_shop.predicts(done)


# ------------------------------------------------------------------------------ the whole house


def test_page_server_and_worker_are_killed_and_all_goes_on(
    mlflow_server: MlflowServer, shop: Shop, versions: dict[str, ModelVersion], tmp_path: Path
) -> None:
    """The real application with a real training, held in the middle by a server that hangs."""
    with FaultProxy(mlflow_server.url) as proxy:
        app = ModeldeckApp(tmp_path / "house", tracking_uri=proxy.url)
        deck = open_deck(
            load({"MODELDECK_HOME": str(app.home), "MLFLOW_TRACKING_URI": mlflow_server.url})
        )
        try:
            app.start()
            house = House(app, deck)
            held = hold_trainings(proxy)
            job, endpoint = house.train(shop.experiment), house.serve(versions["good"])
            until(held, SECONDS, "the training to be under way")
            house.until_healthy(endpoint)
            before = house.pids()
            worker = house.worker()

            app.kill()
            assert house.pids() == before
            os.kill(worker, signal.SIGKILL)
            until(lambda: not lives(worker), SECONDS, "the worker to be gone")
            assert house.predicts(endpoint)
            app.start()
            until(lambda: house.worker() != worker, SECONDS, "the next worker")
            assert house.pids() == before, "adopted, not started again"
            assert jobs.get(deck.ledger, job.id).state == jobs.RUNNING
            assert house.predicts(endpoint)

            proxy.set(Fault.PASS)
            done = until(lambda: house.closed(job), SECONDS, "the training to end")
            assert (done.state, done.exit_code) == (jobs.FINISHED, 0)
            assert done.run_id is not None
            run = deck.mlflow.tracking.run(done.run_id)
            assert run.status == "FINISHED"
            assert run.metrics

            held = hold_trainings(proxy)
            second = house.train(shop.experiment)
            until(held, SECONDS, "another training")
            app.signal_group(signal.SIGINT)
            assert app.process is not None
            app.process.wait(SECONDS)
            said = app.output()
            for word in (
                "These go on running",
                "worker",
                "job second",
                "worker-good v1",
                "make stop",
            ):
                assert word.replace("second", second.title) in said
            assert lives(house.worker())

            done_stop = app.command("stop")
            assert done_stop.returncode == 0, done_stop.stdout + done_stop.stderr
            assert jobs.get(deck.ledger, second.id).state == jobs.STOPPED
            assert second.run_id is not None
            assert deck.mlflow.tracking.run(second.run_id).status == "KILLED"
            assert endpoints.get(deck.ledger, endpoint.id).state == endpoints.STOPPED
            for group in before.values():
                assert group_members(group) == []
            assert marked({job.id, second.id, endpoint.id}) == []
            assert processes_of(app.home) == []
            assert ledger_processes.running(deck.ledger) == []
            assert "Nothing of Modeldeck runs here any more." in done_stop.stdout
        finally:
            proxy.set(Fault.PASS)
            app.stop()
            deck.ledger.close()


def hold_trainings(proxy: FaultProxy) -> Callable[[], bool]:
    """Let the server hang where a training logs; answers whether one hangs there."""
    proxy.set(Fault.HANG, lambda line: "runs/log-batch" in line)
    before = len(proxy.requests)
    return lambda: any("runs/log-batch" in line for line in proxy.requests[before:])


class House:
    """What the test of the whole house asks of it."""

    def __init__(self, app: ModeldeckApp, deck: Deck) -> None:
        self.app = app
        self.deck = deck

    def train(self, experiment: str) -> Job:
        project = projects.tabular()
        values = projects.check(project, {"family": "linear"}, [])
        return jobs.submit(
            self.deck.mlflow, self.deck.ledger, self.deck.actor, project, values,
            experiment_id=experiment, title="held in the middle",
        )  # fmt: skip

    def serve(self, version: ModelVersion) -> Endpoint:
        return endpoints.request(self.deck.ledger, self.deck.actor, version)

    def log(self, job: Job) -> str:
        return tail(self.app.home / "jobs" / job.id / ledger_processes.LOG)

    def closed(self, job: Job) -> Job | None:
        found = jobs.get(self.deck.ledger, job.id)
        return None if found.open else found

    def until_healthy(self, endpoint: Endpoint) -> None:
        until(
            lambda: endpoints.get(self.deck.ledger, endpoint.id).state == endpoints.HEALTHY,
            SECONDS,
            "the endpoint to be healthy",
        )

    def predicts(self, endpoint: Endpoint) -> bool:
        body = {"dataframe_split": {"columns": ["x"], "data": [[21]]}}
        answer = predict.ask(self.deck.settings, self.deck.ledger, endpoint.id, body).answer
        return answer.predictions == [{"x": 42}]

    def worker(self) -> int:
        found = ledger_processes.newest(
            self.deck.ledger,
            ledger_processes.WORKER,
            node=self.deck.settings.node,
            home=self.app.home,
        )
        assert found is not None
        return found.ref.pid

    def pids(self) -> dict[str, int]:
        """The living processes of jobs and endpoints, by what they belong to."""
        return {
            process.subject: process.ref.pid
            for process in ledger_processes.running(self.deck.ledger)
            if process.kind in (ledger_processes.JOB, ledger_processes.ENDPOINT)
            and alive(process.ref)
        }


def marked(ids: set[str]) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(CHILD_MARK) in ids:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
