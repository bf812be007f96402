"""The one door to MLflow: deadlines, a breaker, no retry of writes, failures in words.

MLflow's own client tries again up to seven times, for minutes, also what was a write (a lost reply
then makes three runs out of one). Here every call is made once, in a bounded pool, and waited for
no longer than its kind may take.
"""

import copy
import math
import os
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast
from urllib.parse import urlsplit

import urllib3.exceptions as http

from core import formats
from core.errors import (
    Conflict,
    DeckError,
    FileStoreUnsupported,
    InvalidInput,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    ServerFailed,
    ServerSlow,
    ServerUnreachable,
    SignedOut,
    StoreNeedsUpgrade,
)
from core.mlflow_api import credentials
from core.mlflow_api.credentials import Credential
from core.mlflow_api.limited import Level, Limited
from core.mlflow_api.pool import ContextPool
from core.settings import without_user_info
from core.texts import t

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

_AWAY = ServerUnreachable | ServerSlow
_POOL_SIZE = 24
_OPENING_SECONDS = 60.0
_CONNECT_SECONDS = 3
_CONNECT_OPTION = {
    "postgresql": "connect_timeout",
    "mysql": "connect_timeout",
    "mssql": "timeout",
}
"""How drivers call the seconds that a connection may take."""
_PAUSE_SECONDS = 1.0
_PROBE_SECONDS = 1.5
_BETWEEN_PROBES = 0.5
_WANTED_SECONDS = 4.0
_LOOK_SECONDS = 0.25
_SMALL_AFTER = 1.0
# MLflow's error codes, SQLAlchemy's remarks, and database drivers' names of exceptions
_CHATTER = (
    r"^[A-Z_]+: |\(raised as a result of [^)]*\) ?"
    r"|\((psycopg2?|sqlite3|pymysql|MySQLdb|pyodbc)\.[\w.]+\) ?"
)
_UNKNOWN_ACCOUNT = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")
_REFUSED = ("PERMISSION_DENIED", *_UNKNOWN_ACCOUNT)
_NOT_FOR_PEOPLE = r"Traceback \(most recent call last\)|\.? ?Response body:|\[SQL:"


class Kind(StrEnum):
    """How long an answer may take depends on what is asked."""

    METADATA = "metadata"
    PAGE = "page"
    ARTIFACT = "artifact"


@dataclass(frozen=True)
class Deadlines:
    """Seconds to wait, by kind of call."""

    metadata: float = 3.0
    page: float = 30.0
    artifact: float = 10.0

    def of(self, kind: Kind) -> float:
        """The deadline of one kind, in seconds."""
        return {
            Kind.METADATA: self.metadata,
            Kind.PAGE: self.page,
            Kind.ARTIFACT: self.artifact,
        }[kind]

    @property
    def write(self) -> float:
        """How long a write is waited for, in seconds: longer than a read, for where its answer is
        missed, a person has to look for its effect."""
        return 1.5 * self.metadata

    @property
    def longest(self) -> float:
        """The longest of them, in seconds."""
        return max(self.metadata, self.page, self.artifact)


