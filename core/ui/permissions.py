"""Parts of the page of permissions."""

import streamlit as st

from core import formats
from core.lifecycle import permissions
from core.lifecycle.deck import Deck
from core.lifecycle.permissions import Row
from core.mlflow_api.holders import Holder, Source
from core.people import Permission
from core.texts import t
from core.ui.deck import deck, read
from core.ui.markup import md, safe, visible
from core.ui.navigation import asked, link
from core.ui.parts import empty, table_of_links


def without_accounts(here: Deck) -> None:
    """What holds where MLflow has no accounts of its own that Modeldeck signs in with."""
    kind = "database" if here.mlflow.gateway.is_database else "server"
    st.warning(
        md(f"permissions.open.{kind}", address=here.mlflow.address),
        icon=":material/lock_open:",
    )
    st.markdown(t("permissions.open.found"))
    st.markdown(t(f"permissions.open.{kind}_next"))
    if here.settings.identity == "local":
        st.markdown(t("permissions.open.local"))
    else:
        _rules(here)


def _rules(here: Deck) -> None:
    """What the desk's file gives people whom a provider vouches for."""
    st.subheader(t("permissions.rules.title"), anchor=False)
    st.caption(t("permissions.rules.about"))
    found = permissions.lines(here.rules, here.actor)
    if not found:
        key = "none_yours" if here.rules.permissions else "none"
        empty(t(f"permissions.rules.{key}"), "rule")
        return
    st.dataframe(
        [
            {"who": visible(who), "models": visible(pattern), "level": level}
            for who, pattern, level in found
        ],
        column_config={c: t(f"permissions.column.{c}") for c in ("who", "models", "level")},
        hide_index=True,
        alt=t("permissions.rules.title"),
    )


def own_rights() -> None:
    """What whoever is here may do, model by model."""
    st.caption(t("permissions.own.about"))
    with st.spinner(t("permissions.reading"), show_time=True):
        found = read("own rights", lambda: permissions.own(deck()))
    if not found:
        empty(t("permissions.own.none"), "key")
        return
    st.dataframe(
        [
            {"model": visible(model), "level": h.level.name, "how": _how(h)}
            for model, h in sorted(found, key=lambda one: (-one[1].level, one[0]))
        ],
        column_config={c: t(f"permissions.column.{c}") for c in ("model", "level", "how")},
        hide_index=True,
        alt=t("permissions.own.title"),
    )


def everybody() -> None:
    """Every registered model with how many could change it without Modeldeck, and one opened."""
    with st.spinner(t("permissions.reading"), show_time=True):
        found = read("permissions", lambda: permissions.overview(deck()))
    if found.default >= Permission.EDIT:
        st.error(
            t("permissions.default.high", level=found.default.name), icon=":material/lock_open:"
        )
    else:
        st.caption(t("permissions.default.low", level=found.default.name))
    if not found.rows:
        empty(t("permissions.none"), "deployed_code")
        return
    free = sum(bool(row.granted) for row in found.rows)
    st.markdown(
        t("permissions.count", n=free, of=formats.count(len(found.rows)),
          accounts=formats.count(found.accounts))
    )  # fmt: skip
    table_of_links("model", {row.model: _counts(row) for row in found.rows}, _headers(), _alt())
    chosen = next((row for row in found.rows if row.model == asked("model")), None)
    if asked("model") and chosen is None:
        st.warning(md("permissions.gone", model=asked("model")), icon=":material/info:")
    if chosen is None:
        st.caption(t("permissions.choose"))
    else:
        _one(chosen)


def _counts(row: Row) -> dict[str, str]:
    by = {source: [h for h in row.others if h.source == source] for source in Source}
    return {
        "model": row.model,
        "others": formats.count(len(row.others)),
        "granted": formats.count(len(by[Source.GRANT] + by[Source.ROLE])),
        "default": formats.count(len(by[Source.DEFAULT])),
        "administrators": formats.count(len(by[Source.ADMINISTRATOR] + by[Source.WORKSPACE])),
    }


def _headers() -> dict[str, str]:
    names = ("model", "others", "granted", "default", "administrators")
    return {name: t(f"permissions.column.{name}") for name in names}


def _alt() -> str:
    return t("permissions.alt")


def _one(row: Row) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(safe(row.model, 80), anchor=False, width="stretch")
        link("model", t("permissions.open_model"), icon=":material/deployed_code:", model=row.model)
    st.dataframe(
        [
            {
                "account": visible(h.account),
                "level": h.level.name,
                "how": _how(h),
                "round": t("permissions.round.no" if h.account == row.service else
                           "permissions.round.yes"),
            }
            for h in row.holders
        ],
        column_config={
            c: t(f"permissions.column.{c}") for c in ("account", "level", "how", "round")
        },
        hide_index=True,
        alt=md("permissions.alt_one", model=row.model),
    )  # fmt: skip
    script = permissions.closing(row, deck().mlflow.address)
    if not script:
        st.success(t("permissions.closed"), icon=":material/lock:")
        return
    st.markdown(t("permissions.close.title"))
    st.code(script, language="python", wrap_lines=True)
    st.caption(t("permissions.close.about"))
    if any(h.source is Source.DEFAULT for h in row.others):
        st.markdown(t("permissions.close.default"))
        st.code("default_permission = READ", language="ini")


def _how(holder: Holder) -> str:
    """How somebody came by a level, as plain text."""
    every = "_every" if holder.pattern == "*" else ""
    if holder.kind.endswith("_version"):
        every = "_versions"
    return visible(t(f"permissions.how.{holder.source}{every}", role=holder.role))
