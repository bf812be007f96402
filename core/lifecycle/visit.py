"""What one person who is signed in works with."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

from core.lifecycle.deck import Deck
from core.lifecycle.rules import held
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
        self._still_there = look

    def on_model(self, actor: Actor, model: str) -> Permission:
        """The person's level on a registered model."""
        self._still_there()
        return self._permissions.on_model(actor, model)

    def on_experiment(self, actor: Actor, experiment_id: str) -> Permission:
        """The same on an experiment."""
        self._still_there()
        return self._permissions.on_experiment(actor, experiment_id)

    def readable(self, actor: Actor, listed: Sequence[str]) -> list[str]:
        """Of registered models that MLflow lists for the person, those that they may read."""
        self._still_there()
        return self._permissions.readable(actor, listed)


def current(own: Deck) -> Deck:
    """Modeldeck's own parts, with the rules that hold now and the rights that come from them."""
    rules = held(own.settings).rules
    permissions: Permissions = own.permissions
    if own.settings.identity == "mlflow":
        permissions = MlflowPermissions(asking(own.service.gateway), own.settings.service_user)
    elif own.settings.identity == "oidc":
        mlflow = own.service
        permissions = OidcPermissions(
            rules.permissions, lambda experiment: mlflow.tracking.experiment(experiment).name
        )
    return replace(own, rules=rules, permissions=permissions)


def deck_of(
    base: Deck, mlflow: Mlflow, actor: Actor, visit: str, look: Callable[[], object]
) -> Deck:
    """The parts for an account of the MLflow server.

    Args:
        base: Modeldeck's own parts, current, which ask with the service account.
        mlflow: asks with the person's credential.
        visit: tells this sign-in from others.
        look: as for ``Present``.
    """
    return replace(
        base,
        mlflow=mlflow,
        account=base.mlflow,
        actor=actor,
        permissions=Present(base.permissions, look),
        visit=visit,
    )


def deck_of_provider(base: Deck, actor: Actor) -> Deck:
    """The parts for somebody whom an identity provider vouches for, with the rights that the
    desk's file gives.

    Args:
        base: Modeldeck's own parts, current, which ask MLflow for everybody.
    """
    granted = base.rules.permissions
    visit = sha256(repr((base.rules.digest, sorted(actor.groups), granted)).encode()).hexdigest()
    return replace(
        base,
        mlflow=base.mlflow.limited(lambda name: level_on(granted, actor, name)),
        account=base.mlflow,
        actor=actor,
        visit=visit,
    )
