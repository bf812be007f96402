"""The one look of all figures: colours, margins, grid, legends.

Background and font colours are left to Streamlit's theme, so that light and dark both work. The
colours are those of Okabe and Ito that stand out on white and on black alike; every scale stays
between the two.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.charts.labels import markup

COLOURS = ("#0072B2", "#E08A00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Told apart with any kind of colour vision, on white and on black."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""After the last colour the line changes, so that 24 runs can be told apart."""

GREY = "#8C8C8C"
"""For what has no value, and for what is left behind."""

RULE = "rgba(128, 128, 128, 0.55)"
"""A line that helps the eye, on any background."""

FILM = "rgba(128, 128, 128, 0.14)"
"""An area that helps the eye, on any background."""

SEQUENTIAL = ("#7C4DCC", "#3F6FC4", "#2390A8", "#3FA76A", "#A3A02B", "#E08A00")
"""Low to high. Both ends can be seen on white and on black."""

LEGEND_HEIGHT = 124
"""Pixels: five rows of names. A longer legend scrolls and never squeezes the data."""

LEGEND_LIMIT = 60
"""More names than this are found by hovering, not by reading."""


def colours_by(keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Colour and dash for each key, in the order given; the same order gives the same colours."""
    unique = dict.fromkeys(keys)
    return {
        key: (COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)])
        for i, key in enumerate(unique)
    }


def figure(traces: Iterable[Any], height: int, shows: str = "", **layout: Any) -> go.Figure:
    """A figure of ``height`` pixels in our look.

    Zoom and hidden traces survive a rerun of the page as long as ``shows`` stays the same.
    """
    shape: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 24, "b": 8},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "namelength": -1},
        "showlegend": False,
        "uirevision": markup(shows),
    }
    return go.Figure(list(traces), {**shape, **layout})


def axis(**more: Any) -> dict[str, Any]:
    """An ordinary axis: a quiet grid, no zero line, numbers written out."""
    quiet = {
        "automargin": True,
        "zeroline": False,
        "gridwidth": 1,
        "nticks": 8,
        "exponentformat": "none",
        "separatethousands": True,
    }
    return {**quiet, **more}


def log_axis(values: NDArray[np.float64]) -> dict[str, Any]:
    """A log axis for ``values`` (what is not above zero has no say), its ticks written out.

    Left alone, Plotly writes the ticks between decades as a bare 2 and 5, or all nine of them.
    """
    shown = values[(values > 0) & np.isfinite(values)]
    decades = 1.15 * math.log10(shown.max() / shown.min()) if shown.size else 1.0
    ticks = 6 if decades < 1 else 3 if decades < 2 else min(8, math.ceil(decades))
    return {"type": "log", "tickformat": "~g", "nticks": ticks}


def legend_below(**more: Any) -> dict[str, Any]:
    """A legend under the data that scrolls when it is long."""
    place = {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "maxheight": LEGEND_HEIGHT,
        "itemsizing": "constant",
    }
    return {**place, **more}
