"""The record's lines: asked for, listed, one of them looked at, saved."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from core.ledger import chain
from core.ledger.chain import Line
from core.registry.telling import KINDS, changes, sentence
from core.texts import has, t
from core.ui import parts, runs
from core.ui.deck import deck, read
from core.ui.ledger import saving
from core.ui.markup import plain, safe, visible
from core.ui.navigation import asked, link

PAGE = 50


@dataclass(frozen=True)
class Wish:
    """What is asked of the record."""

    models: tuple[str, ...] | None
    """Only these; None: all, those without a model too."""
    actions: tuple[str, ...] | None
    actor: str | None
    text: str | None
    since: datetime | None
    until: datetime | None

    def lines(self, limit: int | None, offset: int = 0) -> list[Line]:
        """The lines, newest first."""
        return chain.lines(deck().ledger, limit=limit, offset=offset, **self._wanted)

    def count(self) -> int:
        """How many there are."""
        return chain.count(deck().ledger, **self._wanted)

    @property
    def _wanted(self) -> chain.Wanted:
        return {
            # Lines about the desk itself, such as webhooks, name no store.
            "store": None if self.models is None else deck().mlflow.address,
            "models": self.models, "action": self.actions, "actor": self.actor,
            "text": self.text, "since": self.since, "until": self.until,
        }  # fmt: skip


def sees_all() -> bool:
    """Whether whoever is here may see every line: this machine's user, and administrators."""
    return deck().actor.administrator


def readable() -> list[str]:
    """Registered models that the person may read, by name."""
    found = read("readable models", lambda: deck().mlflow.registry.models())
    return [model.name for model in found]


