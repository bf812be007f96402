"""One file of several runs: pictures side by side, lines of text, tables joined on a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd
import streamlit as st

from core import formats
from core.errors import InvalidInput
from core.runs import contents, preview
from core.runs.differences import Difference
from core.runs.preview import Kind, Table
from core.texts import t
from core.ui import artifacts, runs
from core.ui.deck import deck
from core.ui.markup import plain, plain_frame, safe

PICTURES = 12
ROWS = 10_000
"""Rows of a table that are compared."""


@dataclass(frozen=True)
class Copy:
    """The file as one run has it."""

    label: str
    root: str
    ended: bool


def draw(
    row: Difference, labels: Sequence[str], roots: Sequence[str], ended: Sequence[bool]
) -> None:
    """The file at ``row.name`` of all runs that have it."""
    path = row.name
    st.subheader(safe(path, 120), anchor=False)
    there = [
        Copy(label, root, over)
        for label, root, over, value in zip(labels, roots, ended, row.values, strict=True)
        if value is not None
    ]
    if len(there) < 2:
        st.caption(safe(t("differences.file.one", run=there[0].label)))
        return
    kind = preview.kind_of(path)
    if kind is Kind.OTHER:
        st.caption(t("differences.file.not_shown"))
        return
    try:
        if kind is Kind.IMAGE:
            _pictures(path, there)
        else:
            _two(path, there, kind)
    except InvalidInput as error:
        st.caption(f"{safe(error.what)} {safe(error.next_step)}")


def _bytes(path: str, copy: Copy) -> bytes:
    cap = deck().settings.artifact_preview_mb * artifacts.MB
    return artifacts.contents(copy.root, path, cap, ended=copy.ended)


def _pictures(path: str, there: Sequence[Copy]) -> None:
    shown = there[:PICTURES]
    with st.grid("auto", min_column_width=280, gap="small"):
        for copy in shown:
            with st.container():
                st.caption(safe(copy.label))
                alt = t("differences.file.picture", name=PurePosixPath(path).name, run=copy.label)
                st.image(preview.as_image(_bytes(path, copy)), alt=alt)
    if len(there) > len(shown):
        st.caption(t("differences.file.pictures", n=len(shown), of=len(there)))


def _two(path: str, there: Sequence[Copy], kind: Kind) -> None:
    by_label = {copy.label: copy for copy in there}
    names = list(by_label)
    mark = runs.fingerprint([path, *names])
    left, right = names[0], names[1]
    if len(names) > 2:
        with st.container(horizontal=True):
            left = st.selectbox(
                t("differences.file.left"), names, format_func=plain, key=f"left_{mark}", width=320
            )
            right = st.selectbox(
                t("differences.file.right"),
                names,
                index=1,
                format_func=plain,
                key=f"right_{mark}",
                width=320,
            )
    one, other = _bytes(path, by_label[left]), _bytes(path, by_label[right])
    if one == other:
        st.caption(t("differences.file.equal"))
        return
    tables = _tables(path, kind, one, other)
    if tables is not None:
        _joined(tables, left, right, mark)
    elif preview.is_binary(one) or preview.is_binary(other):
        st.caption(t("differences.file.not_shown"))
    else:
        _text(one, other, left, right, mark)


def _tables(path: str, kind: Kind, one: bytes, other: bytes) -> tuple[Table, Table] | None:
    if kind is Kind.TABLE:
        return preview.as_table(path, one, ROWS), preview.as_table(path, other, ROWS)
    if kind is not Kind.JSON:
        return None
    try:
        found = [preview.table_in_json(preview.as_json(data), ROWS) for data in (one, other)]
    except InvalidInput:
        return None
    return (found[0], found[1]) if found[0] and found[1] else None


def _joined(tables: tuple[Table, Table], left: str, right: str, mark: str) -> None:
    one, other = (table.frame for table in tables)
    offered = contents.keys(one, other)
    sure = bool(offered) and contents.is_key(one, other, offered[0])
    by_number = t("differences.table.number")
    options = [*offered, by_number] if sure else [by_number, *offered]
    key = st.selectbox(
        t("differences.table.key"), options, format_func=plain, key=f"key_{mark}", width=320
    )
    found = contents.compare_tables(one, other, None if key == by_number else key)
    said = [t("differences.table.rows", n=found.common)]
    for side, n, columns in (
        (left, found.only_left, found.columns_left),
        (right, found.only_right, found.columns_right),
    ):
        if n:
            said.append(t("differences.table.only", n=n, run=side))
        if columns:
            names = formats.shorten(", ".join(columns), 200)
            said.append(t("differences.table.columns", names=names, run=side))
    said.append(t("differences.table.cells", n=found.differing))
    if found.differing > len(found.cells):
        said.append(t("differences.table.cells_cut", n=len(found.cells)))
    if any(table.more for table in tables):
        said.append(t("differences.table.rows_cut", n=ROWS))
    st.caption(safe(" ".join(said)))
    if found.differing:
        st.dataframe(
            plain_frame(found.cells.astype(str)),
            hide_index=True,
            alt=t("differences.table.alt"),
            column_config={
                "key": st.column_config.TextColumn(plain(key), pinned=True),
                "column": t("differences.table.column"),
                "left": st.column_config.TextColumn(plain(left)),
                "right": st.column_config.TextColumn(plain(right)),
            },
        )


def _text(one: bytes, other: bytes, left: str, right: str, mark: str) -> None:
    texts = [preview.as_text(data) for data in (one, other)]
    lines(texts[0][0], texts[1][0], left, right, mark)
    if any(length > len(text) for text, length in texts):
        st.caption(t("differences.text.cut_text", n=preview.TEXT))


def lines(one: str, other: str, left: str, right: str, mark: str) -> None:
    """Two texts side by side, line by line.

    Args:
        left: what the first one is called: plain text.
        right: what the other one is called.
        mark: tells this pair from others on the page.
    """
    every = st.toggle(t("differences.text.all"), key=f"all_{mark}")
    found = contents.compare_texts(one, other, differences_only=not every)
    said = [t("differences.text.lines", n=found.changed)]
    if found.cut:
        said.append(t("differences.text.cut", n=contents.LINES))
    st.caption(" ".join(said))
    st.dataframe(
        plain_frame(
            pd.DataFrame(
                {
                    "at_left": pd.Series([x.left_number for x in found.lines], dtype="Int64"),
                    "left": [x.left for x in found.lines],
                    "mark": [x.mark for x in found.lines],
                    "at_right": pd.Series([x.right_number for x in found.lines], dtype="Int64"),
                    "right": [x.right for x in found.lines],
                }
            )
        ),
        hide_index=True,
        alt=t("differences.text.alt"),
        placeholder="",
        column_config={
            "at_left": st.column_config.NumberColumn("", width=50),
            "left": st.column_config.TextColumn(plain(left)),
            "mark": st.column_config.TextColumn("", width=40, alignment="center"),
            "at_right": st.column_config.NumberColumn("", width=50),
            "right": st.column_config.TextColumn(plain(right)),
        },
    )
