"""Metric histories: through the client and in bulk alike, kept within a bound, then what is new."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, ServerSlow
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.bulk_connection import BulkFailed
from core.mlflow_api.bulk_histories import BulkHistories
from core.mlflow_api.histories import ClientHistories, History
from core.runs import histories as module
from core.runs.histories import Histories, Wanted
from core.settings import load

Point = tuple[float, int, int]
"""Value, step, ms."""


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """An empty store."""
    made = connect(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("home"))}))
    yield made
    made.gateway.close()


def log(mlflow: Mlflow, run: str, key: str, points: list[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(key, value, at, step) for value, step, at in points]
    mlflow.gateway.write("logging", lambda c: c.log_batch(run, metrics=metrics))


def a_run(mlflow: Mlflow, metrics: dict[str, list[float]], *, ended: bool = True) -> Wanted:
    run = mlflow.tracking.create_run("0", "r").id
    for key, values in metrics.items():
        log(mlflow, run, key, [(v, i, 1000 + i) for i, v in enumerate(values)])
    if ended:
        mlflow.tracking.set_status(run, "FINISHED")
    return Wanted(run, "r", ended, frozenset(metrics))


def rows(history: History) -> list[tuple[int, str, int]]:
    columns = (history.steps.tolist(), map(repr, history.values.tolist()), history.times.tolist())
    return sorted(zip(*columns, strict=True))


def database(mlflow: Mlflow) -> str:
    return mlflow.gateway.tracking_uri


# ------------------------------------------------------------------------------ the two sources


def points() -> st.SearchStrategy[list[Point]]:
    odd = st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.0, -0.0])
    value = odd | st.floats(-1e300, 1e300, allow_subnormal=False)
    return st.lists(
        st.tuples(value, st.integers(-5, 30), st.integers(0, 10**13)),
        min_size=1,
        max_size=12,
        unique_by=lambda point: point[1:],  # MLflow takes the same point once
    )


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(points(), points())
def test_client_and_database_give_the_same_points_at_once_and_later(
    mlflow: Mlflow, first: list[Point], more: list[Point]
) -> None:
    run = mlflow.tracking.create_run("0", "r").id
    client, bulk = ClientHistories(mlflow.gateway), BulkHistories(database(mlflow))
    log(mlflow, run, "a", first)
    seen = [source.whole(run, "a") for source in (client, bulk)]
    assert rows(seen[0]) == rows(seen[1])
    for source, known in zip((client, bulk), seen, strict=True):
        assert source.newer(run, "a", known) is known
    known_at = {point[1:] for point in first}
    log(mlflow, run, "a", [point for point in more if point[1:] not in known_at])
    newer = [s.newer(run, "a", known) for s, known in zip((client, bulk), seen, strict=True)]
    assert rows(newer[0]) == rows(newer[1]) == rows(bulk.whole(run, "a"))
    for one in newer:
        assert (np.diff(one.steps) >= 0).all()


def test_nothing_logged_is_an_empty_history_that_grows(mlflow: Mlflow) -> None:
    run = a_run(mlflow, {"a": [1.0]}, ended=False).id
    for source in (ClientHistories(mlflow.gateway), BulkHistories(database(mlflow))):
        none = source.whole(run, "absent")
        assert len(none) == 0
        assert len(source.newer(run, "absent", none)) == 0


def test_a_database_that_is_not_there_fails(tmp_path: Path) -> None:
    with pytest.raises(BulkFailed):
        BulkHistories(f"sqlite:///{tmp_path / 'none.db'}").whole("a", "b")


# ------------------------------------------------------------------------------------- many runs


@pytest.mark.parametrize("bulk", [False, True])
def test_points_progress_and_caps(mlflow: Mlflow, *, bulk: bool) -> None:
    runs = [a_run(mlflow, {"a": [1.0, 2.0], "b": [3.0]}) for _ in range(3)]
    told: list[tuple[int, int]] = []
    reader = Histories(mlflow, database(mlflow) if bulk else None)
    found = reader.curves(runs, ["a", "b"], lambda n, of: told.append((n, of)))
    assert (len(found.lines), found.existing, found.short) == (6, 6, "")
    assert [(x.run, x.key) for x in found.lines] == [(r.id, k) for r in runs for k in ("a", "b")]
    assert told[-1] == (6, 6)
    assert found.points == 9
    assert found.single == ("b",)
    capped = reader.curves(runs, ["a"], most=2)
    assert (len(capped.lines), capped.short) == (2, "curves")


def test_no_more_points_are_read_than_a_figure_holds(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_POINTS", 20)
    runs = [a_run(mlflow, {"a": [1.0] * 10}) for _ in range(12)]
    found = Histories(mlflow, database(mlflow)).curves(runs, ["a"])
    assert found.short == "points"
    assert 2 <= len(found.lines) < 12


def test_what_has_ended_is_read_once(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(mlflow, {"a": [1.0, 2.0]})
    reader = Histories(mlflow)
    (first,) = reader.curves([run], ["a"]).lines

    def fail(*_: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(ClientHistories, "whole", fail)
    monkeypatch.setattr(ClientHistories, "newer", fail)
    (again,) = reader.curves([run], ["a"]).lines
    assert again.history is first.history


@pytest.mark.parametrize("bulk", [False, True])
def test_of_a_running_run_only_what_is_new_is_read(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch, *, bulk: bool
) -> None:
    run = a_run(mlflow, {"a": [1.0, 2.0]}, ended=False)
    reader = Histories(mlflow, database(mlflow) if bulk else None)
    (first,) = reader.curves([run], ["a"]).lines

    def fail(*_: object) -> None:
        raise AssertionError("read as a whole")

    monkeypatch.setattr(ClientHistories, "whole", fail)
    monkeypatch.setattr(BulkHistories, "whole", fail)
    (same,) = reader.curves([run], ["a"]).lines
    assert same.history is first.history
    log(mlflow, run.id, "a", [(5.0, 2, 3000)])
    (grown,) = reader.curves([run], ["a"]).lines
    assert grown.history.values.tolist() == [1, 2, 5]
    assert grown.history.number != first.history.number


def test_a_stopped_reading_draws_what_was_read_and_goes_on_from_there(mlflow: Mlflow) -> None:
    runs = [a_run(mlflow, {"a": [1.0, 2.0]}) for _ in range(30)]
    reader = Histories(mlflow, database(mlflow))

    def stop(done: int, _: int) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader.curves(runs, ["a"], stop)
    kept = reader.curves(runs, ["a"], only_kept=True)
    assert kept.short == "stopped"
    assert 5 <= len(kept.lines) < 30
    assert len(reader.curves(runs, ["a"]).lines) == 30


def test_a_database_that_fails_is_asked_through_the_client(mlflow: Mlflow, tmp_path: Path) -> None:
    run = a_run(mlflow, {"a": [1.0, 2.0]})
    (line,) = Histories(mlflow, f"sqlite:///{tmp_path / 'none.db'}").curves([run], ["a"]).lines
    assert line.history.values.tolist() == [1, 2]


def test_a_failure_rises_and_does_not_wait_for_the_others(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput):
        Histories(mlflow).curves([Wanted("no id", "gone", True, frozenset("a"))], ["a"])
    go = threading.Event()

    def answer(_: object, run_id: str, __: str) -> None:
        if run_id == "bad":
            raise ServerSlow("too slow")
        go.wait(20)

    monkeypatch.setattr(ClientHistories, "whole", answer)
    began = time.monotonic()
    wanted = [Wanted(i, i, True, frozenset("a")) for i in ("hangs", "bad")]
    reader = Histories(mlflow)
    reader._long.add("a")  # each on its own
    with pytest.raises(ServerSlow):
        reader.curves(wanted, ["a"])
    go.set()
    assert time.monotonic() - began < 10


def test_what_is_kept_is_bounded(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_POINTS", 25)
    runs = [a_run(mlflow, {"a": [1.0] * 10}) for _ in range(4)]
    reader = Histories(mlflow, database(mlflow))
    for run in [*runs, runs[-1]]:
        assert len(reader.curves([run], ["a"]).lines) == 1
    assert reader._points == 20
    assert set(reader._kept) == {(run.id, "a") for run in runs[-2:]}


def test_nothing(mlflow: Mlflow) -> None:
    assert Histories(mlflow).curves([], ["a"]).lines == ()
