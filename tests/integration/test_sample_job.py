"""The sample as a job of a real worker: shown, stopped in the middle, completed, nothing twice.

The plan is a part of the real one; the whole of it is made in ``test_builtin_projects``.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.errors import Busy
from core.ledger import leases
from core.ledger import processes as ledger_processes
from core.lifecycle import sample
from core.lifecycle.deck import Deck, open_deck
from core.processes import tail
from core.registry.ladder import LADDER
from core.registry.plan import Wanted
from core.registry.transitions import transition
from core.settings import load
from core.training import jobs
from core.training.builtin.sample.plan import TAG
from core.training.jobs import Job
from tests.servers import MlflowServer, ModeldeckApp, Server, clean_environment, processes_of
from tests.waiting import until

SECONDS = 180.0

# The real worker; what it starts for the sample is the real program with a smaller plan.
WORKER = """
import sys
from dataclasses import replace
from core.lifecycle import worker
from core.settings import load

launch = worker._launch


def smaller(settings, job):
    made = launch(settings, job)
    assert made.command[1:] == ["-m", "core", "demo"], made.command
    return replace(made, command=[sys.executable, "-c", sys.argv[1]])


worker._launch = smaller
sys.exit(worker.main(load()))
"""
DEMO = """
import sys
from dataclasses import replace
from core.training.builtin.sample import plan

whole = plan.SAMPLE
runs = tuple(r for r in whole.runs if r.key.startswith(("diabetes/linear", "diabetes/neigh")))
keys = {r.key for r in runs}
(model,) = (m for m in whole.models if m.key == "diabetes-progression")
model = replace(model, versions=tuple(v for v in model.versions if v.run in keys))
(experiment,) = (e for e in whole.experiments if e.key == "diabetes")
plan.SAMPLE = plan.SamplePlan((experiment,), runs, (model,))

from core.__main__ import main

sys.exit(main(["demo"]))
"""
RUNS = 13
"""Five linear ones, one of them with five folds, and three of nearest neighbours."""
STEPS = RUNS + 2 + 2
"""With two versions, each registered and brought to its place."""


class Home:
    """A home with the embedded store and a worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {"MODELDECK_HOME": str(folder)}
        self.environment = clean_environment(environment)
        self.deck: Deck = open_deck(load(environment))
        self.worker = Server(folder.parent / "worker.log")
        self.worker.launch([sys.executable, "-c", WORKER, DEMO], self.environment)

    def log(self, job: Job) -> str:
        return tail(self.folder / "jobs" / job.id / ledger_processes.LOG)

    def progress(self, job: Job, least: int) -> jobs.Progress:
        def far_enough() -> jobs.Progress | None:
            found = jobs.progress(self.log(job))
            return found if found and found.done >= least else None

        return until(far_enough, SECONDS, f"{least} steps of the sample; {self.log(job)[-500:]}")

    def ended(self, job: Job) -> Job:
        def over() -> Job | None:
            found = jobs.get(self.deck.ledger, job.id)
            return None if found.open else found

        return until(over, SECONDS, f"the job to end; {self.log(job)[-500:]}")

    def close(self) -> None:
        done = ModeldeckApp(self.folder, environment=self.environment).command("stop")
        self.worker.end()
        left = processes_of(self.folder)
        for process in left:
            process.kill()
        self.deck.ledger.close()
        self.deck.mlflow.gateway.close()
        assert done.returncode == 0, done.stdout + done.stderr
        assert left == [], "the module leaves something behind"
        assert "could not be told" not in done.stdout, done.stdout + self.worker.output()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("sample") / "home")
    yield made
    made.close()


