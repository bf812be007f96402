"""Metric histories of the runs, each as a line or groups of them as bands."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

import streamlit as st

from core.charts.bands import MOST_GROUPS
from core.runs import query as runs_query
from core.runs import replicates
from core.runs.bands import Spread
from core.runs.histories import ENDED, MOST_CURVES, Wanted
from core.texts import t
from core.ui import curves, parts
from core.ui.compare.shared import NONE, Compared
from core.ui.curves import Chosen

SPREADS: tuple[Spread, ...] = ("interval", "deviation", "range")


def draw(compared: Compared) -> None:
    """Draw the curves of the metrics chosen."""
    names = compared.names
    metrics = [name.name for name in names.metrics]
    if not metrics:
        parts.empty(t("run.no_metrics"), "show_chart")
        return
    varying = [c for c in runs_query.choose(names).shown if c.startswith("metrics.")]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.multiselect(
            t("curves.metrics"),
            metrics,
            default=[c.removeprefix("metrics.") for c in varying[:1]] or metrics[:1],
            key="curve",
            bind="query-params",
            max_selections=curves.MOST_METRICS,
            width=360,
        )
        by = _group_by(compared)
        place = st.container(width="content")
    shown = curves.curve_look("curves", metrics)
    if by:
        ignored, spread = _grouping(compared, by)
        groups, alone = _groups(compared, by, ignored)
        if shown.look.along != "step":
            st.caption(t("curves.groups.steps_only"))
        if alone:
            st.caption(t("curves.groups.alone", n=alone))
        if not groups:
            parts.empty(t("curves.groups.none"), "group_work")
            return
        look = replace(shown.look, along="step")
        chosen_groups = Chosen(look, "", (), groups, spread)
        curves.draw_live(
            lambda: _wanted(compared, chosen, list(groups)),
            lambda of: curves.draw_curves(
                of, chosen, chosen_groups, existing=_existing(compared, chosen, list(groups))
            ),
        )
        return
    with place:
        shown = replace(shown, highlight=curves.highlight("highlight", _wanted(compared, chosen)))
    asked = [*chosen, shown.metric] if shown.metric else chosen
    curves.draw_live(
        lambda: _wanted(compared, asked),
        lambda of: curves.draw_curves(of, chosen, shown, existing=_existing(compared, asked)),
    )


def _group_by(compared: Compared) -> str:
    """What runs are drawn together by: a column, "experiment", "params" for all but some, or ""."""
    names = compared.names
    fixed = {NONE: "", t("curves.groups.params"): "params"}
    if len(compared.experiments) > 1:
        fixed[t("curves.groups.experiment")] = "experiment"
    columns = [n.column for n in names.params]
    columns += [n.column for n in names.tags if not n.name.startswith("mlflow.")]
    picked = st.selectbox(
        t("curves.groups.by"), [*fixed, *columns], key="group_by", bind="query-params", width=200
    )
    return fixed.get(picked, picked)


def _grouping(compared: Compared, by: str) -> tuple[list[str], Spread]:
    """Params that do not tell groups apart, and what the areas show."""
    ignored: list[str] = []
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if by == "params":
            params = [name.name for name in compared.names.params]
            ignored = st.multiselect(
                t("curves.groups.but"),
                params,
                default=replicates.seed_like(params),
                key="group_but",
                bind="query-params",
                width=420,
            )
        spreads = {t(f"curves.spread.{spread}"): spread for spread in SPREADS}
        picked = st.segmented_control(
            t("curves.spread.label"),
            list(spreads),
            default=next(iter(spreads)),
            required=True,
            key="spread",
            bind="query-params",
        )
    return ignored, spreads[picked or next(iter(spreads))]


def _groups(compared: Compared, by: str, ignored: Sequence[str]) -> tuple[dict[str, str], int]:
    """Run id → group, the largest groups first; and how many runs belong to none."""
    if by == "params":
        frame = compared.table([n.column for n in compared.names.params]).frame
        found = replicates.find(frame, ignored)
        ids = frame["run_id"].to_numpy()
        sets = {group.label: [str(i) for i in ids[group.rows]] for group in found.groups}
        alone = found.alone
    else:
        frame = compared.table([] if by == "experiment" else [by]).frame
        column = frame["experiment_id"].map(dict(compared.experiments))
        values = column if by == "experiment" else frame[by]
        has = values.notna().to_numpy()
        alone = int((~has).sum())
        rows = frame["run_id"][has].groupby(values[has].astype(str), sort=False)
        sets = {str(value): [str(i) for i in members] for value, members in rows}
    largest = sorted(sets, key=lambda name: -len(sets[name]))[: MOST_GROUPS + 1]
    return {run: name for name in largest for run in sets[name]}, alone


def _existing(compared: Compared, metrics: Sequence[str], of: Sequence[str] | None = None) -> int:
    """How many curves there are."""
    frame = compared.table([f"metrics.{m}" for m in metrics]).frame
    if of is not None:
        frame = frame[frame["run_id"].isin(list(of))]
    return int(sum(frame[f"metrics.{m}"].notna().sum() for m in metrics))


def _wanted(
    compared: Compared, metrics: Sequence[str], of: Sequence[str] | None = None
) -> list[Wanted]:
    """The runs as curves are read of them, each with the metrics that it has.

    Only so many as one figure draws: the first of the table, or of ``of``.
    """
    frame = compared.table([f"metrics.{m}" for m in metrics]).frame
    if of is not None:
        known = frame.set_index("run_id", drop=False)
        frame = known.loc[[run for run in of if run in known.index]]
    has = frame[[f"metrics.{m}" for m in metrics]].notna().to_numpy()
    frame, has = frame[has.any(axis=1)][:MOST_CURVES], has[has.any(axis=1)][:MOST_CURVES]
    ids, names, states = (frame[c].tolist() for c in ("run_id", "name", "status"))
    return [
        Wanted(run, str(name), status in ENDED, frozenset(compress(metrics, row)))
        for run, name, status, row in zip(ids, names, states, has.tolist(), strict=True)
    ]
