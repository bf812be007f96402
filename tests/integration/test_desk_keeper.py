"""Requests as the worker looks after them: checked, stopped, compared again, carried out."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from core.errors import Busy, Conflict
from core.ledger import chain, leases, now
from core.ledger.schema import decisions as decision_table
from core.lifecycle import desk_keeper
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.desk_keeper import DeskKeeper, as_worker, carry_out, check
from core.registry import requests
from core.registry.gates.evidence_json import from_json
from core.registry.plan import ModelState, see
from core.registry.policy import GateUse, Level, Policy, Rule, Rules
from core.registry.requests import Request, State
from core.settings import load
from tests import small_store
from tests.faults import Fault, FaultProxy
from tests.servers import MlflowServer, Server, clean_environment
from tests.waiting import until

MODEL = "rent"
RUNG = "Production"
EXAMPLE = GateUse("example_answered", Level.BLOCK, {"seconds": 60.0})
PLAIN = GateUse("code_in_artifact", Level.BLOCK, {})


def rules(*gates: GateUse) -> Rules:
    return Rules(rules=(Rule("*", RUNG, Policy(approvals=1, gates=gates)),))


@pytest.fixture
def deck(home: Path) -> Iterator[Deck]:
    """A store of this machine with a model of two versions; the second is in Production."""
    opened = open_deck(load({"MODELDECK_HOME": str(home)}))
    opened.mlflow.tracking.experiments()
    words = replace(small_store.Words(), artifact_root=(home / "artifacts" / "x").as_uri())
    with pytest.MonkeyPatch.context() as patch:  # MLflow looks up a model's source in its default
        patch.setenv("MLFLOW_TRACKING_URI", opened.settings.tracking_uri)
        small_store.make(MlflowClient(opened.settings.tracking_uri), words)
    yield replace(opened, rules=rules(PLAIN))
    opened.ledger.close()
    opened.mlflow.gateway.close()


def asked(deck: Deck, version: int = 1) -> Request:
    state = ModelState.of(MODEL, deck.service.registry.versions(MODEL))
    seen = see(state, version, RUNG, deck.rules.ladder)
    return requests.ask(deck.desk, MODEL, version, RUNG, "better", seen=seen)


def checked(deck: Deck, request: Request | None = None) -> Request:
    made = request or asked(deck)
    DeskKeeper(deck, "one").check(made.id)
    return requests.get(deck.desk, made.id)


def approved(deck: Deck) -> Request:
    found = checked(deck)
    assert found.state is State.WAITING
    return requests.approve(deck.desk, found.id, "fine", binding=requests.binding(found))


def files(home: Path) -> Path:
    (found,) = (home / "artifacts").rglob("MLmodel")
    return found.parent


def rewrite(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


def production(deck: Deck) -> list[int]:
    found = deck.service.registry.versions(MODEL)
    return [v.version for v in found if v.stage == RUNG]


# ---------------------------------------------------------------------------------------- checks


def test_a_check_gathers_judges_plans_and_freezes_it(deck: Deck, home: Path) -> None:
    found = checked(replace(deck, rules=rules(EXAMPLE, PLAIN)))
    assert found.state is State.WAITING, found.message
    assert [(r.gate, str(r.status)) for r in found.results] == [
        ("example_answered", "pass"), ("code_in_artifact", "pass"),
    ]  # fmt: skip
    assert found.evidence is not None
    evidence = from_json(found.evidence)
    assert (evidence.challenger.version, evidence.holder and evidence.holder.version) == (1, 2)
    assert evidence.challenger.metrics["r2"] == pytest.approx(0.89)
    assert evidence.challenger.datasets[0]["rows"] == 50
    assert evidence.challenger.inputs is not None
    assert evidence.example is not None
    assert evidence.example.rows == 2
    assert evidence.missing == {}
    assert found.bound is not None
    assert (found.bound.digest, found.bound.digest_of) == (evidence.digest, "content")
    assert (found.bound.holders, found.bound.carrier, found.bound.standing) == ((2,), 2, "None")
    assert "v1 → Production" in [step.sentence for step in found.steps]
    assert not any((home / "checks").iterdir())


def test_no_model_is_run_where_no_gate_asks_for_it(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lifecycle.evidence.answer", lambda *_: pytest.fail("it was run"))
    found = checked(deck)
    assert found.state is State.WAITING
    requests.withdraw(deck.desk, found.id)
    with pytest.raises(pytest.fail.Exception):  # the control
        checked(replace(deck, rules=rules(EXAMPLE)))


def test_a_model_that_fails_blocks(deck: Deck, home: Path) -> None:
    (files(home) / "serving_input_example.json").write_text('{"dataframe_split": 1}')
    found = checked(replace(deck, rules=rules(EXAMPLE)))
    assert found.state is State.BLOCKED
    assert found.results[0].blocks


def test_what_cannot_be_read_is_missing_and_the_rest_is_there(deck: Deck, home: Path) -> None:
    shutil.rmtree(files(home))
    found = checked(deck)
    assert found.bound is not None
    assert found.bound.digest == ""
    assert found.evidence is not None
    evidence = from_json(found.evidence)
    assert {"files", "signature", "digest"} & set(evidence.missing) >= {"digest"}
    assert evidence.challenger.metrics


def test_of_two_workers_one_checks(deck: Deck) -> None:
    made = asked(deck)
    lease = leases.take(deck.ledger, f"check:{made.id}", "another", 30)
    assert lease is not None
    DeskKeeper(deck, "one").check(made.id)
    assert requests.get(deck.desk, made.id).state is State.CHECKING
    leases.give_back(deck.ledger, lease)
    assert checked(deck, made).state is State.WAITING


def test_a_check_of_what_was_withdrawn_stops(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    made = asked(deck)
    monkeypatch.setattr(desk_keeper, "_LOOK_SECONDS", 0.0)
    real = desk_keeper.gather

    def slow(*args: object, **options: object) -> object:
        requests.withdraw(deck.desk, made.id, "a mistake")
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(desk_keeper, "gather", slow)
    monkeypatch.setattr(desk_keeper, "judge", lambda *_: pytest.fail("it went on"))
    DeskKeeper(deck, "one").check(made.id)
    assert requests.get(deck.desk, made.id).state is State.WITHDRAWN


def test_a_worker_that_ends_leaves_the_check_to_the_next(deck: Deck) -> None:
    made = asked(deck)
    ending = DeskKeeper(deck, "one")
    ending.close()
    ending.check(made.id)
    assert requests.get(deck.desk, made.id).state is State.CHECKING
    assert checked(deck, made).state is State.WAITING


def test_what_a_killed_worker_left_is_cleared_and_looks_of_others_are_not(
    deck: Deck, home: Path
) -> None:
    for name in ("left", "other-again"):
        (home / "checks" / name).mkdir(parents=True)
    DeskKeeper(deck, "one")
    assert [folder.name for folder in (home / "checks").iterdir()] == ["other-again"]


def test_a_version_that_is_gone_closes_its_request(deck: Deck) -> None:
    made = asked(deck)
    MlflowClient(deck.settings.tracking_uri).delete_model_version(MODEL, "1")
    found = checked(deck, made)
    assert found.state is State.OUTDATED
    assert "1" in found.message


def test_while_the_server_is_away_nothing_is_judged(
    home: Path, mlflow_server: MlflowServer
) -> None:
    words = replace(
        small_store.Words(), model=f"away-{home.parent.name}", experiment=home.parent.name
    )
    small_store.make(MlflowClient(mlflow_server.url), words)
    with FaultProxy(mlflow_server.url) as proxy:
        opened = open_deck(load({"MODELDECK_HOME": str(home), "MLFLOW_TRACKING_URI": proxy.url}))
        deck = replace(opened, rules=rules(PLAIN))
        state = ModelState.of(words.model, deck.service.registry.versions(words.model))
        made = requests.ask(
            deck.desk, words.model, 1, RUNG, "better", seen=see(state, 1, RUNG, deck.rules.ladder)
        )
        keeper = DeskKeeper(deck, "one")
        proxy.set(Fault.REFUSE)
        keeper.check(made.id)
        waiting = requests.get(deck.desk, made.id)
        assert waiting.state is State.CHECKING
        assert proxy.url in waiting.message
        assert keeper.waiting() == []  # it rests a while
        proxy.set(Fault.PASS)

        def is_checked() -> bool:
            keeper.check(made.id)
            return requests.get(deck.desk, made.id).state is State.WAITING

        until(is_checked, 30, "the check to succeed", every=0.5)
        deck.ledger.close()
        deck.mlflow.gateway.close()


# ----------------------------------------------------------------------------------- carried out


def test_what_was_approved_is_carried_out_once(deck: Deck) -> None:
    found = approved(deck)
    carry_out(deck, found.id)
    assert requests.get(deck.desk, found.id).state is State.DONE
    assert production(deck) == [1]
    with pytest.raises(Conflict):
        carry_out(deck, found.id)


def test_artifacts_that_changed_after_the_approval_stop_it(deck: Deck, home: Path) -> None:
    found = approved(deck)
    rewrite(files(home) / "MLmodel")
    with pytest.raises(Conflict):
        carry_out(deck, found.id)
    assert requests.get(deck.desk, found.id).state is State.OUTDATED
    assert production(deck) == [2]


def test_above_the_cap_the_listing_is_compared_and_it_says_so(deck: Deck, home: Path) -> None:
    small = replace(deck, settings=deck.settings.model_copy(update={"digest_mb": 0}))
    found = approved(small)
    again = check(as_worker(small), found, before_applying=True)
    assert again.bound == found.bound
    assert (again.evidence["compared"], again.evidence["digest_of"]) == ("listing", "listing")
    assert "digest" in again.evidence["notes"]
    # What the listing cannot see is not seen, what it can is.
    example = files(home) / "input_example.json"
    example.write_text("x" * len(example.read_text()))
    assert check(as_worker(small), found, before_applying=True).bound == found.bound
    example.write_text("longer than it was" * 100)
    assert check(as_worker(small), found, before_applying=True).bound != found.bound
    assert check(as_worker(deck), found, before_applying=True).bound != found.bound


def test_before_applying_the_models_answer_counts_while_the_files_are_the_same(
    deck: Deck, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = replace(deck, rules=rules(EXAMPLE))
    found = approved(judged)
    monkeypatch.setattr("core.lifecycle.evidence.answer", lambda *_: pytest.fail("it was run"))
    again = check(as_worker(judged), found, before_applying=True)
    assert again.bound == found.bound
    rewrite(files(home) / "MLmodel")
    changed = check(as_worker(judged), found, before_applying=True)
    assert changed.bound.gates == {"0:example_answered": "unknown"}


def test_what_was_left_approved_is_carried_out_by_the_worker(deck: Deck) -> None:
    found = approved(deck)
    keeper = DeskKeeper(deck, "one")
    keeper.do("approved")
    assert production(deck) == [2]  # whoever approved is at it
    with deck.ledger.transaction("long ago") as connection:
        connection.execute(sa.update(decision_table).values(at=now() - timedelta(seconds=11)))
    keeper.do("approved")
    assert production(deck) == [1]
    assert requests.get(deck.desk, found.id).state is State.DONE


def test_one_request_that_fails_does_not_hold_up_another(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = approved(deck)
    with deck.ledger.transaction("long ago") as connection:
        connection.execute(sa.update(decision_table).values(at=now() - timedelta(seconds=11)))
    tried: list[str] = []

    def failing(_deck: Deck, request_id: str) -> None:
        tried.append(request_id)
        raise Conflict("no") if len(tried) % 2 else RuntimeError("a defect")

    with monkeypatch.context() as away:
        away.setattr(desk_keeper, "carry_out", lambda *_: (_ for _ in ()).throw(Busy("Later.")))
        DeskKeeper(deck, "one").do("approved")
    assert requests.get(deck.desk, left.id).message == "Later."
    keeper = DeskKeeper(deck, "one")
    found = [requests.get(deck.desk, left.id)] * 3
    monkeypatch.setattr(keeper, "_select", lambda *_: found)
    monkeypatch.setattr(desk_keeper, "carry_out", failing)
    with pytest.raises(RuntimeError, match="a defect"):  # told, once all had their turn
        keeper.do("approved")
    assert tried == [left.id] * 3


def test_a_change_without_modeldeck_is_found_at_the_next_pass(deck: Deck) -> None:
    keeper = DeskKeeper(deck, "one")
    keeper.do("reconcile")  # the first look
    assert chain.count(deck.ledger, action="unattributed.") == 0
    MlflowClient(deck.settings.tracking_uri).set_registered_model_alias(MODEL, "champion", "1")
    keeper.do("reconcile")
    assert chain.count(deck.ledger, action="unattributed.") > 0


@pytest.mark.parametrize("name", ["expire", "settle", "approved", "reconcile"])
def test_every_timer_has_its_task(deck: Deck, name: str) -> None:
    keeper = DeskKeeper(deck, "one")
    assert keeper.timers[name] > 0
    keeper.do(name)


def test_a_real_worker_checks_and_finishes_what_was_left(deck: Deck, home: Path) -> None:
    worker = Server(home.parent / "worker.log")
    worker.launch(
        [sys.executable, "-m", "core", "worker"], clean_environment({"MODELDECK_HOME": str(home)})
    )
    try:
        made = asked(deck)
        until(lambda: requests.get(deck.desk, made.id).state is State.WAITING, 120, "the check")
        found = requests.get(deck.desk, made.id)
        requests.approve(deck.desk, found.id, "fine", binding=requests.binding(found))
        # Whoever approved went away: nobody but the worker carries it out.
        until(lambda: production(deck) == [1], 120, "the change")
        until(lambda: requests.get(deck.desk, made.id).state is State.DONE, 60, "its end")
    finally:
        worker.end()
    actions = [line.entry.action for line in chain.lines(deck.ledger, request_id=made.id)]
    assert {"request.asked", "request.checked", "request.approved", "request.done"} <= {*actions}
