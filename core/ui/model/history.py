"""The changes of a model that went through Modeldeck, and what became of those that broke off."""

from collections.abc import Sequence
from datetime import timedelta

import pandas as pd
import streamlit as st

from core.ledger import now
from core.registry.catalogue import Dossier
from core.registry.record import State, Transition, record
from core.registry.settling import settle_for
from core.registry.transitions import LEASE_SECONDS
from core.texts import t
from core.ui import parts, runs
from core.ui.deck import deck, forget, read
from core.ui.markup import visible

RECORDED = 200
"""Changes that are shown, the newest."""
_COLOURS = {State.APPLYING: "blue", State.DONE: "green", State.FAILED: "red"}


def draw(dossier: Dossier) -> None:
    """The changes, newest first."""
    rows = _recorded(dossier.model.name)
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
                color=[_COLOURS.get(state, "orange") for state in State],
            ),
            "comment": column.TextColumn(t("model.history.comment"), width=260),
            "steps": column.TextColumn(t("model.history.steps"), width="large"),
            "message": column.TextColumn(t("model.history.message"), width="large"),
        },
    )  # fmt: skip
    st.caption(_history_said(rows))
    _open_ends(dossier.model.name, rows)


def _recorded(model: str) -> list[Transition]:
    here = deck()
    return read(
        "transitions",
        lambda: record(here.ledger, model, RECORDED, store=here.mlflow.address),
        model,
    )


def _open_ends(model: str, rows: Sequence[Transition]) -> None:
    """Offer to find out how changes ended whose maker has gone."""
    late = now() - timedelta(seconds=LEASE_SECONDS)
    broken = [r for r in rows if r.state is State.APPLYING and r.begun_at < late]
    if not broken:
        return
    st.warning(t("model.history.open", n=len(broken)), icon=":material/history:")
    if st.button(t("model.history.settle"), icon=":material/search:", key="settle"):
        try:
            settle_for(deck().desk, model)
        finally:
            forget()
        st.rerun()


def _history_said(rows: Sequence[Transition]) -> str:
    key = "model.history.newest" if len(rows) == RECORDED else "model.history.all"
    return " ".join([t(key, n=len(rows)), t("model.history.ours")])
