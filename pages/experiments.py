"""Experiments and their runs: found, filtered, put in order, selected, changed, compared."""

import streamlit as st

from core.texts import t
from core.ui import experiments, parts, runs_list
from core.ui.experiments import asking, saved
from core.ui.navigation import asked_all

chosen = experiments.checked(asked_all("experiment"))
if chosen:
    saved.open_linked(chosen)
    top, (text, beside) = st.container(), asking.filter_field()  # drawn also without MLflow
    with top:
        names = experiments.head(chosen)
    experiments.draw(chosen, names, text, beside)
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
