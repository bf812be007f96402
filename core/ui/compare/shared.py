"""What the ways to compare have in common: the options of an axis, and the choice in the link."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.runs import query as runs_query
from core.runs.query import RunTable

NONE = "–"
"""Stands for nothing chosen."""


def set_runs(ids: Sequence[str]) -> None:
    """Put other runs into the link."""
    if ids:
        st.query_params["runs"] = ",".join(ids)
    else:
        st.query_params.pop("runs", None)


def options(table: RunTable) -> list[str]:
    """What can stand on an axis, what varies first."""
    first = runs_query.choose(table, most=10_000).shown
    rest = [c for c in (*table.of("metrics"), *table.of("params")) if c not in first]
    tags = [c for c in table.of("tags") if not c.startswith("tags.mlflow.")]
    return [*first, *rest, "seconds", *tags]


def frame(table: RunTable) -> pd.DataFrame:
    """The rows as the charts read them: the run's name is ``run_name`` there."""
    return table.frame.rename(columns={"name": "run_name"})
