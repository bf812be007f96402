"""Versions as rows of a database: the same that MLflow's client finds, on both databases."""

from dataclasses import replace

import pytest
from mlflow import MlflowClient

from core.mlflow_api import convert
from core.mlflow_api.version_rows import version_rows
from tests.servers import MlflowServer, Postgres

NAMES = ("wine", 'it\'s "odd" \\ %_', "två\nrader", "bare")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> MlflowClient:
    """A registry with models of odd names, deleted versions, stages, tags, and a prompt."""
    if request.param == "sqlite":
        uri = f"sqlite:///{tmp_path_factory.mktemp('rows')}/mlflow.db"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        uri = postgres.fresh_database("rows")
    client = MlflowClient(uri)
    for name in NAMES:
        client.create_registered_model(name)
    for name in NAMES[:-1]:
        for n in range(3):
            client.create_model_version(
                name, f"s3://there/{n}", description="" if n else "Första",
                tags={"a": str(n), "modeldeck.stage": "None", "b": "x" * 400} if n else None,
            )  # fmt: skip
        client.transition_model_version_stage(name, "2", "Production")
        client.delete_model_version(name, "1")
        client.set_registered_model_alias(name, "champion", "2")
    client.register_prompt("ask", "Answer {{question}}")
    return client


@pytest.mark.upstream
@pytest.mark.parametrize(
    "wanted", ["", "name = 'wine'", "name = 'bare'", 'name = "nobody"', "name LIKE '%odd%'"]
)
def test_the_rows_are_those_that_the_client_finds(client: MlflowClient, wanted: str) -> None:
    theirs = [convert.model_version(v, {}) for v in client.search_model_versions(wanted)]
    ours = version_rows(client, wanted)
    assert ours is not None
    assert sorted(ours, key=repr) == sorted((replace(v, aliases=()) for v in theirs), key=repr)
    assert bool(theirs) == (wanted not in ("name = 'bare'", 'name = "nobody"'))


def test_a_server_has_no_rows_to_read(mlflow_server: MlflowServer) -> None:
    assert version_rows(MlflowClient(mlflow_server.url), "") is None
