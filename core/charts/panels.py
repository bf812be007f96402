"""Axes and titles of panels under one another, which zoom together along ``x``."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.charts.labels import markup
from core.charts.look import axis

_ONE, _SEVERAL = 340, 230
TITLE = 34
"""Pixels over each panel for its metric's name."""


def y_name(panel: int) -> str:
    """The axis of a panel's values."""
    return f"y{2 * panel + 1}" if panel else "y"


def edge_name(panel: int) -> str:
    """The axis from 0 to 1 over a panel, for marks at its edges."""
    return f"y{2 * panel + 2}"


def x_name(panel: int) -> str:
    """The axis along the bottom of a panel."""
    return f"x{panel + 1}" if panel else "x"


def plot_height(panels: int) -> int:
    """Pixels of all panels, without titles and legend."""
    return (_ONE if panels == 1 else _SEVERAL) * panels


def layout(
    keys: Sequence[str],
    x_axis: Mapping[str, Any],
    y_axes: Sequence[Mapping[str, Any]],
    units: Mapping[str, str],
) -> dict[str, Any]:
    """The layout of one panel for each of ``keys``.

    Args:
        x_axis: what all axes along the bottom have; its title stands under the last one only.
        y_axes: what the axis of each panel has.
        units: what is measured in, by key, where that is known.
    """
    shape: dict[str, Any] = {"annotations": []}
    share = 1 / len(keys)
    gap = share * TITLE / (plot_height(len(keys)) / len(keys) + TITLE)
    for panel, key in enumerate(keys):
        bottom = 1 - (panel + 1) * share
        domain = [bottom, bottom + share - gap]
        last = panel == len(keys) - 1
        shape[x_name(panel).replace("x", "xaxis")] = axis(
            **{
                **x_axis,
                "anchor": y_name(panel),
                "matches": "x" if panel else None,
                "showticklabels": last,
                "title": {"text": x_axis["title"] if last else ""},
            }
        )
        shape[y_name(panel).replace("y", "yaxis")] = axis(
            anchor=x_name(panel), domain=domain, **y_axes[panel]
        )
        # Marks keep to the edge of the panel however far one zooms.
        shape[edge_name(panel).replace("y", "yaxis")] = {
            "anchor": x_name(panel),
            "overlaying": y_name(panel),
            "range": [0, 1],
            "fixedrange": True,
            "visible": False,
        }
        unit = f" ({markup(units[key], 20)})" if key in units else ""
        shape["annotations"].append(
            {
                "text": f"<b>{markup(key, 60)}</b>{unit}",
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": domain[1],
                "yref": "paper",
                "yanchor": "bottom",
                "yshift": 6,
                "showarrow": False,
            }
        )
    return shape