@dataclass
class _Heard:
    """What changes while a gateway is used; shared by all persons' gateways to one server."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    wanted_until: float = 0.0
    answered_at: float = 0.0
    prober: Future[None] | None = None
    opening: threading.Lock = field(default_factory=threading.Lock)
    client: "MlflowClient | None" = None


class Gateway:
    """Calls to one MLflow server or database.

    Args:
        tracking_uri: http(s) address or database URI.
        registry_uri: the same for the registry.
        artifact_root: where a database store keeps artifacts of experiments without a place of
            their own; MLflow would take the folder that the process happens to stand in.
        deadlines: seconds to wait, by kind.
        accounts: whether every call has to carry an account's credential; see ``as_person``.

    Raises:
        FileStoreUnsupported: the address is a folder of files.
    """

    def __init__(
        self,
        tracking_uri: str,
        registry_uri: str,
        artifact_root: Path,
        deadlines: Deadlines,
        *,
        accounts: bool = False,
    ) -> None:
        self.tracking_uri = tracking_uri
        self.registry_uri = registry_uri
        self.address = without_user_info(tracking_uri)
        self.deadlines = deadlines
        self.is_database = urlsplit(tracking_uri).scheme not in ("http", "https")
        self._artifact_root = artifact_root
        self._pool = ContextPool(_POOL_SIZE, "mlflow")
        self._breaker = Breaker(_PAUSE_SECONDS)
        # Small questions that hang must not take the threads that pages need.
        self._askers = ContextPool(_POOL_SIZE, "mlflow-asker")
        self._closed = threading.Event()
        self._heard = _Heard()
        self._accounts = accounts
        self._credential: Credential | None = None
        self._level: Level | None = None

    def as_person(self, credential: Credential) -> Self:
        """The same gateway, with its client, threads and breaker, for one account: every call
        carries that account's credential, in whatever thread it is made."""
        bound = copy.copy(self)
        bound.__dict__.update(_accounts=True, _credential=credential)
        return bound

    def limited(self, level: Level) -> Self:
        """The same gateway for somebody whose rights Modeldeck itself knows."""
        bound = copy.copy(self)
        bound.__dict__.update(_level=level)
        return bound

    @property
    def is_limited(self) -> bool:
        """Whether only calls of MLflow's public client can be made, each after a look at rights."""
        return self._level is not None

    def read(
        self,
        action: str,
        call: Callable[["MlflowClient"], T],
        kind: Kind = Kind.METADATA,
        progress: Callable[[], int] | None = None,
    ) -> T:
        """Make a call that changes nothing and wait for its answer.

        Args:
            action: what is being done, in words, for the error.
            call: gets the client, returns the answer.
            progress: how far the call has come; while that grows the deadline starts anew. What it
                raises ends the wait, and rises.

        Raises:
            DeckError: whatever went wrong, mapped to the error tree.
        """
        return self._run(action, call, kind, write=False, progress=progress)

    def write(
        self, action: str, call: Callable[["MlflowClient"], T], kind: Kind = Kind.METADATA
    ) -> T:
        """Make a call that changes something, once, and wait for its answer.

        Raises:
            OutcomeUnknown: it was sent, and no answer came: it may have taken effect.
            DeckError: anything else that went wrong.
        """
        try:
            return self._run(action, call, kind, write=True)
        except (ServerUnreachable, ServerSlow, ServerFailed) as error:
            # A page that looks again would take the words away, and not do what was asked.
            error.retryable = False
            sent = isinstance(error, ServerFailed)
            error.next_step = t(f"errors.mlflow.write_{'failed' if sent else 'not_sent'}")
            raise

    def answers(self, since: float) -> bool:
        """Whether the server answered a small question asked after ``since``.

        Never waits: as long as somebody wants to know, the question is asked again and again in
        the background.

        Args:
            since: a moment of ``time.monotonic``.
        """
        heard = self._heard
        with heard.lock:
            heard.wanted_until = time.monotonic() + _WANTED_SECONDS
            if heard.answered_at > since:
                return True
            if heard.prober is None or heard.prober.done():
                heard.prober = self._askers.submit(self._keep_asking)
            return False

    @property
    def is_away(self) -> bool:
        """Whether the last that was heard of the server was a failure."""
        return self._breaker.is_open

    def close(self) -> None:
        """Let the pools' threads go; running calls are not waited for."""
        self._closed.set()
        self._pool.shutdown()
        self._askers.shutdown()

    def _keep_asking(self) -> None:
        heard = self._heard
        while time.monotonic() < heard.wanted_until and not self._closed.wait(_BETWEEN_PROBES):
            began = time.monotonic()
            try:
                self._small_question().result(_PROBE_SECONDS)
            except Exception:  # noqa: BLE001, S112 - whatever it is, it is no answer
                continue
            heard.answered_at = began
            self._breaker.close()
            return

    def _small_question(self) -> Future[object]:
        """Ask what every server that works answers at once."""

        def ask() -> object:
            self._make_client()
            try:
                return self._client_now().search_experiments(max_results=1)
            except Exception as error:
                if _refused(error):  # which a server that works says at once, too
                    return None
                raise

        with credentials.bound(self._credential):
            return self._askers.submit(ask)

    def _run(
        self,
        action: str,
        call: Callable[["MlflowClient"], T],
        kind: Kind,
        *,
        write: bool,
        progress: Callable[[], int] | None = None,
    ) -> T:
        refuse_file_store(self.tracking_uri)
        refuse_file_store(self.registry_uri)
        if self._accounts:
            if self._credential is None:
                raise NotAllowed(t("people.nobody.what", action=action), t("people.nobody.next"))
            credentials.refuse_others()
        if not self._breaker.enter():
            raise ServerUnreachable(t("errors.mlflow.paused", address=self.address, action=action))
        small_write = write and kind is Kind.METADATA
        deadline = self.deadlines.write if small_write else self.deadlines.of(kind)
        failed = False
        try:
            self._open(action)
            with credentials.bound(self._credential):
                future: Future[T] = self._pool.submit(lambda: self._ask(call, again=not write))
            began = time.monotonic()
            try:
                answer = self._await(future, deadline, progress)
            except TimeoutError:
                deadline = time.monotonic() - began
                if future.done():  # the call itself raised a TimeoutError
                    raise
                if future.cancel():  # it never began: all of the pool's threads are waiting
                    raise self._slow(action, deadline) from None
                raise (self._unknown(action) if write else self._slow(action, deadline)) from None
        except DeckError as error:
            failed = isinstance(error, _AWAY)
            raise
        except Exception as error:  # every failure of MLflow's client gets words, or rises
            mapped = self._map(action, error, write=write, deadline=deadline)
            failed = isinstance(mapped, _AWAY)
            if mapped is None:
                raise
            raise mapped from error
        finally:
            self._breaker.leave(failed=failed)
        return answer

    def _ask(self, call: Callable[["MlflowClient"], T], *, again: bool) -> T:
        """Make the call; ``again``, once more where its connection turned out to be closed.

        A server closes connections that nobody used for some seconds. A question that is sent at
        that very moment is not read, and says nothing of the server.
        """
        try:
            return call(self._client_now())
        except Exception as error:
            dropped = (ConnectionResetError, BrokenPipeError)
            if not again or not any(isinstance(cause, dropped) for cause in _chain(error)):
                raise
        return call(self._client_now())

    def _await(self, future: Future[T], deadline: float, progress: Callable[[], int] | None) -> T:
        """The future's result, or TimeoutError once ``deadline`` seconds passed without progress.

        Where the deadline is long, the server is asked something small now and then: one that
        does not answer that either hangs, and nobody has to wait to the end to be told.
        """
        if progress is None and deadline <= self.deadlines.metadata:
            return future.result(deadline)
        done = progress() if progress else 0
        since = asked = time.monotonic()
        small: Future[object] | None = None
        while True:
            try:
                return future.result(_LOOK_SECONDS)
            except TimeoutError:
                if future.done():
                    raise
            now = time.monotonic()
            now_done = progress() if progress else 0
            if now_done != done:
                done, since, asked, small = now_done, now, now, None
            elif now - since > deadline:
                raise TimeoutError
            elif small is None or small.done():
                if now - asked > _SMALL_AFTER:
                    asked, small = now, self._small_question()
            elif now - asked > max(self.deadlines.metadata - _SMALL_AFTER, _SMALL_AFTER):
                raise TimeoutError

    def _client_now(self) -> "MlflowClient":
        client = self._heard.client
        assert client is not None  # noqa: S101 - _open made it
        return client if self._level is None else cast("MlflowClient", Limited(client, self._level))

    def _open(self, action: str) -> None:
        """Make the client; for a database that connects, and makes the tables of a new one."""
        if self._heard.client is not None:
            return
        future = self._pool.submit(self._make_client)
        try:
            future.result(_OPENING_SECONDS)
        except TimeoutError:
            raise self._slow(action, _OPENING_SECONDS) from None

    def _make_client(self) -> None:
        with self._heard.opening:
            if self._heard.client is not None:
                return
            prepare_environment(
                self.deadlines.longest, self._artifact_root if self.is_database else None
            )
            from mlflow import MlflowClient

            if self.is_database:
                self._artifact_root.mkdir(parents=True, exist_ok=True)
                if self.tracking_uri.startswith("sqlite:///"):
                    Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(
                        parents=True, exist_ok=True
                    )
                for uri in {self.tracking_uri, self.registry_uri}:
                    _open_database(uri, self._artifact_root.parent)
            credentials.register()
            client = MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.registry_uri)
            if self.is_database:
                client.search_experiments(max_results=1)  # connects; a bad schema shows here
                client.search_registered_models(max_results=1)
            self._heard.client = client

    def _map(
        self, action: str, error: Exception, *, write: bool, deadline: float
    ) -> DeckError | None:
        from google.protobuf.json_format import ParseError
        from mlflow.exceptions import MlflowException
        from requests import HTTPError
        from sqlalchemy.exc import OperationalError

        causes = list(_chain(error))
        # Artifacts are read past MLflow's own errors.
        replies = (getattr(c, "response", None) for c in causes if isinstance(c, HTTPError))
        status = next((reply.status_code for reply in replies if reply is not None), None)
        if status in (401, 403):
            return self._not_allowed(action, known=status == 403)
        if status == 404:
            return NotFound(t("errors.mlflow.not_found", action=action, detail="HTTP 404"))
        if status is not None:
            return self._failed(action, f"HTTP {status}")
        if any(isinstance(c, http.NewConnectionError | http.ConnectTimeoutError) for c in causes):
            return self._unreachable(action)
        if any(isinstance(c, http.ReadTimeoutError | TimeoutError) for c in causes):
            return self._unknown(action) if write else self._slow(action, deadline)
        if any(isinstance(c, http.ProtocolError | ConnectionError) for c in causes):
            return self._unknown(action) if write else self._unreachable(action)
        if any(isinstance(c, http.ResponseError) for c in causes):
            said = _http_status(causes)
            # Something between us and the server gave up; the server itself may have gone on.
            if write and said in ("HTTP 502", "HTTP 504"):
                return self._unknown(action)
            return self._failed(action, said)
        if isinstance(error, ParseError | OddReply):
            return ServerFailed(t("errors.mlflow.odd_reply", address=self.address, action=action))
        if isinstance(error, MlflowException):
            return self._map_code(action, error)
        if isinstance(error, OperationalError):
            return self._failed(action, "database")
        return None

    def _map_code(self, action: str, error: "Exception") -> DeckError:
        code = str(getattr(error, "error_code", ""))
        message = str(error)
        detail = plain(message)
        if "out-of-date database schema" in message:
            return StoreNeedsUpgrade(
                t("errors.mlflow.old_schema", address=self.address, version=mlflow_version()),
                command=shlex.join(["mlflow", "db", "upgrade", self.address]),
            )
        if code == "ENDPOINT_NOT_FOUND" or "valid JSON format" in message:
            return ServerFailed(t("errors.mlflow.odd_reply", address=self.address, action=action))
        if code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"):
            return NotFound(t("errors.mlflow.not_found", action=action, detail=detail))
        if code == "RESOURCE_ALREADY_EXISTS":
            return Conflict(t("errors.mlflow.exists", action=action, detail=detail))
        if code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE"):
            return InvalidInput(t("errors.mlflow.refused", action=action, detail=detail))
        if code in _REFUSED:
            return self._not_allowed(action, known=code not in _UNKNOWN_ACCOUNT)
        return self._failed(action, code.lower().replace("_", " "))

    def _not_allowed(self, action: str, *, known: bool) -> NotAllowed:
        """The error for a refusal; ``known`` tells a missing right from an account that is gone."""
        if known or self._credential is None or not self._credential.signed_in:
            return NotAllowed(t("errors.mlflow.not_allowed", action=action))
        return SignedOut(
            t("people.signed_out.account", name=self._credential.user), t("people.signed_out.next")
        )

    def _failed(self, action: str, detail: str) -> ServerFailed:
        return ServerFailed(
            t("errors.mlflow.failed", address=self.address, action=action, detail=detail)
        )

    def _unreachable(self, action: str) -> ServerUnreachable:
        return ServerUnreachable(
            t("errors.mlflow.unreachable", address=self.address, action=action)
        )

    def _slow(self, action: str, deadline: float) -> ServerSlow:
        return ServerSlow(
            t(
                "errors.mlflow.slow",
                address=self.address,
                action=action,
                deadline=formats.duration(deadline),
            )
        )

    def _unknown(self, action: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            t("errors.mlflow.outcome_unknown", address=self.address, action=action)
        )


