"""The files of a run or of a model that it logged: folders, and a look at one file."""

from collections.abc import Callable
from pathlib import PurePosixPath

import pandas as pd
import streamlit as st

from core import formats
from core.errors import InvalidInput, NotFound
from core.mlflow_api.nouns import ArtifactFile, LoggedModel, Run
from core.runs import contents as files_of
from core.runs import preview
from core.runs.preview import Kind, Table
from core.texts import t
from core.ui import frame, parts, runs
from core.ui.deck import deck, keep, later, read
from core.ui.markup import plain, plain_frame, safe
from core.ui.navigation import asked

MB = 1_000_000


def draw(run: Run) -> None:
    """Folders and files of a run, and the file that the link names."""
    uri = _root(run)
    path = asked("path")
    files = _list(uri, path)
    if not files and not path:
        parts.empty(t("artifacts.none"), "folder_off")
        return
    _crumbs(path)
    left, right = st.columns([1, 2]) if asked("file") else (st.container(), None)
    with left:
        _folder(files, uri, path, narrow=right is not None)
    if right is not None:
        with right:
            _file(uri, path, asked("file"), ended=run.ended_at is not None)


def _root(run: Run) -> str:
    """Whose files: the run's, or those of a model that it logged."""
    if not run.logged_models:
        return run.artifact_uri
    names = {t("artifacts.of_run"): run.artifact_uri}
    for model_id in run.logged_models:
        model = logged_model(model_id)
        names[f"{t('artifacts.of_model', name=model.name)} · {model.id}"] = model.location
    chosen = st.selectbox(
        t("artifacts.root"),
        list(names),
        key="files",
        bind="query-params",
        width=420,
        on_change=_go_to,
        args=("",),
    )
    return names.get(chosen or "", run.artifact_uri)


def logged_model(model_id: str) -> LoggedModel:
    """A logged model by its id."""
    return read("logged_model", lambda: deck().mlflow.tracking.logged_model(model_id), model_id)


def _list(uri: str, path: str) -> list[ArtifactFile]:
    return read("artifacts", lambda: deck().mlflow.artifacts.list(uri, path), uri, path)


def walk(uri: str) -> files_of.Listing:
    """All files under an address, at any depth, up to a cap."""
    return read("walk", lambda: files_of.walk(lambda path: _list(uri, path)), uri)


def contents(uri: str, path: str, cap: int, *, ended: bool = True) -> bytes:
    """A file's bytes; those of a run that has ended do not change.

    Raises:
        TooLarge: it has more than ``cap`` bytes.
    """
    remember = keep if ended else read
    data: bytes = remember(
        "artifact", lambda: deck().mlflow.artifacts.read(uri, path, cap), uri, path
    )
    return data


def _go_to(path: str, file: str = "") -> None:
    for name, value in (("path", path), ("file", file)):
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def _crumbs(path: str) -> None:
    """The folders on the way here, each a button that leads back."""
    if not path:
        return
    steps = PurePosixPath(path).parts
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(
            t("artifacts.top"),
            icon=":material/folder:",
            type="tertiary",
            on_click=_go_to,
            args=("",),
            key="crumb_top",
        )
        for i, step in enumerate(steps):
            st.button(
                f"/ {safe(step, 40)}",
                type="tertiary",
                on_click=_go_to,
                args=("/".join(steps[: i + 1]),),
                key=f"crumb_{i}",
                disabled=i == len(steps) - 1,
            )


def _folder(files: list[ArtifactFile], uri: str, path: str, *, narrow: bool) -> None:
    if not files:
        parts.empty(t("artifacts.none_here"), "folder_open")
        return
    key = f"files_{runs.fingerprint([uri, path, *(f.path for f in files)])}"
    st.dataframe(
        plain_frame(
            pd.DataFrame(
                {
                    "open": [t("artifacts.open")] * len(files),
                    "name": [PurePosixPath(f.path).name + "/" * f.is_dir for f in files],
                    "size": [f.size for f in files],
                }
            )
        ),
        hide_index=True,
        placeholder="",
        alt=t("artifacts.alt"),
        key=key,
        width="content",
        column_config={
            "open": st.column_config.ButtonColumn("", type="tertiary", key=f"{key}_open", width=70),
            "name": st.column_config.TextColumn(
                t("artifacts.column.name"), width=130 if narrow else 320
            ),
            "size": st.column_config.NumberColumn(t("artifacts.column.size"), format="bytes"),
        },
    )
    st.caption(t("artifacts.files", n=len(files)))
    opened = runs.clicked(key, [f.path for f in files])
    if opened:
        folder = next(f.is_dir for f in files if f.path == opened)
        _go_to(opened if folder else path, "" if folder else PurePosixPath(opened).name)
        st.rerun()


