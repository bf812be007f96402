"""One run: its head, and the sections that a person opens."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core import formats
from core.errors import Conflict, InvalidInput, NotFound
from core.ledger import now
from core.mlflow_api.nouns import NOTE_TAG, PARENT_TAG, ModelVersion, Run
from core.registry.register import folders, register, source_of_folder, source_of_model
from core.runs import changes, inputs
from core.runs import query as runs_query
from core.runs.curves import ENDED
from core.runs.query import RunQuery
from core.texts import t
from core.training.jobs import JOB_TAG
from core.ui import artifacts, curves, parts, runs
from core.ui.deck import deck, keep, read
from core.ui.markup import md, plain, plain_frame, safe, visible
from core.ui.navigation import go, link
from core.ui.runs_table import change, rename

SECTIONS = ("overview", "curves", "artifacts", "models", "inputs", "tags", "related")
LIVE_SECONDS = 3.0
CHILDREN = 200


@dataclass(frozen=True)
class Model:
    """A model that a run made."""

    name: str
    id: str
    """A logged model's; "" for a folder."""
    source: str
    """MLflow's address of it."""
    location: str
    """Where its files lie."""


def found(run_id: str) -> Run:
    """The run that the link names.

    Raises:
        NotFound: the link names none, or one that does not exist.
    """
    if not run_id:
        raise NotFound(t("run.none"), t("run.none_next"))
    return runs.run(run_id)


def head(run: Run) -> None:
    """Name, state, where it belongs, when it ran, its description, and what can be done to it."""
    experiment = runs.experiment_names([run.experiment_id])[run.experiment_id]
    link(
        "experiments",
        safe(experiment, 60),
        icon=":material/arrow_back:",
        experiment=run.experiment_id,
    )
    parts.title(safe(run.name, 120) or t("runs.blank"), "play_circle")
    with st.container(horizontal=True, vertical_alignment="center"):
        parts.badge(run.status)
        if run.lifecycle_stage == "deleted":
            st.badge(t("runs.deleted"), icon=":material/delete:", color="grey")
        if run.parent_id:
            st.badge(t("run.nested"), icon=":material/subdirectory_arrow_right:", color="grey")
        _actions(run)
    source = run.tags.get("mlflow.source.name", "")
    facts = [
        ("started", f"{parts.when(run.started_at)} · {parts.moment(run.started_at)}"),
        ("duration", _duration(run)),
        ("user", run.user),
        ("source", formats.shorten(source, 60)),
        ("id", run.id),
    ]
    with st.grid("auto", min_column_width=170, gap="xsmall"):
        for name, value in facts:
            if value:
                with st.container(gap=None):
                    st.caption(t(f"run.fact.{name}"))
                    st.text(visible(value))
    if JOB_TAG in run.tags:
        link("training", t("run.job"), icon=":material/model_training:", job=run.tags[JOB_TAG])
    note = run.tags.get(NOTE_TAG, "")
    if note:
        st.text(visible(note))


def _duration(run: Run) -> str:
    if run.status == "RUNNING" and run.started_at is not None:
        return t("run.so_far", time=formats.duration(now() - run.started_at))
    return formats.duration(run.seconds)


def _actions(run: Run) -> None:
    with st.popover(t("run.note.label"), icon=":material/edit_note:"):
        _describe(run)
    with st.popover(t("experiments.rename.label"), icon=":material/edit:"):
        rename(run.id, run.name)
    name = f"**{safe(run.name, 60) or t('runs.blank')}**"
    if run.lifecycle_stage == "deleted":
        if parts.confirm(
            t("experiments.restore_runs.label"),
            t("experiments.restore_runs.ask", n=1, names=name),
            t("experiments.restore_runs.do"),
            "run_restore",
            icon="restore_from_trash",
        ):
            change(changes.restore_runs, [run.id], t("experiments.restore_runs.done", n=1))
    elif parts.confirm(
        t("experiments.delete_runs.label"),
        t("experiments.delete_runs.ask", n=1, names=name),
        t("experiments.delete_runs.do", n=1),
        "run_delete",
    ):
        change(changes.delete_runs, [run.id], t("experiments.delete_runs.done", n=1))


def _describe(run: Run) -> None:
    """A form that replaces the description, unless somebody else did meanwhile."""

    def key_of(text: str) -> str:
        return f"note_{run.id}_{runs.fingerprint([text])}"

    # What the field began with, and what has to be there still when it is saved. A field that was
    # not drawn in the run before begins anew; one that was keeps what is being typed.
    first, expected = st.session_state.get("_note", ("", ""))
    if key_of(first) not in st.session_state:
        first = expected = run.tags.get(NOTE_TAG, "")
    st.session_state["_note"] = (first, expected)
    with st.form("note", border=False):
        note = st.text_area(t("run.note.field"), first, height=160, key=key_of(first))
        sent = st.form_submit_button(t("run.note.save"), type="primary")
    if sent:
        try:
            changes.describe_run(deck().mlflow, run.id, note, expected)
        except Conflict:
            there = deck().mlflow.tracking.run(run.id).tags.get(NOTE_TAG, "")
            st.session_state["_note"] = (first, there)
            raise
        finally:
            runs.refresh()
        st.session_state["_note"] = (note.strip(), note.strip())
        parts.done(t("run.note.done"))
        st.rerun()


