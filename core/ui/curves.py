"""Metric curves on pages: of one run, of many, and the fields for how they are drawn."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import charts
from core.charts.along import Along
from core.charts.curves import CurveLook
from core.charts.labels import run_labels
from core.charts.notes import Notes
from core.mlflow_api.nouns import Run
from core.runs.bands import Spread
from core.runs.histories import ENDED, MOST_CURVES, MOST_POINTS, Curves, Histories, Line, Wanted
from core.texts import t
from core.ui import parts, runs
from core.ui.deck import deck, mirror
from core.ui.markup import safe, visible

ALONG: tuple[Along, ...] = ("step", "time", "relative", "metric")
LIVE_SECONDS = 3.0
FIRST_CURVES = 4
MOST_METRICS = 6
SYSTEM = "system/"
"""What the names of metrics of the machine begin with."""

_UNITS = {"_percentage": "%", "_megabytes": "MB", "_watts": "W"}
_QUIET_SECONDS = 0.7
"""Reading that is done by then needs no bar."""
_SYSTEM_PANELS = 12


@dataclass(frozen=True)
class Chosen:
    """What a person chose to see of some curves."""

    look: CurveLook
    metric: str = ""
    """The metric along the bottom, where the look says so."""
    highlight: tuple[str, ...] = ()
    """Runs that stand out, by id."""
    groups: Mapping[str, str] | None = None
    """Run id → its group, where groups are drawn instead of runs."""
    spread: Spread = "range"


def of_run(run: Run) -> None:
    """The curves of one run; while it runs, again and again."""
    names = sorted(name for name in run.metrics if not name.startswith(SYSTEM))
    if not names:
        parts.empty(t("run.no_metrics"), "show_chart")
        return
    chosen = st.multiselect(
        t("curves.metrics"),
        names,
        default=names[:FIRST_CURVES],
        key="metric",
        bind="query-params",
        max_selections=_SYSTEM_PANELS,
    )
    shown = curve_look("curve", names)
    draw_live(lambda: [wanted(runs.run(run.id))], lambda of: draw_curves(of, chosen, shown))


def system(run: Run) -> None:
    """What the machine did during one run, by time; while it runs, again and again."""
    names = sorted(name for name in run.metrics if name.startswith(SYSTEM))
    if not names:
        parts.empty(t("curves.system.none"), "memory")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            t("curves.metrics"),
            names,
            default=names[:_SYSTEM_PANELS],
            key="system_metric",
            bind="query-params",
            max_selections=_SYSTEM_PANELS,
        )
    if len(names) > _SYSTEM_PANELS:
        st.caption(t("curves.system.first", n=_SYSTEM_PANELS, of=len(names)))
    by = _along("system", ("relative", "time", "step"))
    shown = Chosen(CurveLook(by, zone=st.context.timezone))
    draw_live(lambda: [wanted(runs.run(run.id))], lambda of: draw_curves(of, chosen, shown))


def wanted(run: Run) -> Wanted:
    """A run whose curves can be read."""
    return Wanted(run.id, run.name, run.status in ENDED, frozenset(run.metrics))


def curve_look(key: str, names: Sequence[str]) -> Chosen:
    """Fields for how curves are drawn: along what, logarithmic or not, how much smoothed.

    Args:
        key: begins the names of the fields in the address.
        names: metrics that may run along the bottom.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        x = _along(key, ALONG)
        metric = ""
        if x == "metric":
            metric = (
                st.selectbox(
                    t("curves.metric"), names, key=f"{key}_by", bind="query-params", width=240
                )
                or names[0]
            )
        smoothing = st.slider(
            t("curves.smoothing"),
            0.0,
            0.95,
            0.0,
            0.05,
            key=f"{key}_smooth",
            bind="query-params",
            width=200,
        )
        log_y = st.toggle(t("curves.log_y"), key=f"{key}_log", bind="query-params")
        log_x = st.toggle(
            t("curves.log_x"), key=f"{key}_log_x", bind="query-params", disabled=x == "time"
        )
    look = CurveLook(x, log_x and x != "time", log_y, smoothing, st.context.timezone)
    return Chosen(look, metric)


def _along(key: str, offered: Sequence[Along]) -> Along:
    along: dict[str, Along] = {t(f"curves.along.{a}"): a for a in offered}
    x = st.segmented_control(
        t("curves.x"),
        list(along),
        default=next(iter(along)),
        required=True,
        key=f"{key}_x",
        bind="query-params",
    )
    return along[x or next(iter(along))]


def draw_live(find: Callable[[], list[Wanted]], draw: Callable[[list[Wanted]], None]) -> None:
    """Draw the curves of some runs; while any of them runs, again and again, without the page.

    Args:
        find: the runs as they are now.
        draw: draws them; what did not change reaches the browser as it was, and is left alone.
    """
    first = find()
    if all(run.ended for run in first):
        draw(first)
        return
    fresh = [first]

    @parts.live(LIVE_SECONDS)
    def again() -> None:
        of = fresh.pop() if fresh else find()
        if all(run.ended for run in of):
            parts.again()
        draw(of)
        running = sum(not run.ended for run in of)
        st.caption(t("curves.live", n=running, seconds=int(LIVE_SECONDS)))

    again()


