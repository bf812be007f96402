"""What a transition would change, decided before anything is written."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.errors import InvalidInput, NotFound
from core.registry.ladder import LADDER
from core.registry.plan import (
    ModelState,
    Step,
    StepKind,
    VersionState,
    Wanted,
    differences,
    plan_transition,
    see,
    touched,
)
from core.registry.record import Kind, Placement, State, Transition
from core.registry.settling import Way, verdict

TAG = LADDER.tag
STAGES = ("None", "Staging", "Production", "Archived")
RUNG_ALIASES = ("challenger", "champion")


def state(*versions: tuple[str, tuple[str, ...]], tags: dict[int, str] | None = None) -> ModelState:
    """A model whose versions 1, 2, … have these stages and aliases."""
    tagged = tags or {}
    return ModelState(
        "wine",
        tuple(
            VersionState(n, stage, aliases, {TAG: tagged[n]} if n in tagged else {})
            for n, (stage, aliases) in enumerate(versions, 1)
        ),
    )


def plan(before: ModelState, version: int, rung: str, *, archive: bool = True) -> tuple[Step, ...]:
    return plan_transition(before, Wanted("wine", version, rung, archive), LADDER)


def sentences(steps: tuple[Step, ...]) -> list[str]:
    return [step.sentence for step in steps if step.kind is not StepKind.SET_TAG]


def write(before: ModelState, step: Step) -> ModelState:
    """What MLflow does with one write: an alias points at one version, the rest stays.

    Written apart from ``Step.on``, which is compared with it.
    """
    after = []
    for version in before.versions:
        mine = version.version == step.version
        aliases = set(version.aliases)
        if step.kind in (StepKind.SET_ALIAS, StepKind.DELETE_ALIAS):
            aliases.discard(step.value)
        if mine and step.kind is StepKind.SET_ALIAS:
            aliases.add(step.value)
        stage, tags = version.stage, dict(version.tags)
        if mine and step.kind is StepKind.SET_STAGE:
            stage = step.value
        if mine and step.kind is StepKind.SET_TAG:
            tags[step.key] = step.value
        if mine and step.kind is StepKind.DELETE_TAG:
            tags.pop(step.key, None)
        after.append(replace(version, stage=stage, aliases=tuple(sorted(aliases)), tags=tags))
    return replace(before, versions=tuple(after))


def every_moment(before: ModelState, steps: tuple[Step, ...]) -> Iterator[ModelState]:
    """The state before, after each write, and at the end."""
    yield before
    for step in steps:
        before = write(before, step)
        yield before


def holders(at: ModelState, rung: str) -> tuple[int, ...]:
    return at.on(LADDER.rung(rung), LADDER)


def small_states() -> Iterator[ModelState]:
    """Three versions: every mixture of stages, and of who carries each of the rungs' aliases."""
    for stages in itertools.product(STAGES, repeat=3):
        for carriers in itertools.product((0, 1, 2, 3), repeat=2):
            yield state(
                *(
                    (
                        stage,
                        tuple(
                            a for a, n in zip(RUNG_ALIASES, carriers, strict=True) if n == number
                        ),
                    )
                    for number, stage in enumerate(stages, 1)
                )
            )


def test_the_first_promotion_sets_stage_alias_and_tag() -> None:
    steps = plan(state(("None", ())), 1, "Production")
    assert [s.sentence for s in steps] == [
        "v1 → Production",
        "alias champion → v1",
        f"tag {TAG} of v1 → Production",
    ]


def test_a_promotion_moves_the_alias_before_the_earlier_holder_is_archived() -> None:
    steps = plan(state(("Production", ("champion",)), ("None", ())), 2, "Production")
    assert sentences(steps) == ["v2 → Production", "alias champion v1 → v2", "v1 → Archived"]


