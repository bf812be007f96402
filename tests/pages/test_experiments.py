"""The list of experiments, and the runs of some of them."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from core.ui.deck import deck, mirror
from core.ui.markup import visible
from tests.pages.conftest import HOSTILE, Open, Store, drawn, markdown_of


def names(app: AppTest) -> list[str]:
    """The names in the page's first table."""
    return list(app.dataframe[0].value["name"])


def tick(app: AppTest, rows: list[int]) -> AppTest:
    """Tick rows of the page's table, as a click in a browser does."""
    state = app.session_state._state.filtered_state
    key = next(k for k in state if re.fullmatch(r"(runs|experiments)_[0-9a-f]{8}", k))
    app.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return app.run()


class TestList:
    def test_names_counts_and_descriptions(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments").run()
        assert not app.exception
        table = app.dataframe[0].value.set_index("name")
        assert table.loc["Trees", "runs"] == 5
        assert table.loc["Nothing yet", "runs"] == 0
        assert table.loc["Trees", "description"] == "Forests on the breast cancer data."
        assert "Old ideas" not in table.index

    def test_deleted_ones_can_be_seen(self, store: Store, open_page: Open) -> None:
        assert names(open_page("experiments", state="Deleted")) == ["Old ideas"]

    def test_search_looks_at_names_and_descriptions(self, store: Store, open_page: Open) -> None:
        assert names(open_page("experiments", q="breast forests")) == ["Trees"]
        assert "No experiment's name" in drawn(open_page("experiments", q="zebra"))

    def test_hostile_names_are_cells_only(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments")
        assert visible(HOSTILE[:400]) in names(app)
        assert "127.0.0.1:9" not in drawn(app)

    def test_nothing_deleted_is_said(self, own_store: Store, open_page: Open) -> None:
        deck().mlflow.tracking.restore_experiment(own_store.deleted)
        app = open_page("experiments", state="Deleted")
        assert "No experiment is deleted" in drawn(app)

    def test_create(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments")
        app.text_input[1].set_value("Fresh")
        app.text_area[0].set_value("Why")
        app.button[0].click().run()
        made = deck().mlflow.tracking.experiment_by_name("Fresh")
        assert made is not None
        assert made.tags["mlflow.note.content"] == "Why"

    def test_a_taken_name_is_said_and_stays_typed(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments")
        app.text_input[1].set_value("Trees")
        app.button[0].click().run()
        assert "There is an experiment called Trees already" in app.error[0].value
        assert app.text_input[1].value == "Trees"

    def test_delete_asks_by_name_and_deletes(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments")
        app = tick(app, [names(app).index("Nothing yet")])
        assert "**Nothing yet**" in drawn(app)
        app.button(key="experiments_delete").click().run()
        assert "Nothing yet" not in names(app)
        app = open_page("experiments", state="Deleted")
        app = tick(app, [names(app).index("Nothing yet")])
        app.button(key="experiments_restore").click().run()
        assert "Nothing yet" not in drawn(app)
        assert "Nothing yet" in names(open_page("experiments"))


class TestRuns:
    def test_newest_first_with_what_varies(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees)
        assert not app.exception
        table = app.dataframe[0].value
        assert list(table["name"]) == [
            "forest-live",
            "forest-b",
            "↳ fold-1",
            "↳ fold-0",
            "forest-a",
        ]
        assert {"metrics.accuracy", "metrics.loss", "params.depth"} <= set(table.columns)
        assert table["parent"].iloc[2] == "forest-a"
        assert "5 runs, all shown." in drawn(app)

    def test_the_whole_view_is_in_the_link(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "experiments", experiment=store.trees, filter="metrics.accuracy > 0.9",
            sort="metrics.accuracy", order="Ascending", columns=["params.seed"], limit="500",
            view="All", nested="false",
        )  # fmt: skip
        table = app.dataframe[0].value
        assert list(table["name"]) == ["forest-a", "forest-b"]
        assert [c for c in table.columns if "." in c] == ["params.seed"]

    def test_more_rows_are_offered(
        self, store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.ui.runs_table.LIMITS", (2, 3, 100))
        app = open_page("experiments", experiment=store.trees)
        assert "2 runs shown, more exist." in drawn(app)
        app.button(key="runs_more").click().run()
        assert len(app.dataframe[0].value) == 3

    def test_a_bad_filter_stays_and_is_explained(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, filter="acuracy > 1")
        assert app.text_input(key="filter").value == "acuracy > 1"
        assert "metrics.accuracy" in app.error[0].value.replace("\\", "")
        app.text_input(key="filter").set_value("metrics.accuracy > 0.92").run()
        assert not [e.value for e in app.error]
        assert names(app) == ["forest-b"]

    def test_a_misspelt_name_is_offered(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, filter="metrics.acuracy > 0")
        said = drawn(app).replace("\\", "")
        assert "No run matches" in said
        assert "Did you mean metrics.accuracy?" in said

    def test_several_experiments_at_once(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=f"{store.trees},{store.empty}")
        assert "2 experiments" in app.title[0].value
        assert set(app.dataframe[0].value["experiment"]) == {"Trees"}

    def test_an_unknown_experiment(self, store: Store, open_page: Open) -> None:
        for wrong in ("999", "abc", "1" * 30):
            app = open_page("experiments", experiment=wrong)
            assert len(app.error) == 1
            assert not app.exception

    def test_no_runs_yet(self, store: Store, open_page: Open) -> None:
        assert "no runs here yet" in drawn(open_page("experiments", experiment=store.empty))

    def test_hostile_names_are_escaped(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.hostile)
        assert not app.exception
        assert "\\!\\[\\]" in app.title[0].value
        assert app.dataframe[0].value["name"].iloc[0] == visible(HOSTILE[:400])
        app = tick(app, [0])
        said = markdown_of(app)
        assert "Delete the run **" in said
        assert "![](" not in said
        assert ":red[" not in said

    def test_ticked_runs_are_in_the_link(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees)
        app = tick(app, [1, 4])
        assert app.query_params["selected"] == f"{store.other},{store.run}"
        assert "Compare 2 runs" in [b.label for b in app.button]

    def test_a_linked_selection_is_ticked(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, selected=store.other)
        assert "Rename" in [b.label for b in app.button]

    def test_delete_and_restore(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=own_store.trees, selected=own_store.other)
        assert "Delete the run **forest\\-b**" in drawn(app)
        app.button(key="runs_delete").click().run()
        assert "forest-b" not in names(app)
        app = open_page(
            "experiments", experiment=own_store.trees, view="Deleted", selected=own_store.other
        )
        assert set(names(app)) == {"forest-b", "forest-gone"}
        app.button(key="runs_restore").click().run()
        assert deck().mlflow.tracking.run(own_store.other).lifecycle_stage == "active"

    def test_rename(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=own_store.trees, selected=own_store.other)
        field = next(f for f in app.text_input if f.label == "New name")
        field.set_value("  ")
        submit = next(b for b in app.button if b.label == "Rename")
        submit.click().run()
        assert "A name is needed" in app.error[0].value
        next(f for f in app.text_input if f.label == "New name").set_value("oak")
        next(b for b in app.button if b.label == "Rename").click().run()
        assert "oak" in names(app)

    def test_a_table_stays_until_it_is_refreshed(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=own_store.trees)
        deck().mlflow.tracking.rename_run(own_store.other, "oak")
        mirror().reread([own_store.other])
        app = tick(app, [0])
        assert "forest-b" in names(app)
        assert "just now" in drawn(app)
        app.button(key="runs_refresh").click().run()
        assert "oak" in names(app)

    def test_few_tables_are_kept(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees)
        for limit in (500, 1000, 2000, 5000):
            app.selectbox(key="limit").set_value(limit).run()
        assert len(app.session_state["_tables"]) == 4

    def test_a_link_wins_over_what_was_ticked_elsewhere(
        self, store: Store, open_page: Open
    ) -> None:
        app = tick(open_page("experiments", experiment=store.hostile), [0])
        app.query_params["experiment"] = store.trees
        app.query_params["selected"] = store.other
        app.run()
        assert app.query_params["selected"] == store.other
        assert "Delete the run **forest\\-b**" in drawn(app)
