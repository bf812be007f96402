"""Each gate over evidence, and how they are judged together."""

import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.registry.gates import Evidence, Gate, Result, Status, Verdict, all_gates, judge, needs
from core.registry.gates import options as gate_options
from core.registry.gates.evidence import Answered, Pins, Side
from core.registry.gates.finding import title, with_own
from core.registry.gates.gate import PARTS
from core.registry.policy import RULES, GateUse, Level, Policy
from core.texts import has

NOW = datetime(2026, 3, 3, 14, tzinfo=UTC)
CARD = {"purpose": "a", "data": "b", "owner": "c", "limits": "d", "review_date": "2026-09-01"}
RADIUS = {"name": "radius", "type": "double", "required": True, "shape": None}


def side(version: int = 2, **more: Any) -> Side:
    return Side(version, "run", "forest", "models:/m-1", "ada", NOW, NOW, **more)


def evidence(challenger: Side | None = None, holder: Side | None = None, **more: Any) -> Evidence:
    return Evidence("wine", "Production", NOW, challenger or side(), holder, **more)


def ask(gate: str, seen: Evidence, level: Level = Level.BLOCK, **options: Any) -> Result:
    return judge(seen, Policy(gates=(GateUse(gate, level, options),)))[0]


# ------------------------------------------------------------------------------ metric_threshold


@pytest.mark.parametrize(
    ("value", "options", "status", "words"),
    [
        (0.9, {"at_least": 0.9}, Status.PASS, "accuracy is 0.9000; at least 0.9 is asked."),
        (0.89, {"at_least": 0.9}, Status.FAIL, "accuracy is 0.8900; at least 0.9 is asked."),
        (3.0, {"at_most": 2}, Status.FAIL, "accuracy is 3; at most 2 is asked."),
        (1.0, {"at_least": 0, "at_most": 2}, Status.PASS, "at least 0 and at most 2"),
        (None, {"at_least": 0.9}, Status.UNKNOWN, "accuracy of version 2 is NaN."),
        (math.nan, {"at_most": 0.9}, Status.UNKNOWN, "accuracy of version 2 is NaN."),
        (1.7976931348623157e308, {"at_least": 0.9}, Status.UNKNOWN, "infinite"),
    ],
)
def test_a_metric_within_bounds(
    value: float | None, options: dict[str, float], status: Status, words: str
) -> None:
    found = ask("metric_threshold", evidence(side(metrics={"accuracy": value})),
                metric="accuracy", **options)  # fmt: skip
    assert found.status is status
    assert words in found.reason
    assert found.blocks is (status is not Status.PASS)


def test_a_metric_that_is_missing_is_no_pass() -> None:
    found = ask("metric_threshold", evidence(), metric="auc", at_least=0.1)
    assert (found.status, found.reason) == (
        Status.UNKNOWN,
        "Version 2 has no metric auc.",
    )


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.floats(-10, 10))
def test_the_bound_itself_passes_and_nothing_below_it(value: float, bound: float) -> None:
    seen = evidence(side(metrics={"m": value}))
    low = ask("metric_threshold", seen, metric="m", at_least=bound).status is Status.PASS
    high = ask("metric_threshold", seen, metric="m", at_most=bound).status is Status.PASS
    assert low is (value >= bound)
    assert high is (value <= bound)
    assert low or high


# ---------------------------------------------------------------------------- better_than_holder


def against(new: float | None, old: float | None, **more: Any) -> Result:
    seen = evidence(side(metrics={"m": new}), side(1, metrics={"m": old}))
    return ask("better_than_holder", seen, metric="m", **more)


