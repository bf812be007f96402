"""One run: its head, its sections, and what can be done to it."""

from pathlib import Path

import pytest
from mlflow.entities import Metric
from streamlit.testing.v1 import AppTest

from core.mlflow_api.nouns import NOTE_TAG
from core.training.jobs import JOB_TAG
from core.ui.deck import deck, forget, mirror
from core.ui.markup import visible
from tests.pages.conftest import HOSTILE, Open, Store, drawn, markdown_of

SECTIONS = ("Overview", "Curves", "Artifacts", "Models", "Inputs", "Tags", "Related")


def tag(app: AppTest, run: str, key: str, value: str) -> None:
    """Send the form that sets a tag."""
    app.text_input(key=f"tags_{run}:name").set_value(key)
    app.text_area(key=f"tags_{run}:value").set_value(value)
    app.button(key=f"tags_{run}:set").click().run()


class TestHead:
    def test_what_it_is(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.run)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert app.title[0].value == "forest\\-a"
        said = drawn(app)
        for text in ("Finished", "ada", store.run, "1 min 01 s"):
            assert text in said

    @pytest.mark.parametrize("wrong", ["", "nope", "f" * 32, "x" * 500, "'; --"])
    def test_an_unknown_run_is_said(self, store: Store, open_page: Open, wrong: str) -> None:
        app = open_page("run", run=wrong)
        assert len(app.error) == 1
        assert not app.exception

    def test_rename_describe(self, own_store: Store, open_page: Open) -> None:
        app = open_page("run", run=own_store.run)
        next(f for f in app.text_input if f.label == "New name").set_value("oak")
        next(b for b in app.button if b.label == "Rename").click().run()
        assert app.title[0].value == "oak"
        app.text_area[0].set_value("line\n![](http://127.0.0.1:9/x)")
        next(b for b in app.button if b.label == "Save").click().run()
        assert "![](http://127.0.0.1:9/x)" in [t.value for t in app.text][-1]
        assert "![](" not in markdown_of(app)

    def test_a_description_that_somebody_else_changed(
        self, own_store: Store, open_page: Open
    ) -> None:
        def save(text: str) -> None:
            app.text_area[0].set_value(text)
            next(b for b in app.button if b.label == "Save").click().run()

        app = open_page("run", run=own_store.run)
        tracking = deck().mlflow.tracking
        tracking.set_run_tag(own_store.run, NOTE_TAG, "theirs")
        forget()
        save("mine")
        assert "Somebody else changed" in app.error[0].value
        assert app.text_area[0].value == "mine"
        app.run()
        assert app.text_area[0].value == "mine"
        assert "theirs" in [e.value for e in app.text]
        save("mine")
        assert not app.error
        assert tracking.run(own_store.run).tags[NOTE_TAG] == "mine"
        save("mine again")
        assert app.text_area[0].value == "mine again"

    def test_a_description_that_is_emptied_is_gone(self, own_store: Store, open_page: Open) -> None:
        tracking = deck().mlflow.tracking
        tracking.set_run_tag(own_store.run, NOTE_TAG, "a note")
        app = open_page("run", run=own_store.run)
        app.text_area[0].set_value(" ")
        next(b for b in app.button if b.label == "Save").click().run()
        assert NOTE_TAG not in tracking.run(own_store.run).tags

    def test_a_name_that_cannot_be_stays_in_the_field(
        self, own_store: Store, open_page: Open
    ) -> None:
        app = open_page("run", run=own_store.run)
        field = f"rename_to_{own_store.run}"
        app.text_input(key=field).set_value("x" * 501)
        next(b for b in app.button if b.label == "Rename").click().run()
        assert "at most 500 characters" in app.error[0].value
        assert app.text_input(key=field).value == "x" * 501
        assert app.title[0].value == "forest\\-a"

    def test_the_field_has_what_is_there(self, own_store: Store, open_page: Open) -> None:
        app = open_page("run", run=own_store.run)
        deck().mlflow.tracking.set_run_tag(own_store.other, NOTE_TAG, "another")
        app.query_params["run"] = own_store.other
        app.run()
        assert app.text_area[0].value == "another"

    def test_its_job(self, own_store: Store, open_page: Open) -> None:
        deck().mlflow.tracking.set_run_tag(own_store.run, JOB_TAG, "J1")
        app = open_page("run", run=own_store.run)
        assert "Training job" in [link.label for link in app.get("page_link")]

    def test_delete_then_restore(self, own_store: Store, open_page: Open) -> None:
        app = open_page("run", run=own_store.run)
        assert "Delete the run **forest\\-a**?" in drawn(app)
        app.button(key="run_delete").click().run()
        assert "Deleted" in drawn(app)
        app.button(key="run_restore").click().run()
        assert deck().mlflow.tracking.run(own_store.run).lifecycle_stage == "active"

    @pytest.mark.parametrize("section", SECTIONS)
    def test_hostile_text_is_text(self, store: Store, open_page: Open, section: str) -> None:
        app = open_page("run", run=store.hostile_run, section=section)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert "![](" not in markdown_of(app)
        assert ":red[" not in markdown_of(app)
        assert "\u202e" not in markdown_of(app)


