"""A filter that cannot be understood, and one that nothing matches: where, why, what was meant."""

from dataclasses import replace

import streamlit as st

from core.errors import InvalidInput
from core.runs.language import help_on, parse
from core.runs.language.scan import pieces
from core.runs.language.tree import Named
from core.runs.language.words import KINDS, nearest
from core.runs.query import Names, RunQuery
from core.texts import t
from core.ui import parts, runs
from core.ui.experiments import asking
from core.ui.markup import md, safe, visible

_BEFORE, _AFTER = 50, 50
"""Characters of a long filter that are shown around a fault."""


def show(text: str, fault: InvalidInput, known: Names) -> None:
    """The fault of a filter under its place in the text, and the name that was meant."""
    with st.container(border=True):
        st.markdown(f":material/error: **{safe(fault.what)}** {safe(fault.next_step)}")
        if fault.position is not None:
            st.code(pointed(text, fault.position), language=None)
        typed = _typed(text, fault.position)
        right = nearest(_bare(typed), known.by_column.values()) if typed else ""
        if right and right != typed and fault.position is not None:
            _offer(text, fault.position, typed, right)


def pointed(text: str, at: int) -> str:
    """The part of ``text`` around the offset ``at``, on one line, with a mark under the place."""
    line = "".join(" " if c.isspace() else c for c in visible(text))
    # What cannot be seen is left out of the line, and so of the distance to the mark.
    at = len(visible(text[:at]))
    start = max(0, at - _BEFORE)
    piece = line[start : at + _AFTER]
    first, last = "…" if start else "", "…" if at + _AFTER < len(line) else ""
    return f"{first}{piece}{last}\n{' ' * (at - start + len(first))}^"


def nothing(asked: RunQuery) -> None:
    """What is said where no run matches: whether there are any, and names that none of them has."""
    since = runs.held()
    everything = runs.names(replace(asked, filter=""))
    if runs.count(asked):  # they came while the page was drawn
        parts.again()
    if not asked.filter.strip():
        words = t("experiments.no_runs" if asked.view != "deleted" else "experiments.no_gone")
        runs.missing(words, since)
        return
    runs.missing(t("experiments.no_match", n=everything.runs), since, "search_off")
    known = everything.by_column
    asked_for = [o for o in parse(asked.filter, known.values()).operands() if isinstance(o, Named)]
    for named in dict.fromkeys(asked_for):
        column = f"{named.kind}.{named.name}"
        if named.kind not in KINDS or column in known:
            continue
        near = nearest(named.name, known.values(), (named.kind,)) or nearest(
            named.name, known.values()
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(md("experiments.no_name", typed=column), width="content")
            if near:
                typed = _typed(asked.filter, named.at) or column
                _offer(asked.filter, named.at, typed, near)


def _offer(text: str, at: int, typed: str, right: str) -> None:
    mended = text[:at] + right + text[at + len(typed) :]
    st.button(
        md("experiments.filter.use", right=right),
        key=f"use_{at}",
        icon=":material/auto_fix_high:",
        on_click=_set,
        args=(mended,),
    )


def _set(text: str) -> None:
    st.session_state["filter"] = text


def _typed(text: str, at: int | None) -> str:
    """What was typed at an offset, or ""."""
    try:
        found = [p for p in pieces(text) if p.at == at]
    except InvalidInput:
        return ""
    return found[0].text if found else ""


def _bare(typed: str) -> str:
    name = typed.partition(".")[2] or typed
    return name.strip("`\"'")


def syntax(known: Names) -> None:
    """The help beside the field: what can be asked, with the names that are really there."""
    with st.popover(t("experiments.filter.help"), icon=":material/help:", on_change="rerun",
                    key="filter_help") as place:  # fmt: skip
        if not place.open:
            return
        st.markdown(t("experiments.filter.syntax"))
        st.caption(md("experiments.filter.zone", zone=asking.zone()))
        for topic in help_on(known.by_column.values()):
            st.markdown(f"**{topic.title}**")
            lines = [f"{visible(e.text)}\n    {e.means}" for e in topic.examples]
            st.code("\n".join(lines), language=None, wrap_lines=True)
