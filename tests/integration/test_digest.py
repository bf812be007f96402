"""The digest of a version's artifacts, on real stores: every change of a file is found."""

import json
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.errors import NotAllowed, NotFound
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.nouns import ModelVersion
from core.registry.digest import CONTENT, LISTING, digest, of_folder
from core.settings import load
from tests.servers import MlflowServer

MB = 1_000_000


class Store:
    """A registered version with three files, and the folder in which they lie."""

    def __init__(self, uri: str, home: Path, artifacts: Path, location: str | None) -> None:
        self.mlflow: Mlflow = connect(
            load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": uri})
        )
        self.mlflow.tracking.experiments()
        client = MlflowClient(uri)
        name = f"digest-{home.parent.name}"
        experiment = client.create_experiment(name, artifact_location=location)
        run = client.create_run(experiment)
        for path, text in (("m/MLmodel", "a: 1\n"), ("m/b/one.txt", "one"), ("m/ö é.txt", "two")):
            client.log_text(run.info.run_id, text, path)
        client.create_registered_model(name)
        made = client.create_model_version(
            name, f"{run.info.artifact_uri}/m", run.info.run_id, await_creation_for=0
        )
        self.version: ModelVersion = self.mlflow.registry.version(name, int(made.version))
        (self.folder,) = (p.parent for p in artifacts.rglob("MLmodel") if run.info.run_id in str(p))

    def digest(self, most: int = MB) -> str:
        return digest(self.mlflow, self.version, most).value


@pytest.fixture(params=["sqlite", "server"])
def store(request: pytest.FixtureRequest, home: Path) -> Iterator[Store]:
    """A SQLite store with its files on this machine; or a server that hands files out."""
    if request.param == "sqlite":
        root = home / "artifacts"
        made = Store(f"sqlite:///{home / 'mlflow.db'}", home, root, (root / "x").as_uri())
    else:
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        made = Store(server.url, home, server.artifacts, None)
    yield made
    made.mlflow.gateway.close()


def test_it_is_what_its_words_say(store: Store) -> None:
    files = [
        [name, len(text.encode()), sha256(text.encode()).hexdigest()]
        for name, text in (("MLmodel", "a: 1\n"), ("b/one.txt", "one"), ("ö é.txt", "two"))
    ]
    text = json.dumps(files, separators=(",", ":"), ensure_ascii=False)
    found = digest(store.mlflow, store.version, MB)
    assert (found.value, found.of, found.bytes) == (sha256(text.encode()).hexdigest(), CONTENT, 11)
    assert found == of_folder(store.folder)


def rewrite(folder: Path) -> None:
    (folder / "b" / "one.txt").write_text("eno")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": rewrite,
    "a longer file": lambda folder: (folder / "b" / "one.txt").write_text("once"),
    "a new file": lambda folder: (folder / "b" / "two.txt").write_text(""),
    "a file gone": lambda folder: (folder / "b" / "one.txt").unlink(),
    "a new name": lambda folder: (folder / "b" / "one.txt").rename(folder / "b" / "One.txt"),
    "another folder": lambda folder: (folder / "b").rename(folder / "c"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_found(store: Store, change: str) -> None:
    before, listed = store.digest(), store.digest(0)
    assert store.digest() == before
    CHANGES[change](store.folder)
    assert store.digest() != before
    # The control: the listing alone sees all but a change of bytes, which is why content is read.
    assert (store.digest(0) == listed) == (change == "a byte")


def test_above_the_cap_the_listing_alone_is_taken_and_it_says_so(store: Store) -> None:
    whole, listed = digest(store.mlflow, store.version, 11), digest(store.mlflow, store.version, 10)
    assert (whole.of, listed.of) == (CONTENT, LISTING)
    assert listed.value == listed.listing == whole.listing != whole.value


def test_it_can_be_stopped(store: Store) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        digest(store.mlflow, store.version, MB, stop)


def test_files_elsewhere_on_this_machine_are_not_read(home: Path, tmp_path: Path) -> None:
    made = Store(
        f"sqlite:///{home / 'mlflow.db'}", home, tmp_path, (tmp_path / "elsewhere").as_uri()
    )
    with pytest.raises(NotAllowed):
        made.digest()
    made.mlflow.gateway.close()


def test_where_all_files_are_gone_there_is_no_digest(store: Store) -> None:
    shutil.rmtree(store.folder)
    with pytest.raises(NotFound):
        store.digest()
