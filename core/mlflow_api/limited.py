"""MLflow's client for somebody whom MLflow does not know: Modeldeck holds their rights to them.

With identity ``oidc`` MLflow is asked with Modeldeck's own account. So whatever the client gives is
looked at before it is given on, and what is not named here is refused.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.people.permissions import Permission

if TYPE_CHECKING:
    from mlflow import MlflowClient

Level = Callable[[str], Permission]
"""The person's level on the model or experiment of that name."""

_OF_A_MODEL = {
    "get_registered_model": Permission.READ,
    "get_model_version": Permission.READ,
    "get_model_version_download_uri": Permission.READ,
    "create_registered_model": Permission.EDIT,
    "update_registered_model": Permission.EDIT,
    "set_registered_model_tag": Permission.EDIT,
    "delete_registered_model_tag": Permission.EDIT,
    "update_model_version": Permission.EDIT,
    "set_model_version_tag": Permission.EDIT,
    "delete_model_version_tag": Permission.EDIT,
}
"""Calls whose first argument is a registered model's name."""
_OF_A_RUN = {
    "get_run": Permission.READ,
    "get_metric_history": Permission.READ,
    "set_tag": Permission.EDIT,
    "delete_tag": Permission.EDIT,
    "update_run": Permission.EDIT,
    "delete_run": Permission.EDIT,
    "restore_run": Permission.EDIT,
    "set_terminated": Permission.EDIT,
    "log_batch": Permission.EDIT,
}
"""Calls whose first argument is a run's id."""
_OF_AN_EXPERIMENT = {
    "get_experiment": Permission.READ,
    "create_run": Permission.EDIT,
    "set_experiment_tag": Permission.EDIT,
    "delete_experiment_tag": Permission.EDIT,
    "delete_experiment": Permission.MANAGE,
    "restore_experiment": Permission.MANAGE,
}
"""Calls whose first argument is an experiment's id."""


class Limited:
    """Stands in for ``MlflowClient`` for one call of one person.

    Args:
        client: asks as Modeldeck.
        level: the person's rights.
    """

    def __init__(self, client: "MlflowClient", level: Level) -> None:
        self._client = client
        self._level = level
        self._known: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        """A call of that name, which looks at the person's right before it is made."""
        for calls, of in (
            (_OF_A_MODEL, lambda model: model),
            (_OF_A_RUN, self._experiment_of_run),
            (_OF_AN_EXPERIMENT, self._experiment_name),
        ):
            if name in calls:
                return self._guarded(name, calls[name], of)
        raise _denied()

    def search_experiments(self, *args: Any, **more: Any) -> Any:
        """Those of a page that the person may read."""
        return self._readable(self._client.search_experiments(*args, **more))

    def get_experiment_by_name(self, name: str) -> Any:
        """One experiment; None where there is none of that name."""
        self._require(name, Permission.READ)
        return self._client.get_experiment_by_name(name)

    def create_experiment(self, name: str, *args: Any, **more: Any) -> str:
        """A new experiment, of a name that the person may edit."""
        self._require(name, Permission.EDIT)
        return self._client.create_experiment(name, *args, **more)

    def search_runs(self, experiment_ids: list[str], *args: Any, **more: Any) -> Any:
        """Runs of those experiments that the person may read."""
        return self._searched(self._client.search_runs, experiment_ids, *args, **more)

    def search_logged_models(self, experiment_ids: list[str], *args: Any, **more: Any) -> Any:
        """Logged models of those experiments that the person may read."""
        return self._searched(self._client.search_logged_models, experiment_ids, *args, **more)

    def get_logged_model(self, model_id: str) -> Any:
        """A logged model of an experiment that the person may read."""
        found = self._client.get_logged_model(model_id)
        self._require(self._experiment_name(found.experiment_id), Permission.READ)
        return found

    def search_registered_models(self, *args: Any, **more: Any) -> Any:
        """Those of a page that the person may read."""
        return self._readable(self._client.search_registered_models(*args, **more))

    def search_model_versions(self, *args: Any, **more: Any) -> Any:
        """Versions of those models of a page that the person may read."""
        return self._readable(self._client.search_model_versions(*args, **more))

    def _guarded(self, name: str, needed: Permission, of: Callable[[str], str]) -> Any:
        def call(first: str, *args: Any, **more: Any) -> Any:
            self._require(of(first), needed)
            return getattr(self._client, name)(first, *args, **more)

        return call

    def _searched(
        self, search: Callable[..., Any], experiments: list[str], *a: Any, **k: Any
    ) -> Any:
        from mlflow.store.entities import PagedList

        ids = [i for i in experiments if self._may(self._experiment_name(i), Permission.READ)]
        return search(ids, *a, **k) if ids else PagedList([], None)

    def _readable(self, page: Any) -> Any:
        from mlflow.store.entities import PagedList

        return PagedList([one for one in page if self._may(one.name, Permission.READ)], page.token)

    def _experiment_of_run(self, run_id: str) -> str:
        return self._experiment_name(self._client.get_run(run_id).info.experiment_id)

    def _experiment_name(self, experiment_id: str) -> str:
        if experiment_id not in self._known:
            self._known[experiment_id] = self._client.get_experiment(experiment_id).name
        return self._known[experiment_id]

    def _may(self, name: str, needed: Permission) -> bool:
        return self._level(name) >= needed

    def _require(self, name: str, needed: Permission) -> None:
        if not self._may(name, needed):
            raise _denied()


def _denied() -> Exception:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    return MlflowException("Permission denied", PERMISSION_DENIED)
