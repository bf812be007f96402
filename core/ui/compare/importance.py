"""Which params a metric depends on, how far to trust that, and where to go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

import numpy as np
import pandas as pd
import streamlit as st

from core import formats
from core.charts.importance import importance_bars, param_effect
from core.runs import importance
from core.runs.effects import Effect
from core.runs.importance import Explained
from core.runs.query import RunTable
from core.texts import t
from core.ui import parts
from core.ui.compare import measured, region
from core.ui.compare.shared import Compared, remembered
from core.ui.markup import plain, plain_frame, safe

_LISTED = 5
_MOST_READ = 200
"""Params that are offered and looked at: those that most runs have."""


@dataclass(frozen=True)
class Asked:
    """What is chosen on the page."""

    metric: str
    direction: str | None
    params: tuple[str, ...]
    log: bool | None


@st.fragment
def draw(compared: Compared) -> None:
    """Draw the importances with the fit beside them, the effects and the region to try."""
    every = [n for n in compared.names.params if compared.names.varies(n)]
    varying = [n.name for n in sorted(every, key=lambda n: -n.runs)[:_MOST_READ]]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = measured.metric(compared)
        if name is None:
            return
        direction = measured.direction(compared, name)
        asked = _choose(name, direction, varying)
    if not asked.params:
        parts.empty(safe(t("statistics.importance.declined.no_params")), "bar_chart")
        return
    # Params that are the same in all runs fill in the form with the others.
    columns = [f"params.{p}" for p in (*asked.params, *region.wanted(compared, varying))]
    table = compared.table([*columns, f"metrics.{asked.metric}"])
    found = _explained(table, asked)
    _say_runs(found, compared)
    if len(every) > len(varying):
        said = t("statistics.importance.read", n=len(varying), of=len(every))
        st.caption(safe(said))
    if found.declined:
        _declined(found)
        return
    _say_fit(found)
    _importances(found)
    _effects(found, table)
    region.draw(found, asked.direction, table)


def _choose(metric: str, direction: str | None, varying: list[str]) -> Asked:
    chosen = st.multiselect(
        t("statistics.importance.params"),
        varying,
        format_func=plain,
        key="importance_of",
        bind="query-params",
        placeholder=t("statistics.importance.all", n=len(varying)),
        width=260,
    )
    auto = t("statistics.importance.log.auto")
    scales = {t("statistics.importance.log.on"): True, t("statistics.importance.log.off"): False}
    with st.popover(t("statistics.importance.more"), icon=":material/tune:"):
        log = st.segmented_control(
            t("statistics.importance.log.label"),
            [auto, *scales],
            default=auto,
            key="importance_log",
            bind="query-params",
            required=True,
            help=t("statistics.importance.log.help"),
        )
    return Asked(metric, direction, tuple(chosen or varying), scales.get(log))


def _explained(table: RunTable, asked: Asked) -> Explained:
    """The forests' answer, grown once for the same runs and choices; progress meanwhile."""

    def grow() -> Explained:
        place = st.empty()
        bar = place.progress(0.0, t("statistics.importance.grows"))

        def progress(done: float) -> None:
            bar.progress(min(1.0, done), t("statistics.importance.grows"))

        found = importance.explain(
            table.frame, asked.metric, asked.params, log=asked.log, progress=progress
        )
        place.empty()
        return found

    # While others write to the store there are new tables of the same rows: what is dear is
    # remembered by what stands in them. Which way is better is no part of it: both are answered.
    marked = remembered(table, ("mark", asked.metric, asked.params), lambda: _mark(table, asked))
    held = _held(marked, asked.metric, asked.params, asked.log)
    if not held:
        held.append(grow())
    return held[0]


@st.cache_resource(max_entries=40, show_spinner=False)
def _held(
    mark: str,  # noqa: ARG001 - what is not used here is the key
    metric: str,  # noqa: ARG001
    params: tuple[str, ...],  # noqa: ARG001
    log: bool | None,  # noqa: ARG001
) -> list[Explained]:
    """A place for one answer."""
    return []


def _mark(table: RunTable, asked: Asked) -> str:
    """Stands for all values that the forests learn from, and the order of the runs."""
    columns = ["run_id", *(f"params.{p}" for p in asked.params), f"metrics.{asked.metric}"]
    rows = pd.util.hash_pandas_object(table.frame[columns], index=False).to_numpy()
    return sha256(rows.tobytes()).hexdigest()


def _say_runs(found: Explained, compared: Compared) -> None:
    said = [t("statistics.importance.runs", n=found.runs, of=compared.count)]
    if found.left_out:
        said.append(t("statistics.importance.left_out", n=found.left_out, metric=found.metric))
    if found.rows and len(found.rows) < found.runs:
        said.append(t("statistics.importance.sampled", n=len(found.rows)))
    for kind in ("names", "weaker"):
        names = getattr(found, kind)
        if names:
            said.append(
                t(f"statistics.importance.{kind}", n=len(names), names=_listed(names),
                  most=importance.MOST_PARAMS)
            )  # fmt: skip
    st.caption(safe(" ".join(said)))


