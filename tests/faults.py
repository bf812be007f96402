"""A proxy that makes a real server fail in the ways that networks and servers do."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.servers import free_port

CHUNK = 65_536
HTML = b"<!doctype html><html><body><h1>Sign in to the guest network</h1></body></html>"


class Fault(StrEnum):
    """What happens to a request."""

    PASS = "pass"
    """It is forwarded, and the reply comes back."""
    REFUSE = "refuse"
    """Nobody listens: the connection is refused."""
    HANG = "hang"
    """The connection is accepted; no answer ever comes."""
    ERROR_500 = "error500"
    """It is answered with 500 and a page of HTML."""
    HTML = "html"
    """It is answered with 200 and a page of HTML."""
    SLOW = "slow"
    """The true reply comes, one byte a second."""
    RESET = "reset"
    """The connection is reset."""
    LOST_REPLY = "lost_reply"
    """The server gets it and acts on it, but the reply is lost."""
    LATE = "late"
    """It reaches the server only when the fault is changed; by then nobody waits for the reply."""


class FaultProxy:
    """A proxy before an HTTP server, with a switchable fault; one request a connection.

    A WebSocket passes through while the fault is ``pass``. Changing the fault ends every open
    connection, so that none keeps the old behaviour.

    Attributes:
        url: where clients connect.
        requests: the method and path of each request that came, in order.
    """

    def __init__(self, target: str, *, host: str = "127.0.0.1", byte_seconds: float = 1.0) -> None:
        """``target`` is the server's URL; ``byte_seconds`` the pause of ``slow`` after a byte."""
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._address = (host, free_port(host))
        self.url = f"http://{host}:{self._address[1]}"
        self.requests: list[str] = []
        self._byte_seconds = byte_seconds
        self._fault = Fault.PASS
        self._when: Callable[[str], bool] | None = None
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._open: dict[socket.socket, threading.Event] = {}
        self._workers: set[threading.Thread] = set()

    @property
    def fault(self) -> Fault:
        """What happens to requests at present."""
        return self._fault

    def set(self, fault: Fault | str, when: Callable[[str], bool] | None = None) -> None:
        """Let ``fault`` happen from now on; ``when`` narrows it to requests whose line (such as
        "POST /api/2.0/mlflow/runs/create") it accepts, and the others pass. ``refuse`` cannot be
        narrowed."""
        self._fault = Fault(fault)
        self._when = when
        self._end_connections()
        if self._fault is Fault.REFUSE:
            self._close_listener()
        elif self._listener is None:
            self._listen()

    def start(self) -> Self:
        """Listen."""
        self._listen()
        return self

    def stop(self) -> None:
        """Stop listening and end every connection."""
        self._close_listener()
        self._end_connections()
        for worker in list(self._workers):
            worker.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------ listening

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self._address)
        listener.listen(128)
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._acceptor.start()

    def _close_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() alone does not
        listener.close()
        if self._acceptor is not None:
            self._acceptor.join(10)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            worker = threading.Thread(target=self._serve, args=(client,), daemon=True)
            with self._lock:
                self._open[client] = threading.Event()
                self._workers.add(worker)
            worker.start()

    def _end_connections(self) -> None:
        with self._lock:
            for connection, ended in self._open.items():
                ended.set()
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    # ------------------------------------------------------------------ one connection

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            ended = self._open[client]
        try:
            request = _read_request(client)
            if request:
                line = b" ".join(request.split(b"\r\n", 1)[0].split(b" ")[:2]).decode("latin-1")
                self.requests.append(line)
                self._answer(client, request, line, ended)
        except OSError:
            return  # the client went away, or the fault was changed: there is nobody to tell
        finally:
            with self._lock:
                self._open.pop(client, None)
                self._workers.discard(threading.current_thread())
            client.close()

    def _answer(
        self, client: socket.socket, request: bytes, line: str, ended: threading.Event
    ) -> None:
        chosen = self._when is None or self._when(line)
        match self._fault if chosen else Fault.PASS:
            case Fault.PASS:
                self._forward(client, request, client.sendall)
            case Fault.SLOW:
                self._forward(client, request, lambda data: self._drip(client, data, ended))
            case Fault.LOST_REPLY:
                self._forward(client, request, None)
            case Fault.LATE:
                ended.wait()
                self._forward(client, request, None)
            case Fault.HANG | Fault.REFUSE:
                ended.wait()
            case Fault.ERROR_500:
                client.sendall(_page(b"500 Internal Server Error"))
            case Fault.HTML:
                client.sendall(_page(b"200 OK"))
            case Fault.RESET:
                # Closing with a linger of zero sends RST where an ordinary close sends FIN.
                linger = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _forward(
        self, client: socket.socket, request: bytes, reply: Callable[[bytes], None] | None
    ) -> None:
        upgrade = b"\r\nupgrade:" in request.split(b"\r\n\r\n", 1)[0].lower()
        with socket.create_connection(self._target, timeout=60) as server:
            server.settimeout(None)
            with self._lock:
                self._open[server] = threading.Event()
            try:
                if upgrade:
                    server.sendall(request)
                    upward = threading.Thread(target=_pump, args=(client, server), daemon=True)
                    upward.start()
                    _pump(server, client)
                    upward.join(10)
                    return
                server.sendall(_one_request_only(request))
                while data := server.recv(CHUNK):
                    if reply is None:
                        return  # the server has acted and speaks: this is the reply that gets lost
                    reply(data)
            finally:
                with self._lock:
                    self._open.pop(server, None)

    def _drip(self, client: socket.socket, data: bytes, ended: threading.Event) -> None:
        for byte in data:
            client.sendall(bytes([byte]))
            if ended.wait(self._byte_seconds):
                return


def _read_request(client: socket.socket) -> bytes:
    """One request with its body, or b"" when the client said nothing."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(CHUNK)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if fields.get(b"expect", b"").lower() == b"100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(client)
    else:
        while len(body) < int(fields.get(b"content-length", b"0")):
            body += _more(client)
    return head + b"\r\n\r\n" + body


def _more(client: socket.socket) -> bytes:
    part = client.recv(CHUNK)
    if not part:
        raise ConnectionError("the client left in the middle of a request")
    return part


def _one_request_only(request: bytes) -> bytes:
    """The request with ``Connection: close``, so that the reply ends with the connection."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [
        line
        for line in head.split(b"\r\n")
        if not line.lower().startswith((b"connection:", b"keep-alive:", b"expect:"))
    ]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def _page(status: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close"
    return head % (status, len(HTML)) + b"\r\n\r\n" + HTML


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy bytes until ``source`` ends, then say so to ``sink``."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
