"""What differs between runs."""

import math

import pandas as pd

from core.mlflow_api.nouns import Run
from core.runs.compare import differences, side_by_side
from core.runs.query import frame_of


def run(name: str, params: dict[str, str], metrics: dict[str, float], **tags: str) -> Run:
    """A run for a table."""
    every = {k.replace("__", "."): v for k, v in tags.items()}
    return Run(name, "1", name, "FINISHED", "active", "ada", None, None, "", params, metrics, every)


def by_name(*runs: Run) -> dict[str, object]:
    """Each difference by its name."""
    return {d.name: d for d in differences(frame_of(runs))}


def test_same_different_missing() -> None:
    found = by_name(run("a", {"x": "1", "y": "2"}, {}), run("b", {"x": "1"}, {}))
    assert not found["x"].differs
    assert found["y"].differs
    assert found["y"].values == ("2", None)


def test_numbers_written_differently() -> None:
    found = by_name(run("a", {"x": "1", "y": "1"}, {}), run("b", {"x": "1.0", "y": "2"}, {}))
    assert found["x"].same_number
    assert not found["y"].same_number


def test_metrics_have_a_spread_and_nan_is_not_missing() -> None:
    found = by_name(
        run("a", {}, {"m": 1.0}), run("b", {}, {"m": math.nan}), run("c", {}, {}),
        run("d", {}, {"m": 3.5}),
    )  # fmt: skip
    assert found["m"].spread == 2.5
    assert found["m"].values == ("1", "NaN", None, "3.50000")
    assert found["m"].distinct == 4


def test_metrics_that_differ_look_different() -> None:
    found = by_name(run("a", {}, {"m": 0.1}), run("b", {}, {"m": 0.1000000001}))
    assert found["m"].differs
    assert len(set(found["m"].values)) == 2


def test_tags_of_mlflow_stand_apart() -> None:
    found = by_name(run("a", {}, {}, team="x", mlflow__source__name="t.py"), run("b", {}, {}))
    assert found["team"].kind == "tag"
    assert found["mlflow.source.name"].kind == "system"


def test_side_by_side_shortens_and_keeps_only_differences() -> None:
    found = differences(
        frame_of([run("a", {"x": "v" * 500, "s": "1"}, {}), run("b", {"s": "1"}, {})])
    )
    table = side_by_side(found, ["a", "b"], differences_only=True)
    assert list(table["name"]) == ["x"]
    assert len(table["a"].iloc[0]) == 80
    assert pd.isna(table["b"].iloc[0])
    every = side_by_side(found, ["a", "b"], differences_only=False)
    assert {"x", "s", "status", "user"} <= set(every["name"])


def test_no_runs() -> None:
    assert side_by_side(differences(frame_of([])), [], differences_only=True).empty
