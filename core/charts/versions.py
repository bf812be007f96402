"""A metric over the versions of a registered model."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from pandas import DataFrame, to_numeric

from core.charts.labels import clean, markup
from core.charts.look import COLOURS, GREY, axis, figure, legend_below
from core.charts.notes import Notes, notes
from core.charts.scales import Floats, finite_or_nan
from core.formats import number
from core.texts import t

_STAGES = {
    "Production": (COLOURS[2], "circle"),
    "Staging": (COLOURS[1], "diamond"),
    "None": (COLOURS[4], "circle-open"),
    "Archived": (GREY, "square-open"),
}
"""MLflow's stages; others of a ladder take the colours that are left."""

_SPARE = (COLOURS[0], COLOURS[3], COLOURS[5])


def metric_over_versions(frame: DataFrame, metric: str) -> tuple[go.Figure, Notes]:
    """One dot a version, coloured by its stage, with a quiet line through them.

    A version without a finite value is marked at the bottom, and the line has a gap there.

    Args:
        frame: one row a version: ``version`` (int), ``value``, ``stage``, and ``aliases``
            (tuples of text) where hovering shall show them.
        metric: the metric's key, for the title.

    Returns:
        The figure, and what it drew, counted in versions.
    """
    if frame.empty:
        return figure([], 200), notes(0, 0, [t("charts.notes.versions_none")])
    frame = frame.sort_values("version", kind="stable")
    versions = frame["version"].to_numpy(dtype=np.int64)
    values = finite_or_nan(to_numeric(frame["value"], errors="coerce").to_numpy(dtype=float))
    there = ~np.isnan(values)
    stages = np.array([clean(stage) or t("charts.label.no_stage") for stage in frame["stage"]])
    said = np.array(_hover(frame, stages.tolist(), values, metric), dtype=object)
    traces: list[Any] = [_line(versions, values)]
    present = sorted(set(stages.tolist()), key=_rank)
    looks = _looks(present)
    for stage in present:
        rows = (stages == stage) & there
        if rows.any():
            traces.append(_dots(versions[rows], values[rows], said[rows], stage, looks[stage]))
    if not there.all():
        traces.append(_no_value(versions[~there], said[~there]))
    few = len(versions) <= 20
    shown = figure(
        traces,
        320,
        metric,
        showlegend=True,
        legend=legend_below(),
        xaxis=axis(
            title={"text": t("charts.label.version")},
            tickmode="array" if few else "auto",
            tickvals=versions if few else None,
            tickformat="d",
            range=[versions.min() - 0.5, versions.max() + 0.5],
        ),
        yaxis=axis(title={"text": markup(metric, 60)}),
        yaxis2={"overlaying": "y", "range": [0, 1], "fixedrange": True, "visible": False},
    )
    drawn, without = int(there.sum()), int((~there).sum())
    return shown, notes(
        drawn,
        len(versions),
        [
            t("charts.notes.versions", n=len(versions), drawn=drawn),
            t("charts.notes.versions_no_value", n=without, name=metric) if without else "",
        ],
    )


def _rank(stage: str) -> tuple[int, str]:
    known = list(_STAGES)
    return (known.index(stage) if stage in known else len(known), stage)


def _line(versions: np.ndarray[Any, Any], values: Floats) -> Any:
    return go.Scatter(
        x=versions,
        y=values,
        mode="lines",
        line={"color": GREY, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )


def _looks(stages: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and symbol for each stage."""
    others = [stage for stage in stages if stage not in _STAGES]
    spare = {stage: (_SPARE[i % len(_SPARE)], "star") for i, stage in enumerate(others)}
    return {**_STAGES, **spare}


def _dots(
    versions: np.ndarray[Any, Any], values: Floats, said: Any, stage: str, look: tuple[str, str]
) -> Any:
    colour, symbol = look
    edge = {"color": colour, "width": 2}
    return go.Scatter(
        x=versions,
        y=values,
        mode="markers",
        name=markup(stage, 40),
        marker={"color": colour, "symbol": symbol, "size": 11, "line": edge},
        customdata=said,
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=True,
    )


def _no_value(versions: np.ndarray[Any, Any], said: Any) -> Any:
    return go.Scatter(
        x=versions,
        y=np.zeros(len(versions)),
        yaxis="y2",
        mode="markers",
        name=t("charts.label.no_value"),
        marker={"color": GREY, "symbol": "x-thin", "size": 9, "line": {"color": GREY, "width": 2}},
        customdata=said,
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
        showlegend=True,
    )


def _hover(frame: DataFrame, stages: list[str], values: Floats, metric: str) -> list[str]:
    """What hovering over each version says, escaped."""
    aliases = frame["aliases"].tolist() if "aliases" in frame else [()] * len(frame)
    said = []
    for version, stage, value, named in zip(
        frame["version"], stages, values.tolist(), aliases, strict=True
    ):
        text = t("charts.label.no_value") if np.isnan(value) else number(value, 6)
        lines = [
            f"<b>{t('charts.hover.version', version=version)}</b>",
            t("charts.hover.value", name=markup(metric, 60), value=text),
            t("charts.hover.stage", stage=markup(stage, 40)),
        ]
        if named:
            lines.append(t("charts.hover.aliases", aliases=markup(", ".join(named), 80)))
        said.append("<br>".join(lines))
    return said
