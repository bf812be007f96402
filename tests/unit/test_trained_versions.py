"""What a training job may do is what whoever asked for it may do when it is done, not before."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.errors import NotAllowed, NotFound, ServerUnreachable
from core.lifecycle import worker
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.launch import as_asker, launch_job
from core.lifecycle.promotion import register_trained
from core.people import Actor, Permission
from core.registry.origin import registrant
from core.registry.register import ASKED_BY
from core.settings import load
from core.training import jobs, projects
from core.training.jobs import Job
from core.training.keeper import JobKeeper
from tests.roles import Table


@pytest.fixture
def rights() -> Table:
    """What Ada may do on everything."""
    return Table({"ada": Permission.EDIT})


@pytest.fixture
def deck(rights: Table) -> Iterator[Deck]:
    """The worker's deck."""
    opened = replace(open_deck(load()), permissions=rights)
    opened.mlflow.registry.create_model("wine")
    yield opened
    opened.mlflow.gateway.close()
    opened.ledger.close()


def launched(deck: Deck, register_as: str = "wine") -> Job:
    """A job of Ada's whose run has logged a model."""
    typed = {"data": "bundled:iris", "family": "linear", "register_as": register_as}
    ada = replace(deck, actor=Actor("ada", "oidc"))
    job = launch_job(ada, projects.tabular(), typed, experiment="Default", title="t")
    assert job.run_id is not None
    folder = Path(urlsplit(deck.mlflow.tracking.run(job.run_id).artifact_uri).path) / "model"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    return job


def settled(deck: Deck, job: Job) -> str:
    return register_trained(as_asker(deck, job), job)


def begun(deck: Deck) -> Job:
    """The job after the worker's first look at it."""
    claimed = jobs.claim(deck.ledger, "w", 1)
    assert claimed is not None
    keeper = JobKeeper(
        deck.settings, deck.mlflow, deck.ledger, lambda job: worker._launch(deck, job)
    )
    keeper.look(claimed)
    return jobs.get(deck.ledger, claimed.id)


def test_whoever_asked_for_the_job_has_registered_its_version(deck: Deck) -> None:
    job = launched(deck)
    assert settled(deck, job) == ""
    assert settled(deck, job) == "", "a worker that broke off does it again"
    (version,) = deck.mlflow.registry.versions("wine")
    assert version.tags[ASKED_BY] == "ada"
    assert registrant(deck.ledger, version, deck.mlflow.address) == "ada"


def test_the_job_itself_registers_nothing(deck: Deck) -> None:
    command = worker._launch(deck, launched(deck)).command
    assert [word for word in command if "register" in word] == ["--register_as="]


def test_nothing_is_registered_that_was_not_asked_for(deck: Deck) -> None:
    assert settled(deck, launched(deck, "")) == ""
    assert deck.mlflow.registry.versions("wine") == []


def test_a_right_that_was_taken_away_while_it_waited_ends_a_job(deck: Deck, rights: Table) -> None:
    launched(deck)
    rights.levels["ada"] = Permission.USE
    job = begun(deck)
    assert job.state == jobs.FAILED
    assert "EDIT" in job.message
    assert job.process_id is None


def test_while_mlflow_cannot_be_asked_a_job_waits(
    deck: Deck, rights: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(deck)

    def away(*_: object) -> Permission:
        raise ServerUnreachable("gone")

    monkeypatch.setattr(rights, "on_experiment", away)
    with pytest.raises(ServerUnreachable):
        begun(deck)
    assert [job.state for job in jobs.unfinished(deck.ledger)] == [jobs.STARTING]


def test_a_right_that_was_taken_away_while_it_ran_leaves_the_model_unregistered(
    deck: Deck, rights: Table
) -> None:
    job = launched(deck)
    rights.levels["ada"] = Permission.READ
    said = settled(deck, job)
    assert "not registered as wine" in said
    assert "EDIT" in said
    assert deck.mlflow.registry.versions("wine") == []


def test_a_name_that_one_may_not_read_is_refused_at_the_launch(
    deck: Deck, rights: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "on_model", lambda *_: Permission.NONE)
    with pytest.raises(NotAllowed, match="READ"):
        launched(deck, "nobody's")
    assert jobs.recent(deck.ledger) == []
    with pytest.raises(NotFound):
        deck.mlflow.registry.model("nobody's")


DESK = """
groups: {listed: [eve]}
permissions:
  - {who: group:listed, models: "listed-*", level: EDIT}
  - {who: group:provided, models: "provided-*", level: EDIT}
"""


def test_of_a_provider_s_groups_those_count_that_it_was_launched_with(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker cannot ask for them; the lines and groups of the desk's file it reads anew."""
    (home / "desk.yaml").write_text(DESK)
    monkeypatch.setenv("MODELDECK_IDENTITY", "oidc")
    opened = open_deck(load())
    made = jobs.QUEUE.add(
        opened.ledger, by="ada", state=jobs.QUEUED, project="tabular", entry_point="main",
        title="t", params={},
    )  # fmt: skip
    ada = as_asker(opened, made)
    assert ada.permissions.on_model(ada.actor, "provided-a") == Permission.EDIT
    assert ada.permissions.on_model(ada.actor, "listed-a") == Permission.NONE
    assert not ada.actor.administrator
    opened.mlflow.gateway.close()
    opened.ledger.close()
