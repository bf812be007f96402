"""Parts of the welcome page: the sample's progress, and the test of a server's address."""

import streamlit as st

from core.errors import DeckError
from core.ledger import processes as ledger_processes
from core.lifecycle.connection import test_server
from core.lifecycle.launch import may_stop, stop_job
from core.processes import tail
from core.texts import t
from core.training import jobs
from core.ui.deck import deck
from core.ui.markup import md, safe
from core.ui.navigation import link
from core.ui.parts import badge, confirm, live


@live(1)
def sample_progress() -> None:
    """How far the sample is, its stop, and where to go once it is there."""
    here = deck()
    job = next((j for j in jobs.recent(here.ledger, 50) if j.project == jobs.SAMPLE), None)
    if job is None:
        return
    process = ledger_processes.get(here.ledger, job.process_id) if job.process_id else None
    with st.container(horizontal=True, vertical_alignment="center"):
        badge(job.state)
        if job.open and confirm(
            t("welcome.sample.stop"), t("welcome.sample.stop_question"),
            t("welcome.sample.stop_action"), key="welcome_stop", icon="stop_circle",
            disabled=job.stop_requested_at is not None or not may_stop(here, job.requested_by),
        ):  # fmt: skip
            stop_job(here, job.id)
            st.rerun(scope="fragment")
    progress = jobs.progress(tail(process.log)) if process else None
    if job.open:
        done, total = (progress.done, progress.total) if progress else (0, 1)
        words = progress.text if progress else t("welcome.sample.starting")
        st.progress(min(1.0, done / max(1, total)), text=f"{done} / {total} · {safe(words, 70)}")
    elif job.state == jobs.FINISHED:
        st.success(t("welcome.sample.done"), icon=":material/check_circle:")
        link("experiments", t("welcome.sample.to_runs"), icon=":material/science:")
        link("models", t("welcome.sample.to_models"), icon=":material/deployed_code:")
    else:
        st.warning(md("welcome.sample.ended", why=job.message), icon=":material/info:")
        link("training", t("welcome.sample.to_log"), job=job.id)


def test_address() -> None:
    """A field for a server's address, and what answers there."""
    address = st.text_input(
        t("welcome.server.address"), key="welcome_address", placeholder="http://127.0.0.1:5000"
    )
    if not st.button(t("welcome.server.test"), icon=":material/lan:", disabled=not address):
        return
    with st.spinner(t("welcome.server.testing")):
        try:
            found = test_server(deck(), address)
        except DeckError as error:
            # The answer to a question, not a failure of this page: it stands below the field.
            st.error(f"{safe(error.what)}\n\n{safe(error.next_step)}", title=error.title)
            return
    st.success(md("welcome.server.good", address=found.address, version=found.version,
                  count=found.experiments))  # fmt: skip
    st.code(f"MLFLOW_TRACKING_URI={found.address} make run", language="bash")
