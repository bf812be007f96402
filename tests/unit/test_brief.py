"""A request in plain words: the sentence, the comparison, how far it came."""

import math
from datetime import timedelta

import pytest

from core.lifecycle import brief
from core.registry.gates import Result, Status
from core.registry.requests.nouns import Choice, Decision, Kind, State
from tests.small_requests import AT, BLOCKED, PASSED, WARNED, evidence, request, side


class TestSentence:
    def test_says_the_metric_of_both_and_how_the_checks_went(self) -> None:
        asked = request(results=(PASSED,) * 7 + (WARNED,))
        said = brief.sentence(asked, evidence())
        assert said == "accuracy 0.962 against 0.951 in Production; 7 checks pass, 1 warns."

    def test_names_the_metric_that_a_gate_looks_at(self) -> None:
        gate = Result("metric_threshold", "block", Status.PASS, "", options={"metric": "z_loss"})
        both = evidence(
            side(7, {"accuracy": 0.9, "z_loss": 0.31}), side(5, {"accuracy": 0.8, "z_loss": 0.4})
        )
        said = brief.sentence(request(results=(gate,)), both)
        assert said.startswith("z_loss 0.310 against 0.400 in Production, which is better; 1 check")

    def test_says_so_where_the_version_is_worse(self) -> None:
        both = evidence(side(7, {"accuracy": 0.9}), side(5, {"accuracy": 0.95}))
        said = brief.sentence(request(), both)
        assert said.startswith("accuracy 0.900 against 0.950 in Production, which is worse; ")

    def test_prefers_what_was_measured_on_test_data_over_training_and_the_machine(self) -> None:
        metrics = {"accuracy": 1.0, "val_accuracy": 0.8, "test_accuracy": 0.7, "system/cpu": 1.0}
        both = evidence(side(7, metrics), side(5, metrics))
        assert brief.sentence(request(), both).startswith("test_accuracy 0.7")

    @pytest.mark.parametrize(
        ("mine", "theirs", "said"),
        [
            ({}, {}, "No metric to hold against v5 in Production; 1 check passes."),
            ({"a": 1.0}, {"b": 2.0}, "a 1, which the version in Production does not have"),
            ({"a": None}, {"a": 0.5}, "a NaN against 0.5000 in Production"),
        ],
    )
    def test_says_what_is_missing(
        self, mine: dict[str, float | None], theirs: dict[str, float | None], said: str
    ) -> None:
        both = evidence(side(7, mine), side(5, theirs))
        assert said in brief.sentence(request(), both)

    def test_without_a_holder(self) -> None:
        said = brief.sentence(request(), evidence(alone=True))
        assert said.startswith("accuracy 0.9620, and nothing to hold it against in Production")

    def test_while_it_is_checked_and_without_checks(self) -> None:
        checking = request(State.CHECKING, results=())
        assert brief.sentence(checking, None) == "The evidence is being gathered."
        assert brief.sentence(request(State.WITHDRAWN), None) == "No evidence was gathered."
        assert "no check is asked for" in brief.sentence(request(results=()), evidence())

    def test_a_version_that_retires_is_not_measured(self) -> None:
        said = brief.sentence(request(kind=Kind.ARCHIVE), evidence())
        assert said == "1 check passes."

    def test_checks_are_counted_by_what_they_do(self) -> None:
        told = Result("age", "inform", Status.FAIL, "")
        unneeded = Result("better_than_holder", "block", Status.NOT_NEEDED, "")
        found = brief.counts([PASSED, WARNED, BLOCKED, told, unneeded])
        assert found == brief.Counts(passed=2, warned=1, blocked=1, informed=1)
        said = brief.checks_said([PASSED, WARNED, BLOCKED, told])
        assert said == "1 check passes, 1 warns, 1 blocks, 1 tells of something"