def _do(act: Callable[[], object], said: str) -> None:
    try:
        act()
    finally:
        runs.refresh()
    parts.done(said)
    st.rerun()


def sections(run: Run) -> None:
    """The section that is open; the others cost nothing."""
    labels = [t(f"run.section.{name}") for name in SECTIONS]
    for name, tab in zip(
        SECTIONS, st.tabs(labels, key="section", bind="query-params"), strict=True
    ):
        if tab.open:
            with tab:
                _DRAW[name](run)
    if run.status not in ENDED:
        _watch(run)


def _watch(run: Run) -> None:
    """Draw the page anew once the run has ended."""

    @parts.live(LIVE_SECONDS)
    def look() -> None:
        if runs.run(run.id).status != run.status:
            st.rerun()

    look()


def _alive(run: Run, draw: Callable[[Run], None]) -> None:
    """Draw a part of a run; while it runs, again and again."""
    if run.status in ENDED:
        draw(run)
        return

    @parts.live(LIVE_SECONDS)
    def again() -> None:
        draw(runs.run(run.id))

    again()


def _overview(run: Run) -> None:
    _alive(run, _params_and_metrics)


def _params_and_metrics(run: Run) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader(t("run.params", n=len(run.params)), anchor=False)
        _pairs(sorted(run.params.items()), "params", t("run.no_params"))
    with right:
        st.subheader(t("run.metrics", n=len(run.metrics)), anchor=False)
        shown = [(k, formats.number(v, 6)) for k, v in sorted(run.metrics.items())]
        _pairs(shown, "metrics", t("run.no_metrics"), right=True)


def _pairs(rows: list[tuple[str, str]], name: str, nothing: str, *, right: bool = False) -> None:
    """Names and values as a table; a cell opens in full when it is clicked."""
    if not rows:
        st.caption(nothing)
        return
    st.dataframe(
        plain_frame(pd.DataFrame(rows, columns=["name", "value"])),
        hide_index=True,
        key=f"pairs_{name}",
        alt=t(f"run.alt.{name}"),
        height="content" if len(rows) < 25 else 880,
        column_config={
            "name": st.column_config.TextColumn(t("run.column.name")),
            "value": st.column_config.TextColumn(
                t("run.column.value"), alignment="right" if right else "left"
            ),
        },
    )


def _tags(run: Run) -> None:
    own = [(k, v) for k, v in sorted(run.tags.items()) if not k.startswith("mlflow.")]
    system = [(k, v) for k, v in sorted(run.tags.items()) if k.startswith("mlflow.")]
    st.subheader(t("run.tags", n=len(own)), anchor=False)
    _pairs(own, "tags", t("run.no_tags"))
    with st.popover(t("run.tag.label"), icon=":material/sell:"), st.form("tag", border=False):
        key = st.text_input(t("run.tag.key"))
        value = st.text_input(t("run.tag.value"))
        if st.form_submit_button(t("run.tag.save"), type="primary"):
            if not key.strip():
                raise InvalidInput(t("runs.name.blank"), field="key")
            tracking = deck().mlflow.tracking
            _do(lambda: tracking.set_run_tag(run.id, key.strip(), value), t("run.tag.done"))
    if own:
        _remove_tag(run, [k for k, _ in own])
    st.subheader(t("run.system_tags", n=len(system)), anchor=False)
    _pairs(system, "system_tags", t("run.no_tags"))


def _remove_tag(run: Run, keys: list[str]) -> None:
    with st.popover(t("run.tag.remove"), icon=":material/delete:"):
        key = st.selectbox(t("run.tag.key"), keys, key="tag_remove")
        if st.button(t("run.tag.remove_do"), type="primary", key="tag_remove_do"):
            tracking = deck().mlflow.tracking
            _do(lambda: tracking.delete_run_tag(run.id, key), t("run.tag.removed"))


def _inputs(run: Run) -> None:
    if not run.inputs:
        parts.empty(t("run.no_inputs"), "database")
    for data in run.inputs:
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{safe(data.name, 120)}**", width="content")
                if data.context:
                    st.badge(safe(data.context, 40), color="blue")
                st.caption(md("run.digest", digest=data.digest))
            for key, value in inputs.profile_of(data) + inputs.source_of(data):
                st.text(visible(f"{key}: {formats.shorten(value, 200)}"))
            schema = inputs.schema_of(data)
            if schema is None:
                st.caption(t("run.no_schema"))
            else:
                st.caption(t("run.schema", n=len(schema)))
                st.dataframe(plain_frame(schema), hide_index=True, alt=t("run.alt.schema"))


