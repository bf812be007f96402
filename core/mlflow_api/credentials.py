"""Whose name and password go with a call to MLflow.

MLflow's client takes credentials from the process's environment, where everybody would share them.
Here each call carries those of one account, in a context variable that a header provider reads in
the thread that makes the request. Nothing else may give a credential: where the server has
accounts, a call without one is refused before anything is sent.
"""

import base64
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from core import logs
from core.errors import NotAllowed
from core.settings import BadSetting, Settings
from core.texts import t

if TYPE_CHECKING:
    from requests import Session

IN_ENVIRONMENT = (
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
)
"""Variables by which MLflow's client would take another credential than the call's own."""
_MOST_PASSWORD_BYTES = 4096


@dataclass(frozen=True)
class Credential:
    """An account's name and password, which is never shown."""

    user: str
    password: str = field(repr=False)
    signed_in: bool = True
    """Whether it is a person's, who can sign in again, and not Modeldeck's own."""

    @property
    def header(self) -> str:
        """The value of an ``Authorization`` header."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


_present: ContextVar[Credential | None] = ContextVar("credential", default=None)
_registering = threading.Lock()
_registered: list[object] = []


@contextmanager
def bound(credential: Credential | None) -> Iterator[None]:
    """Calls in this context carry ``credential``; None: they carry none of ours."""
    token = _present.set(credential)
    try:
        yield
    finally:
        _present.reset(token)


def register() -> None:
    """Have MLflow's client ask this module for the header of each request; once a process."""
    with _registering:
        if _registered:
            return
        from mlflow.tracking.request_header import registry
        from mlflow.tracking.request_header.abstract_request_header_provider import (
            RequestHeaderProvider,
        )

        class Provider(RequestHeaderProvider):
            """Gives the header of the call that is being made."""

            def in_context(self) -> bool:
                return _present.get() is not None

            def request_headers(self) -> dict[str, str]:
                credential = _present.get()
                return {"Authorization": credential.header} if credential else {}

        registry._request_header_provider_registry.register(Provider)  # noqa: SLF001
        _keep_no_cookies()
        _registered.append(Provider)


def _keep_no_cookies() -> None:
    """Have MLflow's client keep no cookies: all persons share the sessions that it caches."""
    from mlflow.utils import request_utils

    opened = request_utils._cached_get_request_session  # noqa: SLF001

    def session(*args: Any, **more: Any) -> "Session":
        made: Session = opened(*args, **more)
        made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        return made

    request_utils._cached_get_request_session = session  # type: ignore[assignment]  # noqa: SLF001


def refuse_others() -> None:
    """Refuse to go on where MLflow's client would take a credential from elsewhere, and keep it
    from looking into ``~/.netrc``, whose password would go instead of the call's own.

    Raises:
        NotAllowed: the environment holds one, or MLflow's own file of this machine's user.
    """
    os.environ["NETRC"] = os.devnull
    found = next((name for name in IN_ENVIRONMENT if os.environ.get(name)), "")
    if not found and (file := Path("~/.mlflow/credentials").expanduser()).exists():
        found = str(file)
    if found:
        raise NotAllowed(
            t("people.other_credential.what", where=found), t("people.other_credential.next")
        )


def take_over(settings: Settings) -> None:
    """Make sure that no credential stands in the environment of this process and of its children,
    where Modeldeck has an account of its own; to be called at the start.

    Raises:
        BadSetting: the service account's settings cannot be used.
    """
    account = service_account(settings)
    if account is None:
        return
    logs.hide(account.password)
    for name in IN_ENVIRONMENT:
        os.environ.pop(name, None)


def service_account(settings: Settings) -> Credential | None:
    """Modeldeck's own account; None where the settings name none.

    Raises:
        BadSetting: half of it is missing, the file cannot be used, or the server can have no
            accounts.
    """
    user, file = settings.service_user, settings.service_password_file
    if not user and file is None:
        if settings.identity == "mlflow":
            raise BadSetting(t("people.service.missing"))
        return None
    if not user or file is None:
        raise BadSetting(t("people.service.half"))
    if ":" in user:
        raise BadSetting(t("people.service.colon"))
    if urlsplit(settings.tracking_uri).scheme not in ("http", "https"):
        raise BadSetting(t("people.service.not_http"))
    if settings.registry_uri and settings.registry_uri != settings.tracking_uri:
        raise BadSetting(t("people.service.two_servers"))
    return Credential(user, _password(file), signed_in=False)


def _password(file: Path) -> str:
    try:
        found = file.stat()
        if stat.S_IMODE(found.st_mode) & stat.S_IROTH:
            raise BadSetting(t("people.service.open", file=file))
        with file.open("rb") as opened:
            content = opened.read(_MOST_PASSWORD_BYTES + 1)
    except OSError as error:
        raise BadSetting(t("people.service.unreadable", file=file, why=error.strerror)) from None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise BadSetting(t("people.service.not_text", file=file)) from None
    password = text.rstrip("\r\n")
    # What begins or ends with a blank is cut by the file in which MLflow's client looks for it.
    if (
        not password
        or password != password.strip()
        or len(content) > _MOST_PASSWORD_BYTES
        or "\n" in password
    ):
        raise BadSetting(t("people.service.not_text", file=file))
    return password
