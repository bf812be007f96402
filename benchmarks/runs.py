"""Reading runs and asking for them, against MLflow on the same store in the same call.

Each measurement takes turns with its peer, so that both meet the same machine. "Cold" is a home
without a mirror and a process that has read nothing; libraries are imported.
"""

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import mlflow
import pandas as pd
import psutil
from mlflow import MlflowClient
from playwright.sync_api import sync_playwright

from benchmarks import stores
from core.mlflow_api import connect
from core.runs.asked import Order, RunQuery
from core.runs.mirror import Mirror, open_mirror
from core.runs.query import choose, names, query
from core.settings import load
from tests.browser.conftest import ARGUMENTS
from tests.browser_setup import find
from tests.servers import MlflowServer, ModeldeckApp
from tests.waiting import until

RUNS, MANY = 20_000, 100_000
ROUNDS = 5
LIMIT = timedelta(minutes=10).total_seconds()
FILTER = "metrics.accuracy > {least} AND params.optimizer != 'sgd'"
"""MLflow takes it too; each round asks with another number, so that nobody remembers the answer."""
ORDER = "metrics.val_loss"
Found = TypeVar("Found")


def reading(runs: int = RUNS) -> dict[str, object]:
    """All runs of a database that was never read, as one wide table; then one run more."""
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        store = stores.wide(Path(folder) / "wide.db", runs)
        theirs, wide = _timed(lambda: _mlflow_table(store))
        plain, frame = _timed(lambda: _plain_sql(store.path))
        _expect(true=len(wide) == len(frame) == runs, what="MLflow and SQL differ")
        ours, refreshed = [], []
        for round_ in range(3):
            with _opened(Path(folder) / f"home{round_}", store.uri) as mirror:
                ours.append(mirror.took)
                _expect(true=mirror.rows >= runs, what="the mirror lacks runs")
                refreshed.append(_refresh(mirror.mirror, store))
        again, _ = _timed(lambda: _mlflow_table(store))
    cold = min(ours)
    return {
        f"ours, {runs:,} runs as a table (s)": round(cold, 2),
        "mlflow.search_runs (s)": round(theirs, 2),
        "times faster (goal 25)": round(theirs / cold, 1),
        "plain SQL and pivot (s)": round(plain, 2),
        "ours to plain SQL (goal 1.5)": round(cold / plain, 2),
        "refresh after one new run (s; goal 0.3)": round(statistics.median(refreshed), 3),
        "mlflow.search_runs again (s)": round(again, 2),
        "rounds": [round(x, 2) for x in ours],
    }


def reading_over_http(runs: int = RUNS) -> dict[str, object]:
    """All runs through a tracking server, by MLflow's client alone."""
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        store = stores.wide(Path(folder) / "wide.db", runs)
        with MlflowServer(Path(folder) / "server", backend_uri=store.uri) as server:
            _page_through(server.url, store.experiment, most=1)  # the server is warm
            theirs, count = _timed(lambda: _page_through(server.url, store.experiment))
            with _opened(Path(folder) / "home", server.url) as mirror:
                ours, first, rows = mirror.took, mirror.first, mirror.rows
        _expect(true=rows == count == runs, what="the mirror and paging differ")
    return {
        f"ours, first rows of {runs:,} (s; goal 1)": round(first, 2),
        "ours, all of them as a table (s)": round(ours, 2),
        "paging search_runs (s)": round(theirs, 2),
        "ratio (goal 1.1)": round(ours / theirs, 2),
    }


def asking() -> dict[str, object]:
    """A filter, a sort and the first 100 rows, of 20,000 and of 100,000 runs: with the columns that
    the Experiments page begins with, where MLflow's client reads all.
    """
    result: dict[str, object] = {}
    for runs in (RUNS, MANY):
        ours, theirs = _asked(runs)
        result |= {
            f"ours, of {runs:,} (ms; goal 50)": round(1000 * ours, 1),
            f"search_runs(max_results=100), of {runs:,} (ms)": round(1000 * theirs, 1),
            f"times faster, of {runs:,} (goal 5)": round(theirs / ours, 1),
        }
    return result


def memory(runs: int = MANY) -> dict[str, object]:
    """The page server with all runs mirrored, its Experiments page drawn."""
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        store = stores.wide(Path(folder) / "wide.db", runs)
        app = ModeldeckApp(Path(folder) / "home", tracking_uri=store.uri)
        chromium = str(find())
        with app, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{app.url}/experiments?experiment={store.experiment}", timeout=120_000)
            page.wait_for_selector(
                f"[role=grid][aria-rowcount='{runs + 1}']", state="attached", timeout=LIMIT * 1000
            )
            used = psutil.Process(app.pid).memory_info().rss
            browser.close()
    return {f"page server, {runs:,} runs mirrored and drawn (MB; goal 700)": round(used / 2**20)}


# --------------------------------------------------------------------------------------- ours


