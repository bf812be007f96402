"""The headline of a model: name, what stands where, description and tags."""

import streamlit as st

from core.registry.card import PREFIX
from core.registry.catalogue import Dossier
from core.texts import t
from core.ui import parts, registry
from core.ui.edits import describe, tags
from core.ui.markup import md, safe, visible
from core.ui.navigation import link


def draw(dossier: Dossier) -> None:
    """Name, what stands where, description and tags, each with its edit."""
    model = dossier.model
    link("models", t("model.all"), icon=":material/arrow_back:")
    parts.title(safe(model.name, 120), "deployed_code_history")
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
        # The model card is edited as such.
        own = {key: value for key, value in model.tags.items() if not key.startswith(PREFIX)}
        tags(own, model.name)
