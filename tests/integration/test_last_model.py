"""The model that a run logged last, which MLflow does not list in that order."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput

from core.errors import NotFound
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.promotion import last_logged, newest_model, promoting
from core.mlflow_api.nouns import LoggedModel, Run
from core.settings import load
from core.ui import artifacts
from core.ui.run import models as run_models
from tests.waiting import until


@dataclass
class Store:
    """A store with one run."""

    deck: Deck
    client: MlflowClient
    experiment: str
    run: str

    def models(self, steps: Callable[[int], int], *, last: bool) -> list[str]:
        """Some models of the run by creation; ``steps`` gives the step of the one in that place.

        Args:
            last: whether the last one is to have the greatest id, which is what MLflow lists last.
        """
        made: list[str] = []
        while len(made) < 3 or (made[-1] == max(made)) != last:
            model = self.client.create_logged_model(self.experiment, source_run_id=self.run)
            made.append(model.model_id)
            until(lambda at=model.creation_timestamp: time.time() * 1000 > at + 1, 5, "another ms")
        outputs = [LoggedModelOutput(m, steps(place)) for place, m in enumerate(made)]
        self.client.log_outputs(self.run, outputs)
        return made

    def read(self) -> Run:
        return self.deck.mlflow.tracking.run(self.run)


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    deck = open_deck(load({"MODELDECK_HOME": str(home)}))
    deck.mlflow.tracking.experiments()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", deck.settings.tracking_uri)
    client = MlflowClient(deck.settings.tracking_uri)
    place = (home / "artifacts" / "x").as_uri()
    experiment = client.create_experiment("checkpoints", artifact_location=place)
    yield Store(deck, client, experiment, client.create_run(experiment).info.run_id)
    deck.ledger.close()
    deck.mlflow.gateway.close()


def test_the_last_step_decides(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = store.models(lambda place: 100 - place, last=True)
    run = store.read()
    assert run.logged_models == tuple(reversed(made))
    assert newest_model(store.deck.mlflow, run) == f"models:/{made[0]}"
    monkeypatch.setattr(artifacts, "logged_model", store.deck.mlflow.tracking.logged_model)
    shown = run_models.last(run)
    assert shown is not None
    assert shown.id == made[0]


def test_of_the_same_step_the_one_that_was_made_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.models(lambda _: 0, last=False)
    run = store.read()
    assert newest_model(store.deck.mlflow, run) == f"models:/{made[-1]}"
    monkeypatch.setattr(artifacts, "logged_model", store.deck.mlflow.tracking.logged_model)
    shown = run_models.last(run)
    assert shown is not None
    assert shown.id == made[-1]
    # One that is gone by now was not logged last.
    store.client.delete_logged_model(made[-1])
    assert newest_model(store.deck.mlflow, run) == f"models:/{made[-2]}"


def test_many_runs_register_the_model_of_the_last_step(store: Store) -> None:
    made = store.models(lambda place: 100 - place, last=True)
    assert promoting(store.deck.desk, [store.run], "forest").start().wait(60)
    (version,) = store.deck.mlflow.registry.versions("forest")
    assert version.logged_model_id == made[0]


def run(**steps: int) -> Run:
    return Run(
        "a" * 32, "1", "a", "FINISHED", "active", "ada", None, None, "", {}, {}, {}, (),
        tuple(steps), tuple(steps.values()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "asked"), [({"a": 0, "b": 3}, []), ({"a": 0, "b": 3, "c": 3}, ["b", "c"]), ({}, [])]
)
def test_only_models_of_the_same_step_are_read(steps: dict[str, int], asked: Sequence[str]) -> None:
    read: list[str] = []

    def ask(model_id: str) -> LoggedModel:
        read.append(model_id)
        return LoggedModel(model_id, "", None, "", {}, {})

    last_logged(run(**steps), ask)
    assert read == asked


def test_where_all_are_gone_it_says_so() -> None:
    def gone(model_id: str) -> LoggedModel:
        raise NotFound(model_id)

    with pytest.raises(NotFound):
        last_logged(run(a=3, b=3), gone)
