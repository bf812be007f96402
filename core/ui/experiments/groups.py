"""Runs in groups: by params, tags and attributes, or by all params but some."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import formats
from core.runs.columns import is_column, parse
from core.runs.grouping import ATTRIBUTES, By, GroupOrder, GroupTable
from core.runs.query import Names, RunQuery
from core.texts import t
from core.ui import run_cells, runs
from core.ui.experiments import table
from core.ui.markup import plain_frame, visible
from core.ui.navigation import asked_all

MOST_OPTIONS = 500
MOST_METRICS = 8
MOST_GROUPS = 5000
_OPEN = "groups_open"


def chosen(known: Names) -> By | None:
    """The fields for grouping, bound to the link; None where runs are not grouped."""
    held = [*st.session_state.get("group", []), *asked_all("group")]
    own = [n.column for n in known.tags if not n.name.startswith("mlflow.")]
    options = [n.column for n in known.params if known.varies(n)] + own + list(ATTRIBUTES)
    options = list(dict.fromkeys([*(c for c in held if is_column(c)), *options]))[:MOST_OPTIONS]
    ways = [t("experiments.group.these"), t("experiments.group.but")]
    with st.popover(t("experiments.group.label"), icon=":material/workspaces:"):
        way = st.segmented_control(
            t("experiments.group.way"), ways, default=ways[0], required=True, key="group_way",
            bind="query-params",
        )  # fmt: skip
        picked = st.multiselect(
            t("experiments.group.by"),
            options,
            key="group",
            bind="query-params",
            accept_new_options=True,
            placeholder=t("experiments.group.place"),
            help=t("experiments.group.help"),
        )
        st.button(
            t("experiments.group.none"),
            icon=":material/close:",
            key="group_none",
            disabled=not picked and way == ways[0],
            on_click=_ungroup,
        )
    good = tuple(dict.fromkeys(c for c in picked if is_column(c)))
    if way == ways[1]:
        return By(all_params_but=tuple(parse(c).name for c in good))
    return By(good) if good else None


def draw(asked: RunQuery, by: By) -> None:
    """The groups; a click on one shows its runs."""
    numbers = [c for c in asked.columns or () if parse(c).kind in ("metrics", "aggregate")]
    shown = numbers[:MOST_METRICS]
    found = runs.groups(_limited(asked), by, shown, _order(asked, shown))
    _say(found, len(shown), len(numbers))
    made = cells(found)
    st.dataframe(
        made,
        hide_index=True,
        height=min(560, 38 + 35 * max(1, len(made))),
        key=f"groups_{runs.fingerprint([*map(str, made.columns), str(len(made))])}",
        column_config=_config(found, asked, [str(c) for c in made.columns]),
        placeholder="",
        alt=t("experiments.group.alt"),
        lazy=False,
    )


def cells(found: GroupTable) -> pd.DataFrame:
    """What the table shows: what runs of a group have in common, how many, their numbers."""
    made: dict[str, object] = {"open": [t("experiments.group.open")] * len(found.frame)}
    made |= {str(c): found.frame[c].to_numpy() for c in found.frame.columns}
    for column, stats in found.stats.items():
        made[f"{column} mean"] = [
            spread(m, s, int(n)) for m, s, n in zip(stats["mean"], stats["sd"], stats["n"],
                                                     strict=True)
        ]  # fmt: skip
        if stats["best"].notna().any():
            made[f"{column} best"] = stats["best"].to_numpy()
    return plain_frame(pd.DataFrame(made))


def spread(mean: float, sd: float, n: int) -> str:
    """``0.91 ± 0.02``; the mean alone where there is one value, nothing where there is none."""
    if not n:
        return ""
    if n == 1 or pd.isna(sd):
        return formats.number(mean)
    return t("experiments.group.spread", mean=formats.number(mean), sd=formats.number(sd, 2))


def _limited(asked: RunQuery) -> RunQuery:
    return RunQuery(
        asked.experiment_ids, asked.filter, asked.order, limit=MOST_GROUPS, view=asked.view,
        nesting="top" if asked.nesting == "top" else "flat", zone=asked.zone,
    )  # fmt: skip


def _order(asked: RunQuery, shown: Sequence[str]) -> GroupOrder:
    """Groups by the mean of the metric that runs are sorted by, else the largest first."""
    first = asked.order[0] if asked.order else None
    if first is not None and first.column in shown:
        return GroupOrder(first.column, "mean", first.descending)
    return GroupOrder()


def _say(found: GroupTable, metrics: int, of: int) -> None:
    said = [t("experiments.group.shown", n=found.total, runs=formats.count(found.runs))]
    if len(found.frame) < found.total:
        said.append(t("experiments.group.some", shown=formats.count(len(found.frame))))
    if metrics < of:
        said.append(t("experiments.group.metrics", shown=metrics, n=of))
    if found.left_out:
        said.append(t("experiments.group.left_out", n=found.left_out))
    odd = sum(int(s["nan"].sum() + s["infinite"].sum()) for s in found.stats.values())
    if odd:
        said.append(t("experiments.group.odd", n=odd))
    st.caption(" ".join(said))


def _config(found: GroupTable, asked: RunQuery, names: Sequence[str]) -> dict[str, Any]:
    column = st.column_config
    looks: dict[str, Any] = {
        "open": column.ButtonColumn(
            "", type="tertiary", key=_OPEN, width=80, pinned=True, on_click=_show,
            args=(found, asked),
        ),
        "runs": column.NumberColumn(t("experiments.column.runs"), width=70),
    }  # fmt: skip
    for name in names:
        base, _, form = name.rpartition(" ")
        if form in ("mean", "best") and base:
            label = parse(base).label if is_column(base) else base
            text = t(f"experiments.group.{form}", metric=visible(label))
            looks[name] = (
                column.TextColumn(text, alignment="right")
                if form == "mean"
                else column.NumberColumn(text, format="%.5g")
            )
        elif name not in looks:
            looks[name] = column.TextColumn(run_cells.label(name), pinned=True)
    return looks


def _show(found: GroupTable, asked: RunQuery) -> None:
    """The runs of the group that was clicked: by a filter where one can say it, else ticked."""
    click = st.session_state.get(_OPEN)
    row = click["row"] if click else None
    if row is None or not 0 <= row < len(found.frame):
        return
    _ungroup()
    text = found.filter(row)
    if text is None:
        table.tick(asked.experiment_ids, found.ids(row))
        return
    before = asked.filter.strip()
    st.session_state["filter"] = f"({before}) AND {text}" if before else text


def _ungroup() -> None:
    st.session_state["group"] = []
    if st.session_state.get("group_way") == t("experiments.group.but"):
        st.session_state["group_way"] = t("experiments.group.these")