@pytest.mark.parametrize(
    ("new", "old", "options", "status"),
    [
        (0.962, 0.951, {}, Status.PASS),
        (0.951, 0.951, {}, Status.FAIL),
        (0.962, 0.951, {"by": 0.011}, Status.PASS),
        (0.962, 0.951, {"by": 0.012}, Status.FAIL),
        (0.3, 0.4, {"better": "lower"}, Status.PASS),
        (0.5, 0.4, {"better": "lower"}, Status.FAIL),
        (0.95, 0.951, {"by": -0.01}, Status.PASS),
        (0.93, 0.951, {"by": -0.01}, Status.FAIL),
        (None, 0.951, {}, Status.UNKNOWN),
        (0.962, None, {}, Status.UNKNOWN),
        (0.962, 0.951, {"replicates": True}, Status.UNKNOWN),
    ],
)
def test_better_than_the_holder_by_single_runs(
    new: float | None, old: float | None, options: dict[str, Any], status: Status
) -> None:
    assert against(new, old, **options).status is status


def test_the_sentence_has_both_values_and_admits_chance() -> None:
    found = against(0.962, 0.951, by=0.005)
    assert found.reason == (
        "m is 0.962 against 0.951 of v1 in Production: better by 0.011; a gain of at least 0.005 "
        "is asked. One value each, so chance is not ruled out."
    )
    assert found.inputs["holder_version"] == 1


def test_replicates_bring_an_interval_that_must_lie_beyond() -> None:
    new, old = (0.90, 0.91, 0.92, 0.91), (0.80, 0.82, 0.81, 0.80)
    seen = evidence(
        side(metrics={"m": 0.9}, replicates={"m": new}),
        side(1, metrics={"m": 0.8}, replicates={"m": old}),
    )
    clear = ask("better_than_holder", seen, metric="m", by=0.05)
    assert clear.status is Status.PASS
    assert clear.inputs["low"] > 0.05
    assert "95 % interval" in clear.reason
    # The means differ by more than 0.1, and the interval reaches below it.
    assert ask("better_than_holder", seen, metric="m", by=0.1).status is Status.FAIL
    assert "m is better by 0.10" in clear.reason
    worse = replace(seen, challenger=seen.holder, holder=seen.challenger)
    lost = ask("better_than_holder", worse, metric="m")
    assert lost.status is Status.FAIL
    assert "m is worse by 0.10" in lost.reason
    assert "95 % interval of the gain -0.1" in lost.reason
    lower = ask("better_than_holder", worse, metric="m", better="lower", by=0.05)
    assert (lower.status, lower.inputs["by"]) == (Status.PASS, clear.inputs["by"])


def test_replicates_of_the_same_seeds_are_paired() -> None:
    seeds = ("1", "2", "3", "4")
    seen = evidence(
        side(metrics={"m": 1}, replicates={"m": (1.1, 2.1, 3.2, 4.1)}, replicate_seeds=seeds),
        side(1, metrics={"m": 1}, replicates={"m": (1, 2, 3, 4)}, replicate_seeds=seeds),
    )
    found = ask("better_than_holder", seen, metric="m")
    assert (found.status, found.inputs["test"]) == (Status.PASS, "paired")
    unknown = replace(seen, holder=replace(seen.holder or side(), replicate_seeds=()))
    found = ask("better_than_holder", unknown, metric="m")
    assert (found.status, found.inputs["test"]) == (Status.FAIL, "welch")


def test_where_nobody_holds_the_rung_there_is_nothing_to_compare() -> None:
    for gate, options in (("better_than_holder", {"metric": "m"}), ("signature_compatible", {})):
        found = ask(gate, evidence(), **options)
        assert found.status is Status.NOT_NEEDED
        assert found.passed
        assert "No version stands on Production" in found.reason
        many = ask(gate, evidence(shared=True), **options)
        assert (many.status, "Many versions may stand" in many.reason) == (Status.NOT_NEEDED, True)


# -------------------------------------------------------------------------- signature_compatible


def column(name: str, kind: str = "double", *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "type": kind, "required": required, "shape": None}


def signatures(new: Any, old: Any, new_out: Any = None, old_out: Any = None, **more: Any) -> Result:
    seen = evidence(side(inputs=new, outputs=new_out), side(1, inputs=old, outputs=old_out))
    return ask("signature_compatible", seen, **more)


