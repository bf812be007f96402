"""The sign-in page's routes, as a browser or somebody hostile asks them, before a real MLflow."""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import streamlit as st
from httpx import ASGITransport, AsyncClient, Cookies, Response
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.mlflow_api import credentials
from core.people.sessions import key_of
from core.settings import Settings, load
from core.ui import deck, signin, visit
from core.ui.signin import OnlySignedIn, SignIn, local
from tests.servers import AccountsServer

PASSWORD = "a-good-password-1"


class Browser:
    """Asks an application as a browser does that follows no redirect, with its cookies."""

    def __init__(self, app: Starlette, address: str = "10.0.0.1") -> None:
        self._app = app
        self._address = address
        self.base = "http://desk.example"
        self.cookies = Cookies()

    def get(self, path: str, **more: Any) -> Response:
        return asyncio.run(self._ask("GET", path, more))

    def post(self, path: str, **more: Any) -> Response:
        return asyncio.run(self._ask("POST", path, more))

    async def _ask(self, method: str, path: str, more: dict[str, Any]) -> Response:
        async with AsyncClient(
            transport=ASGITransport(self._app, client=(self._address, 1)),
            base_url=self.base,
            cookies=self.cookies,
            headers={"accept": "text/html"},
        ) as client:
            reply = await client.request(method, path, **more)
            self.cookies = client.cookies
            return reply


