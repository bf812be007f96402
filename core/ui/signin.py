"""The sign-in page of identity ``mlflow``: plain HTTP, before any of Streamlit's pages is shown."""

import base64
import hmac
import secrets
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from core import formats
from core.errors import DeckError, NotAllowed
from core.mlflow_api import Mlflow
from core.mlflow_api.credentials import Credential
from core.mlflow_api.whoami import Who
from core.people.attempts import Attempts
from core.people.sessions import End, Session, key_of
from core.settings import Settings
from core.texts import t
from core.ui.visit import cookie_of, sessions

SIGN_IN, SIGN_OUT = "/signin", "/signout"
TRIES_OF_A_NAME, TRIES_OF_AN_ADDRESS = 5, 30
"""Failures within ``TRY_SECONDS`` after which that account, or that address, has to wait."""
TRY_SECONDS = 300.0
MOST_BYTES = 16_384
_MOST_FIELD = 1000
_HERE = Path(__file__).parent
_NOT_PAGES = ("/_stcore", "/static", "/media", "/component", SIGN_IN, SIGN_OUT)
_GUARDED = ("/media/", "/_stcore/upload_file")


class SignIn:
    """The routes, and what they remember: a key for the forms, and failed tries.

    Args:
        settings: of this page server.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = secrets.token_bytes(32)
        self._page = Template((_HERE / "signin.html").read_text("utf-8"))
        self._names = Attempts(TRIES_OF_A_NAME, TRY_SECONDS)
        self._addresses = Attempts(TRIES_OF_AN_ADDRESS, TRY_SECONDS)
        self._form_cookie = f"modeldeck_form_{settings.port}"

    @property
    def routes(self) -> list[BaseRoute]:
        """For the application."""
        return [
            Route(SIGN_IN, self.show, methods=["GET"]),
            Route(SIGN_IN, self.sign_in, methods=["POST"]),
            Route(SIGN_OUT, self.sign_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form; or who is signed in here already."""
        there = _next(request)
        session = session_of(request, self._settings)
        if session is None:
            return self._form(request, there)
        return self._signed_in(request, session, there)

    async def sign_in(self, request: Request) -> Response:
        """Check name and password with MLflow; give a cookie, and go on."""
        fields = await _fields(request)
        if fields is None:
            return PlainTextResponse(t("signin.too_large"), 413)
        there, name = local(fields.get("next", "")), fields.get("name", "").strip()
        form = request.cookies.get(self._form_cookie, "")
        if not self._is_ours(request, form, fields.get("token", "")):
            return self._form(request, there, name, t("signin.stale"), 403)
        # Not here, but where the server is asked: an event loop does not wait.
        found = await run_in_threadpool(
            self._check, name, fields.get("password", ""), _address(request)
        )
        if isinstance(found, str):
            return self._form(request, there, name, found, 401)
        known = sessions(self._settings)
        # Whoever was signed in here before is not any more: their tabs say so.
        known.end(key_of(request.cookies.get(cookie_of(self._settings), "")), End.REPLACED)
        account, credential = found
        response = RedirectResponse(there, 303)
        self._set(
            response,
            request,
            cookie_of(self._settings),
            known.begin(account.name, credential, administrator=account.administrator),
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        fields = await _fields(request)
        if fields is None:
            return PlainTextResponse(t("signin.too_large"), 413)
        name = cookie_of(self._settings)
        mine = request.cookies.get(name, "")
        if not self._is_ours(request, mine, fields.get("token", "")):
            return RedirectResponse(SIGN_IN, 303)
        sessions(self._settings).end(key_of(mine), End.SIGNED_OUT)
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(name)
        return response

    def _check(self, name: str, password: str, address: str) -> tuple[Who, Credential] | str:
        """Ask MLflow; a sentence where this is nobody it knows, or cannot be found out."""
        if not name or not password or ":" in name:
            return t("signin.wrong")
        tries = ((self._names, name.casefold()), (self._addresses, address))
        counted: list[tuple[Attempts, str]] = []
        for attempts, key in tries:
            wait = attempts.begin(key)
            if wait:
                _take_back(counted)
                return t("signin.wait", wait=formats.duration(wait))
            counted.append((attempts, key))
        credential = Credential(name, password)
        try:
            account = _server().as_person(credential).whoami()
        except NotAllowed:
            return t("signin.wrong")
        except DeckError as error:
            _take_back(counted)
            return t("signin.away", why=error.title)
        # Whatever else gave a credential on the way, it vouches for nobody who is typed here.
        if account.name.casefold() != name.casefold():
            return t("signin.wrong")
        self._names.forget(name.casefold())
        self._addresses.take_back(address)
        return account, credential

    # ------------------------------------------------------------------------------ forms

    def _token(self, of: str) -> str:
        return hmac.digest(self._key, of.encode(), "sha256").hex()

    def _is_ours(self, request: Request, cookie: str, token: str) -> bool:
        """Whether a form was made by this server for this browser, and sent from its own page."""
        origin = request.headers.get("origin")
        if origin and urlsplit(origin).netloc != request.headers.get("host"):
            return False
        return bool(cookie) and hmac.compare_digest(self._token(cookie).encode(), token.encode())

    def _form(
        self, request: Request, there: str, name: str = "", trouble: str = "", status: int = 200
    ) -> Response:
        form = request.cookies.get(self._form_cookie, "") or secrets.token_urlsafe(16)
        said = f'<p class="bad" role="alert">{escape(trouble)}</p>' if trouble else ""
        focus = ("", " autofocus") if name else (" autofocus", "")
        body = f"""<p>{escape(t("signin.lead", address=_server().address))}</p>{said}
<form method="post" action="{SIGN_IN}">
<label>{escape(t("signin.name"))}<input name="name" value="{escape(name)}" required
 maxlength="{_MOST_FIELD}" autocomplete="username" autocapitalize="none"{focus[0]}></label>
<label>{escape(t("signin.password"))}<input name="password" type="password" required
 maxlength="{_MOST_FIELD}" autocomplete="current-password"{focus[1]}></label>
<input type="hidden" name="token" value="{self._token(form)}">
<input type="hidden" name="next" value="{escape(there)}">
<button>{escape(t("signin.button"))}</button>
</form>"""
        response = self._html(t("signin.title"), body, status)
        self._set(response, request, self._form_cookie, form)
        return response

    def _signed_in(self, request: Request, session: Session, there: str) -> Response:
        token = self._token(request.cookies[cookie_of(self._settings)])
        body = f"""<p>{escape(t("signin.here", name=session.name))}</p>
<a class="button" href="{escape(there)}">{escape(t("signin.go_on"))}</a>
<form method="post" action="{SIGN_OUT}">
<input type="hidden" name="token" value="{token}">
<button class="plain">{escape(t("signin.sign_out"))}</button>
</form>"""
        return self._html(t("signin.title"), body, 200)

    def _html(self, title: str, body: str, status: int) -> HTMLResponse:
        nonce = secrets.token_urlsafe(12)
        page = self._page.substitute(
            title=escape(title),
            body=body,
            nonce=nonce,
            logo=(_HERE / "logo.svg").read_text("utf-8"),
            icon=base64.b64encode((_HERE / "icon.svg").read_bytes()).decode(),
        )
        rules = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {
            "Content-Security-Policy": rules,
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(page, status, headers)

    def _set(self, response: Response, request: Request, name: str, value: str) -> None:
        secure = request.url.scheme == "https" or self._settings.public_url.startswith("https:")
        response.set_cookie(name, value, httponly=True, samesite="lax", secure=secure)


class OnlySignedIn:
    """Sends whoever asks for a page and is not signed in to the sign-in page, and from there on to
    what was asked for; files that pages made, and uploads, are refused."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] == "http":
            request = Request(scope)
            path = request.url.path
            is_page = "text/html" in request.headers.get("accept", "") and request.method == "GET"
            wants = is_page and not path.startswith(_NOT_PAGES)
            if (wants or path.startswith(_GUARDED)) and not session_of(request, self._settings):
                there = f"{path}?{request.url.query}" if request.url.query else path
                answer: Response = PlainTextResponse(t("signin.ended.unknown"), 403)
                if wants:
                    answer = RedirectResponse(f"{SIGN_IN}?next={quote(there, safe='')}", 303)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def session_of(request: Request, settings: Settings) -> Session | None:
    """The session that a request's cookie names."""
    return sessions(settings).find(key_of(request.cookies.get(cookie_of(settings), "")))


def local(address: str) -> str:
    """``address`` where it is a path of this application with its query, else its first page."""
    # A browser takes // and /\\ for another host, and drops tabs and newlines before it looks.
    if not address.startswith("/") or not address.isprintable() or "\\" in address:
        return "/"
    if address.startswith(("//", SIGN_IN, SIGN_OUT)):
        return "/"
    return quote(address, safe="/?&=%+:;,@!$'()*~.-_[]")


def _next(request: Request) -> str:
    """Where to go after signing in: as the address says, or back to the page one came from."""
    if "next" in request.query_params:
        return local(request.query_params["next"])
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    if came.netloc != request.headers.get("host"):
        return "/"
    return local(f"{came.path}?{came.query}" if came.query else came.path)


async def _fields(request: Request) -> dict[str, str] | None:
    """The fields of a form; None where it is larger than a sign-in can be."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return None
    try:
        found = parse_qs(bytes(body).decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0][:_MOST_FIELD] for name, values in found.items()}


def _take_back(counted: list[tuple[Attempts, str]]) -> None:
    for attempts, key in counted:
        attempts.take_back(key)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _server() -> Mlflow:
    from core.ui.deck import own_deck  # at need: see core.ui.application

    return own_deck().mlflow
