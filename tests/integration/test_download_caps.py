"""Downloads end at their cap and when they are not wanted any more, also in the middle."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import TooLarge
from core.lifecycle.deck import Deck, open_deck
from core.mlflow_api.artifacts import Artifacts
from core.mlflow_api.nouns import ModelVersion
from core.mlflow_api.registry import Registry
from core.serving import endpoints
from core.serving.keeper import EndpointKeeper
from core.settings import load
from tests.waiting import until


class Endless:
    """An artifact store that sends a file without an end."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.began = threading.Event()

    def download_artifacts(self, _inner: str, target: str) -> None:
        with (Path(target) / "endless").open("wb") as file:
            while not self.over.wait(0.01):
                file.write(b" " * 100_000)
                file.flush()
                self.began.set()


@pytest.fixture
def deck(home: Path) -> Iterator[Deck]:
    opened = open_deck(load({"MODELDECK_HOME": str(home), "MODELDECK_MODEL_MB": "5"}))
    yield opened
    opened.mlflow.gateway.close()
    opened.ledger.close()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endless]:
    store = Endless()
    monkeypatch.setattr(Artifacts, "_repository", lambda *_: store)
    yield store
    store.over.set()


@pytest.fixture
def folder(deck: Deck) -> Path:
    """An artifact folder with 3 MB in two files."""
    place = deck.settings.artifact_root / "model"
    place.mkdir(parents=True)
    for name in ("a", "b"):
        (place / name).write_bytes(b" " * 1_500_000)
    return place


def test_a_folder_that_is_too_large_is_said_so(deck: Deck, folder: Path, tmp_path: Path) -> None:
    deck.mlflow.artifacts.download(folder.as_uri(), tmp_path / "all", 3_000_000)
    assert len(list((tmp_path / "all").iterdir())) == 2
    with pytest.raises(TooLarge, match="at most"):
        deck.mlflow.artifacts.download(folder.as_uri(), tmp_path / "part", 2_000_000)


def test_a_download_ends_at_its_cap(deck: Deck, endless: Endless, tmp_path: Path) -> None:
    assert not endless.over.is_set()
    began = time.monotonic()
    with pytest.raises(TooLarge):
        deck.mlflow.artifacts.download("file:///x", tmp_path, 1_000_000)
    assert time.monotonic() - began < 30  # the first opening of the store is in it


def request(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> endpoints.Endpoint:
    version = ModelVersion(
        model="m", version=1, stage="None", aliases=(), description="", tags={}, run_id=None,
        source="file:///x", status="READY", status_message="", created_at=None, updated_at=None,
    )  # fmt: skip
    monkeypatch.setattr(Registry, "version", lambda *_: version)
    monkeypatch.setattr(Artifacts, "model_uri", lambda *_: "file:///x")
    made = endpoints.request(deck.ledger, deck.actor, version)
    endpoints.claim_all(deck.ledger, "w", 1)
    return endpoints.get(deck.ledger, made.id)


def test_a_stop_ends_the_download_of_a_model(
    deck: Deck, endless: Endless, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    settings = deck.settings.model_copy(update={"model_mb": 1_000_000})
    keeper = EndpointKeeper(settings, deck.mlflow, deck.ledger)
    endpoint = request(deck, monkeypatch)
    look = threading.Thread(target=keeper.look, args=(endpoint,))
    look.start()
    until(endless.began.is_set, 60, "the download to begin")
    endpoints.request_stop(deck.ledger, endpoint.id, "ada")
    look.join(20)
    assert not look.is_alive()
    keeper.look(endpoints.get(deck.ledger, endpoint.id))
    assert endpoints.get(deck.ledger, endpoint.id).state == endpoints.STOPPED
    assert not list((home / "models").glob("*/*"))


@pytest.mark.usefixtures("endless")
def test_a_model_that_is_too_large_fails_with_words(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = request(deck, monkeypatch)
    EndpointKeeper(deck.settings, deck.mlflow, deck.ledger).look(endpoint)
    ended = endpoints.get(deck.ledger, endpoint.id)
    assert ended.state == endpoints.FAILED
    assert "at most 5" in ended.message


def test_what_a_stores_client_says_stays_in_the_log(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = request(deck, monkeypatch)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("AccessDenied for key=hunter22")

    monkeypatch.setattr(Artifacts, "download", fail)
    EndpointKeeper(deck.settings, deck.mlflow, deck.ledger).look(endpoint)
    ended = endpoints.get(deck.ledger, endpoint.id)
    assert ended.state == endpoints.FAILED
    assert "hunter22" not in ended.message
