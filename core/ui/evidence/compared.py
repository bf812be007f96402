"""Champion against challenger: metrics, checks, what else differs, curves, the model card."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import formats
from core.charts.curves import CurveLook
from core.errors import DeckError, NotFound
from core.lifecycle import brief
from core.lifecycle.brief import Changed, Metric
from core.lifecycle.evidence.measured import measured
from core.lifecycle.paper.pictures import Curves as Pictured
from core.mlflow_api.nouns import Run, logged_model_of
from core.registry.gates import Evidence, Result, Status
from core.registry.gates.evidence import Side
from core.registry.gates.finding import title as gate_title
from core.texts import has, t
from core.ui import curves, errors, parts, runs
from core.ui.deck import deck, read
from core.ui.evidence.look import Look
from core.ui.markup import md, plain, plain_frame, safe
from core.ui.navigation import link

MOST_ROWS = 500
"""Rows of one table; more params than that nobody reads."""

_MOST_NOW = 3
_CHECKS = {
    "pass": ("check_circle", "green"),
    "unneeded": ("check_circle", "grey"),
    "warn": ("warning", "orange"),
    "block": ("block", "red"),
    "inform": ("info", "blue"),
}


def compared(found: Look) -> tuple[Mapping[str, Pictured], tuple[str, ...]]:
    """Everything that was gathered, in the order in which it is asked for.

    Returns:
        for the saved file: the curves of the foremost metrics, and of which version there are none
        because its run is gone, in words.
    """
    evidence = found.evidence
    if evidence is None:
        parts.empty(safe(brief.sentence(found.request, None)), "hourglass_empty")
        return {}, ()
    st.subheader(t("evidence_page.section.metrics"), anchor=False)
    _metrics(found, evidence)
    _gathered(evidence)
    st.subheader(t("evidence_page.section.checks"), anchor=False)
    checks(found.request.results)
    st.subheader(t("evidence_page.section.differences"), anchor=False)
    _differences(evidence)
    st.subheader(t("evidence_page.section.card"), anchor=False)
    _card(evidence)
    pictures: Mapping[str, Pictured] = {}
    gone: tuple[str, ...] = ()
    with errors.part():
        there, gone = _runs(evidence)
        pictures = _pictured(found, evidence, there)
        _curves(found, there, gone, list(pictures))
    return pictures, gone


def _metrics(found: Look, evidence: Evidence) -> None:
    if evidence.holder is None:
        st.caption(f":material/info: {safe(brief.alone_said(evidence))}")
    if not found.metrics:
        parts.empty(t("evidence_page.metrics.none"), "query_stats")
        return
    first = brief.foremost(found.metrics)
    with st.container(horizontal=True):
        for metric in first:
            _large(metric, evidence)
    for metric in first:
        if said := brief.told(metric, evidence):
            st.markdown(f":material/functions: {safe(said)}")
    if len(found.metrics) > len(first) or evidence.holder is not None:
        with st.expander(t("evidence_page.metrics.all", n=len(found.metrics))):
            _metric_table(found.metrics, evidence)
            st.caption(t("evidence_page.metrics.foremost"))


def _large(metric: Metric, evidence: Evidence) -> None:
    better, change = metric.better, metric.change
    value = formats.number(metric.mine)
    delta = None
    if metric.theirs is not None and metric.mine is not None and change is not None:
        value, theirs = formats.alike(metric.mine, metric.theirs)
        holder = evidence.holder.version if evidence.holder else 0
        by = formats.alike(change.absolute, 0.0)[0]
        sign = "+" if change.absolute > 0 else ""
        delta = t("evidence_page.metrics.delta", by=f"{sign}{by}", theirs=theirs, version=holder)
    flat = change is None or not change.absolute or better is None
    falls = change is not None and change.absolute < 0
    st.metric(
        safe(metric.name, 60), value, safe(delta) if delta else None, border=True, width=265,
        # Streamlit would look for the sign in the escaped text and take every change for a gain.
        delta_color="gray" if flat else "green" if (better == "lower") == falls else "red",
        delta_arrow="off" if change is None or not change.absolute else "down" if falls else "up",
    )  # fmt: skip


def _metric_table(metrics: Sequence[Metric], evidence: Evidence) -> None:
    mine, theirs = brief.names(evidence)
    rows = [
        {
            "metric": metric.name,
            "mine": metric.mine,
            "theirs": metric.theirs,
            "change": brief.change_said(metric),
            "low": metric.tested.low if metric.tested else None,
            "high": metric.tested.high if metric.tested else None,
            "better": t(f"evidence_page.metrics.direction_{metric.better}")
            if metric.better
            else "",
        }
        for metric in metrics
    ]
    column, names = st.column_config, {"mine": mine, "theirs": theirs}
    help_ = {n: t("evidence_page.metrics.interval_help") for n in ("low", "high")}
    shown = list(rows[0])
    if evidence.holder is None:
        shown = ["metric", "mine", "better"]
    elif not any(row["low"] is not None for row in rows):
        shown = [name for name in shown if name not in help_]
    st.dataframe(
        plain_frame(pd.DataFrame(rows, columns=shown)),
        hide_index=True,
        placeholder=formats.NONE,
        height=min(38 + 35 * len(rows), 318),
        alt=t("evidence_page.section.metrics"),
        column_config={
            name: (column.TextColumn if name in ("metric", "change", "better") else _number)(
                plain(t(f"evidence_page.column.{name}", name=names.get(name, ""))),
                help=help_.get(name),
            )
            for name in shown
        },
    )


def _number(label: str, *, help: str | None) -> Any:  # noqa: A002 - Streamlit's word
    return st.column_config.NumberColumn(label, help=help, format="%.6g")


def _gathered(evidence: Evidence) -> None:
    """When it was gathered, what could not be, and whether MLflow says otherwise by now."""
    at = {"ago": parts.when(evidence.at), "when": parts.moment(evidence.at)}
    st.caption(f":material/ac_unit: {md('evidence_page.gathered', **at)} {safe(_now(evidence))}")
    for why in dict.fromkeys(evidence.missing.values()):
        missing = ", ".join(_part(part) for part, one in evidence.missing.items() if one == why)
        st.caption(f":material/help: {md('evidence_page.missing', parts=missing, why=why)}")
    for note in evidence.notes.values():
        st.caption(f":material/info: {safe(note)}")


def _part(name: str) -> str:
    side, _, part = name.rpartition(".")
    said = t(f"evidence_page.part.{part}") if has(f"evidence_page.part.{part}") else part
    return t("evidence_page.part_of_holder", part=said) if side else said


def _now(evidence: Evidence) -> str:
    """Whether MLflow has the same metrics now; plain text."""
    said = []
    for side in (evidence.challenger, evidence.holder):
        if side is None or (side.run_id is None and logged_model_of(side.source) is None):
            continue
        version = t("models.v", version=side.version)
        try:
            now = _measured(side)
        except NotFound:
            return t("evidence_page.now_gone", version=version)
        except DeckError as error:
            return t("evidence_page.now_unknown", why=error.what)
        said += [
            t("evidence_page.now_one", name=one.name, version=version,
              before=one.theirs or formats.NONE, now=one.mine or formats.NONE)
            for one in brief.moved(side, now)
        ]  # fmt: skip
    if not said:
        return t("evidence_page.now_same")
    more = [t("evidence_page.now_more", n=len(said) - _MOST_NOW)] if len(said) > _MOST_NOW else []
    return t("evidence_page.now_other", what=" ".join([*said[:_MOST_NOW], *more]))


def _measured(side: Side) -> Mapping[str, float]:
    """A version's metrics as MLflow has them now, counted as its evidence counts them."""
    run = runs.run(side.run_id) if side.run_id else None
    model_id = logged_model_of(side.source)
    if model_id is None:
        return run.metrics if run else {}

    def ask() -> Mapping[str, float]:
        return measured(deck().mlflow, side.version, model_id, run).metrics

    return read("measured", ask, side.version, model_id, side.run_id)


