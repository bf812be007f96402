"""The headline of a model: name, description and tags."""

import streamlit as st

from core.registry.card import PREFIX
from core.registry.catalogue import Dossier
from core.texts import t
from core.ui import parts
from core.ui.edits import describe, tags
from core.ui.markup import safe, visible
from core.ui.navigation import link


def draw(dossier: Dossier) -> None:
    """Name, description and tags, each with its edit."""
    model = dossier.model
    link("models", t("model.all"), icon=":material/arrow_back:")
    parts.title(safe(model.name, 120), "deployed_code_history")
    st.caption(
        t(
            "model.about" if dossier.complete else "model.about_some",
            n=len(dossier.versions),
            created=parts.when(model.created_at),
            changed=parts.when(model.updated_at),
        )
    )
    if model.description:
        st.text(visible(model.description))
    with st.container(horizontal=True, vertical_alignment="center"):
        describe(model.description, model.name)
        # The model card is edited as such.
        own = {key: value for key, value in model.tags.items() if not key.startswith(PREFIX)}
        tags(own, model.name)
