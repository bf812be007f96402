"""Descriptions and tags by hand: each change is one line of the record."""

from collections.abc import Callable

import pytest

from core.errors import Conflict, InvalidInput, LedgerFailed
from core.ledger import chain
from core.lifecycle.deck import Deck, open_deck
from core.registry import editing, heads
from core.registry.desk import Desk
from core.settings import load

MODEL = "wine"
Edit = Callable[[Desk], None]
EDITS: list[tuple[Edit, str, int | None, dict[str, str | None], dict[str, str | None]]] = [
    (
        lambda desk: editing.describe(desk, MODEL, 1, "Red.", seen=""),
        "version.described", 1, {"description": ""}, {"description": "Red."},
    ),
    (
        lambda desk: editing.describe(desk, MODEL, None, "Red.", seen=""),
        "model.described", None, {"description": ""}, {"description": "Red."},
    ),
    (
        lambda desk: editing.set_tag(desk, MODEL, 1, "team", "red", seen=None),
        "tag.set", 1, {"team": None}, {"team": "red"},
    ),
    (
        lambda desk: editing.set_tag(desk, MODEL, None, "team", "red", seen="blue"),
        "tag.set", None, {"team": "blue"}, {"team": "red"},
    ),
    (
        lambda desk: editing.delete_tag(desk, MODEL, None, "team", seen="blue"),
        "tag.deleted", None, {"team": "blue"}, {"team": None},
    ),
]  # fmt: skip


@pytest.fixture
def deck() -> Deck:
    """An embedded store with a model of one version."""
    here = open_deck(load())
    here.mlflow.registry.create_model(MODEL)
    here.mlflow.registry.create_version(MODEL, "/models/1")
    here.mlflow.registry.set_model_tag(MODEL, "team", "blue")
    return here


def lines(deck: Deck) -> list[chain.Entry]:
    found = chain.lines(deck.ledger, action=["version.", "model.", "tag."], newest_first=False)
    return [line.entry for line in found]


@pytest.mark.parametrize(("edit", "action", "version", "before", "after"), EDITS)
def test_every_edit_is_one_line_also_where_the_first_try_was_not_written_down(
    deck: Deck, monkeypatch: pytest.MonkeyPatch, edit: Edit, action: str, version: int | None,
    before: dict[str, str | None], after: dict[str, str | None],
) -> None:  # fmt: skip
    def fail(*_: object) -> None:
        raise LedgerFailed("gone")

    with monkeypatch.context() as broken:
        broken.setattr("core.registry.edited.chain.append", fail)
        with pytest.raises(LedgerFailed):
            edit(deck.desk)
    assert lines(deck) == []
    for _ in range(2):
        edit(deck.desk)
    (entry,) = lines(deck)
    assert (entry.action, entry.version, entry.model) == (action, version, MODEL)
    assert (entry.before, entry.after) == (before, after)
    assert (entry.actor, entry.path) == (deck.actor.name, "direct")


def test_what_the_person_saw_there_already_is_not_their_change(deck: Deck) -> None:
    editing.set_tag(deck.desk, MODEL, None, "team", "blue", seen="blue")
    editing.describe(deck.desk, MODEL, 1, "", seen="")
    assert lines(deck) == []


def test_what_was_refused_is_no_line(deck: Deck) -> None:
    with pytest.raises(Conflict):
        editing.set_tag(deck.desk, MODEL, None, "team", "red", seen="green")
    with pytest.raises(Conflict):
        editing.describe(deck.desk, MODEL, None, "Red.", seen="White.")
    assert lines(deck) == []


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize("key", editing.OURS)
def test_the_tags_that_say_who_did_what_are_not_edited(
    deck: Deck, version: int | None, key: str
) -> None:
    with pytest.raises(InvalidInput, match="alone writes it"):
        editing.set_tag(deck.desk, MODEL, version, key, "x", seen=None)
    with pytest.raises(InvalidInput, match="alone writes it"):
        editing.delete_tag(deck.desk, MODEL, version, key, seen=None)


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize(("key", "value"), [("note", "a\0b"), ("no\0te", "ab")])
def test_a_tag_with_nul_is_refused(deck: Deck, version: int | None, key: str, value: str) -> None:
    with pytest.raises(InvalidInput, match="code 0"):
        editing.set_tag(deck.desk, MODEL, version, key, value, seen=None)
    assert lines(deck) == []


def test_a_model_that_was_described_carries_the_record_s_head(deck: Deck) -> None:
    editing.describe(deck.desk, MODEL, None, "Red.", seen="")
    (line,) = chain.lines(deck.ledger, action="model.described")
    assert deck.mlflow.registry.model(MODEL).tags[heads.TAG] == f"{line.number}:{line.hash}"