def _declined(found: Explained) -> None:
    """Why nothing is said."""
    fit = formats.number(found.fit, 2) if found.fit is not None else ""
    fields = {
        "metric": found.metric,
        "n": found.runs,
        "fewest": importance.FEWEST_RUNS,
        "fit": fit,
        "least": importance.LEAST_FIT,
        "configurations": found.configurations,
    }
    parts.empty(safe(t(f"statistics.importance.declined.{found.declined}", **fields)), "bar_chart")


def _say_fit(found: Explained) -> None:
    fits = formats.alike(*found.fits)
    fit = formats.number(found.fit, 2)
    low, high = fits[int(np.argmin(found.fits))], fits[int(np.argmax(found.fits))]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(t("statistics.importance.fit", fit=fit, n=len(found.rows)), width="content")
        said = t("statistics.importance.folds", low=low, high=high, n=found.configurations)
        log = t("statistics.importance.as_log", metric=found.metric) if found.log else ""
        st.caption(safe(f"{said} {log}"), width="content")
        with st.popover(t("statistics.importance.how"), icon=":material/help:", type="tertiary"):
            st.markdown(t("statistics.importance.how_long"))


def _importances(found: Explained) -> None:
    frame = pd.DataFrame(
        [
            {
                "name": one.names[0],
                "mean": one.mean,
                "half": (one.high - one.low) / 2,
                "correlation": one.correlation,
                "low": one.low,
                "high": one.high,
            }
            for one in found.params
        ]
    )
    left, right = st.columns([3, 2])
    with left:
        figure = importance_bars(frame)
        st.plotly_chart(figure, alt=t("statistics.importance.alt"), key="importance_bars")
    with right:
        column = st.column_config
        st.dataframe(
            plain_frame(frame.drop(columns=["low", "high"]).round(3)),
            hide_index=True,
            placeholder=formats.NONE,
            alt=t("statistics.importance.table"),
            key="importance_table",
            height=min(600, 38 + 35 * len(frame)),
            column_config={
                "name": column.TextColumn(t("statistics.importance.column.name"), pinned=True),
                "mean": column.NumberColumn(t("statistics.importance.column.lost"), format="%.3f"),
                "half": column.NumberColumn(t("statistics.column.half"), format="%.3f"),
                "correlation": column.NumberColumn(
                    t("statistics.importance.column.correlation"),
                    format="%.2f",
                    help=t("statistics.importance.column.correlation_help"),
                ),
            },
        )
    if not any(one.matters for one in found.params):
        st.caption(f":material/info: {safe(t('statistics.importance.none_clear'))}")
    for one in found.together:
        mean, low, high = formats.alike(one.mean, one.low, one.high)
        names = _listed(one.names)
        said = t("statistics.importance.together", names=names, mean=mean, low=low, high=high)
        st.caption(f":material/link: {safe(said)}")


def _effects(found: Explained, table: RunTable) -> None:
    st.subheader(t("statistics.effects.title"), anchor=False)
    frame = table.frame.iloc[list(found.rows)]
    with st.grid(3, min_column_width=300):
        for i, effect in enumerate(found.effects):
            with st.container():
                st.markdown(f"**{safe(effect.name, 60)}**")
                figure = remembered(
                    table, ("effect", effect, found.log), partial(_effect, effect, frame, found)
                )
                alt = t("statistics.effects.alt", param=effect.name, metric=found.metric)
                st.plotly_chart(figure, alt=alt, key=f"effect_{i}")
    st.caption(safe(t("statistics.effects.about", n=len(frame))))


def _effect(effect: Effect, frame: pd.DataFrame, found: Explained) -> object:
    values = frame[f"params.{effect.name}"].astype(object)
    dots = pd.DataFrame(
        {
            "run_name": frame["name"].to_numpy(),
            "value": [None if pd.isna(v) else str(v) for v in values],
            "number": [_number(v) for v in values],
            "metric": frame[f"metrics.{found.metric}"].to_numpy(dtype=float),
        }
    )
    shown = pd.DataFrame(
        {
            "value": pd.Series(effect.values, dtype=object),
            "number": effect.numbers,
            "mean": effect.mean,
            "low": effect.low,
            "high": effect.high,
        }
    )
    return param_effect(shown, dots, found.metric, found.log)


def _number(value: object) -> float:
    found = pd.to_numeric(value, errors="coerce") if isinstance(value, str) else np.nan
    return float(found) if np.isfinite(found) else float("nan")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    more = len(names) - _LISTED
    return t("runs.and_more", names=shown, n=more) if more > 0 else shown
