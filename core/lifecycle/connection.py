"""Whether an MLflow server answers at an address that somebody typed."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import InvalidInput, NotAllowed
from core.lifecycle.deck import Deck
from core.mlflow_api.gateway import Deadlines, Gateway, Kind
from core.settings import without_user_info
from core.texts import t


@dataclass(frozen=True)
class FoundServer:
    """An MLflow server that answered."""

    address: str
    version: str
    experiments: str


def test_server(deck: Deck, address: str) -> FoundServer:
    """Ask the address for its experiments.

    Only identity ``local`` may: it is this machine's own user, who could as well ask from a
    terminal. Others could use the page to reach inner addresses.

    Raises:
        NotAllowed: another identity asks.
        InvalidInput: not an http(s) address.
        DeckError: nothing there that speaks MLflow's protocol.
    """
    if deck.settings.identity != "local":
        raise NotAllowed(t("welcome.server.only_local"))
    parts = urlsplit(address.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", address):
        raise InvalidInput(t("welcome.server.not_http"), field="address")
    uri = address.strip().rstrip("/")
    gateway = Gateway(uri, uri, deck.settings.artifact_root, Deadlines())
    try:
        number = gateway.read(
            t("mlflow.action.experiments"),
            lambda c: len(c.search_experiments(max_results=1000)),
            Kind.METADATA,
        )
        version = gateway.read(t("mlflow.action.experiments"), lambda _: server_version(uri))
    finally:
        gateway.close()
    return FoundServer(
        without_user_info(uri),
        version,
        f"{number:,}" + ("+" if number == 1000 else ""),
    )


def server_version(uri: str) -> str:
    """What ``/version`` says, or "" where it says nothing usable."""
    import requests

    try:
        reply = requests.get(f"{uri}/version", timeout=2, allow_redirects=False)
    except requests.RequestException:
        return ""
    text = reply.text.strip()
    return text if reply.ok and re.fullmatch(r"[0-9][\w.+-]{0,30}", text) else ""
