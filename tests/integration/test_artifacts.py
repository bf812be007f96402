"""Artifacts and the metadata of models: read within limits, from allowed places, nothing run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.errors import InvalidInput, NotAllowed, NotFound, ServerSlow, TooLarge
from core.mlflow_api import Mlflow, connect
from core.settings import load
from tests.faults import Fault, FaultProxy
from tests.servers import MlflowServer

HOSTILE_MODEL = """
artifact_path: model
flavors:
  python_function:
    loader_module: hostile
    code: code
mlflow_version: 3.17.2
utc_time_created: '2026-03-03 14:05:09.123456'
model_size_bytes: 1234
signature:
  inputs: '[{"type": "long", "name": "rooms", "required": true}, {"type": "double", "name": "area", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
  params: '[{"name": "deep", "type": "integer", "default": 3, "shape": null}]'
"""  # noqa: E501 - as MLflow writes it
EXAMPLE = {"dataframe_split": {"columns": ["rooms", "area"], "data": [[3, 70.5]]}}


@pytest.fixture
def mlflow(mlflow_server: MlflowServer, home: Path) -> Iterator[Mlflow]:
    opened = connect(load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": mlflow_server.url}))
    yield opened
    opened.gateway.close()


@pytest.fixture(scope="module")
def uri(mlflow_server: MlflowServer) -> str:
    """A run's artifacts: files, folders, and a model that would do harm if it were loaded."""
    client = MlflowClient(mlflow_server.url)
    run = client.create_run("0")
    run_id = run.info.run_id
    client.log_text(run_id, "hello", "notes/hello.txt")
    client.log_text(run_id, "x" * 1000, "big.bin")
    client.log_text(run_id, "größe", "größe & 50%.txt")
    client.log_text(run_id, HOSTILE_MODEL, "model/MLmodel")
    client.log_text(run_id, json.dumps(EXAMPLE), "model/serving_input_example.json")
    client.log_text(run_id, "numpy==2\n\n  pandas==3\n", "model/requirements.txt")
    client.log_text(run_id, "open('/tmp/owned', 'w')", "model/code/hostile.py")
    return str(run.info.artifact_uri)


# ------------------------------------------------------------------------------- list and read


def test_folders_come_first(mlflow: Mlflow, uri: str) -> None:
    found = mlflow.artifacts.list(uri)
    assert [(f.path, f.is_dir) for f in found] == [
        ("model", True), ("notes", True), ("big.bin", False), ("größe & 50%.txt", False),
    ]  # fmt: skip
    assert found[2].size == 1000
    assert [f.path for f in mlflow.artifacts.list(uri, "notes")] == ["notes/hello.txt"]
    assert mlflow.artifacts.list(uri, "nowhere") == []


def test_a_file_is_read_whole(mlflow: Mlflow, uri: str) -> None:
    assert mlflow.artifacts.read(uri, "notes/hello.txt", 100) == b"hello"
    assert mlflow.artifacts.read(uri, "größe & 50%.txt", 100).decode() == "größe"
    assert mlflow.artifacts.read(uri, "big.bin", 1000) == b"x" * 1000


def test_a_file_above_the_cap_is_not_fetched(
    mlflow_server: MlflowServer, home: Path, uri: str
) -> None:
    with FaultProxy(mlflow_server.url) as proxy:
        mlflow = connect(load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": proxy.url}))
        with pytest.raises(TooLarge) as refusal:
            mlflow.artifacts.read(uri, "big.bin", 999)
        assert "big.bin" in refusal.value.what
        assert "999 B" in refusal.value.what
        assert [line for line in proxy.requests if "big.bin" in line] == []


@pytest.mark.parametrize("path", ["nowhere.txt", "notes", "notes/nowhere", ".", ""])
def test_what_is_no_file_is_said_so(mlflow: Mlflow, uri: str, path: str) -> None:
    with pytest.raises(NotFound):
        mlflow.artifacts.read(uri, path, 100)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "notes/../../x", "a\x00b", "..\\x", "notes\\hello.txt"]
)
def test_paths_that_lead_out_are_refused(mlflow: Mlflow, uri: str, path: str) -> None:
    with pytest.raises(InvalidInput):
        mlflow.artifacts.read(uri, path, 100)
    with pytest.raises(InvalidInput):
        mlflow.artifacts.list(uri, path)


def test_a_download_that_stops_is_given_up(
    mlflow_server: MlflowServer, home: Path, uri: str
) -> None:
    with FaultProxy(mlflow_server.url) as proxy:
        mlflow = connect(
            load(
                {
                    "MODELDECK_HOME": str(home),
                    "MLFLOW_TRACKING_URI": proxy.url,
                    "MODELDECK_METADATA_DEADLINE": "1",
                    "MODELDECK_ARTIFACT_DEADLINE": "1",
                }
            )
        )
        mlflow.tracking.experiments()
        proxy.set(Fault.HANG, lambda line: "hello.txt" in line)
        with pytest.raises(ServerSlow):
            mlflow.artifacts.download(uri, home / "into")


# ---------------------------------------------------------------------------- files at hand


@pytest.fixture
def embedded(home: Path) -> Iterator[Mlflow]:
    """The embedded store, with a folder of ours allowed and one that is not."""
    for name in ("allowed", "secret"):
        (home.parent / name).mkdir()
        (home.parent / name / "file.txt").write_text(name)
    allowed = str(home.parent / "allowed")
    opened = connect(load({"MODELDECK_HOME": str(home), "MODELDECK_ARTIFACT_ROOTS": allowed}))
    (home / "artifacts" / "run").mkdir(parents=True)
    (home / "artifacts" / "run" / "file.txt").write_text("own")
    opened.tracking.experiments()
    yield opened
    opened.gateway.close()


