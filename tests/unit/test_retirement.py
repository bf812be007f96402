"""Which versions have had their day, and what is known of an endpoint's calls."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.ledger import processes as ledger_processes
from core.lifecycle import retirement
from core.lifecycle.deck import Deck, open_deck
from core.mlflow_api import calls
from core.processes import ProcessRef
from core.registry import requests
from core.registry.ladder import LADDER
from core.registry.plan import Wanted
from core.registry.requests import Kind, State
from core.registry.retirement import Facts, Reason, Service, candidates
from core.registry.transitions import transition
from core.serving import endpoints
from core.settings import load
from tests.roles import found as in_order

NOW = datetime(2026, 3, 1, tzinfo=UTC)
IDLE = timedelta(days=90)


def fact(version: int, rung: str = "None", days: float = 1, **more: object) -> Facts:
    """A version of "wine" that carries an alias and was changed so many days ago."""
    known: dict[str, object] = {"aliases": ("a",), "changed_at": NOW - timedelta(days=days)}
    return Facts("wine", version, LADDER.rung(rung), **(known | more))  # type: ignore[arg-type]


def reasons(*facts: Facts) -> dict[int, tuple[Reason, ...]]:
    """Version → its reasons."""
    return {c.facts.version: c.reasons for c in candidates(facts, LADDER, NOW, IDLE)}


class TestReasons:
    def test_what_is_fresh_and_wanted_has_none(self) -> None:
        assert reasons(fact(1, "Production"), fact(2, "Staging"), fact(3)) == {}

    @pytest.mark.parametrize(("days", "stale"), [(89.9, False), (90, True), (900, True)])
    def test_stale(self, days: float, stale: bool) -> None:
        assert (reasons(fact(1, "Production", days)) == {1: (Reason.STALE,)}) == stale

    def test_an_unknown_time_is_not_stale(self) -> None:
        assert reasons(fact(1, changed_at=None)) == {}

    def test_a_newer_version_above(self) -> None:
        found = candidates([fact(3, "Production"), fact(1), fact(2, "Staging"), fact(4)],
                           LADDER, NOW, IDLE)  # fmt: skip
        assert {c.facts.version: c.by for c in found} == {1: 3, 2: 3}

    def test_a_newer_version_in_its_place(self) -> None:
        found = [fact(1, "Production"), fact(2, "Production"), fact(3), fact(4)]
        assert reasons(*found) == {1: (Reason.SUPERSEDED,)}

    def test_an_older_version_above_supersedes_nothing(self) -> None:
        assert reasons(fact(1, "Production"), fact(2, "Staging"), fact(3)) == {}

    def test_an_earlier_holder(self) -> None:
        assert reasons(fact(2, held=("Production",))) == {2: (Reason.SUPERSEDED,)}
        # Who holds it again is no earlier holder.
        assert reasons(fact(2, "Production", held=("Production",))) == {}

    def test_other_models_supersede_nothing(self) -> None:
        other = Facts("grape", 9, LADDER.rung("Production"), ("a",), NOW)
        assert reasons(other, fact(1)) == {}

    def test_what_is_archived_is_retired_already(self) -> None:
        assert reasons(fact(1, "Archived", 900, aliases=())) == {}

    def test_unaliased(self) -> None:
        assert reasons(fact(1, aliases=())) == {1: (Reason.UNALIASED,)}

    @pytest.mark.parametrize(
        ("known", "since", "called", "uncalled"),
        [
            (True, 100, None, True),
            (True, 100, 95, True),
            (True, 100, 5, False),
            (True, 5, None, False),
            (False, 100, None, False),
            (True, None, None, False),
        ],
    )
    def test_uncalled(
        self, known: bool, since: int | None, called: int | None, uncalled: bool
    ) -> None:
        """Only where it is certain: a process that keeps no calls is not taken for idle."""
        at = [None if d is None else NOW - timedelta(days=d) for d in (since, called)]
        served = fact(1, services=(Service("e", known, *at),))
        assert (reasons(served) == {1: (Reason.UNCALLED,)}) == uncalled

    def test_most_reasons_first_then_the_oldest(self) -> None:
        found = candidates(
            [fact(1, days=100), fact(2, days=200), fact(3, days=95, aliases=())], LADDER, NOW, IDLE
        )
        assert [c.facts.version for c in found] == [3, 2, 1]


class TestCalls:
    def test_none_are_known_of_an_older_process(self, tmp_path: Path) -> None:
        assert calls.calls(tmp_path) == calls.Calls(False, None)

    def test_none_yet_then_one_and_a_restart_keeps_it(self, tmp_path: Path) -> None:
        calls.begin(tmp_path)
        assert calls.calls(tmp_path) == calls.Calls(True, None)
        calls.called(tmp_path)
        once = calls.calls(tmp_path)
        assert once.last is not None
        calls.begin(tmp_path)
        assert calls.calls(tmp_path) == once

    def test_a_call_is_answered_although_it_cannot_be_noted(self, tmp_path: Path) -> None:
        calls.called(tmp_path / "gone")
        assert not calls.calls(tmp_path / "gone").known


@pytest.fixture
def deck() -> Deck:
    """A store with three versions; version 2 took Production from version 1."""
    here = open_deck(load())
    here.mlflow.registry.create_model("wine")
    run = here.mlflow.tracking.create_run("0", "r")
    for number in (1, 2, 3):
        here.mlflow.registry.create_version("wine", f"runs:/{run.id}/{number}", run.id, "", {})
    for number in (1, 2):
        wanted = Wanted("wine", number, "Production", archive_existing=False)
        transition(here.mlflow, here.ledger, here.actor, wanted, here.rules.ladder)
    back = Wanted("wine", 1, "None")
    transition(here.mlflow, here.ledger, here.actor, back, here.rules.ladder)
    return here


def served(deck: Deck, version: int) -> Path:
    """An endpoint of a version that is up; the folder of its process."""
    found = deck.mlflow.registry.version("wine", version)
    made = endpoints.request(deck.ledger, deck.actor, found)
    endpoints.claim_all(deck.ledger, "worker", 1)
    folder = deck.settings.home / "endpoints" / made.id
    folder.mkdir(parents=True)
    process = ledger_processes.record(
        deck.ledger, ledger_processes.ENDPOINT, made.id, node=deck.settings.node,
        home=deck.settings.home, ref=ProcessRef(1, 0.0), folder=folder,
    )  # fmt: skip
    endpoints.update(
        deck.ledger, endpoints.get(deck.ledger, made.id), process_id=process.id,
        state=endpoints.HEALTHY, ready_at=datetime.now(UTC) - timedelta(days=100),
    )  # fmt: skip
    return folder


def test_gathered_from_registry_record_and_endpoints(deck: Deck) -> None:
    folder = served(deck, 3)
    calls.begin(folder)
    found = retirement.find(deck, IDLE)
    assert {c.facts.version: set(c.reasons) for c in found.candidates} == {
        1: {Reason.SUPERSEDED, Reason.UNALIASED},
        3: {Reason.UNCALLED, Reason.UNALIASED},
    }
    assert {c.facts.version: c.by for c in found.candidates} == {1: 2, 3: None}
    assert [c.breaks for c in found.candidates if c.facts.version == 3] == [True]
    assert (found.versions, found.models, found.whole_record) == (3, 1, True)
    assert [(one.idle, one.rung) for one in found.endpoints] == [(True, "None")]
    os.utime(folder / calls.CALLED)
    assert [one.idle for one in retirement.find(deck, IDLE).endpoints] == [False]
    MlflowClient(deck.settings.tracking_uri).delete_model_version("wine", "3")
    assert [one.rung for one in retirement.find(deck, IDLE).endpoints] == [None]


def test_asking_is_a_request_and_deletes_nothing(deck: Deck) -> None:
    found = retirement.find(deck, IDLE)
    asked = retirement.ask_to_archive(deck, [("wine", 1), ("wine", 3)], found.seen, "old")
    assert [(a.version, a.why_not) for a in asked] == [(1, ""), (3, "")]
    made = requests.listed(deck.desk)
    assert {(r.version, r.kind, r.rung, r.comment) for r in made} == {
        (1, Kind.ARCHIVE, "Archived", "old"), (3, Kind.ARCHIVE, "Archived", "old"),
    }  # fmt: skip
    assert {v.version: v.stage for v in deck.mlflow.registry.versions("wine")} == {
        1: "None", 2: "Production", 3: "None",
    }  # fmt: skip
    assert retirement.find(deck, IDLE).asked == {("wine", 1), ("wine", 3)}


def test_one_that_is_archived_leaves_the_others_asked(deck: Deck) -> None:
    """Many may stand on the rung of what is retired."""
    found = retirement.find(deck, IDLE)
    asked = retirement.ask_to_archive(deck, [("wine", 1), ("wine", 3)], found.seen, "old")
    first, second = (one.request for one in asked)
    assert first
    assert second
    for made in (first, second):
        checked = requests.checked(deck.ledger, made.id, in_order(deck, made))
        if checked.state is State.WAITING:
            requests.approve(deck.desk, made.id, binding=requests.binding(checked))
    requests.carry_out(deck.desk, first.id, lambda made: in_order(deck, made))
    assert requests.get(deck.desk, second.id).state is State.APPROVED
    requests.carry_out(deck.desk, second.id, lambda made: in_order(deck, made))
    stages = {v.version: v.stage for v in deck.mlflow.registry.versions("wine")}
    assert stages == {1: "Archived", 2: "Production", 3: "Archived"}


def test_one_that_changed_since_does_not_stop_the_others(deck: Deck) -> None:
    found = retirement.find(deck, IDLE)
    up = Wanted("wine", 3, "Staging")
    transition(deck.mlflow, deck.ledger, deck.actor, up, deck.rules.ladder)
    asked = retirement.ask_to_archive(deck, [("wine", 3), ("wine", 1)], found.seen, "old")
    assert asked[0].request is None
    assert "Staging" in asked[0].why_not
    assert asked[1].request is not None
