"""What is known of one version, in tabs of which only the open one is read."""

import json
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import formats
from core.errors import DeckError
from core.mlflow_api.nouns import Column, ModelInfo, ModelVersion
from core.registry.catalogue import Dossier
from core.registry.requests import remove_alias, set_alias
from core.texts import t
from core.ui import errors, parts, registry
from core.ui.deck import deck, forget, keep
from core.ui.edits import describe, said, tags
from core.ui.markup import md, plain, safe, visible
from core.ui.model.measured import Measured
from core.ui.navigation import link


def details(dossier: Dossier, version: ModelVersion, measured: Measured) -> None:
    """What is known of one version, in tabs of which only the open one is read.

    Args:
        measured: versions with their runs, this one among them.
    """
    name = dossier.model.name
    rung = dossier.standing(version).name
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
            _about(version, measured)
    if aliases.open:
        with aliases:
            _aliases(dossier, version)
    if signature.open:
        with signature:
            _signature(version)
    if files.open:
        with files:
            _files(version)


def _about(version: ModelVersion, measured: Measured) -> None:
    if version.description:
        st.text(visible(version.description))
    else:
        st.caption(t("model.no_description"))
    if version.run_id:
        label = measured.name(version)
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
        describe(version.description, version.model, version.version)
        tags(version.tags, version.model, version.version)


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
        st.code(plain(_example(found.example)), language="json", height=240)


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
    st.code(plain(version.source), language=None)
    st.caption(t("model.uri"))
    st.code(plain(version.uri), language=None)
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
        st.code(plain("\n".join(found.requirements)), language=None)


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
                    remove_alias(here.desk, model, alias, number)
                finally:
                    forget()
                said("model.alias.removed", alias=alias, version=number)
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
            set_alias(here.desk, model, alias, number, seen=seen[1])
        finally:
            forget()
        said("model.alias.was_set", alias=alias, version=number)
