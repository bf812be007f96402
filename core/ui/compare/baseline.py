"""What the runs are held against: one of them, or the version of a model that is in Production."""

from dataclasses import dataclass

import streamlit as st

from core.errors import NotFound
from core.mlflow_api.nouns import Run
from core.texts import t
from core.ui import runs
from core.ui.deck import deck, read
from core.ui.markup import safe, visible
from core.ui.navigation import asked
from core.ui.registry import listed, top

MODEL = "model:"
"""Begins the address of a baseline that is a registered model's version in Production."""


@dataclass(frozen=True)
class Baseline:
    """The run that others are held against."""

    run: Run
    label: str
    """What it is called beside its column: plain text."""


def choose(labels: dict[str, str]) -> Baseline | None:
    """The field for it, kept in the address; None where none is chosen, or it is not there.

    Args:
        labels: run id → label, of the runs compared.
    """
    models = {MODEL + s.name: s.name for s in listed() if s.held.get(top())}
    chosen = asked("baseline")
    options = ["", *labels, *models]
    if chosen and chosen not in options:
        options.append(chosen)

    def name(option: str) -> str:
        if not option:
            return t("differences.baseline.none")
        if option.startswith(MODEL):
            label = models.get(option, option.removeprefix(MODEL))
            return visible(t("differences.baseline.production", model=label, rung=top()))
        return labels.get(option, option)

    key = f"baseline_{runs.fingerprint([chosen])}"

    def keep() -> None:
        if st.session_state[key]:
            st.query_params["baseline"] = st.session_state[key]
        else:
            st.query_params.pop("baseline", None)

    st.selectbox(
        t("differences.baseline.label"),
        options,
        index=options.index(chosen),
        format_func=name,
        key=key,
        on_change=keep,
        width=320,
    )
    if not chosen:
        return None
    try:
        run = runs.run(_production(chosen.removeprefix(MODEL)) if chosen in models else chosen)
    except NotFound as error:
        st.caption(safe(error.what))
        return None
    return Baseline(run, name(chosen) if chosen in models else labels.get(run.id, run.name))


def _production(model: str) -> str:
    """The run that the version in Production was made from; the newest where there are several.

    Raises:
        NotFound: it stands no longer there, or was made from no run.
    """
    summary = next((s for s in listed() if s.name == model), None)
    held = summary.held.get(top(), ()) if summary else ()
    if not held:
        raise NotFound(t("differences.baseline.gone", model=model, rung=top()))
    number = max(held)
    registry = deck().mlflow.registry
    version = read("version", lambda: registry.version(model, number), model, number)
    if not version.run_id:
        raise NotFound(t("differences.baseline.no_run", model=model, version=number))
    return version.run_id
