"""Modeldeck's own database: opened, migrated, and its failures in words."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.schema import CreateSchema

from core.errors import LedgerFailed
from core.settings import without_user_info
from core.texts import t

VERSION_TABLE = "alembic_version_modeldeck"
"""A name of its own: the ledger may share a database with MLflow, whose table it must not take."""

SCHEMA = "modeldeck"
"""On PostgreSQL all tables are in a schema of their own: MLflow too has ``jobs`` and
``endpoints``."""

# Somebody who stops in the middle of a transaction must not stop everybody else for good.
_POSTGRES_OPTIONS = (
    f"-c search_path={SCHEMA} -c lock_timeout=10s -c statement_timeout=20s"
    " -c idle_in_transaction_session_timeout=30s"
)
# A server that fell silent is given up; without these, the operating system waits for it.
_POSTGRES_SOCKET = {
    "connect_timeout": 4,
    "tcp_user_timeout": 4000,  # milliseconds until what was sent has arrived
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
_READS_ONLY = "modeldeck_reads_only"
_MIGRATIONS = Path(__file__).parent / "migrations"


class Ledger:
    """The database, on SQLite or PostgreSQL.

    Transactions are short and span no call over a network; who must be alone for longer takes a
    lease (``core.ledger.leases``).
    """

    def __init__(self, uri: str) -> None:
        self.address = without_user_info(uri)
        self.engine = _engine(uri)
        self._reading = self.engine.execution_options(**{_READS_ONLY: True})

    def transaction(self, action: str) -> AbstractContextManager[Connection]:
        """One transaction, committed at the end, rolled back by an error.

        Args:
            action: what is being done, for the error's words.

        Raises:
            LedgerFailed: the database cannot be reached or failed.
        """
        return self._begun(self.engine, action)

    def reading(self, action: str) -> AbstractContextManager[Connection]:
        """The same for whoever only reads: who writes is neither waited for nor held up by it."""
        return self._begun(self._reading, action)

    @contextmanager
    def _begun(self, engine: sa.Engine, action: str) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except (IntegrityError, DataError):  # what was written is at fault, not the database
            raise
        except (DBAPIError, sa.exc.TimeoutError) as error:
            raise LedgerFailed(
                t("errors.ledger.failed", address=self.address, action=action)
            ) from error

    def migrate(self) -> None:
        """Bring the tables to the newest form; safe when several processes start at once.

        Raises:
            LedgerFailed: the database cannot be reached, or a newer Modeldeck made its tables.
        """
        with self.transaction(t("ledger.migrating")) as connection:
            # Two processes that start together must not both create the tables. SQLite is locked
            # by the BEGIN IMMEDIATE of every transaction; PostgreSQL needs a lock by name.
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7310443)"))
                if not sa.inspect(connection).has_schema(SCHEMA):
                    connection.execute(CreateSchema(SCHEMA))
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:  # a newer Modeldeck has been here
                raise LedgerFailed(
                    t("errors.ledger.newer", address=self.address), t("errors.ledger.newer_next")
                ) from error

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh row id, 32 hexadecimal digits."""
    return uuid4().hex


def _engine(uri: str) -> sa.Engine:
    url = make_url(uri)
    if url.get_backend_name() == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url.update_query_dict({"timeout": "4", **url.query}))

        @sa.event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: object) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # IMMEDIATE: a transaction that reads and then writes would else fail half-way.
            reads = connection.get_execution_options().get(_READS_ONLY)
            connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

        return engine
    return sa.create_engine(
        url,
        pool_pre_ping=True,
        pool_size=10,
        pool_timeout=4,
        connect_args={**_POSTGRES_SOCKET, "options": _POSTGRES_OPTIONS},
    )
