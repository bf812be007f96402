"""What stood on each rung at a moment, told by the record."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from core import formats
from core.ledger import chain, now
from core.registry.timeline import Span, held, named
from core.texts import t
from core.ui import parts
from core.ui.deck import deck, read
from core.ui.ledger.lines import readable, sees_all
from core.ui.markup import visible


def draw() -> None:
    """A moment, a rung, one model or all; a table of what stood there then."""
    here, zone = deck(), st.context.timezone
    # By itself it shows what stands now: of this minute all that has happened counts.
    soon = formats.in_zone(now() + timedelta(minutes=1), zone)
    store = here.mlflow.address
    past = _named(here.scope, str(read("record head", lambda: chain.head(here.ledger))))
    names = readable()
    # What is gone from MLflow nobody can be asked for: whoever sees all lines sees it.
    offered = sorted({*names, *past[1]}) if sees_all() else names
    with st.container(horizontal=True, vertical_alignment="bottom"):
        day = st.date_input(
            t("record.stood.day"), soon.date(), key="stood_day", bind="query-params", width=160,
            format="YYYY-MM-DD",
        )  # fmt: skip
        hour = st.time_input(
            t("record.stood.time"), time(soon.hour, soon.minute), key="stood_time",
            bind="query-params", width=120,
        )  # fmt: skip
        rungs = [rung.name for rung in here.rules.ladder.rungs]
        rungs += [name for name in past[0] if name not in rungs]
        top = rungs.index(here.rules.ladder.top.name)
        rung = st.selectbox(
            t("record.stood.rung"), rungs, index=top, key="stood_rung", bind="query-params",
            width=180,
        )  # fmt: skip
        model = st.selectbox(
            t("ledger.model"), offered, index=None, key="stood_model", bind="query-params",
            width=220, placeholder=t("ledger.all"), format_func=visible,
        )  # fmt: skip
    moment = datetime.combine(day, hour, tzinfo=ZoneInfo(zone or "UTC"))
    found = read(
        "what stood", lambda: held(here.ledger, store, rung, moment, model), rung, moment, model
    )
    rows = [
        {
            "model": visible(name),
            "version": t("models.v", version=span.version) if span else t("record.stood.nothing"),
            "since": parts.moment(span.since) if span else "",
            "how": _how(span) if span else "",
            "by": visible(span.by) if span else "",
            "line": span.number if span else None,
        }
        for name, spans in found.items()
        if sees_all() or name in names
        for span in (spans or (None,))
    ]
    if not rows:
        parts.empty(t(f"record.stood.{'unknown' if sees_all() else 'unreadable'}"), "history_edu")
        return
    columns = {name: t(f"record.stood.column.{name}") for name in rows[0]}
    st.dataframe(
        rows, column_config=columns, hide_index=True, placeholder="", alt=t("record.stood.alt")
    )
    st.caption(t("record.stood.about"))


# The whole record is gone through: once for all, until it grows.
@st.cache_data(max_entries=10, show_spinner=False)
def _named(
    scope: tuple[str, str, str],  # noqa: ARG001 - asked where, a part of the memory's key
    head: str,  # noqa: ARG001
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return named(deck().ledger, deck().mlflow.address)


def _how(span: Span) -> str:
    """How it is known that it stood there, and whether it stood there for sure until the end."""
    said = t(f"record.stood.{'found' if span.known_since else 'moved'}")
    if span.until is None or not span.known_until:
        return said
    gone = parts.moment(span.until)
    if span.last_known is None:
        return t("record.stood.gone", said=said, gone=gone)
    return t("record.stood.known_until", said=said, last=parts.moment(span.last_known), gone=gone)
