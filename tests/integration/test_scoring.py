"""Real models from a real store, served by the real process, asked by the real client."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import psutil
import pytest

from core import settings
from core.errors import EndpointFailed
from core.mlflow_api import calls, connect
from core.mlflow_api.nouns import ModelInfo
from core.mlflow_api.scoring import MODEL_BROKEN, PORT_TAKEN, listen
from core.processes import ROOT, clean_environment
from core.serving.client import Answer, Identity, identify, invoke, predictions_table
from core.serving.payloads import (
    body_from_json,
    body_from_rows,
    check_body,
    check_rows,
    form_fields,
    row_from_form,
    rows_from_csv,
)
from tests.faults import Fault, FaultProxy
from tests.servers import START_SECONDS, Server
from tests.waiting import until

SLEEPER = """
import threading

import mlflow


class Sleeper(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        threading.Event().wait()


mlflow.models.set_model(Sleeper())
"""


class Endpoint(Server):
    """An endpoint's process, in a folder of its own."""

    def __init__(self, folder: Path, model: Path, *, port: str = "0", version: int = 1) -> None:
        super().__init__(folder / "log.txt")
        folder.mkdir(parents=True)
        self.folder = folder
        self.ready = folder / "ready.json"
        self.identity = Identity(folder.name, "rent", version, secrets.token_hex(8))
        self.command = [sys.executable, "-m", "core.mlflow_api.scoring"]
        self.command += ["--model", str(model), "--endpoint", self.identity.endpoint]
        self.command += ["--model-name", "rent", "--model-version", str(version)]
        self.command += ["--nonce", self.identity.nonce, "--bind", "127.0.0.1", "--port", port]
        self.command += ["--ready-file", str(self.ready)]
        self.environment = clean_environment({"PYTHONPATH": str(ROOT)}, child_of=folder.name)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{json.loads(self.ready.read_text())['port']}"

    def start(self) -> Self:
        self.launch(self.command, self.environment, cwd=self.folder)
        return self

    def until_ready(self) -> Self:
        process = self.process
        assert process is not None
        until(lambda: self.ready.exists() or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, self.output()
        return self

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(START_SECONDS)

    def last_paragraph(self) -> str:
        return self.log.read_text().rstrip().rpartition("\n\n")[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[settings.Settings]:
    """A SQLite store with the registered model "rent", version 1: 10 × rooms + area."""
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LinearRegression

    home = tmp_path_factory.mktemp("store")
    configured = settings.load({"MODELDECK_HOME": str(home)})
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"rooms": rng.integers(1, 9, 50), "area": rng.uniform(20, 200, 50)})
    model = LinearRegression().fit(table, 10 * table.rooms + table.area)
    with pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hints about integer columns
        environment.setenv("MLFLOW_TRACKING_URI", configured.tracking_uri)
        root = configured.artifact_root.as_uri()
        experiment = mlflow.create_experiment("rents", artifact_location=root)
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(table, model.predict(table)),
                input_example=table.head(2),
                pip_requirements=["scikit-learn"],
                registered_model_name="rent",
            )
        yield configured


@pytest.fixture(scope="module")
def model(store: settings.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version's files, fetched as the worker fetches them."""
    mlflow = connect(store)
    folder = tmp_path_factory.mktemp("models") / "rent"
    uri = mlflow.artifacts.model_uri(mlflow.registry.version("rent", 1))
    mlflow.artifacts.download(uri, folder)
    return folder


@pytest.fixture(scope="module")
def info(store: settings.Settings) -> ModelInfo:
    mlflow = connect(store)
    version = mlflow.registry.version("rent", 1)
    return mlflow.artifacts.model_info(mlflow.artifacts.model_uri(version))


@pytest.fixture(scope="module")
def two(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Endpoint]]:
    """Two endpoints that serve at the same time."""
    folder = tmp_path_factory.mktemp("endpoints")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        environment.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        endpoints = [Endpoint(folder / f"ep-{n}", model, version=n) for n in (1, 2)]
    try:
        for endpoint in endpoints:
            endpoint.start()
        yield [endpoint.until_ready() for endpoint in endpoints]
    finally:
        for endpoint in endpoints:
            endpoint.stop()


@pytest.fixture
def endpoint(two: list[Endpoint]) -> Endpoint:
    return two[0]


def ask(endpoint: Endpoint, body: dict[str, object]) -> Answer:
    return invoke(endpoint.address, body, expect=endpoint.identity, timeout=30, max_bytes=1_000_000)


def predicted(endpoint: Endpoint, body: dict[str, object]) -> object:
    """The predictions, rounded to what no solver changes."""
    answer = ask(endpoint, body)
    assert isinstance(answer.predictions, list)
    return [round(value, 6) for value in answer.predictions]


# ------------------------------------------------------------------------------ predictions