@pytest.fixture
def settings(
    accounts_server: AccountsServer,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    if "ann" not in accounts_server.passwords:
        accounts_server.add("ann")
    for name in ("rita", "sam"):
        if name not in accounts_server.passwords:
            accounts_server.add(name, PASSWORD)
    file = tmp_path / "password"
    file.write_text(accounts_server.passwords["admin"])
    file.chmod(0o600)
    for name, value in {
        "MODELDECK_IDENTITY": "mlflow",
        "MLFLOW_TRACKING_URI": accounts_server.url,
        "MODELDECK_SERVICE_USER": "admin",
        "MODELDECK_SERVICE_PASSWORD_FILE": str(file),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(visit, "_sessions", [])
    yield load()
    deck.own_deck().mlflow.gateway.close()
    st.cache_resource.clear()


@pytest.fixture
def client(settings: Settings) -> Browser:
    """A browser that follows no redirect, before the routes and one page."""

    async def page(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("the page")

    app = Starlette(
        routes=[*SignIn(settings).routes, Route("/{path:path}", page, methods=["GET", "POST"])],
        middleware=[Middleware(OnlySignedIn, settings=settings)],
    )
    return Browser(app)


def token(reply: Response) -> str:
    found = re.search(r'name="token" value="(\w+)"', reply.text)
    assert found, reply.text
    return found[1]


def taken(client: Browser, name: str) -> str:
    """A cookie's value, which the browser has no more."""
    value = client.cookies[name]
    client.cookies.delete(name)
    return value


def submit(client: Browser, name: str, password: str, next_: str = "/", **more: str) -> Response:
    """Open the form, fill it and send it."""
    fields = {"token": token(client.get("/signin"))}
    fields |= {"name": name, "password": password, "next": next_} | more
    return client.post("/signin", data=fields)


# ------------------------------------------------------------------------------ in and out


def test_a_cold_visit_goes_over_the_sign_in_page_to_where_it_went(
    client: Browser, settings: Settings
) -> None:
    asked = client.get("/model?model=a%20b%2Fc&version=7")
    assert asked.status_code == 303
    there = parse_qs(urlsplit(asked.headers["location"]).query)["next"][0]
    form = client.get(asked.headers["location"])
    assert 'name="next" value="/model?model=a%20b%2Fc&amp;version=7"' in form.text
    reply = submit(client, "rita", PASSWORD, there)
    assert (reply.status_code, reply.headers["location"]) == (
        303,
        "/model?model=a%20b%2Fc&version=7",
    )
    assert client.get(reply.headers["location"]).text == "the page"
    cookie = next(c for c in reply.headers.get_list("set-cookie") if "modeldeck_session" in c)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie, "it is plain HTTP"
    session = visit.sessions(settings).find(key_of(client.cookies[visit.cookie_of(settings)]))
    assert session is not None
    assert (session.name, session.administrator) == ("rita", False)


def test_over_https_the_cookie_is_for_https_alone(client: Browser) -> None:
    client.base = "https://desk.example"
    reply = submit(client, "rita", PASSWORD)
    cookies = reply.headers.get_list("set-cookie")
    assert [c for c in cookies if "modeldeck_session" in c and "Secure" in c]


def test_without_a_session_no_file_and_no_upload(client: Browser) -> None:
    for path in ("/media/abc.csv", "/_stcore/upload_file/x/y"):
        assert client.get(path).status_code == 403
        assert client.post(path).status_code == 403
    assert client.get("/_stcore/health").text == "the page"
    assert client.get("/static/x.js").text == "the page"
    submit(client, "rita", PASSWORD)
    assert client.get("/media/abc.csv").text == "the page"


def test_signing_out_ends_the_session_of_this_browser(client: Browser, settings: Settings) -> None:
    submit(client, "rita", PASSWORD)
    kept = client.cookies[visit.cookie_of(settings)]
    here = client.get("/signin")
    assert "rita" in here.text
    assert client.post("/signout", data={"token": "0" * 64}).headers["location"] == "/signin"
    assert len(visit.sessions(settings)) == 1, "a forged form signs nobody out"
    client.post("/signout", data={"token": token(here)})
    assert len(visit.sessions(settings)) == 0
    client.cookies.set(visit.cookie_of(settings), kept, "desk.example")
    assert client.get("/").status_code == 303, "the old cookie opens nothing"


def test_signing_in_anew_ends_the_session_before(client: Browser, settings: Settings) -> None:
    submit(client, "rita", PASSWORD)
    before = key_of(client.cookies[visit.cookie_of(settings)])
    # The page of somebody who is signed in has no form: this is a tab that was opened before.
    kept = taken(client, visit.cookie_of(settings))
    fields = {"token": token(client.get("/signin")), "name": "sam", "password": PASSWORD}
    client.cookies.set(visit.cookie_of(settings), kept, "desk.example")
    client.post("/signin", data=fields)
    assert visit.sessions(settings).find(before) is None
    assert visit.sessions(settings).end_of(before) == "replaced"


# ------------------------------------------------------------------------------ refused


def test_a_wrong_password_says_so_and_keeps_the_name(
    client: Browser, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reply = submit(client, "rita<b>", "not-her-password")
    assert reply.status_code == 401
    assert "does not know this name" in reply.text
    assert 'value="rita&lt;b&gt;"' in reply.text
    assert "not-her-password" not in reply.text
    assert "not-her-password" not in caplog.text
    assert len(visit.sessions(settings)) == 0
    for odd in ("", "a:b", "\N{SNOWMAN}", "x" * 900):
        assert submit(client, odd, PASSWORD).status_code == 401
    assert submit(client, "rita", "").status_code == 401


@pytest.mark.parametrize("guarded", [True, False])
def test_a_netrc_file_of_the_server_signs_nobody_in(
    client: Browser,
    settings: Settings,
    accounts_server: AccountsServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    guarded: bool,
) -> None:
    """Should anything on the way give another credential: one is still whom one typed."""
    password = accounts_server.passwords["admin"]
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login admin password {password}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    if not guarded:
        monkeypatch.setattr(credentials, "refuse_others", lambda: None)
    assert submit(client, "rita", "not-her-password").status_code == 401
    assert submit(client, "admin", "guessed").status_code == (401 if guarded else 303)
    assert len(visit.sessions(settings)) == (0 if guarded else 1)


def test_a_form_of_somebody_elses_is_refused(client: Browser, settings: Settings) -> None:
    fields = {"name": "rita", "password": PASSWORD}
    assert client.post("/signin", data=fields).status_code == 403, "no token, no cookie"
    made = token(client.get("/signin"))
    client.cookies.clear()
    assert client.post("/signin", data=fields | {"token": made}).status_code == 403, "no cookie"
    client.get("/signin")
    assert client.post("/signin", data=fields | {"token": made}).status_code == 403, "another's"
    good = token(client.get("/signin"))
    elsewhere = {"origin": "http://elsewhere.example"}
    reply = client.post("/signin", data=fields | {"token": good}, headers=elsewhere)
    assert reply.status_code == 403
    assert len(visit.sessions(settings)) == 0
    same = {"origin": client.base}
    assert client.post("/signin", data=fields | {"token": good}, headers=same).status_code == 303


def test_without_the_check_a_forged_form_would_sign_in(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SignIn, "_is_ours", lambda *_: True)
    assert client.post("/signin", data={"name": "rita", "password": PASSWORD}).status_code == 303


def test_too_many_tries_for_one_name(client: Browser, settings: Settings) -> None:
    submit(client, "sam", PASSWORD)
    open_before = key_of(taken(client, visit.cookie_of(settings)))
    for _ in range(signin.TRIES_OF_A_NAME):
        assert "does not know" in submit(client, "sam", "guessed").text
    reply = submit(client, "SAM", PASSWORD)
    assert reply.status_code == 401
    assert re.search(r"Wait \d+", reply.text), "it says how long"
    # Whoever is signed in already is not concerned; nor is anybody else.
    assert visit.sessions(settings).visit(open_before) is not None
    assert submit(client, "rita", PASSWORD).status_code == 303


def test_too_many_tries_from_one_address(client: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "TRIES_OF_AN_ADDRESS", 3)
    app = Starlette(routes=SignIn(load()).routes)
    one, other = Browser(app), Browser(app, "10.0.0.9")
    for number in range(3):
        assert "does not know" in submit(one, f"nobody-{number}", "guessed").text
    assert "Too many tries" in submit(one, "rita", PASSWORD).text
    assert submit(other, "rita", PASSWORD).status_code == 303


def test_a_server_that_is_away_is_no_wrong_password(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    st.cache_resource.clear()
    for _ in range(signin.TRIES_OF_A_NAME + 2):
        reply = submit(client, "rita", PASSWORD)
        assert "cannot be asked" in reply.text, "and it is not counted as a try"


def test_a_body_that_is_too_large(client: Browser) -> None:
    made = token(client.get("/signin"))
    fields = {"token": made, "name": "x", "password": "y" * signin.MOST_BYTES}
    assert client.post("/signin", data=fields).status_code == 413
    assert client.post("/signout", data=fields).status_code == 413
    assert client.post("/signin", content=b"\xff\xfe&" * 20).status_code == 403


def test_the_page_lets_nothing_in(client: Browser) -> None:
    reply = client.get("/signin?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script" not in reply.text
    rules = reply.headers["content-security-policy"]
    assert "default-src 'none'" in rules
    assert "frame-ancestors 'none'" in rules
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("/model?model=x&version=7", "/model?model=x&version=7"),
        ("/a%20b", "/a%20b"),
        ("", "/"),
        ("model", "/"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("http:evil.example", "/"),
        ("/signin?next=/signin", "/"),
        ("/signout", "/"),
        ('/x"><script>', "/x%22%3E%3Cscript%3E"),
    ],
)
def test_one_is_sent_on_to_a_page_of_ours_alone(address: str, there: str) -> None:
    assert local(address) == there


def test_where_one_came_from_is_where_one_goes(client: Browser) -> None:
    came = {"referer": f"{client.base}/compare?runs=a,b"}
    assert 'name="next" value="/compare?runs=a,b"' in client.get("/signin", headers=came).text
    other = {"referer": "http://elsewhere.example/compare"}
    assert 'name="next" value="/"' in client.get("/signin", headers=other).text
