"""Moving a version, or asking for it: the plan in words before, the confirmation, and what was
read back after.

What the person saw is kept when the plan is drawn and sent with the confirmation: two who decide
on the same view cannot both be right, and the second is told so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from core.errors import Conflict, DeckError
from core.mlflow_api.nouns import ModelVersion
from core.registry.catalogue import Dossier
from core.registry.ladder import Rung
from core.registry.plan import Step, StepKind, Wanted, losing, plan_transition, see
from core.registry.policy import Policy
from core.registry.requests import Kind, move
from core.registry.requests.direct import goes_directly
from core.registry.requests.may import needed, policy_for
from core.registry.transitions import Outcome
from core.texts import t
from core.ui import ask, parts
from core.ui.deck import deck, forget
from core.ui.markup import md, safe

COMMENT_LENGTH = 2000
_ICONS = {
    StepKind.SET_STAGE: "flag",
    StepKind.SET_ALIAS: "sell",
    StepKind.DELETE_ALIAS: "label_off",
    StepKind.SET_TAG: "tag",
}


@dataclass(frozen=True)
class _Drawn:
    """The plan that stands on the page, and what it was made from."""

    wanted: Wanted
    steps: tuple[Step, ...]


def card(dossier: Dossier, version: ModelVersion, *, certain: bool) -> None:
    """Choose a rung, see what would change and who decides it, then move it or ask for it.

    Args:
        certain: whether this is the present state of all versions; else nothing is sent.
    """
    base = f"move:{dossier.model.name}:{version.version}"
    turn = st.session_state.get(f"{base}:turn", 0)
    with st.container(border=True):
        st.subheader(t("model.move.title", version=version.version), anchor=False)
        _tell(base)
        rung = _rung(dossier, version, f"{base}:to:{turn}")
        if rung is None:
            st.caption(t("model.move.choose"))
        elif not dossier.complete:
            st.caption(t("model.move.incomplete_look"))
        else:
            _wish(dossier, version, rung, base, turn, certain=certain)


def _wish(
    dossier: Dossier, version: ModelVersion, rung: Rung, base: str, turn: int, *, certain: bool
) -> None:
    """The plan for one rung, and the form that confirms it."""
    model, desk = dossier.model.name, deck().desk
    usual = desk.rules.policy(model, rung.name)
    archive = _archive(dossier, version, rung, usual, f"{base}:archive:{turn}")
    now = _drawn(dossier, version, rung, archive)
    standing, lost = dossier.standing(version).name, losing(now.steps, dossier.ladder)
    policy = policy_for(desk.rules, model, standing, rung.name, Kind.MOVE, lost)
    if not now.steps:
        st.caption(md("model.move.nothing", version=version.version, rung=rung.name))
        return
    refused = ask.why_not(desk, policy, model, rung.name)
    if refused:
        lines(now.steps)
        st.info(safe(refused), icon=":material/lock:")
        return
    for request in ask.open_requests(model):
        if (request.version, request.rung) == (version.version, rung.name):
            ask.line(request)
    direct = goes_directly(desk, policy)
    with st.form(f"{base}:form:{turn}", border=False, enter_to_submit=False):
        plan = st.container(gap="xsmall")
        comment = st.text_area(
            t("model.move.comment"), height=80, max_chars=COMMENT_LENGTH,
            key=f"{base}:comment:{turn}",
            placeholder=t("model.move.comment_place" if direct else "model.ask.comment_place"),
        )  # fmt: skip
        pressed = direct and st.form_submit_button(
            _question(model, version, rung),
            type="primary", icon=":material/check:", key=f"{base}:do:{turn}",
        )  # fmt: skip
        asked = (not direct or policy.approvals > 0) and st.form_submit_button(
            md("model.ask.do", rung=rung.name, version=version.version),
            type="tertiary" if direct else "primary", icon=":material/approval:",
            key=f"{base}:ask:{turn}",
        )  # fmt: skip
    # What was confirmed stood on the page in the run before; this run may know better already.
    before: _Drawn | None = st.session_state.get(f"{base}:drawn")
    sent = pressed or asked
    confirmed = before if sent and before else now
    if not _same_wish(confirmed, now):  # nobody confirmed what this would do
        st.session_state[f"{base}:told"] = Conflict(t("model.move.other"), t("registry.look_again"))
        st.session_state[f"{base}:drawn"] = now
        st.rerun()
    st.session_state[f"{base}:drawn"] = confirmed
    with plan:
        st.markdown(f"**{t('model.move.plan' if direct else 'model.ask.plan')}**")
        lines(confirmed.steps)
        if direct and policy.approvals:
            st.caption(md("model.move.alone", rung=rung.name, n=policy.approvals))
        elif not direct:
            ask.explain(desk, policy, rung.name, _needed(policy, version))
    if sent and not certain:
        st.warning(t("model.move.not_sent"), icon=":material/cloud_off:")
    elif pressed:
        _apply(replace(confirmed.wanted, comment=comment or ""), base, turn)
    elif asked and confirmed.wanted.expected is not None:
        ask.send(
            model, version.version, rung.name, comment or "",
            archive_existing=archive, seen=confirmed.wanted.expected,
        )  # fmt: skip


def _needed(policy: Policy, version: ModelVersion) -> int:
    """How many must approve."""
    return needed(policy, ask.registrant_of(version), deck().actor.kind)


def _question(model: str, version: ModelVersion, rung: Rung) -> str:
    name = model if len(model) <= 60 else f"{model[:59]}…"
    return md("model.move.do", model=name, version=version.version, rung=rung.name)


def _rung(dossier: Dossier, version: ModelVersion, key: str) -> Rung | None:
    names = [rung.name for rung in dossier.ladder.rungs]
    here = dossier.standing(version).name
    chosen = st.segmented_control(
        t("model.move.to"), names, key=key, format_func=safe,
        help=t("model.move.to_help", here=here),
    )  # fmt: skip
    return dossier.ladder.rung(chosen) if chosen else None


def _archive(dossier: Dossier, version: ModelVersion, rung: Rung, policy: Policy, key: str) -> bool:
    others = [n for n in dossier.on(rung) if n != version.version]
    if not rung.exclusive or not others:
        return rung.exclusive
    return st.toggle(
        md("model.move.archive", versions=_versions(others), rung=rung.name, n=len(others)),
        value=policy.archive_earlier,
        key=key,
        help=t("model.move.archive_help", rung=rung.name),
    )


def _drawn(dossier: Dossier, version: ModelVersion, rung: Rung, archive: bool) -> _Drawn:
    """The plan from the state that the page shows, and that state with it."""
    state, ladder = dossier.state, dossier.ladder
    seen = see(state, version.version, rung.name, ladder)
    wanted = Wanted(
        dossier.model.name, version.version, rung.name, archive_existing=archive, expected=seen
    )
    return _Drawn(wanted, plan_transition(state, wanted, ladder))


def _same_wish(one: _Drawn, other: _Drawn) -> bool:
    return replace(one.wanted, expected=None) == replace(other.wanted, expected=None)


def lines(steps: Sequence[Step]) -> None:
    """Steps in plain words, one a line; those that only write tags in one quiet line."""
    for step in steps:
        if step.kind is not StepKind.SET_TAG:
            st.markdown(f":material/{_ICONS[step.kind]}: {safe(step.sentence)}")
    tags = [step for step in steps if step.kind is StepKind.SET_TAG]
    if tags:
        st.caption(
            md("model.move.tags", key=tags[0].key, versions=_versions([s.version for s in tags]))
        )


def _apply(wanted: Wanted, base: str, turn: int) -> None:
    here = deck()
    try:
        with st.spinner(t("model.move.doing"), show_time=True):
            told: Outcome | DeckError = move(here.desk, wanted)
        st.session_state[f"{base}:turn"] = turn + 1
    except Conflict as conflict:
        told = conflict  # drawn beside the present state, with what was typed kept
    except DeckError as error:
        # It may have come half-way: what it says must outlast the page's own looking again.
        st.session_state[f"{base}:told"] = error
        raise
    finally:
        forget()
    st.session_state[f"{base}:told"] = told
    st.rerun()


def _tell(base: str) -> None:
    """How the last attempt went."""
    told: Outcome | DeckError | None = st.session_state.pop(f"{base}:told", None)
    if told is None:
        return
    if isinstance(told, DeckError):
        st.error(
            f"{safe(told.what)}\n\n{safe(told.next_step)}",
            title=told.title,
            icon=":material/error:",
        )
        return
    tell(told)


def tell(told: Outcome) -> None:
    """What was read back after a change."""
    for line in told.settled:
        st.info(
            md("model.move.settled", what=line.sentence, actor=line.actor, how=line.message),
            icon=":material/history:",
        )
    row = told.transition
    if row is None:
        st.info(t("model.move.was_so"), icon=":material/info:")
    elif not told.complete:
        st.warning(safe(row.message), title=t("model.move.incomplete"), icon=":material/warning:")
    else:
        st.success(
            _read_back(told),
            title=md("model.move.done", version=row.version, rung=row.wanted),
            icon=":material/check_circle:",
        )


def _read_back(told: Outcome) -> str:
    """What MLflow says after the change, as Markdown."""
    row = told.transition
    after = row.after if row is not None else None
    said = []
    for number, place in sorted((after or {}).items(), reverse=True):
        aliases = ", ".join(place.aliases) or t("model.move.no_alias")
        said.append(
            "- " + md("model.move.placed", version=number, stage=place.stage, aliases=aliases)
        )
    at = parts.moment(row.ended_at if row is not None else None)
    return "\n".join([t("model.move.read_back", time=at), "", *said])


def _versions(numbers: Sequence[int]) -> str:
    return ", ".join(t("models.v", version=n) for n in dict.fromkeys(numbers))
