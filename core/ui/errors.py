"""The one place where an error becomes something that a person sees."""

import logging
from uuid import uuid4

import streamlit as st

from core.errors import DeckError, StoreNeedsUpgrade, Unexpected
from core.texts import t
from core.ui.deck import deck
from core.ui.markup import safe

_log = logging.getLogger("modeldeck")
_RETRY_SECONDS = 1.5
_MOST_RETRIES = 40


def on_script_error(error: Exception) -> bool:
    """Streamlit's hook for what a page, a fragment or a callback raised. Never a traceback.

    What was drawn above stays, with what was typed in it.
    """
    show(error if isinstance(error, DeckError) else unexpected(error))
    return True


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
    if error.command:
        st.code(error.command, language="bash")
    if error.retryable and not isinstance(error, StoreNeedsUpgrade):
        _look_again()


@st.fragment(run_every=_RETRY_SECONDS)
def _look_again() -> None:
    """Ask in the background whether the server is back, and draw the page anew once it is."""
    tries = st.session_state.get("_retries", 0)
    if tries > _MOST_RETRIES:
        st.caption(t("errors.retry.gave_up"))
    elif deck().mlflow.gateway.answers():
        st.session_state["_retries"] = tries + 1
        st.rerun()
    else:
        st.caption(t("errors.retry.waiting"))
    if st.button(t("errors.retry.now"), icon=":material/refresh:", key="_retry"):
        st.session_state["_retries"] = 0
        st.rerun()
