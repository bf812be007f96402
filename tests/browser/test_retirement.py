"""Retirement, ticked and asked for with a real mouse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect

from tests.browser.test_story import LONG, client, fill, tick
from tests.servers import ModeldeckApp


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ModeldeckApp]:
    with ModeldeckApp(tmp_path / "home", environment={"MODELDECK_WORKER": "external"}) as started:
        yield started


def asks(page: Page, n: int) -> None:
    """The form asks for so many."""
    name = f"Ask to archive {n} version{'' if n == 1 else 's'}"
    expect(page.get_by_role("button", name=name)).to_be_visible(timeout=LONG)


def test_ticks_come_and_go_one_by_one_and_what_is_refused_stays_ticked_with_the_words(
    app: ModeldeckApp, page: Page
) -> None:
    page.goto(app.url)
    expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=LONG)
    registry: MlflowClient = client(app)
    registry.create_registered_model("wine")
    for number in range(1, 5):
        registry.create_model_version("wine", f"s3://there/{number}")
    registry.transition_model_version_stage("wine", "4", "Production")
    page.goto(f"{app.url}/retirement")
    tick(page, range(1))
    asks(page, 1)
    tick(page, range(1, 3))
    asks(page, 3)
    tick(page, range(1))  # once more: it is ticked no longer
    asks(page, 2)
    expect(page.get_by_text("You ask that these be archived: wine v2, wine v3.")).to_be_visible()

    registry.transition_model_version_stage("wine", "3", "Staging")
    fill(page, "Why?", "nobody needs them")
    page.get_by_role("button", name="Ask to archive 2 versions").click()
    expect(page.get_by_text("1 version is asked to be archived.")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("You ask that these be archived: wine v3.")).to_be_visible()
    expect(page.get_by_label("Why?")).to_have_value("nobody needs them")
    asks(page, 1)
    page.get_by_role("button", name="Ask to archive 1 version").click()
    expect(page.get_by_text("Tick versions to ask")).to_be_visible(timeout=LONG)
