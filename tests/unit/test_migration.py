"""Off the deprecated stages: what is written, what is left, and that nothing reads differently."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.contradictions import contradictions
from core.registry.ladder import LADDER, NO_STAGE, Ladder
from core.registry.migration import Migration, plan_migration, without_stages
from core.registry.plan import ModelState, VersionState
from tests.unit.test_custom_ladders import LADDERS, states
from tests.unit.test_transitions import every_moment, state


def twin(ladder: Ladder) -> Ladder:
    """The same ladder without stages."""
    return replace(ladder, rungs=tuple(replace(r, stage=NO_STAGE) for r in ladder.rungs))


def written(before: ModelState, planned: Migration) -> ModelState:
    """What is there once all was written."""
    for writing in planned.writings:
        before = [*every_moment(before, writing.steps)][-1]
    return before


def standings(at: ModelState, ladder: Ladder) -> dict[int, str]:
    return {v.version: ladder.standing(v.stage, v.aliases, v.tags).name for v in at.versions}


@pytest.mark.parametrize("name", LADDERS)
@given(data=st.data())
def test_nothing_stands_elsewhere_afterwards_with_stages_or_without(
    name: str, data: st.DataObject
) -> None:
    ladder = LADDERS[name]
    before = data.draw(states(ladder))
    planned = plan_migration(before, ladder)
    after = written(before, planned)
    assert standings(after, ladder) == standings(before, ladder)
    assert plan_migration(after, ladder).writings == ()
    assert set(contradictions(after, ladder)) <= set(contradictions(before, ladder))
    bare, left = twin(ladder), {one.version for one in planned.left}
    wanted = {n: rung for n, rung in standings(before, ladder).items() if n not in left}
    read = standings(after, bare)
    assert {n: read[n] for n in wanted} == wanted
    # The ladder without stages takes them away, and still everything stands where it stood.
    cleared = plan_migration(after, bare)
    at_last = written(after, cleared)
    read = standings(at_last, bare)
    assert {n: read[n] for n in wanted} == wanted
    kept = {one.version for one in cleared.left}
    stages = {v.version: v.stage for v in at_last.versions}
    assert all(stages[n] == NO_STAGE for n in wanted if n not in kept)
    assert kept <= left


@pytest.mark.parametrize("name", LADDERS)
@given(data=st.data())
def test_what_disagrees_is_left_exactly_as_it_is(name: str, data: st.DataObject) -> None:
    ladder = LADDERS[name]
    before = data.draw(states(ladder))
    planned = plan_migration(before, ladder)
    left = {one.version for one in planned.left}
    assert not left & {writing.version for writing in planned.writings}
    after = written(before, planned)
    assert all(after.version(n) == before.version(n) for n in left)


def test_the_usual_store_gets_its_aliases_and_tags() -> None:
    before = state(("Archived", ()), ("Production", ()), ("Staging", ()), ("None", ()))
    planned = plan_migration(before, LADDER)
    assert [[s.sentence for s in w.steps] for w in planned.writings] == [
        ["tag modeldeck.stage of v1 → Archived"],
        ["alias champion → v2", "tag modeldeck.stage of v2 → Production"],
        ["alias challenger → v3", "tag modeldeck.stage of v3 → Staging"],
    ]
    assert (planned.left, planned.staged, planned.done) == ((), 3, False)
    after = written(before, planned)
    assert plan_migration(after, LADDER).done
    cleared = plan_migration(after, twin(LADDER))
    assert [next(s.sentence for s in w.steps) for w in cleared.writings] == [
        "v1 → None", "v2 → None", "v3 → None",
    ]  # fmt: skip


def test_what_nobody_but_a_person_can_decide_is_named() -> None:
    two = plan_migration(state(("Production", ()), ("Production", ())), LADDER)
    assert [one.sentence for one in two.left] == [
        "v1 and v2 stand on Production, and the alias champion names one alone: decide which.",
        "v2 and v1 stand on Production, and the alias champion names one alone: decide which.",
    ]
    strayed = plan_migration(state(("Production", ()), ("Staging", ("champion",))), LADDER)
    assert [one.sentence for one in strayed.left] == [
        "v1 stands on Production, and its alias champion is carried by v2.",
        (
            "v2 stands on Staging by its stage, and carries the alias champion, which belongs to "
            "Production."
        ),
    ]
    lost = plan_migration(state(("Production", ())), twin(LADDER))
    assert lost.writings == ()
    assert "neither an alias nor the tag says so" in lost.left[0].sentence


def test_a_store_without_stages_has_nothing_to_do() -> None:
    alone = ModelState("wine", (VersionState(1, "None", ("champion",)), VersionState(2, "")))
    assert plan_migration(alone, LADDER) == Migration("wine")
    assert without_stages(twin(LADDER))
    assert not without_stages(LADDER)
