"""Processes: everything that Modeldeck started, with its stop."""

import streamlit as st

from core.lifecycle import running
from core.lifecycle.supervisor import start_worker_for
from core.texts import t
from core.ui import parts, processes, sight
from core.ui.deck import deck

here = deck()
parts.title(t("nav.title.processes"), "memory", t("processes.page.caption"))


@parts.live(2)
def table() -> None:
    """The processes, drawn anew every two seconds."""
    found = sight.of_processes(running.overview(here))
    if not running.worker_runs(here):
        st.warning(t("processes.page.no_worker"), icon=":material/warning:")
        if here.settings.worker == "auto" and st.button(
            t("processes.page.start_worker"), icon=":material/play_arrow:", type="primary"
        ):
            start_worker_for(here)
            st.rerun(scope="fragment")
    for one in found:
        processes.card(one)
    st.caption(t("processes.page.all"))


table()
