"""The Compare page's differences: sections, the baseline, the focus, files."""

import json
from pathlib import Path

import pytest
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric
from streamlit.testing.v1 import AppTest

from core.runs.differences import MOST_RUNS
from core.ui.compare.sections import SECTIONS
from core.ui.deck import deck
from tests.pages.conftest import Open, Store, drawn, markdown_of

LABELS = {
    "params": "Params",
    "metrics": "Metrics",
    "tags": "Attributes and tags",
    "inputs": "Data",
    "signature": "Signature",
    "code": "Code",
    "requirements": "Requirements",
    "artifacts": "Artifacts",
}


def rows(app: AppTest, run: int = -1) -> dict[str, object]:
    """The table's names with the cells of one run, the last one where none is named."""
    table = app.dataframe[0].value
    return dict(zip(table["name"], table.iloc[:, run], strict=True))


def test_every_section_is_tried() -> None:
    assert list(LABELS) == list(SECTIONS)


@pytest.mark.parametrize("part", LABELS.values())
def test_hostile_runs_on_a_cold_link(store: Store, open_page: Open, part: str) -> None:
    runs = f"{store.hostile_run},{store.run}"
    app = open_page("compare", runs=runs, chart="Differences", part=part)
    assert not app.exception
    assert not [e.value for e in app.error]
    assert "![](" not in markdown_of(app)
    assert ":red[" not in markdown_of(app)


class TestBaseline:
    def test_a_run(self, store: Store, open_page: Open) -> None:
        app = open_page(
            "compare",
            runs=f"{store.run},{store.other}",
            chart="Differences",
            part="Metrics",
            baseline=store.other,
        )
        assert list(app.dataframe[0].value.columns)[-2].startswith("Baseline: forest-b")
        assert rows(app) == {
            "accuracy": "0.910000  -0.02 (-2.15%) worse",
            "loss": "0.200000  -0.1 (-33.33%) better",
        }

    def test_the_version_in_production(self, own_store: Store, open_page: Open) -> None:
        registry = deck().mlflow.registry
        registry.create_model("cells")
        registry.create_version("cells", f"models:/{own_store.model_id}", own_store.run)
        registry.set_stage("cells", 1, "Production")
        app = open_page("run", run=own_store.other, section="Related")
        assert app.selectbox(key="compare_model").options == ["cells"]
        app = open_page(
            "compare",
            runs=own_store.other,
            chart="Differences",
            part="Params",
            baseline="model:cells",
        )
        assert "Baseline: cells in Production" in app.dataframe[0].value.columns
        assert rows(app)["depth"] == "5  +2 (+66.67%)"
        assert rows(app)["a b"] == "≠ x y"

    @pytest.mark.parametrize("gone", ["model:nothing", "f" * 32, "![](x)"])
    def test_one_that_is_not_there_is_said(self, store: Store, open_page: Open, gone: str) -> None:
        app = open_page("compare", runs=store.run, chart="Differences", baseline=gone)
        assert not app.exception
        assert len(app.dataframe) + len(app.error) + len(app.caption) > 0
        assert not any(c.startswith("Baseline") for f in app.dataframe for c in f.value.columns)


class TestFocus:
    def test_next_and_previous_go_through_what_differs(self, store: Store, open_page: Open) -> None:
        runs = f"{store.run},{store.other}"
        app = open_page("compare", runs=runs, chart="Differences")
        app.toggle(key="differences_only").set_value(False).run()
        names = list(app.dataframe[0].value["name"])
        assert names == ["a b", "depth", "rate", "seed"]
        assert app.button(key="differences_previous").disabled
        seen = []
        while not app.button(key="differences_next").disabled:
            app.button(key="differences_next").click().run()
            seen.append(app.subheader[0].value.replace("\\", ""))
        assert seen == ["a b", "depth", "rate"]
        assert "Difference 3 of 3" in drawn(app)
        assert list(app.dataframe[1].value["value"]) == ["0.1", "0.10"]
        app.button(key="differences_previous").click().run()
        assert app.subheader[0].value == "depth"

    def test_long_values_stand_line_by_line(self, own_store: Store, open_page: Open) -> None:
        here = deck().mlflow.tracking
        ids = [
            here.create_run(own_store.empty, last, params={"note": f"{'x' * 150}\nsame\n{last}"}).id
            for last in ("one", "two")
        ]
        app = open_page("compare", runs=",".join(ids), chart="Differences")
        app.button(key="differences_next").click().run()
        assert list(app.dataframe[1].value["mark"]) == ["", "", "≠"]
        assert [c.value.splitlines()[-1] for c in app.code] == ["one", "two"]

    def test_search(self, store: Store, open_page: Open) -> None:
        app = open_page("compare", runs=f"{store.run},{store.other}", chart="Differences")
        app.text_input(key="differences_search").set_value("DEP").run()
        assert list(rows(app)) == ["depth"]

    def test_the_cap_is_said(self, own_store: Store, open_page: Open) -> None:
        tracking = deck().mlflow.tracking
        made = [
            tracking.create_run(own_store.empty, f"r{i}", params={"i": str(i)}).id
            for i in range(MOST_RUNS + 2)
        ]
        app = open_page("compare", runs=",".join(made), chart="Differences")
        assert f"The first {MOST_RUNS} of {MOST_RUNS + 2} runs" in drawn(app)
        assert app.dataframe[0].value.shape == (1, MOST_RUNS + 2)


