"""Runs as files, and as code that reads the same runs through MLflow's client."""

import ast
import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.mlflow_api import Mlflow, connect
from core.runs import export
from core.runs.aggregates import fill, plan_histories
from core.runs.asked import Order, RunQuery, RunTable
from core.runs.client_code import client_code
from core.runs.mirror import Mirror
from core.runs.query import names, query
from core.settings import load

ODD = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "a,b", 'say "x"', "two\nlines", "", "ok", "ü"]


def table(params: list[str | None], metrics: list[float | None]) -> RunTable:
    n = len(params)
    start = pd.Series(
        pd.to_datetime([1_760_000_000_000 + i for i in range(n)], unit="ms", utc=True)
    )
    made = {
        "run_id": [f"{i:032x}" for i in range(n)],
        "name": params,
        "status": ["FINISHED"] * n,
        "started_at": start,
        "ended_at": start,
        "seconds": [1.5] * n,
        "user": ["ada"] * n,
        "experiment_id": ["1"] * n,
        "parent_id": pd.array([None] * n, "str"),
        "deleted": [False] * n,
        "depth": [0] * n,
        "metrics.m": pd.arrays.FloatingArray(
            pd.array([0.0 if m is None else m for m in metrics], "float64").to_numpy(),
            pd.array([m is None for m in metrics], "bool").to_numpy(),
        ),
        "params.p": pd.array(params, "str"),
    }
    return RunTable(pd.DataFrame(made), total=n)


COLUMNS = ("metrics.m", "params.p")


class TestFiles:
    def test_no_cell_begins_as_a_formula(self) -> None:
        text = export.csv(table([*ODD], [1.0] * len(ODD)), COLUMNS).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == len(ODD)
        for row, odd in zip(rows, ODD, strict=True):
            assert row["params.p"] == (f"'{odd}" if odd[:1] in "=+-@\t\r" and odd else odd)
            assert row["name"] == row["params.p"]
            assert row["started_at"].startswith("2025-10-09T")

    def test_numbers_stay_numbers_and_missing_is_not_nan(self) -> None:
        rows = table(["a", None, "c"], [-1.5, None, math.nan])
        text = export.csv(rows, COLUMNS).decode("utf-8-sig")
        read = list(csv.DictReader(io.StringIO(text)))
        assert [r["metrics.m"] for r in read] == ["-1.5", "", "nan"]
        assert [r["params.p"] for r in read] == ["a", "", "c"]
        back = pq.read_table(io.BytesIO(export.parquet(rows, COLUMNS))).column("metrics.m")
        assert back.null_count == 1
        assert math.isnan(back.to_pylist()[2])

    def test_headlines_are_cells_too(self) -> None:
        rows = table(["a"], [1.0])
        rows.frame["=cmd"] = ["x"]
        assert "'=cmd" in export.csv(rows, ("=cmd",)).decode().splitlines()[0]

    @given(st.text(max_size=60))
    def test_nothing_is_a_command_in_latex(self, text: str) -> None:
        made = export.escaped(text)
        for word in (
            "backslash",
            "asciitilde",
            "asciicircum",
            "less",
            "greater",
            "bar",
            "quotedbl",
        ):
            made = made.replace(f"\\text{word}{{}}", "")
        made = made.replace("{[}", "").replace("{*}", "")
        assert not set(made) & set("[*")
        for sign in "{}&%$#_":
            made = made.replace(f"\\{sign}", "")
        assert not set(made) & set("\\{}&%$#_~^\n")

    def test_no_cell_belongs_to_the_end_of_the_row_before(self) -> None:
        made = export.latex(table(["[9cm]", "*"], [1.0, 2.0]), COLUMNS)
        assert [line[:3] for line in made.splitlines()[5:7]] == ["{[}", "{*}"]

    def test_a_table_for_latex(self) -> None:
        made = export.latex(table(["a_b", "50%"], [-0.25, None]), COLUMNS)
        assert "\\begin{tabular}{llrl}" in made
        assert "name & status & m & p \\\\" in made
        assert "a\\_b & FINISHED & $-0.2500$ & a\\_b \\\\" in made
        assert "50\\% & FINISHED & -- & 50\\% \\\\" in made


NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A store with twelve odd runs in the experiment "0"."""
    from mlflow.entities import Metric, Param

    made = connect(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("home"))}))
    for i in range(12):
        tags = {"team": "it's" if i % 2 else 'say "x"'} if i % 3 else {}
        run = made.tracking.create_run("0", f"run-{i}", tags)

        def log(client: object, run_id: str = run.id, i: int = i) -> None:
            values = [float(j * (i % 4) - i) for j in range(5)] + [math.nan] * (i == 5)
            client.log_batch(  # type: ignore[attr-defined]
                run_id,
                metrics=[Metric("loss", v, 0, j) for j, v in enumerate(values)]
                + ([Metric("a b", i / 2, 0, 0)] if i % 2 else []),
                params=[Param("depth", str(i)), Param("kind", "rf" if i < 6 else "0.5")],
            )

        made.gateway.write("logging", log)
    yield made
    made.gateway.close()


@pytest.fixture(scope="module")
def mirror(mlflow: Mlflow) -> Iterator[Mirror]:
    """What the store holds."""
    made = Mirror.in_memory(mlflow)
    made.fill()
    yield made
    made.close()


FILTERS = [
    "",
    "metrics.loss < 0",
    "metrics.loss < 0 AND params.kind = 'rf'",
    "params.depth > 7",
    "params.depth > 7 OR metrics.`a b` < 2",
    "NOT params.depth BETWEEN 3 AND 9",
    "NOT tags.team = 'nobody'",
    "tags.team IS NULL",
    "tags.team IS NOT NULL AND NOT (metrics.`a b` > 1)",
    'tags.team = "it\'s"',
    "params.kind IN ('rf', 'x') AND params.depth IN (2, 4)",
    "params.kind LIKE 'r%'",
    "run_name RLIKE '^run-[0-4]$'",
    "metrics.loss - metrics.`a b` > -3",
    "min(loss) < -8",
    "best(loss) < -8 AND mean(loss, 2) > -20",
    "isnan(metrics.loss)",
    "metrics.loss != 1",
    "start_time > '2020-01-01'",
    "start_time < ago(1d)",
    "duration IS NULL",
    "parent IS NULL AND NOT deleted = TRUE",
]


class TestClientCode:
    @pytest.mark.parametrize("text", FILTERS)
    @pytest.mark.parametrize(
        "order", [Order("metrics.loss"), Order("min(loss)", descending=True), Order("name")]
    )
    def test_the_code_gives_the_same_runs_in_the_same_order(
        self, mlflow: Mlflow, mirror: Mirror, text: str, order: Order
    ) -> None:
        asked = RunQuery(("0",), text, (order,), columns=(), limit=None)
        while (plan := plan_histories(mirror, asked, frozenset("0"))).missing:
            fill(mirror, mlflow, plan)
        ours = query(mirror, asked, frozenset("0"))
        known = names(mirror, RunQuery(("0",)), frozenset("0")).by_column.values()
        scope: dict[str, object] = {}
        made = client_code(asked, mlflow.gateway.tracking_uri, list(known))
        exec(compile(made, "code", "exec"), scope)  # noqa: S102 - what it is for
        theirs = [run.info.run_id for run in scope["runs"]]  # type: ignore[attr-defined]
        assert sorted(theirs) == sorted(ours.ids), made
        # Runs that are alike in it stand in any order.
        if order.column == "name":
            assert theirs == ours.ids

    def test_runs_by_their_ids(self, mlflow: Mlflow) -> None:
        made = client_code(RunQuery(run_ids=("a" * 32,)), "http://x")
        assert f'"{"a" * 32}"' in made
        assert "get_run" in made

    def test_texts_beyond_the_first_plane_stay_what_they_are(self) -> None:
        made = client_code(
            RunQuery(("1",), "params.p = '\U0001f600' OR metrics.m > 1e999"), "http://x"
        )
        assert made.isascii()
        tree = ast.parse(made)
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        assert "\U0001f600" in texts
        assert 'float("inf")' in made

    @pytest.mark.parametrize("wrong", ["1e999", "'0001-01-01'"])
    def test_moments_beyond_the_calendar_are_no_failure(self, wrong: str) -> None:
        for text in (f"start_time > {wrong}", f"start_time > {wrong} OR deleted"):
            for zone in ("Europe/Vienna", "America/New_York"):
                made = client_code(RunQuery(("1",), text, zone=zone), "http://x")
                compile(made, "code", "exec")

    @given(st.text(max_size=30).filter(lambda s: "'" not in s and "\x00" not in s))
    def test_no_value_ends_its_literal(self, value: str) -> None:
        if not value.isprintable():
            return
        made = client_code(RunQuery(("1",), f"params.p = '{value}'"), f"http://{value}")
        compile(made, "code", "exec")

    def test_what_cannot_be_said_is_said(self) -> None:
        made = client_code(RunQuery(("1",), "registered = 'rent' AND params.p = 'x'"), "http://x")
        assert "One condition is left out" in made
        assert "params.p = 'x'" in made
        made = client_code(RunQuery(("1",), order=(Order("best(thing)"),)), "http://x")
        assert "The order is left out" in made