def test_columns_that_were_added_removed_or_changed_are_named() -> None:
    found = signatures(
        (column("area"), column("radius", "string"), column("age", required=False)),
        (column("radius"), column("texture")),
    )
    assert found.status is Status.FAIL
    assert found.reason == (
        "Callers of the present version would break: input area was added and is required; "
        "radius changed from double to string; input age was added, optional; "
        "input texture was removed."
    )


@pytest.mark.parametrize(
    ("new", "old", "options", "status"),
    [
        ((RADIUS,), (RADIUS,), {}, Status.PASS),
        ((RADIUS,), (RADIUS, column("area")), {}, Status.PASS),
        ((RADIUS,), (RADIUS, column("area")), {"removed": False}, Status.FAIL),
        ((RADIUS, column("area", required=False)), (RADIUS,), {}, Status.PASS),
        ((column("n", "long"),), (column("n", "integer"),), {}, Status.PASS),
        ((column("n", "integer"),), (column("n", "long"),), {}, Status.FAIL),
        ((column("n"),), (column("n", required=False),), {}, Status.FAIL),
        ((column("n", required=False),), (column("n"),), {}, Status.PASS),
        (None, (RADIUS,), {}, Status.FAIL),
        ((RADIUS,), None, {}, Status.NOT_NEEDED),
        (
            ({"name": None, "type": "float64", "required": True, "shape": [-1, 4]},),
            ({"name": None, "type": "float64", "required": True, "shape": [-1, 5]},),
            {},
            Status.FAIL,
        ),
    ],
)
def test_what_callers_can_live_with(
    new: Any, old: Any, options: dict[str, bool], status: Status
) -> None:
    assert signatures(new, old, **options).status is status


def test_a_changed_answer_breaks_callers_unless_that_is_tolerated() -> None:
    inputs, new, old = (RADIUS,), (column("#1", "string"),), (column("#1", "long"),)
    assert signatures(inputs, inputs, new, old).status is Status.FAIL
    assert "output #1 changed from long to string" in signatures(inputs, inputs, new, old).reason
    assert signatures(inputs, inputs, new, old, outputs=False).status is Status.PASS
    assert "output #1 was removed" in signatures(inputs, inputs, (), old).reason


# ------------------------------------------------------------------------------------ the others


def test_the_input_example_is_answered_in_time_and_in_memory() -> None:
    well = Answered(True, rows=3, seconds=0.02, load_seconds=2.0, memory=300_000_000)
    found = ask("example_answered", evidence(example=well))
    assert found.reason == "It answered its example of 3 rows in 20 ms, with 300.0 MB of memory."
    assert found.status is Status.PASS
    assert ask("example_answered", evidence(example=well), seconds=0.01).status is Status.FAIL
    assert ask("example_answered", evidence(example=well), memory_mb=299).status is Status.FAIL
    failed = ask("example_answered", evidence(example=Answered(False, "No module named xgboost.")))
    assert (failed.status, "xgboost" in failed.reason) == (Status.FAIL, True)
    assert ask("example_answered", evidence()).status is Status.UNKNOWN
    unmeasured = evidence(example=replace(well, memory=None))
    assert ask("example_answered", unmeasured).status is Status.UNKNOWN
    assert ask("example_answered", unmeasured, memory_mb=None).status is Status.PASS


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({}, Status.PASS, "All 5 required fields are filled in."),
        ({"owner": " "}, Status.FAIL, "Not filled in: owner."),
        ({"limits": "", "review_date": ""}, Status.FAIL, "Not filled in: limits, review date."),
        ({"review_date": "2026-03-02"}, Status.FAIL, "The review was due on 2026-03-02."),
        ({"review_date": "2026-03-03"}, Status.PASS, "All 5"),
        ({"review_date": "soon"}, Status.FAIL, "soon is no date"),
    ],
)
def test_the_card_is_filled_in_and_its_review_is_to_come(
    change: dict[str, str], status: Status, words: str
) -> None:
    found = ask("card_complete", evidence(card=CARD | change))
    assert (found.status, words in found.reason) == (status, True)


