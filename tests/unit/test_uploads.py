"""Rows that people upload for training: whose they are, and how many."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInput, TooLarge
from core.lifecycle import launch
from core.lifecycle.deck import Deck, open_deck
from core.people import Actor
from core.settings import load
from core.training import data, projects

ROWS = b"a,target\n1,2\n"


@pytest.fixture
def deck(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deck]:
    """Modeldeck's own parts, where people have accounts."""
    monkeypatch.setenv("MODELDECK_IDENTITY", "oidc")
    opened = open_deck(load())
    yield opened
    opened.mlflow.gateway.close()
    opened.ledger.close()


def of(deck: Deck, name: str) -> Deck:
    return replace(deck, actor=Actor(name, "oidc"))


def test_one_person_s_rows_are_neither_offered_to_nor_read_for_another(deck: Deck) -> None:
    ada, bob = of(deck, "ada"), of(deck, "../ada")
    kept = launch.keep_upload(ada, "rows.csv", ROWS)
    assert data.files(launch.uploads(ada)) == [kept]
    assert data.files(launch.uploads(bob)) == []
    typed = {"data": str(kept), "family": "linear", "target": "target"}
    projects.check(projects.tabular(), typed, launch.data_roots(ada))
    with pytest.raises(InvalidInput, match="outside"):
        projects.check(projects.tabular(), typed, launch.data_roots(bob))
    assert launch.keep_upload(bob, "rows.csv", ROWS) != kept


def test_what_one_person_keeps_has_an_end(deck: Deck) -> None:
    small = replace(deck, settings=deck.settings.model_copy(update={"upload_mb": 1}))
    ada = of(small, "ada")
    for number in range(launch.MOST_UPLOADS):
        launch.keep_upload(ada, "rows.csv", b"%02d" % number + b"x" * 999_998)
    with pytest.raises(TooLarge, match=r"may keep 20\.0 MB"):
        launch.keep_upload(ada, "more.csv", ROWS)
    launch.keep_upload(ada, "rows.csv", b"00" + b"x" * 999_998)  # which is there already
    launch.keep_upload(of(small, "bob"), "rows.csv", ROWS)


def test_for_this_machine_s_user_the_folder_is_one_and_has_no_end(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = replace(deck, settings=deck.settings.model_copy(update={"identity": "local"}))
    monkeypatch.setattr(launch, "MOST_UPLOADS", 0)
    kept = launch.keep_upload(alone, "rows.csv", ROWS)
    assert kept.parent == deck.settings.upload_root
    assert launch.data_roots(alone) == deck.settings.readable_roots
