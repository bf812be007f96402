"""Requests are looked for in the database, on each that the ledger can be."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.ledger import Ledger, new_id
from core.registry.requests import OPEN, Choice, Request, State, rows
from tests.servers import Postgres
from tests.small_requests import AT
from tests.small_requests import request as small_request

STORE = small_request().store


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    address = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        address = postgres.fresh_database()
    opened = Ledger(address)
    opened.migrate()
    yield opened
    opened.close()


def kept(ledger: Ledger, version: int, state: State = State.CHECKING, **more: object) -> Request:
    """One request, asked ``version`` minutes after the first; closed ones were closed then."""
    at = AT + timedelta(minutes=version)
    made = replace(small_request(State.CHECKING), id=new_id(), version=version, asked_at=at, **more)  # type: ignore[arg-type]
    with ledger.transaction("test") as connection:
        rows.insert(connection, made)
        if state is not State.CHECKING:
            rows.change(connection, made, state)
        if state not in OPEN:
            connection.execute(
                rows.table.update().where(rows.table.c.id == made.id).values(closed_at=at)
            )
    return made


def versions(ledger: Ledger, **wanted: object) -> list[int]:
    found, total = rows.page(ledger, store=STORE, **wanted)  # type: ignore[arg-type]
    assert total == len(found)
    return [one.version for one in found]


def test_the_total_counts_what_fits_and_not_what_is_shown(ledger: Ledger) -> None:
    for version in range(1, 8):
        kept(ledger, version, requester="ada" if version % 2 else "bob")
    found, total = rows.page(ledger, store=STORE, requester="ada", limit=2)
    assert ([one.version for one in found], total) == ([7, 5], 4)
    assert rows.page(ledger, store=STORE, models=[], limit=2) == ([], 0)


def test_what_was_closed_long_ago_is_not_there_and_what_is_open_is(ledger: Ledger) -> None:
    kept(ledger, 1)
    kept(ledger, 2, State.WITHDRAWN)
    kept(ledger, 3, State.WITHDRAWN)
    since = AT + timedelta(minutes=3)
    assert versions(ledger, since=since) == [3, 1]
    assert versions(ledger, since=since, states=[State.WITHDRAWN]) == [3]


def test_each_word_stands_anywhere_in_a_request_in_any_case(ledger: Ledger) -> None:
    kept(ledger, 1, comment="A Zebra crossing, 100% sure")
    decided = kept(ledger, 2, State.WAITING)
    kept(ledger, 13, State.WITHDRAWN, model="rent", rung="Staging", requester="bob")
    with ledger.transaction("test") as connection:
        rows.decide(connection, decided, "carl_x", Choice.APPROVE, "Good.", own_allowed=True,
                    fingerprint="")  # fmt: skip
    for words, found in (
        ("ZEBRA wine", [1]),
        ("v1", [13, 1]),
        ("RENT staging bob v13", [13]),
        ("Carl_X", [2]),
        ("carlyx", []),
        ("100%", [1]),
        ("%", [1]),
        ("withdrawn", [13]),
        ("zebra withdrawn", []),
        (" ", [13, 2, 1]),
    ):
        assert versions(ledger, words=words) == found, words
