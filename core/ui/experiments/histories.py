"""Metric histories that a question needs and that were not read yet: named, watched, stopped."""

import threading
from concurrent.futures import Future

import streamlit as st

from core import formats
from core.mlflow_api.pool import ContextPool
from core.runs.aggregates import Plan
from core.runs.query import RunQuery
from core.texts import t
from core.ui import parts, runs

LOOK_SECONDS = 0.5
_READING = "_reading_histories"


class Reading:
    """Histories being read, in a thread that sees the context of whoever asked."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.done, self.total = 0, plan.histories
        self._stop = threading.Event()
        pool = ContextPool(1, "histories")
        read = runs.read_histories
        self._end: Future[int] = pool.submit(read, plan, self._told, self._stop.is_set)

    def _told(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def stop(self) -> None:
        """Begin no further history; what was read is kept."""
        self._stop.set()

    @property
    def ended(self) -> bool:
        """Whether it has come to an end.

        Raises:
            DeckError: MLflow could not be read.
        """
        if not self._end.done():
            return False
        self._end.result()
        return True


def needed(asked: RunQuery) -> Plan | None:
    """The histories without which ``asked`` cannot be answered, where they are many."""
    plan = runs.plan(asked)
    return plan if plan.missing and not plan.at_once else None


def ask(plan: Plan) -> None:
    """How many histories there are to read, the button that begins, and how far it is."""
    reading: Reading | None = st.session_state.get(_READING)
    if reading is not None:
        _watch(reading)
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        key = "bulk" if plan.in_bulk else "client"
        st.markdown(
            t(f"experiments.histories.{key}", n=plan.histories, points=formats.count(plan.points)),
            width="stretch",
        )
        st.button(
            t("experiments.histories.read", n=plan.histories),
            type="primary",
            icon=":material/timeline:",
            key="histories_read",
            on_click=_begin,
            args=(plan,),
        )


def _begin(plan: Plan) -> None:
    st.session_state[_READING] = Reading(plan)


def _watch(reading: Reading) -> None:
    @parts.live(LOOK_SECONDS)
    def look() -> None:
        if _ended(reading):
            parts.again()
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.progress(
                min(1.0, reading.done / max(1, reading.total)),
                t("experiments.histories.reading", done=reading.done, n=reading.total),
            )
            st.button(
                t("experiments.bulk.stop"),
                icon=":material/stop_circle:",
                key="histories_stop",
                on_click=reading.stop,
            )

    look()


def _ended(reading: Reading) -> bool:
    try:
        ended = reading.ended
    except BaseException:
        st.session_state.pop(_READING, None)
        raise
    if ended:
        st.session_state.pop(_READING, None)
    return ended
