"""Runs side by side."""

import pytest

from tests.pages.conftest import Open, Store, drawn, markdown_of

WAYS = ("Parallel", "Scatter", "Curves", "Differences")


class TestChoice:
    def test_nothing_chosen_offers_a_way(self, store: Store, open_page: Open) -> None:
        app = open_page("compare")
        assert "No runs are chosen yet" in drawn(app)
        app.selectbox[0].set_value(store.trees)
        app.button[0].click().run()
        assert not [e.value for e in app.error]
        assert "**5 runs**" in drawn(app)
        assert len(app.query_params["runs"].split(",")) == 5

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

    def test_a_filter_that_is_wrong_stays(self, store: Store, open_page: Open) -> None:
        app = open_page("compare")
        app.selectbox[0].set_value(store.trees)
        app.text_input[0].set_value("acuracy > 1")
        app.button[0].click().run()
        assert "metrics.accuracy" in app.error[0].value.replace("\\", "")
        assert app.text_input[0].value == "acuracy > 1"

    @pytest.mark.parametrize("way", WAYS)
    def test_every_way_on_a_cold_link(self, store: Store, open_page: Open, way: str) -> None:
        runs = f"{store.run},{store.other},{store.running}"
        app = open_page("compare", runs=runs, chart=way)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert len(app.get("plotly_chart")) == (0 if way == "Differences" else 1)

    @pytest.mark.parametrize("way", WAYS)
    def test_hostile_runs(self, store: Store, open_page: Open, way: str) -> None:
        app = open_page("compare", runs=f"{store.hostile_run},{store.other}", chart=way)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert "![](" not in markdown_of(app)

    def test_one_run_without_anything(self, store: Store, open_page: Open) -> None:
        for way in WAYS:
            app = open_page("compare", runs=store.child, chart=way)
            assert not app.exception
            assert not [e.value for e in app.error]


class TestWays:
    def test_axes_from_the_link(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other}", chart="Parallel",
            dimensions=["params.depth", "metrics.loss"], colour="params.rate",
        )  # fmt: skip
        assert app.multiselect(key="dimensions").value == ["params.depth", "metrics.loss"]
        assert "2 of 2 runs drawn" in drawn(app)

    def test_scatter_counts_what_it_leaves_out(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other},{store.child}", chart="Scatter",
            x="params.depth", y="metrics.accuracy",
        )  # fmt: skip
        assert "2 of 3 runs drawn" in drawn(app)

    def test_curves(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare", runs=f"{store.run},{store.other}", chart="Curves", curve=["loss"]
        )
        assert "1 value is NaN" in drawn(app)

    def test_differences_only(self, store: Store, open_page: Open) -> None:
        runs = f"{store.run},{store.other}"
        app = open_page("compare", runs=runs, chart="Differences")
        assert "seed" not in set(app.dataframe[-1].value["name"])
        assert {"depth", "rate", "a b"} == set(app.dataframe[-1].value["name"])
        app.toggle(key="differences_only").set_value(False).run()
        assert "seed" in set(app.dataframe[-1].value["name"])
        assert "1 differs only in how the number is written" in drawn(app)
