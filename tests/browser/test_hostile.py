"""Whoever may write to MLflow may name things: no page does more with their text than show it."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
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
from playwright.sync_api import Page, expect

from core.ledger import Ledger
from core.lifecycle.deck import open_deck
from core.lifecycle.desk_keeper import DeskKeeper
from core.people import Actor
from core.registry import requests
from core.registry.plan import see
from core.registry.transitions import read_state
from core.serving import endpoints
from core.settings import load
from core.texts import t
from core.training import jobs
from core.ui.approvals import VIEWS
from core.ui.compare import WAYS
from core.ui.navigation import PLACES
from core.ui.run import SECTIONS
from tests.servers import ROOT, ModeldeckApp, Server, free_port
from tests.waiting import until

LONG = 60_000
"""Milliseconds; a limit for what never comes, no measure of speed."""
LENGTH = 500
LITERAL = "**bold**"
"""A piece of the text that Markdown would swallow, near its start, where no page cuts it off."""


@dataclass
class Listener:
    """What hostile text wants to be fetched from."""

    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        """The hostile text: ``LENGTH`` characters with all that an element could take for more."""
        at = f"http://{self.host}"
        text = (
            f":red[x] {LITERAL} ![]({at}/x.png) \u202e<img src={at}/y.png> :material/bolt: "
            f"<script>fetch('{at}/z')</script> [link]({at}/l) {at}/bare <{at}/auto> "
            f'<a href="{at}/p">a</a> <img src=x onerror="fetch(\'{at}/e\')"> $a^2$ `code` '
            "\"quoted\" 'quoted'\n# next line\n- item\n</div>"
        )
        return text + "-" * (LENGTH - len(text))

    @property
    def name(self) -> str:
        """As much of it as the name of a registered model may hold: no ``/`` and no ``:``."""
        return self.text.replace("/", "|").replace(":", ";")

    @property
    def file(self) -> str:
        """As much of it as fits a file name of one line."""
        return self.text.replace("/", "|").replace("\n", " ")[:240] + ".md"


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """A real server on this machine that only remembers what it was asked for."""

    class Remember(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Remember) as server:
        heard = Listener(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Hostile:
    """Modeldeck on a store in which every text is hostile, and what to ask its pages for."""

    app: ModeldeckApp
    experiment: str
    runs: tuple[str, str]
    model: str
    job: str
    endpoint: str
    file: str
    request: str

    def queries(self, page: str) -> list[dict[str, str]]:
        """The links of one page that between them show all there is."""
        run = {"run": self.runs[0]}
        pair = {"runs": ",".join(self.runs)}
        shown: dict[str, list[dict[str, str]]] = {
            "experiments": [{}, {"experiment": self.experiment}],
            "run": [
                *(run | {"section": name.capitalize()} for name in SECTIONS),
                run | {"section": "Artifacts", "file": self.file},
            ],
            "compare": [pair | {"chart": label} for label in COMPARE],
            "model": [{"model": self.model, "version": "1"}],
            "approvals": [{"list": t(f"approvals.view.{name}")} for name in VIEWS],
            "evidence": [{"request": self.request}],
            "training": [{"job": self.job}],
            "endpoints": [{"endpoint": self.endpoint}],
            "predict": [{"ask": self.endpoint}],
        }
        return shown.get(page, [{}])


COMPARE = tuple(t(f"compare.way.{way}") for way in WAYS)
SILENT = (
    "compare", "models", "experiments", "processes", "welcome", "retirement", "permissions",
    "webhooks", "ledger", "migration",
)  # fmt: skip
"""Pages whose text from outside stands in canvas tables, charts and lists only, or nowhere."""


@pytest.fixture(scope="module")
def hostile(listener: Listener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    home = tmp_path_factory.mktemp("hostile") / "home"
    home.mkdir()
    app = ModeldeckApp(home, environment={"MODELDECK_WORKER": "external"})
    made = _fill(app, listener)
    with app:
        yield made


def _fill(app: ModeldeckApp, listener: Listener) -> Hostile:
    text = listener.text
    client = MlflowClient(f"sqlite:///{app.home / 'mlflow.db'}")
    tags = {"mlflow.note.content": text, "team": text}
    place = app.home / "artifacts" / "hostile"
    experiment = client.create_experiment(text, artifact_location=place.as_uri(), tags=tags)
    first, second = (_run(client, experiment, listener, value) for value in (0.25, 0.75))
    source, model_id = _logged_model(client, experiment, first, listener)
    client.create_registered_model(listener.name, {"team": text}, text)
    for _ in range(2):
        client.create_model_version(
            listener.name, source, first, {"team": text}, description=text, model_id=model_id
        )
    client.transition_model_version_stage(listener.name, "1", "Production")
    client.set_registered_model_alias(listener.name, "champion", "1")

    ledger = Ledger(load(app.environment).ledger_uri)
    ledger.migrate()
    job = jobs.QUEUE.add(
        ledger, by=text[:250], state=jobs.FINISHED, project=text[:190], entry_point="main",
        title=text, message=text, params={"register_as": listener.name}, run_id=first,
    )  # fmt: skip
    endpoint = endpoints.QUEUE.add(
        ledger, by=text[:250], state=endpoints.UNHEALTHY, model=listener.name, version=1,
        run_id=first, source=source, message=text, restarts=0, host="127.0.0.1", port=free_port(),
    )  # fmt: skip
    ended = endpoints.QUEUE.add(
        ledger, by=text[:250], state=endpoints.FAILED, model=listener.name, version=2,
        run_id=first, source=source, message=text, restarts=0,
    )  # fmt: skip
    assert endpoint.open
    assert not ended.open
    ledger.engine.dispose()
    request = _asked(app, listener)
    return Hostile(
        app, experiment, (first, second), listener.name, job.id, endpoint.id, listener.file, request
    )


def _asked(app: ModeldeckApp, listener: Listener) -> str:
    """A request by somebody with a hostile name, checked and talked about."""
    text, model = listener.text, listener.name
    own = open_deck(load(app.environment))
    here = replace(own, actor=Actor(text[:250], kind="mlflow"))
    here.mlflow.registry.set_model_tag(model, "modeldeck.card.purpose", text)
    seen = see(read_state(here.mlflow, model), 2, "Production", here.rules.ladder)
    asked = requests.ask(here.desk, model, 2, "Production", text, seen=seen)
    DeskKeeper(own, "hostile").check(asked.id)
    requests.comment(here.desk, asked.id, text)
    seen = see(read_state(here.mlflow, model), 2, "Staging", here.rules.ladder)
    other = requests.ask(own.desk, model, 2, "Staging", text, seen=seen)
    requests.withdraw(own.desk, other.id, text)
    own.ledger.close()
    own.mlflow.gateway.close()
    return asked.id


def _run(client: MlflowClient, experiment: str, listener: Listener, value: float) -> str:
    text = listener.text
    every = {"mlflow.note.content": text, "mlflow.user": text, "mlflow.source.name": text}
    every["team"] = text
    run = str(client.create_run(experiment, run_name=text, tags=every).info.run_id)
    # MLflow lets no other signs into a key.
    key = ":material/bolt: :smile: www.127.0.0.1 - x"
    client.log_batch(
        run,
        metrics=[Metric(key, value + step, 1_760_000_000_000 + step, step) for step in range(3)],
        params=[Param(key, f"{value} {text}"), Param("depth", str(value))],
    )
    columns = [{"type": "double", "name": text, "required": True}]
    data = Dataset(
        text, "d1935", "local", json.dumps({"uri": text}), json.dumps({"mlflow_colspec": columns})
    )
    client.log_inputs(run, [DatasetInput(data, [InputTag("mlflow.data.context", text)])])
    client.log_text(run, text, listener.file)
    client.set_terminated(run)
    return run


def _logged_model(
    client: MlflowClient, experiment: str, run: str, listener: Listener
) -> tuple[str, str]:
    """A logged model whose signature names hostile columns; its source and its id."""
    model = client.create_logged_model(experiment, "model", source_run_id=run)
    folder = Path(model.artifact_location.removeprefix("file://"))
    folder.mkdir(parents=True, exist_ok=True)
    column: dict[str, Any] = {"type": "double", "name": listener.text, "required": True}
    signature = {
        "inputs": json.dumps([column]),
        "outputs": json.dumps([column]),
        "params": json.dumps(
            [{"name": listener.text, "type": "string", "default": listener.text, "shape": None}]
        ),
    }
    described = {
        "flavors": {"python_function": {"loader_module": "none"}, listener.text: {}},
        "mlflow_version": listener.text,
        "signature": signature,
    }
    (folder / "MLmodel").write_text(json.dumps(described), "utf-8")  # JSON is YAML
    (folder / "requirements.txt").write_text(listener.text, "utf-8")
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run, [LoggedModelOutput(model.model_id, 0)])
    return str(model.artifact_location), str(model.model_id)


SEEN = """host => {
  const all = (what) => [...document.querySelectorAll(what)];
  const to = (a) => a.getAttribute('href') || a.getAttribute('xlink:href') || '';
  const typed = all('input, textarea').map((field) => field.value);
  return {
    images: all('img, image, source, iframe').map((i) => i.src || to(i)).filter(
      (address) => address.includes(host)),
    links: all('a').map(to).filter(
      (address) => new URL(address || '.', location.href).host === host),
    bold: all('strong, b, em').filter((e) => ['bold', 'x'].includes(e.textContent)).length,
    coloured: all('.stMarkdownColoredText, .stMarkdownBadge').filter(
      (e) => e.textContent === 'x').length,
    icons: all('[data-testid="stIconMaterial"]').filter((e) => e.textContent === 'bolt').length,
    formulas: all('.katex').length,
    handlers: all('[onerror]').length,
    scripts: all('script').filter((e) => e.textContent.includes(host)).length,
    reversed: (document.body.innerText + document.title).includes('\\u202e'),
    text: [...all('[data-testid="stMain"]').map((e) => e.textContent), ...typed].join('\\n'),
  };
}"""


def wait_until_drawn(page: Page) -> None:
    """Wait until the script has ended and nothing is being loaded."""
    expect(page.get_by_test_id("stMain").get_by_role("heading", level=1).first).to_be_visible(
        timeout=LONG
    )
    expect(page.locator("[data-test-script-state=notRunning]").first).to_be_attached(timeout=LONG)
    for loading in ("stSpinner", "stSkeleton"):
        expect(page.get_by_test_id(loading)).to_have_count(0, timeout=LONG)


def check(page: Page, listener: Listener, where: str) -> str:
    """Assert that nothing on the page was made of the text but text; what stands there."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    seen = page.evaluate(SEEN, listener.host)
    text = str(seen.pop("text"))
    assert {name: found for name, found in seen.items() if found} == {}, where
    assert "Traceback" not in text, where
    assert listener.asked == [], where
    return text


