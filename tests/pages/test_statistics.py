"""Importance and replicates on the Compare page, and the training form that a region fills in."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.pages.conftest import HOSTILE, Open, Store, drawn, markdown_of


@dataclass(frozen=True)
class Repeated:
    """A store of its own."""

    seeds: str
    """Three configurations with five seeds each; one is far better; one run alone, one running."""
    search: str
    """Sixty runs whose accuracy follows from their params, which are the built-in project's."""
    odd: str
    """Groups that do not vary, that hold NaN, and of hostile names."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Repeated]:
    """A SQLite store with replicates."""
    from core.mlflow_api.gateway import prepare_environment

    home = tmp_path_factory.mktemp("repeated")
    before = dict(os.environ)
    prepare_environment(4, home / "artifacts")
    try:
        return home, _build(home)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def repeated(
    made: tuple[Path, Repeated], monkeypatch: pytest.MonkeyPatch, fresh_caches: None
) -> Repeated:
    """The store as the embedded one."""
    monkeypatch.setenv("MODELDECK_HOME", str(made[0]))
    monkeypatch.setenv("MODELDECK_WORKER", "external")
    return made[1]


class TestReplicates:
    def test_the_verdict_in_a_sentence(self, repeated: Repeated, open_page: Open) -> None:
        app = open_page("compare", experiment=repeated.seeds, chart="Replicates", metric="accuracy")
        assert not app.exception
        said = drawn(app).replace("\\", "")
        assert "rate=0.1 beats rate=0.2 by" in said
        assert "5 against 5, paired." in said
        assert "Paired t-test: 5 seeds match" in said
        assert "all 3 possible pairs" in said
        assert "3 groups of replicates" in said
        assert "1 run has no replicate" in said
        assert "1 run is not finished and left out" in said
        shown = app.dataframe[-1].value
        assert list(shown["group"]) == ["rate=0.1", "rate=0.2", "rate=0.3"]
        assert list(shown["verdict"]) == ["held against", "worse", "worse"]
        assert list(shown["n"]) == [5, 5, 5]

    def test_lower_is_better_for_a_loss(self, repeated: Repeated, open_page: Open) -> None:
        app = open_page("compare", experiment=repeated.seeds, chart="Replicates", metric="loss")
        assert next(iter(app.dataframe[-1].value["group"])) == "rate=0.1"
        app = open_page(
            "compare", experiment=repeated.seeds, chart="Replicates", metric="loss",
            better_way="Higher",
        )  # fmt: skip
        assert next(iter(app.dataframe[-1].value["group"])) == "rate=0.3"

    def test_held_against_one_that_was_named(self, repeated: Repeated, open_page: Open) -> None:
        app = open_page(
            "compare", experiment=repeated.seeds, chart="Replicates", metric="accuracy",
            against="rate=0.3", test="Welch",
        )  # fmt: skip
        said = drawn(app).replace("\\", "")
        assert "rate=0.1 beats rate=0.3 by" in said
        assert "Welch's t-test, as chosen" in said
        assert "2 comparisons with the one named" in said
        assert list(app.dataframe[-1].value["verdict"]) == ["better", "better", "held against"]

    def test_no_two_runs_agree(self, repeated: Repeated, open_page: Open) -> None:
        app = open_page("compare", experiment=repeated.search, chart="Replicates")
        assert not [e.value for e in app.error]
        assert "No two of these 60 runs agree in all params but seed" in drawn(app).replace(
            "\\", ""
        )

    def test_odd_groups(self, repeated: Repeated, open_page: Open) -> None:
        app = open_page("compare", experiment=repeated.odd, chart="Replicates")
        assert not app.exception
        assert not [e.value for e in app.error]
        assert "![](" not in markdown_of(app)
        shown = app.dataframe[-1].value
        by_n = dict(zip(shown["group"], shown["n"], strict=True))
        assert by_n["kind=sometimes NaN"] == 1
        assert list(shown["verdict"])[-1] == "too few"

    def test_runs_without_params(self, store: Store, open_page: Open) -> None:
        app = open_page("compare", runs=store.child, chart="Replicates")
        assert not app.exception
        assert not [e.value for e in app.error]


class TestImportance:
    def test_what_matters_with_the_fit_beside_it(self, repeated: Repeated, open_page: Open) -> None:
        app = open_page(
            "compare", experiment=repeated.search, chart="Importance", metric="accuracy"
        )
        assert not app.exception
        assert not [e.value for e in app.error]
        said = drawn(app)
        assert "**R² = 0." in said
        assert "n = 60" in said
        assert next(iter(app.dataframe[0].value["name"])) == "n_estimators"
        assert "Effects" in said
        assert "Try this region" in said
        (link,) = [e for e in app.main if getattr(e, "label", "").startswith("Open the training")]
        assert link is not None

    def test_declined_with_the_reason(self, repeated: Repeated, open_page: Open) -> None:
        said = drawn(open_page("compare", experiment=repeated.odd, chart="Importance"))
        assert "needs 20 runs" in said.replace("\\", "")
        app = open_page("compare", experiment=repeated.search, chart="Importance", metric="noise")
        assert "These params do not predict noise" in drawn(app).replace("\\", "")
        assert not app.get("plotly_chart")

    @pytest.mark.parametrize("way", ["Importance", "Replicates"])
    def test_hostile_runs(self, store: Store, open_page: Open, way: str) -> None:
        app = open_page("compare", runs=f"{store.hostile_run},{store.other}", chart=way)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert "![](" not in markdown_of(app)


class TestTrainingFromALink:
    def test_fills_in_what_the_form_takes_and_says_the_rest(
        self, store: Store, open_page: Open
    ) -> None:
        app = open_page(
            "training",
            **{"p.family": "boosting", "p.n_estimators": "120", "p.learning_rate": "0.05",
               "p.max_depth": "none", "p.evil": "![](http://x)"},
        )  # fmt: skip
        assert not app.exception
        assert app.selectbox(key="train_family").value == "boosting"
        assert app.number_input(key="train_n_estimators").value == 120
        assert app.number_input(key="train_learning_rate").value == 0.05
        said = drawn(app).replace("\\", "")
        assert "3 fields filled in from the link" in said
        assert "max_depth = none" in said
        assert "![](" not in markdown_of(app)
        # What is typed next stays: the link has done its work.
        app.number_input(key="train_n_estimators").set_value(80).run()
        assert app.number_input(key="train_n_estimators").value == 80

    @pytest.mark.parametrize(
        "bad",
        [{"p.family": "nope"}, {"p.n_estimators": "1e99"}, {"p.folds": "-3"},
         {"p.data": "/etc/passwd"}, {"p.learning_rate": "0.1"}, {"p.": ""}],
    )  # fmt: skip
    def test_what_cannot_be_is_refused(
        self, store: Store, open_page: Open, bad: Mapping[str, str]
    ) -> None:
        app = open_page("training", **bad)
        assert not app.exception
        assert not [e.value for e in app.error]
        assert "The form does not take" in drawn(app)


def _build(home: Path) -> Repeated:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    random = np.random.default_rng(0)

    def run(
        where: str, params: Mapping[str, object], metrics: Mapping[str, float], ended: bool = True
    ) -> None:
        made = client.create_run(where, run_name="a run").info.run_id
        client.log_batch(
            made,
            metrics=[Metric(k, v, 1_760_000_000_000, 0) for k, v in metrics.items()],
            params=[Param(k, str(v)) for k, v in params.items()],
        )
        if ended:
            client.set_terminated(made)

    seeds, search, odd = (
        client.create_experiment(name, artifact_location=(home / name).as_uri())
        for name in ("seeds", "search", "odd")
    )
    for rate, level in (("0.1", 0.95), ("0.2", 0.9), ("0.3", 0.85)):
        for seed in range(5):
            accuracy = level + seed / 1000 + float(random.normal(0, 0.001))
            run(seeds, {"rate": rate, "depth": 3, "seed": seed},
                {"accuracy": accuracy, "loss": 1 - accuracy})  # fmt: skip
    run(seeds, {"rate": "9", "depth": 3, "seed": 0}, {"accuracy": 0.5, "loss": 0.5})
    run(seeds, {"rate": "0.1", "depth": 3, "seed": 7}, {"accuracy": 0.1, "loss": 0.9}, ended=False)
    for i in range(60):
        trees, leaf = int(random.integers(1, 200)), int(random.integers(1, 20))
        accuracy = 0.7 + trees / 1000 - leaf / 1000 + float(random.normal(0, 0.005))
        run(search, {"data": "bundled:wine", "family": "forest", "n_estimators": trees,
                     "min_samples_leaf": leaf, "test_share": 0.25, "seed": i},
            {"accuracy": accuracy, "noise": float(random.normal())})  # fmt: skip
    for kind, values in (
        ("constant", [0.5, 0.5]),
        ("sometimes NaN", [0.7, math.nan]),
        (HOSTILE, [0.6, 0.61]),
    ):
        for seed, value in enumerate(values):
            run(odd, {"kind": kind, "seed": seed}, {"score": value})
    return Repeated(seeds, search, odd)
