"""Who held which rung when, and who carried which alias: a chart, and the same as a table."""

import pandas as pd
import streamlit as st

from core import charts
from core.ledger import now
from core.registry.catalogue import Dossier
from core.registry.timeline import Span, aliases_until_now, until_now
from core.texts import t
from core.ui import parts, runs
from core.ui.markup import safe, visible
from core.ui.model.told import told

MOST = 200
"""Spans that are drawn, the newest, of rungs and of aliases; the table holds all."""
MOST_ALIASES = 12
"""Spans of aliases, the newest, whose aliases have a row in the chart: each row takes room."""


def draw(dossier: Dossier) -> None:
    """The chart from the record, with the table below it."""
    at, known = now(), told(dossier.model.name)
    there = (known, dossier.state, dossier.ladder, at)
    rungs = until_now(*there, whole=dossier.complete)
    aliases = aliases_until_now(*there, whole=dossier.complete)
    found = tuple(sorted([*rungs, *aliases], key=lambda s: (s.since, s.version)))
    if not found:
        parts.empty(t("model.held.none"), "timeline")
        return
    shown = {one.alias for one in aliases[::-1][:MOST_ALIASES]}
    drawn = [*rungs[-MOST:], *(one for one in aliases[-MOST:] if one.alias in shown)]
    frame = pd.DataFrame(
        {
            "rung": [_where(s) for s in drawn],
            "version": [s.version for s in drawn],
            "since": [s.since for s in drawn],
            "until": pd.Series([s.until for s in drawn], dtype=object),
            "found": [s.known_since for s in drawn],
            "by": [s.by for s in drawn],
        }
    )
    order = tuple(rung.name for rung in reversed(dossier.ladder.rungs) if rung.exclusive)
    order += tuple(sorted({_where(s) for s in drawn if s.alias}))
    figure, notes = charts.held_over_time(frame, order, at, st.context.timezone)
    st.plotly_chart(figure, key="held_over_time")
    st.caption(safe(notes.text))
    if len(drawn) < len(found):
        st.caption(t("model.held.newest", n=len(drawn), total=len(found)))
    _table(found[::-1])
    st.caption(t("model.held.ours"))


def _table(found: tuple[Span, ...]) -> None:
    column = st.column_config
    time = "YYYY-MM-DD HH:mm:ss"
    zone = st.context.timezone
    st.dataframe(
        pd.DataFrame(
            {
                "rung": [visible(_where(s)) for s in found],
                "version": [t("models.v", version=s.version) for s in found],
                "since": runs.instants([s.since.replace(microsecond=0) for s in found]),
                "until": runs.instants(
                    [s.until.replace(microsecond=0) if s.until else None for s in found]
                ),
                "by": [visible(s.by) or t("model.held.unknown") for s in found],
                "how": [t(f"model.held.{_how(s)}") for s in found],
            }
        ),
        hide_index=True, alt=t("model.held.alt"), placeholder="",
        column_config={
            "rung": column.TextColumn(t("model.held.where"), width=140),
            "version": column.TextColumn(t("model.column.version"), width=80),
            "since": column.DatetimeColumn(t("model.held.since"), format=time, timezone=zone),
            "until": column.DatetimeColumn(t("model.held.until"), format=time, timezone=zone),
            "by": column.TextColumn(t("model.held.by"), width=140),
            "how": column.TextColumn(t("model.held.how"), width="medium"),
        },
    )  # fmt: skip


def _where(span: Span) -> str:
    """The rung, or the alias as MLflow's addresses write it."""
    return f"@{span.alias}" if span.alias else span.rung


def _how(span: Span) -> str:
    if span.known_since:
        return "found_both" if span.known_until else "found_since"
    return "found_until" if span.known_until else "recorded"
