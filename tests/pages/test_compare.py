"""Runs side by side."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.texts import t
from core.ui.compare import WAYS
from tests.pages.conftest import Open, Store, drawn, markdown_of

NAMES = tuple(t(f"compare.way.{way}") for way in WAYS)


def pressed(app: AppTest, key: str) -> Any:
    return next(button for button in app.button if button.key == key)


def payload(app: AppTest) -> dict[str, Any]:
    """The header of what the parallel coordinates sent to the browser."""
    sent = app.get("bidi_component")[0].proto.bytes
    return json.loads(sent[4 : 4 + int.from_bytes(sent[:4], "little")])


class TestChoice:
    def test_nothing_chosen_offers_a_way(self, store: Store, open_page: Open) -> None:
        app = open_page("compare")
        assert "No runs are chosen yet" in drawn(app)
        app.selectbox[0].set_value(store.trees)
        app.button[0].click().run()
        assert not [e.value for e in app.error]
        assert "**5 runs**" in drawn(app)
        assert len(app.query_params["runs"].split(",")) == 5

    def test_all_runs_of_an_experiment_that_match(self, store: Store, open_page: Open) -> None:
        app = open_page("compare", experiment=store.trees, q="metrics.loss IS NOT NULL")
        assert not [e.value for e in app.error]
        assert "where" in drawn(app)
        n = payload(app)["n"]
        assert f"**{n} runs**" in drawn(app)
        everything = open_page("compare", experiment=store.trees)
        assert payload(everything)["n"] > n > 0

    def test_missing_and_deleted_runs_are_said(self, store: Store, open_page: Open) -> None:
        app = open_page("compare", runs=f"{store.run},{store.deleted_run},{'e' * 32},![](http://x)")
        assert not app.exception
        assert "**2 runs**" in drawn(app)
        assert "2 runs in the link are not there" in app.warning[0].value
        assert "![](" not in markdown_of(app)
        assert "1 of these runs is deleted" in drawn(app)

    def test_none_of_them_is_there(self, store: Store, open_page: Open) -> None:
        app = open_page("compare", runs="nope")
        assert not [e.value for e in app.error]
        assert "None of the runs" in drawn(app)

    def test_a_view_that_is_not_there_is_an_error_and_no_defect(
        self, store: Store, open_page: Open
    ) -> None:
        app = open_page("compare", experiment=store.trees, saved="ffffffff")
        assert not app.exception
        assert app.error
        assert "not its experiment" in open_page("compare", saved="ffffffff").error[0].value

    def test_a_filter_that_is_wrong_stays(self, store: Store, open_page: Open) -> None:
        app = open_page("compare")
        app.selectbox[0].set_value(store.trees)
        app.text_input[0].set_value("metrics.acuracy > 1 OR")
        app.button[0].click().run()
        assert app.error
        assert app.text_input[0].value == "metrics.acuracy > 1 OR"

    @pytest.mark.parametrize("way", NAMES)
    def test_every_way_on_a_cold_link(self, store: Store, open_page: Open, way: str) -> None:
        runs = f"{store.run},{store.other},{store.running}"
        app = open_page("compare", runs=runs, chart=way)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert "**3 runs**" in drawn(app)

    @pytest.mark.parametrize("way", NAMES)
    def test_hostile_runs(self, store: Store, open_page: Open, way: str) -> None:
        app = open_page("compare", runs=f"{store.hostile_run},{store.other}", chart=way)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert "![](" not in markdown_of(app)

    @pytest.mark.parametrize("way", NAMES)
    def test_one_run_without_anything(self, store: Store, open_page: Open, way: str) -> None:
        app = open_page("compare", runs=store.child, chart=way)
        assert not app.exception
        assert not [e.value for e in app.error]


class TestParallel:
    def test_axes_from_the_link(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other}",
            dimensions=["params.depth", "metrics.loss"], colour="params.rate",
        )  # fmt: skip
        assert app.multiselect(key="dimensions").value == ["params.depth", "metrics.loss"]
        assert [axis["name"] for axis in payload(app)["axes"]] == ["depth", "loss"]
        assert "2 of 2 runs drawn" in drawn(app)

    def test_a_mark_in_the_link_names_its_runs(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other}", dimensions=["params.depth"],
            brush="params.depth|3|3",
        )  # fmt: skip
        assert "**1** of 2 runs marked" in drawn(app)
        assert payload(app)["brushes"]
        pressed(app, "parallel_keep").click().run()
        assert app.query_params["runs"] == store.run
        assert "**1 run**" in drawn(app)

    def test_marks_that_say_nothing_mark_nothing(self, store: Store, open_page: Open) -> None:
        for brush in ("params.depth|x|y", "nope|1|2", "|||", "params.depth"):
            app = open_page(
                "compare", runs=f"{store.run},{store.other}", dimensions=["params.depth"],
                brush=brush,
            )  # fmt: skip
            assert not app.exception
            assert payload(app)["brushes"] == []

    def test_the_best_are_in_front(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other}", colour="metrics.accuracy", top="Best 1 %"
        )
        assert "the best 1 % by accuracy, where higher" in drawn(app).replace("\\", "")
        assert "**1** of 2 runs marked" in drawn(app)

    def test_the_same_bytes_on_each_rerun(self, store: Store, open_page: Open) -> None:
        app = open_page("compare", experiment=store.trees)
        first = app.get("bidi_component")[0].proto.bytes
        assert app.run().get("bidi_component")[0].proto.bytes == first


class TestFigures:
    def test_scatter_counts_what_it_leaves_out(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other},{store.child}", chart="Scatter",
            x="params.depth", y="metrics.accuracy",
        )  # fmt: skip
        assert "2 of 3 runs drawn" in drawn(app)

    @pytest.mark.parametrize("shape", ["Rank", "Slice", "Box", "Bar", "Pareto front"])
    def test_shapes(self, store: Store, open_page: Open, shape: str) -> None:
        app = open_page("compare", experiment=store.trees, chart="Shapes", shape=shape)
        assert not app.exception
        assert len(app.get("plotly_chart")) == 1
        assert "runs drawn" in drawn(app)

    def test_a_surface_that_runs_do_not_carry_says_why(self, store: Store, open_page: Open) -> None:
        app = open_page("compare", experiment=store.trees, chart="Shapes", shape="Contour")
        assert not app.get("plotly_chart")
        assert "No surface" in drawn(app)

    def test_the_runs_on_the_front_can_be_kept(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other}", chart="Shapes", shape="Pareto front",
            front_x="metrics.loss", front_y="metrics.accuracy",
        )  # fmt: skip
        assert "**2** runs on the front" in drawn(app)
        app.selectbox(key="front_y_better").set_value("Lower").run()
        assert "**1** run on the front" in drawn(app)
        pressed(app, "front_keep").click().run()
        assert app.query_params["runs"] in (store.run, store.other)