def test_the_age_of_training_and_of_the_newest_data() -> None:
    old = replace(
        side(datasets=({"name": "a", "at": (NOW - timedelta(days=50)).isoformat()},
                       {"name": "b", "at": None})),
        trained_at=NOW - timedelta(days=10, hours=1),
    )  # fmt: skip
    assert ask("age", evidence(old), training_days=11).status is Status.PASS
    assert ask("age", evidence(old), training_days=10).status is Status.FAIL
    found = ask("age", evidence(old), training_days=11, data_days=30)
    assert found.status is Status.FAIL
    assert found.reason == (
        "It was trained 10 days ago. Up to 11 days are allowed. "
        "Its newest data is 50 days old. At most 30 days are allowed."
    )
    unknown = replace(old, trained_at=None, datasets=())
    assert ask("age", evidence(unknown), training_days=11).status is Status.UNKNOWN
    assert ask("age", evidence(unknown), data_days=11).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("days", "most", "status", "words"),
    [
        (30.4, 30, Status.FAIL, "more than 30 days ago. At most 30 days are allowed."),
        (31.0, 30, Status.FAIL, "trained 31 days ago. At most 30 days are allowed."),
        (30.0, 30, Status.PASS, "trained 30 days ago. Up to 30 days are allowed."),
        (0.7, 0.5, Status.FAIL, "more than 0.5 days ago. At most 0.5 days are allowed."),
        (-0.9, 30, Status.PASS, "less than a day ago."),
        (-1.1, 30, Status.UNKNOWN, "trained on 2026-03-04, which is still to come"),
    ],
)
def test_an_age_that_is_just_too_much_or_none_at_all(
    days: float, most: float, status: Status, words: str
) -> None:
    seen = evidence(replace(side(), trained_at=NOW - timedelta(days=days)))
    found = ask("age", seen, training_days=most)
    assert (found.status, words in found.reason) == (status, True)
    assert found.inputs["days"]["training"] == (None if days < -1 else pytest.approx(max(0, days)))


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("2026-02-21", Status.PASS, "10 days old. Up to 30 days"),
        ("2025-02-21T10:00:00+02:00", Status.FAIL, "375 days old. At most 30 days"),
        ("2027-01-01", Status.UNKNOWN, "of 2027-01-01, which is still to come"),
        ("last spring", Status.UNKNOWN, "Nobody knows how old its data is."),
    ],
)
def test_a_run_may_tell_the_age_of_its_data_without_a_data_set(
    said: str, status: Status, words: str
) -> None:
    found = ask("age", evidence(side(data_at=said)), data_days=30)
    assert (found.status, words in found.reason) == (status, True)


