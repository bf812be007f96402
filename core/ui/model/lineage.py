"""The lineage of a version: data and code → run → version → endpoints, as steps that read from
left to right, and from top to bottom where there is no room."""

from collections.abc import Callable, Sequence

import streamlit as st

from core import formats
from core.lifecycle.lineage import Lineage, trace
from core.mlflow_api.nouns import ModelVersion
from core.texts import t
from core.ui import parts
from core.ui.deck import deck, read
from core.ui.markup import md, safe
from core.ui.navigation import link

MOST = 4
_WIDTH = 206


def draw(version: ModelVersion) -> None:
    """The chain of one version."""
    here = deck()
    found = read("lineage", lambda: trace(here, version), version.model, version.version,
                 version.run_id)  # fmt: skip
    for words in found.missing:
        st.caption(safe(words))
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        with st.container(width=_WIDTH, gap="xsmall"):
            _step("data", "database", _data, found)
            _step("code", "code", _code, found)
        for name, icon, draw_it in (
            ("run", "science", _run),
            ("version", "deployed_code", _version),
            ("endpoint", "cell_tower", _endpoints),
        ):
            # The arrow stays with the step that it leads to, also where that begins a new row.
            with st.container(
                horizontal=True, gap="xsmall", vertical_alignment="center", width="content"
            ):
                st.markdown(":material/arrow_forward:", width="content")
                with st.container(width=_WIDTH):
                    _step(name, icon, draw_it, found)
    _copies(found)
    if found.run is not None:
        st.caption(t("lineage.said_by_run"))


def _step(name: str, icon: str, draw_it: Callable[[Lineage], None], found: Lineage) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(f":material/{icon}: **{t(f'lineage.{name}')}**")
        draw_it(found)


def _data(found: Lineage) -> None:
    if not found.datasets:
        st.caption(t("lineage.no_data"))
    for data in found.datasets[:MOST]:
        st.markdown(safe(data.name, 60))
        said = [md("lineage.digest", digest=data.digest[:40])] if data.digest else []
        said += [md("lineage.context", context=data.context[:40])] if data.context else []
        st.caption(" · ".join(said))
    _more(found.datasets)


def _code(found: Lineage) -> None:
    code = found.code
    if not code.known:
        st.caption(t("lineage.no_code"))
        return
    if code.source:
        st.markdown(safe(code.source.rsplit("/", 1)[-1] or code.source, 60))
    said = [safe(code.entry_point, 40)] if code.entry_point else []
    said += [md("lineage.commit", commit=code.commit[:12])] if code.commit else []
    said += [md("lineage.branch", branch=code.branch[:40])] if code.branch else []
    said += [safe(code.repository, 80)] if code.repository else []
    if said:
        st.caption(" · ".join(said))


def _run(found: Lineage) -> None:
    run = found.run
    if run is None:
        st.caption(t("lineage.no_runs"))
        return
    st.markdown(safe(run.name or run.id, 60))
    link("run", t("lineage.open_run"), icon=":material/science:", run=run.id)
    parts.badge(run.status)
    st.caption(md("lineage.by", who=run.user or formats.NONE, at=parts.moment(run.started_at)))


def _version(found: Lineage) -> None:
    version = found.version
    st.markdown(md("run.version", name=version.model[:60], version=version.version))
    st.caption(md("lineage.registered", at=parts.moment(version.created_at)))


def _endpoints(found: Lineage) -> None:
    if not found.endpoints:
        st.caption(t("lineage.unserved"))
    for one in found.endpoints[:MOST]:
        st.markdown(safe(one.address or one.name, 60))
        link("endpoints", t("lineage.open_endpoint"), icon=":material/cell_tower:", endpoint=one.id)
        st.caption(md("lineage.served", state=parts.state_name(one.state), who=one.requested_by))
    _more(found.endpoints)


def _copies(found: Lineage) -> None:
    """The other versions that were made from the same run, also in other models."""
    if not found.copies:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(t("lineage.copies"), width="content")
        for one in found.copies[: 2 * MOST]:
            link("model", md("run.version", name=one.model[:40], version=one.version),
                 model=one.model, version=str(one.version))  # fmt: skip
        if len(found.copies) > 2 * MOST:
            st.caption(t("lineage.more", n=len(found.copies) - 2 * MOST), width="content")


def _more(all_of_them: Sequence[object]) -> None:
    if len(all_of_them) > MOST:
        st.caption(t("lineage.more", n=len(all_of_them) - MOST))
