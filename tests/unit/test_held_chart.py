"""Who held which rung when, drawn."""

from datetime import UTC, datetime, timedelta

from pandas import DataFrame

from core import charts
from core.charts.held import lanes

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def test_what_overlaps_lies_side_by_side() -> None:
    rungs = ["Production", "Production", "Staging", "Production"]
    assert lanes(rungs, [at(1), at(2), at(2), at(4)], [at(3), at(9), at(9), at(9)]) == [0, 1, 0, 0]


def test_the_chart_draws_every_span_and_says_what_is_only_known() -> None:
    frame = DataFrame(
        {
            "rung": ["Production", "Production", "<b>x"],
            "version": [1, 2, 3],
            "since": [at(1), at(2), at(2)],
            "until": [at(3), None, None],
            "found": [False, True, False],
            "by": ["<a href='x'>", "", ""],
        }
    )
    figure, notes = charts.held_over_time(frame, ("Production", "<b>x"), at(9), "UTC")
    (bars,) = figure.data
    assert list(bars.x) == [2 * 3_600_000, 7 * 3_600_000, 7 * 3_600_000]
    assert list(bars.marker.pattern.shape) == ["", "/", ""]
    assert "known since" in bars.hovertext[1]
    assert "<a" not in bars.hovertext[0]
    assert "<b>x" not in figure.layout.yaxis.ticktext
    assert (notes.drawn, notes.total) == (3, 3)
    assert "1 hatched" in notes.text
    empty, none = charts.held_over_time(frame.iloc[:0], (), at(9), None)
    assert (len(empty.data), none.total) == (0, 0)
