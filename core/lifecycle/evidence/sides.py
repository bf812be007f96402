"""One version as evidence: its run, its data, what its model's files say. Nothing is loaded."""

import json
import math
from collections.abc import Mapping
from typing import Any

from core.lifecycle.evidence.measured import Measured
from core.lifecycle.evidence.replicates import Replicates
from core.mlflow_api.nouns import (
    ArtifactFile,
    Column,
    DatasetInput,
    ModelInfo,
    ModelVersion,
    Run,
)
from core.registry.gates.evidence import Side
from core.registry.register import ASKED_BY
from core.training.builtin import DATA_AT

_COMMIT = "mlflow.source.git.commit"
_CODE = (".py", ".pyc", ".pyx", ".so", ".dll", ".whl", ".jar", ".r", ".sh", ".ipynb")
_ROWS = ("num_rows", "num_elements", "rows")


def side(
    version: ModelVersion,
    run: Run | None,
    found: Measured,
    repeated: Replicates | None,
    info: ModelInfo | None,
    files: tuple[ArtifactFile, ...],
) -> Side:
    """Put together what was found; what was not stays empty."""
    params = run.params if run else (found.logged.params if found.logged else {})
    signature = info.signature if info else None
    return Side(
        version=version.version,
        run_id=version.run_id,
        run_name=run.name if run else "",
        source=version.source,
        registered_by=version.tags.get(ASKED_BY),
        created_at=version.created_at,
        trained_at=(run.ended_at or run.started_at) if run else None,
        metrics={k: None if math.isnan(v) else v for k, v in sorted(found.metrics.items())},
        replicates=repeated.values if repeated else {},
        replicate_seeds=repeated.seeds if repeated else (),
        params=dict(sorted(params.items())),
        data_at=run.tags.get(DATA_AT) or None if run else None,
        datasets=tuple(_dataset(data, run) for data in run.inputs) if run else (),
        inputs=tuple(_column(c) for c in signature.inputs) if signature else None,
        outputs=tuple(_column(c) for c in signature.outputs) if signature else None,
        requirements=info.requirements if info and info.has_requirements else None,
        python=(info.python or None) if info else None,
        code=tuple(f.path for f in files if _is_code(f.path, info.code if info else "")),
        loader_module=info.loader_module if info else "",
        flavors=info.flavors if info else (),
        files=len(files),
        bytes=sum(f.size or 0 for f in files) if files else None,
        git_commit=run.tags.get(_COMMIT, "") if run else "",
    )


def _is_code(path: str, folder: str) -> bool:
    return path.lower().endswith(_CODE) or (bool(folder) and path.startswith(f"{folder}/"))


def _column(column: Column) -> Mapping[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "required": column.required,
        "shape": None if column.shape is None else list(column.shape),
    }


def _dataset(data: DatasetInput, run: Run) -> Mapping[str, Any]:
    return {
        "name": data.name,
        "digest": data.digest,
        "context": data.context,
        "source": data.source,
        "rows": _rows(data.profile),
        "at": run.tags.get(DATA_AT) or None,
    }


def _rows(profile: str) -> int | None:
    try:
        found = json.loads(profile) if profile else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping):
        return None
    rows = next((found[name] for name in _ROWS if name in found), None)
    return rows if isinstance(rows, int) and not isinstance(rows, bool) else None
