"""What every form of the Run page does when it writes: what was typed stays, and errors are told.

What the person saw is kept when a form is drawn and goes with what they typed, so that nobody's
newer text is replaced unread.
"""

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from core.errors import Conflict, DeckError, OutcomeUnknown
from core.ui import errors, parts, runs

T = TypeVar("T")


def seen(key: str, now: T, *buttons: str) -> T:
    """What the person saw: where one of the buttons was pressed, what the run before drew."""
    pressed = any(st.session_state.get(button) for button in buttons)
    held: T = st.session_state.get(f"{key}:seen", now) if pressed else now
    st.session_state[f"{key}:seen"] = held
    return held


def write(key: str, run_id: str, act: Callable[[], object], said: str) -> None:
    """Do it, read the run anew, say so and draw the page again; or keep the error for ``tell``.

    Args:
        key: the form's.
        run_id: the run that is written to.
        said: Markdown.
    """
    try:
        act()
    except Conflict as conflict:
        st.session_state[f"{key}:told"] = conflict  # drawn beside the present state
    except DeckError as error:
        error.retryable = False  # a page that looks again would take the words away
        errors.show(error)
        if isinstance(error, OutcomeUnknown):
            runs.refresh([run_id])
        return
    else:
        parts.done(said)
    runs.refresh([run_id])
    st.rerun()


def tell(key: str) -> None:
    """Why the last attempt was refused, where it was."""
    told: DeckError | None = st.session_state.pop(f"{key}:told", None)
    if told is not None:
        errors.show(told)
