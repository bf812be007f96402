"""What is remembered: while nothing has changed, within a bound, and never an error."""

import pytest

from core.runs.memory import Memory, bytes_of
from core.runs.names import Name, Names
from core.runs.query import RunQuery, query
from tests.small_mirror import READABLE, a_run, mirror_of


def test_an_answer_is_asked_for_once_a_revision() -> None:
    memory = Memory()
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        return len(asked)

    assert [memory.get("q", 1, ask), memory.get("q", 1, ask), memory.get("q", 2, ask)] == [1, 1, 2]
    assert not memory.has("q", 1), "an old answer makes room for the new one"
    assert memory.has("q", 2)
    memory.clear()
    assert not memory.has("q", 2)


def test_an_error_is_not_remembered() -> None:
    memory = Memory()
    with pytest.raises(ZeroDivisionError):
        memory.get("q", 1, lambda: 1 // 0)
    assert memory.get("q", 1, lambda: 5) == 5


def test_what_was_used_longest_ago_goes_first() -> None:
    memory = Memory(most=3500)
    for question in "abc":
        memory.get(question, 1, lambda: 0)
    memory.get("a", 1, lambda: 0)
    memory.get("d", 1, lambda: 0)
    assert [memory.has(q, 1) for q in "abcd"] == [True, False, True, True]


def test_tables_weigh_what_they_hold() -> None:
    mirror = mirror_of([a_run(f"r{i}", i, metrics={"m": 1.0}) for i in range(500)])
    small, large = (query(mirror, RunQuery(limit=n), READABLE) for n in (5, 500))
    assert bytes_of(large) > 10 * bytes_of(small) / 2
    assert bytes_of(large) > 500 * 100
    many = Names(1, tuple(Name("metrics", f"m{i}", 1, 1, 1, 0, 0) for i in range(1000)))
    assert bytes_of(many) > 100_000
    mirror.close()