def test_files_of_the_stores_own_and_of_allowed_folders_are_read(
    embedded: Mlflow, home: Path
) -> None:
    own, allowed = home / "artifacts" / "run", home.parent / "allowed"
    for place, content in ((own, b"own"), (allowed, b"allowed")):
        for uri in (place.as_uri(), str(place), f"file:{place}"):
            assert embedded.artifacts.read(uri, "file.txt", 100) == content


def test_files_of_other_folders_are_not(embedded: Mlflow, home: Path) -> None:
    secret, own = home.parent / "secret", home / "artifacts" / "run"
    link = home / "artifacts" / "link"
    link.symlink_to(secret)
    for uri in (
        secret.as_uri(),
        str(secret),
        "file:///etc",
        "/",
        f"{own.as_uri()}/../../../secret",
        f"{own.as_uri()}/%2e%2e/%2e%2e/%2e%2e/secret",
        link.as_uri(),
        f"{home.parent / 'allowed'}-not",
        str(home / "ledger.db"),
    ):
        with pytest.raises(NotAllowed) as refusal:
            embedded.artifacts.read(uri, "file.txt", 100)
        assert "MODELDECK_ARTIFACT_ROOTS" in refusal.value.next_step


@pytest.mark.parametrize("name", ["file.txt", "folder"])
def test_a_link_among_the_artifacts_does_not_lead_out(
    embedded: Mlflow, home: Path, name: str
) -> None:
    secret, own = home.parent / "secret", home / "artifacts" / "run2"
    own.mkdir()
    (own / "folder").symlink_to(secret)
    (own / "file.txt").symlink_to(secret / "file.txt")
    path = name if name == "file.txt" else "folder/file.txt"
    with pytest.raises((NotAllowed, NotFound, InvalidInput)):
        embedded.artifacts.read(own.as_uri(), path, 100)
    with pytest.raises((NotAllowed, NotFound, InvalidInput)):
        embedded.artifacts.download(own.as_uri(), home / "into")


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://example.org/x",
        "sftp://example.org/x",
        "data:text/plain,x",
        "models:/other/1",
        "dbfs-root:/x",
        "javascript:x",
        "FILE:///etc",
    ],
)
def test_other_schemes_are_refused(embedded: Mlflow, uri: str) -> None:
    with pytest.raises(NotAllowed):
        embedded.artifacts.list(uri)


# -------------------------------------------------------------------------------------- models


def test_a_models_files_tell_of_it_and_nothing_of_it_runs(mlflow: Mlflow, uri: str) -> None:
    info = mlflow.artifacts.model_info(f"{uri}/model")
    assert info.signature is not None
    assert [(c.name, c.type, c.required) for c in info.signature.inputs] == [
        ("rooms", "long", True), ("area", "double", False),
    ]  # fmt: skip
    assert [c.type for c in info.signature.outputs] == ["tensor(float64)"]
    assert [(c.name, c.default) for c in info.signature.params] == [("deep", 3)]
    assert info.example == EXAMPLE
    assert info.flavors == ("python_function",)
    assert info.requirements == ("numpy==2", "pandas==3")
    assert (info.mlflow_version, info.size_bytes) == ("3.17.2", 1234)
    assert info.created_at is not None
    assert not Path("/tmp/owned").exists()


def test_a_folder_without_a_model_is_said_so(mlflow: Mlflow, uri: str) -> None:
    with pytest.raises(NotFound, match="MLmodel"):
        mlflow.artifacts.model_info(f"{uri}/notes")


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "text",
        "a: [",
        "!!python/object/apply:os.system ['true']",
        "signature: {inputs: 3}",
        "signature: {inputs: '[{}]'}",
        "signature: []\nflavors: 7",
    ],
)
def test_a_broken_model_file_is_said_so(
    mlflow: Mlflow, mlflow_server: MlflowServer, text: str
) -> None:
    client = MlflowClient(mlflow_server.url)
    run = client.create_run("0")
    client.log_text(run.info.run_id, text, "model/MLmodel")
    with pytest.raises(InvalidInput, match="MLmodel"):
        mlflow.artifacts.model_info(f"{run.info.artifact_uri}/model")


def test_addresses_of_runs_and_logged_models_are_resolved(
    mlflow: Mlflow, mlflow_server: MlflowServer, uri: str
) -> None:
    run_id = uri.split("/")[-2]
    assert mlflow.artifacts.resolve(f"runs:/{run_id}/model") == f"{uri}/model"
    assert mlflow.artifacts.resolve(uri) == uri
    client = MlflowClient(mlflow_server.url)
    logged = client.create_logged_model("0", name="m")
    assert mlflow.artifacts.resolve(f"models:/{logged.model_id}") == logged.artifact_location
    for bad in ("models:/m-\x00", "runs:/../x", "runs:/"):
        with pytest.raises(InvalidInput):
            mlflow.artifacts.resolve(bad)


def test_a_version_leads_to_its_files(
    mlflow: Mlflow, mlflow_server: MlflowServer, uri: str
) -> None:
    run_id = uri.split("/")[-2]
    client = MlflowClient(mlflow_server.url)
    client.create_registered_model("artifacts-house")
    client.create_model_version("artifacts-house", f"{uri}/model", run_id)
    version = mlflow.registry.version("artifacts-house", 1)
    assert mlflow.artifacts.model_uri(version) == f"{uri}/model"
