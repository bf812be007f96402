"""A part of roles × actions against a real MLflow server with accounts: rights are MLflow's own,
and the server sees each person's own credential."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from core.errors import DeckError, NotAllowed, NotFound
from core.lifecycle import launch, permissions
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.overview import for_person
from core.lifecycle.visit import current, deck_of
from core.mlflow_api.credentials import Credential
from core.people import Actor, Permission
from core.registry import editing, requests
from core.registry.applying import read_state
from core.registry.desk import Desk
from core.registry.plan import Wanted, see
from core.registry.reconcile import reconcile
from core.registry.register import register, source_of_folder
from core.registry.requests import Request, State, binding
from core.serving import endpoints
from core.settings import load
from tests.roles import MANAGERS, RULES, found
from tests.servers import AccountsServer, clean_environment

SPECIFIED = """
                 den rea use edi man dec bli adm rev dem gon cha
see_model         .   x   x   x   x   x   .   x   .   x   .   .
ask               .   x   x   x   x   x   .   x   .   x   .   .
approve           .   .   .   .   .   x   .   .   .   .   .   .
break_glass       .   .   .   .   .   .   .   x   .   .   .   .
move              .   .   .   x   x   .   .   x   .   .   .   .
describe          .   .   .   x   x   .   .   x   .   .   .   .
register_version  .   .   .   x   x   .   .   x   .   .   .   .
start_endpoint    .   .   x   x   x   .   .   x   .   .   .   .
stop_own_endpoint x   x   x   x   x   x   x   x   x   x   .   .
stop_endpoint     .   .   .   .   .   .   .   x   .   .   .   .
see_own_rights    x   x   x   x   x   x   x   x   x   x   x   x
go_round          .   .   .   x   x   .   .   x   .   .   .   .
"""
ROLES = ("denied", "reader", "user", "editor", "manager", "decider", "blind", "admin", "revoked",
         "demoted", "gone", "changed")  # fmt: skip
LEVEL = {"denied": "DENY", "user": "USE", "editor": "EDIT", "manager": "MANAGE", "blind": "DENY",
         "revoked": "EDIT", "gone": "EDIT", "changed": "EDIT"}  # fmt: skip
"""Who has nothing here has the server's default, which is READ."""
DECIDERS = ("decider", "blind", "revoked", "gone", "changed")


@dataclass
class Scene:
    """One person before models of their own, signed in while all was well."""

    deck: Deck
    base: Deck
    model: str
    request: Request
    glass: Request
    run: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountsServer]:
    """Passwords are remembered by the server, so that 300 calls do not take minutes; it forgets one
    that changes."""
    folder = tmp_path_factory.mktemp("accounts-roles")
    with AccountsServer(folder, cache_seconds=600) as made:
        made.add("modeldeck", admin=True)
        made.add("scientist")
        yield made


@pytest.fixture(scope="module")
def base(server: AccountsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deck]:
    """Modeldeck's own deck."""
    home = tmp_path_factory.mktemp("home")
    password = home / "password"
    password.write_text(server.passwords["modeldeck"])
    password.chmod(0o600)
    settings = load({
        "MODELDECK_HOME": str(home),
        "MLFLOW_TRACKING_URI": server.url,
        "MODELDECK_IDENTITY": "mlflow",
        "MODELDECK_SERVICE_USER": "modeldeck",
        "MODELDECK_SERVICE_PASSWORD_FILE": str(password),
    })  # fmt: skip
    made = replace(current(open_deck(settings)), rules=RULES)
    yield made
    made.mlflow.gateway.close()


def signed_in(server: AccountsServer, base: Deck, name: str, *, admin: bool = False) -> Deck:
    """The deck of somebody who signed in a moment ago."""
    mlflow = base.mlflow.as_person(Credential(name, server.passwords[name]))
    groups = MANAGERS if name.split("-")[0] in DECIDERS else frozenset()
    actor = Actor(name, "mlflow", groups, admin)
    return deck_of(base, mlflow, actor, name, mlflow.whoami)


