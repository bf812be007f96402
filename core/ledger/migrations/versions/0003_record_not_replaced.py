"""The record: a line is not replaced by another of its number either"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return  # the primary key refuses it
    # SQLite takes the old row out for INSERT OR REPLACE without calling it a deletion.
    op.execute(
        "CREATE TRIGGER record_stays_insert BEFORE INSERT ON record "
        "WHEN EXISTS (SELECT 1 FROM record WHERE number = NEW.number) "
        "BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END"
    )
