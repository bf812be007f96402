"""MLflow's levels of permission, and where they are asked for."""

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from core.errors import NotAllowed
from core.texts import t

if TYPE_CHECKING:
    from core.people import Actor


class Permission(IntEnum):
    """What an account may do with one registered model or experiment; each holds those below.

    MLflow's own levels (``mlflow.server.auth.permissions``).
    """

    NONE = 0
    READ = 1
    USE = 2
    EDIT = 3
    MANAGE = 4


class Permissions(Protocol):
    """Tells what a person may do; asked anew at every action, never remembered."""

    def on_model(self, actor: "Actor", model: str) -> Permission:
        """The person's level on a registered model.

        Raises:
            DeckError: it cannot be found out; then nothing may be done.
        """

    def on_experiment(self, actor: "Actor", experiment_id: str) -> Permission:
        """The same on an experiment."""

    def readable(self, actor: "Actor", listed: Sequence[str]) -> list[str]:
        """Of registered models that MLflow lists for the person, those that they may read.

        Raises:
            DeckError: it cannot be found out; then nothing may be shown.
        """


class Everything:
    """Everybody may do everything: identity ``local``."""

    def on_model(self, actor: "Actor", model: str) -> Permission:
        """All rights."""
        return Permission.MANAGE

    def on_experiment(self, actor: "Actor", experiment_id: str) -> Permission:
        """All rights."""
        return Permission.MANAGE

    def readable(self, actor: "Actor", listed: Sequence[str]) -> list[str]:
        """All of them."""
        return list(listed)


def require_model(permissions: Permissions, actor: "Actor", model: str, wanted: Permission) -> None:
    """Refuse whoever holds less than ``wanted`` on a registered model.

    Raises:
        NotAllowed: with the right that is missing.
    """
    if permissions.on_model(actor, model) < wanted:
        raise NotAllowed(
            t("people.missing.model", actor=actor.name, model=model, right=wanted.name),
            t("people.missing.next", right=wanted.name),
        )


def require_experiment(
    permissions: Permissions, actor: "Actor", experiment_id: str, wanted: Permission
) -> None:
    """Refuse whoever holds less than ``wanted`` on an experiment.

    Raises:
        NotAllowed: with the right that is missing.
    """
    if permissions.on_experiment(actor, experiment_id) < wanted:
        raise NotAllowed(
            t("people.missing.experiment", actor=actor.name, right=wanted.name),
            t("people.missing.next", right=wanted.name),
        )
