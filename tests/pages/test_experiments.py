"""The list of experiments, and the runs of some of them."""

import re
import threading

import pytest
from streamlit.testing.v1 import AppTest

from core.runs import views
from core.runs.grouping import By, group
from core.runs.mirror.sync import Sync
from core.runs.query import Name, Names, RunQuery
from core.ui.deck import deck, mirror
from core.ui.experiments import columns
from core.ui.markup import visible
from core.ui.run_cells import LONGEST_CELL
from tests.pages.conftest import HOSTILE, Open, Store, drawn, markdown_of
from tests.waiting import until


def names(app: AppTest) -> list[str]:
    """The names in the page's first table."""
    return list(app.dataframe[0].value["name"])


def tick(app: AppTest, rows: list[int], table: str = "(runs|experiments)") -> AppTest:
    """Tick rows of the page's table, as a click in a browser does."""
    state = app.session_state._state.filtered_state
    key = next(k for k in state if re.fullmatch(rf"{table}_[0-9a-f]{{8}}", k))
    app.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return app.run()


class TestList:
    def test_names_counts_and_descriptions(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments").run()
        assert not app.exception
        # The first look may come before the mirror has the runs.
        until(lambda: not app.run().dataframe[0].value["runs"].eq(0).all(), 30, "the counts")
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


class TestTable:
    def test_newest_first_in_families_with_what_varies(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees)
        assert not app.exception
        table = app.dataframe[0].value
        assert list(table["name"]) == [
            "forest-live",
            "forest-b",
            "forest-a",
            "↳ fold-1",
            "↳ fold-0",
        ]
        assert {"metrics.accuracy", "metrics.loss", "params.depth"} <= set(table.columns)
        assert "5 runs, all shown." in drawn(app)
        assert "All 8 runs, as of just now" in drawn(app)

    def test_the_whole_view_is_in_the_link(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "experiments", experiment=store.trees, filter="metrics.accuracy > 0.9 OR depth = '7'",
            sort="metrics.accuracy", order="Ascending", columns=["params.seed", "min(loss)"],
            view="All", nesting="In one list",
        )  # fmt: skip
        table = app.dataframe[0].value
        assert list(table["name"]) == ["forest-a", "↳ fold-1", "forest-b", "forest-live"]
        assert [c for c in table.columns if "." in c or "(" in c] == ["params.seed", "min(loss)"]
        assert table["parent"].iloc[1] == "forest-a"

    def test_nested_runs_can_be_left_out(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, nesting="Left out")
        assert names(app) == ["forest-live", "forest-b", "forest-a"]

    def test_more_rows_than_are_sent_are_counted(
        self, store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.ui.experiments.MOST_ROWS", 2)
        app = open_page("experiments", experiment=store.trees)
        assert "2 of 5 runs shown." in drawn(app)
        assert "about all 5 that match" in drawn(app)

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
        assert "1 run: **" in said
        assert "![](" not in said
        assert ":red[" not in said

    def test_long_cells_are_cut_where_it_shows(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.hostile, columns=["params.p"])
        cell = app.dataframe[0].value["params.p"].iloc[0]
        assert len(cell) <= LONGEST_CELL + 1
        assert "\u202e" not in cell


class TestFilter:
    def test_a_fault_is_shown_under_its_place_and_the_text_stays(
        self, store: Store, open_page: Open
    ) -> None:
        app = open_page("experiments", experiment=store.trees, filter="depth = '3' AND acuracy > 1")
        assert app.text_input(key="filter").value == "depth = '3' AND acuracy > 1"
        line, mark = app.code[0].value.split("\n")
        assert line[mark.index("^") :].startswith("acuracy")
        app.button(key="use_16").click().run()
        assert app.text_input(key="filter").value == "depth = '3' AND metrics.accuracy > 1"
        assert not app.code
        assert "None of the 5 runs matches" in drawn(app)

    def test_a_misspelt_name_is_offered_where_nothing_matches(
        self, store: Store, open_page: Open
    ) -> None:
        app = open_page("experiments", experiment=store.trees, filter="metrics.acuracy > 0.92")
        assert "No run here has metrics.acuracy" in drawn(app).replace("\\", "")
        app.button(key="use_0").click().run()
        assert app.text_input(key="filter").value == "metrics.accuracy > 0.92"
        assert names(app) == ["forest-b"]

    @pytest.mark.parametrize("text", ["a" * 200 + " = = 1", "\u202e x", "(", "' ", "\n\n ="])
    def test_the_mark_stays_under_odd_filters(
        self, store: Store, open_page: Open, text: str
    ) -> None:
        app = open_page("experiments", experiment=store.trees, filter=text)
        assert not app.exception
        assert all(len(line) <= 110 for line in app.code[0].value.split("\n"))

    def test_help_has_the_names_that_are_there_and_the_zone(
        self, store: Store, open_page: Open
    ) -> None:
        app = open_page("experiments", experiment=store.trees)
        app.session_state["filter_help"] = True
        app.run()
        assert "metrics.accuracy" in "\n".join(c.value for c in app.code)
        assert "your time zone, UTC" in drawn(app)


class TestColumns:
    def test_constant_and_empty_columns_go_with_one_click(
        self, store: Store, open_page: Open
    ) -> None:
        app = open_page(
            "experiments", experiment=store.trees, filter="seed = '1'",
            columns=["metrics.accuracy", "params.seed", "params.none"],
        )  # fmt: skip
        button = app.button(key="columns_tidy")
        assert button.label == "Hide 2 constant or empty"
        button.click().run()
        assert app.session_state["columns"] == ["metrics.accuracy"]

    def test_a_name_is_found_and_added_as_an_aggregate(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, columns=["params.seed"])
        app.session_state["columns_open"] = True
        app.run()
        app.text_input(key="columns_search").set_value("los").run()
        listed = next(d.value for d in app.dataframe if "distinct" in d.value)
        assert list(listed["name"]) == ["loss"]
        app = tick(app, [0], "columns")
        app.selectbox(key="columns_as").set_value("Minimum").run()
        app.button(key="columns_add").click().run()
        assert app.session_state["columns"] == ["params.seed", "min(loss)"]

    def test_thousands_of_names_are_searched_not_sent(self) -> None:
        known = Names(9, tuple(Name("metrics", f"m{i}", 9, 9, 9, 0, 1) for i in range(12_000)))
        assert [n.name for n in columns.matching(known, "M11 999")] == ["m11999"]
        assert len(columns.matching(known, "")) == 12_000

    def test_typed_columns_that_are_none_are_said(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, columns=["what?"])
        assert "is no column" in drawn(app)
        assert not app.exception

    def test_a_direction_is_set_for_everybody(self, own_store: Store, open_page: Open) -> None:
        app = open_page(
            "experiments", experiment=own_store.trees, columns=["metrics.accuracy", "best(loss)"]
        )
        lowest = list(app.dataframe[0].value["best(loss)"])
        app.session_state["columns_open"] = True
        app.run()
        control = next(g for g in app.button_group if g.label == "are")
        assert control.value == "Higher"
        control.set_value("Lower").run()
        app.button(key="direction_save").click().run()
        tags = deck().mlflow.tracking.experiment(own_store.trees).tags
        assert tags["modeldeck.directions"] == '{"accuracy": "lower"}'
        assert next(g for g in app.button_group if g.label == "are").value == "Lower"
        app.selectbox(key="direction_of").set_value("loss").run()
        next(g for g in app.button_group if g.label == "are").set_value("Higher").run()
        app.button(key="direction_save").click().run()
        table = next(d.value for d in app.dataframe if "best(loss)" in d.value)
        assert table["best(loss)"].iloc[0] > lowest[0]


class TestSelection:
    def test_ticked_runs_are_in_the_link(self, store: Store, open_page: Open) -> None:
        app = tick(open_page("experiments", experiment=store.trees), [1, 2])
        assert app.query_params["selected"] == f"{store.other},{store.run}"
        assert "Compare 2 runs" in [b.label for b in app.button]

    def test_a_linked_selection_is_ticked(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, selected=store.other)
        assert "1 run: **forest\\-b**" in drawn(app)

    def test_a_link_wins_over_what_was_ticked_elsewhere(
        self, store: Store, open_page: Open
    ) -> None:
        app = tick(open_page("experiments", experiment=store.hostile), [0])
        app.query_params["experiment"] = store.trees
        app.query_params["selected"] = store.other
        app.run()
        assert app.query_params["selected"] == store.other
        assert "1 run: **forest\\-b**" in drawn(app)

    def test_the_table_stays_while_rows_are_ticked_and_what_is_new_is_offered(
        self, own_store: Store, open_page: Open
    ) -> None:
        app = tick(open_page("experiments", experiment=own_store.trees), [1])
        deck().mlflow.tracking.rename_run(own_store.run, "oak")
        made = deck().mlflow.tracking.create_run(own_store.trees, "newcomer")
        mirror().reread([own_store.run, made.id])
        app.run()
        assert "newcomer" not in names(app)
        assert app.button(key="runs_fresh").label == "1 new run: show"
        app.button(key="runs_fresh").click().run()
        assert {"newcomer", "oak"} <= set(names(app))
        assert "1 run: **forest\\-b**" in drawn(app)

    def test_without_ticks_what_is_new_shows_by_itself(
        self, own_store: Store, open_page: Open
    ) -> None:
        app = open_page("experiments", experiment=own_store.trees)
        made = deck().mlflow.tracking.create_run(own_store.trees, "newcomer")
        mirror().reread([made.id])
        assert "newcomer" in names(app.run())


def works_done(app: AppTest) -> AppTest:
    """The page after what it started has ended."""

    def ended() -> bool:
        return all(job.work.progress.finished for job in app.session_state["_works"])

    until(ended, 30, "the end of the work")
    return app.run()


class TestBulk:
    def act(self, app: AppTest, kind: str, **fields: str) -> AppTest:
        app.selectbox(key="bulk_kind").set_value(kind).run()
        for key, value in fields.items():
            field = next(f for f in [*app.text_input, *app.text_area] if f.key == key)
            field.set_value(value)
        app.button(key="bulk_do").click().run()
        return works_done(app)

    def test_a_tag_on_all_that_match_and_back(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=own_store.trees, filter="metrics.accuracy > 0")
        assert "all 4 that match" in drawn(app)
        app = self.act(app, "Set a tag", bulk_key="team", bulk_text="red")
        assert "4 runs tagged." in drawn(app)
        tracking = deck().mlflow.tracking
        assert tracking.run(own_store.other).tags["team"] == "red"
        assert "team" not in tracking.run(own_store.running).tags
        tracking.set_run_tag(own_store.child, "team", "theirs")
        undo = next(b for b in app.button if b.label == "Undo 4 changes")
        app = works_done(undo.click().run())
        said = drawn(app)
        assert "3 runs are as they were before. 1 failed." in said
        assert tracking.run(own_store.other).tags["team"] == "blue"
        assert tracking.run(own_store.child).tags["team"] == "theirs"
        failures = next(d.value for d in app.dataframe if "What happened" in d.value)
        assert list(failures["Id"]) == [own_store.child]

    def test_rename_by_a_pattern(self, own_store: Store, open_page: Open) -> None:
        app = tick(open_page("experiments", experiment=own_store.trees), [1, 2])
        app = self.act(app, "Rename", bulk_pattern="{n} of {name}")
        assert {"1 of forest-b", "2 of forest-a"} <= set(names(app))

    def test_a_bad_pattern_is_refused_before_anything_is_done(
        self, own_store: Store, open_page: Open
    ) -> None:
        app = tick(open_page("experiments", experiment=own_store.trees), [1])
        app.selectbox(key="bulk_kind").set_value("Rename").run()
        app.text_input(key="bulk_pattern").set_value("{nam}")
        app.button(key="bulk_do").click().run()
        assert "is no field" in app.error[0].value
        assert "_works" not in app.session_state

    def test_delete_and_restore(self, own_store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=own_store.trees, selected=own_store.other)
        app = self.act(app, "Delete")
        assert "forest-b" not in names(app)
        app = open_page(
            "experiments", experiment=own_store.trees, view="Deleted", selected=own_store.other
        )
        assert set(names(app)) == {"forest-b", "forest-gone"}
        app = self.act(app, "Restore")
        assert deck().mlflow.tracking.run(own_store.other).lifecycle_stage == "active"
        assert names(app) == ["forest-gone"]

    def test_the_runs_that_the_person_saw_are_changed_whatever_comes_between(
        self, own_store: Store, open_page: Open
    ) -> None:
        app = tick(open_page("experiments", experiment=own_store.trees), [1])
        app.selectbox(key="bulk_kind").set_value("Write a note").run()
        app.text_area(key="bulk_note").set_value("seen")
        # A new run pushes the ticked row down before the button reaches the server.
        made = deck().mlflow.tracking.create_run(own_store.trees, "newcomer")
        mirror().reread([made.id])
        app.button(key="bulk_do").click().run()
        works_done(app)
        tracking = deck().mlflow.tracking
        noted = [i for i in (own_store.other, own_store.running, own_store.run, made.id)
                 if tracking.run(i).tags.get("mlflow.note.content") == "seen"]  # fmt: skip
        assert noted == [own_store.other]

    def test_versions_of_a_registered_model(self, own_store: Store, open_page: Open) -> None:
        deck().mlflow.registry.create_model("forest")
        app = tick(open_page("experiments", experiment=own_store.trees), [1, 2])
        app.selectbox(key="bulk_kind").set_value("Register as versions of a model").run()
        app.selectbox(key="bulk_model").set_value("forest")
        app.button(key="bulk_do").click().run()
        app = works_done(app)
        assert "1 version registered. 1 failed." in drawn(app)
        [version] = deck().mlflow.registry.versions("forest")
        assert version.run_id == own_store.run
        assert not [b for b in app.button if b.label.startswith("Undo")]


class TestViews:
    def test_saved_and_opened_by_somebody_else(self, own_store: Store, open_page: Open) -> None:
        app = open_page(
            "experiments", experiment=own_store.trees, filter="metrics.accuracy > 0.9",
            sort="metrics.accuracy", columns=["params.seed"], nesting="In one list",
            selected=own_store.other,
        )  # fmt: skip
        app.session_state["views_open"] = True
        app.run()
        app.text_input(key="views_new").set_value("Good ones")
        app.button(key="views_save_do").click().run()
        assert not app.error
        [one] = views.held([deck().mlflow.tracking.experiment(own_store.trees)])
        assert (one.view.name, one.runs) == ("Good ones", 1)
        other = open_page("experiments", experiment=own_store.trees, saved=one.view.id)
        assert other.text_input(key="filter").value == "metrics.accuracy > 0.9"
        assert names(other) == ["forest-b", "↳ fold-1", "forest-a"]
        assert list(other.dataframe[0].value.columns)[-1] == "params.seed"
        assert "1 run: **forest\\-b**" in drawn(other)

    def test_replaced_renamed_and_deleted_only_as_seen(
        self, own_store: Store, open_page: Open
    ) -> None:
        mlflow = deck().mlflow
        view = views.save(mlflow, views.View("One", (own_store.trees,)), "ada")
        app = open_page("experiments", experiment=own_store.trees, filter="depth = '3'")
        app.session_state["views_open"] = True
        app.run()
        app.button(key="views_replace").click().run()
        assert views.load(mlflow, own_store.trees, view.id).filter == "depth = '3'"
        [seen] = views.held([mlflow.tracking.experiment(own_store.trees)])
        views.rename(mlflow, seen, "Theirs", "bea")
        app.button(key="views_delete").click().run()
        assert "Somebody else changed" in app.error[0].value
        app.run()
        app.button(key="views_delete").click().run()
        assert not views.held([mlflow.tracking.experiment(own_store.trees)])

    def test_a_view_of_many_runs_stays_in_the_link_while_they_are_ticked(
        self, own_store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.ui.experiments.table.MOST_IN_LINK", 1)
        ids = (own_store.other, own_store.run)
        view = views.View("Two", (own_store.trees,), run_ids=ids)
        saved = views.save(deck().mlflow, view, "ada")
        app = open_page("experiments", experiment=own_store.trees, saved=saved.id)
        assert "2 runs: **" in drawn(app)
        assert app.run().query_params["saved"] == saved.id
        assert "saved" not in tick(app, [0]).query_params

    def test_a_link_to_no_view(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, saved="nothing1")
        assert not app.exception
        assert "There is no saved view" in app.error[0].value

    def test_more_runs_than_stand_in_a_link_become_a_view(
        self, own_store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.ui.experiments.actions.MOST_IN_LINK", 1)
        app = tick(open_page("experiments", experiment=own_store.trees), [1, 2])
        app.button(key="runs_compare").click().run()
        [one] = views.held([deck().mlflow.tracking.experiment(own_store.trees)])
        found = views.load(deck().mlflow, own_store.trees, one.view.id)
        assert set(found.run_ids) == {own_store.other, own_store.run}


class TestGroups:
    def test_by_a_param_with_mean_spread_and_best(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "experiments", experiment=store.trees, group=["params.seed"],
            columns=["metrics.accuracy"],
        )  # fmt: skip
        table = app.dataframe[0].value
        assert list(table["runs"]) == [3, 2]
        assert list(table["metrics.accuracy mean"]) == ["0.9100 ± 0.014", "0.9200 ± 0.014"]
        assert list(table["metrics.accuracy best"]) == [0.92, 0.93]
        assert "2 groups of 5 runs." in drawn(app)

    def test_by_all_params_but_one(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "experiments", experiment=store.trees, group=["params.fold"],
            group_way="All params but these", columns=["metrics.accuracy"],
        )  # fmt: skip
        assert sorted(app.dataframe[0].value["runs"]) == [1, 1, 1, 2]

    def test_a_click_on_a_group_shows_its_runs(self, store: Store, open_page: Open) -> None:
        asked = RunQuery((store.trees,), "metrics.accuracy > 0.9", limit=None)
        found = group(mirror(), asked, By(("params.seed",)), (), frozenset([store.trees]))
        app = open_page("experiments", experiment=store.trees, filter=asked.filter)
        row = list(found.frame["params.seed"]).index("1")
        app.text_input(key="filter").set_value(f"({asked.filter}) AND {found.filter(row)}").run()
        assert names(app) == ["forest-b", "forest-a"]


class TestReading:
    def test_runs_that_are_still_being_read_are_not_said_to_be_missing(
        self, own_store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        may_look, look = threading.Event(), Sync._look

        def late(self: Sync) -> None:
            may_look.wait(60)
            look(self)

        monkeypatch.setattr(Sync, "_look", late)
        monkeypatch.setattr("core.ui.runs._PATIENCE", 0.1)
        try:
            app = open_page("experiments", experiment=own_store.trees)
            assert "still being read" in drawn(app)
            assert "There are no runs here" not in drawn(app)
            other = open_page("compare", experiment=own_store.trees)
            assert "still being read" in drawn(other)
            assert "None of the runs" not in drawn(other)
        finally:
            may_look.set()
        until(lambda: app.run().dataframe, 30, "the runs")
        assert "forest-a" in names(app)
        assert "still being read" not in drawn(app)


class TestHistories:
    def test_many_are_named_and_read_when_asked(
        self, own_store: Store, open_page: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.runs.aggregates.FEW", 0)
        monkeypatch.setattr("core.runs.aggregates.FEW_POINTS", 0)
        app = open_page("experiments", experiment=own_store.trees, filter="min(loss) < 0.25")
        # The first look may come before the mirror has the metrics.
        until(lambda: "This needs 3 metric histories" in drawn(app.run()), 30, "the question")
        app.button(key="histories_read").click().run()
        until(lambda: app.session_state["_reading_histories"].ended, 30, "the histories")
        assert names(app.run()) == ["forest-a"]


class TestExport:
    def test_files_and_code_of_all_that_match(self, store: Store, open_page: Open) -> None:
        app = open_page("experiments", experiment=store.trees, filter="accuracy > 0.9 OR depth > 6")
        app.session_state["export_open"] = True
        app.run()
        assert "4 rows with" in drawn(app)
        code = app.code[0].value
        assert "search_runs" in code
        assert "some(" in code
