"""What differs between the runs, side by side: one section at a time, read when it is opened."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import formats
from core.charts.labels import distinct, run_labels
from core.mlflow_api.nouns import Run
from core.runs import differences
from core.runs.differences import MOST_CELLS, MOST_ROWS, MOST_RUNS, Difference
from core.runs.whole import whole
from core.texts import t
from core.ui import parts, runs
from core.ui.compare import baseline, files
from core.ui.compare.sections import SECTIONS
from core.ui.compare.shared import Compared
from core.ui.deck import deck, read
from core.ui.markup import plain, plain_frame, safe

_BETTER, _WORSE = "#2E86C9", "#D55E00"
"""Told apart with any kind of colour vision, on white and on black; the words say the same."""

_PAINTED = 3_000
"""Cells that are painted at most: it takes time, and nobody reads the colours of more."""

_SHORT = 120
"""Characters of a value that fits a cell."""

_WIDE = 270
"""Pixels of a column whose cells say a change."""


def draw(compared: Compared) -> None:
    """Draw the section that is open, with its filters and the row in focus in full."""
    ids = compared.ids[:MOST_RUNS]
    found = _whole(sorted(compared.experiments), ids)
    labels = run_labels([(run.id, run.name) for run in found])
    names = {t(f"differences.section.{name}"): name for name in SECTIONS}
    chosen = st.segmented_control(
        t("differences.sections"),
        list(names),
        default=next(iter(names)),
        required=True,
        key="part",
        bind="query-params",
        label_visibility="collapsed",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        against = baseline.choose(labels)
        search = st.text_input(
            t("differences.search"),
            key="differences_search",
            icon=":material/search:",
            width=240,
            placeholder=t("differences.search_place"),
        )
        only = st.toggle(
            t("differences.only"), value=True, key="differences_only", bind="query-params"
        )
    if against is not None:
        found = [against.run, *(run for run in found if run.id != against.run.id)]
        labels = {against.run.id: t("differences.baseline.of", label=against.label), **{
            i: label for i, label in labels.items() if i != against.run.id
        }}  # fmt: skip
    section = SECTIONS[names[chosen]](found)
    if compared.count > len(ids):
        section.said.append(t("differences.capped", n=len(ids), of=compared.count))
    words = (search or "").casefold().split()
    kept = [
        row
        for row in section.rows
        if (row.differs or not only) and all(word in row.name.casefold() for word in words)
    ]
    if not kept:
        nothing = section.same if section.rows else "differences.nothing"
        parts.empty(t(nothing), "check_circle" if section.rows else "inbox")
    else:
        titles = distinct([labels[run.id] for run in found])
        place = st.container(horizontal=True, vertical_alignment="center", gap="small")
        most = min(MOST_ROWS, MOST_CELLS // len(found))
        at = _table(kept[:most], titles, against is not None, names[chosen], place)
        place.caption(_count(section.rows))
        if len(kept) > most:
            st.caption(t("differences.rows", n=most, of=len(kept)))
        written = sum(row.same_number for row in kept)
        if written:
            st.caption(t("differences.written", n=written))
        if at is not None and section.roots:
            files.draw(kept[at], titles, section.roots, [run.ended_at is not None for run in found])
        elif at is not None:
            _in_full(kept[at], titles, against=against is not None)
    for line in section.said:
        st.caption(safe(line))


def _whole(experiments: Sequence[str], ids: Sequence[str]) -> list[Run]:
    return read(
        "whole runs", lambda: whole(deck().mlflow, experiments, ids), tuple(experiments), tuple(ids)
    )


def _count(rows: Sequence[Difference]) -> str:
    return t("differences.count", n=len(rows), differ=sum(row.differs for row in rows))


def _table(
    rows: Sequence[Difference],
    labels: Sequence[str],
    against: bool,
    name: str,
    steps: DeltaGenerator,
) -> int | None:
    """The table with its row in focus; Previous and Next move it through the rows that differ."""
    made = differences.side_by_side(rows, labels, 0 if against else None)
    if made["spread"].isna().all():
        made = made.drop(columns="spread")
    key = f"differences_{runs.fingerprint([name, *labels, *(row.name for row in rows)])}"
    differing = [at for at, row in enumerate(rows) if row.differs]
    with steps:
        _steps(key, differing)
    column = st.column_config
    shown = plain_frame(made)
    wide = {name: column.TextColumn(width=_WIDE) for name in shown.columns[-len(labels) :]}
    event = st.dataframe(
        _painted(shown, rows, len(labels)) if against else shown,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        alt=t("differences.alt"),
        placeholder=t("differences.missing"),
        height=min(460, 38 + 35 * len(made)),
        column_config={
            **(wide if against else {}),
            "name": column.TextColumn(t("differences.column.name"), pinned=True, width="medium"),
            "distinct": column.NumberColumn(t("differences.column.distinct"), width=70),
            "spread": column.NumberColumn(
                t("differences.column.spread"),
                format="%.4g",
                help=t("differences.column.spread_help"),
                width=80,
            ),
        },
    )
    chosen = event["selection"]["rows"][:1]
    return chosen[0] if chosen and chosen[0] < len(rows) else None


def _steps(key: str, differing: Sequence[int]) -> None:
    """Buttons that move the focus to the next row that differs and to the one before."""
    held = st.session_state.get(key)
    ticked = held["selection"]["rows"][:1] if held else []
    at = ticked[0] if ticked else None

    def focus(row: int) -> None:
        st.session_state[key] = {"selection": {"rows": [row], "columns": [], "cells": []}}

    before = [row for row in differing if at is not None and row < at]
    after = [row for row in differing if at is None or row > at]
    for name, icon, rows in (
        ("previous", "arrow_upward", before[-1:]),
        ("next", "arrow_downward", after[:1]),
    ):
        st.button(
            t(f"differences.{name}"),
            icon=f":material/{icon}:",
            key=f"differences_{name}",
            disabled=not rows,
            on_click=focus,
            args=tuple(rows),
        )
    if at in differing:
        st.caption(
            t("differences.at", n=differing.index(at) + 1, of=len(differing)), width="content"
        )


def _painted(made: pd.DataFrame, rows: Sequence[Difference], runs_shown: int) -> Any:
    """The table with better and worse in colours as well as in words, unless it is a large one."""
    if len(rows) * runs_shown > _PAINTED:
        return made
    first = made.shape[1] - runs_shown
    paint = pd.DataFrame("", made.index, made.columns)
    for at, row in enumerate(rows):
        for run in range(1, runs_shown) if row.better else ():
            change = row.change(run, 0)
            if change is not None and change.better is not None:
                paint.iat[at, first + run] = f"color: {_BETTER if change.better else _WORSE}"
    return made.style.apply(lambda _: paint, axis=None)


def _in_full(row: Difference, labels: Sequence[str], *, against: bool) -> None:
    """One row of the table with its values in full, runs of the same value together."""
    st.subheader(safe(row.name, 120), anchor=False)
    groups: dict[str | None, list[int]] = {}
    for run, value in enumerate(row.texts):
        groups.setdefault(value, []).append(run)
    texts = [value for value in groups if value is not None]
    if not any(len(text) > _SHORT or "\n" in text for text in texts):
        _few(row, groups, labels, against=against)
        return
    if len(texts) == 2:
        one, other = texts
        left, right = (labels[groups[text][0]] for text in texts)
        files.lines(one, other, left, right, runs.fingerprint([row.name]))
    for value, who in groups.items():
        st.caption(safe(formats.shorten(", ".join(labels[run] for run in who), 300)))
        if value is None:
            st.text(t("differences.missing"))
        else:
            st.code(plain(value), language=None, wrap_lines=True)


def _few(
    row: Difference,
    groups: Mapping[str | None, Sequence[int]],
    labels: Sequence[str],
    *,
    against: bool,
) -> None:
    """Short values as a table."""
    made = []
    for value, who in groups.items():
        change = row.change(who[0], 0) if against and who[0] else None
        made.append(
            {
                "value": value,
                "change": differences.change_text(change) if change else None,
                "count": len(who),
                "runs": ", ".join(labels[run] for run in who),
            }
        )
    frame = pd.DataFrame(made).dropna(axis="columns", how="all")
    column = st.column_config
    st.dataframe(
        plain_frame(frame),
        hide_index=True,
        key=f"in_full_{runs.fingerprint([row.name, *labels])}",
        alt=t("differences.full.alt"),
        placeholder=t("differences.missing"),
        height=min(320, 38 + 35 * len(frame)),
        column_config={
            "value": column.TextColumn(t("differences.full.value")),
            "change": column.TextColumn(t("differences.full.change")),
            "count": column.NumberColumn(t("differences.full.count"), width=70),
            "runs": column.TextColumn(t("differences.full.runs"), width="large"),
        },
    )
