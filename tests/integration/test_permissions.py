"""What Modeldeck takes an account's rights to be, held against what a real MLflow server allows."""

import itertools
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from core.errors import NotAllowed, NotFound, ServerFailed
from core.mlflow_api.holders import Holder, Source
from core.mlflow_api.permissions import MlflowPermissions
from core.people import Actor, Permission
from tests.servers import AccountsServer

_numbers = itertools.count(1)
Servers = Callable[[str], AccountsServer]
LEVELS = ("READ", "USE", "EDIT", "MANAGE", "DENY")


@pytest.fixture(scope="module")
def accounts_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers by their default right. They remember passwords, which rights do not depend on."""
    made: dict[str, AccountsServer] = {}

    def get(default: str) -> AccountsServer:
        if default not in made:
            folder = tmp_path_factory.mktemp(f"accounts-{default.lower()}")
            made[default] = AccountsServer(folder, default=default, cache_seconds=600).start()
        return made[default]

    yield get
    for server in made.values():
        server.stop()


@pytest.fixture
def server(accounts_servers: Servers) -> AccountsServer:
    """The one on which everybody may READ."""
    return accounts_servers("READ")


def asks(server: AccountsServer) -> Callable[[str, Mapping[str, str]], Mapping[str, Any]]:
    """Questions to the server as its administrator, with the errors that a gateway raises."""

    def ask(path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return server.ask("GET", f"{path}?{urlencode(params)}")
        except urllib.error.HTTPError as error:
            raise (NotFound if error.code == 404 else NotAllowed)(str(error)) from None

    return ask


def allowed(server: AccountsServer, by: str, method: str, path: str, body: Any = None) -> bool:
    """Whether the server does what ``by`` asks for."""
    try:
        server.ask(method, path, body, by)
    except urllib.error.HTTPError as error:
        if error.code != 403:
            raise
        return False
    return True


def new_model(server: AccountsServer) -> str:
    name = f"model-{next(_numbers)}"
    server.ask("POST", "2.0/mlflow/registered-models/create", {"name": name})
    begun = {"experiment_id": "0", "start_time": 1}
    run = server.ask("POST", "2.0/mlflow/runs/create", begun)["run"]["info"]
    version = {"name": name, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
    server.ask("POST", "2.0/mlflow/model-versions/create", version)
    return name


def new_account(server: AccountsServer, *, admin: bool = False) -> str:
    name = f"person-{next(_numbers)}"
    server.add(name, admin=admin)
    return name


def new_role(server: AccountsServer, account: str, kind: str, pattern: str, level: str) -> str:
    """A role with one right, which the account is given."""
    role = {"workspace": "default", "name": f"role-{next(_numbers)}"}
    made = server.ask("POST", "3.0/mlflow/roles/create", role)["role"]
    right = {"resource_type": kind, "resource_pattern": pattern, "permission": level}
    server.ask("POST", "3.0/mlflow/roles/permissions/add", {"role_id": made["id"], **right})
    assigned = {"username": account, "role_id": made["id"]}
    server.ask("POST", "3.0/mlflow/roles/assign", assigned)
    return str(made["name"])


def really(server: AccountsServer, account: str, model: str) -> dict[str, bool]:
    """What the account can do to a model and to its version 1."""
    version = {"name": model, "version": "1"}
    tag = {"key": "tried", "value": account}
    at = "2.0/mlflow/model-versions"
    stage = {"stage": "Staging", "archive_existing_versions": False}
    models = "2.0/mlflow/registered-models"
    return {
        "read model": allowed(server, account, "GET", f"{models}/get?name={model}"),
        "read version": allowed(server, account, "GET", f"{at}/get?{urlencode(version)}"),
        "describe": allowed(
            server, account, "PATCH", f"{models}/update", {"name": model, "description": account}
        ),
        "tag": allowed(server, account, "POST", f"{at}/set-tag", version | tag),
        "stage": allowed(server, account, "POST", f"{at}/transition-stage", version | stage),
    }


def seen(server: AccountsServer, account: str, model: str) -> list[str]:
    """The model, if the server lists it for the account."""
    path = "2.0/mlflow/registered-models/search?" + urlencode({"filter": f"name = '{model}'"})
    found = server.ask("GET", path, by=account).get("registered_models", [])
    return [one["name"] for one in found]


def people(server: AccountsServer) -> MlflowPermissions:
    return MlflowPermissions(asks(server), "admin")


def on_model(server: AccountsServer, account: str, model: str) -> Permission:
    return people(server).on_model(Actor(account, "mlflow"), model)


def entry(server: AccountsServer, account: str, model: str) -> Holder | None:
    return next((h for h in people(server).holders_of(model) if h.account == account), None)


@pytest.mark.parametrize("part", ["", *LEVELS])
@pytest.mark.parametrize("level", ["", *LEVELS])
def test_level_is_what_the_server_enforces(server: AccountsServer, level: str, part: str) -> None:
    """Every level on the model, with every level on all versions: Modeldeck's own check never
    allows what the server would refuse, and the list of those who could change a model beside
    Modeldeck has everybody whom the server lets change it, and nobody else."""
    model, account = new_model(server), new_account(server)
    if level:
        server.grant(account, "registered_model", model, level)
    if part:
        server.grant(account, "registered_model_version", "*", part)
    told, can = on_model(server, account, model), really(server, account, model)

    assert (told >= Permission.READ) == (can["read model"] and can["read version"])
    assert (told >= Permission.EDIT) == (can["describe"] and can["tag"] and can["stage"])
    assert people(server).readable(Actor(account, "mlflow"), seen(server, account, model)) == (
        [model] if told >= Permission.READ else []
    )
    listed = entry(server, account, model) is not None
    assert listed == (can["describe"] or can["tag"] or can["stage"])


@pytest.mark.parametrize("level", LEVELS)
def test_roles_and_patterns(server: AccountsServer, level: str) -> None:
    """A role's right on all models counts like one's own, and the higher of two holds, but DENY
    beats it."""
    model, account = new_model(server), new_account(server)
    server.grant(account, "registered_model", model, "EDIT")
    role = new_role(server, account, "registered_model", "*", level)
    can = really(server, account, model)
    expected = {"DENY": Permission.NONE, "MANAGE": Permission.MANAGE}.get(level, Permission.EDIT)

    assert on_model(server, account, model) == expected
    assert can["stage"] == (expected >= Permission.EDIT)
    found = entry(server, account, model)
    if level == "MANAGE":
        assert found is not None
        assert (found.source, found.role, found.pattern) == (Source.ROLE, role, "*")
    elif level == "DENY":
        assert found is None
    else:
        assert found is not None
        assert (found.source, found.pattern) == (Source.GRANT, model)


def test_administrators_hold_everything(server: AccountsServer) -> None:
    """An administrator is not restricted by DENY, and one of the workspace is none either."""
    model = new_model(server)
    admin, keeper = new_account(server, admin=True), new_account(server)
    server.grant(admin, "registered_model", model, "DENY")
    server.grant(keeper, "registered_model", model, "DENY")
    new_role(server, keeper, "workspace", "*", "MANAGE")
    for account, source in ((admin, Source.ADMINISTRATOR), (keeper, Source.WORKSPACE)):
        assert on_model(server, account, model) == Permission.MANAGE
        assert really(server, account, model)["stage"]
        found = entry(server, account, model)
        assert found is not None
        assert found.source == source


def test_creator_holds_manage(server: AccountsServer) -> None:
    """MLflow gives MANAGE to whoever creates a model."""
    account, name = new_account(server), f"model-{next(_numbers)}"
    server.ask("POST", "2.0/mlflow/registered-models/create", {"name": name}, account)
    found = entry(server, account, name)
    assert found is not None
    assert (found.level, found.source) == (Permission.MANAGE, Source.GRANT)


def test_what_is_taken_away_is_gone_at_the_next_question(server: AccountsServer) -> None:
    """Nothing is remembered: a right that was taken back, an account that was removed."""
    model, account = new_model(server), new_account(server)
    asked = people(server)
    server.grant(account, "registered_model", model, "EDIT")
    assert asked.on_model(Actor(account, "mlflow"), model) == Permission.EDIT
    server.revoke(account, "registered_model", model)
    assert asked.on_model(Actor(account, "mlflow"), model) == Permission.READ
    server.remove(account)
    with pytest.raises(NotAllowed, match="no longer on the MLflow server"):
        asked.on_model(Actor(account, "mlflow"), model)


def test_experiments(server: AccountsServer) -> None:
    """The level on an experiment, and DENY on all runs beside it."""
    account = new_account(server)
    made = server.ask(
        "POST", "2.0/mlflow/experiments/create", {"name": f"experiment-{next(_numbers)}"}
    )
    number = str(made["experiment_id"])
    asked, actor = people(server), Actor(account, "mlflow")
    run = {"experiment_id": number, "start_time": 1}

    assert asked.on_experiment(actor, number) == Permission.READ
    assert not allowed(server, account, "POST", "2.0/mlflow/runs/create", run)
    server.grant(account, "experiment", number, "EDIT")
    assert asked.on_experiment(actor, number) == Permission.EDIT
    assert allowed(server, account, "POST", "2.0/mlflow/runs/create", run)
    server.grant(account, "run", "*", "DENY")
    assert asked.on_experiment(actor, number) == Permission.NONE
    assert not allowed(server, account, "POST", "2.0/mlflow/runs/create", run)


def test_a_service_account_that_does_not_administer(server: AccountsServer) -> None:
    """It may not ask for the rights of others: then nobody may do anything, and that is said."""
    model, account = new_model(server), new_account(server)
    weak = new_account(server)

    def ask(path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return server.ask("GET", f"{path}?{urlencode(params)}", None, weak)
        except urllib.error.HTTPError as error:
            raise NotAllowed(str(error)) from None

    asked = MlflowPermissions(ask, weak)
    with pytest.raises(NotAllowed, match="may not ask MLflow"):
        asked.on_model(Actor(account, "mlflow"), model)
    with pytest.raises(NotAllowed, match="may not ask MLflow"):
        asked.holders_of(model)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"is_admin": "true", "permissions": []},
        {"is_admin": False, "permissions": [], "permission": "OWN"},
        {"is_admin": False, "permissions": []},
        {"is_admin": False, "permissions": [], "permission": 4},
    ],
)
def test_answers_of_another_shape_allow_nothing(answer: Mapping[str, Any]) -> None:
    """A server that answers otherwise than this MLflow does: an error, never a level."""
    asked = MlflowPermissions(lambda _path, _params: answer, "service")
    with pytest.raises(ServerFailed):
        asked.on_model(Actor("ada", "mlflow"), "model")


@pytest.mark.parametrize("default", ["NO_PERMISSIONS", "READ", "EDIT"])
def test_the_default_is_found_out(accounts_servers: Servers, default: str) -> None:
    """The server tells its default to nobody; it is found, and so is who has EDIT by it."""
    server = accounts_servers(default)
    model, account = new_model(server), new_account(server)
    word = "NONE" if default == "NO_PERMISSIONS" else default
    assert people(server).accounts().default == Permission[word]
    assert on_model(server, account, model) == Permission[word]
    found = entry(server, account, model)
    assert (found is not None) == really(server, account, model)["stage"] == (default == "EDIT")
    if found:
        assert found.source == Source.DEFAULT
    # What is granted never falls below the default.
    server.grant(account, "registered_model", model, "READ")
    assert on_model(server, account, model) == max(Permission[word], Permission.READ)
    assert (entry(server, account, model) is not None) == (default == "EDIT")
