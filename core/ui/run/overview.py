"""Params and last metrics of a run."""

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from core import formats
from core.mlflow_api.nouns import Run
from core.runs.histories import ENDED
from core.texts import t
from core.ui import parts, runs
from core.ui.markup import plain_frame

LIVE_SECONDS = 3.0
MANY = 25
"""Rows above which there is a search, and the table scrolls."""


def draw(run: Run) -> None:
    """Params beside metrics; while the run runs, again and again."""
    alive(run, _params_and_metrics)


def alive(run: Run, draw: Callable[[Run], None]) -> None:
    """Draw a part of a run; while it runs, again and again."""
    if run.status in ENDED:
        draw(run)
        return

    @parts.live(LIVE_SECONDS)
    def again() -> None:
        draw(runs.run(run.id))

    again()


def _params_and_metrics(run: Run) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader(t("run.params", n=len(run.params)), anchor=False)
        pairs(sorted(run.params.items()), "params", t("run.no_params"))
    with right:
        st.subheader(t("run.metrics", n=len(run.metrics)), anchor=False)
        shown = [(k, formats.number(v, 6)) for k, v in sorted(run.metrics.items())]
        pairs(shown, "metrics", t("run.no_metrics"), right=True)


def pairs(rows: Sequence[tuple[str, str]], name: str, nothing: str, *, right: bool = False) -> None:
    """Names and values as a table; a cell opens in full when it is clicked.

    Args:
        name: what they are, for keys and texts.
        nothing: what is said where there are none.
        right: whether the values are numbers.
    """
    if not rows:
        st.caption(nothing)
        return
    shown = list(rows)
    if len(rows) > MANY:
        words = st.text_input(
            t("run.search", n=len(rows)),
            key=f"search_{name}",
            icon=":material/search:",
            placeholder=t("run.search_place"),
            label_visibility="collapsed",
        )
        wanted = (words or "").casefold().split()
        shown = [p for p in rows if all(w in f"{p[0]} {p[1]}".casefold() for w in wanted)]
        if len(shown) < len(rows):
            st.caption(t("run.matching", n=len(shown), of=len(rows)))
    if not shown:
        return
    st.dataframe(
        plain_frame(pd.DataFrame(shown, columns=["name", "value"])),
        hide_index=True,
        key=f"pairs_{name}",
        alt=t(f"run.alt.{name}"),
        height="content" if len(shown) <= MANY else 880,
        column_config={
            "name": st.column_config.TextColumn(t("run.column.name")),
            "value": st.column_config.TextColumn(
                t("run.column.value"), alignment="right" if right else "left"
            ),
        },
    )
