"""What differs between the runs, side by side."""

import streamlit as st

from core import formats
from core.charts.labels import run_labels
from core.runs import compare
from core.texts import t
from core.ui import parts, runs
from core.ui.compare.shared import Compared
from core.ui.markup import plain, plain_frame, safe


def draw(compared: Compared) -> None:
    """Draw the table, with its filters and the values of the row ticked in full."""
    table = compared.table()
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