def _file(uri: str, folder: str, name: str, *, ended: bool) -> None:
    """One file: its name, what can be shown of it, and its download."""
    path = str(PurePosixPath(folder) / name) if folder else name
    found = next((f for f in _list(uri, folder) if f.path == path and not f.is_dir), None)
    if found is None:
        raise NotFound(t("errors.file.missing", path=path))
    size = found.size or 0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{safe(name, 80)}**", width="content")
        st.caption(formats.size(found.size), width="content")
        _download(uri, path, size)
        st.button(
            t("artifacts.close"),
            icon=":material/close:",
            type="tertiary",
            on_click=_go_to,
            args=(folder,),
            key="file_close",
        )
    cap = deck().settings.artifact_preview_mb * MB
    kind = preview.kind_of(path)
    if kind is Kind.OTHER:
        key = "pdf" if path.lower().endswith(".pdf") else "no_preview"
        st.caption(t(f"artifacts.{key}", size=formats.size(size)))
    elif size > cap:
        st.caption(t("artifacts.preview_cap", cap=formats.size(cap), size=formats.size(size)))
    else:
        with st.spinner(t("artifacts.reading"), show_time=True):
            data = contents(uri, path, cap, ended=ended)
        try:
            _SHOW[kind](path, data)
        except InvalidInput as error:  # a damaged file is said where it would have been
            st.caption(f"{safe(error.what)} {safe(error.next_step)}")


def _download(uri: str, path: str, size: int) -> None:
    cap = deck().settings.artifact_download_mb * MB
    if size > cap:
        st.caption(t("artifacts.download_cap", cap=formats.size(cap), size=formats.size(size)))
        return

    st.download_button(
        t("artifacts.download"),
        later(lambda: deck().mlflow.artifacts.read(uri, path, cap)),
        file_name=PurePosixPath(path).name,
        mime="application/octet-stream",
        icon=":material/download:",
        type="tertiary",
        key=f"download_{runs.fingerprint([uri, path])}",
        on_click="ignore",
    )


def _image(path: str, data: bytes) -> None:
    st.image(preview.as_image(data), alt=t("artifacts.image_alt", name=PurePosixPath(path).name))


def _table(path: str, data: bytes) -> None:
    _draw_table(path, preview.as_table(path, data))


def _draw_table(path: str, table: Table) -> None:
    alt = t("artifacts.table_alt", name=PurePosixPath(path).name)
    st.dataframe(plain_frame(table.frame), hide_index=True, alt=alt)
    shown = len(table.frame)
    if not table.more:
        said = [t("artifacts.rows", n=shown)]
    elif table.rows is None:
        said = [t("artifacts.rows_more", n=shown)]
    else:
        said = [t("artifacts.rows_of", n=shown, of=table.rows)]
    if table.columns > preview.COLUMNS:
        said.append(t("artifacts.cut_columns", shown=preview.COLUMNS, n=table.columns))
    st.caption(" ".join(said))


def _json(path: str, data: bytes) -> None:
    try:
        value = preview.as_json(data)
    except InvalidInput:
        st.caption(t("artifacts.json_as_text"))
        _text(path, data)
        return
    table = preview.table_in_json(value)
    if table is not None:
        _draw_table(path, table)
    elif len(data) > preview.JSON or not isinstance(value, dict | list):
        st.caption(t("artifacts.json_as_text"))
        _text(path, data)
    else:
        st.json(plain(value), expanded=2)


def _text(path: str, data: bytes) -> None:
    if preview.is_binary(data):
        st.caption(t("artifacts.binary", size=formats.size(len(data))))
        return
    text, length = preview.as_text(data)
    if preview.language_of(path) in ("markdown", "xml"):
        st.caption(t("artifacts.text_only"))
    st.code(plain(text), language=preview.language_of(path), wrap_lines=True, height=560)
    if length > len(text):
        st.caption(t("artifacts.cut_text", shown=len(text), n=length))


def _html(path: str, data: bytes) -> None:
    """The page as it looks, in its frame, or its source."""
    looks = {t("artifacts.html.page"): True, t("artifacts.html.source"): False}
    chosen = st.segmented_control(
        t("artifacts.html.as"),
        list(looks),
        default=next(iter(looks)),
        required=True,
        key="html_as",
        label_visibility="collapsed",
    )
    text, length = preview.as_text(data, preview.HTML)
    if looks[chosen] and not preview.is_binary(data):
        frame.show(text, t("artifacts.html.alt", name=PurePosixPath(path).name))
        if length > len(text):
            st.caption(t("artifacts.cut_text", shown=len(text), n=length))
    else:
        _text(path, data)


def _audio(path: str, data: bytes) -> None:
    st.audio(data, format=preview.media_type_of(path))


def _video(path: str, data: bytes) -> None:
    st.video(data, format=preview.media_type_of(path))


_SHOW: dict[Kind, Callable[[str, bytes], None]] = {
    Kind.IMAGE: _image,
    Kind.TABLE: _table,
    Kind.JSON: _json,
    Kind.TEXT: _text,
    Kind.HTML: _html,
    Kind.AUDIO: _audio,
    Kind.VIDEO: _video,
}