class Breaker:
    """After a failure, one call at a time tries the server again; the others fail at once.

    Args:
        pause: seconds after a failure before the next try.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._open_until = 0.0
        self._failed = False
        self._probing = threading.local()
        self._probe_running = False

    @property
    def is_open(self) -> bool:
        """Whether the last call failed."""
        return self._failed

    def enter(self) -> bool:
        """Whether a call may be made now; each True is followed by one ``leave``."""
        with self._lock:
            self._probing.mine = False
            if not self._failed:
                return True
            if self._probe_running or time.monotonic() < self._open_until:
                return False
            self._probe_running = self._probing.mine = True
            return True

    def close(self) -> None:
        """Tell that the server works again: all calls may be made."""
        with self._lock:
            self._failed = False

    def leave(self, *, failed: bool) -> None:
        """Tell how the call went."""
        with self._lock:
            if self._probing.mine:
                self._probe_running = False
            if failed:
                self._failed = True
                self._open_until = time.monotonic() + self._pause
            elif self._probing.mine or not self._probe_running:
                self._failed = False


class OddReply(Exception):
    """An answer that MLflow's client took, and that is none."""


def prepare_environment(timeout: float, artifact_root: Path | None) -> None:
    """Set what MLflow reads from the process's environment; before its first import.

    No retries (they would repeat writes), no telemetry, and for database stores an artifact root
    that is not the folder one happens to stand in. ``timeout`` (seconds) is only when MLflow gives
    up a call that nobody has waited for any more: it is one for the process, whatever is asked.
    """
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, math.ceil(timeout)))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    if artifact_root is not None:
        os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(artifact_root)
        # With that, MLflow takes us for a server, which by itself trusts fewer stores than we do.
        os.environ.setdefault("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES", "abfss,hdfs")


