"""Parts of the page of retirement, and what would miss a version that is asked to be archived.

What the person saw is kept when the form is drawn and sent with the click; what was ticked and
typed stays where it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import streamlit as st

from core import formats
from core.lifecycle import retirement
from core.lifecycle.retirement import MOST_ASKED, Asked, Findings, Served
from core.registry.plan import Seen
from core.registry.requests import Request
from core.registry.retirement import Candidate, Facts, Reason
from core.texts import t
from core.ui import errors, runs
from core.ui.deck import deck, forget, read
from core.ui.markup import md, safe, visible
from core.ui.navigation import link
from core.ui.parts import empty, table_of_links, when

DAYS = (30, 90, 180, 365)
MOST_SHOWN = 500
COLUMNS = ("model", "rung", "reasons", "age", "breaks")
_MOST_NAMED = 8
_ASKED, _BUTTON, _DRAWN = "retire_asked", "retire_ask", "retire_drawn"
_TICKED, _TURN, _TYPED = "retire_ticked", "retire_turn", "retire_typed"


@dataclass(frozen=True)
class _Drawn:
    """The form that stands on the page: the versions it names, and how they stood."""

    picked: tuple[tuple[str, int], ...]
    seen: Mapping[tuple[str, int], Seen]


def send() -> None:
    """Ask for what was ticked, where the person has just said so, as they saw it."""
    drawn: _Drawn | None = st.session_state.get(_DRAWN)
    if drawn is None or not st.session_state.get(_BUTTON):
        return
    turn = st.session_state.get(_TURN, 0)
    why = st.session_state.get(f"retire_why_{turn}") or ""
    asked = retirement.ask_to_archive(deck(), drawn.picked, drawn.seen, why)
    refused = [(one.model, one.version) for one in asked if one.request is None]
    st.session_state[_ASKED] = asked
    st.session_state[_TICKED] = refused
    st.session_state[_TYPED] = why if refused else ""
    st.session_state[_TURN] = turn + 1
    forget()
    st.rerun()


def filters(models: Sequence[str]) -> tuple[int, str, list[Reason]]:
    """How many days are too long, one model or "" for all, and the reasons wanted."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = st.selectbox(
            t("retirement.days"), DAYS, index=1, key="days", bind="query-params", width=170,
            format_func=lambda n: t("retirement.n_days", n=n),
        )  # fmt: skip
        chosen = st.selectbox(
            t("retirement.model"), ["", *models], key="model", bind="query-params", width=260,
            format_func=lambda name: visible(name) if name else t("retirement.all_models"),
        )  # fmt: skip
        names = {t(f"retirement.reason.{reason}"): reason for reason in Reason}
        usual = [name for name, reason in names.items() if reason is not Reason.UNALIASED]
        picked = st.pills(
            t("retirement.reasons"), list(names), selection_mode="multi", default=usual,
            key="reasons", bind="query-params",
        )  # fmt: skip
    return days, chosen or "", [names[name] for name in picked]


def found(days: int) -> Findings:
    """What could be retired, remembered for some seconds."""
    with st.spinner(t("retirement.looking"), show_time=True):
        return read("retirement", lambda: retirement.find(deck(), timedelta(days=days)), days)


def models() -> list[str]:
    """The registered models that can be chosen."""
    return [model.name for model in read("models", deck().mlflow.registry.models)]


def versions(here: Findings, model: str, reasons: Sequence[Reason]) -> None:
    """The versions with one of the reasons, and the form that asks for those that are ticked."""
    fitting = [
        c for c in here.candidates if set(c.reasons) & set(reasons) and model in ("", c.facts.model)
    ]
    _limits(here)
    _told()
    if not fitting:
        others = sum(model in ("", c.facts.model) for c in here.candidates)
        empty(t("retirement.none_of_these", n=others) if others else t("retirement.none"),
              "recycling")  # fmt: skip
        return
    shown = fitting[:MOST_SHOWN]
    if len(shown) < len(fitting):
        st.caption(t("retirement.some", shown=len(shown), n=formats.count(len(fitting))))
    ids = [(c.facts.model, c.facts.version) for c in shown]
    ticked = st.session_state.get(_TICKED, ())
    event = st.dataframe(
        [_row(c, here) for c in shown],
        column_config={name: t(f"retirement.column.{name}") for name in COLUMNS},
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        # Positions move when a row is added, and once something was asked for: it is a new table
        # then, with what was ticked of the old one.
        key=f"retire_{runs.fingerprint([*map(str, ids), str(sorted(here.asked))])}",
        selection_default={"selection": {"rows": [i for i, v in enumerate(ids) if v in ticked]}},
        height=min(38 + 35 * len(shown), 460),
        alt=t("retirement.alt"),
    )
    picked = [shown[i] for i in event["selection"]["rows"] if i < len(shown)]
    st.session_state[_TICKED] = [(c.facts.model, c.facts.version) for c in picked]
    _ask(here, picked)


def endpoints(served: Sequence[Served], days: int) -> None:
    """Endpoints with their last call, those that nobody asks first."""
    if not served:
        st.caption(t("retirement.no_endpoints"))
        return
    idle = sum(one.idle for one in served)
    st.markdown(t("retirement.endpoints_idle", n=idle, of=len(served), days=days))
    rows = {}
    for one in sorted(served, key=lambda s: not s.idle):
        rows[one.endpoint.id] = {
            "name": one.endpoint.name,
            "stands": t("retirement.gone") if one.rung is None else visible(one.rung),
            "called": _called(one),
            "since": when(one.endpoint.ready_at),
            "by": one.endpoint.requested_by,
        }
    names = ("name", "stands", "called", "since", "by")
    table_of_links(
        "endpoint", rows, {n: t(f"retirement.column.{n}") for n in names}, t("retirement.served")
    )
    link("endpoints", t("retirement.to_endpoints"), icon=":material/cell_tower:")


