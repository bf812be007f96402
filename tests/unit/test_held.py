"""Who stood on which rung when, from the record and from what is there."""

from datetime import UTC, datetime, timedelta

from pandas import DataFrame

from core import charts
from core.registry.held import lanes, spans
from core.registry.ladder import LADDER
from core.registry.plan import ModelState, VersionState
from core.registry.record import Kind, Placement, State, Transition

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def moved(hours: float, before: dict[int, str], after: dict[int, str] | None) -> Transition:
    """A change on record: where the versions concerned stood before and after."""

    def places(found: dict[int, str]) -> dict[int, Placement]:
        return {n: Placement(rung, rung, ()) for n, rung in found.items()}

    return Transition(
        id=f"{hours}", store="s", model="wine", version=min(before), kind=Kind.RUNG, wanted="",
        archive_existing=True, actor="anna", comment="", state=State.DONE, token=int(hours * 10),
        steps=(), before=places(before), after=None if after is None else places(after),
        message="", begun_at=at(hours), ended_at=None if after is None else at(hours),
    )  # fmt: skip


def now_at(stages: dict[int, str], changed: float = 0) -> ModelState:
    return ModelState(
        "wine",
        tuple(VersionState(n, stage, updated_at=at(changed)) for n, stage in stages.items()),
    )


def told(
    rows: list[Transition], state: ModelState
) -> list[tuple[str, int, datetime, datetime | None, bool, bool]]:
    found = spans(rows, state, LADDER, at(100))
    return [(s.rung, s.version, s.since, s.until, s.known_since, s.known_until) for s in found]


def test_one_follows_the_other() -> None:
    rows = [
        moved(5, {1: "Production", 2: "None"}, {1: "Archived", 2: "Production"}),
        moved(1, {1: "None"}, {1: "Production"}),
    ]
    assert told(rows, now_at({1: "Archived", 2: "Production"})) == [
        ("Production", 1, at(1), at(5), False, False),
        ("Production", 2, at(5), None, False, False),
    ]


def test_what_nobody_moved_here_is_known_since_mlflow_changed_it() -> None:
    assert told([], now_at({1: "None", 2: "Production"}, changed=7)) == [
        ("Production", 2, at(7), None, True, False)
    ]


def test_one_that_a_change_finds_is_known_since_then() -> None:
    rows = [moved(3, {1: "Production", 2: "None"}, {1: "Archived", 2: "Production"})]
    assert told(rows, now_at({1: "Archived", 2: "Production"})) == [
        ("Production", 1, at(3), at(3), True, False),
        ("Production", 2, at(3), None, False, False),
    ]


def test_one_that_left_without_a_change_on_record_is_found_gone() -> None:
    rows = [moved(1, {1: "None"}, {1: "Production"})]
    assert told(rows, now_at({1: "Archived"}, changed=9)) == [
        ("Production", 1, at(1), at(9), False, True)
    ]
    assert told(rows, now_at({})) == [("Production", 1, at(1), at(100), False, True)]


def test_a_change_whose_end_is_unknown_tells_nothing() -> None:
    assert told([moved(1, {1: "None"}, None)], now_at({1: "None"})) == []


def test_what_overlaps_lies_side_by_side() -> None:
    rows = [
        moved(1, {1: "None"}, {1: "Production"}),
        moved(2, {2: "None"}, {2: "Production"}),
        moved(3, {1: "Production"}, {1: "Archived"}),
        moved(4, {3: "None"}, {3: "Production"}),
    ]
    state = now_at({1: "Archived", 2: "Production", 3: "Production"})
    assert lanes(spans(rows, state, LADDER, at(9)), at(9)) == (0, 1, 0)


def test_the_chart_draws_every_span_and_says_what_is_only_known() -> None:
    frame = DataFrame(
        {
            "rung": ["Production", "Production", "<b>x"],
            "lane": [0, 1, 0],
            "version": [1, 2, 3],
            "since": [at(1), at(2), at(2)],
            "until": [at(3), None, None],
            "found": [False, True, False],
            "by": ["<a href='x'>", "", ""],
        }
    )
    figure, notes = charts.held_over_time(frame, ("Production", "<b>x"), at(9), "UTC")
    assert len(figure.data) == 3
    assert [bar.x[0] for bar in figure.data] == [2 * 3_600_000, 7 * 3_600_000, 7 * 3_600_000]
    assert figure.data[1].marker.pattern.shape == "/"
    assert "known since" in figure.data[1].hovertext[0]
    assert "<a" not in figure.data[0].hovertext[0]
    assert "<b>x" not in figure.layout.yaxis.ticktext
    assert (notes.drawn, notes.total) == (3, 3)
    assert "1 hatched" in notes.text
    empty, none = charts.held_over_time(frame.iloc[:0], (), at(9), None)
    assert (len(empty.data), none.total) == (0, 0)
