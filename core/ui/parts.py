"""Small parts that several pages draw alike."""

from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import streamlit as st

from core import formats
from core.ledger import now
from core.texts import t
from core.ui.markup import safe, visible

_AGAIN = "_again"

STATUS_LOOK = {
    "FINISHED": ("green", "check_circle"),
    "RUNNING": ("blue", "progress_activity"),
    "SCHEDULED": ("grey", "schedule"),
    "FAILED": ("red", "error"),
    "KILLED": ("orange", "cancel"),
    "preparing": ("grey", "schedule"),
    "queued": ("grey", "schedule"),
    "starting": ("blue", "progress_activity"),
    "running": ("blue", "progress_activity"),
    "stopping": ("orange", "hourglass_bottom"),
    "healthy": ("green", "check_circle"),
    "unhealthy": ("orange", "warning"),
    "finished": ("green", "check_circle"),
    "failed": ("red", "error"),
    "stopped": ("grey", "stop_circle"),
}


def title(text: str, icon: str, caption: str = "") -> None:
    """A page's headline. ``text`` and ``caption`` are Markdown: outside text goes through safe."""
    st.title(text, icon=f":material/{icon}:", anchor=False)
    if caption:
        st.caption(caption)


def empty(text: str, icon: str = "inbox") -> None:
    """What a page or a part says where there is nothing to show, and what to do about it."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(f":material/{icon}: {text}", text_alignment="center")


def badge(state: str) -> None:
    """A state as a badge, in words of the catalogue (``states.<state>``)."""
    colour, icon = STATUS_LOOK.get(state, ("grey", "help"))
    st.badge(state_name(state), icon=f":material/{icon}:", color=colour)  # type: ignore[arg-type]


def state_name(state: str) -> str:
    """A state in words."""
    return t(f"states.{state}") if state in STATUS_LOOK else safe(state)


def rung_badge(rung: str, colour: str) -> None:
    """A rung of the ladder as a badge."""
    st.badge(safe(rung), color=colour)  # type: ignore[arg-type]


def when(at: datetime | None) -> str:
    """How long ago, for a page: plain text."""
    return formats.ago(at, now())


def moment(at: datetime | None) -> str:
    """A point in time in the viewer's zone, for a page: plain text."""
    return formats.moment(at, st.context.timezone)


def confirm(label: str, question: str, action: str, key: str, *, icon: str = "delete",
            disabled: bool = False) -> bool:  # fmt: skip
    """A button that asks once before it acts; True in the rerun in which the person agreed.

    Args:
        label: what the button says.
        question: names what is acted on; Markdown, so outside text goes through ``safe``.
        action: what the button that agrees says.
    """
    with st.popover(label, icon=f":material/{icon}:", disabled=disabled, key=f"{key}_popover"):
        st.markdown(question)
        return st.button(action, key=key, type="primary")


def live(seconds: float) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """A part that draws itself anew every ``seconds``, without the rest of the page."""
    return st.fragment(run_every=seconds)


def again() -> NoReturn:
    """Draw the whole page anew, because it found out by itself that something is new: nobody came
    to see it, so it is no visit."""
    st.session_state[_AGAIN] = True
    st.rerun()


def by_itself() -> bool:
    """Whether this run was asked for by ``again``; true once."""
    return bool(st.session_state.pop(_AGAIN, False))


def done(message: str) -> None:
    """Say that something worked, also after the rerun that follows. ``message`` is Markdown."""
    st.session_state.setdefault("_done", []).append(message)


def say_done() -> None:
    """Draw what ``done`` was told in the run before; the shell calls it."""
    for message in st.session_state.pop("_done", []):
        st.toast(message, icon=":material/check_circle:")


def table_of_links(
    query: str, rows: dict[str, dict[str, str]], columns: dict[str, str], alt: str
) -> None:
    """A table whose rows open something: a click puts the row's id into the address.

    Args:
        query: name in the address.
        rows: id → the row's cells by column, plain text.
        columns: column → its header.
        alt: what the table is, for who cannot see it.
    """
    ids = list(rows)
    # Positions move when a row is added; a key of the ids lets go of the selection then.
    key = f"links_{query}_{hash(tuple(ids))}"

    def clicked() -> None:
        # Only a click acts: a row that stays ticked must not come back into the address.
        chosen = st.session_state[key]["selection"]["rows"]
        if chosen:
            st.query_params[query] = ids[chosen[0]]
        else:
            st.query_params.pop(query, None)

    st.dataframe(
        [{name: visible(cell) for name, cell in row.items()} for row in rows.values()],
        column_config=dict(columns),
        hide_index=True,
        on_select=clicked,
        selection_mode="single-row",
        key=key,
        height=min(38 + 35 * max(1, len(ids)), 318),
        alt=alt,
    )