def scene(server: AccountsServer, base: Deck, role: str) -> Scene:
    """The person signs in and sees two requests; then what they had is taken away, if it is."""
    admin = role in ("admin", "demoted")
    name = f"{role}-1"
    server.add(name, admin=admin)
    service = base.mlflow
    run = service.tracking.create_run("0", role)
    models = (f"{role}-model", f"{role}-other")
    for model in models:
        service.registry.create_model(model)
        for number in (1, 2):
            source = source_of_folder(run.id, f"m{number}")
            service.registry.create_version(model, source, run.id, "", {})
        if role in LEVEL:
            server.grant(name, "registered_model", model, LEVEL[role])
    asked = [waiting(server, base, model) for model in models]
    made = Scene(signed_in(server, base, name, admin=admin), base, models[0], *asked, run.id)
    if role == "revoked":
        for model in models:
            server.revoke(name, "registered_model", model)
            server.grant(name, "registered_model", model, "DENY")
    if role == "demoted":
        server.ask("PATCH", "2.0/mlflow/users/update-admin", {"username": name, "is_admin": False})
    if role == "gone":
        server.remove(name)
    if role == "changed":
        server.set_password(name, "another-password-1")
    return made


def waiting(server: AccountsServer, base: Deck, model: str) -> Request:
    """A scientist's request for Production that was checked; one approval is enough."""
    deck = signed_in(server, base, "scientist")
    seen = see(read_state(deck.mlflow, model), 2, "Production", RULES.ladder)
    asked = requests.ask(deck.desk, model, 2, "Production", "please", seen=seen)
    made = requests.checked(base.ledger, asked.id, found(base, asked))
    assert made.state is State.WAITING
    return made


def see_model(scene: Scene) -> None:
    """Read a model as oneself."""
    scene.deck.mlflow.registry.model(scene.model)


def ask(scene: Scene) -> None:
    """Ask for Staging."""
    desk = scene.deck.desk
    seen = see(read_state(scene.base.mlflow, scene.model), 1, "Production", RULES.ladder)
    requests.ask(desk, scene.model, 1, "Production", "me too", seen=seen)


def approve(scene: Scene) -> None:
    """Approve a scientist's request."""
    requests.approve(scene.deck.desk, scene.request.id, binding=binding(scene.request))


def break_glass(scene: Scene) -> None:
    """Approve another one alone."""
    glass = scene.glass
    requests.break_glass(scene.deck.desk, glass.id, "it burns", binding=binding(glass))


def move(scene: Scene) -> None:
    """Move a version to Staging."""
    requests.move(scene.deck.desk, Wanted(scene.model, 1, "Staging"))


def describe(scene: Scene) -> None:
    """Write a description."""
    editing.describe(scene.deck.desk, scene.model, 1, "good", seen="")


def register_version(scene: Scene) -> None:
    """Register a version; MLflow is told who asked."""
    made = register(
        scene.deck.desk, scene.run, source_of_folder(scene.run, "new"), scene.model
    ).version
    assert made.tags["modeldeck.registered_by"] == scene.deck.actor.name


def start_endpoint(scene: Scene) -> None:
    """Serve a version."""
    launch.start_endpoint(scene.deck, scene.model, 1)


def stop_own_endpoint(scene: Scene) -> None:
    """Stop an endpoint that one asked for: of rights nothing is needed but an account."""
    version = scene.base.mlflow.registry.version(scene.model, 1)
    made = endpoints.request(scene.base.ledger, scene.deck.actor, version)
    launch.stop_endpoint(scene.deck, made.id)


def stop_endpoint(scene: Scene) -> None:
    """Stop another's endpoint."""
    version = scene.base.mlflow.registry.version(scene.model, 1)
    made = endpoints.request(scene.base.ledger, Actor("somebody"), version)
    launch.stop_endpoint(scene.deck, made.id)


def see_own_rights(scene: Scene) -> None:
    """What MLflow lets the person do, told by Modeldeck, is what the server does: nothing more."""
    try:
        told = dict(permissions.own(scene.deck))
        scene.deck.mlflow.registry.model(scene.model)
    except NotAllowed:
        return
    assert scene.model in told


def go_round(scene: Scene) -> None:
    """Move a version in MLflow itself, with one's own password."""
    scene.deck.mlflow.registry.set_stage(scene.model, 1, "Staging")


ACTIONS: tuple[Callable[[Scene], None], ...] = (
    see_model, ask, approve, break_glass, move, describe, register_version, start_endpoint,
    stop_own_endpoint, stop_endpoint, see_own_rights, go_round,
)  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_each_action(server: AccountsServer, base: Deck, role: str) -> None:
    """One column of the table."""
    head, *rows = SPECIFIED.strip().splitlines()
    place = head.split().index(role[:3])
    wanted = {row.split()[0]: row.split()[1 + place] == "x" for row in rows}
    made = scene(server, base, role)
    could: dict[str, bool] = {}
    for action in ACTIONS:
        try:
            action(made)
        except (NotAllowed, NotFound):
            could[action.__name__] = False
        else:
            could[action.__name__] = True
    assert could == wanted


