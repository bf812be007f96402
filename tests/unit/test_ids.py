"""Ids and names, checked before they are sent."""

from collections.abc import Callable

import pytest

from core.errors import InvalidInput
from core.mlflow_api import ids

NASTY = [
    "",
    " ",
    "\x00",
    "1\x00",
    "../1",
    "1/2",
    "1?x=1",
    "1%2F2",
    "٣",
    "１",
    "a b",
    "1\n",
    "x" * 10_000,
]


@pytest.mark.parametrize(
    "value", ["0", "1", "007", "2147483647", "123456789012345678", str(2**63 - 1)]
)
def test_experiment_ids(value: str) -> None:
    assert ids.experiment_id(value) == value


@pytest.mark.parametrize(
    "value", [*NASTY, "-1", "1.0", "abc", "2147483648", str(2**63), "9" * 19, str(10**30)]
)
def test_what_is_no_experiment_id(value: str) -> None:
    refuse(ids.experiment_id, value)


@pytest.mark.parametrize("value", ["a" * 32, "0123456789abcdef0123456789abcdef", "m-1a", "run_1"])
def test_run_ids(value: str) -> None:
    assert ids.run_id(value) == value
    assert ids.is_run_id(value)


@pytest.mark.parametrize("value", [*NASTY, "-a", "a" * 65, "é", "a.b", "a'b", "a;b"])
def test_what_is_no_run_id(value: str) -> None:
    refuse(ids.run_id, value)
    assert not ids.is_run_id(value)


@pytest.mark.parametrize(("value", "number"), [("1", 1), (7, 7), ("2147483647", 2**31 - 1)])
def test_versions(value: int | str, number: int) -> None:
    assert ids.version(value) == number


@pytest.mark.parametrize("value", [*NASTY, "0", -1, "v1", "1.0", 2**31, str(10**30), True, None])
def test_what_is_no_version(value: int | str) -> None:
    refuse(ids.version, value)


@pytest.mark.parametrize("value", ["a", "wine-grower", "with space", "名前", "a'b\"c", "x" * 256])
def test_model_names(value: str) -> None:
    assert ids.model_name(value) == value
    assert ids.new_model_name(value) == value


@pytest.mark.parametrize("value", ["a\n", "a\tb", "\x7f", "x" * 257])
def test_names_of_models_that_exist_and_should_not_be_made(value: str) -> None:
    assert ids.model_name(value) == value
    refuse(ids.new_model_name, value)


@pytest.mark.parametrize("value", ["", " ", "\n", "a/b", "a:b", "a\x00"])
def test_what_is_no_model_name(value: str) -> None:
    refuse(ids.model_name, value)
    refuse(ids.new_model_name, value)


@pytest.mark.parametrize("value", ["champion", "a_b-c", "é", "v", "version1", "x" * 255])
def test_aliases(value: str) -> None:
    assert ids.alias(value) == value


@pytest.mark.parametrize(
    "value", ["", "latest", "Latest", "v1", "V12", "a b", "a.b", "a/b", "a\x00", "a\n", "x" * 256]
)
def test_what_is_no_alias(value: str) -> None:
    refuse(ids.alias, value)


def test_text_without_nul() -> None:
    assert ids.no_control("a\nb", "name") == "a\nb"
    with pytest.raises(InvalidInput) as refusal:
        ids.no_control("a\x00b", "name")
    assert refusal.value.field == "name"


def refuse(check: Callable[[str], object], value: int | str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check(value)  # type: ignore[arg-type]
    assert refusal.value.what
    assert refusal.value.field
    assert len(refusal.value.what) < 400, "the whole of a long value is not said again"
    assert "\x00" not in refusal.value.what
