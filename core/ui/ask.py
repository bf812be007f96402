"""Asking for a rung: who decides, for how long, after which checks, said before it is asked."""

import streamlit as st

from core import formats
from core.ledger import now
from core.mlflow_api.nouns import ModelVersion
from core.people import Permission
from core.registry.desk import Desk
from core.registry.gates import title
from core.registry.origin import registrant
from core.registry.plan import Seen
from core.registry.policy import EVERYONE, Level, Policy
from core.registry.requests import OPEN, Request, ask, listed
from core.registry.requests.direct import goes_directly
from core.texts import t
from core.ui.deck import deck, forget, read
from core.ui.markup import md
from core.ui.navigation import go, link

_LEVELS = (Level.BLOCK, Level.WARN, Level.INFORM)
_GROUP = "group:"


def open_requests(model: str) -> list[Request]:
    """The open requests of a model, newest first."""
    desk = deck().desk
    return read("open requests", lambda: listed(desk, model=model, states=OPEN), model)


def registrant_of(version: ModelVersion) -> str | None:
    """Who registered a version; None where that is not known."""
    here = deck()
    return read(
        "registrant",
        lambda: registrant(here.ledger, version, here.mlflow.address),
        version.model, version.version,
    )  # fmt: skip


def why_not(desk: Desk, policy: Policy, model: str, rung: str) -> str:
    """Why this person can neither move a version to a rung nor ask for it, plain text; "" where
    they can. For drawing: the action asks again."""
    named = policy.may_ask(desk.actor)
    if policy.approvals and not goes_directly(desk, policy):
        named = named or policy.may_decide(desk.actor)
        level = Permission.READ
    else:
        level = Permission.EDIT
    if not named:
        return t("requests.not_asker", actor=desk.actor.name, model=model, rung=rung)
    held = read("level", lambda: desk.permissions.on_model(desk.actor, model), model)
    if held < level:
        return t("people.missing.model", actor=desk.actor.name, model=model, right=level.name)
    return ""


def explain(desk: Desk, policy: Policy, rung: str, needed: int) -> None:
    """What happens once it is asked: who decides, until when, what is checked before.

    Args:
        needed: how many must approve.
    """
    if needed == 0:
        said = [md("model.ask.nobody", rung=rung)]
    elif desk.actor.decides_alone:
        said = [md("model.ask.alone", rung=rung)]
    elif not policy.decide:
        said = [md("model.ask.no_deciders", rung=rung)]
    else:
        who = ", ".join(_named(one) for one in policy.decide)
        said = [md("model.ask.decided", rung=rung, who=who, n=needed)]
        if needed > policy.approvals:
            said.append(t("model.ask.one_more"))
    said.append(t("model.ask.lives", time=formats.duration(policy.lives)))
    st.markdown("  \n".join(said))
    for level in _LEVELS:
        gates = [title(use.gate) for use in policy.gates if use.level is level]
        if gates:
            st.caption(md(f"model.ask.checks.{level}", gates=", ".join(gates)))
    if not policy.gates:
        st.caption(t("model.ask.no_checks"))


def send(
    model: str, version: int, rung: str, comment: str, *, archive_existing: bool, seen: Seen
) -> None:
    """Ask, and go where the request is shown.

    Raises:
        DeckError: it cannot be asked; what was typed stays.
    """
    try:
        asked = ask(
            deck().desk, model, version, rung, comment, archive_existing=archive_existing, seen=seen
        )
    finally:
        forget()
    go("evidence", request=asked.id)


def line(request: Request, *, on_rung: bool = False) -> None:
    """One open request as a link to its page.

    Args:
        on_rung: it stands on the narrow card of its rung, which need not be named again.
    """
    label = md(
        "model.ask.open_on_rung" if on_rung else "model.ask.open",
        version=request.version,
        rung=request.rung,
        who=request.requester,
        state=t(f"requests.state.{request.state}"),
        ago=formats.ago(request.asked_at, now()),
    )
    link("evidence", label, icon=":material/approval:", request=request.id)


def _named(one: str) -> str:
    if one == EVERYONE:
        return t("model.ask.everyone")
    if one.startswith(_GROUP):
        return t("model.ask.group", name=one.removeprefix(_GROUP))
    return one