def test_the_environment_and_how_it_differs_from_production() -> None:
    assert ask("environment", evidence()).status is Status.UNKNOWN
    alone, beside = evidence(pins=Pins()), evidence(holder=side(1, requirements=()), pins=Pins())
    assert ask("environment", alone).status is Status.PASS
    assert "present version" not in ask("environment", alone).reason
    assert "those of the present version" in ask("environment", beside).reason
    pins = Pins(
        other=(("numpy", "1.26.0", "2.1.0"),), than_holder=(("scikit-learn", "1.5.0", "1.6.1"),)
    )
    found = ask("environment", evidence(pins=pins))
    assert found.status is Status.PASS
    assert "numpy 2.1.0 instead of 1.26.0" in found.reason
    assert "Other than in Production: scikit-learn 1.5.0 → 1.6.1." in found.reason
    assert ask("environment", evidence(pins=pins), same_versions=True).status is Status.FAIL
    assert ask("environment", evidence(pins=pins), as_holder=True).status is Status.FAIL
    missing = ask("environment", evidence(pins=Pins(missing=("xgboost",))))
    assert (missing.status, "xgboost" in missing.reason) == (Status.FAIL, True)
    python = evidence(pins=Pins(python=("3.12", "3.11")))
    assert ask("environment", python).status is Status.FAIL
    assert ask("environment", python, python=False).status is Status.PASS
    unread = Pins(unread=("-r other.txt", "git+https://x/y"))
    unknown = ask("environment", evidence(pins=unread))
    assert unknown.status is Status.UNKNOWN
    assert "-r other.txt, git+https://x/y" in unknown.reason
    assert "installed" not in unknown.reason
    assert unknown.inputs["unread"] == ["-r other.txt", "git+https://x/y"]
    both = evidence(pins=replace(unread, missing=("xgboost",)))
    assert ask("environment", both).status is Status.FAIL
    assert "-r other.txt" in ask("environment", both).reason
    differing = ask("environment", evidence(pins=replace(unread, other=pins.other)))
    assert differing.status is Status.UNKNOWN
    assert "are found" not in differing.reason
    broken = ask("environment", evidence(pins=Pins(broken=("xgboost",))))
    assert (broken.status, "none of its modules" in broken.reason) == (Status.FAIL, True)
    many = evidence(pins=Pins(missing=tuple(f"p{n}" for n in range(20))))
    assert "p7 and 12 more" in ask("environment", many).reason


def test_a_present_version_without_requirements_is_not_said_to_have_the_same() -> None:
    bare = evidence(holder=side(1), pins=Pins())
    for options, status in (({}, Status.PASS), ({"as_holder": True}, Status.UNKNOWN)):
        found = ask("environment", bare, **options)
        assert found.status is status
        assert "v1 has no requirements.txt" in found.reason
        assert "those of the present version" not in found.reason
    worse = replace(bare, pins=Pins(missing=("xgboost",)))
    assert ask("environment", worse, as_holder=True).status is Status.FAIL
    assert ask("environment", evidence(pins=Pins()), as_holder=True).status is Status.PASS


def test_code_in_the_artifact_is_named() -> None:
    assert ask("code_in_artifact", evidence(side(loader_module="mlflow.sklearn"))).passed
    own = evidence(side(code=("code/a.py", "code/b.py"), loader_module="mine.loader"))
    found = ask("code_in_artifact", own)
    assert found.status is Status.FAIL
    assert "3 pieces of code of its own: code/a.py, code/b.py, mine.loader." in found.reason
    allowed = ask("code_in_artifact", own, allow=["code/*", "mine.*"])
    assert allowed.status is Status.PASS
    pickled = ask("code_in_artifact", evidence(side(loader_module="mlflow.pyfunc.model")))
    assert "to load it runs its code" in pickled.reason


def test_drift_is_asked_once_there_is_monitoring() -> None:
    assert ask("drift", evidence()).status is Status.NOT_NEEDED
    for state, status in (("stable", Status.PASS), ("drifting", Status.FAIL), ("", Status.UNKNOWN)):
        found = ask("drift", evidence(drift={"state": state, "said": "PSI 0.31."}))
        assert (found.status, "PSI 0.31." in found.reason) == (status, True)


# --------------------------------------------------------------------------------------- judging


def test_evidence_that_could_not_be_gathered_is_no_pass_and_says_why() -> None:
    seen = evidence(card=CARD, missing={"card": "MLflow did not answer."})
    found = ask("card_complete", seen)
    assert found.status is Status.UNKNOWN
    assert found.reason == (
        "It could not be checked: the model card is missing. MLflow did not answer."
    )