@pytest.mark.parametrize("place", [place.name for place in PLACES])
def test_hostile_text_stays_text(
    page: Page, hostile: Hostile, listener: Listener, place: str
) -> None:
    """Every page, with all its tabs and popovers, shows the text letter by letter."""
    assert len(listener.text) == LENGTH
    texts = []
    for query in hostile.queries(place):
        page.goto(f"{hostile.app.url}/{place}?{urlencode(query)}")
        wait_until_drawn(page)
        where = f"{place} {query}"
        expect(page.get_by_test_id("stAlertContentError"), where).to_have_count(0)
        texts.append(check(page, listener, where))
        texts += open_all(page, listener, where)
    if place not in SILENT:
        assert LITERAL in "\n".join(texts)


def open_all(page: Page, listener: Listener, where: str) -> list[str]:
    """Open the tabs that the link does not open, and every popover; what stands there."""
    texts = []
    main = page.get_by_test_id("stMain")
    if "section" not in where and "chart" not in where:
        for tab in main.get_by_role("tab").all():
            tab.click()
            wait_until_drawn(page)
            texts.append(check(page, listener, f"{where}, a tab"))
    for popover in main.get_by_test_id("stPopover").get_by_role("button").all():
        if popover.is_visible() and popover.is_enabled():
            popover.click()
            expect(page.get_by_test_id("stPopoverBody")).to_be_visible()
            texts.append(check(page, listener, f"{where}, a popover"))
            popover.click()
            expect(page.get_by_test_id("stPopoverBody")).to_have_count(0)
    return texts


