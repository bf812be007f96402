"""What happens on approval, who approved so far, the decision itself, and what people said.

What the person saw is kept when it is drawn and sent with the click: a decision on something else
than what is there by now is refused, and the page says what changed.
"""

from collections.abc import Callable

import streamlit as st

from core.errors import Conflict, DeckError
from core.lifecycle import brief, desk_keeper
from core.registry import requests
from core.registry.requests import Choice, Decision, Kind, Request, State
from core.registry.transitions import Outcome
from core.texts import t
from core.ui import approvals, errors, move, parts, retirement
from core.ui.deck import deck, forget
from core.ui.evidence.look import Look
from core.ui.markup import md, safe, visible
from core.ui.model import rollback
from core.ui.model.look import look, say_how_whole
from core.ui.navigation import link

COMMENT_LENGTH = 5_000
_CHOICES = {
    Choice.APPROVE: "thumb_up",
    Choice.REJECT: "thumb_down",
    Choice.BREAK_GLASS: "emergency_heat",
}


def decision(found: Look) -> None:
    """The right-hand side of the page."""
    request = found.request
    base = f"evidence:{request.id}"
    before = st.session_state.get(f"{base}:drawn")
    now = st.session_state[f"{base}:drawn"] = requests.binding(request)
    _tell(base)
    with st.container(border=True):
        name = "decide" if request.open else "decisions"
        st.subheader(t(f"evidence_page.section.{name}"), anchor="decide")
        _approvals(request)
        if request.open and request.steps:
            st.markdown(f"**{t('evidence_page.section.steps')}**")
            move.lines(request.steps)
        retirement.missed(request)
        if request.open:
            # What was clicked stood on the page in the run before; this one may know better.
            _decide(found, base, before or now)
        _others(found, base, before or now)
    _facts(found)
    st.subheader(t("evidence_page.section.talk"), anchor=False)
    _talk(found, base)


