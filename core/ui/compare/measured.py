"""What the statistics have in common: the metric in question, and which way it is better."""

import streamlit as st

from core.runs.query import choose
from core.texts import t
from core.ui import parts
from core.ui.compare.shared import Compared
from core.ui.markup import plain, safe

_SYSTEM = "system/"
_TIMES = ("latency", "duration", "seconds", "time")


def metric(compared: Compared) -> str | None:
    """The metric chosen, bound to the link; None, and said, where the runs have none."""
    offered = [n.name for n in compared.names.metrics if not n.name.startswith(_SYSTEM)]
    if not offered:
        parts.empty(safe(t("statistics.metric.none")), "functions")
        return None
    shown = [c.removeprefix("metrics.") for c in choose(compared.names, most=10_000).shown]
    varying = [name for name in shown if name in set(offered)]
    first = min(varying or offered, key=lambda name: _afterthought(compared, name))
    chosen = st.selectbox(
        t("statistics.metric.label"),
        offered,
        index=offered.index(first),
        format_func=plain,
        key="metric",
        bind="query-params",
        width=260,
    )
    return chosen or first


def _afterthought(compared: Compared, name: str) -> tuple[bool, bool]:
    """Sorts metrics that say how good a model is before times, and before the unknown."""
    known = compared.names.get(f"metrics.{name}")
    timed = any(word in name.lower() for word in _TIMES)
    return (known is None or known.direction is None, timed)


def direction(compared: Compared, name: str) -> str | None:
    """Which way the metric is better: as chosen, or as its name or its experiment says."""
    auto = t("statistics.metric.auto")
    ways = {t(f"statistics.metric.{way}"): way for way in ("lower", "higher")}
    known = compared.names.get(f"metrics.{name}")
    told = known.direction if known else None
    chosen = st.segmented_control(
        t("statistics.metric.better"),
        [auto, *ways],
        default=auto,
        key="better_way",
        bind="query-params",
        required=True,
        help=t(f"statistics.metric.is_{told or 'unknown'}"),
    )
    return ways.get(chosen, told)
