"""The front door: Modeldeck as an ASGI application. Start it with ``python -m core run``."""

import streamlit as st

from core.ui.application import parts

# Streamlit finds the application by reading this line, so it is spelled out here.
app = st.App("core/ui/shell.py", **parts())
