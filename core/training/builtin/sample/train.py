"""Makes the sample in an MLflow store. A child process's work: it sets the process's server.

Calling it again completes what is broken and leaves alone what is whole. Two processes must not
build into one store at once: each would take the other's running runs for broken ones.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModelStatus, Run, ViewType
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from core.training.builtin import recording
from core.training.builtin.data import Table, load
from core.training.builtin.families import FAMILIES
from core.training.builtin.modelling import Recipe
from core.training.builtin.sample.plan import (
    SAMPLE,
    TAG,
    PlannedExperiment,
    PlannedModel,
    PlannedRun,
    SamplePlan,
    missing,
    missing_versions,
)
from core.training.builtin.trouble import Stopped

Progress = Callable[[int, int, str], None]

PAGE = 1000


@dataclass(frozen=True)
class FinishedRun:
    """A run of the sample that is whole: finished, with all its folds and its model."""

    run_id: str
    model_id: str


@dataclass(frozen=True)
class Existing:
    """What of the sample is in a store."""

    experiments: Mapping[str, str]
    """Experiment id by key; deleted ones are not among them."""
    runs: Mapping[str, FinishedRun]
    """Whole runs by key."""
    broken: tuple[str, ...]
    """Ids of the sample's runs that are not whole, or that belong to one that is not."""
    models: Mapping[str, str]
    """Name of the registered model by key."""
    versions: Mapping[str, Mapping[str, int]]
    """By key of the model: version by key of the run that it was made from."""


@dataclass(frozen=True)
class SampleResult:
    """What a call of `build` did."""

    made_runs: int
    """Runs trained now, child runs among them."""
    kept_runs: int
    """Runs that were whole already, child runs among them."""
    made_versions: int
    kept_versions: int
    existing: Existing
    """What is in the store now: keys to ids, names and versions."""
    stopped: bool
    """Whether it was asked to stop before it was done."""


def build(
    tracking_uri: str,
    artifact_root: str | None,
    progress: Progress,
    should_stop: Callable[[], bool],
    plan: SamplePlan = SAMPLE,
) -> SampleResult:
    """Train and register what of the plan is not yet in the store.

    ``artifact_root`` is a folder or URI under which each experiment made now keeps its artifacts;
    None leaves it to the server. ``progress`` gets the runs and versions that are done, all of
    them, and what is being done. ``should_stop`` is asked at every stage and step of a training.
    A run that is stopped ends as KILLED, and is trained again by the next call.

    Sets the tracking server and ends the active run of the whole process. Raises
    `MlflowException` for what the server refuses.
    """
    mlflow.set_tracking_uri(tracking_uri)  # noqa: TID251 - a child process with one server
    client = MlflowClient()
    return _Build(client, plan, artifact_root, progress, should_stop).all()


def find_existing(client: MlflowClient, plan: SamplePlan = SAMPLE) -> Existing:
    """What of the plan is in the client's store; changes nothing."""
    experiments = {
        str(one.tags[TAG]): str(one.experiment_id)
        for one in _sample_experiments(client)
        if one.lifecycle_stage == "active"
    }
    runs, broken = _find_runs(client, plan, list(experiments.values()))
    models, versions = _find_models(client)
    return Existing(experiments, runs, broken, models, versions)


