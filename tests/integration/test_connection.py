"""The test of a typed address: what it finds, and what it does not let itself be used for."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.errors import DeckError, InvalidInput, NotAllowed, ServerFailed, ServerUnreachable
from core.lifecycle.connection import test_server as found_at
from core.lifecycle.deck import Deck, open_deck
from core.mlflow_api import connect
from core.settings import load
from tests.servers import MlflowServer, free_port

CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


class Host(ThreadingHTTPServer):
    """A host that answers as told and remembers what it was sent."""

    daemon_threads = True

    def __init__(self, answer: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Host

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        host = self.server
        host.paths.append(self.path)
        host.headers.append({k.lower(): v for k, v in self.headers.items()})
        if host.answer == "redirect" and self.path != "/inner":
            self.send_response(307)
            self.send_header("Location", f"{host.url}/inner")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status = {"locked": 401, "broken": 500}.get(host.answer, 200)
        self.send_response(status)
        self.end_headers()
        try:
            if host.answer == "huge":
                while not host.over.is_set():
                    self.wfile.write(b" " * 100_000)
            elif host.answer == "slow":
                while not host.over.wait(0.2):
                    self.wfile.write(b" ")
            else:
                self.wfile.write(b"<html>" if host.answer == "html" else b"{}")
        except OSError:  # the caller had enough
            return

    do_GET = do_POST  # noqa: N815 - the server looks for these names


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with Host(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def deck(home: Path) -> Iterator[Deck]:
    opened = open_deck(load({"MODELDECK_HOME": str(home)}))
    yield opened
    opened.mlflow.gateway.close()
    opened.ledger.close()


def test_a_server_is_found(deck: Deck, mlflow_server: MlflowServer) -> None:
    found = found_at(deck, f" {mlflow_server.url}/ ")
    assert found.address == mlflow_server.url
    assert found.version[0].isdigit()
    assert int(found.experiments) >= 1


@pytest.mark.parametrize("host", ["ordinary"], indirect=True)
def test_no_credentials_are_sent(
    deck: Deck, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in CREDENTIALS:
        monkeypatch.setenv(name, "a-secret")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a-secret password a-secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    assert found_at(deck, host.url).experiments == "0"
    assert host.paths == ["/api/2.0/mlflow/experiments/search", "/version"]
    for sent in host.headers:
        assert "authorization" not in sent
        assert "a-secret" not in str(sent)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("redirect", ServerFailed),
        ("huge", ServerFailed),
        ("html", ServerFailed),
        ("broken", ServerFailed),
        ("slow", ServerUnreachable),
        ("locked", NotAllowed),
    ],
    indirect=["host"],
)
def test_what_is_no_server_is_told_soon(deck: Deck, host: Host, kind: type[DeckError]) -> None:
    began = time.monotonic()
    with pytest.raises(kind):
        found_at(deck, host.url)
    assert time.monotonic() - began < 6
    assert host.paths == ["/api/2.0/mlflow/experiments/search"], "followed or asked again"


def test_nobody_there(deck: Deck) -> None:
    with pytest.raises(ServerUnreachable, match="Nobody answered"):
        found_at(deck, f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    "address",
    ["", "http://", "http://[", "http://[::1", "http://a:b", "http://a:99999", "http://a b",
     "http://u:p@a", "file:///etc/passwd", "ftp://a", "http://a?b", "http://a/\r\nX: y",
     "http://ä.example"],
)  # fmt: skip
def test_what_is_no_address_is_refused(deck: Deck, address: str) -> None:
    with pytest.raises(InvalidInput):
        found_at(deck, address)


@pytest.mark.parametrize("host", ["ordinary"], indirect=True)
def test_a_page_that_others_reach_asks_nobody(home: Path, host: Host) -> None:
    settings = load({"MODELDECK_HOME": str(home), "MODELDECK_HOST": "0.0.0.0"})
    opened = open_deck(settings)
    try:
        with pytest.raises(NotAllowed):
            found_at(opened, host.url)
    finally:
        opened.mlflow.gateway.close()
        opened.ledger.close()
    assert host.paths == []


@pytest.mark.parametrize("listens", [False, True])
def test_a_tracking_database_that_is_away_is_told_soon(home: Path, listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if listens else free_port()
        uri = f"postgresql+psycopg://ada:a-secret@127.0.0.1:{port}/mlflow"
        mlflow = connect(load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": uri}))
        began = time.monotonic()
        try:
            with pytest.raises(ServerUnreachable, match="tracking database") as told:
                mlflow.tracking.experiments()
        finally:
            mlflow.gateway.close()
        assert time.monotonic() - began < 15  # the first import of MLflow is in it
        assert told.value.retryable
        assert "a-secret" not in told.value.what
