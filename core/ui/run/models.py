"""The models that a run made: what their files say, the versions made from them, a new one."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core import formats
from core.lifecycle.promotion import last_logged
from core.mlflow_api.nouns import ModelInfo, ModelVersion, Run
from core.registry.register import folders, register, source_of_folder, source_of_model
from core.runs.histories import ENDED
from core.texts import t
from core.ui import artifacts, parts, runs
from core.ui.deck import deck, keep, read
from core.ui.markup import md, plain, plain_frame, safe, visible
from core.ui.navigation import link
from core.ui.registry import ladder, listed, rung_colour


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


def of(run: Run) -> list[Model]:
    """Logged models, then folders among the artifacts that hold a model."""
    remember = keep if run.status in ENDED else read
    found = remember("model folders", lambda: folders(deck().mlflow, run), run.id)
    return [_logged(i) for i in run.logged_models] + [
        Model(f, "", source_of_folder(run.id, f), f"{run.artifact_uri.rstrip('/')}/{f}")
        for f in found
    ]


def last(run: Run) -> Model | None:
    """The model logged last; folders are looked for only where no model was logged."""
    logged = last_logged(run, artifacts.logged_model)
    if logged is not None:
        return _logged(logged)
    return next(iter(of(run)), None)


def info(model: Model) -> ModelInfo:
    """What a model's files say about it."""
    return keep(
        "model_info", lambda: deck().mlflow.artifacts.model_info(model.location), model.location
    )


def _logged(model_id: str) -> Model:
    model = artifacts.logged_model(model_id)
    return Model(model.name, model.id, source_of_model(model.id), model.location)


def draw(run: Run) -> None:
    """Versions made from this run, its models, and the form that registers one."""
    versions = read("versions_of", lambda: deck().mlflow.registry.versions_of_run(run.id), run.id)
    st.subheader(t("run.versions", n=len(versions)), anchor=False)
    for version in versions:
        _version(version)
    if not versions:
        st.caption(t("run.no_versions"))
    with st.spinner(t("run.looking"), show_time=True):
        models = of(run)
    st.subheader(t("run.logged", n=len(models)), anchor=False)
    if not models:
        st.caption(t("run.no_models"))
        return
    for model in models:
        _model(model)
    _register(run, models)


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
        on = ladder()
        rung = on.standing(version.stage, _aliases(version), version.tags)
        if rung != on.rungs[0]:
            parts.rung_badge(rung.name, rung_colour(rung.name, on))


def _aliases(version: ModelVersion) -> tuple[str, ...]:
    """The aliases of a version, which MLflow does not tell when it is asked by run."""
    model = next((s.model for s in listed() if s.name == version.model), None)
    carried = model.aliases.items() if model else ()
    return tuple(alias for alias, number in carried if number == version.version)


def _model(model: Model) -> None:
    with st.container(border=True):
        st.markdown(" · ".join([f"**{safe(model.name, 80)}**", *filter(None, [safe(model.id)])]))
        about = info(model)
        facts = [", ".join(about.flavors), f"MLflow {about.mlflow_version}"]
        if about.size_bytes is not None:
            facts.append(formats.size(about.size_bytes))
        st.caption(safe(" · ".join(facts)))
        if about.signature is None:
            st.caption(t("run.no_signature"))
        else:
            _signature(about)
        if about.example is not None:
            with st.popover(t("run.example"), icon=":material/data_object:"):
                st.json(plain(about.example), expanded=2)


def _signature(about: ModelInfo) -> None:
    rows = [
        (t(f"run.side.{side}"), c.name or "", c.type, c.required)
        for side in ("inputs", "outputs", "params")
        for c in getattr(about.signature, side)
    ]
    columns = ["side", "name", "type", "required"]
    st.dataframe(
        plain_frame(pd.DataFrame(rows, columns=columns)),
        hide_index=True,
        alt=t("run.alt.signature"),
        column_config={name: t(f"run.column.{name}") for name in columns},
    )


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
        try:
            made = register(deck().desk, run.id, source, chosen or "", note)
        finally:
            runs.refresh([run.id])
        key = "done" if made.made else "there"
        version = made.version
        parts.done(md(f"run.register.{key}", name=version.model, version=version.version))
        st.rerun()