def test_who_could_go_round_is_who_did(server: AccountsServer, base: Deck) -> None:
    """The page names whom the server lets change a model, and what it says closes that."""
    model = "closing"
    base.mlflow.registry.create_model(model)
    run = base.mlflow.tracking.create_run("0", "r")
    base.mlflow.registry.create_version(model, source_of_folder(run.id, "m"), run.id, "", {})
    for name, level in (("one", "EDIT"), ("two", "MANAGE"), ("three", "READ")):
        server.add(name)
        server.grant(name, "registered_model", model, level)
    # Who has it more than once keeps it until each is taken away.
    server.grant("one", "registered_model", "*", "EDIT")
    server.grant("one", "registered_model_version", "*", "EDIT")
    server.add("four")
    role = {"workspace": "default", "name": "editors"}
    made = server.ask("POST", "3.0/mlflow/roles/create", role)["role"]
    right = {"resource_type": "registered_model", "resource_pattern": "*", "permission": "EDIT"}
    server.ask("POST", "3.0/mlflow/roles/permissions/add", {"role_id": made["id"], **right})
    server.ask("POST", "3.0/mlflow/roles/assign", {"username": "four", "role_id": made["id"]})
    boss = replace(base, actor=Actor("boss", "mlflow", administrator=True))

    def others() -> set[str]:
        row = next(r for r in permissions.overview(boss).rows if r.model == model)
        return {h.account for h in row.granted}

    def goes_round(name: str) -> bool:
        deck = signed_in(server, base, name)
        try:
            deck.mlflow.registry.set_stage(model, 1, "Staging")
        except DeckError:
            return False
        return True

    assert others() == {"one", "two", "four"}
    assert [n for n in ("one", "two", "three", "four") if goes_round(n)] == ["one", "two", "four"]
    row = next(r for r in permissions.overview(boss).rows if r.model == model)
    run_script(server, permissions.closing(row, server.url))
    assert others() == set()
    assert not any(goes_round(n) for n in ("one", "two", "three", "four"))
    for name in ("one", "two", "three", "four"):
        signed_in(server, base, name).mlflow.registry.model(model)  # everybody may look still


def test_who_was_denied_a_model_is_told_nothing_of_it_once_it_is_gone(
    server: AccountsServer, base: Deck
) -> None:
    """MLflow forgets the denial with the model."""
    model = "secret"
    run = base.mlflow.tracking.create_run("0", model)
    base.mlflow.registry.create_model(model)
    for number in (1, 2):
        source = source_of_folder(run.id, f"m{number}")
        base.mlflow.registry.create_version(model, source, run.id, "", {})
    for name in ("decider-out", "decider-in"):
        server.add(name)
    server.grant("decider-out", "registered_model", model, "DENY")
    reconcile(base.desk)
    asked = waiting(server, base, model)
    out, inside = (signed_in(server, base, name).desk for name in ("decider-out", "decider-in"))
    server.add("admin-in", admin=True)
    boss = signed_in(server, base, "admin-in", admin=True).desk

    def sees(desk: Desk) -> list[bool]:
        try:
            requests.get(desk, asked.id)
        except NotAllowed:
            got = False
        else:
            got = True
        return [
            got,
            asked.id in {r.id for r in requests.listed(desk)},
            asked.id in {r.id for r in requests.listed(desk, model=model)},
            asked.id in {r.id for r in requests.page(desk, limit=1000).shown},
            asked.id in {r.id for r in requests.waiting_for(desk)},
        ]

    assert sees(out) == [False] * 5
    assert sees(inside) == [True] * 5
    server.ask("DELETE", "2.0/mlflow/registered-models/delete", {"name": model})
    reconcile(base.desk)
    assert out.permissions.on_model(out.actor, model) >= Permission.READ  # what MLflow says now
    assert sees(out) == [False] * 5
    assert sees(boss)[:4] == [True] * 4
    assert model not in str(for_person(out))
    assert model in str(for_person(boss))


def run_script(server: AccountsServer, script: str) -> None:
    """Run what the page shows, as the server's administrator, in a process of its own."""
    environment = clean_environment({
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": server.passwords["admin"],
    })  # fmt: skip
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)
