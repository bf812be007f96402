"""Runs at scale, as a person meets them: asked, grouped, changed and taken back, kept as a view,
compared by curves, differences and a verdict. On a real store with runs in five seeds each.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from playwright.sync_api import Browser, Page, expect

from tests.servers import ModeldeckApp
from tests.waiting import until

LONG = 60_000
"""Milliseconds; a limit for what never comes, no measure of speed."""
OPTIMIZERS = ("adam", "sgd")
RATES = ("0.001", "0.003", "0.01", "0.03", "0.1", "0.3")
SEEDS = 5
SPIKE, NAN, STEPS = 137, 251, 400


@dataclass(frozen=True)
class Stage:
    """The application, and what its store holds."""

    app: ModeldeckApp
    client: MlflowClient
    experiment: str
    runs: dict[str, str]
    """Name → id: ``adam-0.01-3`` is the fourth seed."""

    def link(self, page: str, **query: str) -> str:
        """The address of a page about the experiment."""
        asked = {"experiment": self.experiment} | query
        return f"{self.app.url}/{page}?" + "&".join(f"{k}={v}" for k, v in asked.items())

    def tagged(self, key: str, value: str) -> int:
        """How many runs MLflow itself finds with that tag."""
        text = f"tags.`{key}` = '{value}'"
        return len(self.client.search_runs([self.experiment], text))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """60 runs: 2 optimizers × 6 rates × 5 seeds; adam is better by 0.02 with little noise, and the
    loss of the first run has a spike and a NaN."""
    home = tmp_path_factory.mktemp("runs") / "home"
    home.mkdir()
    uri = f"sqlite:///{home / 'mlflow.db'}"
    client = MlflowClient(uri)
    place = (home / "artifacts").as_uri()
    experiment = client.create_experiment("Ranking", artifact_location=place)
    runs = {}
    for optimizer in OPTIMIZERS:
        for rate in RATES:
            for seed in range(SEEDS):
                name = f"{optimizer}-{rate}-{seed}"
                runs[name] = _run(client, experiment, name, optimizer, rate, seed)
    with ModeldeckApp(home, environment={"MODELDECK_WORKER": "external"}) as app:
        yield Stage(app, client, experiment, runs)


def _run(
    client: MlflowClient, experiment: str, name: str, optimizer: str, rate: str, seed: int
) -> str:
    made = client.create_run(experiment, run_name=name)
    at = made.info.start_time
    # Noise that is the same on every machine: a different one for each run, none of it in a row.
    noise = 0.004 * math.sin(7.0 * seed + 3.0 * len(rate) + 11.0 * RATES.index(rate))
    accuracy = (0.92 if optimizer == "adam" else 0.90) + noise
    metrics = [Metric("accuracy", accuracy, at, 0)]
    if seed == 0:
        losses = [1.0 / (1 + step / 40) for step in range(STEPS)]
        if name == f"adam-{RATES[0]}-0":
            losses[SPIKE], losses[NAN] = 9.0, math.nan
        metrics += [Metric("loss", value, at + step, step) for step, value in enumerate(losses)]
    params = {"optimizer": optimizer, "rate": rate, "seed": str(seed), "layers": "4"}
    client.log_batch(
        made.info.run_id,
        metrics,
        [Param(key, value) for key, value in params.items()],
        [RunTag("mlflow.user", "ada")],
    )
    client.set_terminated(made.info.run_id)
    return str(made.info.run_id)


def test_any_question_is_answered_over_all_runs(stage: Stage, page: Page) -> None:
    page.goto(stage.link("experiments"))
    said(page, "Compare all 60 runs")
    ask(page, "params.optimizer = 'sgd' OR (rate > 0.05 AND NOT seed IN ('0', '1'))")
    # 30 of sgd; of adam 2 rates × 3 seeds
    said(page, "Compare all 36 runs")
    ask(page, "metrics.accuracy - 0.9 > 0.01 AND rate BETWEEN 0.003 AND 0.03")
    said(page, "Compare all 15 runs")
    ask(page, "best(loss) < 0.2")
    said(page, "Compare all 12 runs")


def test_an_error_points_at_its_place_and_offers_the_nearest_name(stage: Stage, page: Page) -> None:
    page.goto(stage.link("experiments"))
    said(page, "Compare all 60 runs")
    ask(page, "seed = '1' AND metrics.acuracy > 0.9 AND optimiser = 'sgd'")
    expect(page.get_by_test_id("stMain")).to_contain_text("optimiser", timeout=LONG)
    expect(page.get_by_test_id("stMain")).to_contain_text("^")
    expect(page.get_by_label("Filter", exact=True)).to_have_value(re.compile("acuracy"))
    page.get_by_role("button", name=re.compile("^Use .*optimizer")).click()
    expect(page.get_by_label("Filter", exact=True)).to_have_value(re.compile("optimizer = 'sgd'"))


def test_runs_in_groups(stage: Stage, page: Page) -> None:
    page.goto(stage.link("experiments", group="params.optimizer"))
    said(page, "2 groups of 60 runs", button=False)
    page.goto(stage.link("experiments", group="params.seed", group_way="All params but these"))
    said(page, "12 groups of 60 runs", button=False)


def test_many_runs_are_changed_and_changed_back(stage: Stage, page: Page) -> None:
    page.goto(stage.link("experiments", filter="params.optimizer = 'sgd'"))
    said(page, "Compare all 30 runs")
    page.get_by_role("button", name="Change", exact=False).first.click()
    page.get_by_label("Tag", exact=True).fill("reviewed")
    page.get_by_label("Value", exact=True).fill("by ada")
    page.get_by_role("button", name="Tag 30 runs").click()
    expect(page.get_by_text("30 runs tagged.")).to_be_visible(timeout=LONG)
    assert stage.tagged("reviewed", "by ada") == 30
    # Somebody else changes one of them meanwhile: that one is not ours to take back.
    stage.client.set_tag(stage.runs["sgd-0.1-2"], "reviewed", "by grace")
    page.get_by_role("button", name="Undo 30 changes").click()
    expect(page.get_by_text(re.compile("29 runs are as they were"))).to_be_visible(timeout=LONG)
    assert stage.tagged("reviewed", "by ada") == 0
    assert stage.tagged("reviewed", "by grace") == 1
    stage.client.delete_tag(stage.runs["sgd-0.1-2"], "reviewed")


def test_a_view_is_saved_and_opened_by_its_link_in_another_browser(
    stage: Stage, page: Page, browser: Browser
) -> None:
    page.goto(stage.link("experiments", filter="params.rate = '0.01'", sort="metrics.accuracy"))
    said(page, "Compare all 10 runs")
    page.get_by_role("button", name=re.compile("^Views")).click()
    field = page.get_by_label("Save this view as", exact=True)
    field.fill("One rate")
    field.press("Tab")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_text("One rate").first).to_be_visible(timeout=LONG)

    def saved() -> list[str]:
        tags = stage.client.get_experiment(stage.experiment).tags
        return [key for key, value in tags.items() if "One rate" in value]

    until(lambda: saved(), 60, "the view to be in MLflow")
    view = saved()[0].removeprefix("modeldeck.view.").partition(".")[0]
    other = browser.new_context().new_page()
    other.goto(stage.link("experiments", saved=view))
    said(other, "Compare all 10 runs")
    expect(other.get_by_label("Filter", exact=True)).to_have_value("params.rate = '0.01'")
    other.context.close()


def test_more_than_fifty_ticked_runs_are_compared_by_a_link(
    stage: Stage, page: Page, browser: Browser
) -> None:
    page.goto(stage.link("experiments"))
    said(page, "Compare all 60 runs")
    table = page.get_by_test_id("stDataFrame").first
    table.click(position={"x": 16, "y": 17})  # the box in the head ticks all rows
    page.get_by_role("button", name="Compare 60 runs").click(timeout=LONG)
    page.wait_for_url(re.compile(r"/compare\?.*saved="), timeout=LONG)
    expect(page.get_by_test_id("stMain")).to_contain_text("60 runs", timeout=LONG)
    other = browser.new_context().new_page()
    other.goto(page.url)
    expect(other.get_by_test_id("stMain")).to_contain_text("60 runs", timeout=LONG)
    other.context.close()


def test_curves_keep_the_spike_and_mark_the_nan(stage: Stage, page: Page) -> None:
    page.goto(stage.link("compare", chart="Curves", curve="loss"))
    page.wait_for_selector(".js-plotly-plot .main-svg", timeout=LONG)
    drawn = """
    () => [...document.querySelectorAll('.js-plotly-plot')].flatMap(p => p._fullData || []).map(
      d => ({mode: d.mode, name: d.name, x: Array.from(d.x || []), y: Array.from(d.y || [])}))
    """
    until(lambda: len(page.evaluate(drawn)) >= 12, 60, "twelve curves")
    traces = page.evaluate(drawn)
    assert any(9.0 in trace["y"] for trace in traces if "lines" in (trace["mode"] or ""))
    assert any(NAN in trace["x"] for trace in traces if "lines" not in (trace["mode"] or "lines"))


def test_differences_only_and_the_next_one(stage: Stage, page: Page) -> None:
    ids = f"{stage.runs['adam-0.01-0']},{stage.runs['sgd-0.01-1']}"
    page.goto(f"{stage.app.url}/compare?runs={ids}&chart=Differences")
    expect(page.get_by_test_id("stMain")).to_contain_text("names differ", timeout=LONG)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_test_id("stMain")).to_contain_text("Difference 1 of", timeout=LONG)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_test_id("stMain")).to_contain_text("Difference 2 of", timeout=LONG)


def test_a_verdict_in_a_sentence(stage: Stage, page: Page) -> None:
    page.goto(
        stage.link("compare", q="params.rate = '0.01'", chart="Replicates", metric="accuracy")
    )
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text(
        re.compile(r"adam beats .*sgd by 0\.02\d* \[0\.0\d+, 0\.0\d+\], 5 against 5"), timeout=LONG
    )


def ask(page: Page, text: str) -> None:
    """Type a filter, as a person does."""
    field = page.get_by_label("Filter", exact=True)
    field.fill(text)
    field.press("Enter")


def said(page: Page, text: str, *, button: bool = True) -> None:
    """Wait until the page says so."""
    place = page.get_by_role("button", name=text) if button else page.get_by_text(text)
    expect(place.first).to_be_visible(timeout=LONG)
