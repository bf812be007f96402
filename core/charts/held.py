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
        [_bar(row, places, now, zone) for row in frame.itertuples()],
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


def _bar(row: Any, places: dict[tuple[str, int], int], now: datetime, zone: str | None) -> Any:
    lasts = _lasts(row.until)
    until = now if lasts else row.until
    name = t("models.v", version=row.version)
    said = [
        f"<b>{name}</b> {markup(row.rung, 40)}",
        t(
            "charts.hover.held_found" if row.found else "charts.hover.held_since",
            at=moment(row.since, zone),
        ),
        t("charts.hover.held_lasts") if lasts else t("charts.hover.held_until",
                                                     at=moment(until, zone)),
    ]  # fmt: skip
    if row.by:
        said.append(t("charts.hover.held_by", who=markup(row.by, 60)))
    return go.Bar(
        orientation="h",
        y=[places[row.rung, row.lane]],
        base=[row.since.isoformat()],
        x=[max(1, int((until - row.since).total_seconds() * 1000))],
        width=0.72,
        text=[name],
        textposition="inside",
        insidetextanchor="middle",
        constraintext="none",
        marker={
            "color": COLOURS[row.version % len(COLOURS)],
            "pattern": {"shape": "/" if row.found else "", "solidity": 0.25},
            "line": {"width": 1, "color": "rgba(128, 128, 128, 0.6)"},
        },
        hovertext=["<br>".join(said)],
        hoverinfo="text",
    )