class Careless(Server):
    """The same application, but with ``safe`` letting everything through."""

    def __init__(self, home: Path) -> None:
        super().__init__(home.parent / "careless.log")
        self.home = home
        self.url = f"http://127.0.0.1:{free_port()}"

    def start(self) -> "Careless":
        code = (
            "import sys, core.ui.markup as markup\n"
            "markup.safe = lambda text, length=None: str(text)\n"
            "from streamlit.web.cli import main\n"
            "sys.exit(main())"
        )
        port = self.url.rpartition(":")[2]
        self.launch(
            [sys.executable, "-c", code, "run", "app.py", "--server.address", "127.0.0.1",
             "--server.port", port, "--server.headless", "true"],
            ModeldeckApp(self.home, environment={"MODELDECK_WORKER": "external"}).environment,
            cwd=ROOT,
        )  # fmt: skip
        self.wait_for(f"{self.url}/_stcore/health")
        return self


def test_without_safe_the_check_fails(page: Page, hostile: Hostile, listener: Listener) -> None:
    """What the other tests look at would be there, had the text not been made safe."""
    with Careless(hostile.app.home) as careless:
        page.goto(f"{careless.url}/training?job={hostile.job}")
        wait_until_drawn(page)
        with pytest.raises(AssertionError, match="images"):
            check(page, listener, "careless")
        expect(page.locator(f"img[src*='{listener.host}']").first).to_be_attached()
        until(lambda: "/x.png" in listener.asked, what="the picture to be asked for")
    listener.asked.clear()
