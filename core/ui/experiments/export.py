"""Rows as files, and as code that reads the same rows through MLflow's client."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from core.runs import export
from core.runs.client_code import client_code
from core.runs.query import Names, RunQuery, RunTable
from core.texts import t
from core.ui import runs
from core.ui.deck import deck, later


def menu(rows: RunTable, picked: Sequence[str], asked: RunQuery, known: Names) -> None:
    """Files of all rows that match, or of the ticked ones; and the code."""
    with st.popover(
        t("experiments.export.label"), icon=":material/download:", key="export_open",
        on_change="rerun",
    ) as place:  # fmt: skip
        if place.open:
            _menu(rows, picked, asked, known)


def _menu(rows: RunTable, picked: Sequence[str], asked: RunQuery, known: Names) -> None:
    every = st.toggle(t("experiments.export.every"), key="export_every")
    if picked:
        ticked = t("experiments.bulk.ticked", n=len(picked))
        everything = t("experiments.bulk.all", n=rows.total)
        scope = st.segmented_control(
            t("experiments.export.rows"), [everything, ticked], default=everything, required=True,
            key=f"export_scope_{len(picked)}_{rows.total}",
        )  # fmt: skip
        if scope == ticked:
            asked = RunQuery(run_ids=tuple(picked), columns=asked.columns)
    if every or rows.more or asked.run_ids:
        rows = runs.table(replace(asked, columns=None if every else asked.columns, limit=None))
    columns = rows.columns
    said = t("experiments.export.about", n=len(rows.frame), columns=len(columns))
    if rows.left_out:
        said += " " + t("experiments.export.left_out", n=rows.left_out)
    st.caption(said)
    with st.container(horizontal=True):
        for kind, mime, make in (
            ("csv", "text/csv", lambda: export.csv(rows, columns)),
            ("parquet", "application/vnd.apache.parquet", lambda: export.parquet(rows, columns)),
            ("latex", "application/x-tex", lambda: export.latex(rows, columns).encode()),
        ):
            st.download_button(
                t(f"experiments.export.{kind}"),
                later(make),
                file_name=f"runs.{'tex' if kind == 'latex' else kind}",
                mime=mime,
                on_click="ignore",
                key=f"export_{kind}",
            )
    st.caption(t("experiments.export.code"))
    st.code(
        client_code(asked, deck().mlflow.address, list(known.by_column.values())),
        language="python",
        height=260,
    )
