"""Saved views: listed, opened, saved, renamed, replaced and deleted."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from core.errors import Conflict, InvalidInput
from core.runs import views
from core.runs.asked import SORTABLE, RunQuery
from core.runs.views import Held, View
from core.texts import t
from core.ui import errors, parts, runs
from core.ui.deck import deck
from core.ui.experiments import table
from core.ui.markup import md, visible
from core.ui.navigation import asked, go

_OPENED, _TICKED = "_opened_view", "_opened_ticks"


def open_linked(ids: Sequence[str]) -> None:
    """Fill the fields from the view that the link names, once; what the link says itself wins.

    Raises:
        NotFound: there is no such view.
        InvalidInput: it is damaged.
    """
    view_id = asked("saved")
    if not view_id or st.session_state.get(_OPENED) == view_id:
        return
    view = views.load(deck().mlflow, ids[0], view_id)
    st.session_state[_OPENED] = view_id
    plain = fields(View("", view.experiment_ids))
    for key, value in fields(view).items():
        if key not in st.query_params and st.session_state.get(key, plain[key]) != value:
            st.session_state[key] = value
    table.tick(view.experiment_ids, view.run_ids)
    st.session_state[_TICKED] = frozenset(view.run_ids)
    if len(view.run_ids) <= table.MOST_IN_LINK:
        del st.query_params["saved"]  # all that it says stands in the link itself


def keep_link(picked: Sequence[str]) -> None:
    """The link names a view for the runs ticked in it, as long as these are ticked."""
    if asked("saved") and frozenset(picked) != st.session_state.get(_TICKED):
        del st.query_params["saved"]


def fields(view: View) -> dict[str, object]:
    """What the page's fields hold when ``view`` is open."""
    first = view.order[0] if view.order else RunQuery().order[0]
    named = first.column in SORTABLE
    return {
        "filter": view.filter,
        "columns": list(view.columns),
        "sort": t(f"experiments.order.{first.column}") if named else first.column,
        "order": t(f"experiments.order.{'down' if first.descending else 'up'}"),
        "view": t(f"experiments.runs_view.{view.view}"),
        "nesting": t(f"experiments.nesting.{view.nesting}"),
        "group": list(view.group),
        "group_way": t(f"experiments.group.{'but' if view.all_but else 'these'}"),
    }


def menu(now: RunQuery, *, automatic: bool) -> None:
    """The saved views of these experiments.

    Args:
        now: what is shown.
        automatic: whether its columns were chosen for the person.
    """
    kept = [e for e in runs.experiments() if e.id in now.experiment_ids]
    there = views.held(kept)
    _, picked = st.session_state.get("_ticked", (None, []))
    here = View(
        "",
        now.experiment_ids,
        now.filter,
        now.order,
        () if automatic else now.columns or (),
        now.view,
        now.nesting,
        tuple(st.session_state.get("group", [])),
        st.session_state.get("group_way") == t("experiments.group.but"),
        tuple(picked),
    )
    label = t("experiments.views.label_n", n=len(there)) if there else t("experiments.views.label")
    with st.popover(
        label, icon=":material/bookmarks:", key="views_open",
        on_change="rerun",
    ) as place:  # fmt: skip
        if not place.open:
            return
        _tell()
        if there:
            _open(there, here)
        else:
            st.caption(t("experiments.views.none"))
        _save(here)


def _open(there: Sequence[Held], here: View) -> None:
    by_id = {h.view.id: h for h in there}
    chosen = st.selectbox(
        t("experiments.views.which"),
        list(by_id),
        format_func=lambda i: visible(by_id[i].view.name),
        key="views_which",
    )
    one = by_id.get(chosen or "")
    if one is None:
        return
    said = [md("experiments.views.by", by=one.view.by, at=parts.when(one.view.at))]
    if one.runs:
        said.append(t("experiments.views.runs", n=one.runs))
    st.caption(" ".join(said))
    if one.view.filter:
        st.code(visible(one.view.filter), language=None, wrap_lines=True)
    with st.container(horizontal=True):
        if st.button(t("experiments.views.open"), type="primary", key="views_go",
                     icon=":material/visibility:"):  # fmt: skip
            st.session_state.pop(_OPENED, None)
            go("experiments", experiment=",".join(one.view.experiment_ids), saved=one.view.id)
        if one.runs and st.button(
            t("experiments.views.compare"), key="views_compare", icon=":material/compare_arrows:"
        ):
            go("compare", experiment=one.experiment_id, saved=one.view.id)
        # Each button carries the view as it was read when the person saw it.
        st.button(
            t("experiments.views.replace"),
            key="views_replace",
            icon=":material/save:",
            help=t("experiments.views.replace_help"),
            on_click=_do,
            args=("replaced", one, here, ""),
        )
        st.button(
            t("experiments.views.delete"),
            key="views_delete",
            icon=":material/delete:",
            on_click=_do,
            args=("deleted", one, here, ""),
        )
    with (
        st.form("views_rename", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        key = f"views_name_{one.view.id}"
        st.text_input(t("experiments.views.new_name"), value=one.view.name, key=key)
        st.form_submit_button(
            t("experiments.views.rename"), on_click=_do, args=("renamed", one, here, key)
        )


def _save(here: View) -> None:
    with (
        st.form("views_save", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.text_input(
            t("experiments.views.name"),
            key="views_new",
            placeholder=t("experiments.views.name_place"),
        )
        st.form_submit_button(
            t("experiments.views.save"),
            type="primary",
            key="views_save_do",
            on_click=_do,
            args=("saved", None, here, "views_new"),
        )
    n = len(here.run_ids)
    st.caption(t("experiments.views.holds", n=n) if n else t("experiments.views.holds_all"))
    if n > table.MOST_IN_LINK:
        st.caption(t("experiments.views.beyond", n=n, most=table.MOST_IN_LINK))


def _do(what: str, one: Held | None, here: View, key: str) -> None:
    """One thing done to a view as the person saw it; what is refused is told in the menu."""
    mlflow, actor = deck().mlflow, deck().actor.name
    name = str(st.session_state.get(key) or "") if key else ""
    try:
        match what, one:
            case "saved", _:
                views.save(mlflow, replace(here, name=name), actor)
            case "replaced", Held():
                new = replace(here, id=one.view.id, name=one.view.name,
                              experiment_ids=one.view.experiment_ids)  # fmt: skip
                views.save(mlflow, new, actor, one.raw)
            case "renamed", Held():
                views.rename(mlflow, one, name, actor)
            case "deleted", Held():
                views.delete(mlflow, one)
    except (InvalidInput, Conflict) as fault:
        st.session_state["_view_fault"] = fault
        return
    finally:
        runs.refresh([])
    parts.done(md(f"experiments.views.{what}", name=name or (one.view.name if one else "")))


def _tell() -> None:
    fault = st.session_state.pop("_view_fault", None)
    if fault is not None:
        errors.show(fault)
