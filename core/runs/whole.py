"""Runs with everything that MLflow holds of them, read straight from it."""

from collections.abc import Sequence

from core.mlflow_api import Mlflow
from core.mlflow_api.ids import is_run_id
from core.mlflow_api.nouns import Run
from core.mlflow_api.tracking import ALL


def whole(mlflow: Mlflow, experiment_ids: Sequence[str], run_ids: Sequence[str]) -> list[Run]:
    """The runs in the order of their ids, deleted ones too; those that are not there are left out.

    Params, metrics, tags, inputs and models come in one call; meant for some dozens of runs.
    """
    wanted = [i for i in dict.fromkeys(run_ids) if is_run_id(i)]
    if not wanted:
        return []
    text = f"attributes.run_id IN ({', '.join(repr(i) for i in wanted)})"
    page = mlflow.tracking.search(experiment_ids, text, limit=len(wanted), view=ALL)
    found = {run.id: run for run in page.runs}
    return [found[i] for i in wanted if i in found]
