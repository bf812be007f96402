"""What is changed in MLflow without Modeldeck is found at a pass, and nobody is wrongly accused."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from core.errors import Busy, InvalidInput, ServerFailed
from core.ledger import chain, now
from core.ledger.verifying import verify
from core.lifecycle.deck import Deck, open_deck
from core.mlflow_api.nouns import ModelVersion
from core.registry import editing, heads, known, requests
from core.registry.desk import Desk
from core.registry.ladder import LADDER, Rung
from core.registry.lease import model_lease
from core.registry.plan import Wanted
from core.registry.reconcile import acknowledge, alerts, reconcile
from core.registry.settling import settle_for
from core.registry.telling import sentence
from core.registry.timeline import timeline
from core.registry.transitions import transition
from core.settings import load
from tests.tampering import allow_changes

MODEL = "wine"
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def deck(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deck]:
    monkeypatch.setenv("MODELDECK_HOME", str(home))
    opened = open_deck(load())
    opened.mlflow.registry.create_model(MODEL)
    for n in (1, 2, 3):
        opened.mlflow.registry.create_version(MODEL, f"/models/{n}")
    yield opened
    opened.ledger.close()


@pytest.fixture
def client(deck: Deck) -> MlflowClient:
    return MlflowClient(deck.mlflow.gateway.tracking_uri)


def move(deck: Deck, version: int, rung: str) -> None:
    transition(deck.mlflow, deck.ledger, deck.actor, Wanted(MODEL, version, rung))


def found(deck: Deck) -> list[tuple[str, int | None]]:
    lines = reconcile(deck.desk)
    return [(line.entry.action, line.entry.version) for line in lines]


def test_the_first_look_accuses_nobody(deck: Deck, client: MlflowClient) -> None:
    client.transition_model_version_stage(MODEL, "2", "Production")
    assert found(deck) == [(known.BASELINE, None), (known.BASELINE, None)]
    first = chain.lines(deck.ledger, model=MODEL)[0].entry
    assert first.after == {"2": {"rung": "Production", "stage": "Production", "aliases": []}}
    assert found(deck) == []
    assert alerts(deck.ledger, deck.mlflow.address) == {}


def stage(client: MlflowClient, model: str = MODEL) -> None:
    client.transition_model_version_stage(model, "2", "Staging")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (stage, [(known.STAGE, 2)]),
        (lambda c: c.set_registered_model_alias(MODEL, "fast", "3"), [(known.ALIAS, 3)]),
        (lambda c: c.set_registered_model_alias(MODEL, "champion", "2"), [(known.ALIAS, 2)]),
        (lambda c: c.delete_registered_model_alias(MODEL, "champion"), [(known.ALIAS, 1)]),
        (lambda c: c.update_model_version(MODEL, "1", "other"), [(known.TIMESTAMP, 1)]),
        (lambda c: c.delete_model_version(MODEL, "3"), [(known.DELETED, 3)]),
        (lambda c: c.delete_registered_model(MODEL), [(known.MODEL_DELETED, None)]),
        (
            lambda c: c.rename_registered_model(MODEL, "vino"),
            [(known.RENAMED, None), (known.RENAMED, None)],
        ),
        (lambda c: c.create_model_version(MODEL, "/models/4"), []),
        (lambda c: c.set_model_version_tag(MODEL, "1", "note", "x"), []),
        (lambda c: c.set_model_version_tag(MODEL, "1", LADDER.tag, "None"), [(known.TAG, 1)]),
        (lambda c: c.set_model_version_tag(MODEL, "2", LADDER.tag, "mine"), [(known.TAG, 2)]),
        (lambda c: c.delete_model_version_tag(MODEL, "1", LADDER.tag), [(known.TAG, 1)]),
    ],
)
def test_a_change_made_in_mlflow_is_found_once(
    deck: Deck, client: MlflowClient, change: Any, expected: list[tuple[str, int | None]]
) -> None:
    move(deck, 1, "Production")
    reconcile(deck.desk)
    change(client)
    assert found(deck) == expected
    assert found(deck) == []
    open_alerts = [n for ns in alerts(deck.ledger, deck.mlflow.address).values() for n in ns]
    assert len(open_alerts) == len(expected)
    lines = chain.lines(deck.ledger, numbers=open_alerts)
    assert all(line.entry.actor_kind == "unknown" for line in lines)


def test_a_new_version_that_stands_higher_is_told(deck: Deck, client: MlflowClient) -> None:
    reconcile(deck.desk)
    client.create_model_version(MODEL, "/models/4")
    client.transition_model_version_stage(MODEL, "4", "Production")
    assert found(deck) == [(known.NEW, 4)]


def test_a_change_before_a_move_of_ours_is_told_with_the_move(
    deck: Deck, client: MlflowClient
) -> None:
    reconcile(deck.desk)
    stage(client)
    move(deck, 2, "Production")
    actions = [line.entry.action for line in chain.lines(deck.ledger, model=MODEL)]
    assert actions[:3] == ["transition.done", "transition.begun", known.STAGE]
    assert found(deck) == []


def test_an_alert_is_acknowledged_with_a_comment(deck: Deck, client: MlflowClient) -> None:
    reconcile(deck.desk)
    stage(client)
    (line,) = reconcile(deck.desk)
    with pytest.raises(InvalidInput):
        acknowledge(deck.desk, line.number, "  ")
    with pytest.raises(InvalidInput):
        acknowledge(deck.desk, line.number + 1, "there is no such line")
    said = acknowledge(deck.desk, line.number, "it was me")
    assert said.entry.why == "it was me"
    assert alerts(deck.ledger, deck.mlflow.address) == {}


def test_alerts_are_told_by_model_and_those_of_one_model_taken_note_of_alone(
    deck: Deck, client: MlflowClient
) -> None:
    client.create_registered_model("vino")
    client.create_model_version("vino", "/models/1")
    reconcile(deck.desk)
    for model in (MODEL, "vino"):
        client.set_registered_model_alias(model, "fast", "1")
        client.set_registered_model_alias(model, "slow", "1")
    reconcile(deck.desk)
    store = deck.mlflow.address
    open_alerts = alerts(deck.ledger, store)
    lines = chain.lines(deck.ledger, action=known.UNATTRIBUTED)
    assert open_alerts == {
        model: [line.number for line in lines if line.entry.model == model]
        for model in (MODEL, "vino")
    }
    newest, oldest = open_alerts["vino"]
    acknowledge(deck.desk, newest, "it was me")
    assert alerts(deck.ledger, store) == {MODEL: open_alerts[MODEL], "vino": [oldest]}
    assert alerts(deck.ledger, store, "vino") == {"vino": [oldest]}
    acknowledge(deck.desk, oldest, "that too")
    assert alerts(deck.ledger, store) == {MODEL: open_alerts[MODEL]}


def test_heads_stand_in_mlflow_and_beside_the_ledger(deck: Deck, client: MlflowClient) -> None:
    reconcile(deck.desk)
    stage(client)
    (line,) = reconcile(deck.desk)
    tag = client.get_model_version(MODEL, "2").tags[heads.TAG]
    assert tag == f"{line.number}:{line.hash}"
    there = heads.gather(deck.desk)
    assert {head.where for head in there if head.count == line.number} == {
        head.where for head in there if head.hash == line.hash
    }
    assert len([head for head in there if head.hash == line.hash]) == 2
    assert verify(deck.ledger, there).ok


def test_the_file_goes_on_after_a_line_that_broke_off(deck: Deck, home: Path) -> None:
    (*_, last) = reconcile(deck.desk)
    (file,) = home.glob("record-*.heads")
    with file.open("a", encoding="utf-8") as out:
        out.write(f"\n \n{last.number}:{last.hash[:20]}")
    move(deck, 1, "Production")
    newest = chain.lines(deck.ledger)[0]
    heads.publish(deck.desk, newest)
    assert heads.in_file(home, deck.ledger)[-1].count == newest.number
    there = heads.gather(deck.desk)
    assert newest.hash in {head.hash for head in there}
    assert verify(deck.ledger, there).ok


def test_a_head_that_was_lost_is_written_to_the_model_at_the_next_pass(
    deck: Deck, client: MlflowClient
) -> None:
    reconcile(deck.desk)
    editing.describe(deck.desk, MODEL, None, "Red.", seen="")
    (line,) = chain.lines(deck.ledger, action="model.described")
    head = f"{line.number}:{line.hash}"
    assert client.get_registered_model(MODEL).tags[heads.TAG] == head
    client.delete_registered_model_tag(MODEL, heads.TAG)
    reconcile(deck.desk)
    assert client.get_registered_model(MODEL).tags[heads.TAG] == head


def tag(client: MlflowClient, version: int) -> str | None:
    return client.get_model_version(MODEL, str(version)).tags.get(heads.TAG)


def newest(deck: Deck, version: int) -> str:
    lines = chain.lines(deck.ledger, model=MODEL)
    line = next(line for line in lines if line.entry.version == version)
    return f"{line.number}:{line.hash}"


def test_a_head_that_was_lost_is_written_also_where_every_pass_finds_something(
    deck: Deck, client: MlflowClient
) -> None:
    reconcile(deck.desk)
    requests.move(deck.desk, Wanted(MODEL, 1, "Production"))
    assert tag(client, 1) == newest(deck, 1)
    client.delete_model_version_tag(MODEL, "1", heads.TAG)
    stage(client)
    assert found(deck) == [(known.STAGE, 2)]
    assert (tag(client, 1), tag(client, 2)) == (newest(deck, 1), newest(deck, 2))


def test_tags_of_another_record_do_not_keep_lost_heads_from_their_place(
    deck: Deck, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(deck.desk)
    for version in (1, 2):
        requests.move(deck.desk, Wanted(MODEL, version, "Archived"))
    client.set_model_version_tag(MODEL, "1", heads.TAG, f"1:{'a' * 64}")
    client.delete_model_version_tag(MODEL, "2", heads.TAG)
    monkeypatch.setattr(heads, "_MOST_AT_ONCE", 1)
    reconcile(deck.desk)
    assert (tag(client, 1), tag(client, 2)) == (f"1:{'a' * 64}", newest(deck, 2))


def test_a_move_that_fails_half_way_has_its_head_outside(
    deck: Deck, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(deck.desk)

    def fail(*_: object) -> None:
        raise ServerFailed("no alias today")

    monkeypatch.setattr(type(deck.service.registry), "set_alias", fail)
    with pytest.raises(ServerFailed):
        requests.move(deck.desk, Wanted(MODEL, 1, "Production"))
    (line,) = chain.lines(deck.ledger, action="transition.partial")
    assert tag(client, 1) == f"{line.number}:{line.hash}"


@pytest.mark.parametrize(
    "settle", [lambda desk: requests.settle(desk), lambda desk: settle_for(desk, MODEL)]
)
def test_what_is_settled_has_its_head_outside(
    deck: Deck, client: MlflowClient, settle: Callable[[Desk], object]
) -> None:
    move(deck, 1, "Production")
    assert tag(client, 1) is None
    with deck.ledger.transaction("breaking off") as connection:
        connection.execute(sa.text("UPDATE transitions SET state = 'applying', after = NULL"))
    settle(deck.desk)
    (line,) = chain.lines(deck.ledger, limit=1)
    assert line.entry.details["settled"]
    assert tag(client, 1) == f"{line.number}:{line.hash}"


def test_a_line_that_cannot_be_read_does_not_keep_the_next_head_from_its_place(
    deck: Deck, client: MlflowClient
) -> None:
    reconcile(deck.desk)
    move(deck, 1, "Production")
    heads.publish(deck.desk, chain.lines(deck.ledger, model=MODEL)[0])
    allow_changes(deck.ledger)
    with deck.ledger.transaction("changing") as connection:
        connection.execute(sa.text("UPDATE record SET body = '{}'"))
    move(deck, 1, "Archived")
    newest = chain.lines(deck.ledger, model=MODEL)[0]
    heads.publish(deck.desk, newest)
    tags = client.get_model_version(MODEL, "1").tags
    assert tags[heads.TAG] == f"{newest.number}:{newest.hash}"


def test_a_head_that_the_record_does_not_confirm_is_kept(deck: Deck, client: MlflowClient) -> None:
    reconcile(deck.desk)
    foreign = f"99:{'a' * 64}"
    client.set_model_version_tag(MODEL, "2", heads.TAG, foreign)
    stage(client)
    reconcile(deck.desk)
    assert client.get_model_version(MODEL, "2").tags[heads.TAG] == foreign
    assert [fault.number for fault in verify(deck.ledger, heads.gather(deck.desk)).faults]


def test_another_ladder_moves_versions_and_accuses_nobody(deck: Deck, client: MlflowClient) -> None:
    client.set_registered_model_alias(MODEL, "shadow", "3")
    reconcile(deck.desk)
    shadow = Rung("Shadow", "None", alias="shadow")
    ladder = replace(LADDER, rungs=(*LADDER.rungs[:2], shadow, *LADDER.rungs[2:]))
    desk = replace(deck.desk, rules=replace(deck.rules, ladder=ladder))
    (line,) = reconcile(desk)
    assert (line.entry.action, line.entry.version) == (known.BASELINE, 3)
    assert alerts(deck.ledger, deck.mlflow.address) == {}
    assert reconcile(desk) == ()
    (span,) = timeline(deck.ledger, deck.mlflow.address, MODEL).holder("Shadow", now())
    assert (span.version, span.known_since) == (3, True)


def test_a_tag_of_the_ladder_that_somebody_else_wrote_is_found(
    deck: Deck, client: MlflowClient
) -> None:
    qa = Rung("QA", "None")
    ladder = replace(LADDER, rungs=(*LADDER.rungs[:1], qa, *LADDER.rungs[1:]))
    desk = replace(deck.desk, rules=replace(deck.rules, ladder=ladder))
    reconcile(desk)
    client.set_model_version_tag(MODEL, "3", LADDER.tag, "QA")
    (line,) = reconcile(desk)
    assert (line.entry.action, line.entry.version) == (known.RUNG, 3)


def test_what_somebody_writes_to_the_ladder_s_tag_is_told_with_both_values(
    deck: Deck, client: MlflowClient
) -> None:
    reconcile(deck.desk)
    move(deck, 1, "Production")
    client.set_model_version_tag(MODEL, "1", LADDER.tag, "Archived")
    (line,) = reconcile(deck.desk)
    told = {k: line.entry.details[k] for k in ("tag", "tag_before", "tag_after")}
    assert told == {"tag": LADDER.tag, "tag_before": "Production", "tag_after": "Archived"}
    assert sentence(line.entry).startswith("The tag that names the stage of v1 changed")
    (span,) = timeline(deck.ledger, deck.mlflow.address, MODEL).holder("Production", now())
    assert span.by == deck.actor.name


def test_a_tag_that_somebody_writes_while_we_move_is_theirs(
    deck: Deck, client: MlflowClient
) -> None:
    move(deck, 1, "Production")
    reconcile(deck.desk)

    def meddle(place: int, _step: object) -> None:
        if place == 0:
            client.set_model_version_tag(MODEL, "3", LADDER.tag, "theirs")

    transition(
        deck.mlflow, deck.ledger, deck.actor, Wanted(MODEL, 2, "Production"), before_step=meddle
    )
    lines = chain.lines(deck.ledger, action=known.UNATTRIBUTED)
    assert [(line.entry.action, line.entry.version) for line in lines] == [(known.TAG, 3)]
    assert found(deck) == []


@pytest.mark.parametrize("how", ["before the update", "another tag"])
def test_a_tag_of_which_nothing_was_known_accuses_nobody(
    deck: Deck, client: MlflowClient, how: str
) -> None:
    desk, key = deck.desk, LADDER.tag
    reconcile(desk)
    if how == "another tag":
        key = "team.stage"
        desk = replace(desk, rules=replace(deck.rules, ladder=replace(LADDER, tag=key)))
    else:
        with deck.ledger.transaction("as it was") as connection:
            connection.execute(sa.text("UPDATE known_versions SET tag = NULL"))
    client.set_model_version_tag(MODEL, "1", key, "mine")
    assert reconcile(desk) == ()
    client.set_model_version_tag(MODEL, "1", key, "yours")
    (line,) = reconcile(desk)
    assert (line.entry.action, line.entry.version) == (known.TAG, 1)


def test_ours_and_theirs_mixed_all_of_theirs_and_none_of_ours(
    deck: Deck, client: MlflowClient
) -> None:
    reconcile(deck.desk)
    dice = random.Random(7)
    rungs = ["None", "Staging", "Production", "Archived"]
    for turn in range(8):
        for _ in range(dice.randrange(3)):
            version = dice.choice([1, 2])
            match dice.randrange(3):
                case 0:
                    move(deck, version, dice.choice(rungs))
                case 1:
                    before = deck.mlflow.registry.version(MODEL, version).description
                    editing.describe(deck.desk, MODEL, version, f"text {turn}", seen=before)
                case _:
                    editing.set_tag(deck.desk, MODEL, version, f"k{turn}", "v", seen=None)
        assert found(deck) == [], turn
        # Version 3 is theirs alone: every change of it is one without Modeldeck.
        now_at = client.get_model_version(MODEL, "3").current_stage
        match dice.randrange(3):
            case 0:
                to = dice.choice([r for r in rungs if r != now_at])
                client.transition_model_version_stage(MODEL, "3", to)
                assert found(deck) == [(known.STAGE, 3)], turn
            case 1:
                client.update_model_version(MODEL, "3", f"theirs {turn}")
                assert found(deck) == [(known.TIMESTAMP, 3)], turn
            case _:
                client.set_registered_model_alias(MODEL, f"theirs-{turn}", "3")
                assert found(deck) == [(known.ALIAS, 3)], turn
        if client.get_model_version(MODEL, "3").current_stage in ("Staging", "Production"):
            client.transition_model_version_stage(MODEL, "3", "None")
            assert found(deck) == [(known.STAGE, 3)], turn
    assert verify(deck.ledger, heads.gather(deck.desk)).ok


def test_a_description_of_ours_does_not_hide_what_others_changed_before(
    deck: Deck, client: MlflowClient
) -> None:
    reconcile(deck.desk)
    client.update_model_version(MODEL, "1", "theirs")
    editing.describe(deck.desk, MODEL, 1, "ours", seen="theirs")
    (line,) = chain.lines(deck.ledger, action=known.UNATTRIBUTED)
    assert line.entry.action == known.TIMESTAMP
    assert alerts(deck.ledger, deck.mlflow.address) == {MODEL: [line.number]}
    assert found(deck) == []


def test_a_description_waits_for_whoever_is_changing_the_model(deck: Deck) -> None:
    with (
        model_lease(deck.ledger, deck.mlflow.address, MODEL, "ben"),
        pytest.raises(Busy),
    ):
        editing.describe(deck.desk, MODEL, 1, "ours", seen="")
    assert deck.mlflow.registry.version(MODEL, 1).description == ""


def made(deck: Deck, version: ModelVersion) -> None:
    with deck.ledger.transaction("testing") as connection:
        known.note_made(connection, deck.mlflow.address, version, deck.rules.ladder)


def test_what_was_moved_before_its_registration_is_noted_accuses_nobody(deck: Deck) -> None:
    reconcile(deck.desk)
    version = deck.mlflow.registry.create_version(MODEL, "/models/4")
    move(deck, version.version, "Production")
    made(deck, version)
    assert found(deck) == []


def test_what_is_registered_before_the_first_look_makes_nothing_else_new(
    deck: Deck, client: MlflowClient
) -> None:
    stage(client)
    made(deck, deck.mlflow.registry.create_version(MODEL, "/models/4"))
    assert {action for action, _ in found(deck)} == {known.BASELINE}
