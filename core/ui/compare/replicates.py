"""Runs that agree in all params but the seed: their means, and which differences hold."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.charts.intervals import group_intervals
from core.charts.notes import Notes
from core.runs import replicates
from core.runs.query import RunTable
from core.runs.replicates import Comparison, Groups
from core.texts import t
from core.ui import parts
from core.ui.compare import measured, verdict
from core.ui.compare.shared import Compared, remembered
from core.ui.markup import plain, safe

FINISHED = "FINISHED"
_MOST_READ = 1_000
"""Runs that differ in more params than this are not searched for replicates."""


@dataclass(frozen=True)
class Asked:
    """What is chosen on the page."""

    metric: str
    direction: str | None
    seeds: tuple[str, ...]
    ended: bool


@st.fragment
def draw(compared: Compared) -> None:
    """Draw the groups of replicates, and the verdict on the two in question."""
    params = [n.name for n in compared.names.params]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = measured.metric(compared)
        if name is None:
            return
        direction = measured.direction(compared, name)
        asked = _choose(compared, name, direction, params)
    if not params:
        parts.empty(safe(t("statistics.replicates.no_params")), "functions")
        return
    varying = [n.column for n in compared.names.params if compared.names.varies(n)]
    if len(varying) > _MOST_READ:
        said = t("statistics.replicates.too_many", n=len(varying), most=_MOST_READ)
        parts.empty(safe(said), "functions")
        return
    table = compared.table([*varying, f"metrics.{asked.metric}"])
    ended = (table.frame["status"] == FINISHED) | (not asked.ended)
    frame = table.frame[ended]
    with st.spinner(t("statistics.replicates.looks")):
        found = remembered(
            table,
            ("replicates", asked.seeds, asked.ended),
            lambda: replicates.find(frame, asked.seeds, compared.experiments),
        )
    _say_found(found, len(table.frame) - len(frame), asked)
    if not found.groups:
        _none(frame, asked)
        return
    _compared(compared, frame, found, asked, table)


def _choose(compared: Compared, metric: str, direction: str | None, params: list[str]) -> Asked:
    likely = replicates.seed_like(params)
    seeds = [name for name in likely if not replicates.is_fold(name)]
    differ = {n.name for n in compared.names.params if n.distinct > 1}
    # Where no seed was varied but folds were, these are what was repeated.
    first = seeds if differ & set(seeds) else [*seeds, *(n for n in likely if n in differ)]
    chosen = st.multiselect(
        t("statistics.replicates.seeds"),
        params,
        format_func=plain,
        default=list(dict.fromkeys(first)),
        key="replicates_over",
        bind="query-params",
        help=t("statistics.replicates.seeds_help"),
        width=260,
    )
    ended = st.toggle(
        t("statistics.replicates.ended"), value=True, key="ended", bind="query-params"
    )
    return Asked(metric, direction, tuple(chosen), ended)


def _say_found(found: Groups, unfinished: int, asked: Asked) -> None:
    said = []
    if found.groups:
        said.append(t("statistics.replicates.found", n=len(found.groups)))
        inside = sum(len(group.rows) for group in found.groups)
        said.append(t("statistics.replicates.runs", n=inside))
        if found.alone:
            said.append(t("statistics.replicates.alone", n=found.alone))
    if unfinished:
        said.append(t("statistics.replicates.unfinished", n=unfinished))
    if said:
        st.caption(" · ".join(map(safe, said)))
    if found.groups and any(replicates.is_fold(name) for name in asked.seeds):
        st.caption(safe(t("statistics.replicates.folds")))


def _none(frame: pd.DataFrame, asked: Asked) -> None:
    """Why there are no replicates, and what would make some."""
    seeds = ", ".join(asked.seeds) or t("statistics.replicates.no_seed")
    said = [t("statistics.replicates.none", n=len(frame), seeds=seeds)]
    said += [
        t("statistics.replicates.none_if", param=name, n=n)
        for name, n in replicates.in_the_way(frame, asked.seeds)[:2]
    ]
    said.append(t("statistics.replicates.none_next"))
    parts.empty(safe(" ".join(said)), "functions")


def _compared(
    compared: Compared, frame: pd.DataFrame, found: Groups, asked: Asked, table: RunTable
) -> None:
    best, auto = t("statistics.replicates.best"), t("statistics.test.auto")
    tests = {t(f"statistics.test.{name}.name"): name for name in ("paired", "welch")}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        against = st.selectbox(
            t("statistics.replicates.against"),
            [best, *(group.label for group in found.groups)],
            format_func=plain,
            key="against",
            bind="query-params",
            help=t("statistics.replicates.against_help"),
            width=320,
        )
        test = st.segmented_control(
            t("statistics.test.label"),
            [auto, *tests],
            default=auto,
            key="test",
            bind="query-params",
            required=True,
            help=t("statistics.test.help"),
        )
    reference = "" if against == best else against or ""
    with st.spinner(t("statistics.replicates.looks")):
        made = remembered(
            table,
            (asked, reference, test),
            lambda: replicates.compare(
                replicates.measure(frame, found.groups, asked.metric),
                asked.direction,
                reference,
                tests.get(test, ""),
            ),
        )
    if made is None:
        parts.empty(safe(t("statistics.replicates.no_values")), "functions")
        return
    place = st.container(border=True)
    figure, notes = remembered(
        table, ("figure", asked, reference, test), lambda: _figure(made, asked.metric)
    )
    st.plotly_chart(figure, alt=t("statistics.replicates.alt"), key="replicates_figure")
    st.caption(safe(f"{t('statistics.replicates.legend')} {notes.text}"))
    picked = verdict.table(compared, made, found, asked.direction)
    with place:
        verdict.draw(made, picked, asked.direction, frame["run_id"].tolist())


def _figure(made: Comparison, metric: str) -> tuple[object, Notes]:
    groups = pd.DataFrame(
        [
            {
                "label": one.group.label,
                "n": one.sample.n,
                "mean": one.estimate.mean,
                "low": one.estimate.low,
                "high": one.estimate.high,
                "held": at == made.reference and len(made.measured) > 1,
            }
            for at, one in enumerate(made.measured)
            if one.sample.n
        ]
    )
    dots = pd.DataFrame(
        [
            {"label": one.group.label, "value": value, "key": key}
            for one in made.measured
            for value, key in zip(
                one.sample.values.tolist(), one.sample.keys or [""] * one.sample.n, strict=True
            )
        ]
    )
    return group_intervals(groups, dots, metric)
