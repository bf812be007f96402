"""The process of one endpoint: a model served over MLflow's scoring protocol, and who it is.

Run as ``python -m core.mlflow_api.scoring --model FOLDER --endpoint ID --model-name NAME
--model-version N --nonce HEX --bind 127.0.0.1 --port 0 --ready-file PATH``.

MLflow's own application answers ``/invocations``, ``/ping``, ``/health`` and ``/version``. Added
are ``GET /modeldeck`` (the identity as JSON) and two headers on every response, so that a client
knows that the answer comes from the endpoint it meant. The nonce is made anew at each start and
tells one process from another; everybody who may ask the endpoint sees it, so it is no secret.

Exit codes: 0 stopped by SIGTERM, 2 bad arguments, 3 the port cannot be had, 4 the model cannot be
loaded. In each case the last paragraph printed says why.
"""

# Only the standard library may be imported up here: the port is taken within the first moments,
# long before MLflow and the model's library (several seconds) have been imported.
import argparse
import errno
import gc
import ipaddress
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from core.mlflow_api import calls
from core.texts import t

if TYPE_CHECKING:
    from fastapi import FastAPI

PORT_TAKEN = 3
MODEL_BROKEN = 4

IDENTITY_PATH = "/modeldeck"
ENDPOINT_HEADER = "X-Modeldeck-Endpoint"
NONCE_HEADER = "X-Modeldeck-Nonce"

_BACKLOG = 128
# Answers that are under way at a SIGTERM get this long, in seconds.
_GRACE = 5

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Asgi = Callable[[_Message, _Receive, _Send], Awaitable[None]]


@dataclass(frozen=True)
class Identity:
    """Who answers: an endpoint's id, its model and version, and the nonce of this one start."""

    endpoint: str
    model: str
    version: int
    nonce: str
    pid: int = 0


def main(arguments: list[str] | None = None) -> int:
    """Take the port, load the model, serve until SIGTERM; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        listener = listen(options.bind, options.port)
    except OSError as error:
        return _fail(PORT_TAKEN, _why_no_port(options.bind, options.port, error))
    served = Identity(
        options.endpoint, options.model_name, options.model_version, options.nonce, os.getpid()
    )
    named: dict[str, object] = {"model": served.model, "version": served.version}
    if not (options.model / "MLmodel").is_file():
        # Anything but a folder would be downloaded, and this process has no credentials for that.
        return _fail(MODEL_BROKEN, t("serving.process.no_model_file", **named))
    try:
        app = _load(options.model, served)
    except Exception as error:  # noqa: BLE001 - a model's code may raise anything
        # The log gets all of it, and at its end one paragraph for the person who looks there.
        traceback.print_exc()
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        return _fail(MODEL_BROKEN, t("serving.process.model_broken", **named, detail=detail))
    _serve(app, listener, served, options.ready_file)
    return 0


def listen(bind: str, ports: range) -> socket.socket:
    """A socket that listens on the first free one of ``ports`` (0 = any free port).

    It listens at once, not only once the model is there: with SO_REUSEADDR, which a restart on the
    same port needs, Linux lets two processes bind one port as long as neither listens.

    Raises:
        OSError: none of the ports can be had; the error is that of the last.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    failure = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    for port in ports:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((bind, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            failure = error
        else:
            return listener
    raise failure


def stamped(app: _Asgi, served: Identity) -> _Asgi:
    """``app`` with the endpoint's headers on every response, errors of the framework included."""
    headers = [
        (ENDPOINT_HEADER.lower().encode(), served.endpoint.encode()),
        (NONCE_HEADER.lower().encode(), served.nonce.encode()),
    ]

    async def stamp(scope: _Message, receive: _Receive, send: _Send) -> None:
        async def send_stamped(message: _Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await app(scope, receive, send_stamped)

    return stamp


def noted(app: _Asgi, folder: Path) -> _Asgi:
    """``app`` with the time of the last prediction that was asked for kept in ``folder``."""

    async def note(scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/invocations":
            calls.called(folder)
        await app(scope, receive, send)

    return note


def _load(folder: Path, served: Identity) -> _Asgi:
    """The application that serves the model in ``folder``. Raises whatever the model raises."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Importing makes many objects and hardly any garbage: not looking for it saves about 0.3 s.
    gc.disable()
    from mlflow.pyfunc import load_model, scoring_server

    model = load_model(str(folder))
    app = _with_identity(scoring_server.init(model), served)
    gc.freeze()
    gc.enable()
    return app


def _with_identity(app: "FastAPI", served: Identity) -> "FastAPI":
    def modeldeck() -> dict[str, object]:
        """Which endpoint, model and version this process serves."""
        return asdict(served)

    app.get(IDENTITY_PATH)(modeldeck)
    return app


def _serve(app: _Asgi, listener: socket.socket, served: Identity, ready_file: Path) -> None:
    import uvicorn
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    address, port = listener.getsockname()[:2]
    if listener.family == socket.AF_INET and ipaddress.ip_address(address).is_loopback:
        # A page in a browser of this machine could rebind its host name to loopback and ask here.
        app = TrustedHostMiddleware(app, allowed_hosts=["localhost", "127.0.0.1", address])

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            _write_ready(ready_file, {"pid": served.pid, "port": port, "nonce": served.nonce})

    def leave(*_: object) -> NoReturn:
        # Uvicorn raises the signal again once it has shut down. A prediction that never ends would
        # hold the interpreter at its exit, so leave without waiting for threads.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    calls.begin(ready_file.parent)
    config = uvicorn.Config(
        stamped(noted(app, ready_file.parent), served),
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    Server(config).run(sockets=[listener])


def _write_ready(path: Path, content: dict[str, object]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content), "utf-8")
    part.replace(path)


def _fail(code: int, message: str) -> int:
    sys.stderr.write(f"\n{message}\n")
    sys.stderr.flush()
    return code


def _why_no_port(bind: str, ports: range, error: OSError) -> str:
    shown = str(ports.start) if len(ports) == 1 else f"{ports.start}-{ports.stop - 1}"
    if error.errno == errno.EADDRINUSE:
        return t("serving.process.port_taken", n=len(ports), bind=bind, port=shown)
    reason = error.strerror or str(error)
    return t("serving.process.no_port", bind=bind, port=shown, reason=reason)


def _ports(text: str) -> range:
    first, _, last = text.partition("-")
    ports = range(int(first), int(last or first) + 1)
    if not ports or ports.start < 0 or ports.stop > 65_536:
        raise ValueError(text)
    return ports


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="core.mlflow_api.scoring", allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True, help="folder that holds MLmodel")
    parser.add_argument("--endpoint", required=True, help="id of the endpoint")
    parser.add_argument("--model-name", required=True, help="name of the registered model")
    parser.add_argument("--model-version", type=int, required=True)
    parser.add_argument("--nonce", required=True, help="new at each start, hexadecimal")
    parser.add_argument("--bind", default="127.0.0.1", help="IP address to listen on")
    parser.add_argument("--port", type=_ports, default=range(1), help="0, a port, or FIRST-LAST")
    parser.add_argument("--ready-file", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
