"""An empty SQLite store of MLflow's, with its tables: made by MLflow once, then copied.

MLflow goes through all its migrations for every new store, which takes seconds; hundreds of tests
want a store of their own.
"""

import fcntl
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa


@cache
def template() -> Path:
    """The store's file, which all processes on this machine share; nobody may write to it."""
    from mlflow.store.db import utils

    folder = Path(tempfile.gettempdir()) / f"modeldeck-empty-store-{version('mlflow')}"
    folder.mkdir(exist_ok=True)
    made = folder / "mlflow.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            begun = folder / "begun.db"
            begun.unlink(missing_ok=True)
            engine = sa.create_engine(f"sqlite:///{begun}")
            utils._initialize_tables(engine)
            engine.dispose()
            begun.rename(made)
    return made


def copy_to(file: Path) -> None:
    """Put an empty store where there is none yet."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(template(), file)


@contextmanager
def copied() -> Iterator[None]:
    """Within it, MLflow in this process copies the tables of a new SQLite store, and reads its
    migrations once to know which is the newest."""
    from mlflow.store.db import utils

    upgrade = utils._upgrade_db
    newest = cache(utils._get_latest_schema_revision)
    source = template()

    def quick(engine: Any) -> None:
        with engine.connect() as connection:
            new = engine.dialect.name == "sqlite" and not sa.inspect(connection).has_table(
                "alembic_version"
            )
            if new and engine.url.database:
                with closing(sqlite3.connect(source)) as tables:
                    tables.backup(connection.connection.driver_connection)
                return
        upgrade(engine)

    with (
        patch.object(utils, "_upgrade_db", quick),
        patch.object(utils, "_get_latest_schema_revision", newest),
    ):
        yield
