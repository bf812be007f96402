"""Changes to many runs: planned, written, stopped, reported, and taken back."""

import threading
from collections.abc import Iterator

import pytest

from core.errors import Conflict, InvalidInput, OutcomeUnknown, ServerUnreachable
from core.mlflow_api import Mlflow, connect
from core.mlflow_api.nouns import NOTE_TAG, Run
from core.runs import edits
from core.runs.edits import Action, Edit
from core.runs.work import LANES, Outcome, Work, changing, undoing
from core.settings import load


def a_run(name: str = "fold-3", life: str = "active", **tags: str) -> Run:
    return Run("a" * 32, "1", name, "FINISHED", life, "ada", None, None, "", {}, {}, tags)


class TestPlans:
    @pytest.mark.parametrize(
        ("pattern", "made"),
        [
            ("{name}", "fold-3"),
            ("{n}: {name}", "7: fold-3"),
            ("  plain ", "plain"),
            ("{name}{name}{n}", "fold-3fold-37"),
        ],
    )
    def test_patterns_for_names(self, pattern: str, made: str) -> None:
        assert edits.renamed(pattern, "fold-3", 7) == made

    def test_what_stands_in_a_name_is_no_field(self) -> None:
        assert edits.renamed("{name}!", "{n}{name}{", 1) == "{n}{name}{!"

    @pytest.mark.parametrize(("pattern", "at"), [("a{b}", 1), ("{n", 0), ("x}", 1), ("{n.x}", 0)])
    def test_other_fields_are_refused_with_their_place(self, pattern: str, at: int) -> None:
        with pytest.raises(InvalidInput) as caught:
            edits.checked(Action("rename", text=pattern))
        assert (caught.value.field, caught.value.position) == ("text", at)

    @pytest.mark.parametrize("pattern", ["", "  ", "x" * 501])
    def test_names_blank_or_too_long(self, pattern: str) -> None:
        with pytest.raises(InvalidInput):
            edits.checked(Action("rename", text=pattern))

    def test_keys_of_tags(self) -> None:
        for key in ("", "k" * 251, "mlflow.parentRunId"):
            with pytest.raises(InvalidInput) as caught:
                edits.checked(Action("tag", key))
            assert caught.value.field == "key"
        with pytest.raises(InvalidInput, match="8,000"):
            edits.checked(Action("tag", "k", "x" * 8001))

    def test_what_is_so_already_is_no_change(self) -> None:
        run = a_run(team="blue")
        assert edits.planned(run, Action("tag", "team", "blue"), 1) is None
        assert edits.planned(run, Action("untag", "other"), 1) is None
        assert edits.planned(run, Action("note"), 1) is None
        assert edits.planned(run, Action("restore"), 1) is None
        assert edits.planned(run, Action("rename", text="{name}"), 1) is None

    def test_an_edit_taken_back_twice_is_itself(self) -> None:
        edit = edits.planned(a_run(), Action("tag", "team", "red"), 1)
        assert edit == Edit("a" * 32, "tag", "team", None, "red")
        assert edits.taken_back(edits.taken_back(edit)) == edit


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """An empty store."""
    made = connect(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("home"))}))
    yield made
    made.gateway.close()


@pytest.fixture
def ids(mlflow: Mlflow) -> list[str]:
    """Six runs."""
    return [mlflow.tracking.create_run("0", f"r{i}", {"team": "blue"}).id for i in range(6)]


def done(work: Work) -> Work:
    assert work.start().wait(60)
    assert work.defect is None
    return work