def _models(run: Run) -> None:
    versions = read("versions_of", lambda: deck().mlflow.registry.versions_of_run(run.id), run.id)
    st.subheader(t("run.versions", n=len(versions)), anchor=False)
    for version in versions:
        _version(version)
    if not versions:
        st.caption(t("run.no_versions"))
    models = _models_of(run)
    st.subheader(t("run.logged", n=len(models)), anchor=False)
    if not models:
        st.caption(t("run.no_models"))
        return
    for model in models:
        _model(model)
    _register(run, models)


def _models_of(run: Run) -> list[Model]:
    """Logged models, and folders that hold a model."""
    logged = [artifacts.logged_model(i) for i in run.logged_models]
    remember = keep if run.status in ENDED else read
    with st.spinner(t("run.looking"), show_time=True):
        found = remember("model folders", lambda: folders(deck().mlflow, run), run.id)
    return [Model(m.name, m.id, source_of_model(m.id), m.location) for m in logged] + [
        Model(f, "", source_of_folder(run.id, f), f"{run.artifact_uri.rstrip('/')}/{f}")
        for f in found
    ]


def _version(version: ModelVersion) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        label = md("run.version", name=version.model, version=version.version)
        link(
            "model",
            label,
            icon=":material/deployed_code:",
            model=version.model,
            version=str(version.version),
        )
        if version.stage != "None":
            parts.stage_badge(version.stage)


def _model(model: Model) -> None:
    with st.container(border=True):
        st.markdown(" · ".join([f"**{safe(model.name, 80)}**", *filter(None, [safe(model.id)])]))
        info = keep(
            "model_info", lambda: deck().mlflow.artifacts.model_info(model.location), model.location
        )
        facts = [", ".join(info.flavors), f"MLflow {info.mlflow_version}"]
        if info.size_bytes is not None:
            facts.append(formats.size(info.size_bytes))
        st.caption(safe(" · ".join(facts)))
        if info.signature is None:
            st.caption(t("run.no_signature"))
        else:
            st.dataframe(
                plain_frame(
                    pd.DataFrame(
                        [
                            (t(f"run.side.{side}"), c.name or "", c.type, c.required)
                            for side in ("inputs", "outputs", "params")
                            for c in getattr(info.signature, side)
                        ],
                        columns=["side", "name", "type", "required"],
                    )
                ),
                hide_index=True,
                alt=t("run.alt.signature"),
                column_config={
                    "side": t("run.column.side"),
                    "name": t("run.column.name"),
                    "type": t("run.column.type"),
                    "required": t("run.column.required"),
                },
            )
        if info.example is not None:
            with st.popover(t("run.example"), icon=":material/data_object:"):
                st.json(plain(info.example), expanded=2)


def _register(run: Run, offered: list[Model]) -> None:
    st.subheader(t("run.register.title"), anchor=False)
    with st.form("register"):
        models = read("registered models", deck().mlflow.registry.models)
        chosen = st.selectbox(
            t("run.register.name"),
            [m.name for m in models],
            index=None,
            accept_new_options=True,
            placeholder=t("run.register.place"),
        )
        labels = {m.source: " · ".join(filter(None, [m.name, m.id])) for m in offered}
        source = st.selectbox(
            t("run.register.model"), list(labels), format_func=lambda s: visible(labels[s])
        )
        note = st.text_area(t("run.register.description"), height=90)
        sent = st.form_submit_button(t("run.register.do"), type="primary")
    if sent:
        here = deck()
        try:
            made = register(here.mlflow, here.actor, run.id, source, chosen or "", note)
        finally:
            runs.refresh()
        key = "done" if made.made else "there"
        version = made.version
        parts.done(md(f"run.register.{key}", name=version.model, version=version.version))
        st.rerun()


def _related(run: Run) -> None:
    if run.parent_id:
        st.subheader(t("run.parent"), anchor=False)
        parent = runs.table(RunQuery(run_ids=(run.parent_id,), columns=()))
        name = parent.frame["name"].iloc[0] if len(parent.frame) else run.parent_id
        link("run", safe(name, 80), icon=":material/arrow_upward:", run=run.parent_id)
    condition = f"tags.`{PARENT_TAG}` = '{run.id}'"
    asked = RunQuery((run.experiment_id,), condition, limit=CHILDREN, view="all")
    children = runs.table(asked)
    st.subheader(t("run.children", n=len(children.frame)), anchor=False)
    if children.frame.empty:
        st.caption(t("run.no_children"))
        return
    shown = runs_query.choose(children)
    opened = runs.small_table(children, shown.shown, t("run.alt.children"), "children")
    if opened:
        go("run", run=opened)
    st.caption(t("run.children_more" if children.more else "run.children_all", n=CHILDREN))
    if st.button(t("run.compare_children"), icon=":material/compare_arrows:", key="run_children"):
        go("compare", runs=",".join(children.ids))


_DRAW: dict[str, Callable[[Run], None]] = {
    "overview": _overview,
    "curves": curves.of_run,
    "artifacts": artifacts.draw,
    "models": _models,
    "inputs": _inputs,
    "tags": _tags,
    "related": _related,
}
