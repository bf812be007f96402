"""Leases: one holder at a time, an end, and a token that grows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import Busy, Conflict
from core.ledger import Ledger, leases
from core.ledger.leases import Lease

LONG = 600.0
OVER = 0.0
"""Seconds of a lease that has run out as soon as it is taken."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    opened.migrate()
    yield opened
    opened.close()


def take(ledger: Ledger, holder: str = "a", seconds: float = LONG) -> Lease:
    lease = leases.take(ledger, "model:x", holder, seconds)
    assert lease is not None
    return lease


def holds(ledger: Ledger, lease: Lease) -> bool:
    with ledger.transaction("asking") as connection:
        return leases.holds(connection, lease)


def test_one_holder_at_a_time(ledger: Ledger) -> None:
    lease = take(ledger)
    assert holds(ledger, lease)
    assert leases.take(ledger, "model:x", "b", LONG) is None
    assert leases.take(ledger, "model:x", "a", LONG) is None, "not twice by the same either"
    assert leases.take(ledger, "model:y", "b", LONG) is not None


def test_the_token_grows_with_every_taking(ledger: Ledger) -> None:
    tokens = []
    for _ in range(3):
        lease = take(ledger)
        tokens.append(lease.token)
        leases.give_back(ledger, lease)
    assert tokens == [1, 2, 3]


def test_a_lease_runs_out(ledger: Ledger) -> None:
    before = take(ledger, "a", OVER)
    assert not holds(ledger, before)
    after = take(ledger, "b")
    assert after.token > before.token


def test_a_lost_lease_is_noticed(ledger: Ledger) -> None:
    before = take(ledger, "a", OVER)
    after = take(ledger, "b")
    with pytest.raises(Conflict, match="model:x"):
        leases.check(ledger, before)
    assert not leases.renew(ledger, before, LONG)
    leases.check(ledger, after)


def test_one_that_ran_out_is_lost_although_nobody_took_it(ledger: Ledger) -> None:
    lease = take(ledger, "a", OVER)
    with pytest.raises(Conflict):
        leases.check(ledger, lease)
    assert leases.renew(ledger, lease, LONG), "but it can be had again as long as nobody did"
    leases.check(ledger, lease)


def test_whoever_lost_it_cannot_end_the_next_ones(ledger: Ledger) -> None:
    before = take(ledger, "a", OVER)
    after = take(ledger, "b")
    leases.give_back(ledger, before)
    assert holds(ledger, after)


def test_renewing_prolongs_it(ledger: Ledger) -> None:
    lease = take(ledger, "a", OVER)
    assert leases.renew(ledger, lease, LONG)
    assert leases.take(ledger, "model:x", "b", LONG) is None


def test_the_lease_of_the_dead_can_be_ended(ledger: Ledger) -> None:
    before = take(ledger, "dead")
    leases.expire(ledger, "model:x")
    assert take(ledger, "b").token == before.token + 1


def test_a_block_under_a_lease(ledger: Ledger) -> None:
    with leases.held(ledger, "model:x", "a", seconds=LONG, what="promoting x") as lease:
        assert holds(ledger, lease)
        with (
            pytest.raises(Busy, match="promoting x"),
            leases.held(ledger, "model:x", "b", seconds=LONG, what="promoting x"),
        ):
            raise AssertionError("two held it")
    with leases.held(ledger, "model:x", "b", seconds=LONG, what="again") as after:
        assert after.token == lease.token + 1


def test_a_block_that_fails_gives_it_back(ledger: Ledger) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        leases.held(ledger, "model:x", "a", seconds=LONG, what="x") as lease,
    ):
        raise ZeroDivisionError
    assert not holds(ledger, lease)
