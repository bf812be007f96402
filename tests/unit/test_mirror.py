"""The mirror's tables: what is written, what stays as it was, what counts as a number."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pytest

from core.errors import ServerUnreachable
from core.mlflow_api import connect
from core.mlflow_api.batch import DATASETS, METRICS, PARAMS, RUNS, TAGS, Batch
from core.runs.mirror import Mirror, writing
from core.runs.mirror.client import ClientFeed
from core.settings import load
from tests.mirrors import rows


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    mirror = Mirror.in_memory(connect(load({"MODELDECK_HOME": str(tmp_path)})))
    yield mirror
    mirror.close()


def batch(
    *runs: str,
    params: tuple[tuple[str, str, str], ...] = (),
    metrics: tuple[tuple[str, str, float], ...] = (),
    tags: tuple[tuple[str, str, str], ...] = (),
    datasets: tuple[tuple[str, str, str, str | None], ...] = (),
    name: str = "n",
    stage: str = "active",
    status: str = "FINISHED",
) -> Batch:
    heads = [(run, "1", name, status, None, 1, 2, "file:///x", stage) for run in runs]
    points = [
        (run, key, 0.0 if math.isnan(value) else value, math.isnan(value), 3, 4)
        for run, key, value in metrics
    ]
    tables = ((heads, RUNS), (params, PARAMS), (points, METRICS), (tags, TAGS))
    made = [
        pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in of], schema)
        for of, schema in (*tables, (datasets, DATASETS))
    ]
    return Batch(*made)


def test_a_name_that_is_param_metric_and_tag_is_three_keys(mirror: Mirror) -> None:
    same = batch(
        "a", params=(("a", "x", "1"),), metrics=(("a", "x", 1.0),), tags=(("a", "x", "1"),)
    )
    assert mirror.write(same) == 1
    with mirror.cursor() as c:
        assert rows(c, "SELECT kind, name FROM keys ORDER BY kind") == [
            ("metric", "x"),
            ("param", "x"),
            ("tag", "x"),
        ]
        assert rows(c, "SELECT value, number FROM params") == [("1", 1.0)]
        assert rows(c, "SELECT value, is_nan, step, timestamp FROM metrics") == [(1.0, False, 3, 4)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.10", 0.1),
        ("-3", -3.0),
        ("1e-5", 1e-5),
        (" 7 ", 7.0),
        ("1_000", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("", None),
        ("0x10", None),
        ("1,5", None),
        ("true", None),
    ],
)
def test_what_counts_as_a_number_in_a_param(
    mirror: Mirror, text: str, number: float | None
) -> None:
    mirror.write(batch("a", params=(("a", "p", text),)))
    with mirror.cursor() as c:
        assert rows(c, "SELECT value, number FROM params") == [(text, number)]


def test_a_run_without_anything_and_one_in_a_parent(mirror: Mirror) -> None:
    mirror.write(batch("a", "b", tags=(("b", "mlflow.parentRunId", "a"),)))
    with mirror.cursor() as c:
        assert rows(c, "SELECT run_id, parent_id FROM runs ORDER BY run_id") == [
            ("a", None),
            ("b", "a"),
        ]


def test_writing_the_same_again_changes_nothing(mirror: Mirror) -> None:
    whole = batch(
        "a",
        "b",
        params=(("a", "p", "1"),),
        metrics=(("a", "m", math.nan), ("b", "m", 2.0)),
        tags=(("b", "t", ""),),
        datasets=(("a", "d", "1", None), ("a", "d", "1", "eval")),
    )
    assert mirror.write(whole) == 2
    before = mirror.revision
    assert mirror.write(whole) == 0
    assert mirror.revision == before


def test_only_the_run_that_differs_is_written_and_it_keeps_its_number(mirror: Mirror) -> None:
    mirror.write(batch("a", "b", tags=(("a", "t", "1"), ("b", "t", "1"))))
    with mirror.cursor() as c:
        numbers = dict(rows(c, "SELECT run_id, no FROM runs"))
    before = mirror.revision
    assert mirror.write(batch("a", "b", tags=(("a", "t", "1"), ("b", "t", "2")))) == 1
    assert mirror.revision > before
    with mirror.cursor() as c:
        assert dict(rows(c, "SELECT run_id, no FROM runs")) == numbers
        assert rows(c, "SELECT run_id, value FROM runs JOIN tags ON run = no ORDER BY 1") == [
            ("a", "1"),
            ("b", "2"),
        ]


@pytest.mark.parametrize(
    "changed",
    [
        batch("a", metrics=(("a", "m", math.nan),)),
        batch("a", metrics=(("a", "m", 1.0),), params=(("a", "p", "1"),)),
        batch("a", metrics=(("a", "m", 1.0),), datasets=(("a", "d", "1", None),)),
        batch("a", metrics=(("a", "m", 1.0),), name="other"),
        batch("a", metrics=(("a", "m", 1.0),), stage="deleted"),
        batch("a"),
    ],
)
def test_every_kind_of_change_is_found(mirror: Mirror, changed: Batch) -> None:
    mirror.write(batch("a", metrics=(("a", "m", 1.0),)))
    assert mirror.write(changed) == 1
    assert mirror.write(changed) == 0


def test_aggregates_outlive_a_tag_but_not_a_metric(mirror: Mirror) -> None:
    mirror.write(batch("a", metrics=(("a", "m", 1.0),)))
    with mirror.writing(changes=False) as c:
        c.execute("INSERT INTO tails SELECT no, 1, 10, 0.5 FROM runs")
    mirror.write(batch("a", metrics=(("a", "m", 1.0),), tags=(("a", "t", "1"),)))
    with mirror.cursor() as c:
        assert rows(c, "SELECT count(*) FROM tails") == [(1,)]
    mirror.write(batch("a", metrics=(("a", "m", 2.0),), tags=(("a", "t", "1"),)))
    with mirror.cursor() as c:
        assert rows(c, "SELECT count(*) FROM tails") == [(0,)]


def test_text_with_nul_and_beyond_the_first_plane(mirror: Mirror) -> None:
    odd = "a\x00b \U0001f600 \u202e"
    mirror.write(batch("a", params=(("a", odd, odd),)))
    with mirror.cursor() as c:
        assert rows(c, "SELECT name, value FROM params JOIN keys ON id = key") == [(odd, odd)]


def test_a_writer_that_fails_leaves_nothing_behind(mirror: Mirror) -> None:
    before = mirror.revision

    def fail() -> None:
        with mirror.writing() as c:
            c.execute("INSERT INTO keys VALUES (1, 'tag', 'x')")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    with mirror.cursor() as c:
        assert rows(c, "SELECT * FROM keys") == []
    assert mirror.revision == before


def test_a_removal_that_fails_does_not_stand_in_the_way_of_what_comes(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.write(batch("a", "b"))

    def fail(*_: object) -> None:
        raise duckdb.OutOfMemoryException("no room")

    with monkeypatch.context() as patched:
        patched.setattr(writing, "_delete_changed", fail)
        with pytest.raises(duckdb.OutOfMemoryException):
            mirror._holding.forget(["a"])
    mirror.write(batch("c"))
    mirror._holding.forget(["a"])
    with mirror.cursor() as c:
        assert rows(c, "SELECT run_id FROM runs ORDER BY run_id") == [("b",), ("c",)]


class Away:
    """A source that answers from the third time on."""

    kind = "client"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def look(self) -> Iterator[None]:
        yield from ()

    def reconcile(self) -> bool:
        return False

    def read(self, run_ids: list[str]) -> Batch:
        self.asked.append(run_ids)
        if len(self.asked) < 3:
            raise ServerUnreachable("away")
        return batch(*run_ids)


def test_runs_that_were_written_are_read_as_soon_as_it_works(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sync = Away(), mirror._sync
    monkeypatch.setattr(sync, "feed", source)
    monkeypatch.setattr(sync, "_open", lambda: None)
    run = "a" * 32
    mirror.reread([run])
    with pytest.raises(ServerUnreachable):
        mirror.refresh()
    mirror.refresh()
    assert source.asked == [[run]] * 3
    assert mirror.coverage.runs == 1


def test_runs_of_an_experiment_that_is_gone_for_good_go_too(mirror: Mirror) -> None:
    class Tracking:
        def experiments(self, view: str) -> list[SimpleNamespace]:
            return [SimpleNamespace(id="2", lifecycle_stage="active")]

        def search_batch(self, *_: object) -> tuple[Batch, None]:
            return Batch.joined([]), None

    mirror.write(batch("of-1"))
    feed = ClientFeed(SimpleNamespace(tracking=Tracking()), mirror._holding)  # type: ignore[arg-type]
    for _ in feed.look():
        pass
    assert not feed.reconcile()
    assert mirror.coverage.runs == 0


def test_after_its_end_the_reader_does_not_rest(mirror: Mirror) -> None:
    mirror.close()
    mirror._holding.wanted.changed.clear()  # as a look does that began meanwhile
    began = time.monotonic()
    mirror._sync._rest(5)
    assert time.monotonic() - began < 1


def test_the_database_reaches_for_no_file(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    with mirror.cursor() as c, pytest.raises(Exception, match="disabled by configuration"):
        c.execute("SELECT * FROM read_csv(?)", [str(tmp_path / "x.csv")])