class TestSections:
    def test_overview(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.run)
        params, metrics = (frame.value for frame in app.dataframe[:2])
        assert dict(zip(params["name"], params["value"], strict=True)) == {
            "depth": "3",
            "rate": "0.1",
            "seed": "1",
        }
        assert dict(zip(metrics["name"], metrics["value"], strict=True))["accuracy"] == "0.910000"

    def test_nan_and_long_values(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.hostile_run)
        assert app.dataframe[0].value["value"].iloc[0] == visible(HOSTILE)
        assert app.dataframe[1].value["value"].iloc[0] == "NaN"

    def test_curves(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.run, section="Curves")
        assert not app.exception
        assert len(app.get("plotly_chart")) == 1
        assert app.multiselect(key="metric").value == ["accuracy", "loss"]
        assert "Only one value was logged of: accuracy" in drawn(app).replace("\\", "")

    def test_curves_of_a_running_run_are_live(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.running, section="Curves", metric=["loss"])
        assert not app.exception
        assert "2 points drawn" in drawn(app).replace("\\", "")
        assert "so far" in drawn(app)

    def test_inputs(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.run, section="Inputs")
        said = drawn(app).replace("\\", "")
        for text in ("cells", "training", "Digest abc123", "num_rows: 455"):
            assert text in said
        assert list(app.dataframe[0].value["name"]) == ["radius"]

    def test_tags(self, own_store: Store, open_page: Open) -> None:
        app = open_page("run", run=own_store.run, section="Tags")
        tag(app, own_store.run, "team", "blue")
        assert list(app.dataframe[0].value["name"]) == ["team"]
        app.button(key=f"tags_{own_store.run}:remove").click().run()
        assert "team" not in deck().mlflow.tracking.run(own_store.run).tags

    def test_a_tag_that_somebody_else_changed(self, own_store: Store, open_page: Open) -> None:
        app = open_page("run", run=own_store.run, section="Tags")
        tracking = deck().mlflow.tracking
        tracking.set_run_tag(own_store.run, "team", "theirs")
        tag(app, own_store.run, "team", "mine")
        assert "Somebody else changed the tag team" in app.error[0].value
        assert tracking.run(own_store.run).tags["team"] == "theirs"
        assert list(app.dataframe[0].value["value"]) == ["theirs"]
        assert app.text_area(key=f"tags_{own_store.run}:value").value == "mine"
        tag(app, own_store.run, "team", "mine")
        assert tracking.run(own_store.run).tags["team"] == "mine"

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [("", "x", "needs a key"), ("k", "x" * 8_001, "8,001 characters")],
    )
    def test_a_tag_that_cannot_be(
        self, own_store: Store, open_page: Open, key: str, value: str, said: str
    ) -> None:
        app = open_page("run", run=own_store.run, section="Tags")
        tag(app, own_store.run, key, value)
        assert said in app.error[0].value.replace("\\", "")
        assert app.text_area(key=f"tags_{own_store.run}:value").value == value
        assert "k" not in deck().mlflow.tracking.run(own_store.run).tags

    def test_siblings_and_replicates(self, own_store: Store, open_page: Open) -> None:
        app = open_page("run", run=own_store.child, section="Related")
        assert "1 run beside this one" in drawn(app)
        here = deck().mlflow.tracking
        twins = [
            here.create_run(own_store.empty, f"twin-{seed}", params={"lr": "0.1", "seed": seed})
            for seed in ("1", "2")
        ]
        other = here.create_run(own_store.empty, "other", params={"lr": "0.2", "seed": "1"})
        forget()
        mirror().refresh()
        app = open_page("run", run=twins[0].id, section="Related")
        assert "1 replicate: the same params but for the seed" in drawn(app)
        assert set(app.dataframe[-1].value["name"]) == {"twin-1", "twin-2"}
        app = open_page("run", run=other.id, section="Related")
        assert "replicate" not in drawn(app)

    def test_related(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.run, section="Related")
        assert list(app.dataframe[0].value["name"]) == ["↳ fold-1", "↳ fold-0"]
        app = open_page("run", run=store.child, section="Related")
        assert "Nested in" in drawn(app)
        assert "forest\\-a" in [link.label for link in app.get("page_link")]


