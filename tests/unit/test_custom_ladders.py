"""Ladders of one's own: by stages alone, by aliases alone, or by both; and marks that disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.contradictions import contradictions
from core.registry.ladder import LADDER, Ladder, Rung
from core.registry.plan import ModelState, VersionState, Wanted, plan_transition
from tests.unit.test_transitions import every_moment

STAGES = ("None", "Staging", "Production", "Archived")


def ladder(**marks: tuple[str, str | None]) -> Ladder:
    """Rungs between None and Archived, with (stage, alias) of each."""
    archived = marks.pop("Archived", ("Archived", None))
    rungs = [Rung(name, stage, alias, exclusive=True) for name, (stage, alias) in marks.items()]
    return Ladder(
        (Rung("None", "None"), *rungs, Rung("Archived", *archived)), "Archived", "team.rung"
    )


BOTH = ladder(
    QA=("Staging", "qa"),
    Staging=("Staging", "challenger"),
    Shadow=("Production", "shadow"),
    Production=("Production", "champion"),
)
BY_STAGES = ladder(
    QA=("Staging", None),
    Staging=("Staging", None),
    Shadow=("Production", None),
    Production=("Production", None),
)
BY_ALIASES = ladder(
    QA=("None", "qa"),
    Staging=("None", "challenger"),
    Shadow=("None", "shadow"),
    Production=("None", "champion"),
    Archived=("None", None),
)
MIXED = ladder(
    QA=("None", "qa"),
    Production=("Production", "champion"),
    Archived=("None", None),
)
LADDERS = {"default": LADDER, "both": BOTH, "stages": BY_STAGES, "aliases": BY_ALIASES,
           "mixed": MIXED}  # fmt: skip


@st.composite
def states(draw: st.DrawFn, on: Ladder) -> ModelState:
    """One to four versions with any marks that MLflow would let them have."""
    count = draw(st.integers(1, 4))
    aliases = [r.alias for r in on.rungs if r.alias] + ["blue"]
    carriers = {alias: draw(st.integers(0, count)) for alias in aliases}
    tags = st.sampled_from([None, "Golden", *(r.name for r in on.rungs)])
    versions = []
    for number in range(1, count + 1):
        tag = draw(tags)
        versions.append(
            VersionState(
                number,
                draw(st.sampled_from(STAGES)),
                tuple(sorted(a for a, n in carriers.items() if n == number)),
                {on.tag: tag} if tag else {},
            )
        )
    return ModelState("wine", tuple(versions))


@pytest.mark.parametrize("name", LADDERS)
@given(data=st.data())
def test_any_move_on_any_ladder_ends_as_wanted_and_at_peace_with_itself(
    name: str, data: st.DataObject
) -> None:
    on = LADDERS[name]
    before = data.draw(states(on))
    number = data.draw(st.sampled_from([v.version for v in before.versions]))
    rung = data.draw(st.sampled_from(on.rungs))
    wanted = Wanted("wine", number, rung.name, archive_existing=data.draw(st.booleans()))
    steps = plan_transition(before, wanted, on)
    moments = list(every_moment(before, steps))
    after = moments[-1]
    assert number in after.on(rung, on)
    assert after.version(number).tags[on.tag] == rung.name
    assert plan_transition(after, wanted, on) == ()
    assert all(step.in_effect(after) for step in steps)
    assert not [c for c in contradictions(after, on) if c.version == number]
    if wanted.archive_existing and rung.exclusive:
        assert after.on(rung, on) == (number,)
    if before.on(rung, on) and rung.exclusive:
        assert all(moment.on(rung, on) for moment in moments), "a held rung is never empty"
    if rung.alias and before.carrier(rung.alias):
        assert all(moment.carrier(rung.alias) for moment in moments)


@pytest.mark.parametrize("name", LADDERS)
def test_up_the_whole_ladder_and_off_it_leaves_no_contradiction(name: str) -> None:
    on = LADDERS[name]
    now = ModelState("wine", tuple(VersionState(n, "None") for n in (1, 2)))
    for archive in (True, False):
        for rung in [*on.rungs, on.rungs[0]]:
            for number in (1, 2):
                wanted = Wanted("wine", number, rung.name, archive_existing=archive)
                now = [*every_moment(now, plan_transition(now, wanted, on))][-1]
                assert number in now.on(rung, on)
                assert contradictions(now, on) == ()


@pytest.mark.parametrize(
    ("on", "stage", "aliases", "tag", "rung"),
    [
        # Two rungs share a stage: the alias tells them apart, then the tag, then the lower holds.
        (BOTH, "Staging", ("challenger",), "", "Staging"),
        (BOTH, "Staging", ("challenger",), "QA", "Staging"),
        (BOTH, "Staging", (), "Staging", "Staging"),
        (BOTH, "Staging", (), "", "QA"),
        (BOTH, "Production", ("shadow",), "", "Shadow"),
        # The stage decides against an alias of another.
        (BOTH, "Staging", ("champion",), "", "QA"),
        (LADDER, "Staging", ("champion",), "", "Staging"),
        # Aliases alone: who carries the alias stands there, and nobody else.
        (BY_ALIASES, "None", ("shadow",), "", "Shadow"),
        (BY_ALIASES, "None", (), "Production", "None"),
        (BY_ALIASES, "None", (), "Archived", "Archived"),
        (BY_ALIASES, "None", ("qa", "champion"), "QA", "Production"),
        # A stage that the ladder does without counts as none.
        (BY_ALIASES, "Production", ("champion",), "", "Production"),
        (BY_ALIASES, "Production", (), "", "None"),
        (BY_ALIASES, "Archived", (), "Archived", "Archived"),
        (MIXED, "Staging", ("qa",), "", "QA"),
        (MIXED, "Production", ("qa",), "", "Production"),
        # Stages alone: aliases say nothing.
        (BY_STAGES, "Production", ("champion",), "Production", "Production"),
        (BY_STAGES, "None", ("champion",), "", "None"),
    ],
)
def test_where_a_version_stands(
    on: Ladder, stage: str, aliases: tuple[str, ...], tag: str, rung: str
) -> None:
    assert on.standing(stage, aliases, {on.tag: tag}).name == rung


def one(stage: str, aliases: tuple[str, ...] = (), tag: str = "", on: Ladder = LADDER) -> list[str]:
    tags = {on.tag: tag} if tag else {}
    found = contradictions(ModelState("wine", (VersionState(3, stage, aliases, tags),)), on)
    return [c.sentence for c in found]


def test_marks_that_disagree_are_named() -> None:
    assert one("Staging", ("champion",)) == [
        (
            "v3 stands on Staging by its stage, and carries the alias champion, which belongs to "
            "Production."
        )
    ]
    assert one("None", ("challenger", "champion")) == [
        "v3 stands on Production, and carries also the alias challenger, which belongs to Staging."
    ]
    assert one("Production", ("champion",), "Staging") == [
        "v3 stands on Production, and its tag modeldeck.stage says Staging."
    ]
    assert one("Production", ("champion",), "Production", on=BY_ALIASES) == [
        (
            "v3 is in MLflow's stage Production, which no rung of the ladder has; it counts as "
            "Production."
        )
    ]


@pytest.mark.parametrize(
    ("stage", "aliases", "tag"),
    [
        ("Production", (), ""),
        ("None", ("champion",), ""),
        ("Production", ("champion",), "Production"),
        ("Staging", ("blue",), ""),
        ("None", (), ""),
    ],
)
def test_a_mark_that_is_missing_contradicts_nothing(
    stage: str, aliases: tuple[str, ...], tag: str
) -> None:
    assert one(stage, aliases, tag) == []
