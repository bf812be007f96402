"""Off the stages: the plan for all models or one, and the writing, with its progress and a stop."""

from collections.abc import Sequence

import streamlit as st

from core import formats
from core.errors import DeckError
from core.registry.migration import Migration, Writing, migrate, plan_all, without_stages
from core.texts import t
from core.ui import parts
from core.ui.deck import deck, forget, read
from core.ui.markup import md, safe, visible
from core.ui.navigation import asked

MOST_ROWS = 1_000
_ERRORS = "migration:errors"
_WORDS = 20
"""Versions that were not written and are named with their reasons."""


def plans() -> list[Migration]:
    """What is to be done for each model that has anything to do with stages; remembered briefly."""
    here = deck()
    ladder, registry = here.rules.ladder, here.mlflow.registry
    with st.spinner(t("migration.reading"), show_time=True):
        found = read(
            "migration", lambda: plan_all(registry.all_versions(), ladder), here.rules.digest
        )
    return [one for one in found if one.staged or one.left]


def about() -> None:
    """What is done here, and what comes after it."""
    bare = without_stages(deck().rules.ladder)
    st.markdown(t("migration.about_clear" if bare else "migration.about_write"))
    with st.expander(t("migration.steps_title"), icon=":material/format_list_numbered:"):
        st.markdown(t("migration.steps"))


def choose(found: Sequence[Migration]) -> list[Migration]:
    """All of them, or the one that is chosen, kept in the address."""
    names = [one.model for one in found]
    every = t("migration.every", n=len(names))
    key = "migration_model"
    st.session_state.setdefault(key, asked("model") if asked("model") in names else "")
    if st.session_state[key] not in names:
        st.session_state[key] = ""
    chosen = st.selectbox(
        t("migration.model"), ["", *names], key=key, width=420,
        format_func=lambda name: visible(name) if name else every,
        on_change=lambda: st.query_params.update(model=st.session_state[key]),
    )  # fmt: skip
    return [one for one in found if chosen in ("", one.model)]


def tables(chosen: Sequence[Migration]) -> None:
    """What is written, and what is left for a person to decide."""
    writings = [(one.model, writing) for one in chosen for writing in one.writings]
    left = [(one.model, reason) for one in chosen for reason in one.left]
    st.subheader(t("migration.written_title", n=len(writings)), anchor=False)
    if writings:
        _table("written", [_row(model, w) for model, w in writings[:MOST_ROWS]], len(writings))
    else:
        st.caption(t("migration.nothing_to_write"))
    if left:
        st.subheader(t("migration.left_title", n=len(left)), anchor=False)
        st.caption(t("migration.left_about"))
        rows = [
            {"model": visible(model), "version": one.version, "why": visible(one.sentence)}
            for model, one in left[:MOST_ROWS]
        ]
        _table("left", rows, len(left))


def _row(model: str, writing: Writing) -> dict[str, object]:
    return {
        "model": visible(model),
        "version": writing.version,
        "rung": visible(writing.rung),
        "steps": visible("; ".join(step.sentence for step in writing.steps)),
    }


def _table(key: str, rows: list[dict[str, object]], of: int) -> None:
    names = list(rows[0])
    st.dataframe(
        rows, hide_index=True, key=f"migration_{key}", alt=t(f"migration.{key}_alt"),
        column_config={
            name: st.column_config.NumberColumn(t("migration.column.version"), format="v%d")
            if name == "version"
            else st.column_config.TextColumn(
                t(f"migration.column.{name}"), width="large" if name in ("steps", "why") else None
            )
            for name in names
        },
    )  # fmt: skip
    if of > len(rows):
        shown, every = formats.count(len(rows)), formats.count(of)
        st.caption(t("migration.shown", shown=shown, n=every))


def act(chosen: Sequence[Migration]) -> None:
    """The button that writes it, and how the last writing went."""
    _tell()
    here = deck()
    n = sum(len(one.writings) for one in chosen)
    if not here.actor.administrator:
        st.info(t("migration.not_allowed"), icon=":material/lock:")
        return
    if not n:
        return
    models = sum(bool(one.writings) for one in chosen)
    named = chosen[0].model if len(chosen) == 1 else t("migration.models", n=models)
    agreed = parts.confirm(
        t("migration.do", n=n), md("migration.sure", n=n, models=named, store=here.mlflow.address),
        t("migration.agree"), "migration_do", icon="edit_note",
    )  # fmt: skip
    if agreed:
        _write(chosen)


def _write(chosen: Sequence[Migration]) -> None:
    """Write, until done or stopped: the button's rerun ends this one between two versions."""
    errors: list[tuple[str, DeckError]] = []
    st.session_state[_ERRORS] = errors
    with st.container(border=True):
        bar = st.progress(0.0, t("migration.begins"))
        st.button(t("migration.stop"), icon=":material/stop_circle:", key="migration_stop")
    done = 0
    try:
        for at in migrate(deck().desk, chosen):
            done = at.done
            if at.error is not None:
                errors.append((f"{at.model} v{at.version}", at.error))
            place = safe(f"{at.model} v{at.version}", 80)
            bar.progress(at.done / at.of, f"{at.done} / {at.of} · {place}")
    finally:
        forget()
    parts.done(t("migration.done", n=done - len(errors)))
    st.rerun()


def _tell() -> None:
    errors: list[tuple[str, DeckError]] = st.session_state.get(_ERRORS, [])
    if errors:
        lines = [f"- {safe(name)}: {safe(error.what)}" for name, error in errors[:_WORDS]]
        if len(errors) > _WORDS:
            lines.append(f"- {t('migration.more', n=len(errors) - _WORDS)}")
        st.warning(
            "\n".join(lines),
            title=t("migration.failed", n=len(errors)),
            icon=":material/warning:",
        )
