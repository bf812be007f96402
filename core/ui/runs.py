"""Runs on pages: the one place where pages ask for runs, and what is remembered of the answers.

Answers come from the run mirror. They are remembered for one server, one person, one question and
one revision of the mirror, so that a rerun in which nothing has changed costs next to nothing.
"""

import zlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import pandas as pd
import streamlit as st

from core import formats
from core.mlflow_api.nouns import Experiment, Run
from core.mlflow_api.tracking import ALL
from core.runs import activity as activities
from core.runs import directions
from core.runs import query as runs
from core.runs.activity import Activity
from core.runs.aggregates import Plan, fill, plan_histories
from core.runs.grouping import By, GroupOrder, GroupTable, group
from core.runs.memory import Memory
from core.runs.mirror import Mirror
from core.runs.query import Names, RunQuery, RunTable
from core.texts import t
from core.ui import parts
from core.ui.deck import REMEMBERED, deck, forget, mirror, read
from core.ui.markup import safe

T = TypeVar("T")

LOOK_SECONDS = 2.0
"""How often a page looks whether there is something new."""
_MOST_REREAD = 500
_PATIENCE = 1.5
"""Seconds to wait for a first answer about experiments that were not read yet."""


def table(asked: RunQuery) -> RunTable:
    """The rows of a query, as of now. Shared by all who ask the same: never write to its frame."""
    return _answer("table", asked, runs.query)


def names(asked: RunQuery) -> Names:
    """What the runs that match have: every metric, param and tag."""
    return _answer("names", _every(asked), runs.names)


def ids(asked: RunQuery) -> list[str]:
    """All runs that match, in order."""
    return _answer("ids", _every(asked), runs.ids)


def count(asked: RunQuery) -> int:
    """How many runs match."""
    return _answer("count", replace(_every(asked), order=()), runs.count)


def activity(experiment_ids: Sequence[str], view: str = "active") -> Mapping[str, Activity]:
    """How many runs experiments have, as far as they were read, and when the newest one began."""
    wanted = tuple(experiment_ids)
    return _answer(
        "activity",
        RunQuery(wanted, view=view),
        lambda source, _, allowed: activities.activity(source, wanted, allowed, view),
    )


def groups(
    asked: RunQuery, by: By, columns: Sequence[str], order: GroupOrder | None = None
) -> GroupTable:
    """Groups of all runs that match, and what ``columns`` come to in each."""
    wanted = tuple(columns)
    limit, offset = asked.limit, asked.offset

    def ask(source: Mirror, whole: RunQuery, allowed: frozenset[str]) -> GroupTable:
        return group(source, replace(whole, limit=limit, offset=offset), by, wanted, allowed, order)

    # Of all runs: limit and offset count groups.
    every = replace(_every(asked), columns=wanted)
    return _answer(("groups", by, wanted, order, limit, offset), every, ask)


def plan(asked: RunQuery) -> Plan:
    """Which metric histories have to be read before ``asked`` can be answered in full.

    Few are read with the question; for many a page asks first, and then has ``read_histories``.
    """
    return _answer("plan", asked, plan_histories, histories=False)


def read_histories(
    wanted: Plan, progress: Callable[[int, int], None], stop: Callable[[], bool]
) -> int:
    """Read the histories planned; says how many were read. See ``core.runs.aggregates.fill``."""
    return fill(mirror(), deck().mlflow, wanted, progress, stop)


def readable(wanted: Iterable[str] = ()) -> frozenset[str]:
    """The experiments that this person may read, as MLflow says; where it does not answer, that
    error rises.

    Args:
        wanted: experiments in question: where one is not among those remembered, MLflow is asked
            again.
    """
    known = _experiments(_scope())[1]
    if known.issuperset(wanted):
        return known
    return known | frozenset(e.id for e in experiments(ALL))


def coverage_line() -> str:
    """How much of the store was read, and when: plain text."""
    found = mirror().coverage
    n, at = formats.count(found.runs), parts.when(found.at)
    if found.at is None:
        line = t("rows.coverage.none")
    elif found.complete:
        line = t("rows.coverage.all", n=n, ago=at)
    elif found.total is None:
        line = t("rows.coverage.some", n=n, ago=at)
    else:
        line = t("rows.coverage.part", n=n, total=formats.count(found.total), ago=at)
    return f"{line} {found.notice}".strip()


def held() -> tuple[int, bool]:
    """What the mirror holds, to be compared later: its revision, and whether it read everything."""
    return mirror().revision, mirror().coverage.complete


def missing(words: str, since: tuple[int, bool], icon: str = "inbox") -> None:
    """What is said where no run is there: ``words``, unless runs are still being read. The page is
    drawn anew once there are others than ``since``."""
    look_on(since)
    if mirror().coverage.complete:
        parts.empty(words, icon)
    else:
        parts.empty(safe(t("rows.coverage.reading", covered=coverage_line())), "hourglass_top")


