"""Runs on pages: what is read of them, remembered, and the table that they stand in."""

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from core import formats
from core.ledger import now
from core.mlflow_api.nouns import Experiment, Run
from core.mlflow_api.tracking import ALL
from core.runs import query as runs
from core.runs.activity import Counter
from core.runs.curves import Histories
from core.runs.query import RunQuery, RunTable
from core.texts import t
from core.ui import parts
from core.ui.deck import deck, forget, read
from core.ui.markup import plain_frame

STATUS_COLOURS = {
    "FINISHED": "green",
    "RUNNING": "blue",
    "SCHEDULED": "grey",
    "FAILED": "red",
    "KILLED": "orange",
}
_REMEMBERED = 15
"""Seconds. Longer than other reads: a run table is dear."""
_SHOWN = timedelta(minutes=10)
_MOST_SHOWN = 4

NESTED = "↳ "


def table(asked: RunQuery) -> RunTable:
    """The answer to a query, remembered for some seconds."""
    with st.spinner(t("experiments.loading"), show_time=True):
        return _table(_scope(), asked)


@st.cache_data(ttl=_REMEMBERED, max_entries=16, show_spinner=False)
def _table(scope: tuple[str, str], asked: RunQuery) -> RunTable:  # noqa: ARG001 - part of the key
    return runs.query(deck().mlflow, asked)


def shown(asked: RunQuery) -> RunTable:
    """The answer to a query, kept for a page that says how old it is and offers to refresh it.

    It stays while a person ticks rows of it: for minutes, until a write of theirs, or till they
    have looked at several others.
    """
    held: dict[tuple[object, ...], RunTable] = st.session_state.setdefault("_tables", {})
    key = (*_scope(), asked)
    there = held.pop(key, None)
    if there is None or now() - there.at > _SHOWN:
        there = table(asked)
    held[key] = there  # the last one used comes last
    while len(held) > _MOST_SHOWN:
        del held[next(iter(held))]
    return there


def as_of(rows: RunTable) -> str:
    """When a table was read: plain text."""
    moment = formats.moment(rows.at, st.context.timezone)[11:]
    return t("experiments.as_of", time=moment, ago=parts.when(rows.at))


def refresh_button(key: str) -> None:
    """Reads what is shown anew."""
    if st.button(t("experiments.refresh"), type="tertiary", icon=":material/refresh:", key=key):
        refresh()
        st.rerun()


def run(run_id: str) -> Run:
    """One run."""
    return read("run", lambda: deck().mlflow.tracking.run(run_id), run_id)


def experiments(view: str = ALL) -> list[Experiment]:
    """The experiments of one view, last changed first."""
    return read("experiments", lambda: deck().mlflow.tracking.experiments(view), view)


def experiment_names(ids: Sequence[str]) -> dict[str, str]:
    """Each experiment's name; one that does not exist raises NotFound."""
    known = {e.id: e.name for e in experiments(ALL)}
    return {i: known[i] if i in known else deck().mlflow.tracking.experiment(i).name for i in ids}


def counter() -> Counter:
    """Counts the runs of experiments in the background."""
    return _counter(_scope())


@st.cache_resource(show_spinner=False, max_entries=20)
def _counter(scope: tuple[str, str]) -> Counter:  # noqa: ARG001 - part of the key
    return Counter(deck().mlflow)


def histories() -> Histories:
    """Reads metric histories."""
    return _histories(_scope())


@st.cache_resource(show_spinner=False, max_entries=20)
def _histories(scope: tuple[str, str]) -> Histories:  # noqa: ARG001 - part of the key
    return Histories(deck().mlflow)


def refresh() -> None:
    """Forget every answer about runs; after each write of ours, and when a person asks."""
    forget()
    _table.clear()
    st.session_state.pop("_tables", None)
    counter().forget()


def _scope() -> tuple[str, str]:
    here = deck()
    return (here.mlflow.address, here.actor.name)


def fingerprint(ids: Sequence[str]) -> str:
    """A key for a table of these rows: selections are positions and must not outlive their rows."""
    return f"{zlib.crc32('|'.join(ids).encode()):08x}"


def label(column: str) -> str:
    """``metrics.rmse`` as a column's headline: ``rmse``."""
    return column.partition(".")[2] or column


