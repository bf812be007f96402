"""Whether an MLflow server answers at an address that somebody typed."""

import json
import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import (
    EndpointFailed,
    InvalidInput,
    NotAllowed,
    ServerFailed,
    ServerUnreachable,
    TooLarge,
)
from core.lifecycle.deck import Deck
from core.serving.client import fetch
from core.settings import listens_beyond_loopback, without_user_info
from core.texts import t

_SECONDS = 4.0
_MOST_BYTES = 4_000_000
_MOST_EXPERIMENTS = 1000


@dataclass(frozen=True)
class FoundServer:
    """An MLflow server that answered."""

    address: str
    version: str
    """"" where it does not say."""
    experiments: str


def test_server(deck: Deck, address: str) -> FoundServer:
    """Ask the address for its experiments.

    Not through MLflow's client: that sends this process's tracking credentials to whatever host
    was typed, and goes where a redirect points. Only this machine's own user may ask, who could as
    well do so from a terminal. Others could use the page to reach inner addresses.

    Raises:
        NotAllowed: another identity asks, or people beyond this machine can reach the page.
        InvalidInput: not an http(s) address.
        ServerUnreachable: nobody answers in time.
        ServerFailed: nothing there that speaks MLflow's protocol.
    """
    settings = deck.settings
    if listens_beyond_loopback(settings.host) or settings.identity != "local":
        raise NotAllowed(t("welcome.server.only_local"))
    uri = _checked(address)
    end = time.monotonic() + _SECONDS
    asked = json.dumps({"max_results": _MOST_EXPERIMENTS}).encode()
    found = _ask(uri, "POST", "/api/2.0/mlflow/experiments/search", asked, end)
    number = _experiments(uri, found)
    return FoundServer(
        without_user_info(uri),
        _version(uri, end),
        f"{number:,}" + ("+" if number == _MOST_EXPERIMENTS else ""),
    )


def _checked(address: str) -> str:
    uri = address.strip().rstrip("/")
    try:
        parts = urlsplit(uri)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, or no number for a port
        good = False
    if not good or re.search(r"[\s\x00-\x1f?#@]", uri) or not uri.isascii():
        raise InvalidInput(t("welcome.server.not_http"), field="address")
    return uri


def _ask(uri: str, method: str, path: str, body: bytes | None, end: float) -> bytes:
    left = max(0.1, end - time.monotonic())
    try:
        status, content = fetch(uri, method, path, body, timeout=left, max_bytes=_MOST_BYTES)
    except EndpointFailed:
        raise ServerUnreachable(t("welcome.server.no_answer", address=uri)) from None
    except TooLarge:
        raise _odd(uri) from None
    if status in (401, 403):
        raise NotAllowed(t("welcome.server.asks"), t("welcome.server.asks_next"))
    if status != 200:
        raise _odd(uri)
    return content


def _experiments(uri: str, content: bytes) -> int:
    try:
        found = json.loads(content).get("experiments", [])
    except (ValueError, AttributeError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise _odd(uri)
    return len(found)


def _version(uri: str, end: float) -> str:
    try:
        text = _ask(uri, "GET", "/version", None, end).decode("latin-1").strip()
    except (ServerUnreachable, ServerFailed, NotAllowed):
        return ""
    return text if re.fullmatch(r"[0-9][\w.+-]{0,30}", text) else ""


def _odd(uri: str) -> ServerFailed:
    return ServerFailed(
        t("errors.mlflow.odd_reply", address=uri, action=t("mlflow.action.experiments"))
    )