def checks(results: Sequence[Result]) -> None:
    """The gates, those that hold something against the version first."""
    if not results:
        parts.empty(t("evidence_page.check.none"), "rule")
        return
    order = ["block", "warn", "inform", "pass", "unneeded"]
    for result in sorted(results, key=lambda one: order.index(brief.check_look(one))):
        _check(result)


def _check(result: Result) -> None:
    look = brief.check_look(result)
    icon, colour = _CHECKS[look]
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            name = safe(gate_title(result.gate), 80)
            st.markdown(f":{colour}[:material/{icon}:] **{name}**", width="stretch")
            st.badge(t(f"evidence_page.check.{look}"), color=colour)  # type: ignore[arg-type]
        st.markdown(safe(result.reason))
        if result.status is Status.UNKNOWN:
            st.caption(t("evidence_page.check.unknown"))
        looked_at = {**result.options, **result.inputs}
        if looked_at:
            with st.expander(t("evidence_page.check.inputs"), type="compact"):
                st.json(plain(looked_at), expanded=1)


def _differences(evidence: Evidence) -> None:
    if evidence.holder is None:
        st.caption(safe(brief.alone_said(evidence)))
        return
    mine, theirs = brief.names(evidence)
    same = []
    for name, rows in brief.differences(evidence).items():
        title = t(f"evidence_page.differ.{name}")
        if rows:
            st.markdown(f"**{title}**")
            _changes(rows, mine, theirs)
        elif rows is None:
            st.caption(f"{title}: {t('evidence_page.differ.unknown')}")
        else:
            same.append(title)
    if same:
        st.caption(t("evidence_page.differ.none", parts=", ".join(same)))


