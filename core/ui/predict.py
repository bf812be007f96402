"""Parts of the page Predict: choosing an endpoint, three ways to ask, the answer."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import streamlit as st

from core import exports, formats
from core.lifecycle.launch import ask_endpoint
from core.mlflow_api.nouns import ModelInfo
from core.serving import predict
from core.serving.bodies import body_from_json, body_from_rows, example_rows
from core.serving.client import predictions_table
from core.serving.csv_rows import rows_from_csv
from core.serving.endpoints import Endpoint
from core.serving.payloads import Field, form_fields, param_fields, row_from_form
from core.serving.predict import Prediction
from core.texts import t
from core.ui import sight
from core.ui.deck import deck, keep, later
from core.ui.markup import md, safe
from core.ui.navigation import asked, link
from core.ui.parts import empty

_JSON_BYTES = 20_000_000
_MOST_SHOWN = 1000


def choose_endpoint() -> Endpoint | None:
    """The endpoint to ask; None where none serves."""
    serving = [e for e in sight.endpoints() if e.address and e.open]
    if not serving:
        empty(t("predict.none"), "cell_tower")
        link("endpoints", t("predict.to_endpoints"), icon=":material/cell_tower:")
        return None
    by_id = {e.id: e for e in serving}
    if asked("ask") in by_id:
        st.session_state.setdefault("predict_endpoint", asked("ask"))
    elif asked("ask"):
        st.warning(t("predict.gone"), icon=":material/info:")
    if st.session_state.get("predict_endpoint") not in by_id:
        st.session_state.pop("predict_endpoint", None)
    chosen = st.selectbox(
        t("predict.endpoint"), list(by_id), key="predict_endpoint",
        format_func=lambda i: f"{by_id[i].name} · {t('states.' + by_id[i].state)} · {i[:6]}",
    )  # fmt: skip
    st.query_params["ask"] = chosen
    return by_id[chosen]


def model_info(endpoint: Endpoint) -> ModelInfo:
    """What the served version's metadata says; it never changes, so it is kept."""
    mlflow = deck().mlflow

    def look() -> ModelInfo:
        version = mlflow.registry.version(endpoint.model, endpoint.version)
        return mlflow.artifacts.model_info(mlflow.artifacts.model_uri(version))

    # The source belongs to the key: a model may be deleted and made anew under the same name.
    return keep("model_info", look, endpoint.model, endpoint.version, endpoint.source)


def by_form(endpoint: Endpoint, info: ModelInfo) -> None:
    """One row, typed into a form that the signature makes and the example prefills."""
    fields = form_fields(info.signature, info.example)
    params = param_fields(info.signature, info.example)
    with st.form(f"predict_form_{endpoint.id}"):
        with st.grid(3, min_column_width=190):
            values = {f.name: _widget(f, f"p_{endpoint.id}_{f.name}") for f in fields if f.name}
        whole = next((f for f in fields if not f.name), None)
        text = (
            st.text_area(t("predict.body"), value=str(whole.default or ""), height=220,
                         key=f"p_{endpoint.id}_body")
            if whole else ""
        )  # fmt: skip
        if params:
            st.markdown(f"**{t('predict.params')}**")
            with st.grid(3, min_column_width=190):
                given = {f.name: _widget(f, f"q_{endpoint.id}_{f.name}") for f in params}
        pressed = st.form_submit_button(t("predict.ask"), type="primary", icon=":material/send:")
    if not pressed:
        return
    _forget_answer()
    if whole:
        _ask_body(endpoint, info, text)
        return
    row = row_from_form(fields, values)
    asked_with = row_from_form(params, given) if params else {}
    body, rows = predict.from_rows(info.signature, [row], asked_with)
    _ask(endpoint, body, rows)


def by_json(endpoint: Endpoint, info: ModelInfo) -> None:
    """A whole body as MLflow's scoring protocol has it."""
    rows = example_rows(info.example, info.signature)
    start = body_from_rows(info.signature, rows) if rows else {"dataframe_records": [{}]}
    with st.form(f"predict_json_{endpoint.id}"):
        text = st.text_area(
            t("predict.body"), value=json.dumps(start, indent=2), height=320,
            key=f"j_{endpoint.id}", help=t("predict.body_help"),
        )  # fmt: skip
        if st.form_submit_button(t("predict.ask"), type="primary", icon=":material/send:"):
            _forget_answer()
            _ask_body(endpoint, info, text)


