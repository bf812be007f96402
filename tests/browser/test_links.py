"""Links: each opens its page also on a server that nobody has visited yet, and whatever stands in
one, the page finds the right words."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests
from mlflow import MlflowClient
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotSeen

from core.ledger import Ledger
from core.serving import endpoints
from core.settings import load
from core.texts import t
from core.training import jobs
from core.ui.navigation import PLACES, Place
from tests import small_store
from tests.browser.conftest import Watch
from tests.promotions import wished
from tests.servers import MlflowServer, ModeldeckApp
from tests.small_store import SmallStore, Words

PATIENCE = 30_000
RERUNS = 3
GOAL = 150
"""Milliseconds that a page may take to run again. Printed; a busy machine may take longer."""
HUGE, LONG = "1" + 30 * "0", 500 * "x"
NOTHING = "f" * 32
NOT_FOUND, NOT_USABLE = t("errors.title.NotFound"), t("errors.title.InvalidInput")


@dataclass(frozen=True)
class Stage:
    """A page server, and what its links may name."""

    app: ModeldeckApp
    store: SmallStore
    job: str
    endpoint: str
    request: str

    def query(self, place: str) -> dict[str, str]:
        """A query that names something on that page."""
        return {
            "experiments": {"experiment": self.store.experiment, "filter": "metrics.rmse < 1"},
            "compare": {"runs": ",".join(self.store.runs)},
            "run": {"run": self.store.runs[0], "section": t("run.section.curves")},
            "model": {"model": self.store.model, "version": "1"},
            "approvals": {"list": t("approvals.view.open"), "q": "wish"},
            "evidence": {"request": self.request},
            "training": {"job": self.job},
            "endpoints": {"model": self.store.model, "version": "1"},
            "predict": {"ask": self.endpoint, "way": t("predict.ways.json")},
        }.get(place, {})

    def link(self, place: str) -> str:
        path = "" if place == "home" else place
        return f"{self.app.url}/{path}?{urlencode(self.query(place))}"


@pytest.fixture(scope="module")
def stage(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A page server that is not started yet, without a worker."""
    words = Words(experiment="links: rents", model="links-rent")
    store = small_store.make(MlflowClient(mlflow_server.url), words)
    app = ModeldeckApp(
        tmp_path_factory.mktemp("links") / "home",
        tracking_uri=mlflow_server.url,
        environment={"MODELDECK_WORKER": "external"},
    )
    ledger = Ledger(load(app.environment).ledger_uri)
    ledger.migrate()
    job = jobs.QUEUE.add(
        ledger, by="ada", state=jobs.FINISHED, project="tabular", entry_point="main",
        title="a job", message="", params={}, run_id=store.runs[0],
    )  # fmt: skip
    endpoint = endpoints.QUEUE.add(
        ledger, by="ada", state=endpoints.UNHEALTHY, model=store.model, version=1, message="",
        run_id=store.runs[0], source="models:/m-1", restarts=0, host="127.0.0.1", port=9,
    )  # fmt: skip
    ledger.close()
    yield Stage(app, store, job.id, endpoint.id, wished(app.environment, store.model))
    app.stop()


@pytest.fixture
def warm(stage: Stage) -> Stage:
    """The stage with its page server running."""
    if stage.app.process is None:
        stage.app.start()
    return stage


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_link_opens_its_page_on_a_cold_server_as_on_a_warm_one(
    stage: Stage, page: Page, watch: Watch, place: Place
) -> None:
    stage.app.end()
    stage.app.start()
    began = time.monotonic()
    page.goto(stage.link(place.name))
    checks(page, stage, place)
    tell(f"{place.name}: cold {time.monotonic() - began:.2f} s", end="")
    began = time.monotonic()
    page.goto("about:blank")
    page.goto(stage.link(place.name))
    checks(page, stage, place)
    tell(f", warm {time.monotonic() - began:.2f} s", end="")
    tell(f", again {run_again(page):.0f} ms (goal {GOAL})")
    checks(page, stage, place)
    assert not [e for e in watch.console_errors if "404" not in e]