def test_the_tag_of_the_wanted_version_is_written_last_so_that_the_webhook_tells_of_all() -> None:
    steps = plan(state(("Production", ("champion",)), ("None", ())), 2, "Production")
    assert [(s.kind, s.version, s.value) for s in steps[-2:]] == [
        (StepKind.SET_TAG, 1, "Archived"),
        (StepKind.SET_TAG, 2, "Production"),
    ]


def test_the_tag_is_written_again_with_a_change_even_where_it_says_so_already() -> None:
    steps = plan(state(("None", ()), tags={1: "Production"}), 1, "Production")
    assert steps[-1].kind is StepKind.SET_TAG


def test_without_archiving_the_earlier_holder_stays_and_only_the_alias_moves() -> None:
    before = state(("Production", ("champion",)), ("None", ()))
    assert sentences(plan(before, 2, "Production", archive=False)) == [
        "v2 → Production",
        "alias champion v1 → v2",
    ]


def test_a_promotion_from_staging_leaves_the_challenger_alias_behind() -> None:
    before = state(("Production", ("champion",)), ("Staging", ("challenger",)))
    assert sentences(plan(before, 2, "Production")) == [
        "alias challenger taken from v2",
        "v2 → Production",
        "alias champion v1 → v2",
        "v1 → Archived",
    ]


def test_a_demotion_takes_the_alias_first() -> None:
    before = state(("Production", ("champion",)))
    assert sentences(plan(before, 1, "Archived")) == [
        "alias champion taken from v1",
        "v1 → Archived",
    ]


def test_all_earlier_holders_are_archived_also_one_that_holds_by_its_alias_alone() -> None:
    before = state(("Production", ()), ("None", ("champion",)), ("None", ()))
    assert sentences(plan(before, 3, "Production")) == [
        "v3 → Production",
        "alias champion v2 → v3",
        "v1 → Archived",
        "v2 → Archived",
    ]


def test_an_archived_version_that_still_carries_the_alias_loses_it_to_the_new_holder() -> None:
    before = state(("Archived", ("champion",)), ("None", ()))
    assert sentences(plan(before, 2, "Production")) == [
        "v2 → Production",
        "alias champion v1 → v2",
    ]


def test_an_archived_version_that_is_archived_again_loses_the_alias_it_should_not_carry() -> None:
    steps = plan(state(("Archived", ("champion",))), 1, "Archived")
    assert sentences(steps) == ["alias champion taken from v1"]


@pytest.mark.parametrize("rung", ["None", "Archived"])
def test_archiving_has_no_effect_where_many_versions_may_stand(rung: str) -> None:
    before = state((rung, ()), ("Production", ()))
    assert sentences(plan(before, 2, rung)) == [f"v2 → {rung}"]


def test_aliases_that_belong_to_no_rung_are_left_alone() -> None:
    before = state(("Production", ("blue", "champion")), ("None", ("green",)))
    after = list(every_moment(before, plan(before, 2, "Production")))[-1]
    assert after.carrier("blue") == 1
    assert after.carrier("green") == 2


def test_nothing_to_do_where_all_is_as_wanted() -> None:
    before = state(("Production", ("champion",)), tags={1: "Production"})
    assert plan(before, 1, "Production") == ()


def test_only_what_is_missing_is_written() -> None:
    before = state(("Production", ()), tags={1: "Production"})
    assert sentences(plan(before, 1, "Production")) == ["alias champion → v1"]


@pytest.mark.parametrize("name", ["production", "PRODUCTION", " Production "])
def test_stages_are_taken_in_any_case(name: str) -> None:
    before = state(("production", ("champion",)), tags={1: "Production"})
    assert plan(before, 1, name) == ()


def test_a_version_or_a_rung_that_does_not_exist_is_refused() -> None:
    with pytest.raises(NotFound, match="no version 9"):
        plan(state(("None", ())), 9, "Production")
    with pytest.raises(InvalidInput, match="Golden"):
        plan(state(("None", ())), 1, "Golden")


