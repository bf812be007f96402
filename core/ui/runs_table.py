"""The runs of some experiments: filter, order, columns, rows, and what to do with some."""

from collections.abc import Sequence

import streamlit as st

from core.errors import InvalidInput
from core.mlflow_api.nouns import NOTE_TAG
from core.runs import changes, filters
from core.runs import query as runs_query
from core.runs.query import Order, RunQuery, RunTable
from core.texts import t
from core.ui import parts, runs
from core.ui.deck import deck
from core.ui.markup import md, safe, visible
from core.ui.navigation import asked_all, go, link
from core.ui.runs_list import few

LIMITS = (100, 500, 1000, 2000, 5000)
MOST_COLUMNS = 12
MOST_COMPARED = 500
MOST_IN_LINK = 50
VIEWS = ("active", "deleted", "all")


def head(ids: Sequence[str]) -> dict[str, str]:
    """The headline; the experiments' names by id.

    Raises:
        NotFound: one of them does not exist.
    """
    names = runs.experiment_names(ids)
    link("experiments", t("experiments.all"), icon=":material/arrow_back:")
    if len(ids) == 1:
        parts.title(safe(names[ids[0]], 120) or t("runs.blank"), "science")
        about = next((e for e in runs.experiments() if e.id == ids[0]), None)
        if about is not None and about.lifecycle_stage == "deleted":
            st.badge(t("runs.deleted"), icon=":material/delete:", color="grey")
        if about is not None and about.tags.get(NOTE_TAG):
            st.text(visible(about.tags[NOTE_TAG]))
    else:
        parts.title(t("experiments.several", n=len(ids)), "science")
        st.caption(", ".join(safe(n, 60) for n in names.values()))
    return names


def filter_field() -> str:
    """The field for the filter, bound to the link."""
    return st.text_input(
        t("experiments.filter.label"),
        key="filter",
        bind="query-params",
        placeholder=t("experiments.filter.place", example="metrics.rmse < 0.5"),
        icon=":material/filter_alt:",
    )


