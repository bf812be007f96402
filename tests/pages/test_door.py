"""Where people have accounts, a visit without a session runs no page, whatever comes before."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import SignedOut
from core.mlflow_api import Mlflow
from core.mlflow_api.credentials import Credential
from core.mlflow_api.whoami import Who
from core.people.sessions import End, Sessions, key_of
from core.processes import ROOT
from core.settings import load
from core.texts import t
from core.ui import door, visit

PATIENCE = 60


@pytest.fixture(autouse=True)
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_caches: None) -> None:
    """Identity mlflow, before a server that nobody reaches: nothing here needs it."""
    file = tmp_path / "password"
    file.write_text("secret-of-the-desk")
    file.chmod(0o600)
    for name, value in {
        "MODELDECK_IDENTITY": "mlflow",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "MODELDECK_SERVICE_USER": "desk",
        "MODELDECK_SERVICE_PASSWORD_FILE": str(file),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(visit, "_sessions", [])
    # Behind AppTest there is no browser whose cookies could be asked for.
    monkeypatch.setattr(visit, "_cookies_key", lambda _: "")


def visited() -> AppTest:
    return AppTest.from_file(ROOT / "core" / "ui" / "shell.py", default_timeout=PATIENCE).run()


def test_without_a_session_no_page_is_run() -> None:
    app = visited()
    assert [box.value for box in app.info] == [t("signin.ended.unknown")]
    assert not app.title
    assert not app.header
    assert not app.exception


def test_were_the_door_left_open_nothing_would_be_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The control, and the second lock: what a page asks is asked by somebody, or not at all."""
    monkeypatch.setattr(door, "open_for", lambda _: True)
    app = visited()
    assert not app.info
    assert not app.title
    assert t("signin.ended.unknown") in caplog.text


@pytest.mark.parametrize(("by_itself", "seen"), [(True, 10.0), (False, 1010.0)])
def test_what_a_page_draws_anew_by_itself_is_no_visit(
    monkeypatch: pytest.MonkeyPatch, by_itself: bool, seen: float
) -> None:
    now = [0.0]
    known = Sessions(3600, lambda: now[0])
    monkeypatch.setattr(visit, "_sessions", [known])
    key = key_of(known.begin("ada", Credential("ada", "password"), administrator=False))
    monkeypatch.setattr(visit, "_cookies_key", lambda _: key)

    def page() -> None:
        import streamlit as st

        from core.ui import door, parts
        from core.ui.deck import own_deck

        door.open_for(own_deck())
        what_is_new = st.session_state["what_is_new"]
        if what_is_new:
            what_is_new.pop()()
            parts.again() if st.session_state["by_itself"] else st.rerun()

    app = AppTest.from_function(page, default_timeout=PATIENCE)
    now[0] = 10.0
    app.session_state["by_itself"] = by_itself
    app.session_state["what_is_new"] = [lambda: now.__setitem__(0, 1010.0)]
    app.run()
    assert not app.exception
    session = known.find(key)
    assert session is not None
    assert session.seen == seen
    now[0] = 1020.0
    app.run()
    session = known.find(key)
    assert session is not None
    assert session.seen == 1020.0, "the next click counts again"


def test_a_file_is_made_for_whoever_asked_with_the_rights_of_then_and_not_once_they_have_gone(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    """Streamlit makes a download on a thread of its own, after the page was drawn."""
    known = visit.sessions(load())
    key = key_of(known.begin("ada", Credential("ada", "password"), administrator=False))
    monkeypatch.setattr(visit, "_cookies_key", lambda _: key)
    monkeypatch.setattr(Mlflow, "whoami", lambda _: Who("ada", administrator=True))

    def page() -> None:
        import streamlit as st

        from core.ui.deck import deck, later

        st.session_state["made"] = later(lambda: deck().actor.name)
        st.session_state["rights"] = later(lambda: (deck().actor, deck().rules.digest))
        st.session_state["control"] = lambda: deck().actor.name

    app = AppTest.from_function(page, default_timeout=PATIENCE).run()
    assert not app.exception
    with ThreadPoolExecutor(1) as streamlits:
        assert streamlits.submit(app.session_state["made"]).result() == "ada"
        with pytest.raises(SignedOut):
            streamlits.submit(app.session_state["control"]).result()
        # By then MLflow says that she administers it, and there is a file with rules.
        (home / "desk.yaml").write_text("groups: {seers: [ada]}\n")
        actor, digest = streamlits.submit(app.session_state["rights"]).result()
        assert actor.administrator
        assert actor.groups == {"seers"}
        assert digest
        with monkeypatch.context() as gone:
            gone.setattr(Mlflow, "whoami", lambda _: raise_(SignedOut("The account is gone.")))
            with pytest.raises(SignedOut):
                streamlits.submit(app.session_state["made"]).result()
        assert known.end_of(key) is End.ACCOUNT
        with pytest.raises(SignedOut):
            streamlits.submit(app.session_state["made"]).result()


def raise_(error: Exception) -> NoReturn:
    """Raise, as an expression."""
    raise error
