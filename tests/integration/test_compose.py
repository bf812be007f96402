"""docker-compose.yml without Docker: its very commands, each service on an address of its own.

Every service gets a loopback address, in whose place the file has the service's name, and a folder
for each of its volumes, shared where the file shares it. Only PostgreSQL is started by the tests'
own means, in the database image's place. What an image holds, and what Docker keeps apart beyond
addresses and folders, is not seen here.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
import pytest
import yaml

from core.ledger import processes as ledger_processes
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.launch import launch_job
from core.mlflow_api.nouns import ModelVersion
from core.people import require_safe_identity
from core.processes import tail
from core.registry.ladder import LADDER
from core.registry.plan import Wanted, see
from core.registry.transitions import read_state, transition
from core.runs.differences import of_metrics
from core.runs.whole import whole
from core.serving import endpoints, predict
from core.serving.client import predictions_table
from core.serving.endpoints import Endpoint
from core.settings import load
from core.training import jobs, projects
from core.training.jobs import Job
from tests.servers import ROOT, Postgres, Server, _postgres_programs, processes_of
from tests.waiting import until

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PASSWORDS = {
    "POSTGRES_PASSWORD": "p4ssword0fPostgres",
    "MLFLOW_DB_PASSWORD": "p4ssword0fMlflow",
    "LEDGER_DB_PASSWORD": "p4ssword0fTheLedger",
}
SECONDS = 180.0
"""A limit for what never comes; no measure of speed."""

VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\})?")
PLACES = re.compile(r"_?(HOST|ADDRESS)$")
EVERYWHERE = "0.0.0.0"
ITSELF = "127.0.0.1"

Found = TypeVar("Found")


def interpolated(node: Any, typed: Mapping[str, str]) -> Any:
    """The file, or a part of it, with its variables filled in as Compose does.

    Raises:
        LookupError: a variable that has to be given is missing or empty.
    """

    def fill(found: re.Match[str]) -> str:
        dollar, name, otherwise, words = found.groups()
        if dollar:
            return "$"
        assert name, f"Compose refuses {found.string!r}"
        if value := typed.get(name):
            return value
        if otherwise != "-":
            raise LookupError(f"{name}: {words}")
        return str(words)

    if isinstance(node, dict):
        return {key: interpolated(value, typed) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, typed) for value in node]
    return VARIABLE.sub(fill, node) if isinstance(node, str) else node


def port_inside(name: str) -> int:
    """The port that a service's container publishes."""
    (published,) = SERVICES[name]["ports"]
    return int(str(published).rpartition(":")[2])


PORTS = {
    "db": int(SERVICES["databases"]["environment"]["PGPORT"]),
    "tracking": port_inside("tracking"),
    "dashboard": port_inside("dashboard"),
}


