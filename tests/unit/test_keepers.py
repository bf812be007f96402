"""What the worker and the page server keep in the ledger about those that they look after."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core import locks
from core.errors import LedgerFailed
from core.ledger import now, schema
from core.ledger import processes as ledger_processes
from core.lifecycle import running, supervisor, worker
from core.lifecycle.deck import Deck, open_deck
from core.mlflow_api.nouns import ModelVersion
from core.mlflow_api.scoring import Identity
from core.processes import this_process
from core.serving import client, endpoints
from core.serving.keeper import READY, EndpointKeeper
from core.settings import load


@pytest.fixture
def deck(home: Path) -> Iterator[Deck]:
    opened = open_deck(load({"MODELDECK_HOME": str(home), "MODELDECK_WORKER": "external"}))
    yield opened
    opened.mlflow.gateway.close()
    opened.ledger.close()


def age(deck: Deck, process_id: str, **columns: object) -> None:
    with deck.ledger.transaction("test") as connection:
        table = schema.processes
        connection.execute(sa.update(table).where(table.c.id == process_id).values(**columns))


# ----------------------------------------------------------------------------------- endpoints


@pytest.mark.parametrize(("minutes", "restarts"), [(9, 2), (11, 0)])
def test_an_endpoint_that_served_long_gets_its_tries_again(
    deck: Deck, monkeypatch: pytest.MonkeyPatch, minutes: int, restarts: int
) -> None:
    version = ModelVersion(
        model="m", version=1, stage="None", aliases=(), description="", tags={}, run_id=None,
        source="", status="READY", status_message="", created_at=None, updated_at=None,
    )  # fmt: skip
    made = endpoints.request(deck.ledger, deck.actor, version)
    endpoints.claim_all(deck.ledger, "w", 1)
    process = ledger_processes.record(
        deck.ledger, ledger_processes.ENDPOINT, made.id, node=deck.settings.node,
        home=deck.settings.home, ref=this_process(), folder=deck.settings.home,
    )  # fmt: skip
    age(deck, process.id, begun_at=now() - timedelta(minutes=minutes))
    (deck.settings.home / READY).write_text('{"nonce": "n", "port": 1}')
    endpoint = endpoints.update(
        deck.ledger, endpoints.get(deck.ledger, made.id), state=endpoints.HEALTHY, restarts=2,
        nonce="n", process_id=process.id, ready_at=now(),
    )  # fmt: skip
    answer = Identity(made.id, "m", 1, "n", os.getpid())
    monkeypatch.setattr(client, "identify", lambda *_: answer)
    EndpointKeeper(deck.settings, deck.mlflow, deck.ledger).look(endpoint)
    assert endpoints.get(deck.ledger, made.id).restarts == restarts


@pytest.mark.parametrize(
    ("host", "address"), [("::1", "http://[::1]:80"), ("worker", "http://worker:80")]
)
def test_the_address_of_an_endpoint(deck: Deck, host: str, address: str) -> None:
    version = ModelVersion(
        model="m", version=1, stage="None", aliases=(), description="", tags={}, run_id=None,
        source="", status="READY", status_message="", created_at=None, updated_at=None,
    )  # fmt: skip
    made = endpoints.request(deck.ledger, deck.actor, version)
    assert replace(made, host=host, port=80).address == address


# --------------------------------------------------------------------- page server and worker


def test_a_page_server_that_could_not_be_written_down_tries_again(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = supervisor.Supervisor(deck.settings, lambda: deck)

    def fail(*_: Any, **__: Any) -> None:
        raise LedgerFailed("gone")

    with monkeypatch.context() as fault:
        fault.setattr(ledger_processes, "record", fail)
        with pytest.raises(LedgerFailed):
            kept._look()
    kept._look()
    (process,) = ledger_processes.running(deck.ledger)
    assert process.kind == ledger_processes.PAGE_SERVER


@pytest.mark.parametrize(("kind", "written_off"), [("page server", True), ("job", False)])
def test_what_another_machine_left_is_written_off_in_time(
    deck: Deck, kind: str, written_off: bool
) -> None:
    process = ledger_processes.record(
        deck.ledger, kind, "x", node="elsewhere", home=deck.settings.home, ref=this_process(),
        folder=deck.settings.home,
    )  # fmt: skip
    assert [one.process.id for one in running.overview(deck)] == [process.id]
    age(deck, process.id, seen_at=now() - timedelta(minutes=11))
    assert (running.overview(deck) == []) is written_off


def test_a_look_at_the_lock_does_not_end_a_worker_that_starts(deck: Deck) -> None:
    path = deck.settings.home / "worker.lock"
    looking = locks.take(path)
    assert looking is not None
    threading.Timer(0.3, looking.close).start()
    held = worker._take_lock(deck.settings)
    assert held is not None
    with held:
        assert locks.is_locked(path)
