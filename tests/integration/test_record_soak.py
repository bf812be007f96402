"""A little of what `make soak` proves of the record, by the same code; and its control."""

from typing import Any

import pytest

from core.registry import known
from tests.servers import MlflowServer, Postgres
from tests.soak.desk import Place
from tests.soak.record import THEIRS, compare

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
ROUNDS = 2


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, home: Any) -> Place:
    """SQLite stores under the home; or an MLflow server and a ledger on PostgreSQL."""
    environment = {"MODELDECK_HOME": str(home)}
    if request.param == "postgres":
        server: MlflowServer = request.getfixturevalue("mlflow_server_on_postgres")
        database: Postgres = request.getfixturevalue("postgres")
        environment["MLFLOW_TRACKING_URI"] = server.url
        environment["MODELDECK_LEDGER_URI"] = database.fresh_database()
    return Place(environment)


def test_all_that_others_changed_is_found_and_nobody_is_wrongly_accused(
    place: Place, request: pytest.FixtureRequest
) -> None:
    found = compare(place, ROUNDS, model=request.node.name, edits=10, cuts=2)
    assert found.faults == []
    assert (found.rounds, found.theirs) == (ROUNDS, ROUNDS * len(THEIRS))
    assert found.ours > found.refused
    assert (found.edits, found.cuts) == (10, 2)


def test_without_a_note_of_our_own_writes_they_are_taken_for_others(
    place: Place, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "expect", lambda *_: None)
    monkeypatch.setattr(known, "note", lambda *_: None)
    found = compare(place, 5, model=request.node.name, until_fault=True)
    assert any("wrongly accused: ('unattributed.timestamp'" in fault for fault in found.faults)
