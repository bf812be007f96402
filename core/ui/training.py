"""Parts of the training page: the typed form, the list of jobs, one job with its log."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from core import formats
from core.errors import InvalidInput
from core.ledger import now
from core.ledger import processes as ledger_processes
from core.lifecycle.launch import data_roots, keep_upload, may_stop, stop_job, uploads
from core.processes import tail
from core.texts import t
from core.training import data, jobs
from core.training.jobs import Job
from core.training.projects import AUTO, Param, Project, check, counts
from core.ui import errors
from core.ui.deck import deck, read
from core.ui.markup import md, plain, safe
from core.ui.navigation import link
from core.ui.parts import badge, confirm, moment, state_name, table_of_links, when

_LOG_BYTES = 64_000
PREFIX = "train_"
"""Widget keys of the form are this and the param's name."""
FROM_LINK = "p."
"""A link fills in the form: this and a param's name, with its value."""


def form(project: Project) -> dict[str, str]:
    """Draw the params that count, and return what is typed so far, as text by param."""
    typed = {
        p.name: str(st.session_state.get(PREFIX + p.name, p.default or "") or "")
        for p in project.params
    }
    drawn = counts(project, typed)
    always = [p for p in drawn if not p.only_for]
    special = [p for p in drawn if p.only_for]
    values: dict[str, str] = {}
    with st.grid(3):
        for param in always:
            values[param.name] = _widget(param, typed)
    if special:
        st.markdown(f"**{t('training.page.hyper')}**")
        with st.grid(3):
            for param in special:
                values[param.name] = _widget(param, typed)
    return values


def upload() -> None:
    """Take a file from the browser, keep it, and choose it as the data."""
    with st.popover(t("training.page.upload"), icon=":material/upload_file:"):
        file = st.file_uploader(
            t("training.page.upload_label"), type=list(data.ENDINGS), key="train_upload"
        )
        if file is not None and st.session_state.get("train_uploaded") != file.file_id:
            path = keep_upload(deck(), file.name, file.getvalue())
            st.session_state["train_uploaded"] = file.file_id
            st.session_state["train_kept"] = (file.name, str(path))
            st.session_state["train_next_data"] = str(path)
            st.rerun()
        if file is not None and "train_kept" in st.session_state:
            name, kept = st.session_state["train_kept"]
            st.caption(md("training.page.upload_done", name=name, path=Path(kept).name))


