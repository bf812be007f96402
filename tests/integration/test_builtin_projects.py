"""The built-in projects against a real store: started as they are, read back from MLflow."""

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from core.training.builtin import DATA_AT
from core.training.builtin.families import FAMILIES
from core.training.builtin.sample.plan import SAMPLE, TAG
from core.training.builtin.sample.train import Existing, find_existing
from tests.servers import MlflowServer, clean_environment
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "core" / "training" / "builtin" / "tabular"
PARENT = "mlflow.parentRunId"
STOP_SECONDS = 10.0


def start(folder: Path, uri: str, *command: str, **variables: str) -> "subprocess.Popen[str]":
    """Start a child as the worker does: argument list, no shell, from a folder of its own."""
    environment = clean_environment({"MLFLOW_TRACKING_URI": uri, **variables})
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@dataclass
class Store:
    """A SQLite store with an artifact folder, and an experiment to train in."""

    folder: Path
    client: MlflowClient = field(init=False)
    experiment: str = field(init=False)

    def __post_init__(self) -> None:
        self.client = MlflowClient(self.uri)
        self.experiment = self.client.create_experiment(
            "tabular", artifact_location=(self.folder / "artifacts").as_uri()
        )

    @property
    def uri(self) -> str:
        """Its tracking URI."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def start(self, *command: str, **variables: str) -> "subprocess.Popen[str]":
        """Start a child on this store."""
        return start(self.folder, self.uri, *command, **variables)

    def train(self, **params: str) -> "tuple[str, subprocess.Popen[str]]":
        """Create a run, and start the project's script on it."""
        run_id = self.client.create_run(self.experiment).info.run_id
        words = [f"--{name}={value}" for name, value in params.items()]
        script = str(PROJECT / "train.py")
        return run_id, self.start(sys.executable, script, *words, MLFLOW_RUN_ID=run_id)

    def children(self, run_id: str) -> list[Run]:
        """The child runs of a run."""
        return list(self.client.search_runs([self.experiment], f"tags.`{PARENT}` = '{run_id}'"))

    def sample(self) -> "subprocess.Popen[str]":
        """Start the making of the sample."""
        return self.start(
            sys.executable,
            "-m",
            "core.training.builtin.sample",
            "--artifact-root",
            str(self.folder / "sample"),
            PYTHONPATH=str(ROOT),
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def ended(child: "subprocess.Popen[str]", seconds: float = 300.0) -> str:
    """Wait for a child; what it printed."""
    return child.communicate(timeout=seconds)[0]


def printed(child: "subprocess.Popen[str]", words: str) -> None:
    """Read a child's output until a line holds the words."""
    assert child.stdout
    seen = []
    for line in child.stdout:
        seen.append(line)
        if words in line:
            return
    raise AssertionError(f"{words} was not printed:\n{''.join(seen)}")


# --------------------------------------------------------------------------------------- tabular


def customers(path: Path) -> pd.DataFrame:
    """Write a table with missing values, text and flags."""
    draw = np.random.default_rng(1)
    rows = 120
    table = pd.DataFrame(
        {
            "age": draw.integers(18, 90, rows),
            "visits": draw.integers(0, 9, rows).astype(float),
            "city": draw.choice(["Bern", "Zürich", "a|b"], rows).astype(object),
            "member": draw.choice([True, False], rows),
        }
    )
    table["left"] = np.where(table["age"] + draw.normal(0, 10, rows) > 50, "yes", "no")
    table.loc[3:20, "visits"] = np.nan
    table.loc[30:60, "city"] = None
    table.to_csv(path, index=False)
    return table


def test_mlflow_run_trains_on_a_file_and_what_it_saved_can_be_served(store: Store) -> None:
    path = store.folder / "our customers.csv"
    table = customers(path)
    params = {
        "data": str(path),
        "target": "left",
        "family": "boosting",
        "n_estimators": "25",
        "folds": "2",
        "register_as": "who leaves",
    }
    child = store.start(
        sys.executable,
        "-m",
        "mlflow",
        "run",
        str(PROJECT),
        *(word for name, value in params.items() for word in ("-P", f"{name}={value}")),
        "--experiment-id",
        store.experiment,
        "--env-manager",
        "local",
    )
    output = ended(child)
    assert child.returncode == 0, output
    progress = [line.split(" ", 2) for line in output.splitlines() if line.startswith("progress ")]
    assert [done for _, done, _ in progress] == [f"{number}/7" for number in range(8)]

    version = store.client.get_model_version("who leaves", "1")
    run = store.client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["family"] == "boosting"
    changed = datetime.fromisoformat(run.data.tags[DATA_AT])
    assert changed == datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    assert run.data.params["learning_rate"] == "auto"
    assert run.data.params["used_learning_rate"] == "0.1"
    assert run.data.metrics["test_accuracy"] > 0.6

    children = store.children(run.info.run_id)
    assert [child.info.status for child in children] == ["FINISHED"] * 2
    scores = [child.data.metrics["test_accuracy"] for child in children]
    assert run.data.metrics["cv_accuracy_mean"] == pytest.approx(np.mean(scores))
    assert run.data.metrics["cv_accuracy_std"] == pytest.approx(np.std(scores, ddof=1))

    curve = store.client.get_metric_history(run.info.run_id, "test_log_loss")
    assert [point.step for point in curve] == list(range(1, 26))
    assert curve[-1].value == run.data.metrics["test_log_loss"] != curve[0].value

    inputs = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    assert set(inputs) == {"training", "testing"}
    assert inputs["training"].name == "our customers"
    assert str(path) in json.loads(inputs["training"].source)["uri"]
    assert inputs["training"].digest != inputs["testing"].digest

    files = {
        file.path
        for folder in ("", "plots", "tables")
        for file in store.client.list_artifacts(run.info.run_id, folder)
    }
    assert files >= {
        "report.md",
        "plots/confusion_matrix.png",
        "plots/roc.png",
        "plots/column_importance.png",
        "tables/predictions.csv",
        "tables/column_importance.csv",
        "tables/by_class.csv",
    }

    assert version.source.startswith("models:/m-")
    saved = store.client.get_logged_model(version.source.removeprefix("models:/"))
    assert {metric.key: metric.value for metric in saved.metrics}["test_accuracy"] == (
        run.data.metrics["test_accuracy"]
    )
    served(Path(saved.artifact_location.removeprefix("file://")), table)


def served(folder: Path, table: pd.DataFrame) -> None:
    """Check that a saved model can be served from its folder, and asks for what it should."""
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert not kinds & {".pkl", ".pickle", ".joblib", ".py"}
    model = mlflow.pyfunc.load_model(str(folder))
    flavor = model.metadata.flavors["sklearn"]
    assert flavor["serialization_format"] == "skops"
    assert flavor["skops_trusted_types"] == list(FAMILIES["boosting"].trusted)
    columns = {one.name: one for one in model.metadata.get_input_schema()}
    assert {name: one.type.name for name, one in columns.items()} == {
        "age": "double",
        "visits": "double",
        "city": "string",
        "member": "boolean",
    }
    assert {name for name, one in columns.items() if not one.required} == {"visits", "city"}
    assert model.metadata.get_output_schema().input_names() == ["left"]
    example = json.loads((folder / "serving_input_example.json").read_text(encoding="utf-8"))
    assert set(example["dataframe_split"]["columns"]) == set(columns)
    rows = table.drop(columns=["left"]).head(10).assign(age=lambda one: one["age"].astype(float))
    whole = model.predict(rows)
    assert set(whole) <= {"yes", "no"}
    assert len(model.predict(rows.drop(columns=["visits", "city"]))) == 10


def test_what_cannot_be_trained_fails_with_a_sentence_and_no_traceback(store: Store) -> None:
    run_id, child = store.train(data="bundled:wine", target="vintage")
    output = ended(child)
    assert child.returncode == 2, output
    assert "There is no column “vintage”" in output
    assert "Traceback" not in output
    run = store.client.get_run(run_id)
    assert run.info.status == "FAILED"
    assert "There is no column “vintage”" in run.data.tags["modeldeck.problem"]


def test_a_stop_ends_the_training_at_once_and_every_run_of_it(store: Store) -> None:
    run_id, child = store.train(
        data="bundled:digits", family="forest", n_estimators="5000", folds="2"
    )
    printed(child, "progress 1/6 Cross-validation fold 1 of 2")
    until(lambda: store.children(run_id), 60, "the first fold's run")
    child.send_signal(signal.SIGTERM)
    output = ended(child, STOP_SECONDS)
    assert child.returncode == 128 + signal.SIGTERM, output
    assert "Stopped." in output
    assert "Traceback" not in output
    runs = [store.client.get_run(run_id), *store.children(run_id)]
    assert [run.info.status for run in runs] == ["KILLED", "KILLED"]


def test_a_fault_in_the_program_fails_the_run(store: Store) -> None:
    # The artifact folder of this experiment cannot be made: a file stands in its place.
    (store.folder / "in the way").touch()
    blocked = store.client.create_experiment(
        "blocked", artifact_location=(store.folder / "in the way" / "x").as_uri()
    )
    run_id = store.client.create_run(blocked).info.run_id
    words = ["--family=linear", "--data=bundled:iris"]
    child = store.start(sys.executable, str(PROJECT / "train.py"), *words, MLFLOW_RUN_ID=run_id)
    assert "NotADirectoryError" in ended(child)
    assert child.returncode == 1
    assert store.client.get_run(run_id).info.status == "FAILED"


def test_a_run_of_its_own_on_a_server_is_registered_there(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    words = ["--family=linear", "--data=bundled:diabetes", "--register_as=on a server"]
    script = str(PROJECT / "train.py")
    child = start(
        tmp_path,
        mlflow_server.url,
        sys.executable,
        script,
        *words,
        MLFLOW_EXPERIMENT_NAME="trained on a server",
    )
    output = ended(child)
    assert child.returncode == 0, output
    client = MlflowClient(mlflow_server.url)
    version = client.get_model_version("on a server", "1")
    run = client.get_run(version.run_id)
    assert (run.info.run_name, run.info.status) == ("linear on diabetes", "FINISHED")
    assert client.get_experiment(run.info.experiment_id).name == "trained on a server"
    assert {file.path for file in client.list_artifacts(run.info.run_id, "plots")} >= {
        "plots/residuals.png",
        "plots/predicted_and_actual.png",
    }


# ------------------------------------------------------------------------------------ the sample


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store whose sample was stopped in the middle once, and then made to its end.

    Somebody else's experiment and registered model bear two of its names.
    """
    store = Store(tmp_path_factory.mktemp("sample"))
    store.client.create_experiment("Handwritten digits")
    store.client.create_registered_model("digit-reader")
    first = store.sample()
    printed(first, "progress 2/")
    first.send_signal(signal.SIGTERM)
    output = ended(first, STOP_SECONDS)
    assert first.returncode == 128 + signal.SIGTERM, output
    (stopped,) = [run for run in runs_of(store) if run.info.status != "FINISHED"]
    assert stopped.info.status == "KILLED"
    assert json.loads(output.splitlines()[-1])["stopped"] is True

    second = store.sample()
    output = ended(second)
    assert second.returncode == 0, output
    result = json.loads(output.splitlines()[-1])
    planned = sum(run.runs for run in SAMPLE.runs)
    assert result["kept_runs"] >= 1
    assert result["made_runs"] + result["kept_runs"] == planned
    return store


def runs_of(store: Store) -> list[Run]:
    """All runs of the sample that are not deleted."""
    experiments = [
        one.experiment_id for one in store.client.search_experiments() if TAG in one.tags
    ]
    return list(store.client.search_runs(experiments, max_results=1000))


def counted(store: Store) -> Counter[str]:
    """How often each of the sample's keys is there, by kind."""
    return Counter(
        [f"run {run.data.tags[TAG]}" for run in runs_of(store)]
        + [f"experiment {e.tags[TAG]}" for e in store.client.search_experiments() if TAG in e.tags]
        + [
            f"version {version.tags[TAG]}"
            for version in store.client.search_model_versions()
            if TAG in version.tags
        ]
    )


def expected() -> Counter[str]:
    """Each of the sample's keys once."""
    return Counter(
        [f"run {key}" for run in SAMPLE.runs for key in (run.key, *run.fold_keys)]
        + [f"experiment {one.key}" for one in SAMPLE.experiments]
        + [f"version {one.run}" for model in SAMPLE.models for one in model.versions]
    )


def test_the_sample_holds_all_that_was_planned_and_each_once(sampled: Store) -> None:
    assert counted(sampled) == expected()
    assert {run.info.status for run in runs_of(sampled)} == {"FINISHED"}


def test_runs_of_the_sample_carry_what_a_real_run_carries(sampled: Store) -> None:
    parents = [run for run in runs_of(sampled) if PARENT not in run.data.tags]
    root = (sampled.folder / "sample").as_uri()
    steps = 0
    for run in parents:
        assert run.info.artifact_uri.startswith(root), run.info.run_name
        assert len(run.inputs.dataset_inputs) == 2
        assert len(run.outputs.model_outputs) == 1
        assert run.data.tags["mlflow.note.content"]
        assert {file.path for file in sampled.client.list_artifacts(run.info.run_id)} >= {
            "plots",
            "tables",
            "report.md",
        }
        measure = "test_log_loss" if "test_log_loss" in run.data.metrics else "test_rmse"
        curve = sampled.client.get_metric_history(run.info.run_id, measure)
        steps += len({point.value for point in curve}) > 5
    assert steps >= 10
    families = {run.data.params["family"] for run in parents}
    assert families == set(FAMILIES)


def test_the_sample_leaves_alone_what_bears_its_names(sampled: Store) -> None:
    theirs = sampled.client.get_experiment_by_name("Handwritten digits")
    assert TAG not in theirs.tags
    assert not sampled.client.search_runs([theirs.experiment_id])
    assert (
        sampled.client.get_experiment_by_name("Handwritten digits (sample)").tags[TAG] == "digits"
    )
    assert TAG not in sampled.client.get_registered_model("digit-reader").tags
    assert sampled.client.get_registered_model("digit-reader (sample)").tags[TAG] == "digit-reader"


def test_versions_are_registered_in_the_planned_order(sampled: Store) -> None:
    found = find_existing(sampled.client)
    for model in SAMPLE.models:
        have = found.versions[model.key]
        assert [have[version.run] for version in model.versions] == list(
            range(1, len(model.versions) + 1)
        )
        registered = sampled.client.get_registered_model(found.models[model.key])
        assert registered.description == model.description
        for version in model.versions:
            made = sampled.client.get_model_version(registered.name, str(have[version.run]))
            assert made.description == version.description
            assert made.run_id == found.runs[version.run].run_id
            assert made.source == f"models:/{found.runs[version.run].model_id}"


def test_another_call_mends_what_is_broken_and_touches_nothing_else(sampled: Store) -> None:
    client = sampled.client
    before = find_existing(client)
    unfinished, foldless, modelless = (
        before.runs[key].run_id
        for key in (
            "wine/linear-regularisation-10",
            "wine/linear-regularisation-0.1",
            "digits/neighbours-25",
        )
    )
    client.update_run(unfinished, status="RUNNING")  # as a killed process leaves it
    child = next(run for run in runs_of(sampled) if run.data.tags.get(PARENT) == foldless)
    client.delete_run(child.info.run_id)
    client.delete_logged_model(before.runs["digits/neighbours-25"].model_id)
    client.delete_experiment(before.experiments["diabetes"])
    client.delete_model_version("wine-grower", "2")
    broken = find_existing(client)
    assert set(before.runs) - set(broken.runs) == {
        run.key
        for run in SAMPLE.runs
        if run.experiment == "diabetes"
        or run.key in {"wine/linear-regularisation-10", "wine/linear-regularisation-0.1"}
        or run.key == "digits/neighbours-25"
    }

    again = sampled.sample()
    output = ended(again)
    assert again.returncode == 0, output
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    assert (result["made_runs"], result["made_versions"]) == (1 + 6 + 1, 1)
    assert counted(sampled) == expected()
    after: Existing = find_existing(client)
    assert after.experiments == before.experiments
    assert after.broken == ()
    new = {key for key in after.runs if after.runs[key] != before.runs[key]}
    assert {before.runs[key].run_id for key in new} == {unfinished, foldless, modelless}
    assert after.versions["wine-grower"]["wine/boosting-learning-rate-0.1-depth-3"] == 5
