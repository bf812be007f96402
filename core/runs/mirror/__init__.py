"""The run mirror: every run read once, kept in columns, asked from there.

It is never the truth: it may be removed at any moment and is built again from MLflow.
"""

from core.mlflow_api.batch import Batch
from core.runs.mirror.mirror import Coverage, Mirror, open_mirror

__all__ = ["Batch", "Coverage", "Mirror", "open_mirror"]
