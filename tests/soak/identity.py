"""Two people read from one MLflow server through one process at once: whose answers do they get?"""

import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import DeckError
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.credentials import Credential
from core.settings import load
from tests.servers import AccountsServer

_PEOPLE = 2
_THREADS = 8


@dataclass(frozen=True)
class Found:
    """What came of the reads."""

    reads: int
    """Reads that were answered."""
    wrong: tuple[str, ...]
    """Those that were answered as somebody else's would be, in words."""


class Shared:
    """Stands in for the context variable in a control: one credential for the whole process."""

    def __init__(self) -> None:
        self._value: Credential | None = None

    def get(self) -> Credential | None:
        return self._value

    def set(self, value: Credential | None) -> None:
        if value is not None:
            self._value = value

    def reset(self, _token: object) -> None:
        """Leave it: a process's environment is not put back either."""


def interleave(server: AccountsServer, n: int) -> Found:
    """Make ``n`` reads of two people, in turns and several at a time, through one connection.

    Each is asked who it is, and what it may see: an experiment and a model are closed to the other.
    """
    mark = secrets.token_hex(4)
    names = [f"person-{mark}-{number}" for number in range(_PEOPLE)]
    for name in names:
        server.add(name)
    own = {name: _closed_to_the_others(server, name, names) for name in names}
    with tempfile.TemporaryDirectory() as home:
        settings = load(
            {
                "MODELDECK_HOME": home,
                "MLFLOW_TRACKING_URI": server.url,
                "MODELDECK_IDENTITY": "mlflow",
                "MODELDECK_METADATA_DEADLINE": "60",
            }
        )
        shared = connect(settings)
        people = [shared.as_person(Credential(name, server.passwords[name])) for name in names]
        try:
            with ThreadPoolExecutor(_THREADS) as pool:
                turns = [(number, people[number % _PEOPLE]) for number in range(n)]
                said = list(pool.map(lambda turn: _read(turn, names, own), turns))
        finally:
            shared.gateway.close()
            Path(home, "store.lock").unlink(missing_ok=True)
    for name in names:
        with suppress(OSError):
            server.remove(name)
    return Found(len(said), tuple(word for word in said if word))


def _closed_to_the_others(server: AccountsServer, name: str, names: list[str]) -> str:
    """A model and an experiment, of the person's name, that nobody else of them may read."""
    server.ask("POST", "2.0/mlflow/registered-models/create", {"name": name})
    made = server.ask("POST", "2.0/mlflow/experiments/create", {"name": name})
    for other in names:
        if other != name:
            server.grant(other, "registered_model", name, "DENY")
            server.grant(other, "experiment", made["experiment_id"], "DENY")
    return str(made["experiment_id"])


def _read(turn: tuple[int, Mlflow], names: list[str], own: dict[str, str]) -> str:
    """One read of the turn's person; what was wrong with it, or ""."""
    number, mlflow = turn
    me, other = names[number % _PEOPLE], names[(number + 1) % _PEOPLE]
    try:
        match number // _PEOPLE % 3:
            case 0:
                seen = {mlflow.whoami().name}
            case 1:
                seen = {m.name for m in mlflow.registry.models() if m.name in names}
            case _:
                seen = {e.name for e in mlflow.tracking.experiments() if e.name in names}
    except DeckError as error:
        return f"{me} was refused: {error}"
    return "" if seen == {me} else f"{me} saw {sorted(seen)}, which is for {other}"
