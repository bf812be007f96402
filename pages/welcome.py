"""Welcome: load the sample, or connect to a server."""

import streamlit as st

from core.texts import t
from core.training import jobs
from core.ui import parts, welcome
from core.ui.deck import deck

here = deck()
parts.title(t("welcome.title"), "waving_hand", t("welcome.caption"))
left, right = st.columns(2, gap="large")
with left, st.container(border=True):
    st.subheader(t("welcome.sample.title"), anchor=False)
    st.markdown(t("welcome.sample.what"))
    if st.button(t("welcome.sample.load"), type="primary", icon=":material/science:"):
        jobs.submit_sample(here.ledger, here.actor)
        st.rerun()
    welcome.sample_progress()
with right, st.container(border=True):
    st.subheader(t("welcome.server.title"), anchor=False)
    st.markdown(t("welcome.server.how"))
    st.code(t("welcome.server.command"), language="bash")
    welcome.test_address()
