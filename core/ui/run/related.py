"""The runs that belong to a run: parent, children, siblings, replicates."""

import streamlit as st

from core.mlflow_api.nouns import Run
from core.runs import query as runs_query
from core.runs import related
from core.runs.query import RunQuery
from core.texts import t
from core.ui import run_cells, runs
from core.ui.compare.baseline import MODEL
from core.ui.markup import md, safe, visible
from core.ui.navigation import go, link
from core.ui.registry import listed, top

MOST = 200
COMPARED = 50


def draw(run: Run) -> None:
    """Each group with its table and the way to compare it; groups that cannot be are left out."""
    if run.parent_id:
        _parent(run)
    _group(run, "children", related.children(run))
    _group(run, "siblings", related.siblings(run))
    _group(run, "replicates", related.replicates(run))
    _production(run)


def _parent(run: Run) -> None:
    st.subheader(t("run.parent"), anchor=False)
    parent = runs.table(RunQuery(run_ids=(run.parent_id or "",), columns=()))
    name = parent.frame["name"].iloc[0] if len(parent.frame) else run.parent_id
    with st.container(horizontal=True, vertical_alignment="center"):
        link(
            "run",
            safe(name, 80) or t("runs.blank"),
            icon=":material/arrow_upward:",
            run=run.parent_id or "",
        )
        link(
            "compare",
            t("run.compare.parent"),
            icon=":material/compare_arrows:",
            runs=f"{run.parent_id},{run.id}",
            baseline=run.parent_id or "",
            chart=t("compare.way.differences"),
        )


def _group(run: Run, name: str, condition: str | None) -> None:
    """The runs that match a condition, without the run itself."""
    if condition is None:
        return
    asked = RunQuery((run.experiment_id,), condition, limit=MOST, view="all")
    found = runs.table(asked)
    others = [i for i in found.ids if i != run.id]
    if not others and name != "children":
        return
    st.subheader(t(f"run.{name}", n=len(others)), anchor=False)
    if not others:
        st.caption(t("run.no_children"))
        return
    shown = runs_query.choose(runs.names(asked))
    opened = run_cells.small_table(found, shown.shown, t(f"run.alt.{name}"), name)
    if opened:
        go("run", run=opened)
    said = [t("run.related_more" if found.more else "run.related_all", n=MOST)]
    if len(found.ids) != len(others):
        said.append(t("run.related_itself"))
    st.caption(" ".join(said))
    compared = found.ids[:COMPARED]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            t("run.compare_related", n=len(compared)),
            icon=":material/compare_arrows:",
            key=f"run_{name}",
        ):
            go("compare", runs=",".join(compared))
        if len(found.ids) > len(compared):
            st.caption(t("run.compare_some", n=len(compared), of=len(found.ids)), width="content")


def _production(run: Run) -> None:
    """The way to hold this run against the version of a registered model in Production."""
    models = [s.name for s in listed() if s.held.get(top())]
    st.subheader(md("run.compare.title", rung=top()), anchor=False)
    if not models:
        st.caption(md("run.compare.no_production", rung=top()))
        return
    with st.form("compare_production", border=False):
        model = st.selectbox(
            t("run.compare.model"), models, format_func=visible, key="compare_model", width=420
        )
        if st.form_submit_button(t("run.compare.do"), icon=":material/compare_arrows:") and model:
            differences = t("compare.way.differences")
            go("compare", runs=run.id, baseline=MODEL + model, chart=differences)
