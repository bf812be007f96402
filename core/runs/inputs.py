"""What the data sets say that a run read: their schema as a table, their profile as pairs. Pure."""

import json
from typing import Any

import pandas as pd

from core.mlflow_api.nouns import DatasetInput

MOST_COLUMNS = 1_000


def schema_of(data: DatasetInput) -> pd.DataFrame | None:
    """Its columns: name, type, required; None where the schema cannot be read.

    MLflow writes ``{"mlflow_colspec": [{"type", "name", "required"}, …]}`` for tables and
    ``{"mlflow_tensorspec": …}`` for arrays.
    """
    value = _parsed(data.schema)
    if not isinstance(value, dict):
        return None
    columns = value.get("mlflow_colspec")
    if isinstance(columns, list):
        return pd.DataFrame([_column(c) for c in columns[:MOST_COLUMNS] if isinstance(c, dict)])
    tensors = value.get("mlflow_tensorspec")
    if isinstance(tensors, dict):
        rows = []
        for side, specs in tensors.items():
            found = _parsed(specs) if isinstance(specs, str) else specs
            listed = found if isinstance(found, list) else []
            rows += [_tensor(side, s) for s in listed if isinstance(s, dict)]
        return pd.DataFrame(rows[:MOST_COLUMNS]) if rows else None
    return None


def profile_of(data: DatasetInput) -> list[tuple[str, str]]:
    """Its profile as pairs, such as the number of rows."""
    return _pairs(data.profile)


def source_of(data: DatasetInput) -> list[tuple[str, str]]:
    """Where it came from, as pairs."""
    return _pairs(data.source) or ([("source", data.source)] if data.source else [])


def _pairs(text: str) -> list[tuple[str, str]]:
    value = _parsed(text)
    if not isinstance(value, dict):
        return []
    return [
        (str(k), v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str))
        for k, v in value.items()
    ]


def _column(spec: dict[str, Any]) -> dict[str, object]:
    return {
        "name": str(spec.get("name", "")),
        "type": str(spec.get("type", "")),
        "required": bool(spec.get("required", True)),
    }


def _tensor(side: str, spec: dict[str, Any]) -> dict[str, object]:
    inner = spec.get("tensor-spec", spec)
    kind = inner.get("dtype", "") if isinstance(inner, dict) else ""
    shape = inner.get("shape", "") if isinstance(inner, dict) else ""
    name = str(spec.get("name", side))
    return {"name": name, "type": f"tensor({kind}) {shape}", "required": True}


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be drawn
        return value
    except (ValueError, RecursionError):
        return None
