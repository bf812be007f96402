"""What somebody signed in works with: rights and account are asked anew at every action."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.errors import DeckError, NotAllowed, SignedOut
from core.ledger import chain
from core.lifecycle import launch
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.visit import Present, current, deck_of
from core.mlflow_api.credentials import Credential
from core.people import Actor, Permission
from core.people.permissions import require_model
from core.people.sessions import End, Sessions, key_of
from core.registry import known, migration, reconcile, requests
from core.registry.applying import read_state
from core.registry.desk import Desk
from core.registry.plan import see
from core.settings import load
from core.training import projects
from core.ui import visit
from tests.servers import AccountsServer

MODEL = "visited"


@dataclass
class Visit:
    """A person's deck, and the session behind it."""

    deck: Deck
    sessions: Sessions
    key: str

    def act(self) -> None:
        """What every use case does first."""
        require_model(self.deck.permissions, self.deck.actor, MODEL, Permission.EDIT)


@pytest.fixture
def own(accounts_server: AccountsServer, home: Path, tmp_path: Path) -> Iterator[Deck]:
    """Modeldeck's own parts."""
    file = tmp_path / "password"
    file.write_text(accounts_server.passwords["admin"])
    file.chmod(0o600)
    settings = load(
        {
            "MODELDECK_HOME": str(home),
            "MODELDECK_IDENTITY": "mlflow",
            "MLFLOW_TRACKING_URI": accounts_server.url,
            "MODELDECK_SERVICE_USER": "admin",
            "MODELDECK_SERVICE_PASSWORD_FILE": str(file),
        }
    )
    opened = open_deck(settings)
    if MODEL not in {m.name for m in opened.mlflow.registry.models()}:
        opened.mlflow.registry.create_model(MODEL)
    yield current(opened)
    opened.mlflow.gateway.close()
    opened.ledger.close()


def visit_of(own: Deck, server: AccountsServer, name: str) -> Visit:
    """Somebody who signed in, and may edit the model."""
    server.add(name)
    server.grant(name, "registered_model", MODEL, "EDIT")
    server.grant(name, "registered_model_version", "*", "EDIT")
    credential = Credential(name, server.passwords[name])
    sessions = Sessions(3600)
    key = key_of(sessions.begin(name, credential, administrator=False))
    mlflow = own.mlflow.as_person(credential)
    actor = Actor(name, "mlflow")
    made = deck_of(own, mlflow, actor, key, lambda: visit._look(sessions, key, mlflow))
    return Visit(made, sessions, key)


def test_a_right_that_is_taken_away_ends_actions_at_once(
    own: Deck, accounts_server: AccountsServer
) -> None:
    here = visit_of(own, accounts_server, "visitor-1")
    here.act()
    accounts_server.revoke("visitor-1", "registered_model", MODEL)
    with pytest.raises(NotAllowed, match="EDIT"):
        here.act()
    assert here.sessions.find(here.key) is not None, "a right less is no reason to sign out"
    accounts_server.grant("visitor-1", "registered_model", MODEL, "DENY")
    with pytest.raises(NotAllowed):
        here.deck.mlflow.registry.model(MODEL)
    assert here.deck.service.registry.model(MODEL).name == MODEL


def test_an_account_that_goes_ends_the_session_at_the_next_action(
    own: Deck, accounts_server: AccountsServer
) -> None:
    here = visit_of(own, accounts_server, "visitor-2")
    here.act()
    accounts_server.remove("visitor-2")
    with pytest.raises(SignedOut):
        here.act()
    assert here.sessions.end_of(here.key) is End.ACCOUNT


