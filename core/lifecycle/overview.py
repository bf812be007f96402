"""The life cycle at a glance: what there is, what serves, and what wants attention."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from core.ledger import Ledger
from core.mlflow_api import Mlflow
from core.mlflow_api.nouns import Experiment, ModelVersion
from core.people import Permission
from core.registry.catalogue import holders
from core.registry.desk import Desk
from core.registry.ladder import LADDER, Ladder
from core.registry.reconcile import alerts
from core.registry.requests import waiting_for
from core.registry.requests.reading import present
from core.runs.mirror import Mirror
from core.runs.query import RunQuery, query
from core.serving import endpoints
from core.serving.endpoints import Endpoint
from core.texts import t
from core.training import jobs
from core.training.jobs import Job

_LATEST = 8
_PATIENCE = 1.5
"""Seconds to wait for a first answer about runs."""


@dataclass(frozen=True)
class Served:
    """A version on the highest rung, and the endpoints that serve it."""

    version: ModelVersion
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True)
class Attention:
    """Something that somebody should look at."""

    text: str
    """Plain text."""
    page: str
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Work:
    """What runs, as the ledger has it: known also while MLflow is away."""

    open_jobs: tuple[Job, ...]
    failed_jobs: tuple[Job, ...]
    """Of the 50 newest."""
    endpoints: tuple[Endpoint, ...]
    """Those that serve, or may yet."""
    worker_runs: bool


@dataclass(frozen=True)
class LatestRun:
    """What is shown of a run that began lately."""

    id: str
    name: str
    status: str
    experiment_id: str
    started_at: datetime | None


@dataclass(frozen=True)
class Overview:
    """What is in MLflow, and what of it is served."""

    experiments: tuple[Experiment, ...]
    latest: tuple[LatestRun, ...]
    any_run: bool
    """Whether there is a run at all."""
    models: int
    versions: int
    rung: str
    """The ladder's highest rung, such as Production."""
    production: tuple[Served, ...]
    """What stands there."""
    attention: tuple[Attention, ...]

    @property
    def untouched(self) -> bool:
        """Whether nothing has been done in this store yet."""
        return not self.any_run and not self.models


def work(ledger: Ledger, *, worker_runs: bool) -> Work:
    """Gather what runs.

    Raises:
        LedgerFailed: the ledger does not answer.
    """
    newest = jobs.recent(ledger, 50)
    return Work(
        open_jobs=tuple(jobs.unfinished(ledger)),
        failed_jobs=tuple(j for j in newest if j.state == jobs.FAILED),
        endpoints=tuple(e for e in endpoints.recent(ledger) if e.open),
        worker_runs=worker_runs,
    )


def overview(mlflow: Mlflow, mirror: Mirror, at_work: Work, ladder: Ladder = LADDER) -> Overview:
    """Gather what is in MLflow, in a few calls.

    Raises:
        DeckError: MLflow does not answer.
    """
    experiments = mlflow.tracking.experiments()
    versions = mlflow.registry.all_versions()
    names = {v.model for v in versions}
    production = served(versions, at_work.endpoints, ladder)
    ids = [e.id for e in experiments]
    newest = latest(mirror, ids)
    return Overview(
        experiments=tuple(experiments),
        latest=newest,
        any_run=bool(newest) or _any_run(mlflow, mirror, ids),
        models=len(names),
        versions=len(versions),
        rung=ladder.top.name,
        production=production,
        attention=tuple(
            attention(
                production,
                names,
                at_work.endpoints,
                at_work.failed_jobs,
                worker_runs=at_work.worker_runs,
                rung=ladder.top.name,
            )
        ),
    )


def latest(mirror: Mirror, experiment_ids: Sequence[str]) -> tuple[LatestRun, ...]:
    """The runs that began last, without those nested in others.

    Args:
        experiment_ids: the experiments that MLflow lists for this person.
    """
    mirror.want(experiment_ids)
    mirror.settle(experiment_ids, _PATIENCE)
    asked = RunQuery(columns=(), limit=_LATEST, nesting="top")
    rows = query(mirror, asked, frozenset(experiment_ids)).frame
    return tuple(
        LatestRun(r.run_id, r.name, r.status, r.experiment_id, _moment(r.started_at))
        for r in rows.itertuples(index=False)
    )


def _any_run(mlflow: Mlflow, mirror: Mirror, experiment_ids: Sequence[str]) -> bool:
    """Whether there is a run although none was found: that says nothing while the mirror is still
    reading, so MLflow itself is asked then."""
    if mirror.coverage.complete or not experiment_ids:
        return False
    return bool(mlflow.tracking.search(experiment_ids, limit=1).runs)


def for_person(desk: Desk) -> list[Attention]:
    """What of the promotion desk waits for this person.

    Raises:
        DeckError: MLflow or the ledger does not answer.
    """
    found = []
    if waiting := len(waiting_for(desk)):
        found.append(Attention(t("home.attention.requests", n=waiting), "approvals"))
    changed = alerts(desk.ledger, desk.mlflow.address)
    for model in present(desk, sorted(changed)):
        if desk.permissions.on_model(desk.actor, model) >= Permission.READ:
            text = t("home.attention.unattributed", model=model, n=len(changed[model]))
            found.append(Attention(text, "ledger", (("model", model),)))
    return found


def _moment(at: pd.Timestamp) -> datetime | None:
    return None if pd.isna(at) else at.to_pydatetime()


def served(
    versions: Iterable[ModelVersion], running: Iterable[Endpoint], ladder: Ladder = LADDER
) -> tuple[Served, ...]:
    """The versions on the highest rung, by model, each with what serves it."""
    at = list(running)
    return tuple(
        Served(v, tuple(e for e in at if (e.model, e.version) == (v.model, v.version)))
        for v in sorted(holders(versions, ladder.top, ladder), key=lambda v: (v.model, -v.version))
    )


def attention(
    production: Iterable[Served],
    models: Iterable[str],
    running: Iterable[Endpoint],
    recent_jobs: Iterable[Job],
    *,
    worker_runs: bool,
    rung: str = LADDER.top.name,
) -> list[Attention]:
    """What wants somebody's attention, gravest first."""
    found = []
    in_production = [p.version.model for p in production]
    if not worker_runs:
        found.append(Attention(t("home.attention.no_worker"), "processes"))
    for model in sorted({m for m in in_production if in_production.count(m) > 1}):
        text = t("home.attention.two", model=model, rung=rung)
        found.append(Attention(text, "model", (("model", model),)))
    found += [
        Attention(t("home.attention.unhealthy", name=e.name), "endpoints")
        for e in running
        if e.state == endpoints.UNHEALTHY
    ]
    found += [
        Attention(t("home.attention.job", title=j.title), "training", (("job", j.id),))
        for j in recent_jobs
        if j.state == jobs.FAILED
    ][:5]
    found += [
        Attention(t("home.attention.none", model=m, rung=rung), "model", (("model", m),))
        for m in sorted(set(models) - set(in_production))
    ][:5]
    return found
