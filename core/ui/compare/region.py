"""The region where a metric is predicted best, and the training form filled in from it."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core import formats
from core.runs.effects import Range, Region
from core.runs.importance import Explained
from core.runs.query import RunTable
from core.texts import t
from core.training import projects
from core.training.projects import Project
from core.ui.compare.shared import Compared
from core.ui.markup import plain_frame, safe
from core.ui.navigation import link
from core.ui.training import FROM_LINK

_NEVER = frozenset({"register_as"})
"""Params that say what is done with a model, and nothing about the model."""


def wanted(compared: Compared, varying: Sequence[str]) -> list[str]:
    """Params that are the same in all runs and that the training form has."""
    there = {n.name for n in compared.names.params} - set(varying)
    return [p.name for p in projects.tabular().params if p.name in there]


def draw(found: Explained, direction: str | None, table: RunTable) -> None:
    """The ranges of the best predicted runs, and the way to try them."""
    st.subheader(t("statistics.region.title"), anchor=False)
    region = next((r for r in found.regions if r.direction == direction), None)
    if region is None:
        st.caption(safe(t("statistics.region.no_direction", metric=found.metric)))
        return
    rows = [
        {
            "name": one.name,
            "best": _written(one),
            "tried": _tried(one),
            "start": _value(region.start[one.name]),
        }
        for one in region.ranges
        if one.low is not None or any(value is not None for value, _ in one.words)
    ]
    column = st.column_config
    st.dataframe(
        plain_frame(pd.DataFrame(rows)),
        hide_index=True,
        alt=t("statistics.region.alt"),
        key="region_table",
        column_config={
            name: column.TextColumn(t(f"statistics.region.column.{name}"), help=about)
            for name, about in (
                ("name", None),
                ("best", t("statistics.region.column.best_help")),
                ("tried", None),
                ("start", t("statistics.region.column.start_help")),
            )
        },
    )
    mean, low, high = formats.alike(*region.predicted)
    best = _best(table, found.metric, region.direction)
    said = t("statistics.region.predicted", metric=found.metric, mean=mean, low=low, high=high,
             best=formats.number(best), n=region.runs)  # fmt: skip
    st.caption(safe(said))
    _try(region, found, table)


def filled(project: Project, start: Mapping[str, str | None]) -> dict[str, str]:
    """What of ``start`` the project's form can take; nothing where it is another project's.

    The runs are held for the project's where it knows more than half of their params.
    """
    known = {param.name for param in project.params} - _NEVER
    fits = {name: value for name, value in start.items() if name in known and value is not None}
    return fits if 2 * len(known & set(start)) > len(start) else {}


def _try(region: Region, found: Explained, table: RunTable) -> None:
    project = projects.tabular()
    alike = {
        name: str(table.frame[f"params.{name}"].iloc[found.rows[0]])
        for name in (p.name for p in project.params)
        if name not in region.start and f"params.{name}" in table.frame
    }
    values = filled(project, {**alike, **region.start})
    if not values:
        st.caption(safe(t("statistics.region.no_project", project=project.title)))
        return
    query = {FROM_LINK + name: value for name, value in values.items()}
    link("training", t("statistics.region.try"), icon=":material/model_training:", **query)
    st.caption(safe(t("statistics.region.try_about", n=len(values), project=project.title)))


def _best(table: RunTable, metric: str, direction: str) -> float:
    values = table.frame[f"metrics.{metric}"].astype(float)
    values = values[values.abs() < 1e300]
    return float(values.min() if direction == "lower" else values.max())


def _written(one: Range) -> str:
    said = [] if one.low is None else [_span(one.low, one.high)]
    said += [
        t("statistics.region.share", value=_value(value), share=f"{share:.0%}")
        for value, share in one.words
    ]
    return ", ".join(said)


def _tried(one: Range) -> str:
    return formats.NONE if one.tried_low is None else _span(one.tried_low, one.tried_high)


def _span(low: str, high: str | None) -> str:
    return low if low == high else t("statistics.region.span", low=low, high=high)


def _value(value: str | None) -> str:
    return t("charts.label.missing") if value is None else value
