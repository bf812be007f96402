"""Saved views: packed, written into tags, read again, damaged, changed by two at once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Conflict, InvalidInput, NotFound
from core.mlflow_api import Mlflow, connect
from core.runs import views
from core.runs.asked import Order
from core.runs.selection import pack, pieces, unpack
from core.runs.views import LONGEST_TAG, MOST_RUNS, PREFIX, View
from core.settings import load

usual = st.uuids().map(lambda u: u.hex)
odd = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
words = st.text(max_size=40)


class TestPacking:
    @given(st.lists(usual, max_size=60) | st.lists(usual | odd, min_size=1, max_size=60))
    def test_what_was_packed_is_unpacked(self, ids: list[str]) -> None:
        assert unpack(pack(ids)) == ids

    @given(st.lists(usual, min_size=3, max_size=30), st.integers(1, 50))
    def test_pieces_joined_are_the_whole(self, ids: list[str], length: int) -> None:
        cut = pieces(pack(ids), length)
        assert unpack("".join(cut)) == ids
        assert max(map(len, cut)) <= length

    @given(st.text(max_size=60))
    def test_other_text_is_refused_or_is_ids(self, text: str) -> None:
        try:
            found = unpack(text)
        except ValueError:
            return
        assert isinstance(found, list)

    def test_a_bomb_is_not_opened(self) -> None:
        with pytest.raises(ValueError, match="too long"):
            unpack(pack(["x" * 64] * 100_000))

    def test_a_thousand_usual_ids_take_two_tags(self) -> None:
        assert len(pieces(pack([f"{i:032x}" for i in range(1000)]), LONGEST_TAG)) == 2


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """An empty store."""
    made = connect(load({"MODELDECK_HOME": str(tmp_path_factory.mktemp("home"))}))
    yield made
    made.gateway.close()


@pytest.fixture
def where(mlflow: Mlflow, request: pytest.FixtureRequest) -> str:
    """An experiment of this test's own."""
    return mlflow.tracking.create_experiment(request.node.name[:200])


def a_view(where: str, n: int = 0, **more: object) -> View:
    ids = tuple(f"{i:032x}" for i in range(n))
    return replace(View("Mine", (where,), run_ids=ids), **more)  # type: ignore[arg-type]


class TestTags:
    @given(
        st.builds(
            View,
            name=st.text(min_size=1, max_size=80).filter(lambda s: s == s.strip() != ""),
            experiment_ids=st.lists(st.from_regex(r"[0-9]{1,9}", fullmatch=True), min_size=1,
                                    max_size=3).map(tuple),
            filter=words,
            order=st.lists(st.builds(Order, words, st.booleans()), max_size=3).map(tuple),
            columns=st.lists(words, max_size=8).map(tuple),
            view=st.sampled_from(["active", "deleted", "all"]),
            nesting=st.sampled_from(["flat", "families", "top"]),
            group=st.lists(words, max_size=3).map(tuple),
            all_but=st.booleans(),
            run_ids=st.lists(usual | odd, max_size=200).map(tuple),
        )
    )  # fmt: skip
    def test_written_and_read_is_the_same_view(self, view: View) -> None:
        tags = views.written(view)
        head = tags[PREFIX + view.id]
        one = views._read("1", view.id, head)
        assert one is not None
        assert one.runs == len(view.run_ids)
        assert views._run_ids(tags, view.id, json.loads(head)) == view.run_ids
        assert replace(one.view, run_ids=view.run_ids) == view
        assert all(len(text) <= LONGEST_TAG for text in tags.values())

    def test_bounds_are_said(self, where: str) -> None:
        views.written(a_view(where, MOST_RUNS))
        with pytest.raises(InvalidInput, match="20,000 runs, not 20,001"):
            views.written(a_view(where, MOST_RUNS + 1))
        with pytest.raises(InvalidInput, match="MLflow keeps 20,000"):
            views.written(a_view(where, columns=("metrics.x" * 500,) * 5))
        for name in ("", "x" * 101):
            with pytest.raises(InvalidInput, match="1 to 100"):
                views.written(a_view(where, name=name))