@pytest.mark.parametrize(
    ("part", "gate", "options"),
    [
        ("files", "code_in_artifact", {}),
        ("signature", "code_in_artifact", {}),
        ("signature", "signature_compatible", {}),
        ("holder.signature", "signature_compatible", {}),
        ("holder.pins", "environment", {}),
        ("metrics", "metric_threshold", {"metric": "m", "at_least": 0}),
        ("run", "age", {"training_days": 9}),
        ("holder.metrics", "better_than_holder", {"metric": "m"}),
        ("replicates", "better_than_holder", {"metric": "m"}),
    ],
)
def test_what_was_not_read_does_not_pass_for_what_is_not_there(
    part: str, gate: str, options: dict[str, Any]
) -> None:
    both = side(metrics={"m": 2.0}, inputs=(RADIUS,)), side(1, metrics={"m": 1.0}, inputs=(RADIUS,))
    seen = evidence(*both, pins=Pins())
    assert ask(gate, seen, **options).status is Status.PASS
    unread = ask(gate, replace(seen, missing={part: "MLflow did not answer."}), **options)
    assert unread.status is Status.UNKNOWN
    assert "MLflow did not answer." in unread.reason
    assert ("of the present version" in unread.reason) is part.startswith("holder.")


def test_where_nobody_holds_the_rung_nothing_is_missed_for_a_comparison() -> None:
    seen = evidence(missing={"run": "The version comes from no run.", "signature": "Unreadable."})
    for gate, options in (("better_than_holder", {"metric": "m"}), ("signature_compatible", {})):
        assert ask(gate, seen, **options).status is Status.NOT_NEEDED


def broken(_seen: Evidence, _options: Any) -> Verdict:
    raise ZeroDivisionError("secret")


def nonsense(_seen: Evidence, _options: Any) -> Any:
    return "fine"


def endless(_seen: Evidence, _options: Any) -> Verdict:
    inputs: dict[str, Any] = {}
    inputs["again"] = inputs
    return Verdict(Status.PASS, "fine", inputs)


class Unspeakable:
    def __str__(self) -> str:
        raise ZeroDivisionError("secret")


def unspeakable(_seen: Evidence, _options: Any) -> Verdict:
    return Verdict(Status.PASS, "fine", {"one": Unspeakable()})


@dataclass(frozen=True)
class NoOptions:
    """None."""


@dataclass(frozen=True)
class BrokenOptions:
    def __post_init__(self) -> None:
        raise ZeroDivisionError("secret")


def fine(_seen: Evidence, _options: Any) -> Verdict:
    return Verdict(Status.PASS, "fine")


@pytest.mark.parametrize(
    ("needs", "options", "decide"),
    [
        (frozenset(), NoOptions, broken),
        (frozenset(), NoOptions, nonsense),
        (frozenset(), NoOptions, endless),
        (frozenset(), NoOptions, unspeakable),
        (["card"], NoOptions, fine),
        (frozenset(), BrokenOptions, fine),
    ],
)
def test_a_gate_that_fails_stops_no_other_and_lets_nothing_through(
    needs: Any, options: type, decide: Any
) -> None:
    gates = {**all_gates(), "bad": Gate("bad", needs, options, decide)}
    policy = Policy(gates=(GateUse("bad", Level.BLOCK), GateUse("drift", Level.BLOCK)))
    first, second = judge(evidence(), policy, gates)
    assert (first.status, first.blocks) == (Status.UNKNOWN, True)
    assert "secret" not in first.reason
    assert second.status is Status.NOT_NEEDED


def test_a_gate_that_is_gone_or_has_other_options_by_now_lets_nothing_through() -> None:
    assert ask("gone", evidence()).blocks
    assert ask("metric_threshold", evidence(), metric=3, at_least=1).blocks
    assert "has no option" in ask("drift", evidence(), limit=3).reason


def test_what_is_frozen_is_plain_json_and_bounded() -> None:
    def decide(_seen: Evidence, _options: Any) -> Verdict:
        inputs = {
            "at": NOW,
            "nan": math.nan,
            "set": {2, 1},
            "many": list(range(9999)),
            3: "x" * 9999,
        }
        return Verdict(Status.PASS, "fine", inputs)

    gates = {"odd": Gate("odd", frozenset(), NoOptions, decide)}
    found = judge(evidence(), Policy(gates=(GateUse("odd", Level.INFORM),)), gates)[0]
    again = json.loads(json.dumps(found.inputs, allow_nan=False))
    assert again["at"] == "2026-03-03T14:00:00+00:00"
    assert again["set"] == [1, 2]
    assert again["many"][-1] == "… 9499"
    assert len(again["3"]) == 4000