def _open_database(uri: str, home: Path) -> None:
    """Make the tables of a new database; leave those of another MLflow's as they are.

    MLflow's own store would bring an older database up to date without asking, and two processes
    that open a new one at once would get in each other's way. Nor does it tell anybody for minutes
    that there is no connection.

    Raises:
        ServerUnreachable: no connection.
    """
    import sqlalchemy as sa
    from mlflow.store.db import utils
    from mlflow.utils.file_utils import ExclusiveFileLock
    from sqlalchemy.exc import OperationalError

    if urlsplit(uri).scheme in ("http", "https"):
        return
    option = _CONNECT_OPTION.get(urlsplit(uri).scheme.partition("+")[0])
    engine = sa.create_engine(uri, connect_args={option: _CONNECT_SECONDS} if option else {})
    try:
        try:
            engine.connect().close()
        except OperationalError as error:
            address = without_user_info(uri)
            raise ServerUnreachable(
                t("errors.mlflow.no_database", address=address),
                t("errors.mlflow.no_database_next"),
            ) from error
        # One lock around both: while somebody makes the tables, their version looks like an older
        # MLflow's.
        with ExclusiveFileLock(str(home / "store.lock")):
            if utils._get_schema_version(engine) is None:  # noqa: SLF001
                utils._safe_initialize_tables(engine)  # noqa: SLF001
            else:
                utils._verify_schema(engine)  # noqa: SLF001
    finally:
        engine.dispose()