def where(project: Project) -> tuple[str, str, bool]:
    """Fields for the experiment and the run's name, and the start; drawn also without MLflow."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        experiments = st.empty()
        title = st.text_input(
            t("training.page.run_name"),
            key="train_run_name",
            help=t("training.page.run_name_help"),
            persist_state="session",
        )
        pressed = st.button(t("training.page.start"), type="primary", icon=":material/play_arrow:")
    if pressed:
        st.session_state.pop("train_filled", None)
    known: list[str] = []
    with errors.part():
        known = [e.name for e in read("experiments", deck().mlflow.tracking.experiments)]
    typed = st.session_state.get("train_experiment")
    experiment = experiments.selectbox(
        t("training.page.experiment"),
        list(dict.fromkeys([project.name, *known, *([typed] if typed else [])])),
        key="train_experiment",
        accept_new_options=True,
        help=t("training.page.experiment_help"),
        persist_state="session",
    )
    return experiment or "", title, pressed


def prefill(project: Project) -> None:
    """Put what was asked for (an upload, a job to repeat, a link) into the form before it is drawn.

    What a link cannot fill in is said, and stays as it was.
    """
    if "train_next_data" in st.session_state:
        st.session_state[PREFIX + "data"] = st.session_state.pop("train_next_data")
        st.session_state.pop(PREFIX + "target", None)
    for name, value in st.session_state.pop("train_again", {}).items():
        param = project.param(name)
        st.session_state[PREFIX + name] = _typed(param, value)
    linked = {k: v for k, v in st.query_params.items() if k.startswith(FROM_LINK)}
    if linked:
        given = {name.removeprefix(FROM_LINK): value for name, value in linked.items()}
        taken, refused = usable(project, given, data_roots(deck()))
        for name, value in taken.items():
            st.session_state[PREFIX + name] = _typed(project.param(name), value)
        st.session_state["train_filled"] = (list(taken), refused)
        for name in linked:  # so that what is typed next is not overwritten
            del st.query_params[name]
    if "train_filled" in st.session_state:
        _say_filled(project, *st.session_state["train_filled"])


def usable(
    project: Project, given: Mapping[str, str], roots: Sequence[Path]
) -> tuple[dict[str, str], dict[str, str]]:
    """What of some values by param the project takes, and what it refuses."""
    known = {param.name for param in project.params}
    counting = {p.name for p in counts(project, {n: v for n, v in given.items() if n in known})}
    taken = {name: value for name, value in given.items() if name in counting}
    refused = {name: value for name, value in given.items() if name not in taken}
    while True:
        try:
            check(project, taken, roots)
        except InvalidInput as error:
            if error.field not in taken:
                raise
            refused[error.field] = taken.pop(error.field)
        else:
            return taken, refused


def _say_filled(project: Project, taken: list[str], refused: Mapping[str, str]) -> None:
    labels = [project.param(name).label for name in taken]
    said = [t("training.page.filled", n=len(taken), names=", ".join(labels))] if taken else []
    if refused:
        values = ", ".join(f"{name} = {formats.shorten(v)}" for name, v in refused.items())
        said.append(t("training.page.not_filled", values=values))
    st.caption(f":material/auto_fix_high: {safe(' '.join(said))}")


def job_list(found: list[Job]) -> None:
    """Draw the jobs as a table; a click on one puts it into the address."""
    table_of_links(
        "job",
        {
            job.id: {
                "state": state_name(job.state),
                "title": job.title,
                "project": job.project,
                "requested": when(job.requested_at),
                "by": job.requested_by,
                "duration": _duration(job),
            }
            for job in found
        },
        {
            name: t(f"training.column.{name}")
            for name in ("state", "title", "project", "requested", "by", "duration")
        },
        t("training.page.alt"),
    )


def job_detail(job: Job) -> None:
    """Draw one job: its state, progress, log, and what can be done with it."""
    here = deck()
    with st.container(horizontal=True, vertical_alignment="center"):
        badge(job.state)
        st.markdown(f"**{safe(job.title, 80)}**")
        st.caption(
            md("training.page.requested", person=job.requested_by, when=when(job.requested_at))
            + " · "
            + safe(moment(job.requested_at))
            + (f" · {_duration(job)}" if job.started_at else "")
        )
    if job.message:
        st.warning(safe(job.message), icon=":material/info:")
    process = ledger_processes.get(here.ledger, job.process_id) if job.process_id else None
    log = tail(process.log, _LOG_BYTES) if process else ""
    progress = jobs.progress(log)
    if progress and job.open:
        st.progress(
            min(1.0, progress.done / max(1, progress.total)),
            text=f"{progress.done} / {progress.total} · {safe(progress.text, 100)}",
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.run_id:
            link("run", t("training.page.open_run"), icon=":material/play_circle:", run=job.run_id)
        if job.params.get("register_as") and job.state == jobs.FINISHED and not job.message:
            name = job.params["register_as"]
            link("model", md("training.page.open_model", name=name),
                 icon=":material/deployed_code:", model=name)  # fmt: skip
        if job.params and st.button(
            t("training.page.again"), icon=":material/replay:", key=f"train_again_{job.id}"
        ):
            st.session_state["train_again"] = dict(job.params)
            st.query_params.pop("job", None)
            st.rerun()
        if job.open and confirm(
            t("training.page.stop"), md("training.page.stop_question", title=job.title),
            t("training.page.stop_action"), key=f"train_stop_{job.id}", icon="stop_circle",
            disabled=job.stop_requested_at is not None or not may_stop(here, job.requested_by),
        ):  # fmt: skip
            stop_job(here, job.id)
            st.rerun(scope="fragment")
    _log(job, process, log)


def _log(job: Job, process: ledger_processes.Process | None, log: str) -> None:
    if process is None:
        st.caption(t("training.page.waits") if job.open else t("training.page.log_none"))
    elif not log and process.node != deck().settings.node:
        st.caption(md("training.page.log_elsewhere", node=process.node))
    else:
        st.code(
            plain(log) or t("training.page.log_none"), language=None, height=320, wrap_lines=True
        )
        if len(log) >= _LOG_BYTES * 0.9:
            st.caption(md("training.page.log_cut", size=formats.size(_LOG_BYTES)))


def _duration(job: Job) -> str:
    if job.started_at is None:
        return formats.NONE
    return formats.duration((job.ended_at or now()) - job.started_at)


def _widget(param: Param, typed: dict[str, str]) -> str:
    key, label, about = PREFIX + param.name, safe(param.label), safe(param.help) or None
    if param.kind in ("int", "float"):
        return _number(param, key, label, about)
    if param.kind == "choice":
        options = ([AUTO] if param.auto and AUTO not in param.choices else []) + list(param.choices)
        st.session_state.setdefault(key, param.default)
        return str(
            st.selectbox(
                label,
                options,
                key=key,
                help=about,
                persist_state="session",
                format_func=lambda v: param.choices.get(v, t("training.page.auto")),
            )
        )
    if param.kind == "data" or param.name == "target":
        options = _offers(param, typed)
        if key not in st.session_state:
            st.session_state[key] = param.default if param.default in options else options[-1]
        current = st.session_state[key]
        if current and current not in options:
            options = [current, *options]
        chosen = st.selectbox(
            label, options, key=key, help=about, persist_state="session",
            accept_new_options=True, format_func=lambda v: param.choices.get(v, v),
        )  # fmt: skip
        return str(chosen or "")
    st.session_state.setdefault(key, param.default or "")
    return st.text_input(label, key=key, help=about, persist_state="session")


def _offers(param: Param, typed: dict[str, str]) -> list[str]:
    """What the list of a data or target field offers."""
    if param.kind == "data":
        return list(param.choices) + [str(f) for f in data.files(uploads(deck()))]
    chosen = typed.get("data", "")
    if not chosen.startswith("/"):
        return ["target"]
    path = Path(chosen).resolve()
    if not any(root.resolve() in path.parents for root in data_roots(deck())):
        return [""]  # the start of the job says why such a file is not read
    return data.columns(path) or [""]


def _number(param: Param, key: str, label: str, about: str | None) -> str:
    whole = param.kind == "int"
    if key not in st.session_state:
        st.session_state[key] = _typed(param, param.default or "")
    low, high, step = (
        None if v is None else (int(v) if whole else float(v))
        for v in (param.min, param.max, param.step)
    )
    value: float | None = st.number_input(
        label, min_value=low, max_value=high, step=step or (1 if whole else None), key=key,
        help=about, placeholder=t("training.page.auto") if param.auto else None,
        format=None if whole else "%g", persist_state="session",
    )  # fmt: skip
    if value is None:
        return AUTO if param.auto else ""
    return str(int(value)) if whole else repr(float(value))


def _typed(param: Param, value: str) -> object:
    """A param's text as the value of its widget."""
    if param.kind not in ("int", "float"):
        return value
    try:
        return int(float(value)) if param.kind == "int" else float(value)
    except ValueError:
        return None
