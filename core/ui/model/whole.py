"""All versions of a model, read in the background and remembered between runs of a page."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime

from core.errors import DeckError
from core.ledger import now
from core.mlflow_api.nouns import ModelVersion
from core.mlflow_api.pool import ContextPool

_AT_ONCE = 4
_REMEMBERED = 20
"""Models whose versions are kept: 5,000 versions take some 8 MB."""

Versions = tuple[ModelVersion, ...]


@dataclass(frozen=True)
class Whole:
    """What is known of all versions of a model."""

    versions: Versions | None
    """As they were read last; None: not yet."""
    began: datetime | None
    """When that reading began."""
    reading: bool
    """Whether they are being read now."""
    trouble: DeckError | None
    """Why the last reading failed."""


@dataclass
class _Model:
    versions: Versions | None = None
    began: datetime | None = None
    tried: datetime | None = None
    future: Future[Versions] | None = None
    trouble: DeckError | None = None

    def collect(self) -> Whole:
        """Take the answer, where it is there."""
        if self.future is not None and self.future.done():
            done, self.future, self.trouble = self.future, None, None
            try:
                self.versions, self.began = done.result(), self.tried
            except DeckError as error:
                self.trouble = error
        return Whole(self.versions, self.began, self.future is not None, self.trouble)


class Readers:
    """The readings of a process; any thread may ask."""

    def __init__(self) -> None:
        self._pool = ContextPool(_AT_ONCE, "versions")
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, _Model] = OrderedDict()

    def ask(
        self, key: Hashable, since: datetime, call: Callable[[], Versions], patience: float
    ) -> Whole:
        """What is known, where that was read since a moment; else it is read now.

        Args:
            key: who asks for which model of which server.
            call: reads, with the context of whoever asks.
            patience: seconds to wait for the first reading; a later one is waited for by nobody.
        """
        with self._lock:
            model = self._known.setdefault(key, _Model())
            self._known.move_to_end(key)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            model.collect()
            if model.future is None and (model.tried is None or model.tried < since):
                model.tried = now()
                model.future = self._pool.submit(call)
            waited = model.future if model.versions is None else None
        if waited is not None:
            wait([waited], patience)
        with self._lock:
            return model.collect()

    def busy(self, key: Hashable) -> bool:
        """Whether a reading is under way."""
        with self._lock:
            model = self._known.get(key)
            return model is not None and model.future is not None and not model.future.done()
