"""Home: the life cycle at a glance."""

import streamlit as st

from core.lifecycle.overview import overview
from core.lifecycle.running import worker_runs
from core.texts import t
from core.ui import home, parts
from core.ui.deck import deck, read
from core.ui.navigation import go

here = deck()
parts.title(t("nav.title.home"), "dashboard", t("home.caption"))
with st.spinner(t("home.loading")):
    found = read("overview", lambda: overview(here, worker_runs=worker_runs(here)))
if found.untouched and not found.jobs and not st.session_state.get("welcomed"):
    st.session_state["welcomed"] = True  # once: whoever leaves the welcome page stays on Home
    go("welcome")
home.counts(found)
left, right = st.columns([3, 2], gap="large")
with left:
    home.production(found.production)
    home.latest(found.latest, {e.id: e.name for e in found.experiments})
with right:
    home.attention(found)
    home.job_lines(found)