def files(own_store: Store, tmp_path: Path, of: dict[str, dict[str, str]]) -> list[str]:
    """Runs with text files, by run and path."""
    here = deck().mlflow
    ids = []
    for name, texts in of.items():
        made = here.tracking.create_run(own_store.empty, name)
        folder = tmp_path / name
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        place = str(folder)
        here.gateway.write("logging", lambda c, r=made.id, p=place: c.log_artifacts(r, p))
        here.tracking.set_status(made.id, "FINISHED")
        ids.append(made.id)
    return ids


class TestSections:
    def test_inputs_and_nested_params(self, own_store: Store, open_page: Open) -> None:
        here = deck().mlflow
        ids = []
        for digest, rate in (("d1", 0.1), ("d2", 0.2)):
            params = {"model": json.dumps({"lr": rate, "depth": 3})}
            run = here.tracking.create_run(own_store.empty, digest, params=params)
            schema = {"mlflow_colspec": [{"type": "double", "name": "x"}]}
            data = Dataset("wine", digest, "code", "{}", json.dumps(schema), '{"num_rows": 9}')
            used = [DatasetInput(data, [InputTag("mlflow.data.context", "training")])]
            here.gateway.write("logging", lambda c, r=run.id, d=used: c.log_inputs(r, d))
            ids.append(run.id)
        app = open_page("compare", runs=",".join(ids), chart="Differences")
        assert rows(app) == {"model.lr": "0.2"}
        app = open_page("compare", runs=",".join(ids), chart="Differences", part="Data")
        assert rows(app) == {"training · digest": "d2"}

    def test_signature(self, store: Store, open_page: Open) -> None:
        runs = f"{store.run},{store.other}"
        app = open_page("compare", runs=runs, chart="Differences", part="Signature")
        assert rows(app, -2) == {"Input · radius": "double", "Output · 0": "long"}
        assert "1 run logged no model" in drawn(app)

    def test_metrics_of_thousands_are_capped_and_said(
        self, own_store: Store, open_page: Open
    ) -> None:
        here = deck().mlflow
        ids = []
        for value in (0.0, 1.0):
            run = here.tracking.create_run(own_store.empty, "wide")
            for start in range(0, 3_000, 1_000):
                some = [Metric(f"m{start + i}", value, 0, 0) for i in range(1_000)]
                here.gateway.write("logging", lambda c, r=run.id, m=some: c.log_batch(r, m))
            ids.append(run.id)
        app = open_page("compare", runs=",".join(ids), chart="Differences", part="Metrics")
        assert len(app.dataframe[0].value) == 2_000
        assert "2,000 of 3,000 rows are shown" in drawn(app)

    def test_files(self, own_store: Store, open_page: Open, tmp_path: Path) -> None:
        ids = files(
            own_store,
            tmp_path,
            {
                "one": {"a/t.csv": "id,v\n1,a\n2,b\n", "n.txt": "x\ny\n", "only.txt": "o"},
                "two": {"a/t.csv": "id,v\n2,b\n1,c\n3,d\n", "n.txt": "x\nz\n"},
            },
        )
        app = open_page("compare", runs=",".join(ids), chart="Differences", part="Artifacts")
        assert list(rows(app)) == ["a/t.csv", "only.txt"]  # n.txt has the same size
        app.toggle(key="files_contents").set_value(True).run()
        assert list(rows(app)) == ["a/t.csv", "n.txt", "only.txt"]
        app.button(key="differences_next").click().run()
        assert "2 rows are in both. 1 row is only in two. 1 cell differs." in drawn(app).replace(
            "\\", ""
        )
        cells = app.dataframe[1].value
        assert cells[["key", "column", "left", "right"]].to_numpy().tolist() == [
            ["1", "v", "a", "c"]
        ]
        app.button(key="differences_next").click().run()
        assert list(app.dataframe[1].value["mark"]) == ["", "≠"]
        app.button(key="differences_next").click().run()
        assert "Only one has this file" in drawn(app).replace("\\", "")
