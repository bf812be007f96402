"""The parts that a page works with, made once a process, and reads that are remembered a while."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.visit import current
from core.runs.mirror import Mirror, open_mirror
from core.settings import load
from core.ui import visit

T = TypeVar("T")

REMEMBERED = 5.0
"""Seconds that an answer of MLflow is shown again before it is asked for anew."""


@st.cache_resource(show_spinner=False)
def own_deck() -> Deck:
    """The parts that Modeldeck itself works with, with its service account where it has one."""
    return open_deck(load())


def deck() -> Deck:
    """Settings, MLflow, the ledger, the rules and who is here: MLflow is asked as that person.

    Raises:
        SignedOut: people have accounts, and nobody is signed in here.
    """
    own = own_deck()
    base = current(own)
    return base if own.settings.identity == "local" else visit.present(base)


def later(call: Callable[[], T]) -> Callable[[], T]:
    """``call`` as Streamlit may make it later on a thread of its own, such as a download's: for
    whoever is here now, and not once they have signed out."""
    return visit.bound(deck(), call)


_opening = threading.Lock()
_mirrors: list[Mirror] = []


def mirror() -> Mirror:
    """The run mirror, one a process; opened when it is first asked for."""
    with _opening:
        if not _mirrors:
            own = own_deck()
            _mirrors.append(open_mirror(own.settings, own.mlflow))
        return _mirrors[0]


def close_mirror() -> None:
    """Let the mirror's file go; the next ``mirror()`` opens it again."""
    with _opening:
        while _mirrors:
            _mirrors.pop().close()


def read(name: str, call: Callable[[], T], *args: object) -> T:
    """Ask, and remember the answer for a few seconds.

    Args:
        name: what is read; with ``args`` it tells one answer from another.
        call: asks; an error rises and is never remembered.
        args: what the answer depends on, plain values.
    """
    answer: T = _briefly(deck().scope, _named(name, call), args, call)
    return answer


def keep(name: str, call: Callable[[], T], *args: object) -> T:
    """Like ``read`` for what never changes, such as the files of a model version. Where people
    have accounts it is asked again within a minute: a right may have been taken away."""
    here = deck()
    remember = _long if here.settings.identity == "local" else _a_minute
    answer: T = remember(here.scope, _named(name, call), args, call)
    return answer


def forget() -> None:
    """Drop what ``read`` remembers; after every write of ours."""
    _briefly.clear()


def _named(name: str, call: Callable[[], object]) -> str:
    # Two places that give one name to different questions must not get each other's answers.
    return f"{name} {call.__module__} {getattr(call, '__qualname__', '')}"


# Answers are shared by all sessions: the server and the person (``scope``) belong to the key.
@st.cache_data(ttl=REMEMBERED, max_entries=1000, show_spinner=False)
def _briefly(  # what is not used here is the key of the memory
    scope: tuple[str, str, str],  # noqa: ARG001
    name: str,  # noqa: ARG001
    args: tuple[object, ...],  # noqa: ARG001
    _call: Callable[[], Any],
) -> Any:
    return _call()


@st.cache_data(ttl=3600, max_entries=60, show_spinner=False)
def _long(
    scope: tuple[str, str, str],  # noqa: ARG001
    name: str,  # noqa: ARG001
    args: tuple[object, ...],  # noqa: ARG001
    _call: Callable[[], Any],
) -> Any:
    return _call()


@st.cache_data(ttl=55, max_entries=300, show_spinner=False)
def _a_minute(
    scope: tuple[str, str, str],  # noqa: ARG001
    name: str,  # noqa: ARG001
    args: tuple[object, ...],  # noqa: ARG001
    _call: Callable[[], Any],
) -> Any:
    return _call()
