"""One registered model: its versions, their stages and aliases, and how these change."""

import streamlit as st

from core.ui import model, move
from core.ui.navigation import asked

found = model.look(asked("model"))
model.head(found)
version = model.versions(found)
if version is not None:
    left, right = st.columns([3, 2], gap="large")
    with right:
        move.card(found.dossier, version, reachable=found.trouble is None)
    with left:
        model.details(found, version)
model.story(found)
