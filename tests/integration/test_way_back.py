"""The way back: which version held a rung before, also where changes were made past Modeldeck."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.ledger import chain
from core.lifecycle.deck import Deck
from core.people import Actor
from core.registry import requests
from core.registry.plan import Step, StepKind, Wanted
from core.registry.reconcile import reconcile
from core.registry.requests.earlier import earlier_holder
from core.registry.timeline import timeline
from core.registry.transitions import read_state, transition
from tests.promotions import back
from tests.soak.desk import Place, close

MODEL = "wine"


@pytest.fixture
def deck(home: Path) -> Iterator[Deck]:
    """A model of four versions, all of which Modeldeck knows; v1, then v2 was in Production."""
    here = Place({"MODELDECK_HOME": str(home)}).open()
    tracking, registry = here.mlflow.tracking, here.mlflow.registry
    run = tracking.create_run(tracking.create_experiment(MODEL), "trained")
    registry.create_model(MODEL)
    for number in range(1, 5):
        registry.create_version(MODEL, f"{run.artifact_uri}/model-{number}", run.id)
    reconcile(here.desk)
    move(here, 1)
    move(here, 2)
    yield here
    close(here)


def move(deck: Deck, version: int, rung: str = "Production") -> None:
    transition(deck.mlflow, deck.ledger, Actor("anna"), Wanted(MODEL, version, rung))


def outside(deck: Deck, version: int) -> None:
    """Somebody moves a version into Production with MLflow alone, and the others out."""
    for other in read_state(deck.mlflow, MODEL).versions:
        if other.stage == "Production":
            deck.mlflow.registry.set_stage(MODEL, other.version, "Archived")
    deck.mlflow.registry.set_stage(MODEL, version, "Production")
    deck.mlflow.registry.set_alias(MODEL, "champion", version)


def delete(deck: Deck, version: int) -> None:
    MlflowClient(deck.mlflow.address).delete_model_version(MODEL, str(version))


def replace_source(home: Path, version: int) -> None:
    """Something else stands under a version's number."""
    with sqlite3.connect(home / "mlflow.db") as database:
        database.execute(
            "UPDATE model_versions SET source = 's3://elsewhere/model' WHERE version = ?",
            [version],
        )


def earlier(deck: Deck) -> int | None:
    store, ladder = deck.mlflow.address, deck.rules.ladder
    told, state = timeline(deck.ledger, store, MODEL), read_state(deck.mlflow, MODEL)
    return earlier_holder(deck.ledger, store, told, state, ladder.rung("Production"), ladder)


def test_what_came_there_past_modeldeck_is_no_way_back(deck: Deck) -> None:
    assert earlier(deck) == 1
    outside(deck, 3)
    assert earlier(deck) == 2  # which stands there still, as far as the record knows
    reconcile(deck.desk)
    assert earlier(deck) == 2
    move(deck, 4)
    assert earlier(deck) == 2  # nobody decided on v3, and no gate stops a way back
    asked = back(deck.desk, MODEL, 2)
    assert (asked.version, asked.kind) == (2, requests.Kind.ROLLBACK)


def test_what_came_there_past_modeldeck_during_a_move_is_no_move_of_that_person(
    deck: Deck,
) -> None:
    def race(_place: int, step: Step) -> None:
        if step.kind is StepKind.SET_TAG:  # the last write: what follows is the read-back
            outside(deck, 3)

    wanted = Wanted(MODEL, 3, "Staging")
    transition(deck.mlflow, deck.ledger, Actor("anna"), wanted, before_step=race)
    lines = chain.lines(deck.ledger, model=MODEL, newest_first=False, limit=None)
    assert lines[-1].entry.action == "transition.partial"
    span = timeline(deck.ledger, deck.mlflow.address, MODEL).standing(3, "Production")
    assert span is not None
    assert (span.by, span.outside, span.known_since) == ("", True, True)
    move(deck, 4)
    assert earlier(deck) == 2


def test_a_change_that_nobody_disturbed_writes_two_lines(deck: Deck) -> None:
    before = chain.count(deck.ledger)
    move(deck, 3, "Staging")
    found = chain.lines(deck.ledger, limit=chain.count(deck.ledger) - before)
    assert [line.entry.action for line in found] == ["transition.done", "transition.begun"]
    assert reconcile(deck.desk) == ()


def test_an_earlier_holder_that_is_gone_gives_way_to_the_one_before(deck: Deck) -> None:
    move(deck, 3)
    assert earlier(deck) == 2
    delete(deck, 2)
    assert earlier(deck) == 1
    reconcile(deck.desk)
    assert earlier(deck) == 1
    delete(deck, 1)
    assert earlier(deck) is None


def test_one_of_another_source_is_not_what_stood_there(deck: Deck, home: Path) -> None:
    move(deck, 3)
    replace_source(home, 2)
    assert earlier(deck) == 1  # before anybody found it
    reconcile(deck.desk)
    assert earlier(deck) == 1  # and after
    move(deck, 2)
    move(deck, 3)
    assert earlier(deck) == 2  # what was put there since is what it is


def test_the_way_back_at_once_is_told_from_any_other_move(deck: Deck) -> None:
    def path(version: int, kind: requests.Kind) -> str:
        outcome = requests.move(deck.desk, Wanted(MODEL, version, "Production"), kind=kind)
        assert outcome.transition is not None
        return outcome.transition.path

    assert path(1, requests.Kind.ROLLBACK) == "rollback"
    assert path(4, requests.Kind.ROLLBACK) == "direct"  # never held it: no way back
    assert path(1, requests.Kind.MOVE) == "direct"
