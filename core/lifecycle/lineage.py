"""Where a version comes from and where it went: run, data sets, code, copies, endpoints."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.errors import NotAllowed, NotFound
from core.lifecycle.deck import Deck
from core.mlflow_api.nouns import DatasetInput, ModelVersion, Run
from core.serving.endpoints import Endpoint, recent
from core.texts import t

COMMIT, BRANCH, REPOSITORY = (
    "mlflow.source.git.commit", "mlflow.source.git.branch", "mlflow.source.git.repoURL",
)  # fmt: skip
SOURCE, ENTRY_POINT = "mlflow.source.name", "mlflow.project.entryPoint"
ENDPOINTS = 200


@dataclass(frozen=True)
class Code:
    """The code that a run ran, as its tags say: nobody checks them."""

    source: str = ""
    """A script, a notebook or a project."""
    entry_point: str = ""
    commit: str = ""
    branch: str = ""
    repository: str = ""

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.source or self.commit or self.repository)


@dataclass(frozen=True)
class Lineage:
    """The chain of one version. What could not be read is said in ``missing``."""

    version: ModelVersion
    run: Run | None = None
    """None: it was made from no run that can be read."""
    code: Code = field(default_factory=Code)
    datasets: tuple[DatasetInput, ...] = ()
    copies: tuple[ModelVersion, ...] = ()
    """Other versions of the same run, in this model and in others; newest first in each."""
    endpoints: tuple[Endpoint, ...] = ()
    """Those that serve it now."""
    missing: tuple[str, ...] = ()
    """What could not be read and why, in plain words."""


def trace(deck: Deck, version: ModelVersion) -> Lineage:
    """Gather what is known of a version.

    Raises:
        DeckError: MLflow does not answer.
    """
    serving = tuple(
        e
        for e in recent(deck.ledger, ENDPOINTS)
        if e.open and (e.model, e.version) == (version.model, version.version)
    )
    if version.run_id is None:
        return Lineage(version, endpoints=serving)
    missing: list[str] = []
    run: Run | None = None
    try:
        run = deck.mlflow.tracking.run(version.run_id)
    except (NotFound, NotAllowed) as error:
        missing.append(t("lineage.no_run", run=version.run_id, why=error.what))
    return Lineage(
        version,
        run,
        code_of(run) if run else Code(),
        run.inputs if run else (),
        _others(version, deck.mlflow.registry.versions_of_run(version.run_id)),
        serving,
        tuple(missing),
    )


def code_of(run: Run) -> Code:
    """The code that a run names."""
    tags = run.tags
    return Code(
        tags.get(SOURCE, ""),
        tags.get(ENTRY_POINT, ""),
        tags.get(COMMIT, ""),
        tags.get(BRANCH, ""),
        tags.get(REPOSITORY, ""),
    )


def _others(version: ModelVersion, found: Iterable[ModelVersion]) -> tuple[ModelVersion, ...]:
    others = (v for v in found if (v.model, v.version) != (version.model, version.version))
    return tuple(sorted(others, key=lambda v: (v.model != version.model, v.model, -v.version)))
