"""People whom an OpenID Connect provider vouches for: who they are, and what the desk's file lets
them do."""

import stat
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import NotAllowed
from core.people import Actor
from core.people.patterns import fits
from core.people.permissions import Permission
from core.settings import BadSetting, Settings
from core.texts import t

SIGN_IN_SECONDS = 12 * 3600
"""How long a sign-in holds: Streamlit's own cookie would last for a month."""
_NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
_RESERVED = ("everyone", "group:")
_MOST_GROUPS = 1000

Granted = Sequence[tuple[str, str, str]]
"""(name or ``group:<name>`` or ``everyone``, pattern, level), as the desk's file has them."""


def secrets_file(settings: Settings) -> Path:
    """Where the provider's address and Modeldeck's secret there are kept, for Streamlit."""
    return settings.home / "secrets.toml"


def require_provider(settings: Settings) -> None:
    """Refuse to start with identity ``oidc`` where no provider is set up.

    Raises:
        BadSetting: what is missing.
    """
    if settings.identity != "oidc":
        return
    file = secrets_file(settings)
    try:
        mode = file.stat().st_mode
        auth = tomllib.loads(file.read_text("utf-8")).get("auth", {})
    except (OSError, ValueError):
        raise BadSetting(t("people.oidc.unreadable", file=file)) from None
    if stat.S_IMODE(mode) & stat.S_IROTH:
        raise BadSetting(t("people.oidc.open", file=file))
    missing = [name for name in _NEEDED if not auth.get(name)]
    if missing:
        raise BadSetting(t("people.oidc.missing", file=file, names=", ".join(missing)))


def is_fresh(claims: Mapping[str, Any], now: float) -> bool:
    """Whether somebody signed in lately enough; ``now`` is in seconds since 1970."""
    issued = claims.get("iat")
    return isinstance(issued, int | float) and -60 <= now - issued <= SIGN_IN_SECONDS


def name_of(claims: Mapping[str, Any], claim: str) -> str:
    """The name by which records and rules know somebody.

    Args:
        claims: what the provider said, which Streamlit has checked.
        claim: the one that holds the name. An e-mail address counts only where the provider says
            that it was verified: many let people type any.

    Raises:
        NotAllowed: there is none that can be used.
    """
    name = claims.get(claim)
    unsure = claim == "email" and claims.get("email_verified") is not True
    if unsure or not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise NotAllowed(t("people.oidc.no_name", claim=claim), t("people.oidc.no_name_next"))
    if name.casefold().startswith(_RESERVED):  # it would be taken for more than one person
        raise NotAllowed(t("people.oidc.no_name", claim=claim), t("people.oidc.no_name_next"))
    return name


def groups_of(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """The groups that the provider puts somebody in."""
    found = claims.get(claim)
    listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(group for group in listed[:_MOST_GROUPS] if isinstance(group, str))


class OidcPermissions:
    """What the desk's file lets people do: the highest level of all lines that fit.

    A pattern is compared with the names of registered models and of experiments alike. Whoever is
    named in no line sees nothing.

    Args:
        granted: the lines.
        experiment_name: the name of the experiment of an id, whoever asks.
    """

    def __init__(self, granted: Granted, experiment_name: Callable[[str], str]) -> None:
        self._granted = granted
        self._experiment_name = experiment_name

    def on_model(self, actor: Actor, model: str) -> Permission:
        """The person's level on a registered model."""
        return level_on(self._granted, actor, model)

    def on_experiment(self, actor: Actor, experiment_id: str) -> Permission:
        """The same on an experiment."""
        return level_on(self._granted, actor, self._experiment_name(experiment_id))

    def readable(self, actor: Actor, listed: Sequence[str]) -> list[str]:
        """Of some registered models those that the person may read."""
        return [name for name in listed if self.on_model(actor, name) >= Permission.READ]


def level_on(granted: Granted, actor: Actor, name: str) -> Permission:
    """The level of ``actor`` on the model or experiment called ``name``."""
    if actor.kind == "worker":
        return Permission.MANAGE
    mine = {"everyone", actor.name, *(f"group:{group}" for group in actor.groups)}
    levels = [
        Permission[level] for who, pattern, level in granted if who in mine and fits(pattern, name)
    ]
    return max(levels, default=Permission.NONE)
