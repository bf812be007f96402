"""Who is at this browser tab: its session, from the cookie that the sign-in page gave.

A tab belongs to the session that it began with. Should its browser's cookie, or the session, be
another one by now, then nobody is here: nothing typed as one person is ever done as another.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.errors import DeckError, SignedOut
from core.lifecycle.deck import Deck
from core.lifecycle.visit import current, deck_of
from core.mlflow_api import Mlflow
from core.mlflow_api.pool import ContextPool
from core.people import Actor
from core.people.sessions import End, Session, Sessions, key_of
from core.settings import Settings
from core.texts import t
from core.ui import provider
from core.ui.parts import by_itself

T = TypeVar("T")

CHECK_SECONDS = 30.0
"""How old the knowledge may be that an account is there, while somebody reads."""
_KEY = "_session"

_sessions: list[Sessions] = []
_checks = ContextPool(4, "accounts")
_here: ContextVar[Deck | None] = ContextVar("deck", default=None)


def sessions(settings: Settings) -> Sessions:
    """The sessions of this page server."""
    if not _sessions:
        _sessions.append(Sessions(settings.session_idle_minutes * 60))
    return _sessions[0]


def cookie_of(settings: Settings) -> str:
    """The cookie's name. A browser sends one host's cookies to all its ports: the port tells two
    Modeldecks on one machine apart."""
    return f"modeldeck_session_{settings.port}"


def arrive(settings: Settings) -> Session | None:
    """The session of this tab, at the beginning of a run; None where nobody is signed in. It
    counts as a visit, unless the page asked for the run by itself."""
    key, known = _tabs_key(settings), sessions(settings)
    return known.find(key) if by_itself() else known.visit(key)


def leave(settings: Settings) -> None:
    """Sign out whoever is here."""
    sessions(settings).end(str(st.session_state.get(_KEY, "")), End.SIGNED_OUT)


def look_again(own: Deck) -> None:
    """Somebody was told that they are signed out: where their account is gone, so is the session,
    and not only what was asked."""
    known, key = sessions(own.settings), str(st.session_state.get(_KEY, ""))
    session = known.find(key)
    if session is not None:
        _look_quietly(known, key, own.mlflow.as_person(session.credential))


def why_not(settings: Settings) -> End:
    """Why nobody is signed in here who was before."""
    key = str(st.session_state.get(_KEY, ""))
    if key and key != _cookies_key(settings):
        return End.REPLACED
    return sessions(settings).end_of(key)


def present(base: Deck) -> Deck:
    """The deck of whoever is here: of this tab, or, in a thread that a page began, of whoever
    began it.

    Raises:
        SignedOut: nobody is.
    """
    if get_script_run_ctx(suppress_warning=True) is None:
        begun = _here.get()
        if begun is None:
            raise _signed_out(End.UNKNOWN)
        return begun
    deck = provider.deck(base) if base.settings.identity == "oidc" else _deck(base)
    _here.set(deck)
    return deck


def bound(here: Deck, call: Callable[[], T]) -> Callable[[], T]:
    """``call`` for a thread that Streamlit begins, in which nobody is: done for the person of
    ``here``, as long as they are signed in and their account is there, with the rights that they
    have by then.

    Raises:
        SignedOut: by ``call``, where they are not any more.
    """
    own = replace(here, mlflow=here.service, account=None)
    claims = provider.claims() if here.settings.identity == "oidc" else {}

    def made() -> T:
        match here.settings.identity:
            case "local":
                now = here
            case "oidc":
                now = provider.deck_of_claims(current(own), claims)
            case _:
                known = sessions(here.settings)
                _look(known, here.visit, here.mlflow)
                now = _deck_of(current(own), _found(known, here.visit))
        token = _here.set(now)
        try:
            return call()
        finally:
            _here.reset(token)

    return made


def _deck(base: Deck) -> Deck:
    known, key = sessions(base.settings), _tabs_key(base.settings)
    session = known.find(key) if key else None
    if session is None:
        raise _signed_out(why_not(base.settings))
    made = _deck_of(base, session)
    if known.due(session.key, CHECK_SECONDS):
        _checks.submit(_look_quietly, known, session.key, made.mlflow)
    return made


def _deck_of(base: Deck, session: Session) -> Deck:
    known, mlflow = sessions(base.settings), base.mlflow.as_person(session.credential)
    actor = Actor(
        session.name,
        "mlflow",
        groups=base.rules.groups_of(session.name),
        administrator=session.administrator,
    )
    return deck_of(base, mlflow, actor, session.key, lambda: _look(known, session.key, mlflow))


def _look(known: Sessions, key: str, mlflow: Mlflow) -> None:
    """Ask MLflow whether the account is there still, with the password of the session.

    Raises:
        SignedOut: it is not, and the session is over.
        DeckError: it cannot be found out.
    """
    _found(known, key)
    try:
        who = mlflow.whoami()
    except SignedOut:
        known.end(key, End.ACCOUNT)
        raise
    if known.confirm(key, administrator=who.administrator) is None:
        raise _signed_out(known.end_of(key))


def _found(known: Sessions, key: str) -> Session:
    session = known.find(key)
    if session is None:
        raise _signed_out(known.end_of(key))
    return session


def _look_quietly(known: Sessions, key: str, mlflow: Mlflow) -> None:
    try:
        _look(known, key, mlflow)
    except DeckError:
        return  # the session is over, or MLflow is away: the next thing that is asked says so


def _tabs_key(settings: Settings) -> str:
    """The session that this tab began with, as long as its browser's cookie names the same."""
    key = _cookies_key(settings)
    if not key or st.session_state.setdefault(_KEY, key) != key:
        return ""
    return key


def _cookies_key(settings: Settings) -> str:
    return key_of(st.context.cookies.get(cookie_of(settings), ""))


def _signed_out(why: End) -> SignedOut:
    return SignedOut(t(f"signin.ended.{why}"), t("signin.ended.next"))
