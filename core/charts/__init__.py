"""Figures: a DataFrame goes in, a Plotly figure and what it left out come back. Nothing else."""

from core.charts.bands import group_bands
from core.charts.curves import metric_curves
from core.charts.held import held_over_time
from core.charts.notes import Notes
from core.charts.parallel import parallel_coordinates
from core.charts.scatter import scatter
from core.charts.versions import metric_over_versions

__all__ = [
    "Notes",
    "group_bands",
    "held_over_time",
    "metric_curves",
    "metric_over_versions",
    "parallel_coordinates",
    "scatter",
]
