"""The account that a call is made with, as an MLflow server with basic authentication knows it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.mlflow_api.gateway import Gateway, OddReply
from core.texts import t

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CURRENT = "/api/2.0/mlflow/users/current"


@dataclass(frozen=True)
class Who:
    """An account."""

    name: str
    administrator: bool


def whoami(gateway: Gateway) -> Who:
    """The account that ``gateway`` asks with.

    Raises:
        SignedOut: the server does not know it, or not with this password.
        DeckError: anything else that went wrong.
    """
    return gateway.read(t("mlflow.action.account"), _current)


def _current(client: "MlflowClient") -> Who:
    from mlflow.utils.rest_utils import http_request_safe

    store = client._tracking_client.store  # noqa: SLF001 - the public client has no such question
    reply = http_request_safe(store.get_host_creds(), _CURRENT, "GET").json()
    user = reply.get("user") if isinstance(reply, dict) else None
    if not isinstance(user, dict) or not isinstance(user.get("username"), str):
        raise OddReply
    return Who(user["username"], user.get("is_admin") is True)
