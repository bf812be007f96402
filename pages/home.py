"""Home: the life cycle at a glance."""

import streamlit as st

from core.lifecycle.overview import for_person, overview, work
from core.lifecycle.running import worker_runs
from core.texts import t
from core.ui import errors, home, parts, sight
from core.ui.deck import deck, mirror, read
from core.ui.navigation import go

here = deck()
parts.title(t("nav.title.home"), "dashboard", t("home.caption"))
top = st.container()
attention = st.container()
left, right = st.columns([3, 2], gap="large")
below = st.container()
at_work = sight.of_work(work(here.ledger, worker_runs=worker_runs(here)))
with right:
    home.job_lines(at_work)
    home.endpoint_lines(at_work)
with top, errors.part():  # what runs is known also while MLflow is away
    with st.spinner(t("home.loading"), show_time=True):
        found = read(
            "overview", lambda: overview(here.mlflow, mirror(), at_work, here.rules.ladder)
        )
    if found.untouched and not at_work.open_jobs and not st.session_state.get("welcomed"):
        go("welcome")
    home.counts(found, at_work)
    with left:
        home.production(found.production, found.rung)
    with below:
        home.latest(found)
    with attention:
        waiting = read("waits for whom", lambda: for_person(here.desk))
        home.attention([*waiting, *found.attention])
