"""MLflow's nouns as plain frozen dataclasses; times are aware, in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"


@dataclass(frozen=True)
class Experiment:
    """An experiment."""

    id: str
    name: str
    lifecycle_stage: str
    artifact_location: str
    tags: Mapping[str, str]
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True)
class DatasetInput:
    """A data set that a run read."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str
    context: str


@dataclass(frozen=True)
class Run:
    """A run with its params, last metrics and tags."""

    id: str
    experiment_id: str
    name: str
    status: str
    lifecycle_stage: str
    user: str
    started_at: datetime | None
    ended_at: datetime | None
    artifact_uri: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    inputs: tuple[DatasetInput, ...] = ()
    logged_models: tuple[str, ...] = ()
    """Ids (``m-…``) of the models that the run logged, by step."""
    logged_steps: tuple[int, ...] = ()
    """The step at which each of them was logged last."""

    @property
    def last_models(self) -> tuple[str, ...]:
        """Those of the logged models with the last step: which of several came last is not told
        here."""
        last = max(self.logged_steps, default=0)
        steps = zip(self.logged_models, self.logged_steps, strict=True)
        return tuple(model_id for model_id, step in steps if step == last)

    @property
    def parent_id(self) -> str | None:
        """The run that this one is nested in."""
        return self.tags.get(PARENT_TAG)

    @property
    def seconds(self) -> float | None:
        """How long it took, in seconds; None while it runs."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class RunPage:
    """Some runs, and the token that fetches the next ones."""

    runs: tuple[Run, ...]
    next_token: str | None


@dataclass(frozen=True)
class MetricPoint:
    """One value in a metric's history."""

    step: int
    value: float
    at: datetime


@dataclass(frozen=True)
class ArtifactFile:
    """A file or folder among a run's artifacts; ``size`` in bytes, None for a folder."""

    path: str
    is_dir: bool
    size: int | None


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model; ``aliases`` maps an alias to its version."""

    name: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    created_at: datetime | None
    updated_at: datetime | None
    latest: "tuple[ModelVersion, ...]" = ()
    """The newest version in each MLflow stage."""


def logged_model_of(source: str) -> str | None:
    """The id of the logged model that a version's source names; None where it names none."""
    rest = source.removeprefix("models:/")
    return rest if rest != source and rest.startswith("m-") else None


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model."""

    model: str
    version: int
    stage: str
    aliases: tuple[str, ...]
    description: str
    tags: Mapping[str, str]
    run_id: str | None
    source: str
    status: str
    status_message: str
    created_at: datetime | None
    updated_at: datetime | None

    @property
    def logged_model_id(self) -> str | None:
        """The logged model it was made from (``m-…``), where MLflow knows one."""
        return logged_model_of(self.source)

    @property
    def uri(self) -> str:
        """MLflow's address of this version."""
        return f"models:/{self.model}/{self.version}"


@dataclass(frozen=True)
class LoggedModel:
    """A model that a run logged, or that was logged outside of any."""

    id: str
    name: str
    run_id: str | None
    location: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    created_at: datetime | None = None
    measured_by: Mapping[str, str] = field(default_factory=dict)
    """Metric → the run by which its last value was logged: also a model of no run has one."""


@dataclass(frozen=True)
class Column:
    """One column (or tensor, or param) of a signature.

    ``type`` is MLflow's data type (long, integer, double, float, string, boolean, binary,
    datetime), or object, array, map, any, or tensor.
    """

    name: str | None
    type: str
    required: bool = True
    shape: tuple[int, ...] | None = None
    default: object = None


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives."""

    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()
    params: tuple[Column, ...] = ()


@dataclass(frozen=True)
class ModelInfo:
    """What a model's metadata says; nothing of the model was loaded."""

    signature: Signature | None = None
    example: object = None
    """The input example as parsed JSON, or None."""
    flavors: tuple[str, ...] = ()
    mlflow_version: str = ""
    created_at: datetime | None = None
    size_bytes: int | None = None
    requirements: tuple[str, ...] = field(default=())
    has_requirements: bool = False
    """Whether there is a ``requirements.txt``, be it an empty one."""
    python: str = ""
    """The version of Python that it names."""
    loader_module: str = ""
    """The module that loads it: MLflow's own of its flavor, or one of its own code."""
    code: str = ""
    """The folder of its own code, by path below the model's folder; "" where it names none."""
