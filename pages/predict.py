"""Predict: ask a served model, by form, as JSON or with a CSV file."""

import streamlit as st

from core.texts import t
from core.ui import parts, predict

parts.title(t("nav.title.predict"), "online_prediction", t("predict.caption"))
endpoint = predict.choose_endpoint()
if endpoint is None:
    st.stop()
info = predict.model_info(endpoint)
if info.signature is None:
    st.caption(t("predict.no_signature"))
way = st.segmented_control(
    t("predict.way"),
    ["form", "json", "csv"],
    format_func=lambda w: t(f"predict.ways.{w}"),
    default="form",
    required=True,
    key="way",
    bind="query-params",
)
left, right = st.columns([3, 2], gap="large")
with left:
    {"form": predict.by_form, "json": predict.by_json, "csv": predict.by_csv}[way](endpoint, info)
with right:
    st.subheader(t("predict.answer"), anchor=False)
    predict.answer(endpoint)
