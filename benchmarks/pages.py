"""Pages in Chromium on 20,000 runs, against MLflow's own page on the same store.

A table counts as drawn when the browser holds all its rows, parallel coordinates when their drawing
says so and its graphics context has finished, curves when their figure holds all its lines and the
picture has stopped changing. Both servers are warm: each
page was open once before. Medians of ``ROUNDS``; our pages and MLflow's take turns.
"""

import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import stores
from tests.browser.conftest import ARGUMENTS
from tests.browser.test_links import run_again
from tests.browser_setup import find
from tests.servers import MlflowServer, ModeldeckApp

RUNS = 20_000
ROUNDS = 5
VERSIONS = 5_000
LIMIT = 120_000
"""Milliseconds; a limit for a page that fails, no measure of speed."""

WATCH = """
() => {
  // Each canvas and drawing of the chart, as small numbers: the picture, or near enough.
  const scratch = document.createElement('canvas');
  scratch.width = scratch.height = 24;
  const pen = scratch.getContext('2d', {willReadFrequently: true});
  const picture = () => [...document.querySelectorAll('.js-plotly-plot canvas')].map(c => {
    pen.clearRect(0, 0, 24, 24);
    if (c.width && c.height) pen.drawImage(c, 0, 0, 24, 24);
    return pen.getImageData(0, 0, 24, 24).data.reduce((a, b, i) => (a + b * (i + 1)) % 1e9, 0);
  }).join() + document.querySelectorAll('.js-plotly-plot path').length;
  window.still = {last: '', at: 0};
  const look = () => {
    const now = picture();
    if (now !== window.still.last) window.still = {last: now, at: performance.now()};
    requestAnimationFrame(look);
  };
  look();
}
"""
FINISHED = """
async () => {
  const find = root => {
    for (const e of root.querySelectorAll('*')) {
      if (e.matches('.parallel[data-drawn]')) return e;
      const inner = e.shadowRoot && find(e.shadowRoot);
      if (inner) return inner;
    }
  };
  const gl = [...find(document).querySelectorAll('canvas')].map(c => c.getContext('webgl2'))
    .find(found => found);
  const pixel = new Uint8Array(4);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);  // waits for what was drawn
  await new Promise(requestAnimationFrame);
  return performance.now();
}
"""
DRAWN = """
([kind, wanted, quiet]) => {
  const plots = [...document.querySelectorAll('.js-plotly-plot')];
  const traces = plots.flatMap(p => p.data || []).filter(d => d.type.startsWith(kind));
  const whole = traces.length >= wanted && performance.now() - window.still.at > quiet;
  return whole ? window.still.at : 0;
}
"""
QUIET = 600
"""Milliseconds without a change after which a picture is taken to be whole."""
PLANTED = """
([spikes, nans]) => {
  const traces = [...document.querySelectorAll('.js-plotly-plot')].flatMap(p => p._fullData || []);
  const at = new Set(), marked = new Set();
  for (const d of traces) {
    const x = Array.from(d.x || []), y = Array.from(d.y || []);
    const lines = (d.mode || '').includes('lines');
    x.forEach((step, i) => {
      if (lines && y[i] > 2.5) at.add(step);
      if (!lines && nans.includes(step)) marked.add(step);
    });
  }
  return [spikes.filter(s => at.has(s)).length, nans.filter(s => marked.has(s)).length];
}
"""


def table_and_parallel() -> dict[str, object]:
    """The table and the parallel coordinates of all runs; MLflow's table of its first 100."""
    chromium = str(find())
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        store = stores.wide(Path(folder) / "wide.db", RUNS)
        newest = f"-{RUNS - 1:06d}"
        app = ModeldeckApp(Path(folder) / "home", tracking_uri=store.uri)
        server = MlflowServer(Path(folder) / "mlflow", backend_uri=store.uri)
        with app, server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            table = f"{app.url}/experiments?experiment={store.experiment}"
            compare = f"{app.url}/compare?experiment={store.experiment}"
            theirs = f"{server.url}/#/experiments/{store.experiment}/runs"
            took: dict[str, list[float]] = {"table": [], "parallel": [], "mlflow": [], "rerun": []}
            for round_ in range(ROUNDS + 1):
                seconds = {
                    "table": _table(browser, table, RUNS),
                    "parallel": _parallel(browser, compare, RUNS),
                    "mlflow": _until_text(browser, theirs, newest),
                    "rerun": _rerun(browser, table, RUNS),
                }
                for name, value in seconds.items():
                    took[name] += [value] if round_ else []  # the first one warms up
            browser.close()
    median = {name: statistics.median(values) for name, values in took.items()}
    return {
        f"table of all {RUNS:,} (s)": round(median["table"], 2),
        f"parallel coordinates of all {RUNS:,} (s)": round(median["parallel"], 2),
        "MLflow's table of its 100 (s)": round(median["mlflow"], 2),
        "table, ratio (goal 1.0)": round(median["table"] / median["mlflow"], 2),
        "parallel coordinates, ratio (goal 1.0)": round(median["parallel"] / median["mlflow"], 2),
        "Experiments page run again, as the browser sees it (ms; goal 150)": round(
            median["rerun"] * 1000
        ),
        "rounds": {name: [round(v, 2) for v in values] for name, values in took.items()},
    }