@pytest.mark.parametrize("rung", STAGES)
@pytest.mark.parametrize("archive", [True, False])
def test_from_every_small_state_the_plan_ends_as_wanted(rung: str, archive: bool) -> None:
    target = LADDER.rung(rung)
    for before in small_states():
        steps = plan(before, 1, rung, archive=archive)
        after = list(every_moment(before, steps))[-1]
        assert after.version(1).stage == rung
        assert after.version(1).tags[TAG] == rung
        assert all(step.in_effect(after) for step in steps)
        assert plan(after, 1, rung, archive=archive) == ()
        if target.alias:
            assert after.carrier(target.alias) == 1
        if target.exclusive and archive:
            assert holders(after, rung) == (1,)
        for other in LADDER.rungs:
            if other.alias and other != target:
                assert other.alias not in after.version(1).aliases


@pytest.mark.parametrize("rung", STAGES)
@pytest.mark.parametrize("archive", [True, False])
def test_at_every_moment_of_the_way_nobody_loses_what_they_read(rung: str, archive: bool) -> None:
    target = LADDER.rung(rung)
    for before in small_states():
        steps = plan(before, 1, rung, archive=archive)
        held, carried = holders(before, rung), before.carrier(target.alias)
        most = max(len(held), len({*held, 1}))
        alias_strayed = carried is not None and carried not in held
        for now in every_moment(before, steps):
            if held:
                assert holders(now, rung), "a rung that was held is never empty"
            if carried:
                assert now.carrier(target.alias), "an alias that moves is never missing"
                if not alias_strayed:
                    assert now.carrier(target.alias) in holders(now, rung)
            if target.exclusive:
                assert len(holders(now, rung)) <= most, "never more than the old and the new"


@pytest.mark.parametrize("rung", STAGES)
def test_every_step_changes_something_and_touches_only_what_it_must(rung: str) -> None:
    for before in small_states():
        steps = plan(before, 1, rung)
        moments = list(every_moment(before, steps))
        for step, was, became in zip(steps, moments, moments[1:], strict=False):
            if step.kind is not StepKind.SET_TAG:
                assert was != became
        untouched = {1, 2, 3} - set(touched(steps))
        for number in untouched:
            assert moments[-1].version(number) == before.version(number)


def test_a_step_survives_the_record() -> None:
    for step in plan(state(("Production", ("champion",)), ("None", ())), 2, "Production"):
        assert Step.from_json(step.as_json()) == step


def test_what_a_person_saw_is_compared_with_what_is_there() -> None:
    looked = state(("Production", ("champion",)), ("None", ()), ("None", ()))
    wanted = Wanted("wine", 2, "Production", expected=see(looked, 2, "Production", LADDER))
    assert differences(looked, wanted, LADDER) == ()

    promoted = list(every_moment(looked, plan(looked, 3, "Production")))[-1]
    changed = differences(promoted, wanted, LADDER)
    assert [(d.version, d.rung) for d in changed] == [(1, "Archived"), (3, "Production")]

    archived = list(every_moment(looked, plan(looked, 2, "Archived")))[-1]
    assert [(d.version, d.rung) for d in differences(archived, wanted, LADDER)] == [(2, "Archived")]

    alias_moved = write(looked, Step(StepKind.SET_ALIAS, 3, "champion"))
    bare = state(("Production", ()), ("None", ()), ("None", ()))
    found = differences(alias_moved, wanted, LADDER)
    assert [(d.version, d.rung, d.alias) for d in found] == [(3, "Production", "")]
    assert [(d.version, d.alias) for d in differences(bare, wanted, LADDER)] == [(0, "champion")]

    gone = ModelState("wine", looked.versions[1:])
    assert [(d.version, d.rung) for d in differences(gone, wanted, LADDER)] == [(1, "")]


def test_without_expectations_nothing_is_compared() -> None:
    assert differences(state(("None", ())), Wanted("wine", 1, "Production"), LADDER) == ()


