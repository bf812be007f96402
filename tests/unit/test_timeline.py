"""What stood where and when, told by lines alone."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.ledger.chain import Entry, Line
from core.registry import known
from core.registry.ladder import LADDER
from core.registry.plan import ModelState, VersionState
from core.registry.timeline import Span, aliases_until_now, spans, until_now

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


class TestAliases:
    """Who carried which alias."""

    @staticmethod
    def line(number: int, action: str, before: dict[int, str], after: dict[int, str]) -> Line:
        """Version → its rung and its aliases, in words."""
        made = line(number, action, {}, {})

        def places(told: dict[int, str]) -> dict[str, object]:
            parts = {n: words.split() for n, words in told.items()}
            return {str(n): {**place(p[0]), "aliases": p[1:]} for n, p in parts.items()}

        entry = replace(made.entry, before=places(before), after=places(after))
        return replace(made, entry=entry)

    @staticmethod
    def told(
        lines: list[Line], here: dict[int, str], *, whole: bool = True
    ) -> list[tuple[str, int, datetime, datetime | None, bool, bool, str]]:
        parts = {n: words.split() for n, words in here.items()}
        versions = (VersionState(n, p[0], tuple(p[1:])) for n, p in parts.items())
        state = ModelState("wine", tuple(versions))
        found = aliases_until_now(spans(lines), state, LADDER, at(100), whole=whole)
        return [
            (s.alias, s.version, s.since, s.until, s.known_since, s.known_until, s.by)
            for s in found
        ]

    def test_an_alias_goes_from_one_version_to_the_next(self) -> None:
        lines = [
            self.line(1, "transition.done", {1: "None"}, {1: "None live fast"}),
            self.line(
                4, "transition.done",
                {1: "None live fast", 2: "None"}, {1: "None fast", 2: "None live"},
            ),
            self.line(6, known.ALIAS, {1: "None fast"}, {1: "None"}),
        ]  # fmt: skip
        assert self.told(lines, {1: "None", 2: "None live"}) == [
            ("live", 1, at(1), at(4), False, False, "ada"),
            ("fast", 1, at(1), at(6), False, True, "ada"),
            ("live", 2, at(4), None, False, False, "ada"),
        ]
        assert spans(lines).holder("live", at(2)) == ()

    def test_a_rungs_alias_is_told_only_where_its_version_stands_elsewhere(self) -> None:
        lines = [
            self.line(1, "transition.done", {1: "None"}, {1: "Production champion"}),
            self.line(3, known.STAGE, {1: "Production champion"}, {1: "Archived champion"}),
            self.line(
                5, "transition.done",
                {1: "Archived champion", 2: "None"}, {1: "Archived", 2: "Production champion"},
            ),
        ]  # fmt: skip
        assert self.told(lines, {1: "Archived", 2: "Production champion"}) == [
            ("champion", 1, at(1), at(5), False, False, "ada")
        ]

    def test_what_the_record_does_not_know_is_known_since_now(self) -> None:
        assert self.told([], {1: "None live"}) == [("live", 1, at(100), None, True, False, "")]
        lines = [self.line(1, known.BASELINE, {}, {1: "None live"})]
        gone = ("live", 1, at(1), at(100), True, True, "")
        assert self.told(lines, {1: "None"}) == [gone]
        assert self.told(lines, {}, whole=False) == [(*gone[:3], None, True, False, "")]


class TestUntilNow:
    """The record's spans, beside what is there."""

    @staticmethod
    def told(
        lines: list[Line], stages: dict[int, str], *, whole: bool = True
    ) -> list[tuple[str, int, datetime, datetime | None, bool, bool]]:
        versions = (VersionState(n, stage, updated_at=at(9)) for n, stage in stages.items())
        state = ModelState("wine", tuple(versions))
        found = until_now(spans(lines), state, LADDER, at(100), whole=whole)
        return [(s.rung, s.version, s.since, s.until, s.known_since, s.known_until) for s in found]

    def test_one_follows_the_other(self) -> None:
        lines = [
            line(1, "transition.done", {1: "None"}, {1: "Production"}),
            line(
                5, "transition.done",
                {1: "Production", 2: "None"}, {1: "Archived", 2: "Production"},
            ),
        ]  # fmt: skip
        assert self.told(lines, {1: "Archived", 2: "Production"}) == [
            ("Production", 1, at(1), at(5), False, False),
            ("Production", 2, at(5), None, False, False),
        ]

    def test_what_was_found_at_a_pass_counts(self) -> None:
        lines = [
            line(1, known.BASELINE, {}, {1: "Production"}),
            line(4, known.STAGE, {1: "Production"}, {1: "Archived"}),
            line(6, known.STAGE, {2: "None"}, {2: "Production"}),
        ]
        assert self.told(lines, {1: "Archived", 2: "Production"}) == [
            ("Production", 1, at(1), at(4), True, True),
            ("Production", 2, at(6), None, True, False),
        ]

    def test_what_the_record_does_not_know_is_known_since_mlflow_changed_it(self) -> None:
        assert self.told([], {1: "None", 2: "Production"}) == [
            ("Production", 2, at(9), None, True, False)
        ]

    def test_one_that_left_without_a_line_is_found_gone(self) -> None:
        lines = [line(1, "transition.done", {1: "None"}, {1: "Production"})]
        gone = ("Production", 1, at(1), at(9), False, True)
        assert self.told(lines, {1: "Archived"}) == [gone]
        assert self.told(lines, {}) == [(*gone[:3], at(100), False, True)]
        # Not all versions were read yet: nothing says that it is gone.
        assert self.told(lines, {}, whole=False) == [(*gone[:3], None, False, False)]


def test_who_settles_a_change_moved_nothing_and_when_it_came_there_is_not_known() -> None:
    first = line(1, "transition.done", {2: "None"}, {2: "Production"})
    moves = line(
        2, "transition.done", {1: "None", 2: "Production"}, {1: "Production", 2: "Archived"}
    )
    for details in ({"begun_by": "anna"}, {"begun_by": "ada", "settled": True}):
        settled = replace(moves, entry=replace(moves.entry, details=details))
        left, came, _ = spans([first, settled]).spans
        assert (came.version, came.by, came.known_since) == (1, details["begun_by"], True)
        assert not came.outside
        assert (left.version, left.known_since, left.known_until) == (2, False, True)
    ended = replace(moves, entry=replace(moves.entry, details={"begun_by": "ada"}))
    left, came, _ = spans([first, ended]).spans
    assert (came.known_since, left.known_until) == (False, False)


def test_what_was_found_gone_is_known_until_it_was_seen_last() -> None:
    gone = line(5, known.STAGE, {1: "Production"}, {1: "Archived"})
    entry = replace(gone.entry, details={"last_known": at(4).isoformat()})
    told = spans(
        [
            line(1, "transition.done", {1: "None"}, {1: "Production"}),
            replace(gone, entry=entry),
        ]
    )
    (span,) = told.holder("Production", at(4.5))
    assert (span.until, span.known_until, span.last_known) == (at(5), True, at(4))


def test_what_stands_under_a_number_later_is_something_else() -> None:
    told = spans(
        [
            line(1, "transition.done", {1: "None", 2: "None"}, {1: "Staging", 2: "Production"}),
            line(2, known.DELETED, {1: "Staging"}, {}),
            line(3, known.SOURCE, {2: "Production"}, {2: "Production"}),
        ]
    )
    assert told.replaced == {1: 2, 2: 3}
    assert told.standing(2, "Production") is not None
    assert told.standing(1, "Staging") is None


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
