"""MLflow, as the rest of Modeldeck sees it. No other room imports ``mlflow``."""

from dataclasses import dataclass

from core.mlflow_api.artifacts import Artifacts
from core.mlflow_api.credentials import Credential
from core.mlflow_api.gateway import Deadlines, Gateway
from core.mlflow_api.limited import Level
from core.mlflow_api.registry import Registry
from core.mlflow_api.tracking import Tracking
from core.mlflow_api.whoami import Who, whoami
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

    def as_person(self, credential: Credential) -> "Mlflow":
        """The same server, asked with the credential of one account and no other."""
        return self._through(self.gateway.as_person(credential))

    def limited(self, level: Level) -> "Mlflow":
        """The same server for somebody whose rights Modeldeck itself knows, not MLflow."""
        return self._through(self.gateway.limited(level))

    def _through(self, gateway: Gateway) -> "Mlflow":
        return Mlflow(
            gateway,
            self.tracking.through(gateway),
            self.registry.through(gateway),
            self.artifacts.through(gateway),
        )

    def whoami(self) -> Who:
        """The account that this is asked with, as the server knows it now.

        Raises:
            SignedOut: the server does not know it, or not with this password.
            DeckError: anything else that went wrong; it says nothing about the account.
        """
        return whoami(self.gateway)


def connect(settings: Settings) -> Mlflow:
    """The store that the settings name. Makes no call yet; the first one does.

    Where people have accounts there, calls are refused until ``as_person`` says whose they are.

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
        accounts=settings.identity == "mlflow",
    )
    roots = (settings.artifact_root.as_uri(), *settings.artifact_roots)
    return Mlflow(
        gateway,
        Tracking(gateway, settings.artifact_root if gateway.is_database else None),
        Registry(gateway),
        Artifacts(gateway, roots),
    )