@dataclass(frozen=True)
class _Read:
    """A mirror that was read cold."""

    mirror: Mirror
    took: float
    """Seconds until all runs were a table."""
    first: float
    """Seconds until some runs were."""
    rows: int


class _opened(AbstractContextManager[_Read]):  # noqa: N801 - used as a function
    """A mirror in a new home, from nothing to a table of all runs."""

    def __init__(self, home: Path, uri: str) -> None:
        self._home, self._uri = home, uri
        self._stack = ExitStack()

    def __enter__(self) -> _Read:
        self._home.mkdir()
        settings = load({"MODELDECK_HOME": str(self._home), "MLFLOW_TRACKING_URI": self._uri})
        api = connect(settings)
        readable = frozenset(e.id for e in api.tracking.experiments())
        began = time.perf_counter()
        mirror = open_mirror(settings, api)
        self._stack.callback(mirror.close)
        mirror.want(sorted(readable))
        until(lambda: _rows(mirror, readable, 100) > 0, LIMIT, "first rows", every=0.01)
        first = time.perf_counter() - began
        until(lambda: mirror.coverage.complete, LIMIT, "all runs", every=0.01)
        rows = _rows(mirror, readable, None)
        return _Read(mirror, time.perf_counter() - began, first, rows)

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _rows(mirror: Mirror, readable: frozenset[str], limit: int | None) -> int:
    return len(query(mirror, RunQuery(limit=limit), readable).frame)


_WRITE = """
import sys
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
client = MlflowClient(sys.argv[1])
run = client.create_run(sys.argv[2], run_name="one more")
values = [Metric("accuracy", 0.5, 1, 1), Metric("val_loss", 0.5, 1, 1)]
client.log_batch(run.info.run_id, values, [Param("optimizer", "adam")])
client.set_terminated(run.info.run_id)
print(run.info.run_id)
"""


def _refresh(mirror: Mirror, store: stores.BigStore) -> float:
    """Seconds until the table has a run that another process made and ended."""
    command = [sys.executable, "-c", _WRITE, store.uri, store.experiment]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    readable = frozenset([store.experiment])
    began = time.perf_counter()
    mirror.refresh()
    newest = query(mirror, RunQuery(limit=100), readable).ids
    took = time.perf_counter() - began
    _expect(true=made in newest, what="the new run is not there")
    return took


def _asked(runs: int) -> tuple[float, float]:
    """Seconds, ours (the median) and MLflow's (asked once: it takes its time)."""
    with tempfile.TemporaryDirectory(prefix="modeldeck-bench-") as folder:
        store = stores.wide(Path(folder) / "wide.db", runs)
        client = MlflowClient(store.uri)
        readable = frozenset([store.experiment])
        ours = []
        with _opened(Path(folder) / "home", store.uri) as read:
            everything = names(read.mirror, RunQuery(limit=None), readable)
            shown = choose(everything).shown
            for round_ in range(ROUNDS + 1):
                text = FILTER.format(least=0.6 + round_ / 1000)
                asked = RunQuery(filter=text, order=(Order(ORDER),), columns=shown)
                seconds, table = _timed(lambda asked=asked: query(read.mirror, asked, readable))
                ours += [seconds] if round_ else []  # the first one warms up
        theirs, page = _timed(
            lambda: client.search_runs(
                [store.experiment], text, order_by=[f"{ORDER} ASC"], max_results=100
            )
        )
        _expect(true=table.ids == [run.info.run_id for run in page], what="answers differ")
    return statistics.median(ours), theirs


# ------------------------------------------------------------------------------------- theirs


def _mlflow_table(store: stores.BigStore) -> pd.DataFrame:
    mlflow.set_tracking_uri(store.uri)  # noqa: TID251 - search_runs knows no other way
    return mlflow.search_runs([store.experiment], max_results=10_000_000)


def _page_through(uri: str, experiment: str, most: int | None = None) -> int:
    client, token, count, pages = MlflowClient(uri), None, 0, 0
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        count, pages, token = count + len(page), pages + 1, page.token
        if not token or pages == most:
            return count


def _plain_sql(path: Path) -> pd.DataFrame:
    """The same table by SQL and a pivot: what one would write for this store alone."""
    with sqlite3.connect(path) as db:
        runs = pd.read_sql("SELECT * FROM runs", db, index_col="run_uuid")
        wide = [
            pd.read_sql(f"SELECT run_uuid, key, value FROM {table}", db).pivot(  # noqa: S608 - ours
                index="run_uuid", columns="key", values="value"
            ).add_prefix(f"{prefix}.")
            for table, prefix in (("latest_metrics", "metrics"), ("params", "params"),
                                  ("tags", "tags"))
        ]  # fmt: skip
    return runs.join(wide)


def _expect(*, true: bool, what: str) -> None:
    """A measurement of something else than was meant is none."""
    if not true:
        raise RuntimeError(what)


def _timed(work: Callable[[], Found]) -> tuple[float, Found]:
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done