def _row(one: Candidate, here: Findings) -> dict[str, object]:
    facts = one.facts
    asked = (facts.model, facts.version) in here.asked
    words = [t("retirement.asked_already")] if asked else []
    words += [_reason(one, reason) for reason in one.reasons]
    return {
        "model": visible(f"{facts.model} v{facts.version}"),
        "rung": visible(facts.rung.name),
        "reasons": visible("; ".join(words)),
        "age": when(facts.changed_at),
        "breaks": visible(_breaks(facts)) or formats.NONE,
    }


def _reason(one: Candidate, reason: Reason) -> str:
    facts = one.facts
    if reason is Reason.STALE:
        return t("retirement.why.stale", ago=_ago(facts.changed_at))
    if reason is Reason.SUPERSEDED and one.by is not None:
        return t("retirement.why.superseded", version=one.by)
    if reason is Reason.SUPERSEDED:
        return t("retirement.why.held", rungs=", ".join(facts.held))
    return t(f"retirement.why.{reason}")


def missed(request: Request) -> None:
    """What would miss the version of an open request to retire it, as it is now."""
    if not request.open or request.rung != deck().rules.ladder.retired:
        return
    with errors.part():
        facts = read("retired", lambda: retirement.facts(deck(), request.model, request.version),
                     request.model, request.version)  # fmt: skip
        name, what = f"{facts.model} v{facts.version}", _breaks(facts)
        if what:
            st.warning(md("retirement.would_break", name=name, what=what),
                       icon=":material/link_off:")  # fmt: skip
        else:
            st.caption(f":material/link_off: {md('retirement.breaks_nothing', name=name)}")


def _breaks(facts: Facts) -> str:
    words = [t("retirement.breaks.alias", alias=alias) for alias in facts.aliases]
    for service in facts.services:
        last = t("retirement.last", ago=_ago(service.called_at)) if service.called_at else (
            t("retirement.never" if service.known else "retirement.unknown")
        )  # fmt: skip
        words.append(t("retirement.breaks.endpoint", id=service.endpoint[:6], last=last))
    if facts.rung.exclusive:
        words.append(t("retirement.breaks.rung", rung=facts.rung.name))
    return "; ".join(words)


def _called(one: Served) -> str:
    if one.service.called_at is not None:
        return when(one.service.called_at)
    return t("retirement.never" if one.service.known else "retirement.unknown")


def _ago(at: datetime | None) -> str:
    return when(at)


def _limits(here: Findings) -> None:
    st.caption(
        t("retirement.looked", n=formats.count(here.versions), models=formats.count(here.models))
    )
    if not here.whole_record:
        st.caption(t("retirement.moves", n=formats.count(here.moves)))


def _ask(here: Findings, picked: Sequence[Candidate]) -> None:
    """The form that asks; it names what is ticked, and what would miss it."""
    if not picked:
        st.caption(t("retirement.tick"))
        return
    if len(picked) > MOST_ASKED:
        st.warning(t("retirement.too_many", n=len(picked), most=MOST_ASKED))
        return
    ids = tuple((c.facts.model, c.facts.version) for c in picked)
    st.session_state[_DRAWN] = _Drawn(ids, {one: here.seen[one] for one in ids})
    breaking = [c.facts for c in picked if _breaks(c.facts)]
    with st.form("retire", border=True, enter_to_submit=False):
        named = ", ".join(f"{model} v{version}" for model, version in ids[:_MOST_NAMED])
        more = len(ids) - _MOST_NAMED
        st.markdown(
            md("retirement.asks", names=named) if more <= 0
            else md("retirement.asks_more", names=named, n=more)
        )  # fmt: skip
        for facts in breaking[:_MOST_NAMED]:
            name = f"{facts.model} v{facts.version}"
            st.warning(
                md("retirement.would_break", name=name, what=_breaks(facts)),
                icon=":material/link_off:",
            )
        if len(breaking) > _MOST_NAMED:
            n = len(breaking) - _MOST_NAMED
            st.warning(t("retirement.would_break_more", n=n), icon=":material/link_off:")
        st.text_area(
            t("retirement.comment"), st.session_state.get(_TYPED, ""), height=90,
            key=f"retire_why_{st.session_state.get(_TURN, 0)}",
        )  # fmt: skip
        st.caption(t("retirement.nothing_deleted"))
        st.form_submit_button(
            t("retirement.ask", n=len(ids)), type="primary", icon=":material/archive:", key=_BUTTON
        )


def _told() -> None:
    """What came of the last asking."""
    asked: list[Asked] = st.session_state.pop(_ASKED, [])
    done = [one for one in asked if one.request is not None]
    if done:
        st.success(t("retirement.asked", n=len(done)), icon=":material/check_circle:")
        link("approvals", t("retirement.to_approvals"), icon=":material/approval:")
    for one in asked:
        if one.request is None:
            st.error(
                f"**{safe(f'{one.model} v{one.version}')}**: {safe(one.why_not)}",
                icon=":material/error:",
            )
