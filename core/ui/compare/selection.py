"""What can be done with runs that were marked in a figure."""

from collections.abc import Sequence

import streamlit as st

from core.runs.query import RunTable
from core.texts import t
from core.ui.compare.choice import link_to, point_to, view_of
from core.ui.compare.shared import Compared
from core.ui.markup import safe
from core.ui.navigation import go, link

_NAMED = 5


def actions(
    compared: Compared,
    table: RunTable,
    ids: Sequence[str],
    key: str,
    condition: str | None = None,
    said: str = "",
) -> None:
    """How many runs are marked, and what to do with them.

    Args:
        table: the runs that the figure shows.
        ids: those marked.
        key: tells the buttons of one figure from another's.
        condition: the filter that finds just these among the runs compared, where one does.
        said: what they are, Markdown; else that they are marked.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        marked = t("compare.marked", n=len(ids), of=len(table.frame))
        st.markdown(said or marked, width="content")
        keep = st.button(
            t("compare.keep", n=len(ids)),
            key=f"{key}_keep",
            icon=":material/filter_alt:",
            disabled=not ids,
        )
        listed = st.button(
            t("compare.open_table"),
            key=f"{key}_table",
            icon=":material/table_rows:",
            type="tertiary",
            disabled=not ids,
        )
        few = table.frame[table.frame["run_id"].isin(ids[: _NAMED + 1])]
        names = dict(zip(few["run_id"], few["name"], strict=True))
        for run_id in ids if len(ids) <= _NAMED else ():
            label = safe(names[run_id], 40) or t("runs.blank")
            link("run", label, icon=":material/open_in_full:", run=run_id)
    if keep:
        point_to(link_to(ids, compared.experiments, compared, condition))
        st.rerun(scope="app")
    if listed:
        by_filter = condition is not None and not compared.asked.run_ids
        go(
            "experiments",
            **(
                {"experiment": list(compared.asked.experiment_ids), "q": condition or ""}
                if by_filter
                else view_of(ids, compared.experiments)
            ),
        )
