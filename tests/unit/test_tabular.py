"""The built-in projects without a server: reading, training, form, and the sample's plan."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error

from core.training.builtin import modelling
from core.training.builtin.data import BUNDLED, Table, load, split
from core.training.builtin.families import AUTO, FAMILIES, family_named, read_hypers
from core.training.builtin.modelling import Measured, Recipe, across_folds, folds_of
from core.training.builtin.sample.plan import SAMPLE, missing, missing_versions
from core.training.builtin.tabular import train as project
from core.training.builtin.trouble import BadInput

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "core" / "training" / "builtin" / "tabular"


def people() -> pd.DataFrame:
    """A table with something of everything, 200 rows."""
    draw = np.random.default_rng(1)
    rows = 200
    table = pd.DataFrame(
        {
            "age": draw.integers(18, 90, rows),
            "visits": draw.integers(0, 9, rows).astype(float),
            "city": draw.choice(["Bern", "Zürich", "=1+1"], rows).astype(object),
            "member": draw.choice([True, False], rows),
            "$x|y$": draw.normal(size=rows),
            "nothing": np.nan,
            "ticket": [f"t{number}" for number in range(rows)],
        }
    )
    table["left"] = np.where(table["age"] + draw.normal(0, 10, rows) > 50, "yes", "no")
    table.loc[3:20, "visits"] = np.nan
    table.loc[30:60, "city"] = None
    return table


@pytest.fixture
def table(tmp_path: Path) -> Table:
    path = tmp_path / "people.csv"
    people().to_csv(path, index=False)
    return load(str(path), "left")


def recipe(family: str, **typed: str) -> Recipe:
    return Recipe(family, read_hypers(family_named(family), typed))


# ------------------------------------------------------------------------------------- reading


def test_columns_are_numbers_flags_or_text_and_what_is_left_out_is_said(table: Table) -> None:
    assert table.numbers == ["age", "visits", "$x|y$"]
    assert table.flags == ["member"]
    assert table.texts == ["city"]
    assert table.classes == ["no", "yes"]
    said = " ".join(table.notes)
    assert "“nothing”: it is empty" in said
    assert "“ticket”: most rows have a text of their own" in said


def test_whole_numbers_may_miss_values_when_the_model_is_served(table: Table) -> None:
    assert table.features["age"].dtype == np.float64


def test_parquet_reads_like_csv(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    people().to_parquet(path)
    again = load(str(path), "left")
    pd.testing.assert_frame_equal(again.features, table.features)
    assert again.classes == table.classes


def test_a_semicolon_separates_too(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    people().to_csv(path, index=False, sep=";", encoding="utf-8-sig")
    assert load(str(path), "left").numbers == ["age", "visits", "$x|y$"]


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_set_can_be_read(name: str) -> None:
    found = load(f"bundled:{name}", "target")
    assert found.task == ("regression" if name == "diabetes" else "classification")
    assert found.changed_at is None
    assert found.features.notna().all().all()


def test_rows_without_a_target_are_left_out_and_whole_numbers_stay_whole(tmp_path: Path) -> None:
    frame = people()
    frame["grade"] = frame["age"] % 3
    frame.loc[0:4, "grade"] = np.nan
    frame.to_csv(tmp_path / "p.csv", index=False)
    found = load(str(tmp_path / "p.csv"), "grade")
    assert found.classes == [0, 1, 2]
    assert len(found.target) == 195
    assert "Left out 5 rows" in found.notes[0]


def test_an_infinite_number_counts_as_missing_and_is_said(tmp_path: Path) -> None:
    frame = people()
    frame.loc[7, "$x|y$"] = np.inf
    frame.to_parquet(tmp_path / "p.parquet")
    found = load(str(tmp_path / "p.parquet"), "left")
    assert np.isnan(found.features.loc[7, "$x|y$"])
    assert any("Infinite" in note for note in found.notes)


BAD_TABLES = {
    "no such column": ({}, "price", "auto", "no column “price”.*It has: age, visits"),
    "regression on text": ({}, "left", "regression", "needs numbers in “left”.*such as “"),
    "one class": ({"left": "yes"}, "left", "auto", "one class only, “yes”"),
    "a class of one": ({"left": ["rare"] + ["a"] * 199}, "left", "auto", "“rare” of .* one row"),
    "fractions as classes": ({}, "$x|y$", "classification", "it holds fractions"),
    "too many classes": ({}, "ticket", "auto", "200 different values"),
    "always the same number": ({"y": 3.0}, "y", "regression", "is 3: nothing to learn"),
    "no target known": ({"left": None}, "left", "auto", "0 rows with a value in “left”"),
    "unknown task": ({}, "left", "ranking", "task is “ranking”"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_trained_on_is_refused_in_words(name: str, tmp_path: Path) -> None:
    change, target, task, words = BAD_TABLES[name]
    people().assign(**change).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(BadInput, match=words):
        load(str(tmp_path / "p.csv"), target, task)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("binary.csv", b"\xff\xfe\x00\x01,\x00"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n"),
        ("broken.parquet", b"PAR1 but no more"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(
    name: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"{re.escape(name)} cannot be read as a table"):
        load(str(path), "b")


@pytest.mark.parametrize("data", ["", "nowhere.csv", "/", "bundled:boston", "http://x.test/a.csv"])
def test_data_that_is_not_there_is_refused_in_words(data: str) -> None:
    with pytest.raises(BadInput, match=r"There is no|No data was named"):
        load(data, "target")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a,left\n", encoding="utf-8")
    with pytest.raises(BadInput, match="has 0 rows"):
        load(str(tmp_path / "p.csv"), "left")


def test_a_split_too_small_for_every_class_is_refused() -> None:
    with pytest.raises(BadInput, match="leaves 9 of 1797 rows"):
        split(load("bundled:digits", "target"), 0.005, 0)


# ------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("target", ["left", "$x|y$"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_holds_no_type_but_those_reviewed_and_predicts_the_same(
    family: str, target: str, tmp_path: Path
) -> None:
    people().to_csv(tmp_path / "p.csv", index=False)
    table = load(str(tmp_path / "p.csv"), target)
    asked = recipe(
        family,
        **{name: "5" for name in ("n_estimators", "max_iter") if name in FAMILIES[family].hypers},
    )
    pipeline = modelling.train(table, asked, split(table, 0.25, 0)).pipeline
    saved = skops.io.dumps(pipeline)
    assert set(skops.io.get_untrusted_types(data=saved)) <= set(FAMILIES[family].trusted)
    again = skops.io.loads(saved, trusted=list(FAMILIES[family].trusted))
    rows = table.features
    assert list(again.predict(rows)) == list(pipeline.predict(rows))


def test_nearest_neighbours_of_few_columns_hold_no_other_type() -> None:
    table = load("bundled:iris", "target")
    saved = skops.io.dumps(
        modelling.train(table, recipe("neighbours"), split(table, 0.25, 0)).pipeline
    )
    assert set(skops.io.get_untrusted_types(data=saved)) == set(FAMILIES["neighbours"].trusted)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_value_is_the_same_however_it_is_missing(family: str, table: Table) -> None:
    rows = table.features.head(20)
    model = modelling.train(table, recipe(family), split(table, 0.25, 0)).pipeline
    chances = [
        model.predict_proba(given)
        for given in (
            rows.drop(columns=["city", "visits"]),
            rows.assign(city=None, visits=None),
            rows.assign(city=np.nan, visits=np.nan),
            rows.assign(city=pd.Series([None] * 20, dtype=object), visits=np.nan)[
                list(reversed(rows.columns))
            ],
        )
    ]
    for other in chances[1:]:
        np.testing.assert_allclose(other, chances[0])


@pytest.mark.parametrize("family", ["forest", "boosting", "mlp"])
@pytest.mark.parametrize("data", ["bundled:breast_cancer", "bundled:diabetes"])
def test_a_curve_is_really_measured_and_ends_at_the_finished_model(family: str, data: str) -> None:
    table = load(data, "target")
    rows = split(table, 0.25, 0)
    points: list[Measured] = []
    trained = modelling.train(table, recipe(family), rows, seen=points.append)
    measure = "test_log_loss" if table.classes else "test_rmse"
    assert tuple(points) == trained.curve
    assert [point.step for point in points] == sorted({point.step for point in points})
    assert len(points) >= 10
    assert points[-1].metrics[measure] != points[0].metrics[measure]
    if not table.classes:
        error = trained.pipeline.predict(rows.x_test) - rows.y_test
        assert trained.metrics["test_rmse"] == pytest.approx(float(np.sqrt((error**2).mean())))
        assert trained.metrics["test_r2"] > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_measures_are_those_of_scikit_learn(family: str, table: Table, tmp_path: Path) -> None:
    rows = split(table, 0.25, 0)
    trained = modelling.train(table, recipe(family), rows)
    chances = trained.pipeline.predict_proba(rows.x_test)
    assert trained.metrics["test_log_loss"] == pytest.approx(log_loss(rows.y_test, chances))
    predicted = trained.pipeline.predict(rows.x_test)
    assert trained.metrics["test_accuracy"] == accuracy_score(rows.y_test, predicted)
    people().to_csv(tmp_path / "p.csv", index=False)
    table = load(str(tmp_path / "p.csv"), "$x|y$")
    rows = split(table, 0.25, 0)
    trained = modelling.train(table, recipe(family), rows)
    predicted = trained.pipeline.predict(rows.x_test)
    assert trained.metrics["test_r2"] == pytest.approx(r2_score(rows.y_test, predicted))
    expected = root_mean_squared_error(rows.y_test, predicted)
    assert trained.metrics["test_rmse"] == pytest.approx(expected)


def test_a_forest_grown_in_portions_is_the_forest_grown_at_once() -> None:
    table = load("bundled:wine", "target")
    rows = split(table, 0.25, 0)
    grown = modelling.train(table, recipe("forest", n_estimators="30"), rows).pipeline
    whole = FAMILIES["forest"].make("classification", recipe("forest", n_estimators="30").hypers, 0)
    x = grown[:-1].transform(rows.x_train)
    whole.fit(x, rows.y_train)
    np.testing.assert_array_equal(
        whole.predict_proba(grown[:-1].transform(rows.x_test)), grown.predict_proba(rows.x_test)
    )


def test_who_looks_at_the_curve_can_end_the_training() -> None:
    class Enough(Exception):
        pass

    def stop(_: Measured) -> None:
        raise Enough

    table = load("bundled:wine", "target")
    with pytest.raises(Enough):
        modelling.train(table, recipe("mlp"), split(table, 0.25, 0), seen=stop)


def test_a_training_that_does_not_settle_says_so() -> None:
    table = load("bundled:digits", "target")
    trained = modelling.train(table, recipe("linear", max_iter="2"), split(table, 0.25, 0))
    assert "did not settle" in trained.warnings[0]


def test_folds_leave_every_training_row_out_once() -> None:
    table = load("bundled:wine", "target")
    rows = split(table, 0.25, 0)
    parts = list(folds_of(table, Recipe("linear", {}, folds=5), rows))
    assert sorted(index for part in parts for index in part.x_test.index) == sorted(
        rows.x_train.index
    )


def test_more_folds_than_rows_of_a_class_are_refused(tmp_path: Path) -> None:
    people().assign(left=["few"] * 6 + ["many"] * 194).to_csv(tmp_path / "p.csv", index=False)
    table = load(str(tmp_path / "p.csv"), "left")
    with pytest.raises(BadInput, match="too few for 10 folds"):
        list(folds_of(table, Recipe("linear", {}, folds=10), split(table, 0.25, 0)))


def test_mean_and_deviation_over_folds() -> None:
    found = across_folds([{"test_accuracy": 0.8, "train_accuracy": 1.0}, {"test_accuracy": 0.6}])
    assert found == {
        "cv_accuracy_mean": pytest.approx(0.7),
        "cv_accuracy_std": pytest.approx(0.1414, abs=1e-4),
    }


def test_more_neighbours_than_rows_are_refused() -> None:
    table = load("bundled:iris", "target")
    with pytest.raises(BadInput, match="500 neighbours, and there are 112 rows"):
        modelling.train(table, recipe("neighbours", n_neighbours="500"), split(table, 0.25, 0))


def test_the_column_that_decides_is_the_most_important_one(table: Table) -> None:
    rows = split(table, 0.25, 0)
    found = modelling.importances(modelling.train(table, recipe("forest"), rows), rows, 0)
    assert found["column"].iloc[0] == "age"
    assert sorted(found["column"]) == sorted(table.features.columns)


# ---------------------------------------------------------------------------- what was asked for


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"family": "psychic"}, "no family “psychic”"),
        ({"n_estimators": "many"}, "n_estimators is “many”. Give a whole number, or auto"),
        ({"n_estimators": "2.5"}, "Give a whole number"),
        ({"n_estimators": "0"}, "n_estimators is 0. Give 1 to 5000"),
        ({"family": "boosting", "learning_rate": "nan"}, "learning_rate is nan"),
        ({"family": "linear", "regularisation": "0"}, "regularisation is 0"),
        ({"family": "neighbours", "weights": "heavy"}, "Choose one of: uniform, distance"),
        ({"family": "linear", "n_estimators": "10"}, "Linear has no use for n_estimators"),
        ({"folds": "1"}, "folds is 1"),
        ({"folds": "21"}, "folds is “21”"),
        ({"folds": "2.5"}, "folds is “2.5”"),
        ({"test_share": "inf"}, "test_share is “inf”"),
        ({"seed": "-1"}, "seed is “-1”"),
        ({"register_as": "a/b"}, "cannot be the name of a registered model"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_in_words(typed: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        project.check({**project.DEFAULTS, **typed})


def test_values_may_be_written_as_mlflow_writes_them() -> None:
    request = project.check({**project.DEFAULTS, "folds": "3.0", "seed": "7", "max_depth": "4"})
    assert (request.recipe.folds, request.recipe.seed) == (3, 7)
    assert request.recipe.hypers == {"n_estimators": 100, "max_depth": 4, "min_samples_leaf": 1}


def parameters() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((FOLDER / "MLproject").read_text(encoding="utf-8"))
    return dict(found["entry_points"]["main"]["parameters"])


def form() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((FOLDER / "form.yaml").read_text(encoding="utf-8"))["params"])


def test_project_form_and_script_have_the_same_params_and_defaults() -> None:
    assert list(form()) == list(parameters())
    defaults = {name: str(one["default"]) for name, one in parameters().items()}
    assert defaults == project.DEFAULTS


def test_the_command_passes_every_param_in_one_word() -> None:
    found = yaml.safe_load((FOLDER / "MLproject").read_text(encoding="utf-8"))
    words = found["entry_points"]["main"]["command"].split()
    assert words[:2] == ["python", "train.py"]
    assert words[2:] == [f"--{name}={{{name}}}" for name in parameters()]


def test_the_form_offers_what_the_families_take() -> None:
    drawn = form()
    assert drawn["family"]["choices"] == {one.key: one.label for one in FAMILIES.values()}
    assert set(drawn["data"]["choices"]) == {f"bundled:{name}" for name in BUNDLED}
    for name in project.HYPERS:
        takers = {key: one.hypers[name] for key, one in FAMILIES.items() if name in one.hypers}
        param = drawn[name]
        assert param["only_for"] == {"family": list(takers)}
        assert param["auto"] is True
        for hyper in takers.values():
            assert param["kind"] == hyper.kind
            if hyper.kind == "choice":
                assert tuple(param["choices"]) == hyper.choices
            else:
                assert param["min"] <= hyper.least
                assert param["max"] == hyper.most
            if hyper.default is not None:
                assert hyper.read(name, str(hyper.default)) == hyper.read(name, AUTO)


def test_every_field_of_the_form_has_its_words() -> None:
    for name, param in form().items():
        assert param["label"], name
        assert param["help"], name
        assert param["kind"] in {"data", "text", "choice", "int", "float"}, name


def test_the_projects_environment_is_the_one_that_is_pinned_and_installed() -> None:
    listed = yaml.safe_load((FOLDER / "python_env.yaml").read_text(encoding="utf-8"))
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for pin in listed["dependencies"]:
        assert any(re.match(rf"{re.escape(pin)}(\s|$)", line) for line in pinned), pin


# ------------------------------------------------------------------------------------ the sample


def test_the_sample_is_as_large_as_is_said() -> None:
    assert len(SAMPLE.experiments) >= 3
    assert sum(run.runs for run in SAMPLE.runs) >= 40
    assert sum(len(model.versions) >= 3 for model in SAMPLE.models) >= 2
    families = {run.family for run in SAMPLE.runs if run.experiment == "wine"}
    assert len(families) >= 2


def test_every_key_of_the_sample_is_its_own_and_every_reference_has_its_end() -> None:
    keys = [key for run in SAMPLE.runs for key in (run.key, *run.fold_keys)]
    assert [key for key, count in Counter(keys).items() if count > 1] == []
    experiments = {one.key for one in SAMPLE.experiments}
    assert {run.experiment for run in SAMPLE.runs} == experiments
    made_from = [version.run for model in SAMPLE.models for version in model.versions]
    assert len(made_from) == len(set(made_from))
    assert set(made_from) <= {run.key for run in SAMPLE.runs}
    for run in SAMPLE.runs:
        assert set(dict(run.hypers)) <= set(FAMILIES[run.family].hypers)


def test_the_sample_ends_with_one_version_in_production_and_each_alias_once() -> None:
    for model in SAMPLE.models:
        stages = Counter(version.stage for version in model.versions)
        aliases = Counter(alias for version in model.versions for alias in version.aliases)
        assert set(stages) <= {"None", "Staging", "Production", "Archived"}
        assert stages["Production"] <= 1
        assert stages["Staging"] <= 1
        assert set(aliases.values()) <= {1}
    assert any(version.stage == "Production" for one in SAMPLE.models for version in one.versions)


def test_what_is_missing_is_what_has_no_key_yet() -> None:
    have = {run.key for run in SAMPLE.runs[1:]}
    assert missing(SAMPLE, have) == SAMPLE.runs[:1]
    assert missing(SAMPLE, have | {SAMPLE.runs[0].key}) == ()
    model = SAMPLE.models[0]
    assert missing_versions(model, {model.versions[0].run}) == model.versions[1:]
