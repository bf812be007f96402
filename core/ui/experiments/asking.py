"""The fields of the question, each bound to the link: filter, order, which runs, nesting."""

from collections.abc import Sequence

import streamlit as st

from core.runs.asked import SORTABLE, VIEWS, Nesting, Order, RunQuery
from core.runs.columns import is_column
from core.runs.query import Names
from core.texts import t
from core.ui.navigation import asked_all

Place = st.delta_generator.DeltaGenerator

NESTINGS: tuple[Nesting, ...] = ("families", "flat", "top")
FIRST = "started_at"


def zone() -> str:
    """The viewer's time zone, an IANA name."""
    return st.context.timezone or "UTC"


def filter_field() -> tuple[str, Place]:
    """The field for the filter, drawn also where MLflow cannot be reached; the place beside it."""
    beside = st.container(horizontal=True, vertical_alignment="bottom")
    with beside:
        text = st.text_input(
            t("experiments.filter.label"),
            key="filter",
            bind="query-params",
            placeholder=t("experiments.filter.place", example="metrics.rmse < 0.5"),
            icon=":material/filter_alt:",
        )
    return text, beside


def which(ids: Sequence[str], text: str) -> RunQuery:
    """Active or deleted runs, and how nested ones lie; the question so far, in no order."""
    views = {t(f"experiments.runs_view.{v}"): v for v in VIEWS}
    nestings = {t(f"experiments.nesting.{n}"): n for n in NESTINGS}
    with st.popover(t("experiments.which"), icon=":material/account_tree:"):
        view = st.selectbox(
            t("experiments.runs_view.label"), list(views), key="view", bind="query-params"
        )
        nesting = st.selectbox(
            t("experiments.nesting.label"),
            list(nestings),
            key="nesting",
            bind="query-params",
            help=t("experiments.nesting.help"),
        )
    return RunQuery(
        tuple(ids),
        text,
        order=(),
        view=views.get(view or "", "active"),
        nesting=nestings.get(nesting or "", "families"),
        zone=zone(),
    )


def order(known: Names, shown: Sequence[str]) -> tuple[Order, ...]:
    """What the rows are sorted by: an attribute, a column that is shown, or any that is typed."""
    attributes = {t(f"experiments.order.{name}"): name for name in SORTABLE}
    linked = [c for c in asked_all("sort") if is_column(c)]
    options = [*attributes, *dict.fromkeys([*shown, *linked])]
    column = st.selectbox(
        t("experiments.order.label"),
        options,
        key="sort",
        bind="query-params",
        accept_new_options=True,
        help=t("experiments.order.help"),
        width=190,
    )
    ways = [t("experiments.order.down"), t("experiments.order.up")]
    way = st.segmented_control(
        t("experiments.order.way"),
        ways,
        default=ways[0],
        required=True,
        key="order",
        bind="query-params",
        label_visibility="collapsed",
    )
    typed = column or FIRST
    named = attributes.get(typed, typed)
    if named not in SORTABLE and not is_column(named):  # typed without its prefix
        named = next((n for n in known.columns if n.partition(".")[2] == named), named)
    return (Order(named, way != ways[1]),)
