"""One registered model: its versions, their stages and aliases, and how these change."""

import streamlit as st

from core.ui import move, version
from core.ui.model import head, ladder, story, versions
from core.ui.model.look import look
from core.ui.navigation import asked

found = look(asked("model"))
head.draw(found.dossier)
ladder.draw(found)
drawn = versions.draw(found)
chosen, measured = drawn or (None, None)
if chosen is not None and measured is not None:
    left, right = st.columns([3, 2], gap="large")
    with right:
        move.card(found.dossier, chosen, certain=found.certain)
    with left:
        version.details(found.dossier, chosen, measured)
story.draw(found, chosen, measured)