def draw_curves(
    of: Sequence[Wanted],
    metrics: Sequence[str],
    chosen: Chosen,
    *,
    existing: int | None = None,
    key: str = "curves",
) -> None:
    """The curves of some metrics of some runs, with what was left out.

    Args:
        existing: how many curves there are, where ``of`` names only the first of the runs.
    """
    if not metrics:
        parts.empty(t("curves.choose"), "show_chart")
        return
    asked = list(dict.fromkeys([*metrics, chosen.metric] if chosen.metric else metrics))
    found = _read(of, asked, key)
    figure, notes = _figure(found, of, tuple(metrics), chosen)
    st.plotly_chart(figure, alt=t("curves.alt", names=", ".join(metrics)), key=key)
    said = list(notes.sentences)
    if found.short:
        total = max(found.existing, existing or 0)
        said.append(
            t(f"curves.short.{found.short}", n=len(found.lines), of=total, points=MOST_POINTS)
        )
    elif existing is not None and existing > found.existing:
        said.append(t("curves.short.curves", n=len(found.lines), of=existing))
    single = [name for name in found.single if name in metrics]
    if single:
        said.append(t("curves.single", names=", ".join(single)))
    st.caption(safe(" ".join(said)))
    if found.short == "stopped":
        st.button(t("curves.read_on"), icon=":material/play_arrow:", key=f"{key}_on",
                  on_click=_read_on, args=(key,))  # fmt: skip


def _figure(
    found: Curves, of: Sequence[Wanted], metrics: Sequence[str], chosen: Chosen
) -> tuple[Any, Notes]:
    """The figure, remembered as long as nothing new was logged."""
    lines = tuple(line for line in found.lines if line.key in metrics)
    numbers = tuple((line.run, line.key, line.history.number) for line in found.lines)
    names = tuple((run.id, run.name) for run in of)
    groups = None if chosen.groups is None else tuple(chosen.groups.items())
    what = (numbers, names, metrics, chosen.look, chosen.metric, chosen.highlight, groups)
    return _drawn(f"{what!r} {chosen.spread}", lines, names, chosen, found)


@st.cache_resource(show_spinner=False, max_entries=24)
def _drawn(
    what: str,  # noqa: ARG001 - the key of the memory
    _lines: tuple[Line, ...],
    _names: tuple[tuple[str, str], ...],
    _chosen: Chosen,
    _found: Curves,
) -> tuple[Any, Notes]:
    units = {line.key: unit for line in _lines if (unit := _unit(line.key))}
    if _chosen.groups is not None:
        return charts.group_bands(_lines, _chosen.groups, _chosen.spread, _chosen.look, units=units)
    along = {x.run: x.history for x in _found.lines if x.key == _chosen.metric}
    return charts.metric_curves(
        _lines,
        _chosen.look,
        runs=_names,
        highlight=_chosen.highlight,
        metric=(_chosen.metric, along),
        units=units,
    )


def _unit(metric: str) -> str:
    """The unit that the name of a metric of the machine ends with; else empty."""
    if not metric.startswith(SYSTEM):
        return ""
    return next((unit for ending, unit in _UNITS.items() if metric.endswith(ending)), "")


def highlight(key: str, of: Sequence[Wanted]) -> tuple[str, ...]:
    """A field in which runs are searched by name, to stand out among the others: their ids."""
    labels = run_labels([(run.id, run.name) for run in of])
    ids = {visible(label): run for run, label in labels.items()}
    picked = st.multiselect(
        t("curves.highlight"),
        list(ids),
        key=key,
        bind="query-params",
        placeholder=t("curves.highlight_place"),
        width=280,
    )
    return tuple(ids[label] for label in picked)


def histories() -> Histories:
    """Reads metric histories, and keeps those of this person."""
    # The mirror has looked whether the database is this server's; while it does not read it, as
    # where it is another's, neither do curves.
    return _histories(deck().scope, mirror().database)


@st.cache_resource(show_spinner=False, max_entries=20, on_release=Histories.close)
def _histories(scope: tuple[str, str, str], database: str | None) -> Histories:  # noqa: ARG001 - part of the key
    return Histories(deck().mlflow, database)


def _read(of: Sequence[Wanted], metrics: Sequence[str], key: str) -> Curves:
    """The histories; a bar and a stop where that takes longer."""
    place = st.empty()
    began = time.monotonic()
    bars: list[Any] = []

    def tell(done: int, of_all: int) -> None:
        if time.monotonic() - began < _QUIET_SECONDS or done == of_all:
            return
        said = t("curves.reading", n=done, of=of_all)
        if not bars:
            with place.container(horizontal=True, vertical_alignment="center"):
                bars.append(st.progress(0.0, said))
                st.button(t("curves.stop"), icon=":material/stop:", key=f"{key}_stop",
                          on_click=_stop, args=(key, question))  # fmt: skip
        bars[0].progress(done / of_all, said)

    question = runs.fingerprint([*metrics, *(run.id for run in of)])
    stopped = st.session_state.get(f"_{key}_stopped") == question
    found = histories().curves(of, metrics, tell, only_kept=stopped)
    place.empty()
    return found


def _stop(key: str, question: str) -> None:
    st.session_state[f"_{key}_stopped"] = question


def _read_on(key: str) -> None:
    st.session_state.pop(f"_{key}_stopped", None)


__all__ = [
    "MOST_CURVES",
    "Chosen",
    "curve_look",
    "draw_curves",
    "draw_live",
    "highlight",
    "of_run",
    "system",
    "wanted",
]
