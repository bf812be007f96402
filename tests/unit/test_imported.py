"""Transitions of before the record was chained come into it once, in their order."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from core.ledger import Ledger, chain
from core.ledger.verifying import verify

INSERT = """INSERT INTO transitions (id, store, model, version, kind, wanted, archive_existing,
 actor, comment, state, token, steps, before, after, message, begun_at, ended_at) VALUES
 (:id, 's', 'wine', 7, 'rung', 'Production', 1, 'ada', 'better', :state, 1, '[]',
 '{"7": {"rung": "None", "stage": "None", "aliases": []}}',
 '{"7": {"rung": "Production", "stage": "Production", "aliases": []}}', '',
 :begun, :ended)"""


def test_they_are_imported_once_and_in_order(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with ledger.transaction("the tables of before") as connection:
        config = Config()
        folder = Path(chain.__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for name, day, state in (("b", 4, "done"), ("a", 3, "done"), ("c", 5, "applying")):
            begun = f"2026-03-0{day} 10:00:00.000000"
            ended = f"2026-03-0{day} 10:00:01.000000" if state == "done" else None
            connection.execute(
                sa.text(INSERT), {"id": name, "state": state, "begun": begun, "ended": ended}
            )
    ledger.migrate()
    ledger.migrate()
    lines = chain.lines(ledger, newest_first=False)
    assert [line.entry.transition_id for line in lines] == ["a", "b"]
    assert {line.entry.action for line in lines} == {"imported"}
    assert lines[0].entry.details["ended_at"] == "2026-03-03T10:00:01+00:00"
    assert verify(ledger).ok
    ledger.close()
