"""One registered model: its versions, their stages and aliases, and how these change."""

import streamlit as st

from core.ui import model, move, version
from core.ui.navigation import asked

found = model.look(asked("model"))
model.head(found)
chosen = model.versions(found)
if chosen is not None:
    left, right = st.columns([3, 2], gap="large")
    with right:
        move.card(found.dossier, chosen, reachable=found.trouble is None)
    with left:
        version.details(found, chosen)
model.story(found)
