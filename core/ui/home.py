"""Parts of the page Home."""

from collections.abc import Sequence

import streamlit as st

from core import formats
from core.lifecycle.overview import Attention, Overview, Served, Work
from core.serving import endpoints
from core.texts import t
from core.ui.markup import md, safe
from core.ui.navigation import link
from core.ui.parts import badge, empty, when


def counts(found: Overview, at_work: Work) -> None:
    """The stages of the life cycle as tiles, each with a link to its page."""
    healthy = sum(e.state == endpoints.HEALTHY for e in at_work.endpoints)
    tiles = (
        ("experiments", len(found.experiments), t("home.tile.experiments_note")),
        ("training", len(at_work.open_jobs),
         t("home.tile.training_note", n=len(at_work.failed_jobs))),
        ("models", found.models, t("home.tile.models_note", n=found.versions)),
        ("endpoints", healthy, t("home.tile.endpoints_note", n=len(at_work.endpoints))),
    )  # fmt: skip
    with st.grid(4, min_column_width=200):
        for page, number, note in tiles:
            with st.container(border=True, gap="xsmall"):
                st.metric(t(f"home.tile.{page}"), formats.count(number))
                st.caption(note)
                link(page, t(f"home.tile.{page}_link"), icon=":material/arrow_forward:")


def production(served: tuple[Served, ...], rung: str) -> None:
    """Models on the highest rung and what serves them."""
    st.subheader(md("home.production.title", rung=rung), anchor=False)
    if not served:
        empty(md("home.production.none", rung=rung), "deployed_code")
    for one in served:
        version = one.version
        with st.container(border=True), st.container(horizontal=True, vertical_alignment="center"):
            link("model", f"**{safe(version.model, 60)}** v{version.version}",
                 icon=":material/deployed_code:", model=version.model,
                 version=str(version.version))  # fmt: skip
            for endpoint in one.endpoints:
                badge(endpoint.state)
            if one.endpoints:
                link("predict", t("home.production.predict"), ask=one.endpoints[0].id)
            else:
                st.caption(t("home.production.not_served"))
                link("endpoints", t("home.production.serve"), model=version.model,
                     version=str(version.version))  # fmt: skip


def latest(found: Overview) -> None:
    """The runs that began last, each a link; nested ones are left to their parents."""
    names = {e.id: e.name for e in found.experiments}
    st.subheader(t("home.latest.title"), anchor=False)
    if not found.latest:
        empty(t("home.latest.none"), "science")
    for run in found.latest:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            badge(run.status)
            link("run", safe(run.name or run.id, 50), run=run.id)
            st.caption(
                md("home.latest.in", experiment=names.get(run.experiment_id, "")[:40],
                   when=when(run.started_at))
            )  # fmt: skip


def job_lines(at_work: Work) -> None:
    """Jobs that run, and those that failed last."""
    st.subheader(t("home.jobs.title"), anchor=False)
    shown = [*at_work.open_jobs, *at_work.failed_jobs[:3]]
    if not shown:
        st.caption(t("home.jobs.none"))
    for job in shown:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            badge(job.state)
            link("training", safe(job.title, 50), job=job.id)
            st.caption(safe(when(job.requested_at)))


def endpoint_lines(at_work: Work) -> None:
    """What is served."""
    st.subheader(t("home.endpoints.title"), anchor=False)
    if not at_work.endpoints:
        st.caption(t("home.endpoints.none"))
    for endpoint in at_work.endpoints:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            badge(endpoint.state)
            link("predict", safe(endpoint.name, 50), ask=endpoint.id)


def attention(found: Sequence[Attention]) -> None:
    """What wants attention, each with the page where it can be mended."""
    st.subheader(t("home.attention.title"), anchor=False)
    if not found:
        st.caption(f":material/check_circle: {t('home.attention.nothing')}")
    for one in found:
        icon = ":material/approval:" if one.page == "approvals" else ":material/warning:"
        link(one.page, safe(one.text), icon=icon, **dict(one.query))
