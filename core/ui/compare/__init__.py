"""Runs side by side: which ones, and the ways to look at them."""

from collections.abc import Callable
from importlib import import_module

import streamlit as st

from core.texts import t
from core.ui.compare.head import choose, compared
from core.ui.compare.shared import Compared

__all__ = ["choose", "compared", "draw"]

WAYS = (
    "parallel", "scatter", "shapes", "curves", "importance", "differences", "replicates",
)  # fmt: skip
"""The ways to look, in the order of the choice; each is the module of that name."""


def draw(runs: Compared) -> None:
    """The way to look at the runs that is open; the others cost nothing, not even their import."""
    names = {t(f"compare.way.{way}"): way for way in WAYS}
    chosen = st.segmented_control(
        t("compare.way.label"),
        list(names),
        default=next(iter(names)),
        key="chart",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    way: Callable[[Compared], None] = import_module(f"core.ui.compare.{names[chosen]}").draw
    way(runs)