class TestComparison:
    def test_of_data_sets_that_share_a_name_a_changed_one_is_not_hidden_by_another(self) -> None:
        def sets(*digests: str) -> tuple[dict[str, object], ...]:
            return tuple({"name": "wine", "context": "training", "digest": d} for d in digests)

        both = evidence(side(7, datasets=sets("d3", "d2")), side(5, datasets=sets("d1", "d2")))
        (changed,) = brief.datasets(both)
        assert (changed.name, changed.mine, changed.theirs) == (
            "wine (training)", "d2; d3", "d1; d2",
        )  # fmt: skip
        same = evidence(side(7, datasets=sets("d1", "d2")), side(5, datasets=sets("d2", "d1")))
        assert brief.datasets(same) == ()

    def test_differences_have_a_sign_a_size_and_a_judgement(self) -> None:
        both = evidence(side(7, {"loss": 0.2, "x": 3.0}), side(5, {"loss": 0.4, "x": 2.0}))
        loss, x = brief.metrics(both)
        assert (loss.name, loss.better) == ("loss", "lower")
        assert brief.change_said(loss) == "-0.2 (-50.00%) better"
        assert x.better is None
        assert brief.change_said(x) == "+1 (+50.00%)"

    def test_what_the_experiment_says_of_a_metric_goes_before_its_name(self) -> None:
        both = evidence(side(7, {"x": 3.0}), side(5, {"x": 2.0}))
        (x,) = brief.metrics(both, known={"x": "lower"})
        assert brief.change_said(x).endswith("worse")

    def test_what_a_gate_was_told_of_a_metric_goes_before_all_else(self) -> None:
        both = evidence(side(7, {"accuracy": 3.0}), side(5, {"accuracy": 2.0}))
        options = {"metric": "accuracy", "better": "lower"}
        gate = Result("better_than_holder", "warn", Status.FAIL, "", options=options)
        (one,) = brief.metrics(both, (gate,), {"accuracy": "higher"})
        assert brief.change_said(one).endswith("worse")
        said = brief.sentence(request(results=(gate,)), both)
        assert said.startswith("accuracy 3.0 against 2.0 in Production, which is worse; ")
        (plain,) = brief.metrics(both)  # the control
        assert brief.change_said(plain).endswith("better")

    def test_replicates_give_an_interval_corrected_for_all_metrics_tested(self) -> None:
        seeds = ("1", "2", "3", "4")
        mine = {"a": (0.9, 0.91, 0.92, 0.93), "b": (1.0, 2.0, 3.0, 4.0)}
        theirs = {"a": (0.8, 0.81, 0.82, 0.84), "b": (1.1, 2.1, 2.9, 4.2)}
        both = evidence(
            side(7, {k: v[0] for k, v in mine.items()}, replicates=mine, replicate_seeds=seeds),
            side(5, {k: v[0] for k, v in theirs.items()}, replicates=theirs,
                 replicate_seeds=seeds),
        )  # fmt: skip
        found = {m.name: m for m in brief.metrics(both)}
        tested = found["a"].tested
        assert tested is not None
        assert tested.test == "paired"
        assert tested.corrected is not None
        assert tested.p is not None
        assert tested.corrected == pytest.approx(2 * tested.p)
        assert found["a"].family == 2
        assert "v7 is higher than v5 (Production) by 0.098" in brief.told(found["a"], both)
        assert "not distinguishable" in brief.told(found["b"], both)

    def test_one_side_without_replicates_gives_no_interval(self) -> None:
        both = evidence(side(7, replicates={"accuracy": (0.9, 0.8)}))
        assert brief.told(brief.metrics(both)[0], both) == ""

    def test_foremost_are_those_that_gates_look_at(self) -> None:
        many = {f"accuracy_{n:03}": 0.5 for n in range(200)} | {"accuracy": 0.9}
        both = evidence(side(7, many), side(5, many))
        found = brief.metrics(both, [BLOCKED])
        assert len(found) == 201
        assert [m.name for m in brief.foremost(found)] == ["accuracy"]
        assert len(brief.foremost(brief.metrics(both))) == brief.FOREMOST

    def test_what_moved_in_mlflow_since(self) -> None:
        frozen = side(7, {"a": 1.0, "b": 2.0, "nan": None})
        assert brief.moved(frozen, {"a": 1.0, "b": 2.0, "nan": math.nan}) == ()
        found = brief.moved(frozen, {"a": 1.5, "b": 2.0, "nan": math.nan, "new": 1.0})
        assert [(c.name, c.kind) for c in found] == [("a", "changed"), ("new", "added")]

    def test_everything_else_that_differs(self) -> None:
        column = {"name": "x", "type": "double", "required": True}
        both = evidence(
            side(
                7,
                params={"depth": "7", "same": "1", "new": "y"},
                inputs=(column, {"name": "extra", "type": "long", "required": False}),
                outputs=None,
                datasets=({"name": "wine", "digest": "d2", "context": "training", "rows": 9},),
                python="3.12",
            ),
            side(
                5,
                params={"depth": "5", "same": "1", "old": "z"},
                inputs=(column | {"type": "float"}, {"name": "gone", "type": "string"}),
                outputs=({"name": None, "type": "long"},),
                datasets=({"name": "wine", "digest": "d1", "context": "training", "rows": None},),
                python="3.11",
            ),
        )
        found = brief.differences(both)
        shown = {
            part: None if rows is None else [(r.name, r.kind, r.mine, r.theirs) for r in rows]
            for part, rows in found.items()
        }
        assert shown == {
            "params": [
                ("depth", "changed", "7", "5"),
                ("new", "added", "y", None),
                ("old", "removed", None, "z"),
            ],
            "datasets": [("wine (training)", "changed", "d2, 9 rows", "d1")],
            "inputs": [
                ("extra", "added", "long, optional", None),
                ("gone", "removed", None, "string"),
                ("x", "changed", "double", "float"),
            ],
            "outputs": None,
            "surroundings": [("Python", "changed", "3.12", "3.11")],
        }

    def test_against_nobody_nothing_differs(self) -> None:
        found = brief.differences(evidence(alone=True))
        assert found == {
            "params": (), "datasets": (), "inputs": None, "outputs": None, "surroundings": (),
        }  # fmt: skip


