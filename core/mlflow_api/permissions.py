"""What an account of an MLflow server with basic authentication may do, asked anew every time.

The server is asked with Modeldeck's service account, which has to administer it: MLflow tells the
rights of others to nobody else. Whatever cannot be found out is an error, and nothing is allowed.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import DeckError, NotAdministering, NotAllowed, NotFound, ServerFailed
from core.mlflow_api.gateway import Gateway
from core.mlflow_api.holders import (
    DEFAULT_WORKSPACE,
    EVERY,
    EXPERIMENT,
    MODEL,
    PARTS,
    Account,
    Accounts,
    Grant,
    Holder,
    holders,
    level_of,
    runs_the_workspace,
)
from core.people import Actor, Permission
from core.texts import t

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from core.mlflow_api import Mlflow

Ask = Callable[[str, Mapping[str, str]], Mapping[str, Any]]
"""The server's JSON for a GET of a path below ``/api/`` with some parameters.

Raises:
    DeckError: it refused, or did not answer.
"""


def asking(gateway: Gateway) -> Ask:
    """Questions through a gateway: with its credentials, its deadlines and its errors."""

    def ask(path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        if gateway.is_database:
            raise ServerFailed(t("permissions.no_accounts", address=gateway.address))
        return gateway.read(
            t("mlflow.action.rights"), lambda client: _get(client, f"/api/{path}", params)
        )

    return ask


class MlflowPermissions:
    """``core.people.Permissions`` for identity ``mlflow``.

    Args:
        ask: puts a question to the server as the service account.
        service: the service account's name, whose rights are those of Modeldeck itself.
    """

    def __init__(self, ask: Ask, service: str) -> None:
        self._ask = ask
        self.service = service

    def on_model(self, actor: Actor, model: str) -> Permission:
        """The person's level on a registered model and its versions: the lower of the two.

        Raises:
            NotAllowed: the account is gone, or the service account may not ask.
            DeckError: it cannot be found out.
        """
        return self._level(actor, MODEL, model)

    def on_experiment(self, actor: Actor, experiment_id: str) -> Permission:
        """The same on an experiment, its runs and its logged models: the lowest of them."""
        return self._level(actor, EXPERIMENT, experiment_id)

    def readable(self, actor: Actor, listed: Sequence[str]) -> list[str]:
        """Of registered models that the server lists for the person, those whose versions they may
        read too: what it lists they may read, and their grants on versions hold for all models, so
        that it is asked as often for a thousand models as for one.

        Raises:
            NotAllowed, DeckError: as for ``on_model``.
        """
        account = self.service if actor.kind == "worker" else actor.name
        administrator, grants = self._rows(account)
        if administrator or runs_the_workspace(grants):
            return list(listed)
        parts = self._on_parts(account, grants, MODEL)
        return list(listed) if min(parts, default=Permission.READ) >= Permission.READ else []

    def accounts(self) -> Accounts:
        """All accounts with their grants, and what everybody has.

        Raises:
            NotAllowed: the service account does not administer the server.
            DeckError: it cannot be found out.
        """
        if not self._rows(self.service)[0]:
            # Without that the server leaves out what the service account may not see.
            raise _may_not_ask(self.service)
        users = self._answer("2.0/mlflow/users/list", {}, "users", list)
        found = tuple(_account(user) for user in users)
        return Accounts(found, self._default(found))

    def holders_of(self, model: str) -> tuple[Holder, ...]:
        """Who could change a model without Modeldeck, the highest first, then by name: everybody
        with EDIT or MANAGE on it or on all versions, Modeldeck's own account among them.

        Raises:
            DeckError: as for ``accounts``.
        """
        return holders(self.accounts(), model, Permission.EDIT)

    def _level(self, actor: Actor, kind: str, name: str) -> Permission:
        account = self.service if actor.kind == "worker" else actor.name
        administrator, grants = self._rows(account)
        if administrator or runs_the_workspace(grants):
            return Permission.MANAGE
        levels = [self._effective(account, kind, name), *self._on_parts(account, grants, kind)]
        return min(levels)

    def _on_parts(self, account: str, grants: Sequence[Grant], kind: str) -> list[Permission]:
        """An account's levels on the parts of a kind of thing on which anything was granted."""
        parts = [part for part in PARTS[kind] if any(grant.kind == part for grant in grants)]
        return [self._effective(account, part, EVERY) for part in parts]

    def _rows(self, account: str) -> tuple[bool, tuple[Grant, ...]]:
        """Whether an account administers the server, and its grants.

        The server answers "not found" for an account that is gone, and "forbidden" to a service
        account that may not ask.
        """
        path = "3.0/mlflow/users/permissions/list"
        try:
            answer = self._ask(path, {"username": account})
        except NotFound:
            raise NotAllowed(t("permissions.account_gone", name=account)) from None
        except NotAllowed:
            raise _may_not_ask(self.service) from None
        administrator, rows = answer.get("is_admin"), answer.get("permissions")
        if not isinstance(administrator, bool) or not isinstance(rows, list):
            raise _odd(path)
        grants = (_grant(row, str(row.get("role_name", ""))) for row in rows if _ours(row))
        return administrator, tuple(grants)

    def _effective(self, account: str, kind: str, name: str) -> Permission:
        """The level that MLflow itself works out for its own checks."""
        params = {"username": account, "resource_type": kind, "resource_id": name}
        word = self._answer("3.0/mlflow/users/permissions/get", params, "permission", str)
        level = level_of(word)
        if level is None:
            raise ServerFailed(t("permissions.unknown_level", word=word[:40]))
        return level

    def _default(self, accounts: tuple[Account, ...]) -> Permission:
        """The server's default, which it tells to nobody: what somebody has on a kind of thing on
        which nothing was granted to them."""
        kinds = (MODEL, EXPERIMENT, *PARTS[MODEL], *PARTS[EXPERIMENT])
        for account, kind in itertools.product(accounts, kinds):
            granted = any((g.kind, g.pattern) == (kind, EVERY) for g in account.grants)
            if not granted and not runs_the_workspace(account.grants):
                return self._effective(account.name, kind, EVERY)
        raise DeckError(t("permissions.unknown_default"))

    def _answer(self, path: str, params: Mapping[str, str], key: str, kind: type[Any]) -> Any:
        value = self._ask(path, params).get(key)
        if not isinstance(value, kind):
            raise _odd(path)
        return value


