"""What happens in MLflow comes into the mirror, from its database and over HTTP."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.mlflow_api import Mlflow, connect
from core.runs.mirror import open_mirror
from core.runs.mirror import sync as sync_module
from core.settings import Settings, load
from tests.mirrors import Odd, make_runs, open_store, rows
from tests.servers import MlflowServer
from tests.waiting import until

SOURCES = ("database", "client", "beside")


class Here:
    """A store, its mirror, and MLflow's client to write with."""

    def __init__(self, settings: Settings, client: MlflowClient, mlflow: Mlflow) -> None:
        self.settings = settings
        self.client = client
        self.mlflow = mlflow
        self.mirror = open_mirror(settings, mlflow)
        self.experiment = ""

    def ids(self, where: str = "true") -> set[str]:
        with self.mirror.cursor() as c:
            return {r[0] for r in rows(c, f"SELECT run_id FROM runs WHERE {where}")}  # noqa: S608

    def soon(self, predicate: Callable[[], object], what: str) -> None:
        """Wait as a page would: looking on."""

        def look() -> object:
            self.mirror.want([self.experiment])
            return predicate()

        until(look, 60, what)

    def tag(self, run: str, key: str) -> str | None:
        with self.mirror.cursor() as c:
            found = rows(
                c,
                "SELECT value FROM tags JOIN runs ON no = run JOIN keys ON id = key "
                "WHERE run_id = ? AND keys.name = ?",
                run,
                key,
            )
        return str(found[0][0]) if found else None


@pytest.fixture(params=SOURCES)
def here(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Here]:
    """A store with three runs: read from its database, over HTTP, and from the database of an HTTP
    server."""
    monkeypatch.setattr(sync_module, "_WATCHED", 0.2)
    home = tmp_path / "home"
    environment = {"MODELDECK_HOME": str(home)}
    if request.param == "database":
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path}/store.db"
    else:
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        environment["MLFLOW_TRACKING_URI"] = server.url
        if request.param == "beside":
            environment["MODELDECK_MIRROR_URI"] = server.backend_uri
    _, client = open_store(environment["MLFLOW_TRACKING_URI"], home)
    experiment = client.create_experiment(f"sync {time.time_ns()}")
    make_runs(client, experiment, [Odd(name="one"), Odd(name="two"), Odd(name="three")])
    settings = load(environment)
    here = Here(settings, client, connect(settings))
    here.experiment = experiment
    here.mirror.settle([experiment], 60)
    assert here.mirror.coverage.source == ("client" if request.param == "client" else "database")
    yield here
    here.mirror.close()


def test_all_is_there_when_a_page_has_waited(here: Here) -> None:
    assert len(here.ids(f"experiment_id = '{here.experiment}'")) == 3
    here.soon(lambda: here.mirror.coverage.complete, "the rest of the store")
    coverage = here.mirror.coverage
    assert coverage.runs == coverage.total
    assert coverage.at is not None
    assert coverage.notice == ""


def test_a_new_run_its_metrics_and_its_end_come_by_themselves(here: Here) -> None:
    run = here.client.create_run(here.experiment).info.run_id
    here.soon(lambda: run in here.ids("status = 'RUNNING'"), "the new run")
    here.client.log_metric(run, "loss", 0.5, step=3)

    def metric() -> list[tuple[object, ...]]:
        with here.mirror.cursor() as c:
            return rows(c, "SELECT value, metrics.step FROM metrics JOIN runs ON no = run "
                           "WHERE run_id = ?", run)  # fmt: skip

    here.soon(lambda: metric() == [(0.5, 3)], "its metric")
    here.client.set_terminated(run)
    here.soon(lambda: run in here.ids("status = 'FINISHED'"), "its end")


def test_late_edits_are_found(here: Here) -> None:
    run = min(here.ids(f"experiment_id = '{here.experiment}'"))
    here.client.set_tag(run, "late", "yes")
    here.soon(lambda: here.tag(run, "late") == "yes", "the tag")
    here.client.delete_tag(run, "late")
    here.soon(lambda: here.tag(run, "late") is None, "the tag to go")
    here.client.update_run(run, name="renamed")
    here.soon(lambda: run in here.ids("name = 'renamed'"), "the name")
    here.client.log_param(run, "late", "7")
    here.client.log_metric(run, "late", 7.0)
    with here.mirror.cursor() as c:
        count = "SELECT count(*) FROM params JOIN runs ON no = run WHERE run_id = ?"
        here.soon(lambda: rows(c, count, run) == [(1,)], "the param")
        here.soon(lambda: rows(c, count.replace("params", "metrics"), run) == [(1,)], "the metric")


def test_deletions_and_restores_are_found(here: Here) -> None:
    run = min(here.ids(f"experiment_id = '{here.experiment}'"))
    here.client.delete_run(run)
    here.soon(lambda: run in here.ids("lifecycle_stage = 'deleted'"), "the deletion")
    here.client.restore_run(run)
    here.soon(lambda: run in here.ids("lifecycle_stage = 'active'"), "the restore")


def test_an_experiment_that_is_deleted_takes_its_runs_along(here: Here) -> None:
    mine = f"experiment_id = '{here.experiment}' AND lifecycle_stage = "
    here.client.delete_experiment(here.experiment)
    here.soon(lambda: len(here.ids(f"{mine} 'deleted'")) == 3, "the runs to be deleted")
    here.client.restore_experiment(here.experiment)
    here.soon(lambda: len(here.ids(f"{mine} 'active'")) == 3, "the runs to be restored")


def test_own_writes_show_at_once(here: Here) -> None:
    run = min(here.ids(f"experiment_id = '{here.experiment}'"))
    before = here.mirror.revision
    here.client.set_tag(run, "mine", "now")
    here.mirror.reread([run, "../nonsense", "0" * 32])
    assert here.tag(run, "mine") == "now"
    assert here.mirror.revision > before
