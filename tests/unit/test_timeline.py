"""What stood where and when, told by lines alone."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.ledger.chain import Entry, Line
from core.registry import known
from core.registry.timeline import Span, spans

START = datetime(2026, 3, 3, 14, tzinfo=UTC)
RUNGS = ("None", "Staging", "Production", "Archived")


def place(rung: str | None) -> dict[str, object]:
    return {"rung": rung, "stage": rung, "aliases": []}


def line(number: int, action: str, before: dict[int, str], after: dict[int, str]) -> Line:
    entry = Entry(
        action,
        "ada",
        model="wine",
        before={str(n): place(r) for n, r in before.items()},
        after={str(n): place(r) for n, r in after.items()},
    )
    return Line(number, START + timedelta(hours=number), entry, "", "")


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def test_one_version_follows_another() -> None:
    told = spans(
        [
            line(1, known.BASELINE, {}, {1: "Production"}),
            line(
                2, "transition.done",
                {1: "Production", 2: "None"}, {1: "Archived", 2: "Production"},
            ),
            line(3, known.STAGE, {2: "Production"}, {2: "Archived"}),
        ]
    )  # fmt: skip

    def production(hours: float) -> list[tuple[int, bool, str]]:
        return [(s.version, s.known_since, s.by) for s in told.holder("Production", at(hours))]

    assert told.since == at(1)
    assert production(0.5) == []
    assert production(1.5) == [(1, True, "")]
    assert production(2) == [(2, False, "ada")]
    assert production(3) == []


def test_a_version_that_is_gone_stands_nowhere() -> None:
    told = spans(
        [
            line(1, "transition.done", {1: "None"}, {1: "Staging"}),
            line(2, known.DELETED, {1: "Staging"}, {}),
        ]
    )  # fmt: skip
    assert told.holder("Staging", at(1.5))
    assert not told.holder("Staging", at(2))


@given(
    st.lists(
        st.dictionaries(st.integers(1, 4), st.sampled_from(RUNGS), min_size=1),
        min_size=1,
        max_size=20,
    )
)  # fmt: skip
def test_at_every_moment_the_spans_say_what_was_written_last(moves: list[dict[int, str]]) -> None:
    standing: dict[int, str] = {}
    lines, truth = [], []
    for number, move in enumerate(moves, 1):
        before = {n: standing.get(n, "None") for n in move}
        standing |= move
        lines.append(line(number, "transition.done", before, move))
        truth.append(dict(standing))
    told = spans(lines)
    for number, expected in enumerate(truth, 1):
        moment = at(number + 0.5)
        assert {s.version: s.rung for s in told.spans if s.holds(moment)} == expected
    by_version: dict[int, list[Span]] = {}
    for span in told.spans:
        by_version.setdefault(span.version, []).append(span)
    for mine in by_version.values():
        for one, after in itertools.pairwise(mine):
            assert one.until == after.since
