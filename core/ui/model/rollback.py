"""The way back: the earlier holder of a rung put there again, its steps shown before."""

import streamlit as st

from core.errors import DeckError
from core.registry.catalogue import Dossier
from core.registry.ladder import Rung
from core.registry.plan import Wanted, losing, plan_transition, see
from core.registry.requests import Kind, move, roll_back
from core.registry.requests.direct import goes_directly
from core.registry.requests.earlier import earlier_holder
from core.registry.requests.may import decides_by_asking, needed, policy_for
from core.texts import t
from core.ui import ask
from core.ui.deck import deck, forget, read
from core.ui.markup import md, safe
from core.ui.model.told import told
from core.ui.move import COMMENT_LENGTH, lines, tell
from core.ui.navigation import go


def draw(dossier: Dossier, rung: Rung) -> None:
    """A popover with the steps and the confirmation; nothing where no earlier holder is known."""
    here, model, ladder, state = deck(), dossier.model.name, dossier.ladder, dossier.state
    key = _key(model, rung)
    tell_last(model, rung)
    known = told(model)
    version = read(
        "earlier holder",
        lambda: earlier_holder(here.ledger, here.mlflow.address, known, state, rung, ladder),
        model, rung.name, here.rules.digest, dossier.on(rung),
    )  # fmt: skip
    if version is None:
        return
    seen = see(state, version, rung.name, ladder)
    wanted = Wanted(model, version, rung.name, expected=seen)
    steps = plan_transition(state, wanted, ladder)
    policy = policy_for(
        here.rules, model, seen.rung, rung.name, Kind.ROLLBACK, losing(steps, ladder)
    )
    direct = goes_directly(here.desk, policy)
    with (
        st.popover(t("model.rollback.label", version=version), icon=":material/undo:"),
        st.form(f"{key}:form", border=False, enter_to_submit=False),
    ):
        st.markdown(md("model.rollback.what", rung=rung.name, version=version))
        lines(steps)
        refused = ask.why_not(here.desk, policy, model, rung.name)
        if refused:
            st.caption(safe(refused))
        elif not direct:
            made_by = ask.registrant_of(dossier.version(version))
            decides = decides_by_asking(here.actor, policy, made_by)
            _say_who(needed(policy, "", here.actor.kind), decides=decides)
        comment = st.text_input(
            t("model.rollback.comment"), max_chars=COMMENT_LENGTH, key=f"{key}:comment"
        )
        pressed = st.form_submit_button(
            md("model.rollback.do" if direct else "model.rollback.ask", version=version,
               rung=rung.name),
            type="primary", icon=":material/undo:", key=f"{key}:do", disabled=bool(refused),
        )  # fmt: skip
    # What was confirmed stood on the page in the run before.
    drawn: Wanted = st.session_state.get(f"{key}:drawn", wanted) if pressed else wanted
    st.session_state[f"{key}:drawn"] = drawn
    if pressed:
        _do(drawn, (comment or "").strip(), key, direct=direct)


def _say_who(approvals: int, *, decides: bool) -> None:
    if decides and approvals <= 1:
        st.caption(t("model.rollback.at_once"))
    else:
        st.caption(t("model.rollback.decided", n=approvals))


def _do(wanted: Wanted, comment: str, key: str, *, direct: bool) -> None:
    here, seen = deck(), wanted.expected
    try:
        if not direct and seen is not None:
            asked = roll_back(
                here.desk, wanted.model, wanted.rung, comment,
                version=wanted.version, seen=seen,
            )  # fmt: skip
            go("evidence", request=asked.id)
        said = comment or t("requests.rollback_comment", version=wanted.version, rung=wanted.rung)
        st.session_state[f"{key}:told"] = move(
            here.desk, Wanted(wanted.model, wanted.version, wanted.rung, comment=said,
                              expected=wanted.expected), kind=Kind.ROLLBACK
        )  # fmt: skip
    except DeckError as error:
        error.retryable = False  # looking again would take the words away
        raise
    finally:
        forget()
    st.rerun()


def tell_last(model: str, rung: Rung) -> None:
    """What was read back after the last one."""
    outcome = st.session_state.pop(f"{_key(model, rung)}:told", None)
    if outcome is not None:
        tell(outcome)


def _key(model: str, rung: Rung) -> str:
    return f"rollback:{model}:{rung.name}"
