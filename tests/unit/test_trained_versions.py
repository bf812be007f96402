"""Who asked for a training job has registered the version that it made."""

import pytest

from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.promotion import note_trained
from core.people import Actor
from core.registry.origin import registrant
from core.settings import load
from core.training import jobs, projects
from core.training.jobs import Job


@pytest.fixture
def deck() -> Deck:
    return open_deck(load())


def trained(deck: Deck, state: str, register_as: str = "wine") -> Job:
    """A job of Ada's whose run has become version 1 of "wine"."""
    project = projects.tabular()
    job = jobs.submit(
        deck.mlflow, deck.ledger, Actor("ada"), project, {"register_as": register_as},
        experiment_id="0", title="t",
    )  # fmt: skip
    deck.mlflow.registry.create_model("wine")
    source = f"runs:/{job.run_id}/model"
    deck.mlflow.registry.create_version("wine", source, str(job.run_id), "", {})
    return jobs.update(deck.ledger, job, state=state)


def known(deck: Deck) -> str | None:
    version = deck.mlflow.registry.version("wine", 1)
    return registrant(deck.ledger, version, deck.mlflow.address)


def test_whoever_asked_for_the_job(deck: Deck) -> None:
    job = trained(deck, jobs.FINISHED)
    assert known(deck) is None
    note_trained(deck, job)
    note_trained(deck, job)
    assert known(deck) == "ada"


@pytest.mark.parametrize(
    ("state", "name"), [(jobs.RUNNING, "wine"), (jobs.FAILED, "wine"), (jobs.FINISHED, "other")]
)
def test_nothing_is_noted_of_other_ends_and_other_models(deck: Deck, state: str, name: str) -> None:
    note_trained(deck, trained(deck, state, name))
    assert known(deck) is None
