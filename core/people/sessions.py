"""Who is signed in: kept in the page server's memory alone, and gone with it.

A session is found by the random id in a person's cookie. The id itself is kept nowhere here, only
its hash, by which the rest of Modeldeck names a session.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from core.mlflow_api.credentials import Credential

_MOST = 10_000
_MOST_ENDS = 2_000


class End(StrEnum):
    """Why a session is over."""

    SIGNED_OUT = "signed_out"
    IDLE = "idle"
    ACCOUNT = "account"
    """The account is gone, or its password was changed."""
    REPLACED = "replaced"
    """Somebody signed in anew in the same browser."""
    UNKNOWN = "unknown"
    """There is none of that name: it never was, or the page server was started anew."""


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in."""

    key: str
    """The hash of the id in the cookie."""
    name: str
    administrator: bool
    credential: Credential
    seen: float
    """The last visit, in seconds of the clock."""
    checked: float
    """When the account was last known to be there, likewise."""


def key_of(session_id: str) -> str:
    """What a session is known by, from the id in a cookie; "" for no id."""
    return sha256(session_id.encode()).hexdigest() if session_id else ""


class Sessions:
    """All sessions of this process.

    Args:
        idle: seconds without a visit that end a session.
        clock: seconds that only grow.
    """

    def __init__(self, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle = idle
        self._clock = clock
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._ended: OrderedDict[str, End] = OrderedDict()

    def begin(self, name: str, credential: Credential, *, administrator: bool) -> str:
        """Sign somebody in; returns the id for the cookie, which is told once."""
        made = secrets.token_urlsafe(32)
        now = self._clock()
        session = Session(key_of(made), name, administrator, credential, now, now)
        with self._lock:
            self._sweep(now)
            if len(self._open) >= _MOST:  # the one that was away longest gives way
                self._end(min(self._open.values(), key=lambda one: one.seen).key, End.IDLE)
            self._open[session.key] = session
        return made

    def find(self, key: str) -> Session | None:
        """The session of that key, unless it is over."""
        with self._lock:
            session = self._open.get(key)
            if session is not None and self._clock() - session.seen > self._idle:
                self._end(key, End.IDLE)
                return None
            return session

    def visit(self, key: str) -> Session | None:
        """The same, and it counts as a visit."""
        return self._change(key, lambda session: replace(session, seen=self._clock()))

    def confirm(self, key: str, *, administrator: bool) -> Session | None:
        """Note that the account is there, and whether it administers the server."""
        now = self._clock()
        return self._change(
            key, lambda session: replace(session, checked=now, administrator=administrator)
        )

    def due(self, key: str, seconds: float) -> bool:
        """Whether the account was not looked at for so long; who is told so looks now."""
        now, due = self._clock(), False

        def look(session: Session) -> Session:
            nonlocal due
            due = now - session.checked >= seconds
            return replace(session, checked=now) if due else session

        self._change(key, look)
        return due

    def end(self, key: str, why: End) -> None:
        """Sign somebody out; nothing where they are not signed in."""
        with self._lock:
            if key in self._open:
                self._end(key, why)

    def end_of(self, key: str) -> End:
        """Why the session of that key is over."""
        with self._lock:
            return self._ended.get(key, End.UNKNOWN)

    def __len__(self) -> int:
        with self._lock:
            return len(self._open)

    def _change(self, key: str, change: Callable[[Session], Session]) -> Session | None:
        session = self.find(key)
        if session is None:
            return None
        with self._lock:
            if key not in self._open:  # it ended meanwhile
                return None
            self._open[key] = change(self._open[key])
            return self._open[key]

    def _sweep(self, now: float) -> None:
        for key in [one.key for one in self._open.values() if now - one.seen > self._idle]:
            self._end(key, End.IDLE)

    def _end(self, key: str, why: End) -> None:
        del self._open[key]
        self._ended[key] = why
        while len(self._ended) > _MOST_ENDS:
            self._ended.popitem(last=False)
