"""Parts of the processes page."""

import streamlit as st

from core import formats
from core.ledger import processes as ledger_processes
from core.lifecycle.running import Running, stop
from core.texts import t
from core.ui.deck import deck
from core.ui.markup import md, safe
from core.ui.navigation import link
from core.ui.parts import confirm, when

_ICONS = {
    ledger_processes.PAGE_SERVER: "web",
    ledger_processes.WORKER: "engineering",
    ledger_processes.JOB: "model_training",
    ledger_processes.ENDPOINT: "cell_tower",
}


def card(one: Running) -> None:
    """One process: what it is, where, since when, and its stop."""
    process = one.process
    kind = t(f"processes.kind.{process.kind.replace(' ', '_')}")
    with st.container(border=True), st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch", gap=None):
            st.markdown(f":material/{_ICONS[process.kind]}: **{kind}** · {safe(one.title, 90)}")
            st.caption(_facts(one))
        if process.kind == ledger_processes.JOB:
            link("training", t("processes.page.open"), job=process.subject)
        if process.kind == ledger_processes.ENDPOINT:
            link("endpoints", t("processes.page.open"), endpoint=process.subject)
        if confirm(
            t("processes.page.stop"),
            md(f"processes.question.{process.kind.replace(' ', '_')}", name=one.title),
            md("processes.page.stop_action", kind=kind),
            key=f"proc_stop_{process.id}",
            icon="stop_circle",
            disabled=process.stop_requested_at is not None or not one.stoppable,
        ):
            stop(deck(), process)
            st.rerun(scope="fragment")


def _facts(one: Running) -> str:
    process = one.process
    words = [
        t("processes.fact.pid", pid=process.ref.pid, node=process.node),
        t("processes.fact.since", when=when(process.begun_at)),
    ]
    if one.memory is not None:
        words.append(formats.size(one.memory))
    if not one.here:
        words.append(t("processes.fact.seen", when=when(process.seen_at)))
    if one.alive is False:
        words.append(t("processes.fact.gone"))
    if process.stop_requested_at is not None:
        words.append(t("processes.fact.stopping", person=process.stop_requested_by))
    return safe(" · ".join(words))