def controls(ids: Sequence[str], text: str) -> RunQuery:
    """The other fields that make the view, each bound to the link; the query that they add up to.

    Args:
        text: the filter.
    """
    known = runs.shown(RunQuery(tuple(ids)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _syntax(known)
        order = _order(known)
        limit = st.selectbox(
            t("experiments.rows"), LIMITS, key="limit", bind="query-params", width=110
        )
        view_names = {t(f"experiments.runs_view.{v}"): v for v in VIEWS}
        view = st.selectbox(
            t("experiments.runs_view.label"),
            list(view_names),
            key="view",
            bind="query-params",
            width=130,
        )
        nested = st.toggle(
            t("experiments.nested"),
            value=True,
            key="nested",
            bind="query-params",
            help=t("experiments.nested_help"),
        )
    return RunQuery(
        tuple(ids),
        text,
        order,
        limit=int(limit or LIMITS[0]),
        view=view_names.get(view or "", "active"),
        nesting="flat" if nested else "top",
    )


def _syntax(known: RunTable) -> None:
    with st.popover(t("experiments.filter.help"), icon=":material/help:"):
        st.markdown(t("experiments.filter.syntax"))
        st.caption(t("experiments.filter.here"))
        st.code("\n".join(filters.examples(known.frame)), language=None)


def _order(known: RunTable) -> tuple[Order, ...]:
    attributes = {t(f"experiments.order.{name}"): name for name in runs_query.SORTABLE}
    columns = list(known.of("metrics") + known.of("params") + known.of("tags"))
    linked = asked_all("sort")
    options = [*attributes, *columns, *(c for c in linked if "." in c and c not in columns)]
    column = st.selectbox(
        t("experiments.order.label"), options, key="sort", bind="query-params", width=240
    )
    ways = [t("experiments.order.down"), t("experiments.order.up")]
    way = st.segmented_control(
        t("experiments.order.way"),
        ways,
        default=ways[0],
        required=True,
        key="order",
        bind="query-params",
        label_visibility="collapsed",
    )
    chosen = attributes.get(column or "", column or "started_at")
    return (Order(chosen, way != ways[1]),)


def draw(asked: RunQuery, names: dict[str, str]) -> None:
    """The answer: which columns, the table, what was left out, and what can be done."""
    bar = st.container(horizontal=True, vertical_alignment="center", height="content")
    rows = runs.shown(asked)
    if rows.frame.empty:
        _none(asked)
        return
    choice = runs_query.choose(rows, MOST_COLUMNS)
    with bar:
        columns = _columns(rows, choice)
        picked_here = st.container(horizontal=True, vertical_alignment="center")
    picked = _table(rows, columns, names, asked)
    _say(rows, columns, choice, asked)
    with picked_here:
        _actions(rows, picked)


def _columns(rows: RunTable, choice: runs_query.Choice) -> Sequence[str]:
    """The column chooser; what to show."""
    linked = [c for c in asked_all("columns") if "." in c]
    options = [*rows.of("metrics"), *rows.of("params"), *rows.of("tags")]
    options += [c for c in linked if c not in options]
    with st.popover(t("experiments.columns.label"), icon=":material/view_column:"):
        st.caption(t("experiments.columns.about", n=choice.existing))
        chosen = st.multiselect(
            t("experiments.columns.shown"),
            options,
            key="columns",
            bind="query-params",
            placeholder=t("experiments.columns.automatic"),
        )
    return chosen or choice.shown


def _table(
    rows: RunTable, columns: Sequence[str], names: dict[str, str], asked: RunQuery
) -> list[str]:
    """The table; the ids of the runs that are ticked."""
    ids = rows.ids
    made = runs.cells(rows, columns, names if len(names) > 1 else {}, runs.parent_names(rows))
    linked = asked_all("selected")
    # More runs can be ticked than stand in the link; a link that we did not write is newer.
    of, picked = st.session_state.get("_ticked", (None, []))
    before = set(picked if of == (asked.experiment_ids, linked) else linked)
    event = st.dataframe(
        made,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        height=min(440, 38 + 35 * len(ids)),
        key=f"runs_{runs.fingerprint(ids)}",
        column_config=runs.config(made, "runs"),
        selection_default={"selection": {"rows": [i for i, r in enumerate(ids) if r in before]}},
        placeholder="",
        alt=t("experiments.runs_alt"),
        lazy=False,
    )
    opened = runs.clicked("runs", ids)
    if opened:
        go("run", run=opened)
    picked = [ids[i] for i in event["selection"]["rows"] if i < len(ids)]
    in_link = picked if len(picked) <= MOST_IN_LINK else []
    st.session_state["_ticked"] = ((asked.experiment_ids, in_link), picked)
    if in_link != linked:  # each write is a step of the browser's history
        if in_link:
            st.query_params["selected"] = ",".join(in_link)
        else:
            st.query_params.pop("selected", None)
    return picked


def _none(asked: RunQuery) -> None:
    if not asked.filter:
        parts.empty(t("experiments.no_runs"))
        return
    parts.empty(t("experiments.no_match"), "search_off")
    everything = runs.shown(RunQuery(asked.experiment_ids))
    for typed, near in filters.unknown_names(asked.filter, everything.columns):
        key = "no_name_near" if near else "no_name"
        st.caption(md(f"experiments.{key}", typed=typed, near=near))


def _say(
    rows: RunTable, columns: Sequence[str], choice: runs_query.Choice, asked: RunQuery
) -> None:
    n = len(rows.frame)
    said = [t("experiments.all_shown" if not rows.more else "experiments.some_shown", n=n)]
    there = sum(c in rows.frame for c in columns)
    said.append(t("experiments.columns_shown", n=choice.existing, shown=there))
    if choice.constant and columns == choice.shown and choice.varying:
        said.append(t("experiments.constant", n=len(choice.constant)))
    said.append(runs.as_of(rows))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(" ".join(said), width="content")
        bigger = next((n for n in LIMITS if n > (asked.limit or 0)), None)
        if rows.more and bigger:
            st.button(
                t("experiments.show_more", n=bigger),
                on_click=_set_limit,
                args=(bigger,),
                type="tertiary",
                icon=":material/expand_more:",
                key="runs_more",
            )
        runs.refresh_button("runs_refresh", rows.ids)


def _set_limit(limit: int) -> None:
    st.session_state["limit"] = limit


def _actions(rows: RunTable, picked: list[str]) -> None:
    if not picked:
        st.caption(t("experiments.pick_runs"))
        return
    frame = rows.frame.set_index("run_id").loc[picked]
    if st.button(
        t("experiments.compare", n=len(picked)),
        type="primary",
        icon=":material/compare_arrows:",
        key="runs_compare",
        disabled=len(picked) < 2 or len(picked) > MOST_COMPARED,
        help=t("experiments.compare_help", most=MOST_COMPARED),
    ):
        go("compare", runs=",".join(picked))
    if len(picked) == 1:
        if st.button(
            t("experiments.open_run"), icon=":material/open_in_full:", key="runs_open_one"
        ):
            go("run", run=picked[0])
        with st.popover(t("experiments.rename.label"), icon=":material/edit:"):
            rename(picked[0], str(frame["name"].iloc[0]))
    gone = [i for i in picked if frame.loc[i, "deleted"]]
    alive = [i for i in picked if not frame.loc[i, "deleted"]]
    if alive and parts.confirm(
        t("experiments.delete_runs.label"),
        t("experiments.delete_runs.ask", n=len(alive), names=few(list(frame.loc[alive, "name"]))),
        t("experiments.delete_runs.do", n=len(alive)),
        "runs_delete",
    ):
        change(changes.delete_runs, alive, t("experiments.delete_runs.done", n=len(alive)))
    if gone and parts.confirm(
        t("experiments.restore_runs.label"),
        t("experiments.restore_runs.ask", n=len(gone), names=few(list(frame.loc[gone, "name"]))),
        t("experiments.restore_runs.do"),
        "runs_restore",
        icon="restore_from_trash",
    ):
        change(changes.restore_runs, gone, t("experiments.restore_runs.done", n=len(gone)))


def rename(run_id: str, name: str) -> None:
    """A form that gives a run another name."""
    with st.form(f"rename_{run_id}", border=False):
        new = st.text_input(t("experiments.rename.name"), value=name)
        if st.form_submit_button(t("experiments.rename.do"), type="primary"):
            try:
                changes.rename_run(deck().mlflow, run_id, new)
            finally:
                runs.refresh([run_id])
            parts.done(md("experiments.rename.done", name=new.strip()))
            st.rerun()


def change(what: changes.Change, ids: list[str], said: str) -> None:
    """Do something to runs, say so, and draw anew; what failed half-way shows as it is."""
    try:
        what(deck().mlflow, ids)
    finally:
        runs.refresh(ids)
    parts.done(said)
    st.rerun()


def checked(ids: list[str]) -> list[str]:
    """Experiment ids from a link, each once.

    Raises:
        InvalidInput: there are too many of them.
    """
    unique = list(dict.fromkeys(ids))
    if len(unique) > 100:
        raise InvalidInput(t("experiments.too_many", n=len(unique)))
    return unique
