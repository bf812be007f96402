"""Experiments, runs and metric histories."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.mlflow_api import convert, ids
from core.mlflow_api.batch import Batch, batch_of
from core.mlflow_api.gateway import Gateway, Kind
from core.mlflow_api.nouns import Experiment, LoggedModel, MetricPoint, Run, RunPage
from core.texts import t

if TYPE_CHECKING:
    from mlflow import MlflowClient

ACTIVE, DELETED, ALL = "ACTIVE_ONLY", "DELETED_ONLY", "ALL"
PAGE_LIMIT = 1000
MODELS_LIMIT = 100
_SMALL_PAGE = 20
"""Runs that are read at once on any server; more of them, with thousands of params, take time."""


class Tracking:
    """The tracking store.

    Args:
        gateway: the door to it.
        artifact_root: given for a database store: new experiments keep their artifacts below it.
    """

    def __init__(self, gateway: Gateway, artifact_root: Path | None) -> None:
        self._gateway = gateway
        self._artifact_root = artifact_root

    def through(self, gateway: Gateway) -> "Tracking":
        """The same store through another door."""
        return Tracking(gateway, self._artifact_root)

    def experiments(self, view: str = ACTIVE) -> list[Experiment]:
        """All experiments, last changed first; ``view`` is ACTIVE, DELETED or ALL."""
        from mlflow.entities import ViewType

        found: list[Experiment] = []
        token: str | None = None
        while True:
            page = self._gateway.read(
                t("mlflow.action.experiments"),
                lambda c, token=token: c.search_experiments(  # type: ignore[misc]
                    view_type=ViewType.from_string(view.lower()),
                    max_results=1000,
                    page_token=token,
                ),
                Kind.METADATA,
            )
            found += [convert.experiment(e) for e in page]
            token = page.token
            if not token:
                return found

    def experiment(self, experiment_id: str) -> Experiment:
        """One experiment, deleted or not."""
        checked = ids.experiment_id(experiment_id)
        return self._gateway.read(
            t("mlflow.action.experiment"), lambda c: convert.experiment(c.get_experiment(checked))
        )

    def experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment of that name, deleted or not."""
        entity = self._gateway.read(
            t("mlflow.action.experiment"), lambda c: c.get_experiment_by_name(name)
        )
        return None if entity is None else convert.experiment(entity)

    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Make an experiment and return its id."""
        ids.no_control(name, "name")
        # Artifacts get a folder by time: the id is not known yet and a name is no safe path.
        place = (
            (self._artifact_root / f"experiment-{time.time_ns()}").as_uri()
            if self._artifact_root
            else None
        )
        return self._gateway.write(
            t("mlflow.action.create_experiment", name=name),
            lambda c: str(
                c.create_experiment(name, artifact_location=place, tags=dict(tags or {}))
            ),
        )

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its runs as deleted."""
        checked = ids.experiment_id(experiment_id)
        self._gateway.write(
            t("mlflow.action.delete_experiment"), lambda c: c.delete_experiment(checked)
        )

    def restore_experiment(self, experiment_id: str) -> None:
        """Take a deletion back."""
        checked = ids.experiment_id(experiment_id)
        self._gateway.write(
            t("mlflow.action.restore_experiment"), lambda c: c.restore_experiment(checked)
        )

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Write one tag of an experiment, of at most 20,000 characters."""
        checked = ids.experiment_id(experiment_id)
        self._gateway.write(
            t("mlflow.action.tag_experiment"),
            lambda c: c.set_experiment_tag(checked, key, value),
        )

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove one tag of an experiment."""
        checked = ids.experiment_id(experiment_id)
        self._gateway.write(
            t("mlflow.action.tag_experiment"), lambda c: c.delete_experiment_tag(checked, key)
        )

    def search(
        self,
        experiment_ids: Sequence[str],
        filter_text: str = "",
        order: Sequence[str] = (),
        limit: int = 100,
        token: str | None = None,
        view: str = ACTIVE,
    ) -> RunPage:
        """One page of runs (at most 1,000) of some experiments.

        Args:
            filter_text: in MLflow's syntax.
            order: such as ``metrics.rmse ASC``.
            token: from the page before.

        Raises:
            InvalidInput: MLflow does not understand the filter or the order.
        """
        from mlflow.entities import ViewType

        checked = [ids.experiment_id(e) for e in experiment_ids]
        size = min(limit, PAGE_LIMIT)
        page = self._gateway.read(
            t("mlflow.action.search"),
            lambda c: c.search_runs(
                checked,
                filter_text,
                run_view_type=ViewType.from_string(view.lower()),
                max_results=size,
                order_by=list(order),
                page_token=token,
            ),
            Kind.METADATA if size <= _SMALL_PAGE else Kind.PAGE,
        )
        return RunPage(tuple(convert.run(r) for r in page), page.token or None)

    def search_batch(
        self,
        experiment_ids: Sequence[str],
        filter_text: str = "",
        limit: int = PAGE_LIMIT,
        token: str | None = None,
    ) -> tuple[Batch, str | None]:
        """One page of runs, deleted ones too, newest first, and the token of the next page."""
        from mlflow.entities import ViewType

        def call(client: "MlflowClient") -> tuple[Batch, str | None]:
            page = client.search_runs(
                list(experiment_ids), filter_text, ViewType.ALL, limit, None, token
            )
            return batch_of(page), page.token or None

        kind = Kind.METADATA if limit <= _SMALL_PAGE else Kind.PAGE
        return self._gateway.read(t("mlflow.action.search"), call, kind)

    def run(self, run_id: str) -> Run:
        """One run, deleted or not."""
        checked = ids.run_id(run_id)
        return self._gateway.read(t("mlflow.action.run"), lambda c: convert.run(c.get_run(checked)))

    def metric_history(self, run_id: str, key: str) -> list[MetricPoint]:
        """Every value that a run logged for one metric, in the order of steps."""
        checked = ids.run_id(run_id)
        points = self._gateway.read(
            t("mlflow.action.history"), lambda c: c.get_metric_history(checked, key), Kind.PAGE
        )
        return sorted((convert.metric_point(p) for p in points), key=lambda p: (p.step, p.at))

    def logged_model(self, model_id: str) -> LoggedModel:
        """A model that a run logged, by its id ``m-…``."""
        checked = ids.run_id(model_id)
        return self._gateway.read(
            t("mlflow.action.logged_model"),
            lambda c: convert.logged_model(c.get_logged_model(checked)),
        )

    def models_of_run(self, run: Run) -> tuple[tuple[LoggedModel, ...], bool]:
        """Models that name a run as theirs, at most ``MODELS_LIMIT``, and whether those are all.

        Deleted ones are not among them.
        """
        own = f"source_run_id = '{ids.run_id(run.id)}'"
        page = self._gateway.read(
            t("mlflow.action.logged_models"),
            lambda c: c.search_logged_models([run.experiment_id], own, max_results=MODELS_LIMIT),
            Kind.PAGE,
        )
        return tuple(convert.logged_model(m) for m in page), not page.token

    def create_run(
        self,
        experiment_id: str,
        name: str,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Run:
        """Start a run and log its params."""
        from mlflow.entities import Param

        checked = ids.experiment_id(experiment_id)
        run = self._gateway.write(
            t("mlflow.action.create_run"),
            lambda c: convert.run(c.create_run(checked, run_name=name, tags=dict(tags or {}))),
        )
        if params:
            self._gateway.write(
                t("mlflow.action.log_params"),
                lambda c: c.log_batch(run.id, params=[Param(k, v) for k, v in params.items()]),
            )
        return run

    def rename_run(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        checked = ids.run_id(run_id)
        ids.no_control(name, "name")
        self._gateway.write(
            t("mlflow.action.update_run"), lambda c: c.update_run(checked, name=name)
        )

    def set_status(self, run_id: str, status: str) -> None:
        """Set a run's status: SCHEDULED, RUNNING, or an end (FINISHED, FAILED, KILLED)."""
        checked = ids.run_id(run_id)
        self._gateway.write(
            t("mlflow.action.update_run"),
            lambda c: (
                c.update_run(checked, status=status)
                if status in ("SCHEDULED", "RUNNING")
                else c.set_terminated(checked, status)
            ),
        )

    def set_run_tag(self, run_id: str, key: str, value: str) -> None:
        """Write one tag of a run."""
        checked = ids.run_id(run_id)
        self._gateway.write(t("mlflow.action.tag_run"), lambda c: c.set_tag(checked, key, value))

    def delete_run_tag(self, run_id: str, key: str) -> None:
        """Remove one tag of a run."""
        checked = ids.run_id(run_id)
        self._gateway.write(t("mlflow.action.tag_run"), lambda c: c.delete_tag(checked, key))

    def delete_run(self, run_id: str) -> None:
        """Mark a run as deleted."""
        checked = ids.run_id(run_id)
        self._gateway.write(t("mlflow.action.delete_run"), lambda c: c.delete_run(checked))

    def restore_run(self, run_id: str) -> None:
        """Take a deletion back."""
        checked = ids.run_id(run_id)
        self._gateway.write(t("mlflow.action.restore_run"), lambda c: c.restore_run(checked))
