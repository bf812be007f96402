"""Asking an endpoint: one call with a deadline, and the answer or the failure in plain words.

No redirect is followed, no proxy and no stored password is used, nothing is sent twice, and one
deadline holds for the whole call, however slowly the other side drips its bytes.
"""

import ast
import json
import re
import socket
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead, NotConnected
from urllib.parse import urlsplit

from core import formats
from core.errors import EndpointFailed, InvalidInput, TooLarge
from core.mlflow_api.scoring import ENDPOINT_HEADER, IDENTITY_PATH, NONCE_HEADER, Identity
from core.serving.values import listed
from core.texts import t

__all__ = ["Answer", "Identity", "fetch", "identify", "invoke", "plain_error", "predictions_table"]

_CONNECT_SECONDS = 5.0
_CHUNK = 64 * 1024
_IDENTITY_BYTES = 64 * 1024
_ERROR_BYTES = 256 * 1024  # MLflow repeats the input and adds a traceback; more is not looked at
_WORDS = 200  # characters of a model's own words that are passed on

_MISSING = re.compile(r"Model is missing inputs (\[.*?\])\.")
_COLUMN = re.compile(
    r"(?:Failed to convert column|Incompatible input types for column) (.+?)(?: to type|\. Can)"
)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What an endpoint predicted.

    Attributes:
        predictions: parsed JSON; NaN where the model gave none.
        seconds: from sending the input to the last byte of the answer.
        rows: how many rows the predictions make as a table.
        size: bytes of the answer.
    """

    predictions: object
    seconds: float
    rows: int
    size: int


def invoke(
    address: str,
    body: Mapping[str, object],
    *,
    expect: Identity | None,
    timeout: float,
    max_bytes: int,
) -> Answer:
    """Send ``body`` to the endpoint at ``address`` (``http://host:port``) and return its answer.

    With ``expect``, whoever answers has to name that endpoint and nonce, before the input is sent
    and, over the same connection, with the answer; without it (an endpoint that is not ours)
    nobody is checked. ``timeout`` is in seconds, for everything together.

    Raises:
        EndpointFailed: no answer in time, another process answers, or the endpoint refuses.
        TooLarge: an answer of more than ``max_bytes``.
        InvalidInput: no such address.
    """
    sent = json.dumps(body).encode()
    with _connection(address, timeout) as call:
        if expect is not None:
            call.verify(expect)
        started = time.perf_counter()
        status, headers, received = call.ask("POST", "/invocations", sent, max_bytes)
        seconds = time.perf_counter() - started
    if expect is not None:
        _verify_headers(headers, expect)
    if status != 200:
        raise plain_error(status, received)
    try:
        predictions = _unwrapped(json.loads(received))
    except (ValueError, RecursionError):
        raise _failed("no_json") from None
    return Answer(predictions, seconds, len(predictions_table(predictions)[1]), len(received))


def identify(address: str, timeout: float) -> Identity:
    """Who answers at ``address``.

    Raises:
        EndpointFailed: nobody answers in time, or not one of Modeldeck's endpoints.
        InvalidInput: no such address.
    """
    with _connection(address, timeout) as call:
        return call.identity()


def fetch(
    address: str, method: str, path: str, body: bytes | None, *, timeout: float, max_bytes: int
) -> tuple[int, bytes]:
    """Status and content of one answer to a JSON request, whoever gives it.

    ``timeout`` is in seconds, for everything together; of a refusal only the beginning is read.

    Raises:
        EndpointFailed: no answer in time.
        TooLarge: an answer of more than ``max_bytes``.
        InvalidInput: no such address.
    """
    with _connection(address, timeout) as call:
        status, _, received = call.ask(method, path, body, max_bytes)
    return status, received


def predictions_table(predictions: object) -> tuple[list[str], list[dict[str, object]]]:
    """Predictions as a table: its columns, and a dict for each row.

    One value a row stands in the column "prediction"; lists in a row give columns "0", "1", …;
    anything nested deeper is shown as JSON text.
    """
    predictions = _unwrapped(predictions)
    if isinstance(predictions, dict):
        rows = _rows_of_dict(predictions)
    elif isinstance(predictions, list):
        rows = [_row(item) for item in predictions]
    else:
        rows = [_row(predictions)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return columns, [{name: _cell(row.get(name)) for name in columns} for row in rows]


def plain_error(status: int, body: bytes) -> EndpointFailed:
    """What a scoring server's refusal means, without its traceback and the input it repeats."""
    if status == 400:
        return _bad_request(body)
    known = {404: "not_mlflow", 405: "not_mlflow", 413: "size", 415: "media", 500: "inside"}
    known |= {502: "behind", 503: "behind", 504: "too_slow"}
    if 300 <= status < 400:
        return _failed("redirect")
    return _failed(known.get(status, "status"), status=status)


# ------------------------------------------------------------------------------- one connection


class _Call:
    """A connection with a deadline for everything that is done over it."""

    def __init__(self, connection: HTTPConnection, prefix: str, over: threading.Event) -> None:
        self._connection = connection
        self._prefix = prefix
        self._over = over

    def verify(self, expect: Identity) -> None:
        try:
            found = self.identity()
        except EndpointFailed as error:
            if error.what == t("serving.failed.no_identity"):
                raise _failed("other_process") from None
            raise
        if (found.endpoint, found.nonce) != (expect.endpoint, expect.nonce):
            raise _failed("other_process")

    def check_time(self) -> None:
        # To a reader, a connection that was cut looks like one that came to its end.
        if self._over.is_set():
            raise TimeoutError

    def identity(self) -> Identity:
        status, _, received = self.ask("GET", IDENTITY_PATH, None, _IDENTITY_BYTES)
        try:
            content = json.loads(received) if status == 200 else {}
            return Identity(
                str(content["endpoint"]), str(content["model"]), int(content["version"]),
                str(content["nonce"]), int(content["pid"]),
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _failed("no_identity") from None

    def ask(
        self, method: str, path: str, body: bytes | None, max_bytes: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, f"{self._prefix}{path}", body=body, headers=headers)
        response = self._connection.getresponse()
        # A refusal is only looked into; what it has beyond that is left where it is.
        most = max_bytes if response.status == 200 else _ERROR_BYTES
        received = bytearray()
        while len(received) <= most and (chunk := response.read(_CHUNK)):
            received += chunk
        self.check_time()
        if len(received) > most and response.status == 200:
            raise TooLarge(t("serving.failed.answer_size", cap=formats.size(max_bytes)))
        if response.length and len(received) <= most:
            raise IncompleteRead(bytes(received), response.length)
        return response.status, dict(response.getheaders()), bytes(received[:most])


@contextmanager
def _connection(address: str, timeout: float) -> Iterator[_Call]:
    """A connection that is cut when ``timeout`` seconds are over, whatever it is waiting for."""
    connection, prefix = _parse(address, min(timeout, _CONNECT_SECONDS))
    over = threading.Event()
    connected: socket.socket | None = None

    def cut() -> None:
        over.set()
        # With an answer that ends with its connection, http.client lets go of the socket early.
        sock = connection.sock or connected
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was closed meanwhile

    # Python's time-outs hold for one read each: a byte now and then would keep a call alive.
    watch = threading.Timer(timeout, cut)
    watch.daemon = True
    watch.start()
    try:
        connection.connect()
        connected = connection.sock
        connected.settimeout(timeout)
        # Whoever is verified has to be the one that is asked: never connect a second time.
        connection.auto_open = 0
        call = _Call(connection, prefix, over)
        call.check_time()
        yield call
    except (OSError, HTTPException) as error:
        raise _unanswered(error, over.is_set(), timeout) from None
    finally:
        watch.cancel()
        connection.close()


def _parse(address: str, connect_seconds: float) -> tuple[HTTPConnection, str]:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise InvalidInput(t("serving.failed.address")) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise InvalidInput(t("serving.failed.address"))
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname, port, timeout=connect_seconds), parts.path.rstrip("/")


def _unanswered(error: Exception, cut: bool, timeout: float) -> EndpointFailed:
    if cut or isinstance(error, TimeoutError):
        return _failed("deadline", seconds=formats.duration(timeout))
    if isinstance(error, ConnectionRefusedError):
        return _failed("not_running")
    if isinstance(error, socket.gaierror):
        return _failed("no_host")
    if isinstance(error, ConnectionError | IncompleteRead | NotConnected):
        return _failed("gone")
    return _failed("odd_reply" if isinstance(error, HTTPException) else "no_connection")


def _verify_headers(headers: Mapping[str, str], expect: Identity) -> None:
    given = {name.lower(): value for name, value in headers.items()}
    found = (given.get(ENDPOINT_HEADER.lower()), given.get(NONCE_HEADER.lower()))
    if found != (expect.endpoint, expect.nonce):
        raise _failed("other_process")


# ---------------------------------------------------------------------------------- refusals


def _bad_request(body: bytes) -> EndpointFailed:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return _failed("refused")
    message = str(content.get("message", ""))
    # The message repeats the input first, so what is looked for is what stands last.
    if missing := _MISSING.findall(message):
        return _failed("missing", names=_names(missing[-1]))
    if columns := _COLUMN.findall(message):
        return _failed("column", column=_safe(columns[-1]))
    codes = (content.get("error_code"), content.get("error_class"))
    if "SCHEMA_ENFORCEMENT_FAILED" in codes or "Failed to enforce schema" in message:
        return _failed("schema")
    if "evaluating the model" in message:
        said = _last_words(str(content.get("stack_trace", "")))
        return _failed("model_said", words=said) if said else _failed("model")
    if "Invalid parameters found" in message:
        return _failed("params")
    if message.startswith(("Invalid input", "The input must be", "Failed to parse input")):
        return _failed("unreadable")
    return _failed("refused")


def _names(printed: str) -> str:
    try:
        names = ast.literal_eval(printed)
    except (ValueError, SyntaxError):
        names = [printed]
    return _safe(listed(names if isinstance(names, list) else [printed]))


def _last_words(trace: str) -> str:
    """The message of the exception at the end of a traceback, without the traceback."""
    end = trace.rpartition("\n  File ")[2]
    found = _EXCEPTION.search(end)
    return _safe(found.group(1)) if found else ""


def _safe(text: str) -> str:
    """Foreign text on one line: no control or direction characters, and not too long."""
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    return formats.shorten(kept, _WORDS)


def _failed(key: str, **fields: object) -> EndpointFailed:
    return EndpointFailed(
        t(f"serving.failed.{key}", **fields), t(f"serving.failed_next.{_NEXT.get(key, 'log')}")
    )


_NEXT = {
    "missing": "input",
    "column": "input",
    "schema": "input",
    "model_said": "input",
    "model": "input",
    "params": "input",
    "unreadable": "input",
    "refused": "input",
    "size": "fewer",
    "deadline": "fewer",
    "too_slow": "fewer",
    "not_running": "start",
    "gone": "start",
    "other_process": "start",
    "no_host": "address",
    "no_connection": "address",
    "redirect": "address",
    "not_mlflow": "address",
    "no_identity": "address",
}


# ------------------------------------------------------------------------------- predictions


def _unwrapped(content: object) -> object:
    if isinstance(content, dict) and "predictions" in content:
        return content["predictions"]
    return content


def _rows_of_dict(content: dict[str, object]) -> list[dict[str, object]]:
    lists = [value for value in content.values() if isinstance(value, list)]
    if content and len(lists) == len(content) and len({len(values) for values in lists}) == 1:
        return [dict(zip(content, values, strict=True)) for values in zip(*lists, strict=True)]
    return [content]


def _row(item: object) -> dict[str, object]:
    if isinstance(item, dict):
        return item
    if isinstance(item, list):
        return {str(i): value for i, value in enumerate(item)}
    return {"prediction": item}


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