def test_predict_by_form(endpoint: Endpoint, info: ModelInfo) -> None:
    fields = form_fields(info.signature, info.example)
    assert [(field.name, field.kind) for field in fields] == [
        ("rooms", "integer"),
        ("area", "number"),
    ]
    assert all(field.default is not None for field in fields)
    row = row_from_form(fields, {"rooms": 3, "area": 70.5})
    rows, problems = check_rows(info.signature, [row])
    assert not problems
    answer = ask(endpoint, body_from_rows(info.signature, rows))
    assert answer.rows == 1
    assert answer.seconds < 10
    columns, table = predictions_table(answer.predictions)
    assert columns == ["prediction"]
    assert table[0]["prediction"] == pytest.approx(100.5)


def test_predict_by_json(endpoint: Endpoint, info: ModelInfo) -> None:
    typed = body_from_json('[{"rooms": 1, "area": 50}, {"rooms": 2, "area": 50.0}]')
    assert not check_body(info.signature, typed.content)
    assert predicted(endpoint, typed.content) == [60.0, 70.0]


def test_predict_by_csv(endpoint: Endpoint, info: ModelInfo) -> None:
    data = b"\xef\xbb\xbfarea;rooms\r\n50;1\r\n50.5;2\r\n"
    rows = rows_from_csv(data, info.signature, max_rows=10, max_bytes=1000)
    rows, problems = check_rows(info.signature, rows)
    assert not problems
    assert predicted(endpoint, body_from_rows(info.signature, rows)) == [60.0, 70.5]


@pytest.mark.upstream
def test_mlflow_changes_input_without_a_word_and_the_check_does_not(
    endpoint: Endpoint, info: ModelInfo
) -> None:
    changed = [
        ({"rooms": 3.5, "area": 50}, 80.0),
        ({"rooms": "3", "area": "50"}, 80.0),
        ({"rooms": True, "area": 50}, 60.0),
        ({"rooms": 3, "area": 50, "floor": 9}, 80.0),
    ]
    for row, prediction in changed:
        body: dict[str, object] = {"dataframe_records": [row]}
        assert predicted(endpoint, body) == [prediction]
        assert check_body(info.signature, body)
    body = {"dataframe_records": [{"rooms": 3, "area": 50}], "params": {"unknown": 1}}
    assert predicted(endpoint, body) == [80.0]
    assert check_body(info.signature, body)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"area": 50}, "needs columns that the input does not have: rooms."),
        ({"rooms": 3, "area": "x"}, "column area do not have the type"),
        ({"rooms": None, "area": 50}, "column rooms do not have the type"),
        ({"rooms": 3, "area": None}, "It said: Input X contains NaN."),
    ],
)
def test_what_the_server_refuses_is_said_in_plain_words(
    endpoint: Endpoint, row: dict[str, object], words: str
) -> None:
    with pytest.raises(EndpointFailed) as caught:
        ask(endpoint, {"dataframe_records": [row]})
    assert words in caught.value.what
    assert "Traceback" not in caught.value.what


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.REFUSE, "nobody answers"),
        (Fault.HANG, "did not answer within"),
        (Fault.SLOW, "did not answer within"),
        (Fault.RESET, "broke off"),
        (Fault.HTML, "is not JSON"),
        (Fault.ERROR_500, "failed while it handled"),
    ],
)
def test_a_network_in_trouble(endpoint: Endpoint, fault: Fault, words: str) -> None:
    body = {"dataframe_records": [{"rooms": 3, "area": 50}]}
    with FaultProxy(endpoint.address) as proxy:
        proxy.set(fault)
        with pytest.raises(EndpointFailed) as caught:
            invoke(proxy.url, body, expect=None, timeout=1, max_bytes=1000)
    assert words in caught.value.what
    assert len(proxy.requests) <= 1


# ---------------------------------------------------------------------------------- identity


def test_each_endpoint_says_who_it_is(two: list[Endpoint]) -> None:
    for endpoint in two:
        found = identify(endpoint.address, 10)
        assert found == replace(endpoint.identity, pid=endpoint.pid)
        ready = json.loads(endpoint.ready.read_text())
        assert (ready["pid"], ready["nonce"]) == (endpoint.pid, endpoint.identity.nonce)


