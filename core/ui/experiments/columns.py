"""Which columns the table shows: any metric, param, tag, attribute, or aggregate of a metric."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import formats
from core.runs import changes
from core.runs.columns import FUNCTIONS, Column, is_column, parse
from core.runs.directions import Direction
from core.runs.query import Choice, Name, Names, choose
from core.texts import t
from core.ui import parts, runs
from core.ui.deck import deck
from core.ui.markup import md, plain_frame, visible
from core.ui.navigation import asked_all

__all__ = ["Choice", "chosen"]

MOST_CHOSEN_FOR_YOU = 12
MOST_LISTED = 300
"""Names in the list to choose from; a search narrows it."""
ATTRIBUTES = ("user", "ended_at", "run_id", "experiment_id", "parent_id")
"""Attributes that the table does not show by itself."""
TAIL = "mean_last"


def chosen(known: Names, ids: Sequence[str]) -> tuple[tuple[str, ...], Choice]:
    """The chooser; the columns to show, and what would be shown where none is chosen."""
    choice = choose(known, MOST_CHOSEN_FOR_YOU)
    linked = [c for c in asked_all("columns") if is_column(c)]
    held = [c for c in st.session_state.get("columns", []) if is_column(c)]
    options = list(dict.fromkeys([*held, *linked, *choice.shown, *ATTRIBUTES]))
    with st.popover(
        t("experiments.columns.label"),
        icon=":material/view_column:",
        key="columns_open",
        on_change="rerun",
    ) as place:
        st.caption(t("experiments.columns.about", n=choice.existing))
        picked = st.multiselect(
            t("experiments.columns.shown"),
            options,
            key="columns",
            bind="query-params",
            accept_new_options=True,
            placeholder=t("experiments.columns.automatic"),
            help=t("experiments.columns.help"),
        )
        good = tuple(dict.fromkeys(c for c in picked if is_column(c)))
        for wrong in (c for c in picked if not is_column(c)):
            st.caption(md("experiments.columns.bad", column=wrong))
        _tidy(good, known)
        if place.open:
            _search(known, good or choice.shown)
            _directions(known, good or choice.shown, ids)
    return good or choice.shown, choice


def dull(columns: Sequence[str], known: Names) -> list[str]:
    """Those of ``columns`` that no run has, or that are the same in all of them."""
    return [c for c in columns if _is_dull(c, known)]


def _is_dull(column: str, known: Names) -> bool:
    kind = parse(column)
    if kind.kind == "attribute":
        return False
    name = known.get(f"metrics.{kind.name}" if kind.kind == "aggregate" else column)
    # An aggregate may differ where the last value does not.
    return name is None or (kind.kind != "aggregate" and not known.varies(name))


def _tidy(columns: Sequence[str], known: Names) -> None:
    out = dull(columns, known)
    with st.container(horizontal=True):
        st.button(
            t("experiments.columns.tidy", n=len(out)),
            icon=":material/filter_none:",
            disabled=not out,
            key="columns_tidy",
            on_click=_show,
            args=([c for c in columns if c not in out],),
        )
        st.button(
            t("experiments.columns.reset"),
            icon=":material/auto_awesome:",
            disabled=not columns,
            key="columns_reset",
            on_click=_show,
            args=([],),
        )


def _search(known: Names, shown: Sequence[str]) -> None:
    words = st.text_input(
        t("experiments.columns.search", n=len(known.columns)),
        key="columns_search",
        type="search",
        placeholder=t("experiments.columns.search_place"),
    )
    found = matching(known, words or "")
    listed = [n for n in found if n.column not in shown][:MOST_LISTED]
    if not listed:
        st.caption(t("experiments.columns.none"))
        return
    event = st.dataframe(
        _listed(listed, known),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        height=min(290, 38 + 35 * len(listed)),
        key=f"columns_{runs.fingerprint([n.column for n in listed])}",
        column_config=_config(),
        placeholder="",
        alt=t("experiments.columns.alt"),
    )
    if len(listed) < len(found):
        st.caption(t("experiments.columns.listed", shown=len(listed), n=len(found)))
    picked = [listed[i] for i in event["selection"]["rows"] if i < len(listed)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        forms = {t("experiments.columns.as.value"): ""}
        forms |= {t(f"experiments.columns.as.{f}"): f for f in (*FUNCTIONS, TAIL)}
        form = forms[
            st.selectbox(
                t("experiments.columns.as_label"),
                list(forms),
                key="columns_as",
                help=t("experiments.columns.as_help"),
                width=230,
            )
            or next(iter(forms))
        ]
        last = (
            int(st.number_input(t("experiments.columns.k"), 1, 1_000_000, 10, width=110))
            if form == TAIL
            else None
        )
        st.button(
            t("experiments.columns.add", n=len(picked)),
            type="primary",
            disabled=not picked,
            key="columns_add",
            on_click=_show,
            args=([*shown, *(column_of(n, form, last) for n in picked)],),
        )


def matching(known: Names, words: str) -> list[Name]:
    """The metrics, params and tags whose name holds every word, what many runs have first."""
    wanted = words.casefold().split()
    found = [n for n in known.by_column.values() if all(w in n.column.casefold() for w in wanted)]
    own = [n for n in found if not n.name.startswith("mlflow.")]
    return sorted(own, key=lambda n: -n.runs) + [n for n in found if n.name.startswith("mlflow.")]


def column_of(name: Name, form: str, last: int | None) -> str:
    """A name as a column in one form: itself, or an aggregate where it is a metric."""
    if not form or name.kind != "metrics":
        return name.column
    return Column("aggregate", name.name, "mean" if form == TAIL else form, last).text


def _listed(names: Sequence[Name], known: Names) -> pd.DataFrame:
    def span(name: Name) -> str:
        if name.minimum is None:
            return ""
        return t("experiments.columns.span", low=formats.number(name.minimum),
                 high=formats.number(name.maximum))  # fmt: skip

    made = {
        "name": [n.name for n in names],
        "kind": [t(f"runs.column.{'metric' if n.kind == 'metrics' else n.kind}") for n in names],
        "runs": [n.runs / known.runs if known.runs else 0.0 for n in names],
        "distinct": [n.distinct for n in names],
        "span": [span(n) for n in names],
    }
    return plain_frame(pd.DataFrame(made))


def _config() -> dict[str, Any]:
    column = st.column_config
    return {
        "name": column.TextColumn(t("runs.column.name"), width=180),
        "kind": column.TextColumn(t("experiments.columns.kind"), width=65),
        "runs": column.NumberColumn(t("experiments.columns.of_runs"), format="percent", width=65),
        "distinct": column.NumberColumn(t("experiments.columns.distinct"), width=65),
        "span": column.TextColumn(t("experiments.columns.between"), width=150),
    }


def _directions(known: Names, shown: Sequence[str], ids: Sequence[str]) -> None:
    """Which way a metric is better, shown and set for everybody."""
    columns = [parse(c) for c in shown]
    metrics = [c.name for c in columns if c.kind in ("metrics", "aggregate")]
    metrics = list(dict.fromkeys(m for m in metrics if known.get(f"metrics.{m}")))
    if not metrics:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = st.selectbox(
            t("experiments.direction.metric"), metrics, key="direction_of", format_func=visible,
            width=230,
        )  # fmt: skip
        name = known.get(f"metrics.{metric}")
        ways: tuple[Direction, ...] = ("lower", "higher")
        labels = {t(f"experiments.direction.{w}"): w for w in ways}
        now = name.direction if name else None
        key = f"direction_{runs.fingerprint([metric or '', str(now)])}"
        way = st.segmented_control(
            t("experiments.direction.label"),
            list(labels),
            default=next((label for label, w in labels.items() if w == now), None),
            key=key,
        )
        if metric and st.button(
            t("experiments.direction.save"),
            key="direction_save",
            disabled=not way or labels[way] == now,
            help=t("experiments.direction.help"),
        ):
            changes.set_direction(deck().mlflow, ids, metric, labels[way or ""])
            runs.refresh([])
            parts.done(md("experiments.direction.done", metric=metric))
            st.rerun()


def _show(columns: list[str]) -> None:
    st.session_state["columns"] = list(dict.fromkeys(columns))
