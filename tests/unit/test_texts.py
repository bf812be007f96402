"""The one place for texts."""

import pytest

from core import errors, texts
from core.texts import t


def test_fields_are_filled_in_and_never_read_as_fields_themselves() -> None:
    said = t("errors.mlflow.unreachable", address="{action}", action="{0.__class__}")
    assert said == "No connection to the MLflow server at {action} ({0.__class__})."


def test_n_chooses_the_plural() -> None:
    assert t("formats.ago_day", n=1) == "1 day ago"
    assert t("formats.ago_day", n=2) == "2 days ago"
    assert t("formats.ago_day", n=0) == "0 days ago"


def test_an_unknown_key_and_a_missing_field_are_defects() -> None:
    with pytest.raises(KeyError, match=r"no\.such\.key"):
        t("no.such.key")
    with pytest.raises(KeyError, match="action"):
        t("errors.mlflow.unreachable", address="x")


def test_has() -> None:
    assert texts.has("formats.just_now")
    assert not texts.has("formats")
    assert {"formats.just_now", "formats.ago_day.one"} <= texts.keys()


def subclasses(kind: type[errors.DeckError]) -> list[type[errors.DeckError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in subclasses(below))]


@pytest.mark.parametrize("kind", subclasses(errors.DeckError))
def test_every_error_has_a_title_and_a_next_step(kind: type[errors.DeckError]) -> None:
    error = kind("Something happened to the thing.")
    assert error.what == str(error) == "Something happened to the thing."
    assert error.title
    assert error.next_step
    assert kind("x", "y").next_step == "y"