def is_free(address: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_addresses() -> dict[str, str]:
    """A loopback address for each service, all in one network where the file's ports are free.

    The file's ports are fixed, and another run of these tests may have them elsewhere.
    """
    for step in range(256):
        network = (os.getpid() + step) % 256
        found = {name: f"127.0.{network}.{n}" for n, name in enumerate(SERVICES, 2)}
        if all(is_free(a, port) for a in found.values() for port in PORTS.values()):
            return found
    raise AssertionError(f"the ports {sorted(PORTS.values())} are taken on all loopback networks")


class Stack:
    """The services of the file, running.

    Attributes:
        addresses: each service's own.
        volumes: each volume's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.services = interpolated(SERVICES, PASSWORDS)
        self.folder = folder
        self.addresses = free_addresses()
        self.volumes = {name: folder / "volumes" / name for name in COMPOSE["volumes"]}
        for volume in self.volumes.values():
            volume.mkdir(parents=True)
        self.servers: dict[str, Server] = {}
        self._ends = ExitStack()

    # ------------------------------------------------------------------ what the file becomes here

    def placed(self, name: str, text: str) -> str:
        """``text`` of the file as service ``name`` has to have it on this machine."""
        mounts = [mount.split(":") for mount in self.services[name].get("volumes", [])]
        for kept in re.findall(r"/var/lib/[\w/]+", text):
            assert any(kept.startswith(target) for _, target in mounts), f"{name} loses {kept}"
        for volume, target in mounts:
            text = text.replace(target, str(self.volumes[volume]))
        text = text.replace(EVERYWHERE, self.addresses[name])
        hosts = "|".join(self.addresses)
        return re.sub(
            rf"(?<=[@/,=])({hosts})(?=:\d)", lambda host: self.addresses[host.group()], text
        )

    def environment(self, name: str) -> dict[str, str]:
        """All that a service is given: as in a container, nothing of this process's."""
        programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        if name == "db":
            programs.insert(0, str(_postgres_programs()))
        home = self.folder / "people" / name
        home.mkdir(parents=True, exist_ok=True)
        given = {"PATH": os.pathsep.join(programs), "HOME": str(home), "LANG": "C.UTF-8"}
        for variable, value in self.services[name]["environment"].items():
            is_place = PLACES.search(variable) and value in self.addresses
            given[variable] = self.addresses[value] if is_place else self.placed(name, value)
        return given

    def command(self, name: str, words: Sequence[str]) -> list[str]:
        """An argument list of the file, for this interpreter."""
        placed = [self.placed(name, word) for word in words]
        return [sys.executable, *placed[1:]] if placed[0] == "python" else placed

    def address(self, name: str) -> tuple[str, int]:
        """Where a service listens."""
        return self.addresses[name], PORTS[name]

    # ------------------------------------------------------------------------------------- running

    def start(self) -> None:
        """Start every service once those that it depends on are as it wants them."""
        waiting = dict(self.services)
        while waiting:
            name = next(
                n for n, s in waiting.items() if not waiting.keys() & s.get("depends_on", {}).keys()
            )
            service = waiting.pop(name)
            for other, wish in service.get("depends_on", {}).items():
                if wish["condition"] == "service_completed_successfully":
                    self.completes(other)
                else:
                    assert wish["condition"] == "service_healthy"
                    self.until_healthy(other)
            self._launch(name)
        for name in self.servers:
            self.until_healthy(name)

    def _launch(self, name: str) -> None:
        service = self.services[name]
        if name == "db":
            host, port = self.address("db")
            given = service["environment"]
            database = Postgres(
                host=host,
                port=port,
                user=given["POSTGRES_USER"],
                password=given["POSTGRES_PASSWORD"],
            )
            self._ends.callback(database.stop)
            self.servers[name] = database.start()
        elif service.get("restart") != "no":
            self.servers[name] = server = Server(self.folder / f"{name}.log")
            self._ends.callback(server.stop)
            server.launch(self.command(name, service["command"]), self.environment(name))

    def run(self, name: str, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of a service to its end, in its environment."""
        return subprocess.run(
            self.command(name, words),
            env=self.environment(name),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def completes(self, name: str) -> None:
        """Run a service that ends by itself, and see that it did so well."""
        done = self.run(name, self.services[name]["command"])
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def is_healthy(self, name: str) -> bool:
        """What the file's own health check says of a service."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        # Inside its container a service's own address is the loopback address.
        own = [word.replace(ITSELF, self.addresses[name]) for word in words]
        return self.run(name, own).returncode == 0

    def until_healthy(self, name: str) -> None:
        """Wait for a service's health check."""
        process = self.servers[name].process

        def healthy() -> bool:
            ended = process is None or process.poll() is not None
            assert not ended, f"{name} ended:\n{self.servers[name].output()}"
            return self.is_healthy(name)

        self.until(healthy, f"{name} to be healthy")

    def until(self, predicate: Callable[[], Found], what: str) -> Found:
        """``tests.waiting.until``; where it is in vain, with what the services printed last."""
        try:
            return until(predicate, SECONDS, what, every=0.3)
        except AssertionError as error:
            said = [f"--- {name}\n{s.output(15)}" for name, s in self.servers.items()]
            raise AssertionError("\n".join([str(error), *said])) from None

    def stop(self) -> None:
        """End everything.

        Raises:
            AssertionError: a process was left (it is killed then), or still listens.
        """
        self._ends.close()
        left = [process for folder in self.volumes.values() for process in processes_of(folder)]
        names = [" ".join(process.cmdline()) for process in left]
        for process in left:
            process.kill()
        psutil.wait_procs(left, SECONDS)
        assert not left, f"left running: {names}"
        assert all(is_free(*self.address(name)) for name in PORTS)

    # ------------------------------------------------------------------------------------- asking

    def status(self, name: str, path: str, host: str) -> int:
        """The status of a GET, asked for under the host name ``host``."""
        connection = HTTPConnection(*self.address(name), timeout=SECONDS)
        try:
            connection.request("GET", path, headers={"Host": host})
            return connection.getresponse().status
        finally:
            connection.close()

    @cached_property
    def deck(self) -> Deck:
        """What the pages work with, by the dashboard's environment."""
        deck = open_deck(load(self.environment("dashboard")))
        self._ends.callback(deck.mlflow.gateway.close)
        self._ends.callback(deck.ledger.close)
        return deck


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("compose"))
    with pytest.MonkeyPatch.context() as patch:
        # These tests ask the services themselves: never by way of a proxy of this machine.
        patch.setenv("no_proxy", ",".join(running.addresses.values()))
        try:
            running.start()
            yield running
        finally:
            running.stop()


# ----------------------------------------------------------------------------------- as it is read


def test_ports_are_published_on_the_hosts_own_address_alone() -> None:
    ports = [str(port) for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_looks_for_another_on_its_own_machine(name: str) -> None:
    given = SERVICES[name].get("environment", {})
    assert isinstance(given, dict)
    assert [v for v, value in given.items() if re.search(r"127\.|localhost|::1", str(value))] == []


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_commands_are_lists(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":\d+(\.\d+)+$", service["image"])
    assert isinstance(service.get("command", []), list)
    assert "entrypoint" not in service


def test_the_image_is_built_on_a_pinned_one() -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases)


@pytest.mark.parametrize("missing", PASSWORDS)
def test_nothing_starts_without_every_password(missing: str) -> None:
    with pytest.raises(LookupError, match=missing):
        interpolated(SERVICES, {**PASSWORDS, missing: ""})


@pytest.mark.parametrize("name", ["dashboard", "worker"])
def test_the_settings_in_the_file_are_taken_as_they_stand(name: str) -> None:
    settings = load(interpolated(SERVICES[name]["environment"], PASSWORDS))
    assert settings.worker == "external"
    if name == "dashboard":
        assert settings.port == PORTS["dashboard"]
        require_safe_identity(settings, settings.host)
    else:
        # It listens on all its addresses; others reach its endpoints by its name.
        assert (settings.endpoint_bind, settings.endpoint_address) == (EVERYWHERE, name)


# ------------------------------------------------------------------------------------ as it is run


def test_every_service_is_healthy_by_its_own_check(stack: Stack) -> None:
    checked = [name for name, service in SERVICES.items() if "healthcheck" in service]
    assert checked == list(stack.servers)
    assert [name for name in checked if not stack.is_healthy(name)] == []


def test_the_databases_are_prepared_again_without_harm(stack: Stack) -> None:
    before = [e.id for e in stack.deck.mlflow.tracking.experiments()]
    stack.completes("databases")
    assert [e.id for e in stack.deck.mlflow.tracking.experiments()] == before


@pytest.mark.parametrize(("account", "other"), [("mlflow", "ledger"), ("ledger", "mlflow")])
def test_neither_account_can_open_the_others_database(
    stack: Stack, account: str, other: str
) -> None:
    host, port = stack.address("db")
    password = PASSWORDS[f"{account.upper()}_DB_PASSWORD"]

    def connect(database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=host, port=port, user=account, password=password, dbname=database
        )

    connect(account).close()
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        connect(other)


def test_pages_are_served_to_those_who_typed_a_known_name_only(stack: Stack) -> None:
    # As a browser asks that comes by the published port, then by a name that somebody rebound.
    published, foreign = f"127.0.0.1:{PORTS['dashboard']}", "evil.example:8501"
    for path in ("/", "/experiments", "/_stcore/health"):
        assert stack.status("dashboard", path, published) == 200
        assert stack.status("dashboard", path, foreign) == 400
    assert stack.status("tracking", "/health", f"127.0.0.1:{PORTS['tracking']}") == 200
    asked = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert stack.status("tracking", asked, f"localhost:{PORTS['tracking']}") == 200
    assert stack.status("tracking", asked, foreign) == 403


def test_a_model_goes_from_training_to_prediction(stack: Stack) -> None:
    deck = stack.deck
    job = trained(stack, deck)
    assert job.experiment_id
    assert job.run_id

    assert "irises" in [e.name for e in deck.mlflow.tracking.experiments()]
    found = deck.mlflow.tracking.search([job.experiment_id]).runs
    folds = [run.id for run in found if run.id != job.run_id]
    assert len(folds) == 2
    compared = whole(deck.mlflow, [job.experiment_id], folds)
    assert any(metric.differs for metric in of_metrics(compared))

    version = promoted(deck)
    assert version.run_id == job.run_id
    # Artifacts came through the tracking server, whose volume nobody else has.
    assert list(stack.volumes["artifacts"].rglob("MLmodel"))

    endpoint = served(stack, deck, version)
    assert predicted(deck, endpoint, version) == ["setosa", "virginica"]
    stopped(stack, deck, endpoint)


def trained(stack: Stack, deck: Deck) -> Job:
    """Start a job as the training page does; how it ended at the worker's."""
    asked = {"data": "bundled:iris", "family": "linear", "folds": "2", "register_as": "iris"}
    begun = launch_job(deck, projects.tabular(), asked, experiment="irises", title="first")

    def ended() -> Job | None:
        now = jobs.get(deck.ledger, begun.id)
        return None if now.open else now

    job = stack.until(ended, "the job to end")
    assert job.process_id, job.message
    process = ledger_processes.get(deck.ledger, job.process_id)
    log = tail(process.log)
    assert job.state == jobs.FINISHED, f"{job.message}\n{log}"
    assert process.node == "worker"
    progress = jobs.progress(log)
    assert progress
    assert progress.done == progress.total
    assert deck.mlflow.tracking.run(str(job.run_id)).status == "FINISHED"
    return job


def promoted(deck: Deck) -> ModelVersion:
    """Move the version to Production as the model's page does."""
    seen = see(read_state(deck.mlflow, "iris"), 1, "Production", LADDER)
    wanted = Wanted("iris", 1, "Production", comment="good", expected=seen)
    assert transition(deck.mlflow, deck.ledger, deck.actor, wanted).complete
    version = deck.mlflow.registry.version("iris", 1)
    assert (version.stage, version.aliases) == ("Production", ("champion",))
    return version


def served(stack: Stack, deck: Deck, version: ModelVersion) -> Endpoint:
    """Ask for an endpoint, and wait until the worker has it ready."""
    asked = endpoints.request(deck.ledger, deck.actor, version)

    def ready() -> Endpoint | None:
        now = endpoints.get(deck.ledger, asked.id)
        assert now.open, now.message
        return now if now.state == endpoints.HEALTHY else None

    endpoint = stack.until(ready, "the endpoint to be healthy")
    assert endpoint.host == stack.addresses["worker"]
    return endpoint


def predicted(deck: Deck, endpoint: Endpoint, version: ModelVersion) -> list[object]:
    """What the endpoint says of two irises that nobody would mistake."""
    source = deck.mlflow.artifacts.model_uri(version)
    signature = deck.mlflow.artifacts.model_info(source).signature
    assert signature
    names = [str(column.name) for column in signature.inputs]
    flowers = ([5.0, 3.4, 1.5, 0.2], [7.7, 2.8, 6.7, 2.2])
    rows = [dict(zip(names, flower, strict=True)) for flower in flowers]
    body, sent = predict.from_rows(signature, rows, {})
    asked = predict.ask(deck.settings, deck.ledger, endpoint.id, body, sent)
    assert asked.name == "iris v1"
    _, answers = predictions_table(asked.answer.predictions)
    return [value for row in answers for value in row.values()]


def stopped(stack: Stack, deck: Deck, endpoint: Endpoint) -> None:
    """Ask for the endpoint's stop, and wait until its process is gone."""
    process = ledger_processes.get(deck.ledger, str(endpoint.process_id))
    assert psutil.pid_exists(process.ref.pid)
    endpoints.request_stop(deck.ledger, endpoint.id, deck.actor.name)
    stack.until(
        lambda: endpoints.get(deck.ledger, endpoint.id).state == endpoints.STOPPED,
        "the endpoint to stop",
    )
    assert is_free(str(endpoint.host), int(str(endpoint.port)))
