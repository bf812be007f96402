"""A small store, made through MLflow's client in seconds: some runs, a model that can be served."""

import json
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression


@dataclass(frozen=True)
class Words:
    """Every text of the store that somebody may choose freely."""

    experiment: str = "rents"
    run: str = "least squares"
    param: str = "alpha"
    param_value: str = "0.1"
    tag: str = "team"
    tag_value: str = "north"
    description: str = "Rents by rooms and area"
    dataset: str = "offers"
    context: str = "training"
    file: str = "note.md"
    content: str = "# A note"
    model: str = "rent"
    alias: str = "champion"
    user: str = "ada"
    column: str = "rooms"
    artifact_root: str = ""
    """Where the experiment keeps its artifacts; empty: where the store chooses."""


@dataclass(frozen=True)
class SmallStore:
    """What was made."""

    experiment: str
    runs: tuple[str, str, str]
    """Ids: with all there is and a model; one beside it; one nested in the first."""
    model: str
    """The registered model; it has the versions 1 and 2, and 2 is in Production."""


def make(client: MlflowClient, words: Words = Words()) -> SmallStore:
    """Fill the store that ``client`` speaks to with ``words``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the libraries say to each other here
        return _make(client, words)


def _make(client: MlflowClient, words: Words) -> SmallStore:
    experiment = client.create_experiment(
        words.experiment,
        artifact_location=words.artifact_root or None,
        tags={"mlflow.note.content": words.description, words.tag: words.tag_value},
    )
    first, second = (_run(client, experiment, words, step) for step in (1, 2))
    nested = _run(client, experiment, words, 3, parent=first)
    model_id = _log_model(client, experiment, first, words)
    client.create_registered_model(
        words.model, {words.tag: words.tag_value}, words.description or None
    )
    for _ in range(2):
        client.create_model_version(
            words.model,
            f"models:/{model_id}",
            first,
            {words.tag: words.tag_value},
            description=words.description or None,
            model_id=model_id,
            await_creation_for=0,
        )
    client.transition_model_version_stage(words.model, "2", "Production")
    client.set_registered_model_alias(words.model, words.alias, "2")
    return SmallStore(experiment, (first, second, nested), words.model)


def _run(client: MlflowClient, experiment: str, words: Words, step: int, parent: str = "") -> str:
    now = int(time.time() * 1000)
    tags = {
        words.tag: words.tag_value,
        "mlflow.note.content": words.description,
        "mlflow.user": words.user,
        "mlflow.source.name": words.user,
    }
    if parent:
        tags["mlflow.parentRunId"] = parent
    run = client.create_run(experiment, run_name=words.run, tags=tags).info.run_id
    client.log_batch(
        run,
        metrics=[Metric("rmse", 1 / (step + i), now, i) for i in range(5)]
        + [Metric("r2", 0.9 - step / 100, now, 0)],
        params=[Param(words.param, words.param_value), Param("depth", str(step))],
    )
    columns = [{"type": "double", "name": words.column, "required": True}]
    data = Dataset(
        words.dataset,
        "d1935",
        "local",
        json.dumps({"uri": "/data/offers.csv"}),
        json.dumps({"mlflow_colspec": columns}),
        json.dumps({"num_rows": 50}),
    )
    context = InputTag("mlflow.data.context", words.context)
    client.log_inputs(run, [DatasetInput(data, [context])])
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / words.file
        note.write_text(words.content, "utf-8")
        (Path(folder) / "table.csv").write_text(f"{json.dumps(words.column)},b\n=1+1,2\n", "utf-8")
        client.log_artifacts(run, folder, "notes")
    client.set_terminated(run)
    return str(run)


def _log_model(client: MlflowClient, experiment: str, run: str, words: Words) -> str:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({words.column: rng.uniform(1, 9, 50), "area": rng.uniform(20, 200, 50)})
    fitted = LinearRegression().fit(table, 10 * table[words.column] + table["area"])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        mlflow.sklearn.save_model(
            fitted,
            place,
            signature=infer_signature(table, fitted.predict(table)),
            input_example=table.head(2),
            pip_requirements=["scikit-learn"],
        )
        logged = client.create_logged_model(experiment, name="model", source_run_id=run)
        client.log_model_artifacts(logged.model_id, str(place))
        client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)