LATER = AT + timedelta(hours=1)
APPROVED = Decision("max", Choice.APPROVE, "", LATER)


class TestStops:
    @pytest.mark.parametrize(
        ("state", "more", "looks"),
        [
            (State.CHECKING, {}, "past here ahead ahead"),
            (State.BLOCKED, {}, "past here ahead ahead"),
            (State.WAITING, {}, "past past here ahead"),
            (State.APPROVED, {"decisions": (APPROVED,)}, "past past past here"),
            (State.APPLYING, {"decisions": (APPROVED,)}, "past past past here"),
            (State.DONE, {"decisions": (APPROVED,), "closed_at": LATER}, "past past past past"),
            (State.REJECTED, {"closed_at": LATER}, "past past ended ahead"),
            (State.WITHDRAWN, {"closed_at": LATER}, "past past ended ahead"),
            (State.WITHDRAWN, {"closed_at": LATER, "checked_at": None}, "past ended ahead ahead"),
            (State.EXPIRED, {"closed_at": LATER}, "past past ended ahead"),
            (State.SUPERSEDED, {"closed_at": LATER}, "past past ended ahead"),
            (State.OUTDATED, {"closed_at": LATER}, "past past ended ahead"),
            (State.FAILED, {"decisions": (APPROVED,), "closed_at": LATER}, "past past past ended"),
        ],
    )
    def test_how_far_it_came(self, state: State, more: dict[str, object], looks: str) -> None:
        found = brief.stops(request(state, **more))
        assert " ".join(stop.look for stop in found) == looks
        assert all(stop.at for stop in found if stop.look in ("past", "ended"))
        assert not any(stop.at for stop in found if stop.look == "ahead")

    def test_every_state_has_a_place(self) -> None:
        assert all(len(brief.stops(request(state, closed_at=LATER))) == 4 for state in State)