class TestSize:
    def test_thousands_of_metrics_and_long_params_are_two_tables(
        self, own_store: Store, open_page: Open
    ) -> None:
        here = deck().mlflow
        params = {f"p{i:02d}": "x" * 6_000 for i in range(20)}
        run = here.tracking.create_run(own_store.empty, "wide", params=params)
        metrics = [Metric(f"m/{i:04d}", i / 7, 0, 0) for i in range(8_000)]
        for start in range(0, len(metrics), 1_000):
            some = metrics[start : start + 1_000]
            here.gateway.write("logging", lambda c, s=some: c.log_batch(run.id, metrics=s))
        here.tracking.set_status(run.id, "FINISHED")
        forget()
        app = open_page("run", run=run.id)
        assert [len(f.value) for f in app.dataframe] == [20, 8_000]
        app.text_input(key="search_metrics").set_value("M/0123").run()
        assert list(app.dataframe[1].value["name"]) == ["m/0123"]
        assert "1 of 8,000 shown" in drawn(app)


class TestModels:
    def test_register_then_the_same_again(self, own_store: Store, open_page: Open) -> None:
        deck().mlflow.registry.create_model("cells")
        app = open_page("run", run=own_store.run, section="Models")
        assert not app.exception
        assert list(app.dataframe[0].value["type"]) == ["double", "long"]
        for _ in range(2):
            app.selectbox[0].set_value("cells")
            next(b for b in app.button if b.label == "Register").click().run()
            assert not [e.value for e in app.error]
            (version,) = deck().mlflow.registry.versions("cells")
        assert version.run_id == own_store.run
        assert version.logged_model_id == own_store.model_id
        assert version.tags["modeldeck.registered_by"] == deck().actor.name
        assert "cells, version 1" in drawn(app).replace("\\", "")

    def test_a_folder_of_an_older_client(
        self, own_store: Store, open_page: Open, tmp_path: Path
    ) -> None:
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "MLmodel").write_text("flavors:\n  sklearn: {}\n")
        here = deck().mlflow
        made = here.tracking.create_run(own_store.empty, "older client")
        here.gateway.write("logging", lambda c: c.log_artifacts(made.id, str(tmp_path)))
        here.registry.create_model("olds")
        app = open_page("run", run=made.id, section="Models")
        assert not app.exception
        assert "sklearn" in drawn(app)
        app.selectbox[0].set_value("olds")
        next(b for b in app.button if b.label == "Register").click().run()
        assert not [e.value for e in app.error]
        (version,) = here.registry.versions("olds")
        assert version.source == f"runs:/{made.id}/old"

    def test_no_name(self, own_store: Store, open_page: Open) -> None:
        app = open_page("run", run=own_store.run, section="Models")
        next(b for b in app.button if b.label == "Register").click().run()
        assert "type the name of a new one" in app.error[0].value

    def test_a_run_without_models(self, store: Store, open_page: Open) -> None:
        assert "logged no model" in drawn(open_page("run", run=store.other, section="Models"))


