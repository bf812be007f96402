"""Training: start a job of the built-in project, watch it, stop it."""

import streamlit as st

from core.lifecycle.launch import launch_job
from core.lifecycle.running import worker_runs
from core.texts import t
from core.training import projects
from core.ui import errors, parts, runs, sight, training
from core.ui.deck import deck
from core.ui.markup import md, safe
from core.ui.navigation import asked

here = deck()
project = projects.tabular()
parts.title(t("nav.title.training"), "model_training", t("training.page.caption"))

training.prefill(project)
with st.expander(
    t("training.page.new"),
    icon=":material/add_circle:",
    expanded=not asked("job"),
    key="train_new",
    on_change="rerun",
) as panel:
    if panel.open:
        typed = training.form(project)
        training.upload()
        with errors.part():  # the jobs below can be seen and stopped without MLflow
            experiment, title, pressed = training.where(project)
            if pressed:
                job = launch_job(here, project, typed, experiment=experiment, title=title)
                runs.refresh()
                parts.done(md("training.page.started", title=job.title))
                st.query_params["job"] = job.id
                st.rerun()

st.subheader(t("training.page.jobs"), anchor=False)
if not worker_runs(here):
    st.warning(t("training.page.no_worker"), icon=":material/warning:")


@parts.live(2)
def job_table() -> None:
    """The list, drawn anew every two seconds."""
    found = sight.jobs()
    if found:
        training.job_list(found)
    else:
        parts.empty(safe(t("training.page.none")), "model_training")
    if asked("job"):
        with st.container(border=True):
            training.job_detail(sight.job(asked("job")))


job_table()
