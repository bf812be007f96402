"""The table of all runs that match, made once and remembered; the rows that are ticked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import streamlit as st

from core.runs.columns import parse
from core.runs.query import Choice, Names, RunQuery, RunTable
from core.texts import t
from core.ui import parts, run_cells, runs
from core.ui.deck import deck, mirror
from core.ui.navigation import asked_all, go

MOST_IN_LINK = 50
_HELD = "_held_runs"


@dataclass(frozen=True)
class Made:
    """A table as it is sent."""

    cells: pa.Table
    ids: tuple[str, ...]
    names: Mapping[str, str]
    """Run id → name."""
    key: str


def held(asked: RunQuery) -> RunTable:
    """The rows of ``asked`` as of now; those of before while a person ticks rows of them."""
    before: tuple[RunQuery, RunTable] | None = st.session_state.get(_HELD)
    _, picked = st.session_state.get("_ticked", (None, []))
    if before is not None and before[0] == asked and picked:
        return before[1]
    rows = runs.table(asked)
    st.session_state[_HELD] = (asked, rows)
    return rows


def tick(experiment_ids: tuple[str, ...], run_ids: Sequence[str]) -> None:
    """Tick these runs, and no others, in the table of these experiments."""
    st.session_state["_ticked"] = ((experiment_ids, []), list(run_ids))
    st.query_params.pop("selected", None)


def renew() -> None:
    """Show the rows as of now, whatever is ticked."""
    st.session_state.pop(_HELD, None)


def made(rows: RunTable, asked: RunQuery, names: Mapping[str, str], known: Names) -> Made:
    """The rows as a table; made once for all reruns in which nothing has changed.

    Args:
        names: experiment id → name, where more than one experiment is shown.
        known: what the runs have; which way metrics are better decides what is best.
    """
    here = deck()
    metrics = [known.get(f"metrics.{parse(c).name}") for c in asked.columns or () if "best(" in c]
    better = tuple(m.direction for m in metrics if m is not None)
    key = (here.mlflow.address, here.actor.name, rows.revision, better)
    return _made(key, asked, rows, dict(names))


def draw(made: Made, asked: RunQuery, known: Names) -> list[str]:
    """The table; the ids of the runs that are ticked."""
    linked = asked_all("selected")
    # More runs can be ticked than stand in the link; a link that we did not write is newer.
    of, picked = st.session_state.get("_ticked", (None, []))
    before = set(picked if of == (asked.experiment_ids, linked) else linked)
    directions = {n.name: n.direction for n in known.metrics if n.direction}
    event = st.dataframe(
        made.cells,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        height=min(560, 38 + 35 * max(1, len(made.ids))),
        key=made.key,
        column_config=run_cells.config(made.cells, "runs", directions),
        selection_default={
            "selection": {"rows": [i for i, r in enumerate(made.ids) if r in before]}
        }
        if before
        else None,
        placeholder="",
        alt=t("experiments.runs_alt"),
        lazy=False,
    )
    opened = runs.clicked("runs", made.ids)
    if opened:
        go("run", run=opened)
    picked = [made.ids[i] for i in event["selection"]["rows"] if i < len(made.ids)]
    in_link = picked if len(picked) <= MOST_IN_LINK else []
    st.session_state["_ticked"] = ((asked.experiment_ids, in_link), picked)
    if in_link != linked:  # each write is a step of the browser's history
        if in_link:
            st.query_params["selected"] = ",".join(in_link)
        else:
            st.query_params.pop("selected", None)
    return picked


@st.cache_resource(ttl=900, max_entries=4, show_spinner=False)
def _made(
    key: tuple[object, ...],  # noqa: ARG001 - whose answer, and as of when
    asked: RunQuery,
    _rows: RunTable,
    names: dict[str, str],
) -> Made:
    ids = tuple(_rows.ids)
    flat = asked.nesting == "flat"  # else the one it is nested in stands above it
    cells = run_cells.cells(_rows, _rows.columns, names, parents=flat)
    called = dict(zip(ids, _rows.frame["name"].tolist(), strict=True))
    return Made(cells, ids, called, f"runs_{runs.fingerprint(ids)}")


def say(rows: RunTable, asked: RunQuery, choice: Choice) -> None:
    """How many rows and columns of how many are shown."""
    said = [
        t("experiments.some_shown", n=rows.total, shown=len(rows.frame))
        if rows.more
        else t("experiments.all_shown", n=rows.total)
    ]
    said.append(t("experiments.columns_shown", n=choice.existing, shown=len(asked.columns or ())))
    if choice.constant and asked.columns == choice.shown and choice.varying:
        said.append(t("experiments.constant", n=len(choice.constant)))
    st.caption(" ".join(said))


def coverage(asked: RunQuery, rows: RunTable, *, holding: bool) -> None:
    """How much of the store was read and when; looks by itself whether there is something new.

    Args:
        holding: whether the person is choosing rows: then what is new is offered and not shown.
    """

    @parts.live(runs.LOOK_SECONDS)
    def look() -> None:
        runs.readable()  # where MLflow does not answer, this rises: no one is shown old rows
        mirror().want(asked.experiment_ids)
        moved = mirror().revision != rows.revision
        if moved and not holding:
            parts.again()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(runs.coverage_line(), width="content")
            if moved:
                more = runs.count(asked) - rows.total
                key = "new" if more > 0 else "changed"
                if st.button(
                    t(f"experiments.fresh.{key}", n=max(more, 0)),
                    type="tertiary",
                    icon=":material/refresh:",
                    key="runs_fresh",
                ):
                    renew()
                    st.rerun()

    look()
