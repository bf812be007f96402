"""The filters that find the runs belonging to a run."""

import dataclasses

import pytest

from core.mlflow_api.nouns import PARENT_TAG, Run
from core.runs import related
from core.runs.language import parse

PLAIN = Run("a" * 32, "1", "one", "FINISHED", "active", "", None, None, "", {}, {}, {})


def run(params: dict[str, str] | None = None, parent: str = "") -> Run:
    """A run with these params, nested in ``parent``."""
    tags = {PARENT_TAG: parent} if parent else {}
    return dataclasses.replace(PLAIN, params=params or {}, tags=tags)


def test_all_params_but_the_seed() -> None:
    text = related.replicates(run({"seed": "1", "lr": "0.1", "a b": "it's", "n": 'a "b"'}))
    assert text == """params.`a b` = "it's" AND params.lr = '0.1' AND params.n = 'a "b"'"""
    parse(text)


def test_none_where_it_cannot_be_asked() -> None:
    assert related.replicates(run()) is None
    assert related.replicates(run({"lr": "0.1"})) is None  # nothing that could vary
    assert related.replicates(run({"seed": "1"})) is None
    assert related.replicates(run({"seed": "1", "x": "'\""})) is None
    many = {f"p{i}": "1" for i in range(related.MOST_PARAMS + 1)}
    assert related.replicates(run({"seed": "1", **many})) is None


@pytest.mark.parametrize("value", ["x" * 6000, "nul\x00", "C:\\"], ids=["long", "nul", "backslash"])
def test_values_that_a_filter_would_misread_are_not_asked_for(value: str) -> None:
    assert related.replicates(run({"seed": "1", "a": value, "b": value, "c": "1"})) is None


def test_family() -> None:
    assert related.siblings(run()) is None
    assert related.siblings(run(parent="'\"")) is None
    for text in (related.children(run()), related.siblings(run(parent="b" * 32))):
        assert text is not None
        parse(text)
