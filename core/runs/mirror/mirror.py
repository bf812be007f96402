"""One tracking store's mirror, as the rest of Modeldeck sees it."""

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import duckdb

from core.mlflow_api import Mlflow
from core.mlflow_api.batch import Batch
from core.mlflow_api.bulk import Bulk, can_be_read
from core.mlflow_api.ids import is_run_id
from core.runs.mirror.client import ClientFeed
from core.runs.mirror.database import DatabaseFeed
from core.runs.mirror.files import Place, connect, open_place
from core.runs.mirror.holding import Holding
from core.runs.mirror.sync import Sync
from core.settings import Settings

_REFRESH_SECONDS = 5.0
_TELL_SECONDS = 600.0
"""How long it is told that a file was rebuilt."""


@dataclass(frozen=True)
class Coverage:
    """What the mirror holds of the store, and since when it has not looked."""

    runs: int = 0
    """Runs held."""
    total: int | None = None
    """Runs there are; None where nobody has counted."""
    complete: bool = False
    """Whether everything was read once."""
    source: Literal["database", "client"] = "client"
    at: datetime | None = None
    """When MLflow was last looked at; None: not yet by this process."""
    notice: str = ""
    """What a person should know about this mirror, plain text."""
    reading: bool = False
    """Whether it is reading now."""


class Mirror:
    """The runs of one tracking store in DuckDB; any thread may use it.

    Args:
        mlflow: the store.
        connection: an open database, this mirror's own.
        bulk: the store's database, where this process may read it.
        certain: whether ``bulk`` needs no look whether it is this store's.
        place: the file behind ``connection``, where there is one.
    """

    def __init__(
        self,
        mlflow: Mlflow,
        connection: duckdb.DuckDBPyConnection,
        bulk: Bulk | None = None,
        *,
        certain: bool = True,
        place: Place | None = None,
    ) -> None:
        scheme = mlflow.gateway.tracking_uri.partition(":")[0].partition("+")[0]
        known = None if scheme in ("http", "https") else scheme
        self.dialect: str | None = bulk.dialect if bulk else known
        """What kind of database MLflow itself keeps its runs in, where that is known."""
        self._holding = Holding(connection)
        self._sync = Sync(mlflow, self._holding, bulk, certain=certain)
        self._place = place
        self._opened_at = time.monotonic()

    @classmethod
    def in_memory(cls, mlflow: Mlflow) -> "Mirror":
        """A mirror without a file and without a thread, fed by the client: ``fill`` it."""
        return cls(mlflow, connect(None))

    @property
    def revision(self) -> int:
        """Grows with every change; no two mirrors of a process have one in common."""
        return self._holding.revision

    @property
    def coverage(self) -> Coverage:
        """What is held now."""
        holding, sync = self._holding, self._sync
        return Coverage(
            runs=holding.runs,
            total=holding.runs if holding.complete else holding.total,
            complete=holding.complete,
            source=sync.feed.kind,
            at=sync.at,
            notice=" ".join(n for n in (self._file_notice(), sync.notice) if n),
            reading=sync.reading,
        )

    @property
    def source(self) -> ClientFeed | DatabaseFeed:
        """Where the runs come from; ``metric_aggregates`` answers there or is None."""
        return self._sync.feed

    @property
    def database(self) -> str | None:
        """The address of MLflow's database, where runs are read from it; else None."""
        return self._sync.database

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own to read from; to be closed (``with``)."""
        return self._holding.cursor()

    def writing(self, *, changes: bool = True) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """The one connection that writes, alone, in a transaction.

        Args:
            changes: whether an answer may change by what is written: then the revision grows.
        """
        return self._holding.writing(changes=changes)

    def write(self, batch: Batch) -> int:
        """Put runs in, replacing what was held of them; says how many were new or differed."""
        return self._holding.write(batch)

    def fill(self) -> None:
        """Read everything, late edits too, and return when it is there."""
        self._sync.fill()

    def refresh(self) -> None:
        """Look now at what is new, running or has just ended, and return when it is there; where
        a thread reads in the background, after some seconds in any case."""
        self._sync.refresh(_REFRESH_SECONDS)

    def want(self, experiment_ids: Sequence[str]) -> None:
        """Tell that a page looks at these experiments: they are read first, and often."""
        self._holding.wanted.add(experiment_ids)

    def settle(self, experiment_ids: Sequence[str], seconds: float) -> None:
        """Wait, no longer than ``seconds``, for a first answer about these experiments."""
        self._sync.settle(experiment_ids, seconds)

    def reread(self, run_ids: Sequence[str]) -> None:
        """Read these runs again now; those that MLflow no longer has are removed."""
        self._sync.reread([i for i in dict.fromkeys(run_ids) if is_run_id(i)])

    def start(self) -> None:
        """Keep fresh from now on, in the background."""
        self._sync.start()

    def close(self) -> None:
        """End the background work and let the file go."""
        self._sync.close()
        self._holding.close()
        if self._place is not None:
            self._place.release()

    def _file_notice(self) -> str:
        place = self._place
        tell = place and (place.own or time.monotonic() - self._opened_at < _TELL_SECONDS)
        return place.notice if place and tell else ""


def open_mirror(settings: Settings, mlflow: Mlflow) -> Mirror:
    """The mirror of the store that ``mlflow`` speaks to, reading in the background."""
    uri = settings.mirror_uri or mlflow.gateway.tracking_uri
    store = f"{mlflow.gateway.tracking_uri} {os.environ.get('MLFLOW_WORKSPACE', '')}"
    place = open_place(settings.home / "mirror", store)
    mirror = Mirror(
        mlflow,
        place.connection,
        Bulk(uri) if can_be_read(uri) else None,
        certain=uri == mlflow.gateway.tracking_uri,
        place=place,
    )
    mirror.start()
    return mirror