def curves() -> dict[str, object]:
    """Curves of 100 runs × 10,000 steps of one metric, and what of the odd points is seen."""
    chromium = str(find())
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        store = stores.curves(Path(folder) / "curves.db")
        spikes, nans = stores.planted()
        app = ModeldeckApp(Path(folder) / "home", tracking_uri=store.uri)
        with app, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            link = f"{app.url}/compare?experiment={store.experiment}&chart=Curves&curve=metric_"
            took = []
            seen: tuple[int, int] = (0, 0)
            for k in (19, 1, 2, 3, 4, 0):  # a metric that was not read before, each time
                page = _visit(browser, f"{link}{k:02d}")
                drawn = _drawn(page, "scatter", store.runs)
                took += [drawn] if k != 19 else []
                wanted = [[int(s) for s in spikes], [int(s) for s in nans]]
                if k == 0:
                    seen = tuple(page.evaluate(PLANTED, wanted))
                page.context.close()
            browser.close()
    return {
        "curves of 100 runs × 10,000 steps (s; goal 2)": round(statistics.median(took), 2),
        "planted spikes seen (goal 20)": seen[0],
        "planted NaN marked (goal 20)": seen[1],
        "rounds": [round(v, 2) for v in took],
    }


def versions() -> dict[str, object]:
    """The Model page of 5,000 versions: a new session on a server that is warm, and a page run
    again; on the embedded store and on a tracking server."""
    chromium = str(find())
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        store = stores.versions(Path(folder) / "versions.db", VERSIONS)
        with MlflowServer(Path(folder) / "mlflow", backend_uri=store.uri) as server:
            for where, uri in (("embedded", store.uri), ("server", server.url)):
                app = ModeldeckApp(Path(folder) / where, tracking_uri=uri)
                with app, sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                    opened, whole, again = [], [], []
                    for round_ in range(ROUNDS + 1):
                        first, all_of_them, rerun = _model(browser, app.url)
                        if round_:  # the first one warms up
                            opened.append(first)
                            whole.append(all_of_them)
                            again.append(rerun)
                    browser.close()
                median = statistics.median
                result |= {
                    f"{where}: model of {VERSIONS:,} versions (s; goal 1)": round(
                        median(opened), 2
                    ),
                    f"{where}: until all are read (s)": round(median(whole), 2),
                    f"{where}: run again (ms; goal 150)": round(median(again)),
                    f"{where}: rounds": [round(v, 2) for v in opened],
                }
    return result


def _model(browser: Browser, url: str) -> tuple[float, float, float]:
    """Seconds until the versions are in the table, until all were read, and ms of a rerun."""
    page = _visit(browser, f"{url}/model?model=search-ranker")
    page.wait_for_selector("[role=grid][aria-rowcount]", state="attached", timeout=LIMIT)
    page.wait_for_selector("text=Move v", timeout=LIMIT)
    first = float(page.evaluate("performance.now()")) / 1000
    page.wait_for_selector(f"text=of {VERSIONS:,} versions", timeout=LIMIT)
    whole = float(page.evaluate("performance.now()")) / 1000
    page.wait_for_timeout(QUIET)
    took = run_again(page)
    page.context.close()
    return first, whole, took


def _visit(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(f"window.addEventListener('DOMContentLoaded', {WATCH})")
    page.goto(url)
    return page


def _table(browser: Browser, url: str, rows: int) -> float:
    """Seconds from the start of the navigation until the table holds ``rows`` rows."""
    page = _visit(browser, url)
    grid = f"[role=grid][aria-rowcount='{rows + 1}']"
    page.wait_for_selector(grid, state="attached", timeout=LIMIT)
    took = float(page.evaluate("performance.now()")) / 1000
    page.context.close()
    return took


def _parallel(browser: Browser, url: str, lines: int) -> float:
    page = _visit(browser, url)
    page.wait_for_selector(".parallel[data-drawn]", timeout=LIMIT)
    took = float(page.evaluate(FINISHED)) / 1000
    page.wait_for_selector(f"text={lines:,} runs")
    page.context.close()
    return took


def _drawn(page: Page, kind: str, lines: int) -> float:
    """Seconds from the start of the navigation until the last change of the whole picture."""
    done = page.wait_for_function(DRAWN, arg=[kind, lines, QUIET], timeout=LIMIT)
    return float(done.json_value()) / 1000


def _until_text(browser: Browser, url: str, text: str) -> float:
    page = _visit(browser, url)
    page.wait_for_selector(f"text={text}", timeout=LIMIT)
    took = float(page.evaluate("performance.now()")) / 1000
    page.context.close()
    return took


def _rerun(browser: Browser, url: str, rows: int) -> float:
    page = _visit(browser, url)
    page.wait_for_selector(f"[role=grid][aria-rowcount='{rows + 1}']", state="attached")
    page.wait_for_timeout(QUIET)
    took = run_again(page) / 1000
    page.context.close()
    return took
