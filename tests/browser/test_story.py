"""The whole story, as a person walks it: on the embedded default, and on a tracking server."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.file_utils import ExclusiveFileLock
from playwright.sync_api import Browser, Page, expect

from tests.servers import MlflowServer, ModeldeckApp, Postgres

LONG = 120_000
"""Milliseconds; a limit for what never comes, no measure of speed."""


@pytest.fixture(scope="module", params=["embedded", "server"])
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModeldeckApp]:
    """Modeldeck on its embedded default, and in front of a tracking server on PostgreSQL; both
    begin with an empty store, whatever other tests do."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        uri = ""
        if request.param == "server":
            postgres: Postgres = request.getfixturevalue("postgres")
            server = MlflowServer(folder / "mlflow", backend_uri=postgres.fresh_database())
            uri = stack.enter_context(server).url
        yield stack.enter_context(ModeldeckApp(folder / "home", tracking_uri=uri))


def button(page: Page, name: str | re.Pattern[str]) -> None:
    """Click the button of that name once it can be clicked."""
    page.get_by_role("button", name=name).first.click()


def menu(page: Page, name: str) -> None:
    """Go to a page by the menu."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible(timeout=LONG)


def fill(page: Page, label: str, value: str) -> None:
    """Type into a field and leave it, as a person does."""
    field = page.get_by_label(label, exact=True).first
    field.fill(value)
    field.press("Tab")


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a list by typing it."""
    box = page.get_by_test_id("stSelectbox").filter(has_text=label).get_by_role("combobox")
    box.fill(option)
    page.get_by_role("option", name=option).first.click()


def tick(page: Page, rows: range) -> None:
    """Tick rows of the first table; it is drawn on a canvas, so this clicks at places."""
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible(timeout=LONG)
    for row in rows:
        table.click(position={"x": 16, "y": 35 + 35 * row + 17})


def move(page: Page, app: ModeldeckApp, version: int, rung: str) -> None:
    """Move a version of the sample's model to a rung, by its plan and its confirmation."""
    page.goto(f"{app.url}/model?model=wine-grower&version={version}")
    page.get_by_role("radio", name=rung, exact=True).click(timeout=LONG)
    button(page, f"Move wine-grower v{version} to {rung}")
    expect(page.get_by_text("Read back").first).to_be_visible(timeout=LONG)


def stage(app: ModeldeckApp, version: int) -> str:
    """Where MLflow itself has a version."""
    return str(client(app).get_model_version("wine-grower", str(version)).current_stage)


def client(app: ModeldeckApp) -> MlflowClient:
    """A client of the store that the application works on."""
    uri = app.environment.get("MLFLOW_TRACKING_URI", f"sqlite:///{app.home / 'mlflow.db'}")
    # MLflow makes the tables of a new store at once; the application may be at that too.
    with ExclusiveFileLock(str(app.home / "store.lock")):
        return MlflowClient(tracking_uri=uri)


def test_the_whole_story(app: ModeldeckApp, page: Page, tmp_path: Path) -> None:
    """Load the sample, filter, compare, promote, train, register, serve, predict, stop."""
    load_the_sample(app, page)
    filter_and_compare(app, page)
    promote(app, page)
    train_and_register(app, page)
    serve(app, page)
    predict_by_form_and_csv(app, page, tmp_path)
    stop_serving(app, page)


def load_the_sample(app: ModeldeckApp, page: Page) -> None:
    page.goto(app.url)
    expect(page.get_by_role("heading", name="Welcome to Modeldeck")).to_be_visible(timeout=LONG)
    button(page, "Load the sample")
    expect(page.get_by_text("The sample is complete.")).to_be_visible(timeout=4 * LONG)
    menu(page, "Home")
    expect(page.get_by_text("wine-grower").first).to_be_visible(timeout=LONG)


def filter_and_compare(app: ModeldeckApp, page: Page) -> None:
    wine = client(app).get_experiment_by_name("Wine classification").experiment_id
    page.goto(f"{app.url}/experiments?experiment={wine}")
    box = page.get_by_role("textbox", name="Filter")
    box.fill("params.family = forest")
    box.press("Enter")
    fault = page.get_by_text("There is no attribute “forest”")
    expect(fault.first).to_be_visible(timeout=LONG)
    expect(box).to_have_value("params.family = forest")
    box.fill("params.family = 'forest' and metrics.test_accuracy > 0.5")
    box.press("Enter")
    expect(fault).to_have_count(0, timeout=LONG)
    expect(page).to_have_url(re.compile("filter="))
    tick(page, range(3))
    button(page, re.compile("Compare 3"))
    expect(page.get_by_role("heading", name="Compare", level=1)).to_be_visible(timeout=LONG)
    expect(page.locator(".parallel[data-drawn]")).to_be_visible(timeout=LONG)
    page.get_by_role("radio", name="Differences").click()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=LONG)


