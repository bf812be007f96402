"""What the ways to compare have in common: the runs compared, an axis's options, the link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from core.runs import query as runs_query
from core.runs.query import RunQuery, RunTable
from core.ui import runs

NONE = "–"
"""Stands for nothing chosen."""


@dataclass(frozen=True)
class Compared:
    """The runs that the link names: one question, which every way to look asks for its columns."""

    asked: RunQuery
    """Without columns."""
    count: int
    """How many runs there are, all of which a way may draw."""
    experiments: Mapping[str, str]
    """Experiment id → name, of those that the runs are from."""

    def table(self, columns: Sequence[str] | None = None) -> RunTable:
        """The runs with ``columns`` (all that any of them has where None), remembered."""
        wanted = None if columns is None else tuple(dict.fromkeys(columns))
        return runs.shown(replace(self.asked, columns=wanted))

    @property
    def ids(self) -> list[str]:
        """The ids of all runs compared, in order."""
        return self.table(()).ids


def set_runs(ids: Sequence[str]) -> None:
    """Put other runs into the link."""
    for name in ("view", "experiment", "q"):
        st.query_params.pop(name, None)
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