def still_there(mlflow: "Mlflow", actor: Actor) -> None:
    """Refuse to go on for somebody whose account of the server is gone; others have none there.

    Args:
        mlflow: asks as this person.

    Raises:
        SignedOut: the account is gone, or has another password.
        DeckError: it cannot be found out.
    """
    if actor.kind == "mlflow":
        mlflow.whoami()


def as_of_now(mlflow: "Mlflow", actor: Actor) -> Actor:
    """An administrator as the server knows them at this moment; others as they are.

    Args:
        mlflow: asks as this person.

    Raises:
        SignedOut: the account is gone, or has another password.
        DeckError: it cannot be found out.
    """
    if actor.kind != "mlflow" or not actor.administrator or mlflow.gateway.is_database:
        return actor
    return replace(actor, administrator=mlflow.whoami().administrator)


def _get(client: "MlflowClient", path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    store = client._tracking_client.store  # noqa: SLF001 - the public client knows no accounts
    reply = http_request(
        host_creds=store.get_host_creds(), endpoint=path, method="GET", params=dict(params)
    )
    content = verify_rest_response(reply, path).json()
    return content if isinstance(content, dict) else {}


def _account(user: Any) -> Account:
    if not isinstance(user, dict) or not isinstance(user.get("roles"), list):
        raise _odd("2.0/mlflow/users/list")
    grants = [
        _grant(row, str(role.get("name", "")))
        for role in user["roles"]
        if _ours(role)
        for row in role.get("permissions", [])
    ]
    # Whoever the answer does not clear is taken for an administrator: this finds who might do harm.
    return Account(str(user["username"]), user.get("is_admin") is not False, tuple(grants))


def _ours(row: Mapping[str, Any]) -> bool:
    return row.get("workspace") in (None, DEFAULT_WORKSPACE)


def _grant(row: Mapping[str, Any], role: str) -> Grant:
    # MLflow keeps an account's own grants in a role of that account's, __user_<id>__.
    own = role.startswith("__user_") and role.endswith("__")
    return Grant(
        str(row.get("resource_type", "")),
        str(row.get("resource_pattern", "")),
        str(row.get("permission", "")),
        "" if own else role,
    )


def _may_not_ask(service: str) -> NotAdministering:
    return NotAdministering(
        t("permissions.service_what", name=service),
        t("permissions.service_next"),
    )


def _odd(path: str) -> ServerFailed:
    return ServerFailed(t("permissions.odd_rights", path=path))
