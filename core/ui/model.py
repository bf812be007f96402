"""One registered model: its headline, its versions, and how it came to where it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd
import streamlit as st

from core import charts
from core.errors import DeckError, NotFound
from core.ledger import now
from core.mlflow_api.nouns import ModelVersion
from core.registry import catalogue
from core.registry.catalogue import Dossier
from core.registry.record import State, Transition, record
from core.registry.transitions import LEASE_SECONDS, settle
from core.runs.query import RunQuery, RunTable
from core.texts import t
from core.ui import errors, parts, registry, runs
from core.ui.deck import deck, forget, read
from core.ui.edits import describe, tags
from core.ui.markup import md, safe, visible
from core.ui.navigation import asked, link

MOST_MEASURED = 200
"""Versions whose runs are read at once; the others on demand, so that thousands open quickly."""
MOST_METRICS = 4
HISTORY = 200


@dataclass(frozen=True)
class Look:
    """What was read of a model."""

    dossier: Dossier
    measured: RunTable
    """The runs of the versions that were measured, with their metrics."""
    unmeasured: int = 0
    """How many versions with a run were left out."""
    trouble: DeckError | None = None
    """Why this is what was known before and not the present state."""

    def of_runs(self, column: str) -> list[object]:
        """One column of the runs' table, in the order of the versions; None for no value."""
        frame = self.measured.frame
        if column not in frame:
            return [None] * len(self.dossier.versions)
        known = dict(zip(frame["run_id"], frame[column].astype(object), strict=True))
        values = (known.get(v.run_id or "") for v in self.dossier.versions)
        return [None if value is pd.NA else value for value in values]

    def run_names(self) -> list[str]:
        """The names of the versions' runs; the id where the name is not known, "" for no run."""
        names = zip(self.of_runs("name"), self.dossier.versions, strict=True)
        return [str(name or version.run_id or "") for name, version in names]

    def run_name(self, version: ModelVersion) -> str:
        """The name of one version's run."""
        return self.run_names()[self.dossier.versions.index(version)]


def look(name: str) -> Look:
    """Read a model; where MLflow does not answer, what the person saw last, so that a form on the
    page keeps what was typed.

    Raises:
        NotFound: no name was given, or there is no such model.
        DeckError: MLflow does not answer, and nothing was seen before.
    """
    if not name:
        raise NotFound(t("model.no_name"), t("model.no_name_next"))
    remembered = f"model:last:{name}"
    try:
        found = _look(name)
    except DeckError as error:
        last: Look | None = st.session_state.get(remembered)
        if last is None or not error.retryable:
            raise
        return Look(last.dossier, last.measured, last.unmeasured, error)
    st.session_state[remembered] = found
    return found


def _look(name: str) -> Look:
    dossier = read("model", lambda: catalogue.dossier(deck().mlflow, name), name)
    ids = list(dict.fromkeys(v.run_id for v in dossier.versions if v.run_id))
    everything = st.session_state.get(f"model:all:{name}", False)
    some = tuple(ids if everything else ids[:MOST_MEASURED])
    measured = runs.table(RunQuery(run_ids=some)) if some else RunTable(pd.DataFrame())
    return Look(dossier, measured, len(ids) - len(some))


def head(found: Look) -> None:
    """Name, what stands where, description and tags, each with its edit."""
    model, dossier = found.dossier.model, found.dossier
    link("models", t("model.all"), icon=":material/arrow_back:")
    parts.title(safe(model.name, 120), "deployed_code_history")
    if found.trouble is not None:
        st.caption(t("model.last_seen"))
        errors.show(found.trouble)
    with st.container(horizontal=True, vertical_alignment="center"):
        for rung in reversed(dossier.ladder.rungs):
            if not rung.exclusive:
                continue
            held = dossier.on(rung)
            colour = registry.rung_colour(rung.name) if held else "grey"
            which = registry.numbers(held) if held else t("model.nobody")
            st.badge(md("model.holds", rung=rung.name, versions=which), color=colour)  # type: ignore[arg-type]
        st.caption(
            t(
                "model.about",
                n=len(dossier.versions),
                created=parts.when(model.created_at),
                changed=parts.when(model.updated_at),
            ),
            width="content",
        )
    if model.description:
        st.text(visible(model.description))
    with st.container(horizontal=True, vertical_alignment="center"):
        describe(model.description, model.name)
        tags(model.tags, model.name)


