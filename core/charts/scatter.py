"""Runs as dots: one column against another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas import DataFrame

from core.charts.labels import column_labels, markup
from core.charts.look import COLOURS, GREY, axis, colour_scale, figure, legend_below, log_axis
from core.charts.notes import Notes, naming, notes
from core.charts.paint import Paint, colour_sentences, paint
from core.charts.scales import Floats, Reading, read, scale
from core.texts import t

_NAME = 60
_MANY = 3_000
"""More dots than this are drawn with WebGL."""

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "hexagon", "circle-open")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Axis:
    name: str
    at: Floats
    layout: dict[str, Any]
    left_out: dict[str, Mask]
    """Rows without a place on the axis, by the reason's key in the texts."""


def scatter(
    runs: DataFrame,
    x: str,
    y: str,
    colour: str | None = None,
    log_x: bool = False,
    log_y: bool = False,
) -> tuple[go.Figure, Notes]:
    """One dot a run. A run without a place on an axis is left out and counted.

    The first field of a dot's ``customdata`` is its run id, so that a selection can be resolved.

    Args:
        runs: one row a run: ``run_id``, ``run_name``, the columns named, and ``experiment_id``
            where hovering shall show it.
        x: the column along the bottom.
        y: the column upwards.
        colour: the column that colours the dots.
        log_x: draw ``x`` on a log axis; what is not above zero is left out and counted.
        log_y: the same for ``y``.

    Returns:
        The figure, and what it drew, counted in runs.
    """
    if runs.empty:
        return figure([], 200), notes(0, 0, [t("charts.notes.runs_none")])
    names = column_labels(list(dict.fromkeys([x, y, *([colour] if colour else [])])))
    across = _axis(read(runs[x]), names[x], log_x)
    up = _axis(read(runs[y]), names[y], log_y)
    keep: Mask = np.ones(len(runs), dtype=bool)
    for side in (across, up):
        for mask in side.left_out.values():
            keep &= ~mask
    drawn = int(keep.sum())
    said = [t("charts.notes.runs", n=len(runs), drawn=drawn), *_reasons(across, up)]
    painted = paint(runs[keep], colour) if colour and drawn else None
    place = {
        "x": across.at[keep],
        "y": up.at[keep],
        "customdata": _hover_fields(runs[keep], list(names)),
        "hovertemplate": _hover_template(runs, names),
    }
    if painted:
        said += colour_sentences(painted, names[painted.column])
    shown = figure(
        _dots(place, painted, names, go.Scattergl if drawn > _MANY else go.Scatter),
        480,
        f"{x} {log_x} {y} {log_y}",
        xaxis=across.layout,
        yaxis=up.layout,
        margin={"l": 8, "r": 16, "t": 72 if painted and not painted.groups else 32, "b": 8},
        showlegend=bool(painted),
        legend=legend_below(
            title={"text": markup(names[colour]) if painted and painted.groups and colour else ""}
        ),
    )
    return shown, notes(drawn, len(runs), said)


def _axis(reading: Reading, name: str, log: bool) -> _Axis:
    title = {"text": markup(name, _NAME)}
    missing = {"no_value": reading.missing}
    if reading.numbers is None:
        places = scale(reading)
        layout = axis(
            title=title,
            tickvals=[at for at, _ in places.ticks],
            ticktext=[markup(text) for _, text in places.ticks],
            range=[places.low - 0.5, places.high + 0.5],
            autotickangles=[0, -40, -90],
        )
        return _Axis(name, places.at, layout, missing)
    numbers = reading.numbers
    left_out: dict[str, Mask] = {**missing, "infinite": np.isinf(numbers)}
    if log:
        left_out["not_positive"] = (numbers <= 0) & ~np.isinf(numbers)
    layout = axis(title=title, **(log_axis(numbers) if log else {}))
    return _Axis(name, numbers, layout, left_out)


def _reasons(across: _Axis, up: _Axis) -> list[str]:
    """A run may be left out for both axes: each names what it lacks."""
    sides = [across] if across.name == up.name else [across, up]
    return [
        naming(
            key,
            "named",
            {side.name: int(side.left_out[key].sum()) for side in sides if key in side.left_out},
        )
        for key in ("no_value", "infinite", "not_positive")
    ]


def _dots(place: dict[str, Any], painted: Paint | None, names: dict[str, str], kind: Any) -> Any:
    marker: dict[str, Any] = {"size": 9, "opacity": 0.85}
    if painted is None:
        return [kind(**place, mode="markers", marker={**marker, "color": COLOURS[0]})]
    if painted.groups:
        return [
            kind(
                **_rows(place, group.rows),
                mode="markers",
                name=markup(group.label),
                showlegend=True,
                marker={**marker, "color": group.colour, "symbol": _SYMBOLS[i % len(_SYMBOLS)]},
            )
            for i, group in enumerate(painted.groups)
        ]
    has = painted.reading.drawable
    scaled = {
        **marker,
        "color": painted.at[has],
        "cmin": painted.low,
        "cmax": painted.high,
        "colorscale": colour_scale(),
        "showscale": True,
        "colorbar": painted.bar(markup(names[painted.column], _NAME), y=1, yanchor="bottom"),
    }
    traces = [kind(**_rows(place, has), mode="markers", marker=scaled, showlegend=False)]
    if painted.missing:
        hollow = {**marker, "color": GREY, "symbol": "circle-open"}
        label = t("charts.label.without", name=names[painted.column])
        traces.append(
            kind(
                **_rows(place, ~has),
                mode="markers",
                marker=hollow,
                name=markup(label),
                showlegend=True,
            )
        )
    return traces


def _rows(place: dict[str, Any], rows: Mask) -> dict[str, Any]:
    return {key: value if isinstance(value, str) else value[rows] for key, value in place.items()}


def _hover_fields(runs: DataFrame, columns: list[str]) -> NDArray[np.object_]:
    """One row a run: run id, then what `_hover_template` shows."""
    fields: list[list[str]] = [[str(value) for value in runs["run_id"]]]
    blank = t("charts.label.blank")
    fields.append([markup(value, _NAME) or blank for value in runs["run_name"].fillna("")])
    fields.append([markup(value, _NAME) for value in runs["run_id"]])
    if "experiment_id" in runs:
        fields.append([markup(value, _NAME) for value in runs["experiment_id"]])
    for column in columns:
        texts = read(runs[column]).texts
        fields.append([markup(text, _NAME) or t("charts.label.no_value") for text in texts])
    return np.array(fields, dtype=object).T


def _hover_template(runs: DataFrame, names: dict[str, str]) -> str:
    lines = ["<b>%{customdata[1]}</b>", t("charts.hover.run", id="%{customdata[2]}")]
    at = 3
    if "experiment_id" in runs:
        lines.append(t("charts.hover.experiment", id="%{customdata[3]}"))
        at = 4
    for i, name in enumerate(names.values()):
        value = f"%{{customdata[{at + i}]}}"
        lines.append(t("charts.hover.value", name=markup(name, _NAME), value=value))
    return "<br>".join(lines) + "<extra></extra>"
