"""Metric histories of the runs."""

from collections.abc import Sequence

import streamlit as st

from core.runs import query as runs_query
from core.runs.curves import ENDED, Wanted
from core.runs.query import RunTable
from core.texts import t
from core.ui import curves, parts
from core.ui.compare.shared import Compared


def draw(compared: Compared) -> None:
    """Draw the curves of the metrics chosen."""
    table = compared.table()
    names = [c.removeprefix("metrics.") for c in table.of("metrics")]
    if not names:
        parts.empty(t("run.no_metrics"), "show_chart")
        return
    varying = [c.removeprefix("metrics.") for c in runs_query.choose(table).shown if c in names]
    chosen = st.multiselect(
        t("run.curves.metrics"),
        names,
        default=(varying or names)[:1],
        key="curve",
        bind="query-params",
        max_selections=6,
    )
    look = curves.curve_look("curves")
    curves.draw_curves(_wanted(table, names), chosen, look)


def _wanted(table: RunTable, metrics: Sequence[str]) -> list[Wanted]:
    """The runs as curves are read of them, each with the metrics that it has."""
    has = {m: ~table.frame[f"metrics.{m}"].isna() for m in metrics}
    return [
        Wanted(
            str(run_id), str(name), status in ENDED, frozenset(m for m in metrics if has[m].iloc[i])
        )
        for i, (run_id, name, status) in enumerate(
            zip(table.frame["run_id"], table.frame["name"], table.frame["status"], strict=True)
        )
    ]