def _refused(error: Exception) -> bool:
    """Whether MLflow knows this account and refuses it, or does not know it."""
    return str(getattr(error, "error_code", "")) in _REFUSED


def mlflow_version() -> str:
    """The installed MLflow's version."""
    from importlib.metadata import version

    return version("mlflow")


def refuse_file_store(uri: str) -> None:
    """Raise where ``uri`` is a folder of files.

    Raises:
        FileStoreUnsupported: with the command that migrates it.
    """
    if urlsplit(uri).scheme in ("", "file"):
        source = _folder_of(uri)
        target = f"sqlite:///{Path(source).absolute() / 'mlflow.db'}"
        raise FileStoreUnsupported(
            t(
                "errors.mlflow.file_store",
                address=without_user_info(uri),
                version=mlflow_version(),
            ),
            command=shlex.join(
                ["mlflow", "migrate-filestore", "--source", source, "--target", target]
            ),
        )


def _folder_of(uri: str) -> str:
    path = urlsplit(uri).path if uri.startswith("file:") else uri
    # The command wants the folder that holds mlruns/.
    return str(Path(path).parent) if Path(path).name == "mlruns" else path


def plain(message: str, length: int = 300) -> str:
    """An upstream message on one line, without traceback, body, SQL, credentials or length."""
    text = re.split(_NOT_FOR_PEOPLE, message, maxsplit=1)[0]
    text = re.sub(_CHATTER, "", text)
    text = re.sub(r"//[^/\s@]+@", "//", text)
    return formats.shorten(text, length)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and all that caused it; urllib3 hangs some causes on ``reason``."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        e = todo.pop()
        if e is None or id(e) in seen:
            continue
        seen.add(id(e))
        yield e
        reason = getattr(e, "reason", None)
        todo += [e.__cause__, e.__context__, reason if isinstance(reason, BaseException) else None]


def _http_status(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, http.ResponseError):
            found = re.search(r"\d{3}", str(cause))
            if found:
                return f"HTTP {found.group()}"
    return "HTTP 5xx"