def look_on(since: tuple[int, bool]) -> None:
    """Draw the page anew once the mirror holds something else than ``since``, as ``held`` said."""

    @parts.live(LOOK_SECONDS)
    def look() -> None:
        readable()  # where MLflow does not answer, this rises
        if held() != since:
            parts.again()

    look()


def refresh(run_ids: Iterable[str] | None = None, experiment_ids: tuple[str, ...] = ()) -> None:
    """Forget what was remembered, and look at MLflow; after each write of ours, and when a person
    asks.

    Args:
        run_ids: runs that were written to: they are read again now. None: what is new, running or
            has just ended is looked for.
        experiment_ids: experiments that were written to: the first of their runs are read again
            now, the others when the mirror comes to them.
    """
    forget()
    _experiments.clear()
    if experiment_ids:
        everything = RunQuery(experiment_ids, view="all")
        run_ids = runs.ids(mirror(), everything, frozenset(experiment_ids))[:_MOST_REREAD]
    if run_ids is None:
        mirror().refresh()
    else:
        mirror().reread(list(run_ids))


def _answer(
    name: Hashable,
    asked: RunQuery,
    ask: Callable[[Any, RunQuery, frozenset[str]], T],
    *,
    histories: bool = True,
) -> T:
    source = mirror()
    asked = _complete(asked)
    allowed = readable(asked.experiment_ids)
    source.want(asked.experiment_ids or sorted(allowed))
    question = (_scope(), name, asked, allowed, asked.moment)
    if _memory().has(question, source.revision):
        return _memory().get(question, source.revision, lambda: ask(source, asked, allowed))
    with st.spinner(t("experiments.loading"), show_time=True):
        if not asked.run_ids:
            source.settle(asked.experiment_ids or sorted(allowed), _PATIENCE)
        if histories:
            _read_few(source, asked, allowed)
        return _memory().get(question, source.revision, lambda: ask(source, asked, allowed))


def _read_few(source: Mirror, asked: RunQuery, allowed: frozenset[str]) -> None:
    """Read the histories that the question needs, where they are few."""
    needed = plan_histories(source, asked, allowed)
    while needed.missing and needed.at_once:
        fill(source, deck().mlflow, needed)
        needed = plan_histories(source, asked, allowed)


@st.cache_resource(show_spinner=False)
def _memory() -> Memory:
    return Memory()


def _every(asked: RunQuery) -> RunQuery:
    # What does not count must not tell one question from another.
    return replace(asked, columns=None, limit=None, offset=0)


def _complete(asked: RunQuery) -> RunQuery:
    """The question with what only a page knows: the viewer's zone, and what metrics mean."""
    known = _experiments(_scope())[0]
    if asked.filter.strip():
        asked = replace(asked, zone=st.context.timezone or "UTC")
        if "experiment" in asked.filter:
            names = tuple(sorted((e.id, e.name) for e in known))
            asked = replace(asked, experiment_names=names)
    chosen = [e for e in known if not asked.experiment_ids or e.id in asked.experiment_ids]
    return replace(asked, directions=tuple(sorted(directions.of_experiments(chosen).items())))


@st.cache_resource(ttl=REMEMBERED, max_entries=100, show_spinner=False)
def _experiments(
    scope: tuple[str, str, str],  # noqa: ARG001 - part of the key
) -> tuple[tuple[Experiment, ...], frozenset[str]]:
    """What MLflow lists for this person, and the ids; shared, and never written to.

    Remembered no longer than other reads: without MLflow's answer nobody is shown runs.
    """
    found = tuple(deck().mlflow.tracking.experiments(ALL))
    return found, frozenset(e.id for e in found)


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


def _scope() -> tuple[str, str, str]:
    return deck().scope


def fingerprint(ids: Sequence[str]) -> str:
    """A key for a table of these rows: selections are positions and must not outlive their rows."""
    return f"{zlib.crc32('|'.join(ids).encode(errors='backslashreplace')):08x}"


def label(column: str) -> str:
    """``metrics.rmse`` as a column's headline: ``rmse``."""
    return column.partition(".")[2] or column


def instants(times: Iterable[datetime | None]) -> pd.Series:
    """Times as a column of a table, shown in the viewer's zone.

    In Arrow's own type: converting pandas' type warns about a deprecation for each table.
    """
    return pd.Series(pd.to_datetime(list(times), utc=True)).astype("timestamp[ms, tz=UTC][pyarrow]")


def clicked(key: str, ids: Sequence[str]) -> str | None:
    """The id of the row whose "open" was clicked in this rerun."""
    click = st.session_state.get(f"{key}_open")
    row = click["row"] if click else None
    return ids[row] if row is not None and 0 <= row < len(ids) else None
