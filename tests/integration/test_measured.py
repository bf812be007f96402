"""The metrics that gates judge are those of the very model that was registered."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput

from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.evidence import Work, gather
from core.people import Permission
from core.registry.gates import Evidence, Result, Status, judge
from core.registry.policy import GateUse, Level, Policy
from core.settings import load

RUNG = "Production"


@dataclass
class Store:
    """One run that logged two models, and a registered model without versions yet."""

    deck: Deck
    client: MlflowClient
    name: str
    experiment: str
    run: str
    models: tuple[str, str]

    def run_of(self, seed: int, **metrics: float) -> str:
        """Another run, which differs from the first in its seed alone."""
        made = self.client.create_run(self.experiment).info.run_id
        self.client.log_param(made, "seed", seed)
        for name, value in metrics.items():
            self.client.log_metric(made, name, value)
        self.client.set_terminated(made)
        return str(made)

    def log(self, name: str, value: float, model: int | None = None, step: int = 0) -> None:
        """Log a metric of one of the models; of the run alone where none is named."""
        of = None if model is None else self.models[model]
        self.client.log_metric(self.run, name, value, step=step, model_id=of)

    def version(self, model: int = 0, run: str = "") -> int:
        """A new version of one of the models."""
        source = f"models:/{self.models[model]}"
        made = self.client.create_model_version(
            self.name, source, run or self.run, await_creation_for=0
        )
        return int(made.version)

    def gathered(self, version: int) -> Evidence:
        """What is known of a version."""
        work = Work(self.deck.settings.home / "work", "mark")
        return gather(self.deck, self.name, version, RUNG, frozenset(), work=work)[0]


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deck]:
    """A store of this machine, for all tests here: each has a model of its own."""
    made = open_deck(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("measured"))}))
    made.mlflow.tracking.experiments()
    yield made
    made.ledger.close()
    made.mlflow.gateway.close()


@pytest.fixture
def store(deck: Deck, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Store:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", deck.settings.tracking_uri)
    client, name = MlflowClient(deck.settings.tracking_uri), request.node.name
    place = (deck.settings.home / "artifacts" / name).as_uri()
    experiment = client.create_experiment(name, artifact_location=place)
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "seed", 1)
    models = [client.create_logged_model(experiment, source_run_id=run).model_id for _ in "12"]
    client.log_outputs(run, [LoggedModelOutput(m, step) for step, m in enumerate(models)])
    client.create_registered_model(name)
    return Store(deck, client, name, experiment, run, (models[0], models[1]))


def threshold(evidence: Evidence, metric: str, **bounds: float) -> Result:
    use = GateUse("metric_threshold", Level.BLOCK, {"metric": metric, **bounds})
    return judge(evidence, Policy(gates=(use,)))[0]


def test_a_version_is_judged_by_what_was_logged_for_its_own_model(store: Store) -> None:
    store.log("auc", 0.80, 0)
    store.log("auc", 0.95, 1)
    first, second = store.gathered(store.version(0)), store.gathered(store.version(1))
    assert threshold(first, "auc", at_least=0.9).status is Status.FAIL
    assert threshold(second, "auc", at_least=0.9).status is Status.PASS  # the control
    assert (first.challenger.metrics["auc"], second.challenger.metrics["auc"]) == (0.80, 0.95)


def test_of_the_values_of_a_model_the_one_of_the_last_step_counts(store: Store) -> None:
    for step in (7, 9, 8, 1):
        store.log("auc", step / 10, 0, step)
    assert store.gathered(store.version(0)).challenger.metrics == {"auc": 0.9}


def test_what_only_another_model_of_the_run_has_is_left_out_and_said(store: Store) -> None:
    store.log("auc", 0.95, 1)
    store.log("loss", 0.1)
    found = store.gathered(store.version(0))
    assert threshold(found, "auc", at_least=0.9).status is Status.UNKNOWN
    assert found.challenger.metrics == {"loss": 0.1}
    assert "auc" in found.notes["metrics"]
    assert "loss" not in found.notes["metrics"]


def test_what_a_deleted_model_may_have_had_is_left_out_and_said(store: Store) -> None:
    store.log("auc", 0.95, 1)
    store.log("loss", 0.1, 0)
    store.client.delete_logged_model(store.models[1])
    found = store.gathered(store.version(0))
    assert found.challenger.metrics == {"loss": 0.1}
    assert "auc" in found.notes["metrics"]


def test_where_there_are_more_models_than_are_looked_at_it_cannot_be_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.log("auc", 0.95)
    with monkeypatch.context() as patch:
        patch.setattr("core.mlflow_api.tracking.MODELS_LIMIT", 1)
        cut = store.gathered(store.version(0))
    assert cut.challenger.metrics == {}
    assert "auc" in cut.notes["metrics"]
    assert store.gathered(store.version(0)).challenger.metrics == {"auc": 0.95}  # the control


def test_of_a_model_that_is_gone_its_runs_metrics_count_and_it_says_so(store: Store) -> None:
    store.log("auc", 0.95)
    version = store.version(0)
    store.client.delete_logged_model(store.models[0])
    found = store.gathered(version)
    assert found.challenger.metrics == {"auc": 0.95}
    assert "could not be read" in found.notes["metrics"]


def test_of_a_holder_it_is_said_too(store: Store) -> None:
    store.log("auc", 0.95, 1)
    store.version(0)
    store.client.transition_model_version_stage(store.name, "1", RUNG)
    found = store.gathered(store.version(1))
    assert found.holder is not None
    assert found.holder.metrics == {}
    assert "of v1" in found.notes["holder.metrics"]
    assert "metrics" not in found.notes


def test_a_run_that_did_not_log_the_model_is_named(store: Store) -> None:
    other = store.run_of(2, auc=0.95)
    assert "another run" in store.gathered(store.version(0, run=other)).notes["metrics"]
    assert "metrics" not in store.gathered(store.version(0)).notes  # the control


def test_repetitions_are_those_of_the_value_that_is_judged(store: Store) -> None:
    store.log("loss", 0.3, 0)
    store.log("auc", 0.80, 0)
    store.log("auc", 0.95, 1)
    store.client.set_terminated(store.run)
    store.run_of(2, auc=0.94, loss=0.4)
    first, second = store.gathered(store.version(0)), store.gathered(store.version(1))
    assert first.challenger.replicates == {"loss": (0.3, 0.4)}
    assert "auc" in first.notes["replicates"]
    assert second.challenger.replicates == {"auc": (0.95, 0.94)}


@pytest.mark.upstream
def test_mlflow_keeps_a_models_nan_as_0(store: Store) -> None:
    store.log("loss", math.nan, 0)
    assert store.deck.mlflow.tracking.logged_model(store.models[0]).metrics == {"loss": 0.0}


def test_a_models_nan_is_no_0(store: Store) -> None:
    store.log("loss", math.nan, 0)
    assert threshold(store.gathered(store.version(0)), "loss", at_most=0.5).status is Status.UNKNOWN
    store.log("loss", 0.2, 1)  # the run's last value is another model's by now
    assert threshold(store.gathered(store.version(0)), "loss", at_most=0.5).status is Status.UNKNOWN
    assert threshold(store.gathered(store.version(1)), "loss", at_most=0.5).status is Status.PASS


def test_a_models_0_is_one(store: Store) -> None:
    store.log("loss", 0.0, 0)
    assert threshold(store.gathered(store.version(0)), "loss", at_most=0.5).status is Status.PASS
    store.log("loss", 0.2, 1)
    assert threshold(store.gathered(store.version(0)), "loss", at_most=0.5).status is Status.PASS


def test_models_of_a_run_are_told_to_whoever_may_read_its_experiment(store: Store) -> None:
    run = store.deck.mlflow.tracking.run(store.run)
    reader, nobody = (
        store.deck.mlflow.limited(lambda _, level=level: level).tracking.models_of_run(run)
        for level in (Permission.READ, Permission.NONE)
    )
    assert {model.id for model in reader[0]} == {*store.models}
    assert nobody == ((), True)


def of_no_run(store: Store, model: int = 0) -> int:
    """A version that names a model alone, as one that was logged outside of any run does."""
    made = store.client.create_logged_model(store.experiment).model_id
    for name, value in (("auc", (0.95, 0.7)[model]), ("zero", 0.0), ("loss", math.nan)):
        # MLflow's fluent log_metric begins a run for it, which the model does not name.
        store.client.log_metric(store.run, name, value, model_id=made)
    source = f"models:/{made}"
    return int(store.client.create_model_version(store.name, source, await_creation_for=0).version)


def test_a_model_of_no_run_has_the_metrics_that_were_logged_for_it(store: Store) -> None:
    found = store.gathered(of_no_run(store))
    assert (found.challenger.run_id, found.missing["run"]) == (None, "The version names no run.")
    assert threshold(found, "auc", at_least=0.9).status is Status.PASS
    assert threshold(found, "zero", at_most=0).status is Status.PASS
    assert threshold(found, "loss", at_most=0).reason.endswith("is NaN.")
    assert threshold(found, "f1", at_least=0).reason == "Version 1 has no metric f1."
    age = GateUse("age", Level.BLOCK, {"training_days": 9})
    assert "The version names no run." in judge(found, Policy(gates=(age,)))[0].reason


def test_models_of_no_run_are_compared(store: Store) -> None:
    of_no_run(store, 1)
    store.client.transition_model_version_stage(store.name, "1", RUNG)
    found = store.gathered(of_no_run(store))
    better = GateUse("better_than_holder", Level.BLOCK, {"metric": "auc"})
    said = judge(found, Policy(gates=(better,)))[0]
    assert (said.status, said.inputs["holder"]) == (Status.PASS, 0.7)


def test_without_a_run_and_a_model_nothing_is_known_of_metrics(store: Store) -> None:
    place = f"{store.deck.settings.home / 'artifacts'}/elsewhere"
    made = store.client.create_model_version(store.name, place, await_creation_for=0)
    neither = threshold(store.gathered(int(made.version)), "auc", at_least=0.1)
    assert neither.status is Status.UNKNOWN
    assert "neither a run nor a logged model" in neither.reason
    gone = of_no_run(store)
    version = store.client.get_model_version(store.name, str(gone))
    store.client.delete_logged_model(version.source.removeprefix("models:/"))
    unread = threshold(store.gathered(gone), "auc", at_least=0.1)
    assert unread.status is Status.UNKNOWN
    assert "the list of metrics is missing" in unread.reason


def test_a_holder_whose_files_nobody_can_locate_passes_no_comparison_of_signatures(
    store: Store,
) -> None:
    run = store.run_of(2)
    source = f"runs:/{run}/model"
    store.client.create_model_version(store.name, source, run, await_creation_for=0)
    store.client.transition_model_version_stage(store.name, "1", RUNG)
    store.client.delete_run(run)
    store.client._tracking_client.store._hard_delete_run(run)  # what ``mlflow gc`` does
    found = store.gathered(store.version(0))
    use = GateUse("signature_compatible", Level.BLOCK, {})
    said = judge(found, Policy(gates=(use,)))[0]
    assert (said.status, said.blocks) == (Status.UNKNOWN, True)
    assert "of the present version, the signature" in said.reason
    assert run in found.missing["holder.signature"]
    assert {"holder.run", "holder.metrics", "holder.files", "holder.pins"} <= found.missing.keys()


def test_where_all_is_of_one_model_nothing_is_said(store: Store) -> None:
    store.log("auc", 0.95, 0)
    found = store.gathered(store.version(0))
    assert (found.challenger.metrics, found.notes) == ({"auc": 0.95}, {})
