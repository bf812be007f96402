"""One registered model: its headline, its versions, and what is known of one of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd
import streamlit as st

from core import charts, formats
from core.errors import DeckError, NotFound
from core.ledger import now
from core.mlflow_api.nouns import Column, ModelInfo, ModelVersion
from core.registry import catalogue, editing
from core.registry.catalogue import Dossier
from core.registry.record import State, Transition, record
from core.registry.transitions import LEASE_SECONDS, remove_alias, set_alias, settle
from core.runs.query import RunQuery, RunTable
from core.texts import t
from core.ui import errors, parts, registry, runs
from core.ui.deck import deck, forget, keep, read
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
        describe(
            model.description,
            lambda text: deck().mlflow.registry.describe_model(model.name, text),
            "model_about",
        )
        tags(
            model.tags,
            lambda key, value: editing.set_model_tag(deck().mlflow, model.name, key, value),
            lambda key: deck().mlflow.registry.delete_model_tag(model.name, key),
            "model_tags",
        )


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


def _by_run(found: Look, column: str) -> list[object]:
    """One column of the runs' table, in the order of the versions; None where there is none."""
    frame = found.measured.frame
    if column not in frame:
        return [None] * len(found.dossier.versions)
    known = dict(zip(frame["run_id"], frame[column].astype(object), strict=True))
    values = (known.get(v.run_id or "") for v in found.dossier.versions)
    return [None if value is pd.NA else value for value in values]


