"""The life cycle at a glance: what there is, what serves, and what wants attention."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.lifecycle.deck import Deck
from core.mlflow_api.nouns import Experiment, ModelVersion, Run
from core.registry.catalogue import holders
from core.serving import endpoints
from core.serving.endpoints import Endpoint
from core.texts import t
from core.training import jobs
from core.training.jobs import Job

_LATEST = 8
_MOST_EXPERIMENTS = 100


@dataclass(frozen=True)
class Served:
    """A version in Production, and the endpoints that serve it."""

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
class Overview:
    """What Home shows."""

    experiments: tuple[Experiment, ...]
    latest: tuple[Run, ...]
    models: int
    versions: int
    production: tuple[Served, ...]
    jobs: tuple[Job, ...]
    endpoints: tuple[Endpoint, ...]
    attention: tuple[Attention, ...]

    @property
    def untouched(self) -> bool:
        """Whether nothing has been done in this store yet."""
        return not self.latest and not self.models


def overview(deck: Deck, *, worker_runs: bool) -> Overview:
    """Gather what Home shows, in five calls to MLflow.

    Raises:
        DeckError: MLflow or the ledger does not answer.
    """
    tracking, registry = deck.mlflow.tracking, deck.mlflow.registry
    experiments = tracking.experiments()
    ids = [e.id for e in experiments[:_MOST_EXPERIMENTS]]
    latest = tracking.search(ids, order=["attributes.start_time DESC"], limit=_LATEST).runs
    versions = registry.all_versions()
    names = {v.model for v in versions}
    open_endpoints = [e for e in endpoints.recent(deck.ledger) if e.open]
    all_jobs = jobs.recent(deck.ledger, 50)
    production = served(versions, open_endpoints)
    return Overview(
        experiments=tuple(experiments),
        latest=latest,
        models=len(names),
        versions=len(versions),
        production=production,
        jobs=tuple(all_jobs),
        endpoints=tuple(open_endpoints),
        attention=tuple(
            attention(production, names, open_endpoints, all_jobs, worker_runs=worker_runs)
        ),
    )


def served(versions: Iterable[ModelVersion], running: Iterable[Endpoint]) -> tuple[Served, ...]:
    """The versions in Production, by model, each with what serves it."""
    at = list(running)
    return tuple(
        Served(v, tuple(e for e in at if (e.model, e.version) == (v.model, v.version)))
        for v in sorted(holders(versions), key=lambda v: (v.model, -v.version))
    )


def attention(
    production: Iterable[Served],
    models: Iterable[str],
    running: Iterable[Endpoint],
    recent_jobs: Iterable[Job],
    *,
    worker_runs: bool,
) -> list[Attention]:
    """What wants somebody's attention, gravest first."""
    found = []
    in_production = [p.version.model for p in production]
    if not worker_runs:
        found.append(Attention(t("home.attention.no_worker"), "processes"))
    for model in sorted({m for m in in_production if in_production.count(m) > 1}):
        text = t("home.attention.two", model=model)
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
        Attention(t("home.attention.none", model=m), "model", (("model", m),))
        for m in sorted(set(models) - set(in_production))
    ][:5]
    return found