def test_only_what_the_gates_look_at_needs_to_be_gathered() -> None:
    uses = (GateUse("drift", Level.WARN), GateUse("example_answered", Level.WARN))
    assert needs(Policy(gates=uses)) == {"drift", "example"}
    assert needs(Policy()) == frozenset()


def test_every_shipped_gate_has_a_title_fits_the_evidence_and_can_be_set() -> None:
    assert len(all_gates()) == 9
    for name, gate in all_gates().items():
        assert has(f"gates.title.{name}")
        assert gate.needs <= PARTS
        assert gate_options.kinds(gate) is not None
    for use in RULES.policy("any", "Production").gates:
        assert gate_options.faults(all_gates()[use.gate], use.options) == []
        assert use.level is not Level.BLOCK


# ----------------------------------------------------------------------------- a stranger's file

OWN = '''
"""No version moves in December."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.registry.gates import Evidence, Gate, Status, Verdict


@dataclass(frozen=True)
class Options:
    month: int = 12
    mood: Literal["strict", "mild"] = "strict"
    names: tuple[str, ...] = ()


def decide(evidence: Evidence, options: Options) -> Verdict:
    frozen = evidence.at.month == options.month
    return Verdict(Status.FAIL if frozen else Status.PASS, f"Month {evidence.at.month}.")


GATE = Gate("freeze", frozenset(), Options, decide)
'''


def own_folder(folder: Path, **files: str) -> Path:
    folder.mkdir(mode=0o755)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_a_strangers_file_is_found_and_used(tmp_path: Path) -> None:
    gates = with_own(own_folder(tmp_path / "gates", freeze=OWN))
    assert set(gates) == {*all_gates(), "freeze"}
    policy = Policy(gates=(GateUse("freeze", Level.BLOCK, {"month": 3}),))
    found = judge(evidence(), policy, gates)[0]
    assert (found.status, found.reason, found.blocks) == (Status.FAIL, "Month 3.", True)
    assert gate_options.faults(gates["freeze"], {"mood": "wild"}) == [
        ("mood", "mood must be one of strict, mild, not wild")
    ]
    assert title("freeze") == "Freeze"
    assert with_own(tmp_path / "nowhere") == all_gates()


def test_a_strangers_file_that_changed_within_a_second_is_read_anew(tmp_path: Path) -> None:
    folder = own_folder(tmp_path / "gates", freeze=OWN)
    assert gate_options.kinds(with_own(folder)["freeze"])["month"].default == 12
    (folder / "freeze.py").write_text(OWN.replace("12", "11"))
    assert gate_options.kinds(with_own(folder)["freeze"])["month"].default == 11


def test_strangers_files_that_cannot_be_used_are_all_named(tmp_path: Path) -> None:
    folder = own_folder(
        tmp_path / "gates",
        broken="def (",
        empty="",
        taken=OWN.replace('"freeze"', '"drift"'),
        options=OWN.replace("month: int", "month: dict"),
        reserved=OWN.replace("month: int", "level: int"),
        sequence=OWN.replace("frozenset()", "['card']"),
        typo=OWN.replace("frozenset()", "frozenset({'card', 'holder.sginature'})"),
    )
    open_to_all = folder / "open.py"
    open_to_all.write_text(OWN)
    open_to_all.chmod(0o666)
    with pytest.raises(InvalidInput) as caught:
        with_own(folder)
    lines = caught.value.what.splitlines()
    for line, words in zip(
        lines,
        [
            "SyntaxError",
            "no GATE",
            "everybody",
            "month must be",
            "gate or level",
            "a frozenset of texts",
            "called drift",
            "needs holder.sginature, and evidence has no",
        ],
        strict=True,
    ):
        assert words in line
