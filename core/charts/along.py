"""Where the points of a curve lie along the bottom of its figure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pandas import DatetimeIndex

from core.charts.labels import markup
from core.charts.scales import Floats, true_infinity
from core.formats import in_zone
from core.mlflow_api.histories import History
from core.runs.histories import Line
from core.texts import t
from core.thinning import Indices

Along = Literal["step", "time", "relative", "metric"]

_UNITS = (("hours", 3_600.0, 7_200.0), ("minutes", 60.0, 300.0), ("seconds", 1.0, 0.0))
"""Unit of relative time, its seconds, and from how many seconds on it is used."""


@dataclass(frozen=True)
class Laid:
    """The points of one curve that have a place along the bottom, in the order of drawing."""

    rows: Indices
    """Which points of the history."""
    place: Floats
    """Never falling: what buckets are cut by."""
    x: Callable[[Indices], NDArray[Any]]
    """The positions, as Plotly draws them, of some points of the history."""
    also: Floats | None = None
    """Values along the bottom whose extremes are kept too, where they do not follow ``place``."""


class Axis:
    """How all curves of one figure are laid out along its bottom.

    Args:
        lines: all of them.
        along: what runs along the bottom; "relative" is the time since a run's first point.
        log: logarithmic; not for times.
        zone: the viewer's time zone, an IANA name; UTC where None or unknown.
        metric: the metric along the bottom, and its history by run.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        along: Along,
        *,
        log: bool = False,
        zone: str | None = None,
        metric: tuple[str, Mapping[str, History]] = ("", {}),
    ) -> None:
        self.along = along
        self.log = log and along != "time"
        self._clock = _clock(zone)
        self.metric, self._others = metric
        self._firsts: dict[str, int] = {}
        for line in lines:
            if len(line.history):
                first = int(line.history.times.min())
                self._firsts[line.run] = min(first, self._firsts.get(line.run, first))
        longest = max(
            (
                (int(line.history.times.max()) - self._firsts[line.run]) / 1000
                for line in lines
                if along == "relative" and len(line.history)
            ),
            default=0.0,
        )
        self._unit, self._seconds = next(
            (unit, length) for unit, length, since in _UNITS if longest >= since
        )

    @property
    def title(self) -> str:
        """What stands under the axis."""
        if self.along == "metric":
            return markup(self.metric, 60)
        if self.along == "relative":
            return t(f"charts.x.{self._unit}")
        return t(f"charts.x.{self.along}", zone=self._clock if self.along == "time" else "")

    def lay(self, line: Line) -> Laid:
        """Where the points of one curve lie; those without a place are left out."""
        history = line.history
        if self.along == "metric":
            return self._by_metric(history, self._others.get(line.run))
        if self.along == "step":
            steps = history.steps
            small = len(steps) == 0 or (steps[0] >= -(2**31) and steps[-1] < 2**31)
            # A browser is sent half as many bytes.
            shown = steps.astype(np.int32 if small else np.float64)
            return self._placed(np.arange(len(steps)), steps.astype(float), lambda at: shown[at])
        rows = np.arange(len(history))
        if (history.times[1:] < history.times[:-1]).any():
            rows = np.lexsort((history.steps, history.times))
        if self.along == "time":
            times = history.times
            return self._placed(rows, times[rows].astype(float), lambda at: self._local(times[at]))
        since = (history.times - self._firsts.get(line.run, 0)) / (1000 * self._seconds)
        return self._placed(rows, since[rows], lambda at: since[at])

    def _placed(self, rows: Indices, place: Floats, x: Callable[[Indices], NDArray[Any]]) -> Laid:
        if self.log:
            there = place > 0
            rows, place = rows[there], np.log10(place[there])
        return Laid(rows, place, x)

    def _by_metric(self, history: History, other: History | None) -> Laid:
        """Points at whose step the other metric has a finite value: the last one logged for it."""
        if other is None or not len(other):
            none = np.empty(0)
            return Laid(np.empty(0, np.intp), none, lambda _: none, none)
        at = np.searchsorted(other.steps, history.steps, side="right") - 1
        x = true_infinity(other.values)[np.maximum(at, 0)]
        there = (at >= 0) & (other.steps[np.maximum(at, 0)] == history.steps) & np.isfinite(x)
        if self.log:
            there &= x > 0
        rows = np.flatnonzero(there)
        return Laid(rows, history.steps[rows].astype(float), lambda some: x[some], x[rows])

    def _local(self, times: NDArray[np.int64]) -> NDArray[Any]:
        # Plotly has no time zones: it gets the clock of the viewer's.
        moments = DatetimeIndex(times.astype("datetime64[ms]")).tz_localize("UTC")
        local: NDArray[Any] = moments.tz_convert(self._clock).tz_localize(None).to_numpy()
        return local


def _clock(zone: str | None) -> tzinfo | None:
    """The viewer's time zone; UTC where its name is unknown."""
    return in_zone(datetime(2026, 1, 1, tzinfo=UTC), zone).tzinfo
