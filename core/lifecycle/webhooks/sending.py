"""One POST to a webhook: pinned to a checked address, bounded in time and bytes, sent once."""

import hmac
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from core.errors import DeckError
from core.lifecycle.webhooks.guard import Network, Target, resolve
from core.texts import t

TIMEOUT = 10.0
"""Seconds for everything together."""
_ANSWER_BYTES = 16_384

SIGNATURE = "X-Modeldeck-Signature"
TIMESTAMP = "X-Modeldeck-Timestamp"
DELIVERY = "X-Modeldeck-Delivery"


class Undelivered(DeckError):
    """It was not taken; with the status of the answer where there was one."""

    def __init__(self, what: str, next_step: str = "", *, status: int | None = None) -> None:
        super().__init__(what, next_step)
        self.status = status


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the receiver compares: HMAC-SHA256 over the timestamp, a dot and the body."""
    made = hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256)
    return f"sha256={made.hexdigest()}"


def signed(secret: str, delivery_id: str, body: bytes) -> dict[str, str]:
    """The headers of a signed delivery."""
    stamp = str(int(time.time()))
    return {
        DELIVERY: delivery_id,
        TIMESTAMP: stamp,
        SIGNATURE: signature(secret, stamp, body),
    }


def send(
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    extra: Sequence[Network] = (),
    timeout: float = TIMEOUT,
) -> int:
    """POST ``body`` and return the answer's status, which is 2xx.

    No redirect is followed, no proxy and no stored password is used, what is answered is neither
    kept nor shown.

    Raises:
        NotAllowed: the host's address is none that is connected to.
        InvalidInput: there is no such host.
        Undelivered: no answer in time, or one that is no 2xx.
    """
    begun = time.monotonic()
    address = resolve(target, extra, timeout)
    left = timeout - (time.monotonic() - begun)
    if left <= 0:
        raise _failed(TimeoutError(), cut=True)
    connection = _connection(target, address, left)
    over = threading.Event()
    connected: socket.socket | None = None

    def cut() -> None:
        over.set()
        # http.client lets go of its socket once the answer's head was read, and reads on.
        sock = connected or connection.sock
        if sock is not None:
            _shut(sock)

    watch = threading.Timer(left, cut)
    watch.daemon = True
    watch.start()
    try:
        connection.connect()
        connected = connection.sock
        if over.is_set():
            raise TimeoutError
        connection.request("POST", target.path, body, {**headers, **_OWN})
        with closing(connection.getresponse()) as answer:
            answer.read(_ANSWER_BYTES)
            if over.is_set():
                raise TimeoutError
            status = answer.status
    except (OSError, HTTPException) as error:
        raise _failed(error, over.is_set()) from None
    finally:
        watch.cancel()
        connection.close()
    if 200 <= status < 300:
        return status
    kind = "redirect" if 300 <= status < 400 else "status"
    raise Undelivered(t(f"webhooks.failed.{kind}", status=status), status=status)


_OWN = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Modeldeck",
    "Connection": "close",
}


class _Pinned(HTTPConnection):
    """Connects to an address that was checked, whatever the name says by now."""

    pinned = ""

    def connect(self) -> None:
        """A socket to the address; the ``Host`` header is the name's."""
        self.sock = socket.create_connection((self.pinned, self.port), self.timeout)


class _PinnedTls(HTTPSConnection):
    pinned = ""

    def connect(self) -> None:
        """The same, encrypted; the certificate has to be the name's."""
        plain = socket.create_connection((self.pinned, self.port), self.timeout)
        # Shaking hands counts too: the socket is in sight before it begins, to be cut.
        self.sock = ssl.create_default_context().wrap_socket(
            plain, server_hostname=self.host, do_handshake_on_connect=False
        )
        self.sock.do_handshake()


def _connection(target: Target, address: str, seconds: float) -> _Pinned | _PinnedTls:
    kind = _PinnedTls if target.scheme == "https" else _Pinned
    connection = kind(target.host, target.port, timeout=seconds)
    connection.pinned = address
    connection.auto_open = 0  # never connect a second time
    return connection


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it ended by itself


def _failed(error: Exception, cut: bool) -> Undelivered:
    if cut or isinstance(error, TimeoutError):
        return Undelivered(t("webhooks.failed.time"))
    if isinstance(error, ssl.SSLError):
        return Undelivered(t("webhooks.failed.certificate"))
    if isinstance(error, ConnectionRefusedError):
        return Undelivered(t("webhooks.failed.refused"))
    return Undelivered(t("webhooks.failed.connection"))
