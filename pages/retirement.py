"""Retirement: versions and endpoints that have had their day, and the asking to archive them."""

import streamlit as st

from core.texts import t
from core.ui import parts, retirement

parts.title(t("nav.title.retirement"), "recycling", t("retirement.caption"))
retirement.send()

days, model, reasons = retirement.filters(retirement.models())
found = retirement.found(days)
retirement.versions(found, model, reasons)
st.subheader(t("retirement.served"), anchor=False)
retirement.endpoints([one for one in found.endpoints if model in ("", one.endpoint.model)], days)