def by_csv(endpoint: Endpoint, info: ModelInfo) -> None:
    """A CSV file with a header line, one row a prediction."""
    settings = deck().settings
    st.caption(
        md("predict.csv_help", rows=formats.count(settings.predict_rows), mb=settings.upload_mb)
    )
    if info.signature and info.signature.inputs:
        st.caption(
            md("predict.csv_columns", names=", ".join(c.name or "" for c in info.signature.inputs))
        )
    file = st.file_uploader(t("predict.csv"), type=["csv"], key=f"c_{endpoint.id}")
    if st.button(t("predict.ask"), type="primary", icon=":material/send:", disabled=file is None):
        _forget_answer()
        rows = rows_from_csv(
            file.getvalue() if file else b"", info.signature,
            max_rows=settings.predict_rows, max_bytes=settings.upload_mb * 1_000_000,
        )  # fmt: skip
        body, sent = predict.from_rows(info.signature, rows, {})
        _ask(endpoint, body, sent)


def answer(endpoint: Endpoint) -> None:
    """The last answer of this endpoint, with what was asked beside it."""
    kept: tuple[str, Prediction] | None = st.session_state.get("prediction")
    if kept is None or kept[0] != endpoint.id:
        st.caption(t("predict.no_answer"))
        return
    found = kept[1]
    names, rows = predictions_table(found.answer.predictions)
    with st.container(horizontal=True):
        if len(rows) == 1 and len(names) == 1:
            st.metric(safe(names[0]), safe(_shown(rows[0][names[0]])), border=True)
        st.metric(t("predict.latency"), formats.duration(found.answer.seconds), border=True)
        st.metric(t("predict.rows"), formats.count(len(rows)), border=True)
    st.caption(md("predict.answered_by", name=found.name))
    joined = _joined(names, rows, found.rows)
    columns = list(dict.fromkeys(name for row in joined[:1] for name in row))
    st.dataframe(joined[:_MOST_SHOWN], hide_index=True, alt=t("predict.table"))
    if len(joined) > _MOST_SHOWN:
        st.caption(t("predict.cut", shown=formats.count(_MOST_SHOWN), n=len(joined)))
    st.download_button(
        t("predict.download"), later(lambda: exports.csv_bytes(columns, joined)), "predictions.csv",
        "text/csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def _forget_answer() -> None:
    # Should the input be refused, an older answer must not stand beside it as if it were its own.
    st.session_state.pop("prediction", None)


def _ask_body(endpoint: Endpoint, info: ModelInfo, text: str) -> None:
    typed = body_from_json(text, max_bytes=_JSON_BYTES)
    if typed.note:
        st.caption(safe(typed.note))
    _ask(endpoint, predict.from_body(info.signature, typed.content), [])


def _ask(endpoint: Endpoint, body: dict[str, object], rows: list[dict[str, object]]) -> None:
    with st.spinner(md("predict.asking", name=endpoint.name), show_time=True):
        found = ask_endpoint(deck(), endpoint.id, body, rows)
    st.session_state["prediction"] = (endpoint.id, found)


def _joined(
    names: list[str], rows: list[dict[str, object]], sent: Iterable[Any]
) -> list[dict[str, object]]:
    """Predictions first, then the row that each belongs to, where their numbers agree."""
    asked_rows = list(sent)
    if len(asked_rows) != len(rows):
        return rows
    return [
        {**row, **{k: v for k, v in asked_row.items() if k not in names}}
        for row, asked_row in zip(rows, asked_rows, strict=True)
    ]


def _shown(value: object) -> str:
    return formats.number(value) if isinstance(value, int | float | str) else str(value)


def _widget(field: Field, key: str) -> object:
    """The widget of one field. Outside text: the name and the default."""
    label, about = safe(field.name, 60) + (" \\*" if field.required else ""), safe(field.help)
    start: Any = field.default
    if field.kind == "integer":
        return st.number_input(label, min_value=field.minimum, max_value=field.maximum, step=1,
                               value=start, key=key, help=about)  # fmt: skip
    if field.kind == "number":
        return st.number_input(label, value=start, key=key, help=about, step=None,
                               format="%g")  # fmt: skip
    if field.kind == "boolean":
        index = None if start is None else [True, False].index(start)
        return st.selectbox(label, [True, False], key=key, help=about, index=index)
    if field.kind == "datetime":
        moment = datetime.fromisoformat(str(start)) if start else None
        chosen = st.datetime_input(label, value=moment, key=key, help=about)
        return chosen.isoformat() if chosen else None
    if field.kind == "json":
        return st.text_area(label, value=str(start or ""), key=key, help=about, height=100)
    return st.text_input(label, value="" if start is None else str(start), key=key, help=about)
