"""The head of the evidence page: what is asked for, in a sentence, and how far it came."""

import streamlit as st

from core.lifecycle import brief
from core.registry.requests import Choice, Request, State
from core.texts import t
from core.ui import approvals, parts
from core.ui.evidence.look import Look
from core.ui.markup import md, safe
from core.ui.navigation import link

_LOOKS = {
    "past": ("check_circle", "green"),
    "here": ("pending", "blue"),
    "ahead": ("circle", "grey"),
    "ended": ("cancel", "red"),
}


def head(found: Look) -> None:
    """What is asked for, the sentence, how far it came, and the ways from here."""
    request = found.request
    approvals.style()
    parts.title(safe(brief.title(request), 160), "balance")
    st.markdown(f"##### {safe(brief.sentence(request, found.evidence))}")
    if found.contradicted is not None:
        st.error(
            t("record.frozen.differs", number=found.contradicted),
            title=t("record.frozen.title"),
            icon=":material/gpp_bad:",
        )
    if found.lines_in_all > len(found.lines):
        st.caption(t("record.newest", n=len(found.lines), total=found.lines_in_all))
    _strip(request)
    for one in request.decisions:
        if one.choice is Choice.BREAK_GLASS:
            st.warning(
                md("evidence_page.glass.loud", who=one.actor, reason=request.reason),
                title=t("evidence_page.glass.broken"),
                icon=":material/emergency_heat:",
            )
    _message(request)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        link("model", t("evidence_page.open_model"), icon=":material/deployed_code:",
             model=request.model, version=str(request.version))  # fmt: skip
        link("approvals", t("evidence_page.all_requests"), icon=":material/inbox:")
        with st.container(key="evidence_jump", width="content"):
            st.markdown(f"[:material/arrow_downward: {t('evidence_page.jump')}](#decide)")
    approvals.watch([request])


def _strip(request: Request) -> None:
    """Asked → checked → decided → done, with times."""
    with st.container(border=True, horizontal=True, gap="medium"):
        for stop in brief.stops(request):
            icon, colour = _LOOKS[stop.look]
            name = t(f"evidence_page.stop.{stop.name}")
            with st.container(width="content", gap=None):
                st.markdown(f":{colour}[:material/{icon}:] **{name}**")
                said = [stop.said, parts.moment(stop.at) if stop.at else ""]
                never = t(f"evidence_page.stop.{'not_yet' if request.open else 'not_reached'}")
                st.caption(safe(" · ".join(filter(None, said)) or never))


def _message(request: Request) -> None:
    if not request.message or (request.broke_glass and request.open):
        return
    show, icon = {
        State.DONE: (st.success, "check_circle"),
        State.FAILED: (st.error, "error"),
        State.OUTDATED: (st.warning, "update"),
        State.REJECTED: (st.warning, "thumb_down"),
    }.get(request.state, (st.info, "info"))
    show(safe(request.message), title=brief.state_said(request.state), icon=f":material/{icon}:")