def checks(page: Page, stage: Stage, place: Place) -> None:
    """What holds for every page, however one came to it."""
    title = t(f"nav.title.{place.name}")
    expect(page).to_have_title(f"{title} · {t('nav.app')}", timeout=PATIENCE)
    settled(page)
    expect(main(page).get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    menu = page.get_by_test_id("stSidebarNavLink")
    shown = [t(f"nav.title.{p.name}") for p in PLACES if not p.hidden]
    expect(menu).to_have_text([re.compile(re.escape(name)) for name in shown])
    expect(page.get_by_test_id("stSidebar")).to_contain_text(urlsplit(stage.app.url).hostname or "")
    for name, value in stage.query(place.name).items():
        assert f"{name}={quote(value, safe='')}" in page.url.replace("+", "%20"), page.url


def run_again(page: Page) -> float:
    """Milliseconds until the browser has the whole page again; the median of some runs."""
    return median(_again(page) for _ in range(RERUNS))


def _again(page: Page) -> float:
    """Milliseconds of one run.

    A browser so busy that it learns of a run's beginning and end in one go shows neither: such a
    run cannot be timed, and another is asked for.
    """
    for patience in (5_000, 10_000, PATIENCE):
        page.evaluate(CLOCK)
        page.keyboard.press("r")  # Streamlit's own key for it
        try:
            page.wait_for_function("() => window.deck.ended", timeout=patience)
        except NotSeen:
            continue
        return float(page.evaluate("() => window.deck.ended - window.deck.began"))
    raise AssertionError("no run of the page was seen")


CLOCK = """
() => {
  const app = document.querySelector('[data-test-script-state]');
  const state = () => app.getAttribute('data-test-script-state');
  const deck = window.deck = {ended: null};
  document.addEventListener('keydown', () => { deck.began = performance.now(); },
    {once: true, capture: true});
  let ran = false;
  new MutationObserver(() => {
    ran ||= state() !== 'notRunning';
    if (ran && state() === 'notRunning') deck.ended ??= performance.now();
  }).observe(app, {attributes: true});
}
"""

BAD = [
    ("run?run=", NOT_FOUND),
    (f"run?run={NOTHING}", NOT_FOUND),
    (f"run?run={HUGE}", NOT_FOUND),
    ("run?run=%00", NOT_USABLE),
    ("run?run=../../", NOT_USABLE),
    (f"run?run={LONG}", NOT_USABLE),
    ("run?run=a%27%20OR%201=1", NOT_USABLE),
    ("experiments?experiment=987654321", NOT_FOUND),
    (f"experiments?experiment={HUGE}", NOT_USABLE),
    ("experiments?experiment=%00", NOT_USABLE),
    ("experiments?experiment=../../", NOT_USABLE),
    (f"experiments?experiment={LONG}", NOT_USABLE),
    ("experiments?experiment=" + ",".join(str(n) for n in range(200)), NOT_USABLE),
    ("model?model=", NOT_FOUND),
    ("model?model=nobody", NOT_FOUND),
    (f"model?model={HUGE}", NOT_FOUND),
    ("model?model=%00", NOT_USABLE),
    ("model?model=../../", NOT_USABLE),
    (f"model?model={LONG}", NOT_FOUND),
    ("evidence?request=", NOT_FOUND),
    (f"evidence?request={NOTHING}", NOT_FOUND),
    (f"evidence?request={HUGE}", NOT_FOUND),
    ("evidence?request=%00", NOT_FOUND),
    ("evidence?request=../../", NOT_FOUND),
    (f"evidence?request={LONG}", NOT_FOUND),
    (f"training?job={NOTHING}", NOT_FOUND),
    ("training?job=%00", NOT_FOUND),
    ("training?job=../../", NOT_FOUND),
    (f"training?job={LONG}", NOT_FOUND),
]
"""A link, and the headline of what its page says."""


@pytest.mark.parametrize("kind", ["run", "experiments", "model", "evidence", "training"])
def test_a_link_to_nothing_finds_the_right_words(warm: Stage, page: Page, kind: str) -> None:
    for link, title in BAD:
        if link.startswith(f"{kind}?"):
            page.goto(f"{warm.app.url}/{link}")
            error = page.get_by_test_id("stAlertContentError")
            expect(error, link[:60]).to_have_count(1, timeout=PATIENCE)
            expect(error, link[:60]).to_contain_text(title)
            plain(page, link)


@pytest.mark.parametrize("value", [HUGE, "%00", LONG], ids=["huge", "nul", "long"])
def test_a_part_of_a_link_that_means_nothing_leaves_the_rest(
    warm: Stage, page: Page, value: str
) -> None:
    store = warm.store
    links = [
        f"compare?runs={value}",
        f"compare?runs={store.runs[0]},{value}",
        f"run?run={store.runs[0]}&section={value}",
        f"run?run={store.runs[0]}&section={t('run.section.curves')}&metric={value}",
        f"experiments?experiment={store.experiment}&sort={value}&limit={value}&view={value}",
        f"experiments?experiment={store.experiment}&columns={value}&selected={value}",
        f"experiments?q={value}&state={value}",
        f"models?q={value}&view={value}",
        f"approvals?q={value}&list={value}",
        f"model?model={store.model}&version={value}",
        f"endpoints?endpoint={value}&model={value}&version={value}",
        f"predict?ask={value}&way={value}",
    ]
    for link in links:
        page.goto(f"{warm.app.url}/{link}")
        settled(page)
        plain(page, link)
        for error in page.get_by_test_id("stAlertContentError").all():
            expect(error, link[:80]).to_contain_text(re.compile(f"{NOT_FOUND}|{NOT_USABLE}"))


def test_a_page_that_does_not_exist(warm: Stage, page: Page) -> None:
    page.goto(f"{warm.app.url}/nowhere")
    settled(page)
    plain(page, "nowhere")
    expect(page.get_by_test_id("stSidebarNavLink").first).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/run", "/_stcore/health", "/_stcore/stream", "/app.py"])
def test_another_host_name_is_refused(warm: Stage, path: str) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        answer = requests.get(warm.app.url + path, headers={"Host": host}, timeout=30)
        assert answer.status_code == 400, (path, host)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Host": "evil.example",
    }
    assert requests.get(warm.app.url + path, headers=upgrade, timeout=30).status_code in (400, 403)


def main(page: Page) -> Locator:
    return page.get_by_test_id("stMain")


def settled(page: Page) -> None:
    """The script has run, and nothing is being loaded."""
    expect(page.locator("[data-test-script-state=notRunning]").first).to_be_attached(
        timeout=PATIENCE
    )
    for loading in ("stSpinner", "stSkeleton"):
        expect(page.get_by_test_id(loading)).to_have_count(0, timeout=PATIENCE)


def plain(page: Page, link: str) -> None:
    """No page speaks to a person in Python."""
    text = page.inner_text("body")
    assert "Traceback" not in text, link
    assert t("errors.title.Unexpected") not in text, link
    expect(page.get_by_test_id("stException"), link[:80]).to_have_count(0)


def tell(line: str, end: str = "\n") -> None:
    print(line, end=end)  # noqa: T201 - what was measured, for whoever runs pytest with -s