def test_other_versions_on_a_rung_for_many_are_no_difference() -> None:
    looked = state(("Production", ()), ("None", ()))
    wanted = Wanted("wine", 1, "Archived", expected=see(looked, 1, "Archived", LADDER))
    assert differences(state(("Production", ()), ("Archived", ())), wanted, LADDER) == ()


# ------------------------------------------------------------------------------ broken off


def broken_off(before: ModelState, rung: str, *, archive: bool = True) -> Transition:
    """A transition of version 1 to a rung that was begun and not ended."""
    steps = plan(before, 1, rung, archive=archive)
    concerned = {1, *touched(steps)}
    placements = {
        v.version: Placement(LADDER.standing(v.stage, v.aliases, v.tags).name, v.stage, v.aliases)
        for v in before.versions
        if v.version in concerned
    }
    return Transition(
        id="t", store="s", model="wine", version=1, kind=Kind.RUNG, wanted=rung,
        archive_existing=archive, actor="anna", comment="", state=State.APPLYING, token=1,
        steps=steps, before=placements, after=None, message="",
        begun_at=datetime(2026, 1, 1, tzinfo=UTC), ended_at=None,
    )  # fmt: skip


def done_with(now: ModelState, steps: tuple[Step, ...]) -> ModelState:
    return list(every_moment(now, steps))[-1]


@pytest.mark.parametrize("rung", STAGES)
@pytest.mark.parametrize("archive", [True, False])
def test_what_broke_off_anywhere_is_finished_or_taken_back_without_a_trace(
    rung: str, archive: bool
) -> None:
    for before in small_states():
        row = broken_off(before, rung, archive=archive)
        if not row.steps:
            continue
        moments = list(every_moment(before, row.steps))
        for now in moments[:-1]:
            on = verdict(row, now, LADDER, holds=True)
            assert done_with(now, on.steps) == moments[-1]
            back = verdict(row, now, LADDER, holds=False)
            if back.way is not Way.DONE:
                assert back.way is Way.TAKE_BACK
                assert done_with(now, back.steps) == before
        assert verdict(row, moments[-1], LADDER, holds=False).way is Way.DONE


def test_a_write_is_foreseen_as_mlflow_makes_it() -> None:
    for before in small_states():
        for step in plan(before, 1, "Production"):
            assert step.on(before) == write(before, step)
            back = step.taken_back()
            assert back.on(before) == write(before, back)


def test_nothing_more_is_written_where_somebody_else_changed_the_same() -> None:
    before = state(("Production", ("champion",)), ("None", ()), ("None", ()))
    row = replace(
        broken_off(before, "Production"), version=2, steps=plan(before, 2, "Production"),
        before={1: Placement("Production", "Production", ("champion",)),
                2: Placement("None", "None", ())},
    )  # fmt: skip
    half = done_with(before, row.steps[:2])
    foreign = {
        "stage": write(half, Step(StepKind.SET_STAGE, 1, "Staging")),
        "alias": write(half, Step(StepKind.SET_ALIAS, 3, "champion")),
        "rung": write(half, Step(StepKind.SET_ALIAS, 1, "challenger")),
        "tag": write(half, Step(StepKind.SET_TAG, 2, "Shadow", key=TAG)),
        "gone": ModelState("wine", half.versions[:1]),
    }
    for meddled in foreign.values():
        assert verdict(row, meddled, LADDER, holds=True).way is Way.LEAVE
    # An alias of the team's own is nobody's business, and another on the rung is somebody else.
    blue = write(half, Step(StepKind.SET_ALIAS, 2, "blue"))
    assert verdict(row, blue, LADDER, holds=True).way is Way.FINISH
    third = write(half, Step(StepKind.SET_STAGE, 3, "Production"))
    assert verdict(row, third, LADDER, holds=True).way is Way.TAKE_BACK