def versions(found: Look) -> ModelVersion | None:
    """The table of versions; the one that is chosen, also by the link."""
    dossier = found.dossier
    if not dossier.versions:
        parts.empty(t("model.no_versions"), "deployed_code")
        return None
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    bar.subheader(t("model.versions"), anchor=False)
    shown = _metrics(found, bar)
    numbers = [v.version for v in dossier.versions]
    chosen = _chosen(dossier)
    event = st.dataframe(
        _cells(found, shown),
        hide_index=True, on_select="rerun", selection_mode="single-row-required",
        key=f"versions_{runs.fingerprint([dossier.model.name, *map(str, numbers)])}",
        selection_default={"selection": {"rows": [numbers.index(chosen.version)]}},
        height="auto" if len(numbers) <= 8 else 320,
        placeholder="", alt=t("model.versions_alt"), lazy=False,
        column_config=_config(shown),
    )  # fmt: skip
    _measure(found)
    rows = event["selection"]["rows"]
    if rows and numbers[rows[0]] != chosen.version:
        chosen = dossier.versions[rows[0]]
    st.query_params["version"] = str(chosen.version)
    return chosen


def _chosen(dossier: Dossier) -> ModelVersion:
    """The version that the link names, else the one to look at first."""
    wanted = asked("version")
    if wanted:
        return dossier.version(int(wanted) if wanted.isdigit() and len(wanted) < 10 else 0)
    foremost = dossier.foremost
    return foremost if foremost is not None else dossier.versions[0]


def _metrics(found: Look, bar: "st.delta_generator.DeltaGenerator") -> list[str]:
    """Which metrics are columns; those first that most versions have."""
    order = _ordered(found)
    if not order:
        return []
    with bar.popover(t("model.columns"), icon=":material/view_column:"):
        chosen = st.multiselect(
            t("model.metrics"), [runs.label(n) for n in order], key="metrics", bind="query-params",
            placeholder=t("model.metrics_place", n=min(MOST_METRICS, len(order))),
        )  # fmt: skip
    return [f"metrics.{c}" for c in chosen] or order[:MOST_METRICS]


def _ordered(found: Look) -> list[str]:
    """The metrics of the versions, those first that most versions have."""
    frame = found.measured.frame
    names = found.measured.of("metrics")
    return sorted(names, key=lambda n: (-int(frame[n].notna().sum()), _is_time(n)))


def _is_time(name: str) -> bool:
    """Whether a metric tells how long something took, which says little of a model's worth."""
    return any(word in name for word in ("seconds", "time", "duration"))


def _measure(found: Look) -> None:
    if not found.unmeasured:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(t("model.unmeasured", n=found.unmeasured, most=MOST_MEASURED), width="content")
        if st.button(t("model.measure_all"), type="tertiary", key="measure_all"):
            st.session_state[f"model:all:{found.dossier.model.name}"] = True
            st.rerun()


def _cells(found: Look, shown: Sequence[str]) -> pd.DataFrame:
    rows = found.dossier.versions
    return pd.DataFrame(
        {
            "version": [t("models.v", version=v.version) for v in rows],
            "stage": [[found.dossier.standing(v).name] for v in rows],
            "aliases": [list(v.aliases) for v in rows],
            **{name: pd.to_numeric(pd.Series(found.of_runs(name))) for name in shown},
            "run": [visible(name) for name in found.run_names()],
            "description": [visible(v.description) for v in rows],
            "created": runs.instants([v.created_at for v in rows]),
        }
    )


