"""Alembic's entry: runs the migrations on the connection that ``Ledger.migrate`` hands in."""

from alembic import context

from core.ledger import VERSION_TABLE
from core.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
