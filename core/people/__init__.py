"""Who is here, and what they may do."""

import getpass
import os
from dataclasses import dataclass, field

from core.errors import NotAllowed
from core.people.permissions import Everything, Permission, Permissions
from core.settings import Settings, listens_beyond_loopback
from core.texts import t

__all__ = [
    "MODELDECK",
    "Actor",
    "Everything",
    "Permission",
    "Permissions",
    "local_actor",
    "require_safe_identity",
]


MODELDECK = "Modeldeck"
"""The name of what Modeldeck itself does."""


@dataclass(frozen=True)
class Actor:
    """A person at a browser, or Modeldeck itself."""

    name: str
    """The name that records carry."""
    kind: str = "local"
    """How the name is known: ``local`` is this machine's user, ``mlflow`` an account of the
    server, ``oidc`` somebody whom a provider vouches for, ``worker`` Modeldeck itself."""
    groups: frozenset[str] = field(default_factory=frozenset)
    """The groups that the provider or the desk's rules put the person in."""
    administrator: bool = False
    """Whether the person may set webhooks up and break the glass. True for ``local``."""

    @property
    def decides_alone(self) -> bool:
        """Whether there is nobody else: one's own requests may be approved, and the record says
        so."""
        return self.kind == "local"


def local_actor() -> Actor:
    """This machine's user, who has all rights."""
    try:
        return Actor(name=getpass.getuser(), administrator=True)
    except (KeyError, OSError):  # a container may run under a number that has no name
        return Actor(name=f"uid {os.getuid()}", administrator=True)


def require_safe_identity(settings: Settings, address: str) -> None:
    """Refuse to serve identity ``local`` to other machines unless a setting says so.

    Args:
        address: the address that the page server really listens on.

    Raises:
        NotAllowed: ``address`` is beyond loopback and the setting does not allow it.
    """
    if settings.identity != "local":
        return
    if listens_beyond_loopback(address) and not settings.allow_local_beyond_loopback:
        raise NotAllowed(
            what=t("people.beyond_loopback.what", address=address or t("people.everywhere")),
            next_step=t("people.beyond_loopback.next"),
        )
