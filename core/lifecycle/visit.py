"""What one person who is signed in works with."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from core.lifecycle.deck import Deck
from core.mlflow_api import Mlflow
from core.mlflow_api.permissions import MlflowPermissions, asking
from core.people import Actor, Permission, Permissions
from core.people.oidc import OidcPermissions, level_on


class Present:
    """Permissions of somebody who must still be there: looked at before every answer.

    Args:
        permissions: what the person may do.
        look: raises where the person's account is gone or has another password.
    """

    def __init__(self, permissions: Permissions, look: Callable[[], object]) -> None:
        self._permissions = permissions
        self._look = look

    def on_model(self, actor: Actor, model: str) -> Permission:
        """The person's level on a registered model."""
        self._look()
        return self._permissions.on_model(actor, model)

    def on_experiment(self, actor: Actor, experiment_id: str) -> Permission:
        """The same on an experiment."""
        self._look()
        return self._permissions.on_experiment(actor, experiment_id)


def deck_of(
    base: Deck, mlflow: Mlflow, actor: Actor, visit: str, look: Callable[[], object]
) -> Deck:
    """The parts for an account of the MLflow server.

    Args:
        base: Modeldeck's own parts, which ask with the service account.
        mlflow: asks with the person's credential.
        visit: tells this sign-in from others.
        look: as for ``Present``.
    """
    permissions = MlflowPermissions(asking(base.mlflow.gateway), base.settings.service_user)
    return replace(
        base,
        mlflow=mlflow,
        account=base.mlflow,
        actor=actor,
        permissions=Present(permissions, look),
        visit=visit,
    )


def deck_of_provider(base: Deck, actor: Actor) -> Deck:
    """The parts for somebody whom an identity provider vouches for, with the rights that the
    desk's file gives.

    Args:
        base: Modeldeck's own parts, which ask MLflow for everybody.
    """
    granted = base.rules.permissions
    visit = sha256(repr((base.rules.digest, sorted(actor.groups), granted)).encode()).hexdigest()
    return replace(
        base,
        mlflow=base.mlflow.limited(lambda name: level_on(granted, actor, name)),
        account=base.mlflow,
        actor=actor,
        permissions=OidcPermissions(granted, lambda i: base.mlflow.tracking.experiment(i).name),
        visit=visit,
    )
