"""The runs of some experiments: what is asked, the table, and what can be done with its rows."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from core.errors import InvalidInput
from core.mlflow_api.nouns import NOTE_TAG
from core.runs.aggregates import Plan
from core.runs.query import Names, RunQuery
from core.texts import t
from core.ui import parts, runs
from core.ui.experiments import (
    actions,
    asking,
    columns,
    export,
    faults,
    groups,
    histories,
    saved,
    table,
)
from core.ui.markup import safe, visible
from core.ui.navigation import link

MOST_EXPERIMENTS = 100
MOST_ROWS = 100_000
"""Rows that are sent to a browser; beyond that the page says how many are not."""


def checked(ids: list[str]) -> list[str]:
    """Experiment ids from a link, each once.

    Raises:
        InvalidInput: there are too many of them.
    """
    unique = list(dict.fromkeys(ids))
    if len(unique) > MOST_EXPERIMENTS:
        raise InvalidInput(t("experiments.too_many", n=len(unique), most=MOST_EXPERIMENTS))
    return unique


def head(ids: Sequence[str]) -> dict[str, str]:
    """The headline; the experiments' names by id.

    Raises:
        NotFound: one of them does not exist.
    """
    names = runs.experiment_names(ids)
    link("experiments", t("experiments.all"), icon=":material/arrow_back:")
    if len(ids) == 1:
        parts.title(safe(names[ids[0]], 120) or t("runs.blank"), "science")
        about = next((e for e in runs.experiments() if e.id == ids[0]), None)
        if about is not None and about.lifecycle_stage == "deleted":
            st.badge(t("runs.deleted"), icon=":material/delete:", color="grey")
        if about is not None and about.tags.get(NOTE_TAG):
            st.text(visible(about.tags[NOTE_TAG]))
    else:
        parts.title(t("experiments.several", n=len(ids)), "science")
        st.caption(", ".join(safe(n, 60) for n in names.values()))
    return names


def draw(ids: Sequence[str], names: dict[str, str], text: str, beside: asking.Place) -> None:
    """The controls, each bound to the link, and under them the answer.

    Args:
        names: experiment id → name.
        text: the filter.
        beside: the place beside its field.
    """
    actions.settle()
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    sorting, choosing = (
        bar.container(horizontal=True, vertical_alignment="bottom", width="content"),
        bar,
    )
    works, below = st.container(), st.container()
    with choosing:
        base = asking.which(ids, text)
    known, missing = _known(base)
    with beside:
        faults.syntax(known)
    with choosing:
        by = groups.chosen(known)
        shown, choice = columns.chosen(known, ids)
    with sorting:
        order = asking.order(known, shown)
    asked = replace(base, order=order, columns=shown, limit=MOST_ROWS)
    with choosing:
        saved.menu(asked, automatic=shown == choice.shown)
    with below:
        if isinstance(missing, InvalidInput):
            faults.show(text, missing, runs.names(replace(base, filter="")))
        elif missing is not None:
            histories.ask(missing)
        elif not known.runs:
            faults.nothing(base)
        elif plan := histories.needed(asked):
            histories.ask(plan)
        elif by is not None:
            groups.draw(asked, by)
        else:
            _runs(asked, choice, known, names)
    with works:
        actions.works()


def _known(base: RunQuery) -> tuple[Names, InvalidInput | Plan | None]:
    """What the runs that match have; else what is in the way: a fault, or histories to read."""
    try:
        plan = histories.needed(base)
        return (runs.names(base), None) if plan is None else (Names(0), plan)
    except InvalidInput as fault:
        if fault.field != "filter":
            raise
        return Names(0), fault


def _runs(asked: RunQuery, choice: columns.Choice, known: Names, names: dict[str, str]) -> None:
    bar = st.container(horizontal=True, vertical_alignment="center", height="content")
    rows = table.held(asked)
    made = table.made(rows, asked, names if len(names) > 1 else {}, known)
    picked = table.draw(made, asked, known)
    saved.keep_link(picked)
    table.say(rows, asked, choice)
    with bar:
        actions.bar(made, rows, picked, asked)
        export.menu(rows, picked, asked, known)
        table.coverage(asked, rows, holding=bool(picked))
