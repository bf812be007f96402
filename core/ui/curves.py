"""Metric curves on pages: of one run, of many, and the fields for how they are drawn."""

from dataclasses import dataclass

import streamlit as st

from core import charts
from core.charts.curves import Along
from core.mlflow_api.nouns import Run
from core.runs.curves import ENDED, MOST_CURVES, Curves, Wanted
from core.texts import t
from core.ui import parts, runs
from core.ui.markup import safe

ALONG: tuple[Along, ...] = ("step", "time", "relative")
LIVE_SECONDS = 3.0
FIRST_CURVES = 4


@dataclass(frozen=True)
class Look:
    """How curves are drawn."""

    along: Along
    log: bool
    smoothing: float


def wanted(run: Run) -> Wanted:
    """A run whose curves can be read."""
    return Wanted(run.id, run.name, run.status in ENDED, frozenset(run.metrics))


def of_run(run: Run) -> None:
    """The curves of one run; while it runs, again and again."""
    if not run.metrics:
        parts.empty(t("run.no_metrics"), "show_chart")
        return
    names = sorted(run.metrics)
    chosen = st.multiselect(
        t("run.curves.metrics"),
        names,
        default=names[:FIRST_CURVES],
        key="metric",
        bind="query-params",
        max_selections=12,
    )
    look = curve_look("curve")
    if run.status in ENDED:
        draw_curves([wanted(run)], chosen, look)
        return

    @parts.live(LIVE_SECONDS)
    def again() -> None:
        draw_curves([wanted(runs.run(run.id))], chosen, look)

    again()


def curve_look(key: str) -> Look:
    """Fields for how curves are drawn: along what, logarithmic or not, how much smoothed."""
    along: dict[str, Along] = {t(f"run.curves.along.{a}"): a for a in ALONG}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.segmented_control(
            t("run.curves.x"),
            list(along),
            default=next(iter(along)),
            required=True,
            key=f"{key}_x",
            bind="query-params",
        )
        log = st.toggle(t("run.curves.log"), key=f"{key}_log", bind="query-params")
        smooth = st.slider(
            t("run.curves.smoothing"),
            0.0,
            0.95,
            0.0,
            0.05,
            key=f"{key}_smooth",
            bind="query-params",
            width=240,
        )
    return Look(along[x or next(iter(along))], log, smooth)


def draw_curves(of: list[Wanted], metrics: list[str], look: Look) -> None:
    """The curves of some metrics of some runs, with what was left out."""
    if not metrics:
        parts.empty(t("run.curves.choose"), "show_chart")
        return
    found = _read_curves(of, metrics)
    figure, notes = charts.metric_curves(
        found.points,
        look.along,
        look.log,
        look.smoothing,
        zone=st.context.timezone,
    )
    names = ", ".join(metrics)
    st.plotly_chart(figure, alt=t("run.curves.alt", names=names), key="curves")
    said = list(notes.sentences)
    if found.read < found.existing:
        said.append(t("run.curves.capped", n=found.read, of=found.existing))
    if found.single:
        said.append(t("run.curves.single", names=", ".join(found.single)))
    st.caption(safe(" ".join(said)))


def _read_curves(of: list[Wanted], metrics: list[str]) -> Curves:
    count = min(MOST_CURVES, sum(m in run.metrics for run in of for m in metrics))
    place = st.empty()
    bar = place.progress(0.0, t("run.curves.reading", n=0, of=count)) if count > 12 else None

    def tell(done: int, of_all: int) -> None:
        if bar is not None:
            bar.progress(done / of_all, t("run.curves.reading", n=done, of=of_all))

    found = runs.histories().curves(of, metrics, tell)
    place.empty()
    return found
