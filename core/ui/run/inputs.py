"""The data sets that a run read."""

import streamlit as st

from core import formats
from core.mlflow_api.nouns import Run
from core.runs import inputs
from core.texts import t
from core.ui import parts
from core.ui.markup import md, plain_frame, safe, visible


def draw(run: Run) -> None:
    """Each data set with its use, digest, profile, source and columns."""
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