def controls() -> Wish:
    """What to look for."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            t("ledger.search"), key="q", bind="query-params", type="search", width=184,
            placeholder=t("ledger.search_place"),
        )  # fmt: skip
        names = readable()
        if asked("model") and asked("model") not in names and sees_all():
            names = [asked("model"), *names]  # it may be gone from MLflow, and not from here
        model = st.selectbox(
            t("ledger.model"), names, index=None, key="model", bind="query-params", width=180,
            placeholder=t("ledger.all"), format_func=visible,
        )  # fmt: skip
        kinds = {t(f"ledger.kind.{kind}"): kind for kind in KINDS}
        kind = st.selectbox(
            t("ledger.kinds"), list(kinds), index=None, key="kind", bind="query-params",
            placeholder=t("ledger.all"), width=160,
        )  # fmt: skip
        mine = None if sees_all() else tuple(names)
        people = read("record's people", lambda: chain.actors(deck().ledger, models=mine), mine)
        actor = st.selectbox(
            t("ledger.person"), people, index=None, key="who", bind="query-params", width=150,
            placeholder=t("ledger.all"), format_func=visible,
        )  # fmt: skip
        period = st.date_input(
            t("ledger.period"), [], key="period", bind="query-params", width=240,
            format="YYYY-MM-DD",
            help=t("ledger.period_help"),
        )  # fmt: skip
    since, until = _period(period)
    models = (model,) if model else mine
    actions = KINDS[kinds[kind]] if kind in kinds else None
    return Wish(models, actions, actor, words or None, since, until)


def draw(wish: Wish) -> None:
    """The table of lines, a page at a time, and the one that was chosen."""
    total = read("record count", wish.count, wish)
    if not total:
        looking = any((wish.text, wish.actions, wish.actor, wish.since, wish.until, wish.models))
        parts.empty(t("ledger.no_match" if looking else "ledger.none"), "history_edu")
        return
    pages = -(-total // PAGE)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.empty()
        place = 1
        if pages > 1:
            place = int(
                st.number_input(
                    t("ledger.page"), 1, pages, key="page", bind="query-params", width=140
                )
                or 1
            )
        saving.button(wish, total)
    offset = (min(place, pages) - 1) * PAGE
    found = read("record lines", lambda: wish.lines(PAGE, offset), wish, offset)
    shown.caption(
        t("ledger.shown", first=offset + 1, last=offset + len(found), n=total), width="stretch"
    )
    chosen = _table(found, one_model=wish.models is not None and len(wish.models) == 1)
    if chosen is not None:
        details(chosen)


def _table(found: Sequence[Line], *, one_model: bool) -> Line | None:
    column = st.column_config
    frame = pd.DataFrame(
        {
            "number": [line.number for line in found],
            "when": runs.instants([line.at.replace(microsecond=0) for line in found]),
            "who": [visible(line.entry.actor) or t("ledger.nobody_known") for line in found],
            "what": [visible(sentence(line.entry)) for line in found],
            "model": [visible(line.entry.model) for line in found],
            "why": [visible(line.entry.why) for line in found],
            "change": [visible(changes(line.entry)) for line in found],
            "path": [path(line.entry.path) for line in found],
        }
    )
    event = st.dataframe(
        frame, column_order=[c for c in frame if c != "model" or not one_model],
        hide_index=True, on_select="rerun", selection_mode="single-row",
        key=f"ledger_{runs.fingerprint([line.hash for line in found])}",
        alt=t("ledger.alt"), placeholder="", height=min(38 + 35 * len(found), 560),
        column_config={
            "number": column.NumberColumn(t("ledger.column.number"), width=50, pinned=True),
            "when": column.DatetimeColumn(
                t("ledger.column.when"), format="YYYY-MM-DD HH:mm:ss",
                timezone=st.context.timezone,
            ),
            "who": column.TextColumn(t("ledger.column.who")),
            "what": column.TextColumn(t("ledger.column.what")),
            "model": column.TextColumn(t("ledger.column.model")),
            "change": column.TextColumn(t("ledger.column.change"), width=320),
            "why": column.TextColumn(t("ledger.column.why"), width=420),
            "path": column.TextColumn(t("ledger.column.path")),
        },
    )  # fmt: skip
    rows = event["selection"]["rows"]
    if not rows:
        st.caption(t("ledger.choose"))
        return None
    return found[rows[0]]


def path(name: str) -> str:
    """By which way, in words."""
    return t(f"ledger.path.{name}") if has(f"ledger.path.{name}") else visible(name)


def details(line: Line) -> None:
    """All that one line holds."""
    entry = line.entry
    with st.container(border=True):
        st.markdown(f"**{safe(t('ledger.line', number=line.number, what=sentence(entry)))}**")
        who = entry.actor or t("ledger.nobody_known")
        st.caption(safe(f"{who} · {parts.moment(line.at)} · {path(entry.path)}"))
        if entry.action == chain.UNREADABLE:
            st.caption(t("ledger.stored"))
            st.code(plain(line.body), language=None, wrap_lines=True)
        if changes(entry):
            st.text(visible(changes(entry)))
        if entry.why:
            st.text(f"“{visible(entry.why)}”")
        if entry.details:
            with st.expander(t("ledger.details")):
                st.json(plain(dict(entry.details)))
        st.code(f"{line.previous}\n{line.hash}", language=None)
        st.caption(t("ledger.hashes"))
        with st.container(horizontal=True):
            if entry.request_id:
                link("evidence", t("ledger.to_request"), icon=":material/fact_check:",
                     request=entry.request_id)  # fmt: skip
            if entry.model:
                link("model", t("ledger.to_model"), icon=":material/deployed_code_history:",
                     model=entry.model)  # fmt: skip


def _period(chosen: object) -> tuple[datetime | None, datetime | None]:
    """From the first day's beginning to the last day's end, in the viewer's zone."""
    days: Collection[date] = chosen if isinstance(chosen, tuple) else ()
    if not days:
        return None, None
    zone = ZoneInfo(st.context.timezone or "UTC")
    first, last = min(days), max(days)
    begin = datetime.combine(first, time(), zone).astimezone(UTC)
    end = datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
    return begin, end if len(days) > 1 else None
