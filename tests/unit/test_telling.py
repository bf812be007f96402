"""Lines of the record in plain words."""

from core.ledger.chain import Entry
from core.registry.telling import KINDS, changes, sentence


def test_what_happened_is_told_in_words() -> None:
    entry = Entry("request.asked", "anna", model="wine", version=7, rung="Production")
    assert sentence(entry) == "Asked for v7 → Production"


def test_an_action_without_words_is_told_by_its_name() -> None:
    assert sentence(Entry("something.new", "anna")) == "something.new"


def test_an_alias_by_hand_is_told_by_its_steps() -> None:
    step = {"kind": "set_alias", "version": 7, "value": "blue", "before": "5", "key": ""}
    details = {"kind": "alias", "wanted": "blue", "steps": [step]}
    entry = Entry("transition.done", "anna", model="wine", version=7, details=details)
    assert sentence(entry) == "By hand: alias blue v5 → v7"


def test_where_versions_stood_before_and_after() -> None:
    before = {
        "7": {"rung": "Staging", "stage": "Staging", "aliases": ["challenger"]},
        "5": {"rung": "Production", "stage": "Production", "aliases": ["champion"]},
        "12": {"rung": "None", "stage": "None", "aliases": []},
    }
    after = {
        "7": {"rung": "Production", "stage": "Production", "aliases": ["champion"]},
        "5": {"rung": "Archived", "stage": "Archived", "aliases": []},
        "12": {"rung": "None", "stage": "None", "aliases": []},
    }
    entry = Entry("transition.done", "anna", version=7, before=before, after=after)
    assert changes(entry) == (
        "v5: Production, champion → Archived; v7: Staging, challenger → Production, champion"
    )


def test_what_came_or_went_is_told_as_nothing_on_one_side() -> None:
    entry = Entry("unattributed.deleted", "", before={"3": {"rung": "Staging"}}, after={})
    assert changes(entry) == "v3: Staging → nothing"
    assert changes(Entry("request.asked", "anna")) == ""


def test_a_tag_is_of_a_version_or_of_the_model() -> None:
    entry = Entry("tag.set", "anna", version=2, before={"team": None}, after={"team": "red"})
    assert sentence(entry) == "Set a tag of v2"
    assert changes(entry) == "team: nothing → red"
    assert sentence(Entry("tag.deleted", "anna")) == "Removed a tag of the model"
    assert sentence(Entry("model.described", "anna")) == "Described the model"


def test_fields_of_a_card_are_told_by_name() -> None:
    entry = Entry("card.changed", "anna", before={"owner": ""}, after={"owner": "ben"})
    assert changes(entry) == "owner: nothing → ben"


def test_every_kind_finds_its_actions() -> None:
    actions = ["request.done", "transition.done", "unattributed.stage", "card.changed"]
    actions += ["tag.set", "model.described", "version.described"]
    for action in actions:
        assert any(action.startswith(begin) for kind in KINDS.values() for begin in kind)
