"""The table of versions: a page of them, searched, with the one that is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core import formats
from core.mlflow_api.nouns import ModelVersion
from core.registry import catalogue
from core.registry.catalogue import Dossier
from core.texts import t
from core.ui import parts, registry, runs
from core.ui.markup import visible
from core.ui.model.look import Look, say_how_whole, wanted_version
from core.ui.model.measured import Measured, measure

PAGE = 100
"""Versions in the table at once."""
FEW = 12
"""So many need no search."""
MOST_METRICS = 4


@dataclass(frozen=True)
class Part:
    """The versions that are in the table, and of how many they are a part."""

    versions: tuple[ModelVersion, ...]
    """Newest first."""
    first: int
    """Place of the page among those that match."""
    matching: int
    words: str
    """What was searched for."""


def draw(found: Look) -> tuple[ModelVersion, Measured] | None:
    """The table; gives the version that is chosen, also by the link, and the runs of those that
    are shown. None where the model has no versions."""
    dossier = found.dossier
    if not dossier.versions:
        parts.empty(t("model.no_versions"), "deployed_code")
        return None
    chosen = _chosen(dossier)
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    bar.subheader(t("model.versions"), anchor=False)
    part = _part(dossier, chosen, bar)
    measured = measure(part.versions)
    shown = _metrics(measured, bar)
    numbers = [v.version for v in part.versions]
    event = st.dataframe(
        _cells(dossier, measured, shown),
        hide_index=True, on_select="rerun", selection_mode="single-row-required",
        key=f"versions_{runs.fingerprint([dossier.model.name, *map(str, numbers)])}",
        selection_default={"selection": {"rows": [numbers.index(chosen.version)]}},
        height="auto" if len(numbers) <= 8 else 320,
        placeholder="", alt=t("model.versions_alt"), lazy=False,
        column_config=_config(dossier, shown),
    )  # fmt: skip
    _foot(dossier, part)
    if shown and measured.of_runs:
        st.caption(t("model.of_runs"))
    say_how_whole(found)
    picked = event["selection"]["rows"]
    if picked and numbers[picked[0]] != chosen.version:
        chosen = part.versions[picked[0]]
    st.query_params["version"] = str(chosen.version)
    return chosen, measured


def _chosen(dossier: Dossier) -> ModelVersion:
    """The version that the link names, else the one to look at first."""
    wanted = wanted_version()
    if wanted is not None:
        return dossier.version(wanted)
    foremost = dossier.foremost
    return foremost if foremost is not None else dossier.versions[0]


def _part(dossier: Dossier, chosen: ModelVersion, bar: "st.delta_generator.DeltaGenerator") -> Part:
    """A page of the versions: with them the one that is chosen, and on the first page those that
    stand on a rung or carry an alias."""
    words = ""
    if len(dossier.versions) > FEW:
        typed = bar.text_input(
            t("model.search"), key="find", bind="query-params", type="search", width=280,
            placeholder=t("model.search_place"), label_visibility="collapsed",
        )  # fmt: skip
        words = (typed or "").strip()
    matching = catalogue.versions_matching(dossier, words)
    turned = int(st.session_state.get(_turn_key(dossier, words), 0))
    first = min(turned, max(0, len(matching) - 1) // PAGE) * PAGE
    rows = {v.version: v for v in [*matching[first : first + PAGE], chosen]}
    if not words and not first:
        rows |= {v.version: v for v in catalogue.prominent(dossier)}
    versions = tuple(rows[n] for n in sorted(rows, reverse=True))
    return Part(versions, first, len(matching), words)


def _foot(dossier: Dossier, part: Part) -> None:
    """What of how much is shown, and the ways to older and newer versions."""
    total = len(dossier.versions)
    if len(part.versions) == total:
        return
    key = _turn_key(dossier, part.words)
    page, last = part.first // PAGE, max(0, part.matching - 1) // PAGE
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_said(part, total), width="content")
        if last:
            for name, to, icon in (("newer", page - 1, "arrow_back"),
                                   ("older", page + 1, "arrow_forward")):  # fmt: skip
                st.button(
                    t(f"model.{name}"), key=f"{key}:{name}", type="tertiary",
                    icon=f":material/{icon}:", disabled=not 0 <= to <= last,
                    on_click=st.session_state.__setitem__, args=(key, to),
                )  # fmt: skip


def _said(part: Part, total: int) -> str:
    counted = {
        "first": formats.count(part.first + 1 if part.matching else 0),
        "last": formats.count(min(part.first + PAGE, part.matching)),
        "matching": formats.count(part.matching),
        "total": formats.count(total),
    }
    said = [t("model.shown_found" if part.words else "model.shown", **counted)]
    beside = len(part.versions) - (min(part.first + PAGE, part.matching) - part.first)
    if beside > 0:
        said.append(t("model.shown_beside", n=beside))
    return " ".join(said)


def _turn_key(dossier: Dossier, words: str) -> str:
    # Other words begin on their first page.
    return f"versions_page:{dossier.model.name}:{words}"


def _metrics(measured: Measured, bar: "st.delta_generator.DeltaGenerator") -> list[str]:
    """Which metrics are columns; those first that most versions have."""
    order = measured.metrics()
    if not order:
        return []
    with bar.popover(t("model.columns"), icon=":material/view_column:"):
        chosen = st.multiselect(
            t("model.metrics"), [runs.label(n) for n in order], key="metrics", bind="query-params",
            placeholder=t("model.metrics_place", n=min(MOST_METRICS, len(order))),
        )  # fmt: skip
    return [f"metrics.{c}" for c in chosen] or order[:MOST_METRICS]


def _cells(dossier: Dossier, measured: Measured, shown: Sequence[str]) -> pd.DataFrame:
    rows = measured.versions
    return pd.DataFrame(
        {
            "version": [t("models.v", version=v.version) for v in rows],
            "stage": [[dossier.standing(v).name] for v in rows],
            "aliases": [list(v.aliases) for v in rows],
            **{name: pd.to_numeric(pd.Series(measured.column(name))) for name in shown},
            "run": [visible(name) for name in measured.names()],
            "description": [visible(v.description) for v in rows],
            "created": runs.instants([v.created_at for v in rows]),
        }
    )


def _config(dossier: Dossier, shown: Sequence[str]) -> dict[str, Any]:
    column = st.column_config
    return {
        "version": column.TextColumn(t("model.column.version"), pinned=True, width=80),
        "stage": registry.rung_column(t("model.column.stage"), dossier.ladder),
        "aliases": column.ListColumn(t("model.column.aliases")),
        **{name: column.NumberColumn(runs.label(name), format="%.5g") for name in shown},
        "run": column.TextColumn(t("model.column.run")),
        "description": column.TextColumn(t("model.column.description")),
        "created": column.DatetimeColumn(t("model.column.created"), format="distance"),
    }
