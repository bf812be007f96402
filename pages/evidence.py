"""Evidence: one promotion request, champion against challenger, and the decision."""

import streamlit as st

from core.ui import evidence
from core.ui.navigation import asked

found = evidence.look(asked("request"))
evidence.head(found)
left, right = st.columns([3, 2], gap="large")
with right:
    evidence.decision(found)  # first: curves may take a while
with left:
    curves, gone = evidence.compared(found)
with right:
    evidence.save(found, curves, gone)