class TestArtifacts:
    def test_folders(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.run, section="Artifacts")
        assert app.dataframe[0].value["name"].iloc[0].endswith("deep/")
        app = open_page("run", run=store.run, section="Artifacts", path="deep/er")
        assert app.dataframe[0].value["name"].iloc[0].strip() == "log.txt"
        app.button(key="crumb_0").click().run()
        assert app.dataframe[0].value["name"].iloc[0].endswith("er/")

    @pytest.mark.parametrize(
        ("file", "said"),
        [
            ("table.csv", "2 rows."),
            ("scores.json", "2 rows."),
            ("tree.json", ""),
            ("notes.md", "![](http://127.0.0.1:9/x)"),
            ("page.html", "Shown without scripts"),
            ("broken.png", "damaged"),
            ("weights.bin", "not shown here (2.0 kB)"),
            ("big.txt", "Files up to 5.0 MB are shown here; this one has 6.0 MB"),
        ],
    )
    def test_previews(self, store: Store, open_page: Open, file: str, said: str) -> None:
        app = open_page("run", run=store.run, section="Artifacts", file=file)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert said in drawn(app).replace("\\", "")
        assert "![](" not in markdown_of(app)
        assert len(app.get("download_button")) == 1

    def test_sounds_films_drawings_and_papers(
        self, own_store: Store, open_page: Open, tmp_path: Path
    ) -> None:
        folder = tmp_path / "media"
        folder.mkdir()
        for name in ("tone.wav", "film.mp4", "drawing.svg", "paper.pdf"):
            (folder / name).write_bytes(b"not really one")
        here = deck().mlflow
        run = here.tracking.create_run(own_store.empty, "media")
        here.gateway.write("logging", lambda c: c.log_artifacts(run.id, str(folder)))
        shown = {}
        for name, element in (
            ("tone.wav", "audio"),
            ("film.mp4", "video"),
            ("drawing.svg", "iframe"),
            ("paper.pdf", "download_button"),
        ):
            app = open_page("run", run=run.id, section="Artifacts", file=name)
            assert not app.exception
            assert not [e.value for e in app.error]
            shown[name] = len(app.get(element))
        assert set(shown.values()) == {1}
        assert "A PDF is not shown here" in drawn(app)

    def test_cells_are_as_they_were_written(self, store: Store, open_page: Open) -> None:
        app = open_page("run", run=store.run, section="Artifacts", file="table.csv")
        assert list(app.dataframe[1].value["b"]) == ["=1+1", "x"]

    @pytest.mark.parametrize("path", ["../..", "/etc", "nowhere"])
    def test_no_way_out(self, store: Store, open_page: Open, path: str) -> None:
        app = open_page("run", run=store.run, section="Artifacts", path=path, file="passwd")
        assert not app.exception
        assert len(app.error) == 1

    def test_files_of_a_logged_model(self, store: Store, open_page: Open) -> None:
        files = f"logged model model · {store.model_id}"
        app = open_page("run", run=store.run, section="Artifacts", files=files, file="MLmodel")
        assert "loader_module" in app.code[0].value

    def test_none(self, store: Store, open_page: Open) -> None:
        said = drawn(open_page("run", run=store.other, section="Artifacts"))
        assert "This run has no artifacts" in said
