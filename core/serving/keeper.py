"""The worker's part in an endpoint: fetch the model, start its process, watch it, end it."""

import json
import logging
import secrets
import shutil
import signal
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from core.errors import DeckError
from core.ledger import Ledger, now
from core.ledger import processes as ledger_processes
from core.mlflow_api import Mlflow
from core.processes import (
    ROOT,
    alive,
    clean_environment,
    find_child,
    kill_leftovers,
    read_ending,
    signal_group,
    start,
    stop_politely,
    tail,
)
from core.serving import client, endpoints
from core.serving.endpoints import Endpoint
from core.settings import Settings, http_address
from core.texts import t

READY = "ready.json"
_TRUSTED_AFTER = timedelta(minutes=10)
_log = logging.getLogger("modeldeck.worker")
_CHECK_EVERY = timedelta(seconds=3)
_CHECK_SECONDS = 2.0
_READY_WITHIN = timedelta(seconds=180)
_BACK_OFF = (1, 5, 25)


class _StopAsked(Exception):
    """A stop was asked for while the model was being fetched; no words: nobody is told."""


class EndpointKeeper:
    """Looks after claimed endpoints, a step at a time; each can be repeated after a crash."""

    def __init__(self, settings: Settings, mlflow: Mlflow, ledger: Ledger) -> None:
        self._settings = settings
        self._mlflow = mlflow
        self._ledger = ledger

    def folder(self, endpoint: Endpoint) -> Path:
        """Where the endpoint's log, ending and ready file are."""
        return self._settings.home / "endpoints" / endpoint.id

    def look(self, endpoint: Endpoint) -> None:
        """Take one step with an endpoint: start, check, restart, stop or settle it."""
        process = (
            ledger_processes.get(self._ledger, endpoint.process_id) if endpoint.process_id else None
        )
        if process is None or process.ended_at is not None:
            self._begin(endpoint)
        elif not alive(process.ref):
            self._ended(endpoint, process)
        elif endpoint.stop_requested_at is not None:
            stopping = endpoint.state == endpoints.STOPPING
            if not stopping:
                endpoints.update(self._ledger, endpoint, state=endpoints.STOPPING)
            stop_politely(process.ref, endpoint.stop_requested_at, told=stopping)
        else:
            ledger_processes.seen(self._ledger, process.id)
            self._check(endpoint, process)

    def _begin(self, endpoint: Endpoint) -> None:
        folder = self.folder(endpoint)
        # A worker that died between starting the child and writing it down left it running.
        ref = find_child(endpoint.id)
        if ref is None:
            if endpoint.stop_requested_at is not None:
                self._close(endpoint, endpoints.STOPPED, "")
                return
            if endpoint.restarts and endpoint.ended_at:
                wait = timedelta(seconds=_BACK_OFF[min(endpoint.restarts, len(_BACK_OFF)) - 1])
                if now() - endpoint.ended_at < wait:
                    return
            if endpoint.state != endpoints.STARTING:
                endpoint = endpoints.update(
                    self._ledger,
                    endpoint,
                    state=endpoints.STARTING,
                    message=t("endpoints.step.download"),
                )
            try:
                model = self._fetch_model(endpoint)
            except _StopAsked:  # the next look settles it
                return
            except DeckError as error:
                if error.retryable:  # MLflow may be back in a moment
                    endpoints.update(self._ledger, endpoint, message=error.what)
                else:
                    self._close(endpoint, endpoints.FAILED, error.what)
                return
            except Exception:  # noqa: BLE001 - whatever an artifact store's client raises
                _log.exception("the model of endpoint %s", endpoint.id)
                self._close(endpoint, endpoints.FAILED, t("endpoints.step.no_download"))
                return
            (folder / READY).unlink(missing_ok=True)
            nonce = secrets.token_hex(16)
            endpoint = endpoints.update(
                self._ledger, endpoint, nonce=nonce, port=None, host=None, ended_at=None
            )
            ref = start(
                self._command(endpoint, model, nonce),
                env=clean_environment({"PYTHONPATH": str(ROOT)}, child_of=endpoint.id),
                cwd=folder,
                log=folder / ledger_processes.LOG,
                ending=folder / ledger_processes.ENDING,
            )
        process = ledger_processes.record(
            self._ledger,
            ledger_processes.ENDPOINT,
            endpoint.id,
            node=self._settings.node,
            home=self._settings.home,
            ref=ref,
            folder=folder,
        )
        endpoints.update(
            self._ledger, endpoint, process_id=process.id, message=t("endpoints.step.load")
        )

    def _check(self, endpoint: Endpoint, process: ledger_processes.Process) -> None:
        """See whether the process that we started is the one that answers."""
        recently = endpoint.checked_at and now() - endpoint.checked_at < _CHECK_EVERY
        if recently and endpoint.state == endpoints.HEALTHY:
            return
        ready = _read_ready(process.folder / READY)
        if ready is None or ready.get("nonce") != endpoint.nonce:
            if now() - process.begun_at > _READY_WITHIN:
                signal_group(process.ref, signal.SIGKILL)
            return
        if endpoint.port is None:
            endpoint = endpoints.update(
                self._ledger,
                endpoint,
                host=self._settings.endpoint_address,
                port=int(str(ready["port"])),
            )
        try:
            address = http_address(self._reach(), endpoint.port or 0)
            identity = client.identify(address, _CHECK_SECONDS)
            good = (identity.endpoint, identity.nonce) == (endpoint.id, endpoint.nonce)
            message = "" if good else t("endpoints.step.other")
        except DeckError as error:
            good, message = False, error.what
        first = good and endpoint.ready_at is None
        # One that has served for a while gets all its tries again.
        settled = good and endpoint.restarts and now() - process.begun_at > _TRUSTED_AFTER
        endpoints.update(
            self._ledger,
            endpoint,
            state=endpoints.HEALTHY
            if good
            else (endpoints.UNHEALTHY if endpoint.ready_at else endpoints.STARTING),
            message=message,
            checked_at=now(),
            **({"ready_at": now()} if first else {}),
            **({"restarts": 0} if settled else {}),
        )

    def _ended(self, endpoint: Endpoint, process: ledger_processes.Process) -> None:
        kill_leftovers(process.ref, endpoint.id)
        ending = read_ending(process.ending)
        ledger_processes.ended(self._ledger, process.id, ending)
        if endpoint.stop_requested_at is not None:
            self._close(endpoint, endpoints.STOPPED, "")
            return
        words = last_paragraph(tail(process.log, 16_000))
        # One that never got ready would only fail again; one that served is worth a few more tries.
        if endpoint.ready_at is not None and endpoint.restarts < endpoints.MOST_RESTARTS:
            endpoints.update(
                self._ledger,
                endpoint,
                state=endpoints.STARTING,
                restarts=endpoint.restarts + 1,
                ended_at=now(),
                port=None,
                host=None,
                message=t(
                    "endpoints.step.restart",
                    n=endpoint.restarts + 1,
                    most=endpoints.MOST_RESTARTS,
                    why=words,
                ),
            )
            return
        self._close(endpoint, endpoints.FAILED, words)

    def _close(self, endpoint: Endpoint, state: str, message: str) -> None:
        endpoints.update(
            self._ledger, endpoint, state=state, message=message[:2000], ended_at=now(),
            host=None, port=None,
        )  # fmt: skip

    def _fetch_model(self, endpoint: Endpoint) -> Path:
        """The version's files in a folder of this home; fetched once a version."""
        version = self._mlflow.registry.version(endpoint.model, endpoint.version)
        uri = self._mlflow.artifacts.model_uri(version)
        made = version.created_at.isoformat() if version.created_at else ""
        key = sha256(f"{self._mlflow.address}\n{version.uri}\n{uri}\n{made}".encode()).hexdigest()
        place = self._settings.home / "models" / key[:24]
        self.folder(endpoint).mkdir(parents=True, exist_ok=True)
        if not place.exists():
            part = place.with_name(f"{place.name}.{endpoint.id}")
            shutil.rmtree(part, ignore_errors=True)
            try:
                self._mlflow.artifacts.download(
                    uri,
                    part,
                    self._settings.model_mb * 1_000_000,
                    lambda: self._require_wanted(endpoint),
                )
            except (DeckError, _StopAsked):
                shutil.rmtree(part, ignore_errors=True)
                raise
            if not (part / "MLmodel").exists():
                shutil.rmtree(part)
                raise DeckError(t("endpoints.step.no_model", uri=version.uri))
            try:
                part.rename(place)
            except OSError:  # another endpoint of the same version was faster
                shutil.rmtree(part)
        return place

    def _require_wanted(self, endpoint: Endpoint) -> None:
        if endpoints.get(self._ledger, endpoint.id).stop_requested_at is not None:
            raise _StopAsked

    def _command(self, endpoint: Endpoint, model: Path, nonce: str) -> list[str]:
        return [
            sys.executable, "-m", "core.mlflow_api.scoring",
            "--model", str(model), "--endpoint", endpoint.id,
            "--model-name", endpoint.model, "--model-version", str(endpoint.version),
            "--nonce", nonce, "--bind", self._settings.endpoint_bind, "--port", "0",
            "--ready-file", str(self.folder(endpoint) / READY),
        ]  # fmt: skip

    def _reach(self) -> str:
        bind = self._settings.endpoint_bind
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - not bound


def last_paragraph(log: str) -> str:
    """The last block of lines of a log: what a process said as it ended."""
    blocks = [b.strip() for b in log.replace("\r", "").split("\n\n") if b.strip()]
    if not blocks:
        return t("endpoints.step.no_words")
    lines = [line for line in blocks[-1].splitlines() if not line.startswith(("  ", "Traceback"))]
    return " ".join(lines[-3:])[:600]


def _read_ready(path: Path) -> dict[str, object] | None:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None
