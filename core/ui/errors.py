"""The one place where an error becomes something that a person sees."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.errors import (
    DeckError,
    LedgerFailed,
    ServerFailed,
    ServerSlow,
    ServerUnreachable,
    SignedOut,
    Unexpected,
)
from core.texts import t
from core.ui import door
from core.ui.deck import deck, own_deck
from core.ui.markup import safe
from core.ui.parts import again

_log = logging.getLogger("modeldeck")
_LOOK_SECONDS = 1.0
_READING_SECONDS = 3.0
"""An error stays at least that long, so that it can be read."""
_LONGEST_PAUSE = 30.0
_OF_A_SERVER = (ServerUnreachable, ServerSlow, ServerFailed)
_TRIES, _IN_A_PART = "_tries", "_failed_in_a_part"


def on_script_error(error: Exception) -> bool:
    """Streamlit's hook for what a page, a fragment or a callback raised. Never a traceback.

    What was drawn above stays, with what was typed in it.
    """
    show(error if isinstance(error, DeckError) else unexpected(error))
    _forget_live_parts()
    return True


def _forget_live_parts() -> None:
    """Forget the live parts of the run before that this run did not come to.

    Streamlit does so only where a run came to its end. One whose turn comes after an error would be
    drawn into what is not there any more, and the browser drops the whole page.
    """
    run = get_script_run_ctx()
    if run is not None and not run.fragment_ids_this_run:
        run.fragment_storage.clear(new_fragment_ids=run.shared.new_fragment_ids.snapshot())


@contextmanager
def part() -> Iterator[None]:
    """A part of a page that may fail without the rest: its error is drawn where it would stand."""
    try:
        yield
    except DeckError as error:
        st.session_state[_IN_A_PART] = True
        show(error)


def settled() -> None:
    """Tell that a page was drawn to its end; after an error that went away, the person is told."""
    if not st.session_state.pop(_IN_A_PART, False) and st.session_state.pop(_TRIES, 0):
        st.toast(t("errors.retry.back"), icon=":material/check_circle:")


def unexpected(error: Exception) -> Unexpected:
    """Log a defect under a number, and give back what the person is told."""
    number = uuid4().hex[:8]
    _log.error("Unexpected error %s", number, exc_info=error)
    return Unexpected(t("errors.unexpected.what", number=number))


def show(error: DeckError) -> None:
    """Draw an error: what happened, to what, what to do next."""
    what = "  \n".join(safe(line) for line in error.what.splitlines())
    st.error(
        f"{what}\n\n{safe(error.next_step)}",
        title=error.title,
        icon=":material/error:",
    )
    if isinstance(error, SignedOut):
        door.refused(own_deck())
    if error.command:
        st.code(error.command, language="bash")
    if error.retryable and isinstance(error, (*_OF_A_SERVER, LedgerFailed)):
        tries = st.session_state.get(_TRIES, 0)
        pause = min(_READING_SECONDS * 2**tries, _LONGEST_PAUSE)
        _look_again(uuid4().hex, time.monotonic(), pause, isinstance(error, _OF_A_SERVER))


@st.fragment(run_every=_LOOK_SECONDS)
def _look_again(number: str, since: float, pause: float, of_a_server: bool) -> None:
    """Draw the page anew once the server is back.

    Args:
        number: tells this error from another on the same page.
        since: when it was drawn (``time.monotonic``).
        pause: seconds before the first look: where the server answers and the page fails all the
            same, it grows from one look to the next.
        of_a_server: whether MLflow can be asked, in the background, if it is back.
    """
    back = deck().mlflow.gateway.answers(since) if of_a_server else True
    if back and time.monotonic() - since > pause:
        st.session_state[_TRIES] = st.session_state.get(_TRIES, 0) + 1
        again()
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(t("errors.retry.now"), icon=":material/refresh:", key=f"_retry_{number}"):
            st.rerun()
        st.caption(t("errors.retry.waiting"))