def promote(app: ModeldeckApp, page: Page) -> None:
    """v2 to Staging, then v4 to Production in v3's place."""
    move(page, app, 2, "Staging")
    assert stage(app, 2) == "Staging"
    move(page, app, 4, "Production")
    assert [stage(app, v) for v in (3, 4)] == ["Archived", "Production"]
    assert client(app).get_registered_model("wine-grower").aliases["champion"] in (4, "4")


def train_and_register(app: ModeldeckApp, page: Page) -> None:
    menu(page, "Training")
    choose(page, "Model family", "Linear")
    fill(page, "Register as", "story-model")
    fill(page, "Run name", "story run")
    button(page, "Start training")
    expect(page.get_by_text("progress 0/").first).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Open the model story-model").first).to_be_visible(timeout=4 * LONG)
    page.get_by_role("link", name="Open the run").click()
    expect(page.get_by_role("heading", name="story run", level=1)).to_be_visible(timeout=LONG)
    assert client(app).get_model_version("story-model", "1").run_id


def serve(app: ModeldeckApp, page: Page) -> None:
    page.goto(f"{app.url}/endpoints?model=story-model&version=1")
    button(page, "Serve story-model v1")
    expect(page.get_by_text("/invocations").first).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Healthy").first).to_be_visible(timeout=LONG)


def predict_by_form_and_csv(app: ModeldeckApp, page: Page, folder: Path) -> None:
    page.get_by_role("link", name="Predict", exact=True).last.click()
    expect(page.get_by_role("heading", name="Predict", level=1)).to_be_visible(timeout=LONG)
    button(page, re.compile("Predict$"))
    expect(page.get_by_text("Answered by story-model v1").first).to_be_visible(timeout=LONG)
    file = folder / "flowers.csv"
    names = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"
    file.write_text(f"{names}\n5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n", "utf-8")
    page.get_by_role("radio", name="CSV file").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(str(file))
    expect(page.get_by_text("flowers.csv").first).to_be_visible(timeout=LONG)
    button(page, re.compile("Predict$"))
    expect(page.get_by_test_id("stMetric").filter(has_text="Rows").get_by_text("2")).to_be_visible(
        timeout=LONG
    )


def stop_serving(app: ModeldeckApp, page: Page) -> None:
    menu(page, "Endpoints")
    button(page, "Stop")
    button(page, "Stop this endpoint")
    expect(page.get_by_text("Nothing is served now.")).to_be_visible(timeout=LONG)
    assert not app.processes("core.mlflow_api.scoring")


def test_two_browsers_promote_at_once(app: ModeldeckApp, browser: Browser) -> None:
    """One version ends up in Production, and both people are told the truth."""
    tabs = [browser.new_context().new_page() for _ in range(2)]
    for tab, version in zip(tabs, (1, 3), strict=True):
        tab.set_default_timeout(LONG)
        tab.goto(f"{app.url}/model?model=wine-grower&version={version}")
        tab.get_by_role("radio", name="Production", exact=True).click()
        expect(
            tab.get_by_role("button", name=f"Move wine-grower v{version} to Production")
        ).to_be_visible()
    for tab, version in zip(tabs, (1, 3), strict=True):
        # Clicked by script, so that the second click does not wait for the first one's effects.
        name = f"Move wine-grower v{version} to Production"
        tab.get_by_role("button", name=name).evaluate("button => button.click()")
    for tab in tabs:
        expect(
            tab.get_by_text("Read back")
            .or_(tab.get_by_text("It changed while you were looking"))
            .first
        ).to_be_visible(timeout=LONG)
    told = [tab.get_by_text("Read back").count() > 0 for tab in tabs]
    there = [v for v in (1, 2, 3, 4) if stage(app, v) == "Production"]
    assert sorted(told) == [False, True]
    assert there == [(1, 3)[told.index(True)]]
    for tab in tabs:
        tab.context.close()
