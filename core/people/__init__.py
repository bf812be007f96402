"""Who is here, and what they may do."""

import getpass
import os
from dataclasses import dataclass

from core.errors import NotAllowed
from core.settings import Settings, listens_beyond_loopback
from core.texts import t


@dataclass(frozen=True)
class Actor:
    """A person at a browser, or Modeldeck itself."""

    name: str
    """The name that records carry."""
    kind: str = "local"
    """How the name is known: ``local`` is this machine's user."""


def local_actor() -> Actor:
    """This machine's user, who has all rights."""
    try:
        return Actor(name=getpass.getuser())
    except (KeyError, OSError):  # a container may run under a number that has no name
        return Actor(name=f"uid {os.getuid()}")


def require_safe_identity(settings: Settings, address: str) -> None:
    """Refuse to serve identity ``local`` to other machines unless a setting says so.

    Args:
        address: the address that the page server really listens on.

    Raises:
        NotAllowed: ``address`` is beyond loopback and the setting does not allow it.
    """
    if listens_beyond_loopback(address) and not settings.allow_local_beyond_loopback:
        raise NotAllowed(
            what=t("people.beyond_loopback.what", address=address or t("people.everywhere")),
            next_step=t("people.beyond_loopback.next"),
        )