def _cells(found: Look, shown: Sequence[str]) -> pd.DataFrame:
    rows = found.dossier.versions
    return pd.DataFrame(
        {
            "version": [t("models.v", version=v.version) for v in rows],
            "stage": [[found.dossier.standing(v).name] for v in rows],
            "aliases": [list(v.aliases) for v in rows],
            **{name: pd.to_numeric(pd.Series(_by_run(found, name))) for name in shown},
            "run": [
                visible(str(name or v.run_id or ""))
                for name, v in zip(_by_run(found, "name"), rows, strict=True)
            ],
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


def details(found: Look, version: ModelVersion) -> None:
    """What is known of one version, in tabs of which only the open one is read."""
    name = found.dossier.model.name
    rung = found.dossier.standing(version).name
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(t("model.version", version=version.version), anchor=False, width="content")
        st.badge(safe(rung), color=registry.rung_colour(rung))  # type: ignore[arg-type]
        for alias in version.aliases:
            st.badge(safe(alias), icon=":material/sell:", color="primary")
        if version.status != "READY":
            st.badge(safe(version.status), icon=":material/warning:", color="orange")
    titles = [t(f"model.tab.{tab}") for tab in ("about", "signature", "aliases", "files")]
    about, signature, aliases, files = st.tabs(
        titles, key=f"version_tabs:{name}:{version.version}", on_change="rerun"
    )
    if about.open:
        with about:
            _about(found, version)
    if aliases.open:
        with aliases:
            _aliases(found.dossier, version)
    if signature.open:
        with signature:
            _signature(version)
    if files.open:
        with files:
            _files(version)


def _about(found: Look, version: ModelVersion) -> None:
    if version.description:
        st.text(visible(version.description))
    else:
        st.caption(t("model.no_description"))
    run = next((n for n, v in zip(_by_run(found, "name"), found.dossier.versions, strict=True)
                if v == version), None)  # fmt: skip
    if version.run_id:
        label = str(run or version.run_id)
        link("run", md("model.run", name=label), icon=":material/science:", run=version.run_id)
    else:
        st.caption(t("model.no_run"))
    link(
        "endpoints", t("model.serve", version=version.version), icon=":material/cell_tower:",
        model=version.model, version=str(version.version),
    )  # fmt: skip
    times = t(
        "model.times", created=parts.moment(version.created_at),
        changed=parts.moment(version.updated_at),
    )  # fmt: skip
    st.caption(times)
    if version.status_message:
        st.text(visible(version.status_message))
    with st.container(horizontal=True):
        mlflow, number = deck().mlflow, version.version
        describe(
            version.description,
            lambda text: mlflow.registry.describe_version(version.model, number, text),
            f"version_about_{number}",
        )
        tags(
            version.tags,
            lambda k, value: editing.set_version_tag(mlflow, version.model, number, k, value),
            lambda k: editing.delete_version_tag(mlflow, version.model, number, k),
            f"version_tags_{number}",
        )


def info(version: ModelVersion) -> ModelInfo:
    """What the files of a version say of it; they never change."""
    artifacts = deck().mlflow.artifacts

    def ask() -> ModelInfo:
        return artifacts.model_info(artifacts.model_uri(version))

    return keep(
        "model_info", ask, version.model, version.version, version.source, str(version.created_at)
    )


def _info(version: ModelVersion) -> ModelInfo | None:
    """The same, or a word in its place where the files cannot be had."""
    try:
        with st.spinner(t("model.reading_files"), show_time=True):
            return info(version)
    except DeckError as error:
        if error.retryable:
            raise
        errors.show(error)
        return None


def _signature(version: ModelVersion) -> None:
    found = _info(version)
    if found is None:
        return
    if found.signature is None:
        st.caption(t("model.no_signature"))
    else:
        for part, columns in (
            ("inputs", found.signature.inputs),
            ("outputs", found.signature.outputs),
            ("params", found.signature.params),
        ):
            if columns:
                st.markdown(f"**{t(f'model.signature.{part}', n=len(columns))}**")
                _columns(columns, params=part == "params")
    if found.example is not None:
        st.markdown(f"**{t('model.example')}**")
        st.code(_example(found.example), language="json", height=240)


def _columns(columns: Sequence[Column], *, params: bool) -> None:
    made = {
        t("model.signature.name"): [c.name or t("model.signature.unnamed") for c in columns],
        t("model.signature.type"): [c.type for c in columns],
        t("model.signature.required"): [
            t("model.yes") if c.required else t("model.no") for c in columns
        ],
    }
    if any(c.shape for c in columns):
        made[t("model.signature.shape")] = [
            " × ".join("?" if n < 0 else str(n) for n in c.shape or ()) for c in columns
        ]
    if params:
        made[t("model.signature.default")] = [json.dumps(c.default) for c in columns]
    st.dataframe(pd.DataFrame(made), hide_index=True, alt=t("model.signature.alt"))


def _example(example: object) -> str:
    text = json.dumps(example, indent=2, ensure_ascii=False)
    return text if len(text) <= 4000 else f"{text[:4000]}\n…"


def _files(version: ModelVersion) -> None:
    st.caption(t("model.source"))
    st.code(version.source, language=None)
    st.caption(t("model.uri"))
    st.code(version.uri, language=None)
    found = _info(version)
    if found is None:
        return
    st.caption(
        md(
            "model.made_with",
            flavors=", ".join(found.flavors) or "–",
            version=found.mlflow_version or "–",
            size=formats.size(found.size_bytes),
        )
    )
    if found.requirements:
        st.caption(t("model.requirements"))
        st.code("\n".join(found.requirements), language=None)


def _aliases(dossier: Dossier, version: ModelVersion) -> None:
    here, model, number = deck(), dossier.model.name, version.version
    others = sorted((a, n) for a, n in dossier.model.aliases.items() if n != number)
    for alias in version.aliases:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(safe(alias), icon=":material/sell:", color="primary")
            rung = dossier.ladder.rung_of_alias(alias)
            if rung is not None:
                st.caption(md("model.alias.of_rung", rung=rung.name), width="content")
            if parts.confirm(
                t("model.alias.remove"),
                md("model.alias.remove_ask", alias=alias, model=model, version=number),
                md("model.alias.remove_do", alias=alias),
                f"alias_remove:{model}:{number}:{alias}",
                icon="label_off",
            ):
                try:
                    remove_alias(here.mlflow, here.ledger, here.actor, model, alias, number)
                finally:
                    forget()
                _done("model.alias.removed", alias=alias, version=number)
    if not version.aliases:
        st.caption(t("model.alias.none", version=number))
    if others:
        listed = ", ".join(t("models.alias", alias=a, version=n) for a, n in others)
        st.caption(md("model.alias.others", aliases=listed))
    _point(dossier, number)


def _point(dossier: Dossier, number: int) -> None:
    """Point an alias at a version; what that means stands below before it is done."""
    here, model = deck(), dossier.model.name
    key = f"alias:{model}:{number}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        word = st.text_input(t("model.alias.name"), key=key, width=240)
        pressed = st.button(t("model.alias.set", version=number), key=f"{key}:do")
    alias = (word or "").strip()
    now = (alias, dossier.model.aliases.get(alias))
    # As in a move: what was confirmed stood on the page in the run before.
    drawn: tuple[str, int | None] = st.session_state.get(f"{key}:drawn", now)
    seen = drawn if pressed and drawn[0] == alias else now
    st.session_state[f"{key}:drawn"] = seen
    rung = dossier.ladder.rung_of_alias(alias)
    if rung is not None:
        st.warning(md("model.alias.warn", alias=alias, rung=rung.name, version=number))
    if alias and seen[1] not in (None, number):
        st.caption(md("model.alias.moves", alias=alias, before=seen[1], version=number))
    else:
        st.caption(t("model.alias.help"))
    if pressed:
        try:
            set_alias(here.mlflow, here.ledger, here.actor, model, alias, number, seen=seen[1])
        finally:
            forget()
        _done("model.alias.was_set", alias=alias, version=number)


def describe(before: str, write: Callable[[str], None], key: str) -> None:
    """A popover with a form that replaces a description."""
    with (
        st.popover(t("model.describe.label"), icon=":material/edit_note:"),
        st.form(f"{key}_form", border=False),
    ):
        text = st.text_area(t("model.describe.text"), value=before, height=160, key=f"{key}_text")
        if st.form_submit_button(t("model.describe.save"), type="primary"):
            try:
                write((text or "").strip())
            finally:
                forget()
            _done("model.describe.done")


def tags(
    present: Mapping[str, str],
    write: Callable[[str, str], None],
    remove: Callable[[str], None],
    key: str,
) -> None:
    """A popover with the tags as a table, a form that sets one, and a form that removes one."""
    with st.popover(t("model.tags.label", n=len(present)), icon=":material/tag:"):
        if present:
            made = {
                t("model.tags.key"): [visible(k) for k in present],
                t("model.tags.value"): [visible(v) for v in present.values()],
            }
            st.dataframe(pd.DataFrame(made), hide_index=True, alt=t("model.tags.alt"))
        with st.form(f"{key}_set", border=False):
            name = st.text_input(t("model.tags.key"), key=f"{key}_name")
            value = st.text_input(t("model.tags.value"), key=f"{key}_value")
            if st.form_submit_button(t("model.tags.set"), type="primary"):
                try:
                    write((name or "").strip(), value or "")
                finally:
                    forget()
                _done("model.tags.was_set", key=(name or "").strip())
        if present:
            with st.form(f"{key}_remove", border=False):
                gone = st.selectbox(t("model.tags.which"), list(present), key=f"{key}_gone")
                if st.form_submit_button(t("model.tags.remove")) and gone:
                    try:
                        remove(gone)
                    finally:
                        forget()
                    _done("model.tags.removed", key=gone)


def _done(text: str, /, **fields: object) -> None:
    parts.done(md(text, **fields))
    st.rerun()


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
            "value": _by_run(found, f"metrics.{chosen}"),
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