class TestWork:
    @pytest.mark.parametrize(
        ("action", "seen"),
        [
            (Action("tag", "team", "red"), lambda r: r.tags["team"] == "red"),
            (Action("untag", "team"), lambda r: "team" not in r.tags),
            (Action("rename", text="{name}-{n}"), lambda r: r.name.count("-") == 1),
            (Action("note", text="why"), lambda r: r.tags[NOTE_TAG] == "why"),
            (Action("delete"), lambda r: r.lifecycle_stage == "deleted"),
        ],
    )
    def test_every_action_is_done_and_taken_back(
        self, mlflow: Mlflow, ids: list[str], action: Action, seen: object
    ) -> None:
        before = [mlflow.tracking.run(i) for i in ids]
        work = done(changing(mlflow, ids, action))
        assert work.progress.changed == 6
        assert not work.failures
        assert all(seen(mlflow.tracking.run(i)) for i in ids)  # type: ignore[operator]
        done(undoing(mlflow, work.edits))
        after = [mlflow.tracking.run(i) for i in ids]
        assert [(r.name, r.tags, r.lifecycle_stage) for r in after] == [
            (r.name, r.tags, r.lifecycle_stage) for r in before
        ]

    def test_names_count_in_the_order_of_the_runs(self, mlflow: Mlflow, ids: list[str]) -> None:
        done(changing(mlflow, ids, Action("rename", text="run {n}")))
        assert [mlflow.tracking.run(i).name for i in ids] == [f"run {n}" for n in range(1, 7)]

    def test_undo_leaves_what_another_wrote_since(self, mlflow: Mlflow, ids: list[str]) -> None:
        work = done(changing(mlflow, ids, Action("tag", "team", "red")))
        mlflow.tracking.set_run_tag(ids[2], "team", "theirs")
        mlflow.tracking.delete_run_tag(ids[3], "team")
        back = done(undoing(mlflow, work.edits))
        assert {f.run_id for f in back.failures} == {ids[2], ids[3]}
        assert all("changed by somebody else" in f.why for f in back.failures)
        teams = [mlflow.tracking.run(i).tags.get("team") for i in ids]
        assert teams == ["blue", "blue", "theirs", None, "blue", "blue"]

    def test_each_failure_is_reported_and_the_others_are_done(
        self, mlflow: Mlflow, ids: list[str]
    ) -> None:
        mlflow.tracking.delete_run(ids[1])  # MLflow writes no tags of deleted runs
        told: list[list[str]] = []
        missing = "f" * 32
        work = done(
            changing(mlflow, [*ids, missing], Action("tag", "a", "b"), lambda i: told.append([*i]))
        )
        assert {f.run_id for f in work.failures} == {ids[1], missing}
        assert work.progress.changed == 5
        assert [sorted(told[0])] == [sorted([*ids, missing])]

    def test_undo_touches_only_what_was_changed(self, mlflow: Mlflow, ids: list[str]) -> None:
        mlflow.tracking.set_run_tag(ids[0], "team", "red")
        work = done(changing(mlflow, ids, Action("tag", "team", "red")))
        assert work.progress.changed == 5
        done(undoing(mlflow, work.edits))
        assert mlflow.tracking.run(ids[0]).tags["team"] == "red"

    def test_a_stop_finishes_what_is_being_written(self) -> None:
        begun, go = threading.Semaphore(0), threading.Event()

        def do(_: int) -> Outcome:
            begun.release()
            assert go.wait(30)
            return Outcome(True)

        work = Work([str(i) for i in range(100)], do).start()
        for _ in range(LANES):
            assert begun.acquire(timeout=30)
        work.stop()
        go.set()
        assert work.wait(30)
        assert (work.progress.tried, work.progress.stopped) == (LANES, True)

    def test_a_server_that_is_gone_is_asked_no_more(self) -> None:
        def do(_: int) -> Outcome:
            raise ServerUnreachable("gone")

        work = done(Work([str(i) for i in range(1000)], do))
        assert work.progress.tried <= LANES
        assert work.progress.stopped

    def test_a_defect_ends_it_and_is_kept(self) -> None:
        def do(_: int) -> Outcome:
            raise ZeroDivisionError

        work = Work([str(i) for i in range(50)], do).start()
        assert work.wait(30)
        assert isinstance(work.defect, ZeroDivisionError)

    def test_no_runs_are_done_at_once(self) -> None:
        assert done(Work([], lambda _: Outcome(True))).progress.finished


class TestLostReplies:
    def lose(self, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch, *, written: bool) -> list[int]:
        """The reply to a write of a tag is lost, after the write or with it."""
        write, calls = mlflow.tracking.set_run_tag, []

        def lost(run_id: str, key: str, value: str) -> None:
            calls.append(1)
            if written:
                write(run_id, key, value)
            raise OutcomeUnknown("no reply")

        monkeypatch.setattr(mlflow.tracking, "set_run_tag", lost)
        return calls

    @pytest.mark.parametrize("written", [True, False])
    def test_is_looked_up_and_never_sent_again(
        self, mlflow: Mlflow, ids: list[str], monkeypatch: pytest.MonkeyPatch, written: bool
    ) -> None:
        calls = self.lose(mlflow, monkeypatch, written=written)
        if written:
            assert edits.change(mlflow, ids[0], Action("tag", "team", "red"), 1) is not None
        else:
            with pytest.raises(OutcomeUnknown):
                edits.change(mlflow, ids[0], Action("tag", "team", "red"), 1)
        assert calls == [1]

    def test_undo_of_another_value_is_a_conflict(self, mlflow: Mlflow, ids: list[str]) -> None:
        with pytest.raises(Conflict):
            edits.undo(mlflow, Edit(ids[0], "tag", "team", "blue", "never written"))
