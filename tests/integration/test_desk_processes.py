"""A tenth of what `make soak` proves of the desk, by the same code: at once, and killed."""

from typing import Any

import pytest

from core.registry.lease import model_lease
from tests.servers import MlflowServer, Postgres
from tests.soak.desk import KILLS, ROUNDS, Place, kill_everywhere, nobody, promote_at_once

CONTROL_ROUNDS = 20


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


def test_of_those_who_promote_at_once_one_comes_through_and_all_are_told_the_truth(
    place: Place, request: pytest.FixtureRequest
) -> None:
    found = promote_at_once(place, ROUNDS // 10, model=request.node.name, hold=model_lease)
    assert found.faults == []
    assert found.rounds == found.carried_out == ROUNDS // 10
    assert found.refused > found.rounds


def test_without_the_lease_the_same_goes_wrong(
    place: Place, request: pytest.FixtureRequest
) -> None:
    found = promote_at_once(
        place, CONTROL_ROUNDS, model=request.node.name, hold=nobody, until_fault=True
    )
    assert any("in Production: [" in fault for fault in found.faults)


def test_whoever_is_killed_anywhere_on_the_way_leaves_nothing_that_is_not_settled(
    place: Place, request: pytest.FixtureRequest
) -> None:
    found = kill_everywhere(place, KILLS // 10, model=request.node.name)
    assert found.faults == []
    assert found.kills == len(found.places) * (KILLS // 10)
    assert len(found.places) >= 14
    assert set(found.ended) == {"approved", "done"}
