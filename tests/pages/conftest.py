"""Pages run in process by Streamlit's AppTest, on a real SQLite store with real runs in it."""

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from core.processes import ROOT
from core.ui.deck import close_mirror
from core.ui.errors import on_script_error

HOSTILE = '![](http://127.0.0.1:9/x) :red[x] <script>alert(1)</script> $a$ `b` \u202eltr "q" ' + (
    "long " * 90
)
"""A name that holds everything a name should not hold."""


@dataclass(frozen=True)
class Store:
    """What the shared store holds, by what it is there for."""

    home: Path
    trees: str
    """An experiment with six runs; two are nested in the first."""
    empty: str
    deleted: str
    hostile: str
    """An experiment and a run with ``HOSTILE`` in every name and value."""
    run: str
    """A finished run with curves, a data set, artifacts and a logged model."""
    other: str
    child: str
    running: str
    deleted_run: str
    hostile_run: str
    model_id: str


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store with runs made through MLflow's client; not to be written to."""
    from core.mlflow_api.gateway import prepare_environment

    home = tmp_path_factory.mktemp("store")
    before = dict(os.environ)
    prepare_environment(4, home / "artifacts")
    from mlflow import MlflowClient

    try:
        return _build(MlflowClient(f"sqlite:///{home}/mlflow.db"), home)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> Iterator[None]:
    """AppTest looks through everything that is installed for components at every run of a page,
    which takes longer than the page; a server does so once, at its start."""
    found = manifest_scanner.scan_component_manifests()
    with patch.object(manifest_scanner, "scan_component_manifests", lambda: found):
        yield


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """``__main__`` is given back: AppTest leaves the page's script in its place, which a process
    that is started afterwards would run."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    """No answer of another test is remembered, and no mirror of another store is open."""
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    close_mirror()
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def store(built: Store, monkeypatch: pytest.MonkeyPatch, fresh_caches: None) -> Store:
    """The shared store as the embedded one, to read from."""
    monkeypatch.setenv("MODELDECK_HOME", str(built.home))
    monkeypatch.setenv("MODELDECK_WORKER", "external")
    return built


@pytest.fixture
def own_store(
    built: Store, home: Path, monkeypatch: pytest.MonkeyPatch, fresh_caches: None
) -> Store:
    """A copy of the shared store, to write to."""
    shutil.copy(built.home / "mlflow.db", home / "mlflow.db")
    monkeypatch.setenv("MODELDECK_ARTIFACT_ROOTS", str(built.home / "artifacts"))
    monkeypatch.setenv("MODELDECK_WORKER", "external")
    return built


Open = Callable[..., AppTest]


@pytest.fixture
def open_page(fresh_caches: None, monkeypatch: pytest.MonkeyPatch) -> Open:
    """``open_page("run", run=ID)``: the page as a cold visit to its link draws it."""
    make = LocalScriptRunner.__init__

    def with_handler(self: LocalScriptRunner, *args: Any, **more: Any) -> None:
        make(self, *args, **more)
        self._on_script_error = on_script_error

    # AppTest runs the shell without the application around it, which hands errors to this handler.
    monkeypatch.setattr(LocalScriptRunner, "__init__", with_handler)

    def visit(name: str, **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(ROOT / "core" / "ui" / "shell.py", default_timeout=60)
        app.switch_page(f"../../pages/{name}.py")
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return visit


PLAIN = ("text", "code", "json", "dataframe", "arrow_data_frame", "text_input", "text_area",
         "selectbox", "multiselect")  # fmt: skip
"""Elements whose value is drawn letter by letter; their labels are Markdown all the same."""


def drawn(app: AppTest) -> str:
    """All text that a page drew, one element a line."""
    return "\n".join(_labels(app) + _values(app, lambda _: True))


def markdown_of(app: AppTest) -> str:
    """All text that a page gave to an element that draws Markdown."""
    return "\n".join(_labels(app) + _values(app, lambda kind: kind not in PLAIN))


def _labels(app: AppTest) -> list[str]:
    found = (getattr(e, "label", None) for e in app.main)
    return [text for text in found if isinstance(text, str)]


def _values(app: AppTest, wanted: Callable[[str], bool]) -> list[str]:
    found = (getattr(e, "value", None) for e in app.main if wanted(e.type))
    return [text for text in found if isinstance(text, str)]


def _build(client: "object", home: Path) -> Store:
    from mlflow import MlflowClient
    from mlflow.entities import (
        Dataset,
        DatasetInput,
        InputTag,
        LoggedModelOutput,
        LoggedModelStatus,
        Metric,
        Param,
    )

    assert isinstance(client, MlflowClient)

    def experiment(name: str, note: str = "") -> str:
        place = (home / "artifacts" / f"place-{abs(hash(name))}").as_uri()
        tags = {"mlflow.note.content": note} if note else {}
        return client.create_experiment(name, artifact_location=place, tags=tags)

    def run(
        where: str,
        name: str,
        params: dict[str, str],
        metrics: dict[str, list[float]],
        at: int,
        status: str = "FINISHED",
        **tags: str,
    ) -> str:
        every = {"mlflow.user": "ada", **{k.replace("__", "."): v for k, v in tags.items()}}
        made = client.create_run(where, run_name=name, start_time=at * 1000, tags=every).info.run_id
        client.log_batch(
            made,
            metrics=[
                Metric(k, v, at * 1000 + step * 100, step)
                for k, values in metrics.items()
                for step, v in enumerate(values)
            ],
            params=[Param(k, v) for k, v in params.items()],
        )
        if status != "RUNNING":
            client.set_terminated(made, status, end_time=at * 1000 + 61_000)
        return made

    trees = experiment("Trees", "Forests on the breast cancer data.")
    since = 1_760_000_000
    first = run(
        trees, "forest-a", {"depth": "3", "rate": "0.1", "seed": "1"},
        {"loss": [1.0, 0.5, 0.25, 0.2], "accuracy": [0.91]}, since,
    )  # fmt: skip
    child = run(trees, "fold-0", {"fold": "0"}, {"accuracy": [0.9]}, since + 1,
                mlflow__parentRunId=first)  # fmt: skip
    run(trees, "fold-1", {"fold": "1"}, {"accuracy": [0.92]}, since + 2,
        mlflow__parentRunId=first)  # fmt: skip
    other = run(
        trees, "forest-b", {"depth": "5", "rate": "0.10", "seed": "1", "a b": "x y"},
        {"loss": [1.0, math.nan, 0.3], "accuracy": [0.93]}, since + 3, "FAILED", team="blue",
    )  # fmt: skip
    running = run(trees, "forest-live", {"depth": "7"}, {"loss": [0.9, 0.8]}, since + 4, "RUNNING")
    gone = run(trees, "forest-gone", {"depth": "9"}, {"accuracy": [0.1]}, since + 5)
    client.delete_run(gone)

    schema = {"mlflow_colspec": [{"type": "double", "name": "radius", "required": True}]}
    data = Dataset("cells", "abc123", "code", "{}", json.dumps(schema), '{"num_rows": 455}')
    client.log_inputs(first, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    files = home / "files"
    (files / "deep" / "er").mkdir(parents=True)
    (files / "table.csv").write_text("a,b\n1,=1+1\n2,x\n")
    (files / "scores.json").write_text('{"columns": ["q"], "data": [["![](http://x)"], ["b"]]}')
    (files / "tree.json").write_text('{"a": [1, 2]}')
    (files / "notes.md").write_text("# Head\n![](http://127.0.0.1:9/x)\n")
    (files / "page.html").write_text("<script>alert(1)</script>")
    (files / "broken.png").write_bytes(b"nothing of the kind")
    (files / "weights.bin").write_bytes(b"\x00" * 2048)
    (files / "big.txt").write_text("x" * 6_000_000)
    (files / "deep" / "er" / "log.txt").write_text("line one\n")
    client.log_artifacts(first, str(files))

    model = client.create_logged_model(trees, "model", source_run_id=first)
    folder = Path(model.artifact_location.removeprefix("file://"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: none\nmlflow_version: 3.17.2\n"
        'signature:\n  inputs: \'[{"type": "double", "name": "radius", "required": true}]\'\n'
        '  outputs: \'[{"type": "long", "required": true}]\'\n  params: null\n'
    )
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(first, [LoggedModelOutput(model.model_id, 0)])

    hostile = experiment(HOSTILE[:400])
    hostile_run = run(
        hostile, HOSTILE[:400], {"p": HOSTILE}, {"m m/é": [math.nan]}, since,
        mlflow__note__content=HOSTILE, evil=HOSTILE,
    )  # fmt: skip
    empty = experiment("Nothing yet")
    deleted = experiment("Old ideas")
    run(deleted, "old", {}, {}, since)
    client.delete_experiment(deleted)
    return Store(
        home, trees, empty, deleted, hostile, first, other, child, running, gone, hostile_run,
        model.model_id,
    )  # fmt: skip