def test_the_sample_is_shown_stopped_and_completed(house: Home) -> None:
    deck = house.deck
    job = jobs.submit_sample(deck.ledger, deck.actor)
    shown = house.progress(job, 2)
    assert shown.total == STEPS
    assert shown.text
    assert jobs.submit_sample(deck.ledger, deck.actor).id == job.id, "it is being made already"
    jobs.request_stop(deck.ledger, job.id, "bob")
    stopped = house.ended(job)
    assert (stopped.state, stopped.exit_code) == (jobs.STOPPED, 143)
    assert "Stopped. Another call goes on from here." in house.log(job)

    client = MlflowClient(deck.settings.tracking_uri)
    (experiment,) = [
        e.experiment_id for e in client.search_experiments() if e.tags.get(TAG) == "diabetes"
    ]
    before = client.search_runs([experiment])
    assert "RUNNING" not in {run.info.status for run in before}, "each run has its true end"
    whole = {run.info.run_id for run in before if run.info.status == "FINISHED"}
    assert 0 < len(before) < RUNS

    again = jobs.submit_sample(deck.ledger, deck.actor)
    assert again.id != job.id
    done = house.ended(again)
    assert (done.state, done.exit_code) == (jobs.FINISHED, 0), house.log(again)
    last = jobs.progress(house.log(again))
    assert last is not None
    assert (last.done, last.total) == (STEPS, STEPS)

    after = client.search_runs([experiment])
    assert len(after) == RUNS
    assert set(Counter(run.data.tags[TAG] for run in after).values()) == {1}
    assert {run.info.status for run in after} == {"FINISHED"}
    kept = {run.info.run_id for run in after} & whole
    assert kept, "what was whole was kept"

    versions = deck.mlflow.registry.versions("diabetes-progression")
    assert [(v.version, v.stage, v.aliases) for v in versions] == [
        (2, "Production", ("champion",)),
        (1, "Archived", ()),
    ]
    assert TAG in versions[0].tags


def test_only_one_makes_it_at_a_time(house: Home) -> None:
    lease = leases.take(house.deck.ledger, "sample", "somebody else", 60)
    assert lease is not None
    with pytest.raises(Busy, match="being made already"):
        sample.make(house.deck, lambda *_: None, lambda: True)
    leases.give_back(house.deck.ledger, lease)


def test_who_loses_the_lease_on_the_way_stops(house: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the machine slept, and another call has begun since."""

    def make(deck: Deck, say: sample.Say, should_stop: object) -> bool:
        say(1, 2, "before")
        leases.expire(deck.ledger, "sample")
        assert leases.take(deck.ledger, "sample", "another", 60) is not None
        say(2, 2, "after")
        raise AssertionError("two made it at once")

    monkeypatch.setattr(sample, "_make", make)
    said: list[str] = []
    with pytest.raises(Busy):
        sample.make(house.deck, lambda _done, _of, what: said.append(what), lambda: False)
    assert said == ["before"]
    leases.expire(house.deck.ledger, "sample")


@pytest.mark.parametrize(
    ("found", "aliases"),
    [("None", ("tried",)), ("Staging", ("tried",)), ("Archived", ())],
)
def test_a_version_is_brought_to_its_place_unless_somebody_moved_it(
    mlflow_server: MlflowServer, home: Path, found: str, aliases: tuple[str, ...]
) -> None:
    """Staging: it was killed between the stage and the alias."""
    environment = {"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": mlflow_server.url}
    deck = open_deck(load(environment))
    name = f"sample-{found}"
    run = deck.mlflow.tracking.create_run("0", name)
    deck.mlflow.registry.create_model(name)
    deck.mlflow.registry.create_version(name, f"{run.artifact_uri}/model", run.id)
    if found != "None":
        moved = Wanted(name, 1, found, archive_existing=False, comment="")
        transition(deck.mlflow, deck.ledger, deck.actor, moved, LADDER)
    sample._place(deck, name, 1, "Staging", ("tried",))
    version = deck.mlflow.registry.version(name, 1)
    assert version.stage == ("Archived" if found == "Archived" else "Staging")
    assert set(aliases) <= set(version.aliases)
    assert ("tried" in version.aliases) == bool(aliases)
    deck.ledger.close()
    deck.mlflow.gateway.close()
