"""Endpoints: serve a model version by a process of its own, see its state, stop it."""

import streamlit as st

from core.lifecycle.launch import start_endpoint
from core.lifecycle.running import worker_runs
from core.serving import endpoints as serving
from core.texts import t
from core.ui import endpoints, parts, sight
from core.ui.deck import deck
from core.ui.markup import md, safe
from core.ui.navigation import asked

here = deck()
parts.title(t("nav.title.endpoints"), "cell_tower", t("endpoints.page.caption"))

if not worker_runs(here):
    st.warning(t("endpoints.page.no_worker"), icon=":material/warning:")


@parts.live(2)
def served() -> None:
    """The endpoints, drawn anew every two seconds."""
    found = sight.endpoints()
    running = [e for e in found if e.open]
    if not running:
        parts.empty(safe(t("endpoints.page.none")), "cell_tower")
    for endpoint in running:
        endpoints.card(endpoint)
    ended = [e for e in found if not e.open]
    if ended:
        st.subheader(t("endpoints.page.ended"), anchor=False)
        endpoints.ended_table(ended)
        # What failed last is what somebody wants to know about; any other is opened by a click.
        last = [e for e in ended[:1] if e.state == serving.FAILED and not asked("endpoint")]
        for endpoint in last + [e for e in ended if e.id == asked("endpoint")]:
            endpoints.card(endpoint)


served()
st.subheader(t("endpoints.page.new"), anchor=False)
version = endpoints.choose_version()
if version is not None:
    same = [
        e for e in sight.endpoints() if e.open and e.name == f"{version.model} v{version.version}"
    ]
    if same:
        st.caption(t("endpoints.page.same", n=len(same)))
    if st.button(md("endpoints.page.start", name=version.model, version=version.version),
                 type="primary", icon=":material/play_arrow:"):  # fmt: skip
        endpoint = start_endpoint(here, version.model, version.version)
        parts.done(md("endpoints.page.started", name=endpoint.name))
        st.rerun()