def _approvals(request: Request) -> None:
    """How many of how many, and who."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        approvals.badge(request)
        have, n = requests.tally(deck().desk, request)
        if n:
            st.caption(t("approvals.card.approvals", n=n, have=have), width="content")
        if request.open:
            when = approvals.until(request.expires_at)
            st.caption(t("approvals.card.expires", when=when), width="content")
    for one in request.decisions:
        _decided(one)


def _decided(one: Decision) -> None:
    said = md(f"evidence_page.decided.{one.choice}", who=one.actor, when=parts.when(one.at))
    st.markdown(f":material/{_CHOICES[one.choice]}: {said}")
    if one.own:
        st.caption(f":material/person: {t('evidence_page.own')}")


def _decide(found: Look, base: str, seen: str) -> None:
    """Approve and reject with a comment, or why not."""
    request, rights = found.request, found.rights
    if not (rights.approve or rights.reject):
        why = rights.why_not.get("approve") or rights.why_not.get("reject", "")
        st.caption(f":material/lock: {md('evidence_page.may_not', why=why)}")
        return
    turn = st.session_state.get(f"{base}:turn", 0)
    with st.form(f"{base}:form:{turn}", border=False, enter_to_submit=False):
        comment = st.text_area(
            t("evidence_page.comment"), height=80, max_chars=COMMENT_LENGTH,
            key=f"{base}:comment:{turn}", placeholder=t("evidence_page.comment_place"),
        )  # fmt: skip
        with st.container(horizontal=True, key=f"evidence_do_{request.id}"):
            approve = st.form_submit_button(
                t("evidence_page.approve"), type="primary", icon=":material/thumb_up:",
                width="stretch", disabled=not rights.approve, key=f"{base}:approve:{turn}",
            )  # fmt: skip
            reject = st.form_submit_button(
                t("evidence_page.reject"), icon=":material/thumb_down:", width="stretch",
                disabled=not rights.reject, key=f"{base}:reject:{turn}",
            )  # fmt: skip
    if not rights.approve:
        st.caption(f":material/lock: {safe(rights.why_not.get('approve', ''))}")
    if approve:
        _act(base, lambda: _approve(request, comment or "", seen))
    if reject:
        _act(base, lambda: _reject(request, comment or "", seen))


def _others(found: Look, base: str, seen: str) -> None:
    """Check again, withdraw, break the glass; rollback of what was done."""
    request, rights = found.request, found.rights
    with st.container(horizontal=True):
        if rights.recheck and st.button(
            t("evidence_page.recheck"), icon=":material/refresh:", key=f"{base}:recheck",
            help=t("evidence_page.recheck_help"),
        ):  # fmt: skip
            _act(base, lambda: _recheck(request))
        if rights.withdraw and parts.confirm(
            t("evidence_page.withdraw"), md("evidence_page.withdraw_ask", **_named(request)),
            t("evidence_page.withdraw_do"), f"{base}:withdraw", icon="undo",
        ):  # fmt: skip
            _act(base, lambda: _withdraw(request))
    if rights.break_glass:
        _glass(request, base, seen)
    if request.state is State.DONE and request.kind is not Kind.ARCHIVE:
        _way_back(request)


def _glass(request: Request, base: str, seen: str) -> None:
    with st.expander(t("evidence_page.glass.open"), icon=":material/emergency_heat:"):
        st.markdown(t("evidence_page.glass.about"))
        reason = st.text_area(
            t("evidence_page.glass.reason"), height=80, max_chars=COMMENT_LENGTH,
            key=f"{base}:glass_reason",
        )  # fmt: skip
        if parts.confirm(
            t("evidence_page.glass.title"), md("evidence_page.glass.ask", **_named(request)),
            t("evidence_page.glass.do"), f"{base}:glass", icon="emergency_heat",
        ):  # fmt: skip
            _act(base, lambda: _break_glass(request, reason or "", seen))


def _way_back(request: Request) -> None:
    """The earlier holder back, where the version is still where the request brought it; nothing
    where MLflow is away."""
    try:
        model = look(request.model)
        rung = model.dossier.ladder.rung(request.rung)
    except DeckError:
        return
    rollback.tell_last(request.model, rung)  # after it this version stands there no more
    with errors.part():
        if not model.dossier.complete:
            say_how_whole(model)
        elif model.certain and request.version in model.dossier.on(rung):
            rollback.draw(model.dossier, rung)


def _facts(found: Look) -> None:
    """Who registered the version, what the decision is bound to, the record."""
    request, evidence = found.request, found.evidence
    who = request.registrant
    said = (
        t("evidence_page.registered_unknown")
        if who is None
        else md("evidence_page.registered", who=who)
    )
    st.caption(f":material/badge: {said}")
    if evidence is not None:
        said = f"{t('evidence_page.fact.digest')}: {brief.digest_said(evidence)}"
        st.caption(f":material/fingerprint: {safe(said)}")
    link("ledger", t("evidence_page.open_ledger"), icon=":material/history_edu:",
         model=request.model, q=request.id)  # fmt: skip


def _talk(found: Look, base: str) -> None:
    """What people said, oldest first, and a field for more."""
    for one in brief.talk(found.lines):
        said = t(f"evidence_page.event.{one.event}")
        with st.container(gap=None):
            st.caption(f"**{safe(one.who, 60)}** {said} · {parts.when(one.at)}")
            if one.words:
                st.text(visible(one.words))
    if not found.rights.comment:
        return
    turn = st.session_state.get(f"{base}:turn", 0)
    with st.form(f"{base}:talk:{turn}", border=False, enter_to_submit=False):
        words = st.text_area(
            t("evidence_page.say"), height=80, max_chars=COMMENT_LENGTH,
            key=f"{base}:words:{turn}", label_visibility="collapsed",
            placeholder=t("evidence_page.say"),
        )  # fmt: skip
        said_so = st.form_submit_button(
            t("evidence_page.say_do"), icon=":material/chat:", key=f"{base}:say:{turn}"
        )
    if said_so:
        _act(base, lambda: _comment(found.request, words or ""))


def _act(base: str, call: Callable[[], str | Outcome]) -> None:
    """Do what was clicked; an error is drawn where it was clicked and what was typed stays."""
    try:
        with st.spinner(t("evidence_page.doing"), show_time=True):
            told: str | Outcome | DeckError = call()
        st.session_state[f"{base}:turn"] = st.session_state.get(f"{base}:turn", 0) + 1
    except Conflict as conflict:
        told = conflict  # drawn beside the present state, with what was typed kept
    except DeckError as error:
        errors.show(error)
        return
    finally:
        forget()
    st.session_state[f"{base}:told"] = told
    st.rerun()


def _tell(base: str) -> None:
    """How the last click went."""
    told: str | Outcome | DeckError | None = st.session_state.pop(f"{base}:told", None)
    if isinstance(told, DeckError):
        errors.show(told)
    elif isinstance(told, Outcome):
        move.tell(told)
    elif told:
        st.success(told, icon=":material/check_circle:")


def _approve(request: Request, comment: str, seen: str) -> str | Outcome:
    made = requests.approve(deck().desk, request.id, comment, binding=seen)
    return _carried_out(made, t("evidence_page.told.approved"))


def _break_glass(request: Request, reason: str, seen: str) -> str | Outcome:
    made = requests.break_glass(deck().desk, request.id, reason, binding=seen)
    return _carried_out(made, t("evidence_page.told.approved"))


def _carried_out(made: Request, said: str) -> str | Outcome:
    """Carry out at once what has all its approvals."""
    if made.state is not State.APPROVED:
        return said
    return desk_keeper.carry_out(deck(), made.id)


def _reject(request: Request, comment: str, seen: str) -> str:
    requests.reject(deck().desk, request.id, comment, binding=seen)
    return t("evidence_page.told.rejected")


def _withdraw(request: Request) -> str:
    requests.withdraw(deck().desk, request.id)
    return t("evidence_page.told.withdrawn")


def _recheck(request: Request) -> str:
    requests.recheck(deck().desk, request.id)
    return t("evidence_page.told.rechecked")


def _comment(request: Request, words: str) -> str:
    requests.comment(deck().desk, request.id, words)
    return t("evidence_page.told.commented")


def _named(request: Request) -> dict[str, object]:
    return {"model": request.model, "version": request.version, "rung": request.rung}