def _config(shown: Sequence[str]) -> dict[str, Any]:
    column = st.column_config
    return {
        "version": column.TextColumn(t("model.column.version"), pinned=True, width=80),
        "stage": registry.rung_column(t("model.column.stage")),
        "aliases": column.ListColumn(t("model.column.aliases")),
        **{name: column.NumberColumn(runs.label(name), format="%.5g") for name in shown},
        "run": column.TextColumn(t("model.column.run")),
        "description": column.TextColumn(t("model.column.description")),
        "created": column.DatetimeColumn(t("model.column.created"), format="distance"),
    }


def story(found: Look) -> None:
    """How the model came here: a metric over its versions, and its transitions."""
    chart, history = st.tabs(
        [t("model.tab.chart"), t("model.tab.history")], key="model_tabs", on_change="rerun"
    )
    if chart.open:
        with chart:
            _chart(found)
    if history.open:
        with history:
            _history(found.dossier)


def _chart(found: Look) -> None:
    names = [runs.label(n) for n in _ordered(found)]
    if not names:
        parts.empty(t("model.no_metrics"), "show_chart")
        return
    chosen = st.selectbox(t("model.metric"), names, key="metric", bind="query-params", width=320)
    rows = found.dossier.versions
    frame = pd.DataFrame(
        {
            "version": [v.version for v in rows],
            "value": found.of_runs(f"metrics.{chosen}"),
            "stage": [found.dossier.standing(v).name for v in rows],
            "aliases": [v.aliases for v in rows],
        }
    )
    figure, notes = charts.metric_over_versions(frame, str(chosen))
    st.plotly_chart(figure, key="metric_over_versions")
    st.caption(safe(notes.text))


def _history(dossier: Dossier) -> None:
    here = deck()
    rows = read(
        "transitions",
        lambda: record(here.ledger, dossier.model.name, HISTORY, store=here.mlflow.address),
        dossier.model.name,
    )
    if not rows:
        parts.empty(t("model.history.none"), "history")
        return
    column = st.column_config
    states = [t(f"model.history.{state}") for state in State]
    st.dataframe(
        pd.DataFrame(
            {
                "when": runs.instants([r.begun_at.replace(microsecond=0) for r in rows]),
                "what": [r.sentence for r in rows],
                "who": [visible(r.actor) for r in rows],
                "result": [[t(f"model.history.{r.state}")] for r in rows],
                "comment": [visible(r.comment) for r in rows],
                "steps": ["; ".join(s.sentence for s in r.steps if not s.key) for r in rows],
                "message": [visible(r.message) for r in rows],
            }
        ),
        hide_index=True, alt=t("model.history.alt"), placeholder="",
        column_config={
            "when": column.DatetimeColumn(
                t("model.history.when"), format="YYYY-MM-DD HH:mm:ss",
                timezone=st.context.timezone,
            ),
            "what": column.TextColumn(t("model.history.what")),
            "who": column.TextColumn(t("model.history.who"), width=140),
            "result": column.MultiselectColumn(
                t("model.history.result"), options=states,
                color=["blue", "green", "orange", "red", "orange"],
            ),
            "comment": column.TextColumn(t("model.history.comment"), width=260),
            "steps": column.TextColumn(t("model.history.steps"), width="large"),
            "message": column.TextColumn(t("model.history.message"), width="large"),
        },
    )  # fmt: skip
    st.caption(_history_said(rows))
    _open_ends(dossier.model.name, rows)


def _open_ends(model: str, rows: Sequence[Transition]) -> None:
    """Offer to find out how changes ended whose maker has gone."""
    late = now() - timedelta(seconds=LEASE_SECONDS)
    broken = [r for r in rows if r.state is State.APPLYING and r.begun_at < late]
    if not broken:
        return
    here = deck()
    st.warning(t("model.history.open", n=len(broken)), icon=":material/history:")
    if st.button(t("model.history.settle"), icon=":material/search:", key="settle"):
        try:
            settle(here.mlflow, here.ledger, here.actor, model)
        finally:
            forget()
        st.rerun()


def _history_said(rows: Sequence[Transition]) -> str:
    key = "model.history.newest" if len(rows) == HISTORY else "model.history.all"
    return " ".join([t(key, n=len(rows)), t("model.history.ours")])
