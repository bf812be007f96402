"""Metric histories through MLflow's client, as arrays: works with every server."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import NotFound
from core.mlflow_api import ids
from core.mlflow_api.gateway import Gateway, Kind
from core.texts import t

if TYPE_CHECKING:
    from mlflow import MlflowClient

MOST_RUNS, MOST_POINTS = 100, 2500
"""What MLflow's server gives at most in one answer about many runs: runs, and points of each."""

_PAGE = 25_000
_numbers = itertools.count(1)
_PATH = "/api/2.0/mlflow/metrics/get-history-bulk-interval"


@dataclass(frozen=True, eq=False)
class History:
    """Every value that a run logged for one metric, in the order of steps, then of times.

    Arrays of one length, not to be written to.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    """NaN is NaN; an infinite value is the largest number there is, as MLflow stores it."""
    times: NDArray[np.int64]
    """Milliseconds since 1970, UTC."""
    number: int = field(default_factory=lambda: next(_numbers))
    """No other history in this process has it: what is made of this one is remembered by it."""

    def __len__(self) -> int:
        return len(self.steps)


def history(
    steps: NDArray[Any], values: NDArray[Any], nan: NDArray[Any] | None, times: NDArray[Any]
) -> History:
    """The points in order; where ``nan`` is set the value is NaN, whatever stands there."""
    steps, times = steps.astype(np.int64, copy=False), times.astype(np.int64, copy=False)
    values = values.astype(np.float64, copy=False)
    if nan is not None and nan.any():
        values = np.where(nan.astype(bool), np.nan, values)
    later = steps[1:] > steps[:-1]
    if not (later | ((steps[1:] == steps[:-1]) & (times[1:] >= times[:-1]))).all():
        order = np.lexsort((times, steps))
        steps, values, times = steps[order], values[order], times[order]
    return History(steps, values, times)


class ClientHistories:
    """Reads metric histories through MLflow's client.

    Args:
        gateway: the door to the tracking store.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._in_bulk = not gateway.is_database and not gateway.is_limited

    def whole(self, run_id: str, key: str) -> History:
        """All points of one metric of one run.

        Raises:
            DeckError: MLflow does not answer, or there is no such run.
        """
        checked = ids.run_id(run_id)
        points = self._gateway.read(
            t("mlflow.action.history"), lambda c: c.get_metric_history(checked, key), Kind.PAGE
        )
        return _of(points)

    def newer(self, run_id: str, key: str, known: History) -> History:
        """``known`` with what was logged since; the same object where that is nothing.

        MLflow gives points by time, so that only those after the last are asked for. Where the last
        is not where it was, something was logged with an older time, and all is read again.
        """
        if not len(known) or self._gateway.is_limited:
            return self.whole(run_id, key)
        checked = ids.run_id(run_id)
        last = np.lexsort((known.steps, known.times))[-1]
        found = self._gateway.read(
            t("mlflow.action.history"),
            lambda c: _after(c, checked, key, len(known) - 1),
            Kind.PAGE,
        )
        first = found[:1]
        if [(p.timestamp, p.step) for p in first] != [(known.times[last], known.steps[last])]:
            return self.whole(run_id, key)
        if len(found) == 1:
            return known
        more = _of(found[1:])
        return history(
            np.concatenate([known.steps, more.steps]),
            np.concatenate([known.values, more.values]),
            None,
            np.concatenate([known.times, more.times]),
        )

    def many(self, run_ids: Sequence[str], key: str) -> dict[str, History]:
        """One metric of up to ``MOST_RUNS`` runs in one answer: those that came whole.

        A run that has so many points that the server picked some of them is not among them, and
        none is where the server does not know the question, which MLflow does not document.
        """
        if not self._in_bulk:
            return {}
        checked = [ids.run_id(run) for run in run_ids[:MOST_RUNS]]
        try:
            rows = self._gateway.read(
                t("mlflow.action.history"), lambda c: _interval(c, checked, key), Kind.PAGE
            )
        except NotFound:
            # Which of them is gone, or whether the question is unknown: asked one by one, one sees.
            return {}
        if rows is None:
            self._in_bulk = False
            return {}
        by_run: dict[str, list[Any]] = {run: [] for run in checked}
        for row in rows:
            by_run[row["run_id"]].append(row)
        return {
            run: history(*_columns((_point(p) for p in points), len(points)))
            for run, points in by_run.items()
            if len(points) < MOST_POINTS
        }


def _interval(client: "MlflowClient", run_ids: Sequence[str], key: str) -> list[Any] | None:
    """The points as the server wrote them; None where it does not know the question.

    Its JSON is read as it is: through MLflow's messages it takes several times as long.
    """
    from mlflow.utils.rest_utils import http_request

    store = client._tracking_client.store  # noqa: SLF001 - the public client has no such question
    reply = http_request(
        host_creds=store.get_host_creds(),
        endpoint=_PATH,
        method="GET",
        params={"run_ids": list(run_ids), "metric_key": key, "max_results": MOST_POINTS},
    )
    if reply.status_code != 200:
        return None
    metrics = reply.json().get("metrics", [])
    return metrics if isinstance(metrics, list) else None


def _after(client: "MlflowClient", run_id: str, key: str, offset: int) -> list[Any]:
    """The points from the ``offset``-th on, by time, step and value."""
    from mlflow.utils.search_utils import SearchUtils

    store = client._tracking_client.store  # noqa: SLF001 - the public client always reads all
    found: list[Any] = []
    token = SearchUtils.create_page_token(offset) if offset else None
    while True:
        page = store.get_metric_history(run_id, key, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _of(points: Sequence[Any]) -> History:
    rows = ((p.step, float(p.value), p.timestamp) for p in points)
    return history(*_columns(rows, len(points)))


def _point(row: dict[str, Any]) -> tuple[int, float, int]:
    return int(row.get("step", 0)), float(row.get("value", 0.0)), int(row["timestamp"])


def _columns(
    rows: Iterable[tuple[int, float, int]], n: int
) -> tuple[NDArray[Any], NDArray[Any], None, NDArray[Any]]:
    made = np.fromiter(rows, [("step", "i8"), ("value", "f8"), ("at", "i8")], n)
    # A client may log an infinite value to a store that is no database of MLflow's.
    largest = math.nextafter(math.inf, 0)
    return made["step"], np.clip(made["value"], -largest, largest), None, made["at"]