class TestStore:
    def test_saved_found_opened_renamed_removed(self, mlflow: Mlflow, where: str) -> None:
        saved = views.save(mlflow, a_view(where, 2500, filter="metrics.a > 1"), "ada")
        [one] = views.held([mlflow.tracking.experiment(where)])
        assert (one.view.name, one.view.by, one.runs) == ("Mine", "ada", 2500)
        assert views.load(mlflow, where, saved.id).run_ids == saved.run_ids
        views.rename(mlflow, one, "Ours", "bea")
        assert views.load(mlflow, where, saved.id).name == "Ours"
        assert views.load(mlflow, where, saved.id).run_ids == saved.run_ids
        [one] = views.held([mlflow.tracking.experiment(where)])
        views.delete(mlflow, one)
        assert not mlflow.tracking.experiment(where).tags
        views.delete(mlflow, one)  # gone already: nothing to do

    def test_fewer_runs_leave_no_tags_behind(self, mlflow: Mlflow, where: str) -> None:
        saved = views.save(mlflow, a_view(where, 2500), "ada")
        [one] = views.held([mlflow.tracking.experiment(where)])
        views.save(mlflow, replace(saved, run_ids=()), "ada", one.raw)
        assert list(mlflow.tracking.experiment(where).tags) == [PREFIX + saved.id]
        assert views.load(mlflow, where, saved.id).run_ids == ()

    def test_whoever_saves_over_anothers_change_is_told(self, mlflow: Mlflow, where: str) -> None:
        saved = views.save(mlflow, a_view(where), "ada")
        [seen] = views.held([mlflow.tracking.experiment(where)])
        views.rename(mlflow, seen, "Other", "bea")
        with pytest.raises(Conflict, match="Somebody else"):
            views.save(mlflow, replace(saved, filter="x"), "ada", seen.raw)
        with pytest.raises(Conflict, match="Somebody else"):
            views.delete(mlflow, seen)
        assert views.load(mlflow, where, saved.id).name == "Other"

    def test_a_view_cut_short_is_damaged_not_smaller(self, mlflow: Mlflow, where: str) -> None:
        saved = views.save(mlflow, a_view(where, 2500), "ada")
        tags = mlflow.tracking.experiment(where).tags
        part = next(key for key in sorted(tags) if key.endswith(".1"))
        mlflow.tracking.set_experiment_tag(where, part, tags[part][:-4])
        with pytest.raises(InvalidInput, match="cannot be read"):
            views.load(mlflow, where, saved.id)

    @pytest.mark.parametrize(
        "text", ["", "{}", "[]", "null", '{"name": 1}', '{"name": "a", "experiment_ids": 3}']
    )
    def test_tags_of_others_are_no_views(self, mlflow: Mlflow, where: str, text: str) -> None:
        mlflow.tracking.set_experiment_tag(where, PREFIX + "abcdefgh", text)
        assert views.held([mlflow.tracking.experiment(where)]) == []
        with pytest.raises((InvalidInput, NotFound)):
            views.load(mlflow, where, "abcdefgh")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": "\ud800"},
            {"filter": "a\udc00"},
            {"runs": {"n": float("inf")}},
            {"columns": "deep"},
        ],
    )
    def test_views_that_would_break_a_page_are_left_out(
        self, mlflow: Mlflow, where: str, wrong: dict[str, object]
    ) -> None:
        fields = json.loads(views.written(a_view(where, id="abcdefgh"))[PREFIX + "abcdefgh"])
        text = json.dumps({**fields, **wrong}).replace('"deep"', "[" * 9000 + "]" * 9000)
        mlflow.tracking.set_experiment_tag(where, PREFIX + "abcdefgh", text)
        assert views.held([mlflow.tracking.experiment(where)]) == []
        with pytest.raises(InvalidInput, match="cannot be read"):
            views.load(mlflow, where, "abcdefgh")

    def test_a_time_without_a_zone_can_be_compared_with_others(
        self, mlflow: Mlflow, where: str
    ) -> None:
        fields = json.loads(views.written(a_view(where, id="abcdefgh"))[PREFIX + "abcdefgh"])
        text = json.dumps({**fields, "at": "2026-01-02T03:04:05"})
        mlflow.tracking.set_experiment_tag(where, PREFIX + "abcdefgh", text)
        [one] = views.held([mlflow.tracking.experiment(where)])
        assert one.view.at is not None
        assert one.view.at < datetime.now(UTC)

    @pytest.mark.parametrize("wrong", ["", "../x", "abcdefg1", "x" * 500])
    def test_a_link_to_no_view(self, mlflow: Mlflow, where: str, wrong: str) -> None:
        with pytest.raises(NotFound, match="no saved view"):
            views.load(mlflow, where, wrong)
