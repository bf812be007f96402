"""Who held which rung when."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
from pandas import DataFrame

from core.charts.labels import markup
from core.charts.look import COLOURS, axis, figure
from core.charts.notes import Notes, notes
from core.formats import moment
from core.texts import t

_ROW = 46


def held_over_time(
    frame: DataFrame, rungs: tuple[str, ...], now: datetime, zone: str | None
) -> tuple[go.Figure, Notes]:
    """One bar a span, in the row of its rung; hatched where its beginning is only when it was
    found.

    Args:
        frame: one row a span, by their beginning: ``rung``, ``version`` (int), ``since``,
            ``until`` (aware; NaT or None: it lasts), ``found`` (bool), ``by``.
        rungs: in the order from top to bottom.
        now: where bars that last end.
        zone: the IANA zone of the times.

    Returns:
        The figure, and what it drew, counted in spans.
    """
    if frame.empty:
        return figure([], 160), notes(0, 0, [t("charts.notes.held_none")])
    ends = [now if _lasts(until) else until for until in frame["until"]]
    frame = frame.assign(lane=lanes(list(frame["rung"]), list(frame["since"]), ends))
    places = _places(frame, rungs)
    shown = figure(
        [_bars(frame, places, ends, zone)],
        90 + _ROW * len(places),
        "held",
        barmode="overlay",
        xaxis=axis(type="date", exponentformat=None, separatethousands=None),
        yaxis=axis(
            tickmode="array",
            tickvals=list(places.values()),
            ticktext=[markup(rung, 24) if lane == 0 else "" for rung, lane in places],
            range=[len(places) - 0.4, -0.6],
            fixedrange=True,
            showgrid=False,
        ),
    )
    found = int(frame["found"].sum())
    return shown, notes(
        len(frame),
        len(frame),
        [
            t("charts.notes.held", n=len(frame)),
            t("charts.notes.held_found", n=found) if found else "",
        ],
    )


def lanes(rungs: Sequence[str], since: Sequence[datetime], until: Sequence[datetime]) -> list[int]:
    """For each span (ordered by beginning) a lane of its rung in which nothing overlaps it."""
    free: dict[str, list[datetime]] = {}
    taken = []
    for rung, begins, ends in zip(rungs, since, until, strict=True):
        known = free.setdefault(rung, [])
        lane = next((i for i, end in enumerate(known) if end <= begins), len(known))
        known[lane : lane + 1] = [ends]
        taken.append(lane)
    return taken


def _lasts(until: datetime | None) -> bool:
    return until is None or until != until  # NaT equals nothing, not even itself


def _places(frame: DataFrame, rungs: tuple[str, ...]) -> dict[tuple[str, int], int]:
    """The row of each rung and lane, from the top."""
    lanes = frame.groupby("rung")["lane"].max()
    wanted = [(r, lane) for r in rungs if r in lanes for lane in range(int(lanes[r]) + 1)]
    return {place: row for row, place in enumerate(wanted)}


def _bars(
    frame: DataFrame, places: dict[tuple[str, int], int], ends: list[datetime], zone: str | None
) -> Any:
    """All bars as one trace: a trace each takes a tenth of a second for a few hundred."""
    rows = list(frame.itertuples())
    return go.Bar(
        orientation="h",
        y=[places[row.rung, row.lane] for row in rows],
        base=[row.since.isoformat() for row in rows],
        x=[
            max(1, int((end - row.since).total_seconds() * 1000))
            for row, end in zip(rows, ends, strict=True)
        ],
        width=0.72,
        text=[t("models.v", version=row.version) for row in rows],
        textposition="inside",
        insidetextanchor="middle",
        constraintext="none",
        marker={
            "color": [COLOURS[row.version % len(COLOURS)] for row in rows],
            "pattern": {"shape": ["/" if row.found else "" for row in rows], "solidity": 0.25},
            "line": {"width": 1, "color": "rgba(128, 128, 128, 0.6)"},
        },
        hovertext=[_said(row, zone) for row in rows],
        hoverinfo="text",
    )


def _said(row: Any, zone: str | None) -> str:
    """What is said of a bar under the pointer."""
    lasts = _lasts(row.until)
    said = [
        f"<b>{t('models.v', version=row.version)}</b> {markup(row.rung, 40)}",
        t(
            "charts.hover.held_found" if row.found else "charts.hover.held_since",
            at=moment(row.since, zone),
        ),
        t("charts.hover.held_lasts") if lasts else t("charts.hover.held_until",
                                                     at=moment(row.until, zone)),
    ]  # fmt: skip
    if row.by:
        said.append(t("charts.hover.held_by", who=markup(row.by, 60)))
    return "<br>".join(said)
