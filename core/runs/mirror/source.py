"""Where the mirror's runs come from: MLflow's client, or its database read in bulk."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from core.mlflow_api import Mlflow
from core.mlflow_api.batch import Batch
from core.mlflow_api.tracking import ALL

FIRST_PAGE, PAGE = 20, 1000
_IDS_AT_ONCE = 200


class ClientSource:
    """Runs through MLflow's client, page by page: works with every server."""

    kind: Literal["client"] = "client"
    dialect: str | None = None

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow

    def experiments(self) -> list[str]:
        """The ids of all experiments, deleted ones too."""
        return [e.id for e in self._mlflow.tracking.experiments(ALL)]

    def batches(self, experiment_ids: Sequence[str]) -> Iterator[Batch]:
        """All runs of some experiments, newest first; a small batch comes first, at once."""
        token: str | None = None
        size = FIRST_PAGE
        while experiment_ids:
            batch, token = self._mlflow.tracking.search_batch(experiment_ids, "", size, token)
            yield batch
            size = PAGE
            if token is None:
                return

    def read(self, run_ids: Sequence[str]) -> Iterator[Batch]:
        """The runs of these ids; those that are gone are left out."""
        experiments = self.experiments()
        for start in range(0, len(run_ids), _IDS_AT_ONCE):
            some = run_ids[start : start + _IDS_AT_ONCE]
            text = f"attributes.run_id IN ({', '.join(repr(i) for i in some)})"
            yield self._mlflow.tracking.search_batch(experiments, text, len(some))[0]

    def metric_aggregates(self, run_ids: Sequence[str], keys: Sequence[str]) -> Any:
        """None: a client has to read whole histories."""
        return None
