"""Fixtures that all tests share: a clean environment, a home, and real servers started once."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import settings

from core.mlflow_api.gateway import Deadlines
from tests import browser_setup, empty_store
from tests.servers import OURS, PATIENCE, AccountsServer, MlflowServer, Postgres

# The same examples on every machine, however slow: a test that fails must fail for everybody.
settings.register_profile("modeldeck", deadline=None, derandomize=True)
settings.load_profile("modeldeck")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MODELDECK_HOME, which is the only setting in the environment.

    Every test gets it, asked for or not, so that none sees this machine's settings or writes to
    the home of the person who runs it.
    """
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("MODELDECK_HOME", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Where a test sets no deadline for MLflow's small answers, they may take long: what a test
    sees must not depend on how fast this machine is. (Processes that tests start get the same by
    ``clean_environment``.)"""

    def patient(metadata: float, page: float, artifact: float) -> Deadlines:
        shipped = metadata == Deadlines.metadata
        return Deadlines(PATIENCE if shipped else metadata, page, artifact)

    with patch("core.mlflow_api.Deadlines", patient):
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_stores() -> Iterator[None]:
    """New SQLite stores of this process are copies of one that MLflow made."""
    with empty_store.copied():
        yield


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server on SQLite, shared by the tests of a session: make your own names."""
    with MlflowServer(tmp_path_factory.mktemp("mlflow-server")) as server:
        yield server


@pytest.fixture(scope="session")
def accounts_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountsServer]:
    """A real MLflow server with basic authentication, shared by the tests of a session: make your
    own accounts and names. Whoever has no right of their own may READ everything."""
    with AccountsServer(tmp_path_factory.mktemp("accounts-server")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL, shared by the tests of a session: take a ``fresh_database()``."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_server_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> Iterator[MlflowServer]:
    """A real MLflow server on PostgreSQL, shared by the tests of a session."""
    folder = tmp_path_factory.mktemp("mlflow-server-postgres")
    with MlflowServer(folder, backend_uri=postgres.fresh_database("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's executable."""
    path = browser_setup.find()
    assert path is not None, "no Chromium: run `make test-browser`, which installs one"
    return path


# What a test needs follows from its folder and its fixtures, so nobody has to mark it by hand.
FOLDERS = {"integration": "server", "browser": "browser"}
FIXTURES = {
    "accounts_server": "server",
    "mlflow_server": "server",
    "mlflow_server_on_postgres": "server",
    "postgres": "postgres",
    "chromium": "browser",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the real parts that it needs."""
    for item in items:
        marks = {FOLDERS.get(folder) for folder in item.path.parts}
        marks |= {FIXTURES.get(fixture) for fixture in getattr(item, "fixturenames", ())}
        for mark in sorted(mark for mark in marks if mark):
            item.add_marker(mark)
