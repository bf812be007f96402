"""What is known of versions, written by several at once to PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from core.ledger import Ledger, now
from core.ledger.schema import known_versions as table
from core.registry import known
from core.registry.known import Known
from tests.servers import Postgres

STORE, MODEL = "store", "wine"
EARLIER, NOW = now() - timedelta(hours=1), now()


@pytest.fixture
def ledger(postgres: Postgres) -> Iterator[Ledger]:
    opened = Ledger(postgres.fresh_database())
    opened.migrate()
    versions = {
        n: Known(n, "None", (), "None", f"s3://there/{n}", EARLIER, EARLIER) for n in (1, 2, 3)
    }
    with opened.transaction("test") as connection:
        known.put(connection, STORE, MODEL, {}, versions)
    yield opened
    opened.close()


def test_a_pass_leaves_what_somebody_writes_at_that_moment_to_them(ledger: Ledger) -> None:
    """Two passes that waited for each other's rows ended each other."""
    with ledger.transaction("theirs") as theirs:
        theirs.execute(table.update().where(table.c.version == 2).values(rung="Staging"))
        with ledger.transaction("a pass") as connection:
            known.seen(connection, STORE, NOW, [MODEL])
    with ledger.reading("test") as connection:
        after = known.read(connection, STORE)[MODEL]
    assert {n: one.known_at for n, one in after.items()} == {1: NOW, 2: EARLIER, 3: NOW}
    assert after[2].rung == "Staging"
    with ledger.transaction("the next pass") as connection:
        known.seen(connection, STORE, NOW, [MODEL])
    with ledger.reading("test") as connection:
        assert {one.known_at for one in known.read(connection, STORE)[MODEL].values()} == {NOW}
