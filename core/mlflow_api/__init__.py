"""MLflow, as the rest of Modeldeck sees it. No other room imports ``mlflow``."""

from dataclasses import dataclass

from core.mlflow_api.artifacts import Artifacts
from core.mlflow_api.gateway import Deadlines, Gateway
from core.mlflow_api.registry import Registry
from core.mlflow_api.tracking import Tracking
from core.settings import Settings


@dataclass(frozen=True)
class Mlflow:
    """One tracking server or database, with its registry and its artifacts."""

    gateway: Gateway
    tracking: Tracking
    registry: Registry
    artifacts: Artifacts

    @property
    def address(self) -> str:
        """The server's address without user info, fit for a page."""
        return self.gateway.address


def connect(settings: Settings) -> Mlflow:
    """The store that the settings name. Makes no call yet; the first one does.

    Raises:
        FileStoreUnsupported: the address is a folder of files.
    """
    gateway = Gateway(
        tracking_uri=settings.tracking_uri,
        registry_uri=settings.registry_uri or settings.tracking_uri,
        artifact_root=settings.artifact_root,
        deadlines=Deadlines(
            metadata=settings.metadata_deadline,
            page=settings.page_deadline,
            artifact=settings.artifact_deadline,
        ),
    )
    roots = (settings.artifact_root.as_uri(), *settings.artifact_roots)
    return Mlflow(
        gateway,
        Tracking(gateway, settings.artifact_root if gateway.is_database else None),
        Registry(gateway),
        Artifacts(gateway, roots),
    )
