"""What is done to the ticked runs, or to all that match: named, watched, stopped, taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.errors import InvalidInput
from core.ledger import now
from core.lifecycle.promotion import promoting
from core.runs import views
from core.runs.edits import KINDS, Action
from core.runs.query import RunQuery, RunTable
from core.runs.work import Progress, Work, changing, undoing
from core.texts import t
from core.ui import errors, parts, runs
from core.ui.deck import deck, mirror, read
from core.ui.experiments.table import MOST_IN_LINK, Made, renew
from core.ui.markup import md, plain_frame, visible
from core.ui.navigation import go
from core.ui.runs_list import few

PROMOTE = "promote"
LOOK_SECONDS = 0.5
MOST_KEPT = 10
"""Pieces of work whose undo is kept for a session."""
MOST_FAILURES = 1000
MOST_NAMED = 5
_JOBS, _FAULT = "_works", "_work_fault"


@dataclass
class Job:
    """A piece of work of this session."""

    kind: str
    """What is done: one of KINDS, ``promote`` or ``undo``."""
    work: Work
    names: Mapping[str, str]
    """Run id → name as the person saw it."""
    settled: bool = False
    """Whether the page was drawn anew after its end."""
    taken_back: bool = False

    @property
    def ended(self) -> bool:
        """Whether its work came to an end."""
        return self.work.progress.finished


def bar(made: Made, rows: RunTable, picked: Sequence[str], asked: RunQuery) -> None:
    """What can be done with the ticked runs, or where none is ticked with all that match."""
    n = len(picked) or rows.total
    if st.button(
        t("experiments.compare" if picked else "experiments.compare_all", n=n),
        type="primary",
        icon=":material/compare_arrows:",
        key="runs_compare",
        disabled=n < 2,
    ):
        compare(picked, asked)
    with st.popover(t("experiments.bulk.label"), icon=":material/edit_note:"):
        _form(made, rows, picked, asked)


def compare(picked: Sequence[str], asked: RunQuery) -> None:
    """Go to the Compare page with these runs, or with all that match."""
    if 0 < len(picked) <= MOST_IN_LINK:
        go("compare", runs=",".join(picked))
    if not picked and asked.view == "active" and asked.nesting != "top":
        go("compare", experiment=",".join(asked.experiment_ids), q=asked.filter)
    saved = shared(picked, asked)
    go("compare", experiment=saved.experiment_ids[0], saved=saved.id)


def shared(picked: Sequence[str], asked: RunQuery) -> views.View:
    """A view saved for a link: more runs than stand in one."""
    here = deck()
    made = views.View(
        name=t("experiments.views.automatic", n=len(picked) or runs.count(asked),
               at=parts.moment(now())),
        experiment_ids=asked.experiment_ids,
        filter=asked.filter,
        order=asked.order,
        view=asked.view,
        nesting=asked.nesting,
        run_ids=tuple(picked),
    )  # fmt: skip
    saved = views.save(here.mlflow, made, here.actor.name)
    runs.refresh([])
    return saved


def _form(made: Made, rows: RunTable, picked: Sequence[str], asked: RunQuery) -> None:
    # The ids are fixed here, while the person reads how many there are, and travel with the
    # button: whatever the table shows by then, these are the runs that are changed.
    everything = runs.ids(asked) if rows.more else made.ids
    ids: Sequence[str] = tuple(picked) or everything
    if picked:
        every = t("experiments.bulk.all", n=rows.total)
        scope = st.segmented_control(
            t("experiments.bulk.on"),
            [t("experiments.bulk.ticked", n=len(picked)), every],
            default=t("experiments.bulk.ticked", n=len(picked)),
            required=True,
            key=f"bulk_scope_{len(picked)}_{rows.total}",
        )
        if scope == every:
            ids = everything
    else:
        st.caption(t("experiments.bulk.no_ticks", n=len(ids)))
    kinds = {t(f"experiments.bulk.kind.{k}"): k for k in (*KINDS, PROMOTE)}
    kind = kinds[
        st.selectbox(t("experiments.bulk.what"), list(kinds), key="bulk_kind") or next(iter(kinds))
    ]
    fault: InvalidInput | None = st.session_state.pop(_FAULT, None)
    if fault is not None:
        errors.show(fault)
    with st.form("bulk", border=False):
        _fields(kind)
        named = few([made.names.get(i, i) for i in ids[:MOST_NAMED]])
        if len(ids) > MOST_NAMED:
            named = t("runs.and_more", names=named, n=len(ids) - MOST_NAMED)
        st.markdown(t("experiments.bulk.asks", n=len(ids), names=named))
        st.form_submit_button(
            t(f"experiments.bulk.do.{kind}", n=len(ids)),
            type="primary",
            key="bulk_do",
            disabled=not ids,
            on_click=_begin,
            args=(kind, ids, made.names),
        )


def _fields(kind: str) -> None:
    match kind:
        case "tag":
            st.text_input(t("experiments.bulk.key"), key="bulk_key")
            st.text_input(t("experiments.bulk.value"), key="bulk_text")
        case "untag":
            st.text_input(t("experiments.bulk.key"), key="bulk_key")
        case "rename":
            st.text_input(
                t("experiments.bulk.pattern"),
                value="{name}",
                key="bulk_pattern",
                help=t("experiments.bulk.pattern_help", name="{name}", n="{n}"),
            )
        case "note":
            st.text_area(t("experiments.bulk.note"), key="bulk_note", height=110)
        case "promote":
            known = [m.name for m in read("registered models", deck().mlflow.registry.models)]
            st.selectbox(
                t("experiments.bulk.model"),
                known,
                index=None,
                key="bulk_model",
                accept_new_options=True,
                placeholder=t("experiments.bulk.model_place"),
                format_func=visible,
            )
            st.caption(t("experiments.bulk.model_about"))


_TEXT_OF = {"rename": "bulk_pattern", "note": "bulk_note"}


def _begin(kind: str, ids: Sequence[str], names: Mapping[str, str]) -> None:
    """Start what the form says on the runs that it named."""
    state, here = st.session_state, deck()
    settle = mirror().reread
    try:
        if kind == PROMOTE:
            model = str(state.get("bulk_model") or "")
            work = promoting(here.desk, ids, model, settle)
        else:
            text = str(state.get(_TEXT_OF.get(kind, "bulk_text")) or "")
            action = Action(kind, str(state.get("bulk_key") or ""), text)  # type: ignore[arg-type]
            work = changing(here.mlflow, ids, action, settle)
    except InvalidInput as fault:
        state[_FAULT] = fault
        return
    _start(Job(kind, work, names))


def _start(job: Job) -> None:
    jobs: list[Job] = st.session_state.setdefault(_JOBS, [])
    jobs.insert(0, job)
    # Work that still runs stays in sight, with its stop.
    jobs[:] = [j for n, j in enumerate(jobs) if n < MOST_KEPT or not j.ended]
    job.work.start()


def _take_back(job: Job) -> None:
    job.taken_back = True
    work = undoing(deck().mlflow, job.work.edits, mirror().reread)
    _start(Job("undo", work, job.names))


def _drop(job: Job) -> None:
    st.session_state[_JOBS].remove(job)


def settle() -> None:
    """Let the page show what ended work has written; called before anything is drawn."""
    ended = [j for j in st.session_state.get(_JOBS, []) if j.ended and not j.settled]
    for job in ended:
        job.settled = True
    if ended:
        runs.refresh([])  # the mirror was told already
        renew()


def works() -> None:
    """What is being done and what was done in this session, the last one first."""
    jobs: list[Job] = st.session_state.get(_JOBS, [])
    running = [job for job in jobs if not job.settled]
    if running:
        _watch(running)
    for job in jobs:
        if job.settled:
            _report(job)


def _watch(running: Sequence[Job]) -> None:
    @parts.live(LOOK_SECONDS)
    def look() -> None:
        if any(job.ended for job in running):
            parts.again()
        for job in running:
            _running(job)

    look()


def _running(job: Job) -> None:
    at = job.work.progress
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.progress(
            at.tried / at.total if at.total else 1.0,
            t(f"experiments.bulk.doing.{job.kind}", n=at.total, done=at.tried),
        )
        st.button(
            t("experiments.bulk.stop"),
            icon=":material/stop_circle:",
            key=f"stop_{id(job)}",
            on_click=job.work.stop,
        )


def _report(job: Job) -> None:
    at = job.work.progress
    if job.work.defect is not None:
        raise job.work.defect
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_said(job, at), width="stretch")
            if job.work.edits and not job.taken_back and job.kind != "undo":
                st.button(
                    t("experiments.bulk.undo", n=len(job.work.edits)),
                    icon=":material/undo:",
                    key=f"undo_{id(job)}",
                    on_click=_take_back,
                    args=(job,),
                )
            st.button(
                t("experiments.bulk.dismiss"),
                icon=":material/close:",
                type="tertiary",
                key=f"drop_{id(job)}",
                on_click=_drop,
                args=(job,),
            )
        _listed(job)
        if job.work.unsettled:
            st.caption(md("experiments.bulk.unsettled", why=job.work.unsettled))


def _said(job: Job, at: Progress) -> str:
    said = [t(f"experiments.bulk.done.{job.kind}", n=at.changed)]
    if at.stopped:
        said.append(t("experiments.bulk.stopped", n=at.total - at.tried))
    same = at.tried - at.changed - at.failed
    if same:
        said.append(t("experiments.bulk.same", n=same))
    if at.failed:
        said.append(t("experiments.bulk.failed", n=at.failed))
    if job.taken_back:
        said.append(t("experiments.bulk.taken_back"))
    return " ".join(said)


def _listed(job: Job) -> None:
    """Each failure, and what came of the others where there is something to say."""
    failures = job.work.failures
    for title, lines in (
        (t("experiments.bulk.failures", n=len(failures)), [(f.run_id, f.why) for f in failures]),
        (t("experiments.bulk.results", n=len(job.work.said)), list(job.work.said)),
    ):
        if not lines:
            continue
        with st.expander(title, expanded=len(lines) <= 5):
            shown = lines[:MOST_FAILURES]
            made = {
                t("runs.column.name"): [job.names.get(i, "") for i, _ in shown],
                t("experiments.column.id"): [i for i, _ in shown],
                t("experiments.bulk.outcome"): [why for _, why in shown],
            }
            st.dataframe(
                plain_frame(pd.DataFrame(made)), hide_index=True, alt=title,
                height=min(280, 38 + 35 * len(shown)),
            )  # fmt: skip
            if len(shown) < len(lines):
                st.caption(t("experiments.bulk.some", shown=len(shown), n=len(lines)))
