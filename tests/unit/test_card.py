"""The model card: fields as tags, compared before they are written, each change on record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import sqlalchemy as sa

from core.errors import Conflict, InvalidInput, LedgerFailed, NotAllowed
from core.ledger import chain
from core.ledger.chain import line_of
from core.ledger.schema import record as table
from core.lifecycle.deck import Deck, open_deck
from core.people import Actor, Permission
from core.registry import editing
from core.registry.card import FIELDS, LONGEST, PREFIX, read_card, write_card
from core.settings import load


@pytest.fixture
def wine() -> Deck:
    """An embedded store with one registered model."""
    here = open_deck(load())
    here.mlflow.registry.create_model("wine")
    return here


@dataclass
class Level:
    """Everybody holds one level."""

    level: Permission

    def on_model(self, actor: Actor, model: str) -> Permission:
        """The level."""
        return self.level

    def on_experiment(self, actor: Actor, experiment_id: str) -> Permission:
        """The level."""
        return self.level

    def readable(self, actor: Actor, listed: Sequence[str]) -> list[str]:
        """All of them, where the level is enough."""
        return list(listed) if self.level >= Permission.READ else []


def card(here: Deck) -> dict[str, str]:
    return {k: v for k, v in read_card(here.mlflow.registry.model("wine")).items() if v}


def lines(here: Deck) -> list[tuple[str, object, object]]:
    with here.ledger.transaction("looking") as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.number)).all()
    entries = [line_of(row).entry for row in rows]
    return [(e.actor, e.before, e.after) for e in entries if e.action == "card.changed"]


def test_a_field_is_written_changed_and_taken_away(wine: Deck) -> None:
    write_card(wine.desk, "wine", "purpose", "  Tells growers apart. ", seen="")
    assert card(wine) == {"purpose": "Tells growers apart."}
    write_card(wine.desk, "wine", "purpose", "More.", seen="Tells growers apart.")
    write_card(wine.desk, "wine", "purpose", "", seen="More.")
    assert card(wine) == {}
    assert PREFIX + "purpose" not in wine.mlflow.registry.model("wine").tags
    assert [(before, after) for _, before, after in lines(wine)] == [
        ({"purpose": ""}, {"purpose": "Tells growers apart."}),
        ({"purpose": "Tells growers apart."}, {"purpose": "More."}),
        ({"purpose": "More."}, {"purpose": ""}),
    ]
    assert {actor for actor, _, _ in lines(wine)} == {wine.actor.name}


def test_what_stands_there_already_is_not_written_again(wine: Deck) -> None:
    write_card(wine.desk, "wine", "owner", "anna", seen="")
    write_card(wine.desk, "wine", "owner", "anna", seen="somebody")
    assert len(lines(wine)) == 1


def test_a_change_whose_line_was_lost_is_written_down_at_the_next_try(
    wine: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LedgerFailed("gone")

    write_card(wine.desk, "wine", "owner", "anna", seen="")
    with monkeypatch.context() as broken:
        broken.setattr(chain, "append", fail)
        with pytest.raises(LedgerFailed):
            write_card(wine.desk, "wine", "owner", "bert", seen="anna")
    assert card(wine) == {"owner": "bert"}
    for _ in range(2):
        write_card(wine.desk, "wine", "owner", "bert", seen="anna")
    assert [(before, after) for _, before, after in lines(wine)] == [
        ({"owner": ""}, {"owner": "anna"}),
        ({"owner": "anna"}, {"owner": "bert"}),
    ]


def test_what_the_person_saw_there_already_is_not_their_change(wine: Deck) -> None:
    wine.mlflow.registry.set_model_tag("wine", PREFIX + "owner", "theirs")
    write_card(wine.desk, "wine", "owner", "theirs", seen="theirs")
    assert lines(wine) == []


def test_a_text_that_nobody_saw_is_not_replaced(wine: Deck) -> None:
    write_card(wine.desk, "wine", "owner", "anna", seen="")
    with pytest.raises(Conflict, match="Owner"):
        write_card(wine.desk, "wine", "owner", "bert", seen="")
    assert card(wine) == {"owner": "anna"}
    assert len(lines(wine)) == 1


def test_what_cannot_stand_there_is_refused(wine: Deck) -> None:
    for field, value, said in (
        ("colour", "red", "no field"),
        ("review_date", "soon", "no date"),
        ("review_date", "2026-02-30", "no date"),
        ("limits", "x" * (LONGEST + 1), "5000 characters"),
        ("limits", "a\x00b", "limits"),
    ):
        with pytest.raises(InvalidInput, match=said):
            write_card(wine.desk, "wine", field, value, seen="")
    assert card(wine) == {}
    assert lines(wine) == []


def test_every_field_is_kept_as_it_was_written(wine: Deck) -> None:
    written = {f: "2027-03-31" if f == "review_date" else "é" * LONGEST for f in FIELDS}
    for field, text in written.items():
        write_card(wine.desk, "wine", field, text, seen="")
    assert card(wine) == written


def test_only_who_holds_edit_writes(wine: Deck) -> None:
    for level in Permission:
        desk = replace(wine.desk, permissions=Level(level))
        if level >= Permission.EDIT:
            write_card(desk, "wine", "owner", level.name, seen=card(wine).get("owner", ""))
            assert card(wine) == {"owner": level.name}
        else:
            with pytest.raises(NotAllowed, match="EDIT"):
                write_card(desk, "wine", "owner", level.name, seen="")
            assert card(wine) == {}


def test_its_tags_are_not_edited_past_it(wine: Deck) -> None:
    with pytest.raises(InvalidInput, match="model card"):
        editing.set_tag(wine.desk, "wine", None, PREFIX + "owner", "x", seen=None)
    assert card(wine) == {}