class _Build:
    """One call of `build`."""

    def __init__(
        self,
        client: MlflowClient,
        plan: SamplePlan,
        artifact_root: str | None,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self.client, self.plan, self.artifact_root = client, plan, artifact_root
        self.progress, self.should_stop = progress, should_stop
        self.done = 0

    def all(self) -> SampleResult:
        self._say("Looking at what is there")
        stopped = False
        kept = find_existing(self.client, self.plan)
        try:
            self._clear(kept)
            kept = find_existing(self.client, self.plan)  # a restored experiment has runs again
            self._runs(kept)
            self._versions(find_existing(self.client, self.plan))
        except Stopped:
            stopped = True
        found = find_existing(self.client, self.plan)
        runs = sum(run.runs for run in self.plan.runs if run.key in kept.runs)
        versions = sum(len(one) for one in kept.versions.values())
        if not stopped:
            self._say("Done")
        return SampleResult(
            made_runs=sum(run.runs for run in self.plan.runs if run.key in found.runs) - runs,
            kept_runs=runs,
            made_versions=sum(len(one) for one in found.versions.values()) - versions,
            kept_versions=versions,
            existing=found,
            stopped=stopped,
        )

    def _say(self, what: str) -> None:
        self.progress(self.done, self.plan.steps, what)

    def _check(self) -> None:
        if self.should_stop():
            raise Stopped

    def _clear(self, found: Existing) -> None:
        """Bring the experiments into being, and take broken runs with their models away."""
        for planned in self.plan.experiments:
            if planned.key not in found.experiments:
                _make_experiment(self.client, planned, self.artifact_root)
        for run_id in find_existing(self.client, self.plan).broken:
            self._check()
            _delete_run(self.client, run_id)

    def _runs(self, found: Existing) -> None:
        absent = missing(self.plan, found.runs.keys())
        self.done = sum(run.runs for run in self.plan.runs) - sum(run.runs for run in absent)
        experiments = {one.key: one for one in self.plan.experiments}
        tables: dict[str, Table] = {}
        for run in absent:
            experiment = experiments[run.experiment]
            if experiment.data not in tables:
                tables[experiment.data] = load(experiment.data, "target")
            self._train(run, experiment, found.experiments[experiment.key], tables[experiment.data])

    def _train(
        self, run: PlannedRun, experiment: PlannedExperiment, experiment_id: str, table: Table
    ) -> None:
        """Train and log one planned run, its folds as child runs."""
        self._check()
        self._say(f"{experiment.name}: {run.name}")
        run_id = self.client.create_run(
            experiment_id,
            run_name=run.name,
            tags={
                TAG: run.key,
                MLFLOW_RUN_NOTE: run.note,
                MLFLOW_USER: recording.this_user(),
                MLFLOW_SOURCE_NAME: "Modeldeck's sample",
                MLFLOW_SOURCE_TYPE: "LOCAL",
            },
        ).info.run_id
        first = self.done

        def announce(what: str) -> None:
            self._check()
            if what.startswith("Cross-validation fold"):
                self._say(f"{experiment.name}: {run.name}, {what[0].lower()}{what[1:]}")
                self.done += 1

        with recording.running(run_id):
            recording.record(
                self.client,
                run_id,
                table,
                _recipe(run),
                asked={"target": "target"},
                announce=announce,
                fold_tags=lambda number: {TAG: run.fold_keys[number - 1]},
            )
        self.done = first + run.runs

    def _versions(self, found: Existing) -> None:
        self.done = sum(run.runs for run in self.plan.runs)
        for model in self.plan.models:
            name = found.models.get(model.key) or _make_model(self.client, model)
            have = found.versions.get(model.key, {})
            self.done += sum(version.run in have for version in model.versions)
            for version in missing_versions(model, have.keys()):
                self._check()
                self._say(f"Registering {name}")
                run = found.runs[version.run]
                recording.register(
                    self.client,
                    name,
                    recording.Recorded(run.run_id, run.model_id, {}),
                    description=version.description,
                    tags={TAG: version.run},
                )
                self.done += 1


def _recipe(run: PlannedRun) -> Recipe:
    hypers = {name: hyper.default for name, hyper in FAMILIES[run.family].hypers.items()}
    return Recipe(run.family, {**hypers, **dict(run.hypers)}, run.folds, 0.3, run.seed)


def _sample_experiments(client: MlflowClient) -> Iterator[Experiment]:
    """The sample's experiments, deleted ones too; the active ones last, so that they win."""
    found = client.search_experiments(view_type=ViewType.ALL, filter_string=f"tags.`{TAG}` != ''")
    yield from sorted(found, key=lambda one: one.lifecycle_stage == "active")


def _make_experiment(
    client: MlflowClient, planned: PlannedExperiment, artifact_root: str | None
) -> None:
    """Create the experiment, or bring it back where somebody deleted it."""
    for one in _sample_experiments(client):
        if one.tags[TAG] == planned.key:
            client.restore_experiment(one.experiment_id)
            return
    client.create_experiment(
        _free_name(planned.name, lambda name: client.get_experiment_by_name(name) is not None),
        artifact_location=_under(artifact_root, planned.key),
        tags={TAG: planned.key, MLFLOW_RUN_NOTE: planned.note},
    )


def _under(root: str | None, key: str) -> str | None:
    if root is None:
        return None
    uri = root if "://" in root else Path(root).absolute().as_uri()
    return f"{uri.rstrip('/')}/sample-{key}"


def _make_model(client: MlflowClient, planned: PlannedModel) -> str:
    name = _free_name(planned.name, lambda name: _model(client, name) is not None)
    client.create_registered_model(
        name, tags={**dict(planned.tags), TAG: planned.key}, description=planned.description
    )
    return name


def _model(client: MlflowClient, name: str) -> RegisteredModel | None:
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise


def _free_name(wanted: str, taken: Callable[[str], bool]) -> str:
    """The name, or one like it where somebody else's thing bears it."""
    name, number = wanted, 1
    while taken(name):
        name = f"{wanted} (sample)" if number == 1 else f"{wanted} (sample {number})"
        number += 1
    return name


def _find_runs(
    client: MlflowClient, plan: SamplePlan, experiment_ids: list[str]
) -> tuple[dict[str, FinishedRun], tuple[str, ...]]:
    found = list(_search_runs(client, experiment_ids))
    by_key: dict[str, list[Run]] = {}
    folds: dict[str, set[str]] = {}
    for run in found:
        parent = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
        if parent is None:
            by_key.setdefault(run.data.tags[TAG], []).append(run)
        elif run.info.status == "FINISHED":
            folds.setdefault(parent, set()).add(run.data.tags[TAG])
    whole: dict[str, FinishedRun] = {}
    kept: set[str] = set()
    for planned in plan.runs:
        for run in by_key.get(planned.key, []):
            model_id = _model_of(client, run)
            run_id = run.info.run_id
            finished = run.info.status == "FINISHED" and model_id is not None
            if finished and folds.get(run_id, set()) >= set(planned.fold_keys):
                kept.add(run_id)
                whole.setdefault(planned.key, FinishedRun(run_id, str(model_id)))
    planned_keys = {run.key for run in plan.runs}
    broken = [
        run.info.run_id
        for run in found
        if run.data.tags.get(MLFLOW_PARENT_RUN_ID, run.info.run_id) not in kept
        and run.data.tags[TAG].split("/fold-")[0] in planned_keys
    ]
    return whole, tuple(broken)


def _search_runs(client: MlflowClient, experiment_ids: list[str]) -> Iterator[Run]:
    token: str | None = None
    while experiment_ids:
        page = client.search_runs(
            experiment_ids,
            filter_string=f"tags.`{TAG}` != ''",
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def _model_of(client: MlflowClient, run: Run) -> str | None:
    """Id of the model that a run logged, if it is there and complete."""
    for output in run.outputs.model_outputs if run.outputs else []:
        try:
            model = client.get_logged_model(output.model_id)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
            continue
        if model.status == LoggedModelStatus.READY:
            return str(output.model_id)
    return None


def _find_models(client: MlflowClient) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    models: dict[str, str] = {}
    versions: dict[str, dict[str, int]] = {}
    for model in client.search_registered_models(filter_string=f"tags.`{TAG}` != ''"):
        key = model.tags[TAG]
        models[key] = model.name
        quoted = model.name.replace("'", "''")
        found = client.search_model_versions(f"name = '{quoted}'", max_results=PAGE)
        versions[key] = {
            one.tags[TAG]: int(one.version)
            for one in sorted(found, key=lambda one: -int(one.version))
            if TAG in one.tags
        }
    return models, versions


def _delete_run(client: MlflowClient, run_id: str) -> None:
    run = client.get_run(run_id)
    for output in run.outputs.model_outputs if run.outputs else []:
        try:
            client.delete_logged_model(output.model_id)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                raise
    client.delete_run(run_id)
