"""Evidence that could not be read just now: it is looked at again, and no approval is lost."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.errors import DeckError
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.desk_keeper import DeskKeeper, as_worker, carry_out, check
from core.mlflow_api.artifacts import Artifacts
from core.registry import requests
from core.registry.gates.evidence_json import from_json
from core.registry.plan import ModelState, see
from core.registry.policy import GateUse, Level, Policy, Rule, Rules
from core.registry.requests import Request, State
from core.settings import load
from tests import small_store

MODEL, RUNG = "rent", "Production"
PLAIN = GateUse("code_in_artifact", Level.BLOCK, {})
ENVIRONMENT = GateUse("environment", Level.WARN, {"python": False})
EXAMPLE = GateUse("example_answered", Level.WARN, {"seconds": 60.0})


class ServiceUnavailable(Exception):
    """As an artifact store's client raises it; its words may hold a key."""

    def __str__(self) -> str:
        return "503 for https://store/model?key=secret"


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
FAILURES = pytest.mark.parametrize("error", [FULL, ServiceUnavailable()], ids=["full", "503"])
READS = pytest.mark.parametrize("read", ["model_uri", "walk", "model_info", "fetch"])


def fails(error: Exception) -> Callable[..., object]:
    def raising(*_: object, **__: object) -> object:
        raise error

    return raising


def rules(*gates: GateUse) -> Rules:
    return Rules(rules=(Rule("*", RUNG, Policy(approvals=1, gates=gates)),))


@pytest.fixture
def deck(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deck]:
    """A store of this machine with a model of two versions; the second is in Production."""
    opened = open_deck(load({"MODELDECK_HOME": str(home)}))
    opened.mlflow.tracking.experiments()
    words = replace(small_store.Words(), artifact_root=(home / "artifacts" / "x").as_uri())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", opened.settings.tracking_uri)
    small_store.make(MlflowClient(opened.settings.tracking_uri), words)
    yield replace(opened, rules=rules(PLAIN))
    opened.ledger.close()
    opened.mlflow.gateway.close()


def checked(deck: Deck, request: Request | None = None) -> Request:
    state = ModelState.of(MODEL, deck.service.registry.versions(MODEL))
    seen = see(state, 1, RUNG, deck.rules.ladder)
    made = request or requests.ask(deck.desk, MODEL, 1, RUNG, "better", seen=seen)
    DeskKeeper(deck, "one").check(made.id)
    return requests.get(deck.desk, made.id)


def approved(deck: Deck) -> Request:
    found = checked(deck)
    assert found.state is State.WAITING, found.message
    return requests.approve(deck.desk, found.id, "fine", binding=requests.binding(found))


def files(home: Path) -> Path:
    (found,) = (home / "artifacts").rglob("MLmodel")
    return found.parent


@FAILURES
@READS
def test_before_applying_no_approval_is_lost_and_it_says_what_it_waits_for(
    deck: Deck, read: str, error: Exception
) -> None:
    found = approved(deck)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Artifacts, read, fails(error))
        with pytest.raises(DeckError) as raised:
            carry_out(deck, found.id)
    assert raised.value.retryable
    assert "tried again" in raised.value.what
    assert "secret" not in raised.value.what
    assert ("No space left" in raised.value.what) == (error is FULL)
    assert requests.get(deck.desk, found.id).state is State.APPROVED
    carry_out(deck, found.id)
    assert requests.get(deck.desk, found.id).state is State.DONE


@FAILURES
@READS
def test_at_the_first_check_nothing_is_judged_and_it_says_what_it_waits_for(
    deck: Deck, read: str, error: Exception
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Artifacts, read, fails(error))
        waits = checked(deck)
    assert waits.state is State.CHECKING
    assert "tried again" in waits.message
    assert "secret" not in waits.message
    found = checked(deck, waits)
    assert found.state is State.WAITING
    assert found.bound is not None
    assert found.bound.digest


