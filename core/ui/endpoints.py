"""Parts of the endpoints page: choosing a version, one endpoint's card."""

import streamlit as st

from core.ledger import processes as ledger_processes
from core.lifecycle.launch import may_stop, stop_endpoint
from core.mlflow_api.nouns import ModelVersion
from core.processes import tail
from core.registry.catalogue import holders
from core.serving import endpoints
from core.serving.endpoints import Endpoint
from core.texts import t
from core.ui.deck import deck, read
from core.ui.markup import md, plain, safe
from core.ui.navigation import asked, link
from core.ui.parts import badge, confirm, empty, table_of_links, when

_LOG_BYTES = 32_000


def choose_version() -> ModelVersion | None:
    """Two lists: registered model, then one of its versions; None where there is none."""
    registry = deck().mlflow.registry
    names = [m.name for m in read("models", registry.models)]
    if not names:
        empty(t("endpoints.page.no_models"), "deployed_code")
        return None
    if asked("model") in names:  # arrived from a model's page
        st.session_state.setdefault("serve_model", asked("model"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(t("endpoints.page.model"), names, key="serve_model")
        versions = read("versions", lambda: registry.versions(name), name)
        by_number = {v.version: v for v in versions}
        # What is in Production is what one most likely wants to serve.
        on = deck().rules.ladder
        held = holders(versions, on.top, on)
        start = versions.index(held[0]) if held else 0
        if name == asked("model") and asked("version").isdigit():
            wanted = int(asked("version"))
            start = next((i for i, v in enumerate(versions) if v.version == wanted), start)
        number = st.selectbox(
            t("endpoints.page.version"), list(by_number), key=f"serve_version_{name}", index=start,
            format_func=lambda n: _version_label(by_number[n]),
        )  # fmt: skip
    return by_number.get(number)


def card(endpoint: Endpoint) -> None:
    """One endpoint: its state, address and log, and what can be done with it."""
    here = deck()
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(endpoint.state)
            st.markdown(f"**{safe(endpoint.name, 80)}**")
            st.caption(
                md("endpoints.page.asked_by", person=endpoint.requested_by,
                   when=when(endpoint.requested_at))
            )  # fmt: skip
        if endpoint.message:
            st.caption(safe(endpoint.message))
        if endpoint.address:
            st.code(f"{endpoint.address}/invocations", language=None)
        with st.container(horizontal=True, vertical_alignment="center"):
            if endpoint.state == endpoints.HEALTHY:
                link("predict", t("endpoints.page.predict"), icon=":material/online_prediction:",
                     ask=endpoint.id)  # fmt: skip
            link("model", t("endpoints.page.open_model"), icon=":material/deployed_code:",
                 model=endpoint.model, version=str(endpoint.version))  # fmt: skip
            _log(endpoint)
            if endpoint.open and confirm(
                t("endpoints.page.stop"), md("endpoints.page.stop_question", name=endpoint.name),
                t("endpoints.page.stop_action"), key=f"serve_stop_{endpoint.id}",
                icon="stop_circle", disabled=endpoint.stop_requested_at is not None
                or not may_stop(here, endpoint.requested_by),
            ):  # fmt: skip
                stop_endpoint(here, endpoint.id)
                st.rerun(scope="fragment")


def ended_table(ended: list[Endpoint]) -> None:
    """Endpoints that serve no more; a click on one puts it into the address, for its log."""
    table_of_links(
        "endpoint",
        {
            e.id: {
                "state": t(f"states.{e.state}"),
                "name": e.name,
                "ended": when(e.ended_at),
                "by": e.requested_by,
                "why": e.message,
            }
            for e in ended
        },
        {name: t(f"endpoints.column.{name}") for name in ("state", "name", "ended", "by", "why")},
        t("endpoints.page.ended"),
    )


def _log(endpoint: Endpoint) -> None:
    here = deck()
    if endpoint.process_id is None:
        return
    with st.popover(t("endpoints.page.log"), icon=":material/article:", key=f"log_{endpoint.id}",
                    on_change="rerun") as opened:  # fmt: skip
        if opened.open:
            process = ledger_processes.get(here.ledger, endpoint.process_id)
            text = tail(process.log, _LOG_BYTES)
            st.code(plain(text) or t("endpoints.page.log_none"), language=None, height=320)


def _version_label(version: ModelVersion) -> str:
    marks = [version.stage] if version.stage != "None" else []
    marks += [f"@{alias}" for alias in version.aliases]
    return f"v{version.version}" + (f" · {', '.join(marks)}" if marks else "")
