"""The manager's inbox: one card a request, with a sentence in plain words. Fit for a phone."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from core import formats
from core.ledger import now
from core.lifecycle import brief
from core.registry.gates.evidence_json import from_json
from core.registry.requests import OPEN, Page, Request, State, may, page, tally, waiting_for
from core.registry.requests.rows import get
from core.texts import t
from core.ui import parts
from core.ui.deck import deck, read
from core.ui.markup import safe
from core.ui.navigation import go

VIEWS = ("mine", "asked", "open", "closed")
LATELY = timedelta(days=30)
SHOWN = 50
LONGEST = 200
"""Characters of what is looked for."""
_LOOK_SECONDS = 2.0
_UNDER_WAY = (State.CHECKING, State.APPROVED, State.APPLYING)
"""States that the worker, or whoever carries it out, ends by itself."""

_COLOURS = {
    State.CHECKING: ("blue", "progress_activity"),
    State.BLOCKED: ("red", "block"),
    State.WAITING: ("orange", "how_to_vote"),
    State.APPROVED: ("blue", "thumb_up"),
    State.APPLYING: ("blue", "progress_activity"),
    State.DONE: ("green", "check_circle"),
    State.REJECTED: ("red", "thumb_down"),
    State.FAILED: ("red", "error"),
    State.OUTDATED: ("orange", "update"),
}

_STYLE = """<style>
.st-key-approval_cards button, [class*="st-key-evidence_do"] button { min-height: 3rem; }
@media (min-width: 641px) { .st-key-evidence_jump { display: none; } }
</style>"""
"""Buttons that a thumb hits; what only a narrow page needs."""


def style() -> None:
    """What the theme cannot say: the size of this page's buttons."""
    st.html(_STYLE)  # noqa: TID251 - nothing from outside is in it


def view() -> str:
    """The list that the person wants to see; part of the address."""
    labels = {t(f"approvals.view.{name}"): name for name in VIEWS}
    chosen = st.segmented_control(
        t("approvals.view_label"),
        list(labels),
        default=next(iter(labels)),
        required=True,
        key="list",
        bind="query-params",
        label_visibility="collapsed",
    )
    return labels.get(chosen or "", VIEWS[0])


def draw(chosen: str) -> None:
    """The cards of one list."""
    style()
    words = ""
    if chosen in ("open", "closed"):
        words = st.text_input(
            t("approvals.search"), key="q", bind="query-params", max_chars=LONGEST,
            placeholder=t("approvals.search_place"), icon=":material/search:",
        )  # fmt: skip
    found = _found(chosen, words[:LONGEST])
    if not found.shown:
        key = "found" if words.strip() else chosen
        parts.empty(t(f"approvals.none.{key}"), "search_off" if words.strip() else "inbox")
        if chosen == "mine":
            st.caption(t("approvals.none.mine_next"))
        return
    if found.total > len(found.shown):
        key = "shown_oldest" if chosen == "mine" else "shown"
        n, of = formats.count(len(found.shown)), formats.count(found.total)
        st.caption(t(f"approvals.{key}", n=n, of=of))
    with st.container(key="approval_cards"):
        for request in found.shown:
            card(request)
    watch(found.shown)


def card(request: Request) -> None:
    """One request: what, in a sentence, who and how long, and the way to its evidence."""
    evidence = from_json(request.evidence) if request.evidence else None
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{safe(brief.title(request), 120)}**", width="stretch")
            badge(request)
        st.markdown(safe(brief.sentence(request, evidence)))
        st.caption(safe(" · ".join(_facts(request))))
        if request.comment:
            st.caption(f"“{safe(request.comment, 200)}”")
        if request.message and not request.open:
            st.caption(f":material/flag: {safe(request.message, 300)}")
        why_not = _why_not(request)
        if why_not:
            st.caption(f":material/lock: {safe(why_not)}")
        if st.button(
            t("approvals.open"), key=f"open_{request.id}", icon=":material/balance:",
            width=340, type="primary" if not why_not and request.open else "secondary",
        ):  # fmt: skip
            go("evidence", request=request.id)


def badge(request: Request) -> None:
    """A request's state as a badge."""
    colour, icon = _COLOURS.get(request.state, ("grey", "history"))
    st.badge(brief.state_said(request.state), icon=f":material/{icon}:", color=colour)  # type: ignore[arg-type]


def watch(found: Sequence[Request]) -> None:
    """Draw the page anew once something that goes on by itself has come further."""
    states = {one.id: (one.state, one.message) for one in found if one.state in _UNDER_WAY}
    if not states:
        return

    @parts.live(_LOOK_SECONDS)
    def look() -> None:
        ledger = deck().ledger  # states alone: what else a request holds was not asked for
        now = [get(ledger, number) for number in states]
        if [(one.state, one.message) for one in now] != list(states.values()):
            parts.again()

    look()


def until(at: datetime) -> str:
    """How long from now something will be, in one unit: plain text."""
    seconds = (at - now()).total_seconds()
    if seconds < 45:
        return t("approvals.in.now")
    for unit, length, most in (("minute", 60, 60), ("hour", 3_600, 48)):
        n = round(seconds / length)
        if n < most:
            return t(f"approvals.in.{unit}", n=max(1, n))
    return t("approvals.in.day", n=round(seconds / 86_400))


def _found(chosen: str, words: str) -> Page:
    desk = deck().desk
    if chosen == "mine":
        waiting = read("approvals.mine", lambda: waiting_for(desk))
        return Page(tuple(waiting[:SHOWN]), len(waiting))
    if chosen == "open":
        return read("approvals.open", lambda: page(desk, states=OPEN, words=words, limit=SHOWN),
                    words)  # fmt: skip
    since = now() - LATELY
    if chosen == "asked":
        return read("approvals.asked", lambda: page(desk, requester=desk.actor.name, since=since,
                    limit=SHOWN))  # fmt: skip
    closed = [state for state in State if state not in OPEN]
    return read("approvals.closed", lambda: page(desk, states=closed, since=since, words=words,
                limit=SHOWN), words)  # fmt: skip


def _facts(request: Request) -> list[str]:
    mine = request.requester == deck().actor.name
    ago = formats.ago(request.asked_at, now())
    said = [
        t("approvals.card.asked_self", ago=ago)
        if mine
        else t("approvals.card.asked", who=request.requester, ago=ago)
    ]
    have, n = tally(deck().desk, request)
    if n:
        said.append(t("approvals.card.approvals", n=n, have=have))
    else:
        said.append(t("approvals.card.no_approvals"))
    if request.broke_glass:
        said.append(t("approvals.card.broke_glass"))
    if request.open:
        said.append(t("approvals.card.expires", when=until(request.expires_at)))
    elif request.closed_at is not None:
        said.append(t("approvals.card.closed", ago=formats.ago(request.closed_at, now())))
    return said


def _why_not(request: Request) -> str:
    """Why this person may not approve a request that is open; "" where they may."""
    if not request.open:
        return ""
    rights = read("approvals.may", lambda: may(deck().desk, request), request.id, request.state,
                  len(request.decisions))  # fmt: skip
    return "" if rights.approve else rights.why_not.get("approve", "")
