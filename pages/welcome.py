"""Welcome: load the sample, or connect to a server."""

import streamlit as st

from core.lifecycle.launch import load_sample
from core.texts import t
from core.ui import parts, welcome
from core.ui.deck import deck

st.session_state["welcomed"] = True  # whoever leaves this page for Home stays there
here = deck()
parts.title(t("welcome.title"), "waving_hand", t("welcome.caption"))
left, right = st.columns(2, gap="large")
with left, st.container(border=True):
    st.subheader(t("welcome.sample.title"), anchor=False)
    st.markdown(t("welcome.sample.what"))
    if st.button(t("welcome.sample.load"), type="primary", icon=":material/science:"):
        load_sample(here)
        st.rerun()
    welcome.sample_progress()
with right, st.container(border=True):
    st.subheader(t("welcome.server.title"), anchor=False)
    st.markdown(t("welcome.server.how"))
    st.code(t("welcome.server.command"), language="bash", wrap_lines=True)
    welcome.test_address()