def _changes(rows: Sequence[Changed], mine: str, theirs: str) -> None:
    shown = [
        {
            "name": row.name,
            "kind": t(f"evidence_page.differ.{row.kind}"),
            "theirs": row.theirs,
            "mine": row.mine,
        }
        for row in rows[:MOST_ROWS]
    ]
    column = st.column_config.TextColumn
    st.dataframe(
        plain_frame(pd.DataFrame(shown)),
        hide_index=True,
        placeholder=formats.NONE,
        height=min(38 + 35 * len(shown), 248),
        alt=t("evidence_page.section.differences"),
        column_config={
            "name": column(t("evidence_page.column.name"), pinned=True),
            "kind": column(t("evidence_page.column.kind"), width="small"),
            "theirs": column(plain(theirs)),
            "mine": column(plain(mine)),
        },
    )
    if len(rows) > MOST_ROWS:
        st.caption(t("evidence_page.differ.shown", n=MOST_ROWS, of=len(rows)))


def _runs(evidence: Evidence) -> tuple[dict[int, Run], tuple[str, ...]]:
    """Version → its run, of those that have one; and whose run is gone for good, in words."""
    there: dict[int, Run] = {}
    gone = []
    for side in (evidence.challenger, evidence.holder):
        if side is None or side.run_id is None:
            continue
        try:
            there[side.version] = runs.run(side.run_id)
        except NotFound:
            name = t("models.v", version=side.version)
            gone.append(t("evidence_page.curves.gone", version=name))
    return there, tuple(gone)


def _curves(
    found: Look, there: Mapping[int, Run], gone: Sequence[str], names: Sequence[str]
) -> None:
    """The curves of both runs: of the foremost metrics that have some, or of those chosen."""
    if not found.metrics or not (there or gone):
        return
    st.subheader(t("evidence_page.section.curves"), anchor=False)
    for said in gone:
        st.caption(f":material/info: {safe(said)}")
    if not there:
        return
    chosen = st.multiselect(
        t("curves.metrics"), [metric.name for metric in found.metrics], default=list(names),
        key="metric", bind="query-params", max_selections=curves.MOST_METRICS,
        placeholder=t("evidence_page.curves.none"),
    )  # fmt: skip
    if chosen:
        of = [curves.wanted(run) for run in there.values()]
        curves.draw_curves(of, chosen, curves.Chosen(CurveLook()), key="evidence_curves")
    with st.container(horizontal=True):
        for version, run in there.items():
            name = t("models.v", version=version)
            link("run", md("evidence_page.open_run", name=name), icon=":material/play_circle:",
                 run=run.id)  # fmt: skip


def _pictured(found: Look, evidence: Evidence, there: Mapping[int, Run]) -> Mapping[str, Pictured]:
    """The curves of the foremost metrics of both; those of one point are none."""
    names = [metric.name for metric in brief.foremost(found.metrics)]
    ids = [side.run_id or "" if side else "" for side in (evidence.challenger, evidence.holder)]
    of = [curves.wanted(run) for run in {run.id: run for run in there.values()}.values()]
    if not names or not of:
        return {}
    points = {
        (line.run, line.key): tuple(
            zip(line.history.steps.tolist(), line.history.values.tolist(), strict=True)
        )
        for line in curves.histories().curves(of, names).lines
        if len(line.history) > 1
    }
    made = {n: (points.get((ids[0], n), ()), points.get((ids[1], n), ())) for n in names}
    return {name: both for name, both in made.items() if any(both)}


def _card(evidence: Evidence) -> None:
    filled = {name: value for name, value in evidence.card.items() if value}
    if not filled:
        st.caption(t("evidence_page.card.none"))
    for name, value in filled.items():
        st.caption(safe(brief.field_title(name)))
        st.text(plain(value))