def test_another_password_ends_the_session_too(
    own: Deck, accounts_server: AccountsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = visit_of(own, accounts_server, "visitor-3")
    accounts_server.set_password("visitor-3", "another-password-9")
    with monkeypatch.context() as without:
        # The control: rights are asked with Modeldeck's account, which knows no passwords.
        assert isinstance(here.deck.permissions, Present)
        without.setattr(here.deck.permissions, "_still_there", lambda: None)
        here.act()
    with pytest.raises(SignedOut):
        here.act()
    assert here.sessions.end_of(here.key) is End.ACCOUNT


def test_a_session_that_is_over_acts_no_more(own: Deck, accounts_server: AccountsServer) -> None:
    here = visit_of(own, accounts_server, "visitor-4")
    here.sessions.end(here.key, End.SIGNED_OUT)
    with pytest.raises(SignedOut, match="signed out"):
        here.act()


def test_what_a_job_may_is_asked_again_when_it_begins_and_when_it_registers(
    own: Deck, accounts_server: AccountsServer
) -> None:
    here = visit_of(own, accounts_server, "visitor-7").deck
    typed = {"data": "bundled:iris", "family": "linear", "register_as": MODEL}
    job = launch.launch_job(here, projects.tabular(), typed, experiment="visitor-7", title="t")
    launch.require_begin(launch.as_asker(own, job), job)
    accounts_server.revoke("visitor-7", "registered_model", MODEL)
    with pytest.raises(NotAllowed, match="EDIT"):
        launch.require_begin(launch.as_asker(own, job), job)
    accounts_server.grant("visitor-7", "registered_model", MODEL, "EDIT")
    launch.require_begin(launch.as_asker(own, job), job)
    accounts_server.remove("visitor-7")
    with pytest.raises(NotAllowed, match="visitor-7"):
        launch.require_begin(launch.as_asker(own, job), job)
    with pytest.raises(SignedOut):
        launch.stop_job(here, job.id)  # nor does one stop what was one's own


def test_while_mlflow_is_away_nothing_is_done_and_nobody_is_signed_out(
    own: Deck, accounts_server: AccountsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = visit_of(own, accounts_server, "visitor-5")
    monkeypatch.setattr(here.deck.mlflow.gateway._breaker, "enter", lambda: False)
    with pytest.raises(DeckError) as away:
        here.act()
    assert not isinstance(away.value, NotAllowed)
    assert here.sessions.find(here.key) is not None


def test_an_administrator_is_whom_mlflow_says(own: Deck, accounts_server: AccountsServer) -> None:
    here = visit_of(own, accounts_server, "visitor-6")
    change = {"username": "visitor-6", "is_admin": True}
    accounts_server.ask("PATCH", "2.0/mlflow/users/update-admin", change)
    here.act()
    session = here.sessions.find(here.key)
    assert session is not None
    assert session.administrator


def off_stages(desk: Desk) -> None:
    """Write a plan in which nothing is to be done."""
    assert list(migration.migrate(desk, [migration.Migration(MODEL)])) == []


def takes_note(desk: Desk) -> None:
    """Acknowledge a change that was made without Modeldeck."""
    entry = chain.Entry(
        known.UNATTRIBUTED[0], "", "unknown", store=desk.mlflow.address, model=MODEL
    )
    with desk.ledger.transaction("test") as connection:
        line = chain.append(connection, entry)
    reconcile.acknowledge(desk, line.number, "It was me.")


@pytest.mark.parametrize("act", [off_stages, takes_note])
def test_who_administers_no_longer_acts_as_such_no_longer(
    own: Deck,
    accounts_server: AccountsServer,
    act: Callable[[Desk], None],
) -> None:
    name = f"chief-{act.__name__.replace('_', '-')}"
    here = visit_of(own, accounts_server, name).deck
    desk = replace(here, actor=Actor(name, "mlflow", administrator=True)).desk
    change = {"username": name, "is_admin": True}
    accounts_server.ask("PATCH", "2.0/mlflow/users/update-admin", change)
    act(desk)
    accounts_server.ask("PATCH", "2.0/mlflow/users/update-admin", {**change, "is_admin": False})
    with pytest.raises(NotAllowed):
        act(desk)


def test_who_administers_no_longer_is_not_told_of_what_was_asked_for_elsewhere(
    own: Deck, accounts_server: AccountsServer
) -> None:
    hidden = "kept-from-chief"
    registry = own.service.registry
    registry.create_model(hidden)
    version = registry.create_version(hidden, "s3://models/hidden")
    seen = see(read_state(own.service, hidden), version.version, "Production", own.rules.ladder)
    asked = requests.ask(own.desk, hidden, version.version, "Production", "Secret.", seen=seen)
    here = visit_of(own, accounts_server, "chief-then").deck
    accounts_server.grant("chief-then", "registered_model", hidden, "DENY")
    desk = replace(here, actor=Actor("chief-then", "mlflow", administrator=True)).desk
    change = {"username": "chief-then", "is_admin": True}
    accounts_server.ask("PATCH", "2.0/mlflow/users/update-admin", change)
    assert [one.id for one in requests.listed(desk)] == [asked.id]
    accounts_server.ask("PATCH", "2.0/mlflow/users/update-admin", {**change, "is_admin": False})
    assert requests.listed(desk) == []
    assert requests.waiting_for(desk) == []