def test_an_answer_of_the_wrong_endpoint_is_refused(two: list[Endpoint]) -> None:
    first, second = two
    body = {"dataframe_records": [{"rooms": 3, "area": 50}]}
    stale = replace(first.identity, nonce="of an earlier start")
    for expect in (second.identity, stale):
        with pytest.raises(EndpointFailed, match="Another process answered"):
            invoke(first.address, body, expect=expect, timeout=10, max_bytes=1000)


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("GET /ping", "", 200),
        ("GET /version", "", 200),
        ("GET /nowhere", "", 404),
        ("POST /invocations", "Content-Type: text/plain\r\n", 415),
        ("GET /modeldeck", "", 200),
        ("GET /modeldeck", "Host: rebound.example\r\n", 400),
    ],
)
def test_every_response_names_the_endpoint(
    endpoint: Endpoint, request_line: str, headers: str, status: int
) -> None:
    host = "" if "Host" in headers else "Host: localhost\r\n"
    port = int(endpoint.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        head = f"{request_line} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n"
        connection.sendall(head.encode())
        reply = b"".join(iter(lambda: connection.recv(65_536), b"")).decode().lower()
    assert reply.startswith(f"http/1.1 {status} ")
    assert f"x-modeldeck-endpoint: {endpoint.identity.endpoint}\r\n" in reply
    assert f"x-modeldeck-nonce: {endpoint.identity.nonce}\r\n" in reply


def test_the_process_has_no_credentials_and_leaves_nothing_where_it_stands(
    endpoint: Endpoint,
) -> None:
    environment = psutil.Process(endpoint.pid).environ()
    assert "secret" not in environment.values()
    left = sorted(path.name for path in endpoint.folder.iterdir())
    assert left == [calls.CALLED, "log.txt", "ready.json"]


def test_a_prediction_is_a_call_and_a_look_is_none(endpoint: Endpoint) -> None:
    os.utime(endpoint.folder / calls.CALLED, (0, 0))
    identify(endpoint.address, 10)
    assert calls.calls(endpoint.folder) == calls.Calls(True, None)
    predicted(endpoint, {"dataframe_records": [{"rooms": 1, "area": 50.0}]})
    assert calls.calls(endpoint.folder).last is not None


# ------------------------------------------------------------------------------------- ports


def test_a_taken_port_is_found_before_anything_is_loaded(endpoint: Endpoint) -> None:
    taken = endpoint.address.rpartition(":")[2]
    late = Endpoint(endpoint.folder.parent / "ep-late", Path("/nowhere"), port=taken)
    late.command[1:1] = ["-X", "importtime"]
    with late:
        assert late.ended() == PORT_TAKEN
    assert f"Port {taken} on 127.0.0.1 is taken by another process." in late.last_paragraph()
    assert not re.search(r"\| +(mlflow|pandas|fastapi)\b", late.log.read_text())
    assert not late.ready.exists()
    assert identify(endpoint.address, 10).endpoint == endpoint.identity.endpoint


def test_the_first_free_port_of_a_range_is_taken() -> None:
    with listen("127.0.0.1", range(1)) as first:
        port = first.getsockname()[1]
        with listen("127.0.0.1", range(port, port + 50)) as second:
            assert port < second.getsockname()[1] < port + 50
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", range(port, port + 1))


def test_a_port_is_free_again_at_once() -> None:
    with listen("127.0.0.1", range(1)) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()  # we close first, so the port waits in TIME_WAIT
    listen("127.0.0.1", range(port, port + 1)).close()


@pytest.mark.parametrize("port", ["x", "5-4", "65536", "-1"])
def test_ports_that_are_none(port: str, tmp_path: Path) -> None:
    with Endpoint(tmp_path / "ep", Path("/nowhere"), port=port) as endpoint:
        assert endpoint.ended() == 2


# ------------------------------------------------------------------------------------ endings


def test_a_folder_without_a_model_is_said_at_once(tmp_path: Path) -> None:
    with Endpoint(tmp_path / "ep", tmp_path) as endpoint:
        assert endpoint.ended() == MODEL_BROKEN
    assert "rent version 1 could not be loaded: its folder" in endpoint.last_paragraph()
    assert "Traceback" not in endpoint.log.read_text()


def test_a_broken_model_ends_with_a_paragraph_that_says_so(tmp_path: Path, model: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model" / "model.skops").write_bytes(b"broken")
    with Endpoint(tmp_path / "ep", tmp_path / "model") as endpoint:
        assert endpoint.ended() == MODEL_BROKEN
    said = endpoint.last_paragraph()
    assert said.startswith("The model rent version 1 could not be loaded: ")
    assert "\n" not in said
    assert "Traceback" in endpoint.log.read_text()
    assert not endpoint.ready.exists()


def test_sigterm_ends_it_although_a_prediction_never_does(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    save = "import mlflow; mlflow.pyfunc.save_model('model', python_model='sleeper.py', "
    save += "pip_requirements=['mlflow'])"
    environment = {"PATH": os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, "-c", save], cwd=tmp_path, env=environment, check=True)
    with Endpoint(tmp_path / "ep", tmp_path / "model") as endpoint:
        endpoint.until_ready()
        with pytest.raises(EndpointFailed, match="did not answer within"):
            invoke(
                endpoint.address, {"inputs": [1]}, expect=endpoint.identity,
                timeout=1, max_bytes=1000,
            )  # fmt: skip
        assert endpoint.process is not None
        endpoint.process.terminate()
        assert endpoint.ended() == 0
