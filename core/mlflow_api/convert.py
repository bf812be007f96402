"""MLflow's entities → our nouns, in one place: types differ between its stores."""

import json
from datetime import UTC, datetime
from typing import Any

from core.mlflow_api.gateway import OddReply
from core.mlflow_api.nouns import (
    ArtifactFile,
    Column,
    DatasetInput,
    Experiment,
    LoggedModel,
    MetricPoint,
    ModelVersion,
    RegisteredModel,
    Run,
    Signature,
)

_DATASET_CONTEXT = "mlflow.data.context"


def moment(milliseconds: int | None) -> datetime | None:
    """Milliseconds since the epoch → aware UTC; None for 0, None and what no calendar holds."""
    if not milliseconds:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def experiment(entity: Any) -> Experiment:
    """One experiment."""
    return Experiment(
        id=str(entity.experiment_id),
        name=entity.name,
        lifecycle_stage=entity.lifecycle_stage,
        artifact_location=entity.artifact_location or "",
        tags=dict(entity.tags or {}),
        created_at=moment(entity.creation_time),
        updated_at=moment(entity.last_update_time),
    )


def run(entity: Any) -> Run:
    """One run.

    Raises:
        OddReply: it has no id, which no MLflow server sends.
    """
    info, data = entity.info, entity.data
    if not info.run_id:
        raise OddReply("a run without an id")
    inputs = entity.inputs.dataset_inputs if entity.inputs else []
    outputs = getattr(entity, "outputs", None)
    logged = _by_step(outputs.model_outputs if outputs else [])
    tags = dict(data.tags)
    return Run(
        id=info.run_id,
        experiment_id=str(info.experiment_id),
        name=info.run_name or tags.get("mlflow.runName", ""),
        status=str(info.status),
        lifecycle_stage=info.lifecycle_stage,
        user=tags.get("mlflow.user") or info.user_id or "",
        started_at=moment(info.start_time),
        ended_at=moment(info.end_time),
        artifact_uri=info.artifact_uri or "",
        params=dict(data.params),
        metrics=dict(data.metrics),
        tags=tags,
        inputs=tuple(_dataset(i) for i in inputs),
        logged_models=tuple(logged),
        logged_steps=tuple(logged.values()),
    )


def _by_step(outputs: Any) -> dict[str, int]:
    """Logged model → the last step at which it was logged, in that order, which MLflow's is not."""
    found: dict[str, int] = {}
    for output in sorted(outputs, key=lambda o: int(o.step or 0)):
        found.pop(output.model_id, None)
        found[output.model_id] = int(output.step or 0)
    return found


def _dataset(entity: Any) -> DatasetInput:
    data = entity.dataset
    context = {tag.key: tag.value for tag in entity.tags or []}.get(_DATASET_CONTEXT, "")
    return DatasetInput(
        name=data.name,
        digest=data.digest,
        source_type=data.source_type or "",
        source=data.source or "",
        schema=data.schema or "",
        profile=data.profile or "",
        context=context,
    )


def metric_point(entity: Any) -> MetricPoint:
    """One value of a metric's history."""
    at = moment(entity.timestamp) or datetime.fromtimestamp(0, UTC)
    return MetricPoint(step=int(entity.step), value=float(entity.value), at=at)


def artifact(entity: Any) -> ArtifactFile:
    """One file or folder."""
    return ArtifactFile(
        path=entity.path,
        is_dir=bool(entity.is_dir),
        size=None if entity.is_dir else entity.file_size,
    )


def registered_model(entity: Any) -> RegisteredModel:
    """One registered model; versions are ``str`` over REST and ``int`` from a database."""
    aliases = {alias: int(version) for alias, version in (entity.aliases or {}).items()}
    return RegisteredModel(
        name=entity.name,
        description=entity.description or "",
        tags=dict(entity.tags or {}),
        aliases=aliases,
        created_at=moment(entity.creation_timestamp),
        updated_at=moment(entity.last_updated_timestamp),
        latest=tuple(model_version(v, aliases) for v in entity.latest_versions or []),
    )


def model_version(entity: Any, aliases: dict[str, int]) -> ModelVersion:
    """One version. ``aliases`` are its model's: searching versions returns them always empty."""
    number = int(entity.version)
    return ModelVersion(
        model=entity.name,
        version=number,
        stage=entity.current_stage or "None",
        aliases=tuple(sorted(alias for alias, version in aliases.items() if version == number)),
        description=entity.description or "",
        tags=dict(entity.tags or {}),
        run_id=entity.run_id or None,
        source=entity.source or "",
        status=entity.status or "",
        status_message=entity.status_message or "",
        created_at=moment(entity.creation_timestamp),
        updated_at=moment(entity.last_updated_timestamp),
    )


def logged_model(entity: Any) -> LoggedModel:
    """One logged model with its last metrics and its params."""
    # MLflow gives every value that was logged, in no order.
    metrics = sorted(entity.metrics or [], key=lambda m: (m.step, m.timestamp, m.value))
    return LoggedModel(
        id=entity.model_id,
        name=entity.name or "",
        run_id=entity.source_run_id or None,
        location=entity.artifact_location or "",
        metrics={m.key: float(m.value) for m in metrics},
        params=dict(entity.params or {}),
        created_at=moment(entity.creation_timestamp),
        measured_by={m.key: m.run_id for m in metrics if m.run_id},
    )


def signature(entity: Any) -> Signature | None:
    """A model's signature, from MLflow's own class."""
    if entity is None:
        return None
    return Signature(
        inputs=_columns(entity.inputs),
        outputs=_columns(entity.outputs),
        params=tuple(
            Column(
                name=p.name,
                type=p.dtype.name if hasattr(p.dtype, "name") else "object",
                required=False,
                shape=tuple(p.shape) if p.shape else None,
                default=p.default,
            )
            for p in (entity.params.params if entity.params else [])
        ),
    )


def _columns(schema: Any) -> tuple[Column, ...]:
    if schema is None:
        return ()
    columns = []
    for spec in schema.inputs:
        if schema.is_tensor_spec():
            columns.append(
                Column(spec.name, f"tensor({spec.type})", spec.required, tuple(spec.shape))
            )
        else:
            kind = json.loads(json.dumps(spec.to_dict()))["type"]
            columns.append(Column(spec.name, str(kind).lower(), spec.required))
    return tuple(columns)