def instants(times: Iterable[datetime | None]) -> pd.Series:
    """Times as a column of a table, shown in the viewer's zone.

    In Arrow's own type: converting pandas' type warns about a deprecation for each table.
    """
    return pd.Series(pd.to_datetime(list(times), utc=True)).astype("timestamp[ms, tz=UTC][pyarrow]")


def cells(
    rows: RunTable, columns: Sequence[str], names: dict[str, str], parents: dict[str, str]
) -> pd.DataFrame:
    """What a table shows: name, status, times, then ``columns``.

    Args:
        names: experiment id → name, where more than one experiment is shown; else empty.
        parents: run id → name, for the runs that others are nested in.
    """
    frame = rows.frame
    nested = frame["parent_id"].notna()
    shown: dict[str, Any] = {
        "open": [t("runs.open")] * len(frame),
        "name": [
            (NESTED if inner else "") + name
            for name, inner in zip(frame["name"], nested, strict=True)
        ],
        "status": [
            [parts.state_name(s), t("runs.deleted")] if gone else [parts.state_name(s)]
            for s, gone in zip(frame["status"], frame["deleted"], strict=True)
        ],
        "started_at": instants(frame["started_at"]),
        "seconds": pd.to_timedelta(frame["seconds"], unit="s"),
    }
    if names:
        shown["experiment"] = [names.get(e, e) for e in frame["experiment_id"]]
    if nested.any():
        shown["parent"] = [parents.get(p, p) if p else None for p in frame["parent_id"]]
    made = pd.DataFrame(shown)
    for column in columns:
        if column in frame:
            made[column] = frame[column]
    return plain_frame(made)


def config(made: pd.DataFrame, key: str) -> dict[str, Any]:
    """How the columns of ``cells`` are drawn. Headlines are drawn as plain text."""
    column = st.column_config
    states = {**STATUS_COLOURS, "": "grey"}
    looks: dict[str, Any] = {
        "open": column.ButtonColumn("", type="tertiary", key=f"{key}_open", width=70, pinned=True),
        "name": column.TextColumn(t("runs.column.name"), pinned=True, width="medium"),
        "status": column.MultiselectColumn(
            t("runs.column.status"),
            options=[parts.state_name(s) if s else t("runs.deleted") for s in states],
            color=list(states.values()),
        ),
        "started_at": column.DatetimeColumn(t("runs.column.started_at"), format="distance"),
        "seconds": column.NumberColumn(t("runs.column.seconds"), format="localized"),
        "experiment": column.TextColumn(t("runs.column.experiment")),
        "parent": column.TextColumn(t("runs.column.parent")),
    }
    for name in made.columns:
        kind = name.partition(".")[0]
        if kind == "metrics":
            looks[name] = column.NumberColumn(
                label(name), format="%.5g", help=t("runs.column.metric")
            )
        elif kind in ("params", "tags"):
            looks[name] = column.TextColumn(label(name), help=t(f"runs.column.{kind}"))
    return looks


def parent_names(rows: RunTable) -> dict[str, str]:
    """The names of the runs that those in ``rows`` are nested in."""
    frame = rows.frame
    known = dict(zip(frame["run_id"], frame["name"], strict=True))
    away = tuple(dict.fromkeys(p for p in frame["parent_id"].dropna() if p not in known))
    if away:
        found = shown(RunQuery(run_ids=away, columns=())).frame
        known |= dict(zip(found["run_id"], found["name"], strict=True))
    return known


def clicked(key: str, ids: Sequence[str]) -> str | None:
    """The id of the row whose "open" was clicked in this rerun."""
    click = st.session_state.get(f"{key}_open")
    row = click["row"] if click else None
    return ids[row] if row is not None and 0 <= row < len(ids) else None


def small_table(rows: RunTable, columns: Sequence[str], alt: str, key: str) -> str | None:
    """A table without selection; the id of the run that was opened in this rerun."""
    made = cells(rows, columns, {}, {})
    st.dataframe(
        made,
        hide_index=True,
        column_config=config(made, key),
        alt=alt,
        placeholder="",
        key=f"{key}_{fingerprint(rows.ids)}",
    )
    return clicked(key, rows.ids)
