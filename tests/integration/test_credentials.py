"""Calls to a real MLflow server with accounts: each carries one person's credential, or none."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket

import pytest
from requests import Session

from core.errors import NotAllowed, SignedOut
from core.mlflow_api import Mlflow, connect, credentials
from core.mlflow_api.credentials import Credential
from core.settings import load
from tests.faults import FaultProxy
from tests.servers import AccountsServer
from tests.soak import identity
from tests.waiting import until


def opened(home: Path, url: str) -> Mlflow:
    """A server with accounts, asked by nobody yet."""
    return connect(
        load(
            {
                "MODELDECK_HOME": str(home),
                "MLFLOW_TRACKING_URI": url,
                "MODELDECK_IDENTITY": "mlflow",
            }
        )
    )


@pytest.fixture
def server(accounts_server: AccountsServer, home: Path) -> Iterator[Mlflow]:
    """The server, asked by nobody yet."""
    made = opened(home, accounts_server.url)
    yield made
    made.gateway.close()


def person(accounts: AccountsServer, name: str) -> Credential:
    """An account of this name, made where there is none."""
    if name not in accounts.passwords:
        accounts.add(name)
    return Credential(name, accounts.passwords[name])


def test_without_a_person_nothing_is_sent(
    server: Mlflow, accounts_server: AccountsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in (server.tracking.experiments, server.registry.models, server.whoami):
        with pytest.raises(NotAllowed):
            call()
    ann = server.as_person(person(accounts_server, "ann"))
    assert ann.whoami().name == "ann"
    # Somebody else's call in this context lends nothing to one that is nobody's.
    with credentials.bound(person(accounts_server, "ann")), pytest.raises(NotAllowed):
        server.tracking.experiments()
    # A credential of the process would win over the person's: then nobody is asked.
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", accounts_server.passwords["admin"])
    with pytest.raises(NotAllowed, match="MLFLOW_TRACKING_USERNAME"):
        ann.whoami()


def test_the_environments_credential_would_win_without_the_guard(
    server: Mlflow, accounts_server: AccountsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = server.as_person(person(accounts_server, "ann"))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", accounts_server.passwords["admin"])
    monkeypatch.setattr(credentials, "refuse_others", lambda: None)
    assert ann.whoami().name == "admin"


def test_a_file_of_the_user_that_runs_modeldeck_is_refused(
    server: Mlflow,
    accounts_server: AccountsServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ann = server.as_person(person(accounts_server, "ann"))
    assert ann.whoami().name == "ann"
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text("[mlflow]\n")
    with pytest.raises(NotAllowed, match="credentials"):
        ann.whoami()


@pytest.fixture
def netrc(accounts_server: AccountsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of the user that runs Modeldeck, which names the administrator for the server."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    password = accounts_server.passwords["admin"]
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login admin password {password}\n")
    (tmp_path / ".netrc").chmod(0o600)


@pytest.mark.usefixtures("netrc")
def test_a_netrc_file_signs_nobody_in_and_gives_nobody_anothers_rights(
    server: Mlflow, accounts_server: AccountsServer
) -> None:
    for wrong in (Credential("admin", "not-the-password"), Credential("nobody", "guessed")):
        with pytest.raises(SignedOut):
            server.as_person(wrong).whoami()
    ann = server.as_person(person(accounts_server, "ann"))
    assert ann.whoami().name == "ann"
    made = accounts_server.ask("POST", "2.0/mlflow/experiments/create", {"name": "not ann's"})
    accounts_server.grant("ann", "experiment", made["experiment_id"], "DENY")
    with pytest.raises(NotAllowed):
        ann.tracking.experiment(made["experiment_id"])


@pytest.mark.usefixtures("netrc")
def test_the_netrc_file_would_win_without_the_guard(
    server: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "refuse_others", lambda: None)
    assert server.as_person(Credential("nobody", "guessed")).whoami().name == "admin"


class Sticky(FaultProxy):
    """Something before the server that gives a cookie to whoever asks, and looks for it."""

    cookies = 0

    def _forward(
        self, client: socket, request: bytes, reply: Callable[[bytes], None] | None
    ) -> None:
        self.cookies += b"\r\ncookie:" in request.lower()
        assert reply is not None
        given = b"\r\nSet-Cookie: who=ann; Path=/\r\n"
        super()._forward(client, request, lambda d: reply(d.replace(b"\r\n", given, 1)))


def test_a_cookie_that_came_for_one_person_goes_with_nobodys_call(
    accounts_server: AccountsServer, home: Path
) -> None:
    with Sticky(accounts_server.url) as proxy:
        mlflow = opened(home, proxy.url)
        for name in ("ann", "bob", "ann"):
            assert mlflow.as_person(person(accounts_server, name)).whoami().name == name
        assert len(proxy.requests) == 3
        assert proxy.cookies == 0
        # The control: any other session would bring it along.
        with Session() as session:
            for _ in range(2):
                session.get(f"{proxy.url}/health", timeout=30)
        assert proxy.cookies == 1
        mlflow.gateway.close()


def test_a_wrong_password_and_a_lost_account_are_told_from_a_missing_right(
    server: Mlflow, accounts_server: AccountsServer
) -> None:
    with pytest.raises(SignedOut):
        server.as_person(Credential("admin", "not-the-password")).whoami()
    leaver = server.as_person(person(accounts_server, "leaver"))
    assert not leaver.whoami().administrator
    accounts_server.ask("POST", "2.0/mlflow/registered-models/create", {"name": "closed"})
    accounts_server.grant("leaver", "registered_model", "closed", "DENY")
    with pytest.raises(NotAllowed) as refused:
        leaver.registry.model("closed")
    assert not isinstance(refused.value, SignedOut)
    # Neither is a failure of the server: others are not kept waiting by the breaker.
    assert not leaver.gateway.is_away
    accounts_server.remove("leaver")
    with pytest.raises(SignedOut, match="leaver"):
        leaver.tracking.experiments()
    assert not leaver.gateway.is_away


def test_modeldecks_own_account_is_nobody_who_could_sign_in(server: Mlflow) -> None:
    """Its wrong password must not end the session of whoever looks at a page."""
    with pytest.raises(NotAllowed) as refused:
        server.as_person(Credential("admin", "not-the-password", signed_in=False)).whoami()
    assert not isinstance(refused.value, SignedOut)


def test_a_server_that_refuses_the_person_answers_all_the_same(
    server: Mlflow, accounts_server: AccountsServer
) -> None:
    """What asks in the background whether the server is back must not take 401 for silence."""
    nobody = server.as_person(Credential("nobody", "whatever-it-is"))
    until(lambda: nobody.gateway.answers(0.0), 30, "an answer")


def test_files_are_downloaded_as_the_person_in_all_threads(
    server: Mlflow, accounts_server: AccountsServer, tmp_path: Path
) -> None:
    made = accounts_server.ask("POST", "2.0/mlflow/experiments/create", {"name": "files"})
    run = accounts_server.ask(
        "POST", "2.0/mlflow/runs/create", {"experiment_id": made["experiment_id"], "start_time": 1}
    )["run"]["info"]
    folder = accounts_server.artifacts / made["experiment_id"] / run["run_id"] / "artifacts"
    folder.mkdir(parents=True)
    for number in range(8):
        (folder / f"{number}.txt").write_text("x" * 1000)
    ann = server.as_person(person(accounts_server, "ann"))
    ann.artifacts.download(run["artifact_uri"], tmp_path / "there")
    assert len(list((tmp_path / "there").iterdir())) == 8
    accounts_server.grant("ann", "experiment", made["experiment_id"], "DENY")
    with pytest.raises(NotAllowed):
        ann.artifacts.list(run["artifact_uri"])


def test_threads_that_share_one_client_do_not_share_a_person(
    server: Mlflow, accounts_server: AccountsServer
) -> None:
    names = ["ann", "bob", "eve"]
    people = [server.as_person(person(accounts_server, name)) for name in names]
    together = threading.Barrier(len(people), timeout=60)

    def ask(mlflow: Mlflow) -> list[str]:
        together.wait()
        return [mlflow.whoami().name for _ in range(8)]

    with ThreadPoolExecutor(len(people)) as pool:
        assert list(pool.map(ask, people)) == [[name] * 8 for name in names]


def test_interleaved_reads_carry_each_their_own_identity(accounts_server: AccountsServer) -> None:
    found = identity.interleave(accounts_server, 100)
    assert found.reads == 100
    assert not found.wrong


def test_the_same_reads_are_mixed_up_where_the_binding_is_taken_out(
    accounts_server: AccountsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with one credential for the process, as MLflow has it, reads are others'."""
    monkeypatch.setattr(credentials, "_present", identity.Shared())
    found = identity.interleave(accounts_server, 60)
    assert found.wrong
