"""Off the stages: the plan for all models or one, and the writing, with its progress and a stop."""

import threading
from collections.abc import Sequence
from contextvars import copy_context

import streamlit as st

from core import formats
from core.errors import DeckError
from core.registry.desk import Desk
from core.registry.migration import Migration, Writing, migrate, plan_all, without_stages
from core.texts import t
from core.ui import parts
from core.ui.deck import deck, forget, read
from core.ui.markup import md, safe, visible
from core.ui.navigation import asked

MOST_ROWS = 1_000
_JOB = "migration:job"
_TURN = "migration:turn"
_LOOK_SECONDS = 0.5
_WORDS = 20
"""Versions that were not written and are named with their reasons."""


class Job:
    """The writing, in a thread of its own: it outlasts a rerun, and ends between two versions.

    Args:
        desk: whose decision it is.
        chosen: what was planned.
        of: how many versions that are, one or more.
    """

    def __init__(self, desk: Desk, chosen: Sequence[Migration], of: int) -> None:
        self.of, self.done, self.place = of, 0, ""
        self.errors: list[tuple[str, DeckError]] = []
        self.defect: BaseException | None = None
        self.stop = threading.Event()
        self._desk, self._chosen = desk, chosen
        context = copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._write,), daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether nothing more is written."""
        return not self._thread.is_alive()

    def _write(self) -> None:
        try:
            for at in migrate(self._desk, self._chosen, self.stop.is_set):
                self.done, self.place = at.done, f"{at.model} v{at.version}"
                if at.error is not None:
                    self.errors.append((self.place, at.error))
        except BaseException as error:  # noqa: BLE001 - raised where the page tells how it went
            self.defect = error


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


def working() -> bool:
    """Draw how far the writing came, or how the last one went; whether it goes on."""
    job: Job | None = st.session_state.get(_JOB)
    if job is None:
        return False
    if job.ended:
        _report(job)
        return False
    _watch(job)
    return True


def act(chosen: Sequence[Migration]) -> None:
    """The button that writes it, for those who may."""
    if not deck().actor.administrator:
        st.info(t("migration.not_allowed"), icon=":material/lock:")
    elif any(one.writings for one in chosen):
        _ask(chosen)


def _ask(chosen: Sequence[Migration]) -> None:
    here = deck()
    n = sum(len(one.writings) for one in chosen)
    models = sum(bool(one.writings) for one in chosen)
    named = chosen[0].model if len(chosen) == 1 else t("migration.models", n=models)
    turn = st.session_state.get(_TURN, 0)  # each question is a new one, and begins closed
    agreed = parts.confirm(
        t("migration.do", n=n), md("migration.sure", n=n, models=named, store=here.mlflow.address),
        t("migration.agree"), f"migration_do_{turn}", icon="edit_note",
    )  # fmt: skip
    if agreed:
        st.session_state[_TURN] = turn + 1
        st.session_state[_JOB] = Job(here.desk, chosen, n)
        st.rerun()


def _watch(job: Job) -> None:
    @parts.live(_LOOK_SECONDS)
    def look() -> None:
        if job.ended:
            forget()
            parts.again()
        with st.container(border=True):
            place = f" · {safe(job.place, 80)}" if job.place else ""
            st.progress(job.done / job.of, f"{job.done} / {job.of}{place}")
            st.button(
                t("migration.stop"), icon=":material/stop_circle:", key="migration_stop",
                on_click=job.stop.set, disabled=job.stop.is_set(),
            )  # fmt: skip

    look()


def _report(job: Job) -> None:
    if job.defect is not None:
        raise job.defect
    n = job.done - len(job.errors)
    st.success(t("migration.done", n=n), icon=":material/check_circle:")
    if job.errors:
        lines = [f"- {safe(name)}: {safe(error.what)}" for name, error in job.errors[:_WORDS]]
        if len(job.errors) > _WORDS:
            lines.append(f"- {t('migration.more', n=len(job.errors) - _WORDS)}")
        title = t("migration.failed", n=len(job.errors))
        st.warning("\n".join(lines), title=title, icon=":material/warning:")
