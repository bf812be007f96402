"""Experiments and their runs: found, filtered, put in order, selected, compared."""

import streamlit as st

from core.texts import t
from core.ui import parts, runs_list, runs_table
from core.ui.navigation import asked_all

chosen = runs_table.checked(asked_all("experiment"))
if chosen:
    top, text = st.container(), runs_table.filter_field()  # drawn also without MLflow
    with top:
        names = runs_table.head(chosen)
    asked = runs_table.controls(chosen, text)
    runs_table.draw(asked, names)
else:
    parts.title(t("nav.title.experiments"), "science", t("experiments.about"))
    words, deleted = runs_list.controls()
    found = runs_list.listed(words, deleted=deleted)
    if found:
        runs_list.draw(found, deleted=deleted)
    elif words:
        parts.empty(t("experiments.none_match"), "search_off")
    else:
        parts.empty(t("experiments.none_deleted" if deleted else "experiments.none"))