def test_a_disk_that_is_full_is_no_answer_of_the_model(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lifecycle.evidence.answer", fails(FULL))
    waits = checked(replace(deck, rules=rules(EXAMPLE)))
    assert waits.state is State.CHECKING
    assert "No space left" in waits.message


def test_where_no_files_are_the_model_does_not_answer_and_the_check_ends(
    deck: Deck, home: Path
) -> None:
    shutil.rmtree(files(home))
    found = checked(replace(deck, rules=rules(EXAMPLE)))
    assert found.state is State.BLOCKED
    assert from_json(found.evidence or {}).missing["example"].startswith("There are no files")


def test_what_could_not_be_had_at_the_first_check_may_stay_so(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lifecycle.evidence.replicates", fails(RuntimeError()))
    found = approved(deck)
    assert from_json(found.evidence or {}).missing["replicates"]
    assert from_json(found.evidence or {}).missing["holder.replicates"]
    carry_out(deck, found.id)
    assert requests.get(deck.desk, found.id).state is State.DONE


def test_what_could_be_had_then_and_cannot_now_is_looked_at_again(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = approved(deck)
    monkeypatch.setattr("core.lifecycle.evidence.replicates", fails(RuntimeError()))
    with pytest.raises(DeckError) as raised:
        carry_out(deck, found.id)
    assert raised.value.retryable


def test_a_file_that_cannot_be_read_as_what_it_is_does_not_hold_the_check_up(
    deck: Deck, home: Path
) -> None:
    (files(home) / "MLmodel").write_text("[" * 5_000)
    found = checked(deck)
    assert found.state is State.BLOCKED
    assert from_json(found.evidence or {}).missing["signature"]


@pytest.mark.parametrize("line", ['numpy; sys_platform ~= "linux"', 'x; "a" ~= "b"'])
def test_an_odd_line_of_requirements_does_not_hold_the_check_up(
    deck: Deck, home: Path, line: str
) -> None:
    requirements = files(home) / "requirements.txt"
    requirements.write_text(f"{requirements.read_text()}\n{line}\n")
    found = checked(replace(deck, rules=rules(ENVIRONMENT)))
    assert found.state is State.WAITING, found.message
    assert str(found.results[0].status) == "unknown"
    assert line in found.results[0].reason


def test_requirements_that_cannot_be_compared_do_not_hold_the_check_up(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lifecycle.evidence.pins", fails(RuntimeError()))
    found = checked(replace(deck, rules=rules(ENVIRONMENT)))
    assert found.state is State.WAITING
    assert from_json(found.evidence or {}).missing["pins"]


# ---------------------------------------------------------------------- what it was compared by


def test_above_the_size_it_says_beforehand_that_the_listing_alone_will_be_compared(
    deck: Deck,
) -> None:
    small = replace(deck, settings=deck.settings.model_copy(update={"digest_mb": 0}))
    said = from_json(approved(small).evidence or {})
    assert said.digest_of == "content"
    assert "more than the 0 B that are read again before applying" in said.notes["digest"]


def test_below_the_size_nothing_is_said(deck: Deck) -> None:
    assert from_json(approved(deck).evidence or {}).notes == {}


@pytest.mark.parametrize(
    ("model_mb", "digest_mb", "by"), [(9, 9, "content"), (9, 0, "listing"), (0, 9, "listing")]
)
def test_a_look_before_applying_tells_by_what_it_compared(
    deck: Deck, model_mb: int, digest_mb: int, by: str
) -> None:
    sizes = {"model_mb": model_mb, "digest_mb": digest_mb}
    sized = replace(deck, settings=deck.settings.model_copy(update=sizes))
    found = approved(sized)
    assert (found.evidence or {})["compared"] == ""
    again = check(as_worker(sized), found, before_applying=True)
    assert again.bound == found.bound
    assert again.evidence["compared"] == by
