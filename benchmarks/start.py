"""From the command to the first usable page: ``make run`` against ``mlflow server``.

Both on the same store (the sample project), in turn, in one call; the environment is installed. A
page is usable when its main content is drawn: Modeldeck's Home with its models in Production,
MLflow's list of experiments. ``mlflow server`` runs with its defaults.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import ARGUMENTS
from tests.browser_setup import find
from tests.servers import ROOT, clean_environment, free_port

ROUNDS = 3
LIMIT = 180.0


def measure() -> dict[str, object]:
    """Medians over the rounds, in seconds, and their ratio."""
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        home = Path(folder) / "home"
        env = clean_environment({"MODELDECK_HOME": str(home)})
        subprocess.run([sys.executable, "-m", "core", "demo"], cwd=ROOT, env=env, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        chromium = str(find())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            for _ in range(ROUNDS):
                ours.append(_modeldeck(browser, env))
                theirs.append(_mlflow(browser, home))
            browser.close()
    return {
        "make run, first usable page (s)": round(statistics.median(ours), 2),
        "mlflow server, first usable page (s)": round(statistics.median(theirs), 2),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 3),
        "rounds, ours": [round(x, 2) for x in ours],
        "rounds, theirs": [round(x, 2) for x in theirs],
    }


def _modeldeck(browser: Browser, env: dict[str, str]) -> float:
    port = free_port()
    try:
        return _timed(
            browser,
            ["make", "--no-print-directory", "run"],
            {**env, "MODELDECK_PORT": str(port)},
            f"http://127.0.0.1:{port}/",
            "text=In Production",
        )
    finally:
        subprocess.run([sys.executable, "-m", "core", "stop"], cwd=ROOT, env=env, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip


def _mlflow(browser: Browser, home: Path) -> float:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"]
    return _timed(
        browser,
        command,
        clean_environment({}),
        f"http://127.0.0.1:{port}/#/experiments",
        "text=Wine classification",
    )


def _timed(
    browser: Browser, command: list[str], env: dict[str, str], url: str, selector: str
) -> float:
    """Seconds from starting ``command`` until ``selector`` is visible at ``url``."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while time.perf_counter() - began < LIMIT:
            try:
                page.goto(url, timeout=10_000)
                break
            except Exception:  # noqa: BLE001 - not listening yet; the loop ends at the limit
                page.wait_for_timeout(50)
        page.wait_for_selector(selector, timeout=LIMIT * 1000)
        return time.perf_counter() - began
    finally:
        context.close()
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
