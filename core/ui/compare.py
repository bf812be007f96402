"""Runs side by side: which ones, and the four ways to look at them."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import charts, formats
from core.charts.labels import run_labels
from core.mlflow_api.tracking import ACTIVE
from core.runs import compare
from core.runs import query as runs_query
from core.runs.curves import ENDED, Wanted
from core.runs.query import RunQuery, RunTable
from core.texts import t
from core.ui import parts, runs, runs_page
from core.ui.markup import md, plain, plain_frame, safe, visible
from core.ui.navigation import asked_all, go, link

MOST_RUNS = 500
NEWEST = (10, 25, 50, 100, 200)
FIRST_DIMENSIONS = 8
NONE = "–"


def asked() -> list[str]:
    """The runs that the link names, each once."""
    return list(dict.fromkeys(asked_all("runs")))


def set_runs(ids: Sequence[str]) -> None:
    """Put other runs into the link."""
    if ids:
        st.query_params["runs"] = ",".join(ids)
    else:
        st.query_params.pop("runs", None)


def choose(ids: Sequence[str]) -> None:
    """The form that adds the newest runs of an experiment, and the link to pick them by hand."""
    experiments = runs.experiments(ACTIVE)
    names = {e.id: e.name for e in experiments}
    with st.container(border=True):
        with st.form("compare_add", border=False):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                chosen = st.selectbox(
                    t("compare.add.experiment"),
                    list(names),
                    format_func=lambda i: visible(names[i]),
                    index=None,
                    placeholder=t("compare.add.place"),
                    width=360,
                )
                newest = st.selectbox(t("compare.add.newest"), NEWEST, index=2, width=120)
                sent = st.form_submit_button(
                    t("compare.add.do"), type="primary", icon=":material/add:"
                )
            text = st.text_input(t("compare.add.filter"), placeholder=t("compare.add.filter_place"))
        st.caption(t("compare.add.or"))
        link("experiments", t("compare.add.by_hand"), icon=":material/science:")
    if sent and chosen:
        found = runs.table(RunQuery((chosen,), text, limit=newest, columns=()))
        if found.frame.empty:
            parts.empty(t("compare.add.none"), "search_off")
            return
        set_runs(list(dict.fromkeys([*ids, *found.ids]))[:MOST_RUNS])
        st.rerun()


def head(ids: Sequence[str]) -> RunTable:
    """How many runs are compared, what is missing or deleted, and the ways to change the choice."""
    table = runs.shown(RunQuery(run_ids=tuple(ids[:MOST_RUNS])))
    names = runs.experiment_names(sorted(set(table.frame["experiment_id"])))
    with st.container(horizontal=True, vertical_alignment="center"):
        said = t("compare.count", n=len(table.frame)), t("compare.experiments", n=len(names))
        st.markdown(" ".join(said), width="content")
        with st.popover(t("compare.runs.label"), icon=":material/checklist:", width="content"):
            _chosen(table, names)
        with st.popover(t("compare.add.label"), icon=":material/add:", width="content"):
            choose(ids)
        st.button(
            t("compare.clear"),
            icon=":material/clear_all:",
            type="tertiary",
            on_click=set_runs,
            args=((),),
            key="compare_clear",
        )
        st.caption(runs.as_of(table), width="content")
        runs.refresh_button("compare_refresh")
    _warn(table, len(ids))
    return table


def _warn(table: RunTable, asked_for: int) -> None:
    if asked_for > MOST_RUNS:
        st.caption(t("compare.too_many", n=asked_for, most=MOST_RUNS))
    if table.missing:
        shown = ", ".join(i[:40] for i in table.missing[:5])
        more = len(table.missing) - 5
        ids = t("runs.and_more", names=shown, n=more) if more > 0 else shown
        st.warning(md("compare.missing", n=len(table.missing), ids=ids), icon=":material/link_off:")
    deleted = int(table.frame["deleted"].sum())
    if deleted:
        st.caption(t("compare.deleted", n=deleted))


def _chosen(table: RunTable, names: dict[str, str]) -> None:
    made = runs.cells(table, (), names, runs.parent_names(table))
    key = f"chosen_{runs.fingerprint(table.ids)}"
    event = st.dataframe(
        made,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        column_config=runs.config(made, key),
        placeholder="",
        alt=t("compare.runs.alt"),
        width=640,
    )
    opened = runs.clicked(key, table.ids)
    if opened:
        go("run", run=opened)
    picked = {table.ids[i] for i in event["selection"]["rows"] if i < len(table.ids)}
    with st.container(horizontal=True):
        st.button(
            t("compare.runs.remove", n=len(picked)),
            disabled=not picked,
            key="compare_remove",
            on_click=set_runs,
            args=([i for i in table.ids if i not in picked],),
        )
        st.button(
            t("compare.runs.keep", n=len(picked)),
            disabled=not picked,
            key="compare_keep",
            on_click=set_runs,
            args=([i for i in table.ids if i in picked],),
        )


WAYS = ("parallel", "scatter", "curves", "differences")


def draw(table: RunTable) -> None:
    """The way to look at the runs that is open; the others cost nothing."""
    tabs = st.tabs([t(f"compare.way.{w}") for w in WAYS], key="chart", bind="query-params")
    for way, tab in zip(WAYS, tabs, strict=True):
        if tab.open:
            with tab:
                _DRAW[way](table)


def _options(table: RunTable) -> list[str]:
    """What can stand on an axis, what varies first."""
    first = runs_query.choose(table, most=10_000).shown
    rest = [c for c in (*table.of("metrics"), *table.of("params")) if c not in first]
    tags = [c for c in table.of("tags") if not c.startswith("tags.mlflow.")]
    return [*first, *rest, "seconds", *tags]


def _frame(table: RunTable) -> pd.DataFrame:
    return table.frame.rename(columns={"name": "run_name"})


def _parallel(table: RunTable) -> None:
    options = _options(table)
    choice = runs_query.choose(table, FIRST_DIMENSIONS)
    # What was set by hand comes before what came out: read from left to right.
    first = sorted(choice.shown, key=lambda c: c.startswith("metrics."))
    metrics = [c for c in first if c.startswith("metrics.")]
    dimensions = st.multiselect(
        t("compare.parallel.dimensions"),
        options,
        key="dimensions",
        bind="query-params",
        placeholder=t("compare.parallel.automatic", names=", ".join(map(runs.label, first))),
    )
    colours = [t("compare.automatic"), NONE, *options]
    colour = st.selectbox(
        t("compare.colour"), colours, key="colour", bind="query-params", width=320
    )
    painted = metrics[0] if colour == colours[0] and metrics else colour
    figure, notes = charts.parallel_coordinates(
        _frame(table), dimensions or first, painted if painted in options else None
    )
    st.plotly_chart(figure, alt=t("compare.parallel.alt"), key="parallel")
    st.caption(safe(notes.text))


def _scatter(table: RunTable) -> None:
    options = _options(table)
    metrics = [c for c in options if c.startswith("metrics.")]
    params = [c for c in options if c.startswith("params.")]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = _pick("x", options, (params + metrics + options)[0])
        y = _pick("y", options, (metrics + options)[0])
        colour = st.selectbox(
            t("compare.colour"),
            [NONE, *options],
            key="scatter_colour",
            bind="query-params",
            width=260,
        )
        log_x = st.toggle(t("compare.scatter.log_x"), key="log_x", bind="query-params")
        log_y = st.toggle(t("compare.scatter.log_y"), key="log_y", bind="query-params")
    figure, notes = charts.scatter(
        _frame(table), x, y, colour if colour in options else None, log_x, log_y
    )
    event = st.plotly_chart(
        figure, alt=t("compare.scatter.alt", x=x, y=y), key="scatter", on_select="rerun"
    )
    st.caption(safe(notes.text))
    picked = [str(p["customdata"][0]) for p in event["selection"]["points"] if "customdata" in p]
    _picked(table, [i for i in dict.fromkeys(picked) if i in set(table.ids)])


def _pick(axis: str, options: list[str], first: str) -> str:
    chosen = st.selectbox(
        t(f"compare.scatter.{axis}"),
        options,
        index=options.index(first),
        key=axis,
        bind="query-params",
        width=260,
    )
    return chosen or first


def _picked(table: RunTable, ids: list[str]) -> None:
    """What can be done with the dots that were selected in the figure."""
    if not ids:
        st.caption(t("compare.scatter.select"))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(t("compare.scatter.selected", n=len(ids)), width="content")
        st.button(
            t("compare.runs.keep", n=len(ids)), on_click=set_runs, args=(ids,), key="dots_keep"
        )
        names = dict(zip(table.frame["run_id"], table.frame["name"], strict=True))
        for run_id in ids[:5]:
            label = safe(names[run_id], 40) or t("runs.blank")
            link("run", label, icon=":material/open_in_full:", run=run_id)


def _curves(table: RunTable) -> None:
    names = [c.removeprefix("metrics.") for c in table.of("metrics")]
    if not names:
        parts.empty(t("run.no_metrics"), "show_chart")
        return
    varying = [c.removeprefix("metrics.") for c in runs_query.choose(table).shown if c in names]
    chosen = st.multiselect(
        t("run.curves.metrics"),
        names,
        default=(varying or names)[:1],
        key="curve",
        bind="query-params",
        max_selections=6,
    )
    look = runs_page.curve_look("curves")
    runs_page.draw_curves(_wanted(table, names), chosen, look)


def _wanted(table: RunTable, metrics: Sequence[str]) -> list[Wanted]:
    """The runs as curves are read of them, each with the metrics that it has."""
    has = {m: ~table.frame[f"metrics.{m}"].isna() for m in metrics}
    return [
        Wanted(
            str(run_id), str(name), status in ENDED, frozenset(m for m in metrics if has[m].iloc[i])
        )
        for i, (run_id, name, status) in enumerate(
            zip(table.frame["run_id"], table.frame["name"], table.frame["status"], strict=True)
        )
    ]


def _differences(table: RunTable) -> None:
    frame = table.frame
    found = compare.differences(frame)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        only = st.toggle(
            t("compare.differences.only"), value=True, key="differences_only", bind="query-params"
        )
        kinds = {t(f"compare.kind.{k}"): k for k in compare.KINDS}
        shown = st.pills(
            t("compare.differences.kinds"),
            list(kinds),
            selection_mode="multi",
            default=[n for n, k in kinds.items() if k != "system"],
            key="kinds",
            bind="query-params",
            label_visibility="collapsed",
        )
    wanted = [d for d in found if d.kind in {kinds[s] for s in shown}]
    labels = list(run_labels(list(zip(frame["run_id"], frame["name"], strict=True))).values())
    made = compare.side_by_side(wanted, labels[: compare.MOST_RUNS], differences_only=only)
    counts = [
        t(
            "compare.differences.count",
            kind=t(f"compare.kind.{k}").lower(),
            n=sum(d.kind == k for d in found),
            differ=sum(d.kind == k and d.differs for d in found),
        )
        for k in compare.KINDS
        if any(d.kind == k for d in found)
    ]
    st.caption(" · ".join(counts))
    if made.empty:
        parts.empty(t("compare.differences.none"), "check_circle")
        return
    kept = [d for d in wanted if d.differs or not only]
    made["kind"] = [t(f"compare.kind.{k}") for k in made["kind"]]
    event = st.dataframe(
        plain_frame(made),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"differences_{runs.fingerprint([*labels, *(d.kind + d.name for d in kept)])}",
        alt=t("compare.differences.alt"),
        placeholder=t("compare.differences.missing"),
        height=min(680, 38 + 35 * len(made)),
        column_config={
            "kind": st.column_config.TextColumn(t("compare.column.kind"), pinned=True),
            "name": st.column_config.TextColumn(t("compare.column.name"), pinned=True),
            "distinct": st.column_config.NumberColumn(t("compare.column.distinct")),
            "spread": st.column_config.NumberColumn(
                t("compare.column.spread"), format="%.4g", help=t("compare.column.spread_help")
            ),
        },
    )
    said = []
    if len(labels) > compare.MOST_RUNS:
        most = compare.MOST_RUNS
        said.append(t("compare.differences.capped", n=most, of=len(labels)))
    written = sum(d.same_number for d in kept)
    if written:
        said.append(t("compare.differences.written", n=written))
    said.append(t("compare.differences.tick"))
    st.caption(" ".join(said))
    for row in event["selection"]["rows"][:1]:
        _in_full(kept[row], labels)


def _in_full(difference: compare.Difference, labels: list[str]) -> None:
    """One row of the table with its values in full, runs of the same value together."""
    st.subheader(safe(difference.name, 120), anchor=False)
    groups: dict[str | None, list[str]] = {}
    for label, value in zip(labels, difference.values, strict=True):
        groups.setdefault(value, []).append(label)
    for value, who in groups.items():
        st.caption(safe(formats.shorten(", ".join(who), 300)))
        if value is None:
            st.text(t("compare.differences.missing"))
        else:
            st.code(plain(value), language=None, wrap_lines=True)


_DRAW = {
    "parallel": _parallel,
    "scatter": _scatter,
    "curves": _curves,
    "differences": _differences,
}
