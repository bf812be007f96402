"""Marks made in the figure of parallel coordinates name their runs, and a link brings them back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from playwright.sync_api import Page, expect

from tests.servers import ModeldeckApp

pytestmark = pytest.mark.browser

RUNS = 60
SLOW = 60_000


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """To the figure over all runs of an experiment."""
    home: Path = tmp_path_factory.mktemp("compare") / "home"
    home.mkdir()
    app = ModeldeckApp(home, environment={"MODELDECK_WORKER": "external"})
    client = MlflowClient(f"sqlite:///{app.home / 'mlflow.db'}")
    experiment = client.create_experiment("Marks", (app.home / "artifacts" / "marks").as_uri())
    for i in range(RUNS):
        run = client.create_run(experiment, run_name=f"run {i}").info.run_id
        # The score is spread evenly from 0 to 1, but for the last run, which has none.
        metrics = [Metric("score", i / (RUNS - 2), 0, 0)] if i < RUNS - 1 else []
        client.log_batch(run, metrics, [Param("kind", "even" if i % 2 == 0 else "odd")])
    axes = "dimensions=params.kind&dimensions=metrics.score"
    with app:
        yield f"{app.url}/compare?experiment={experiment}&{axes}"


def opened(page: Page, link: str) -> None:
    page.goto(link)
    drawn(page)


def drawn(page: Page) -> None:
    expect(page.locator(".parallel[data-drawn]")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(f"{RUNS} of {RUNS} runs drawn")).to_be_visible(timeout=SLOW)


def drag(page: Page, axis: int, start: float, end: float) -> None:
    """Mark an axis between two shares of its height, 0 at the top."""
    rule = page.locator(".parallel .rule").nth(axis)
    rule.scroll_into_view_if_needed()
    box = rule.bounding_box()
    assert box
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, box["y"] + start * box["height"])
    page.mouse.down()
    page.mouse.move(x, box["y"] + (start + end) / 2 * box["height"], steps=3)
    page.mouse.move(x, box["y"] + end * box["height"], steps=3)
    page.mouse.up()


def test_marks_name_their_runs_and_come_back_by_the_link(link: str, page: Page) -> None:
    opened(page, link)
    drag(page, 1, -0.02, 0.52)  # the upper half of the score
    expect(page.locator(".parallel .count")).to_have_text(f"31 of {RUNS} runs marked")
    expect(page.get_by_test_id("stMarkdown").filter(has_text="31 of")).to_be_visible(timeout=SLOW)
    drag(page, 0, 0.05, 0.4)  # and the upper of the two kinds
    # What the browser counted while it drew is what the server counts of the link.
    expect(page.locator(".parallel .count")).to_have_text(f"15 of {RUNS} runs marked")
    expect(page.get_by_test_id("stMarkdown").filter(has_text="15 of")).to_be_visible(timeout=SLOW)
    page.reload()
    drawn(page)
    expect(page.locator(".parallel .count")).to_have_text(f"15 of {RUNS} runs marked")
    page.get_by_role("button", name="Keep only these 15").click()
    expect(page.get_by_text("15 runs of 1 experiment")).to_be_visible(timeout=SLOW)
    assert "brush" not in page.url


def test_marks_are_taken_away_again(link: str, page: Page) -> None:
    opened(page, link)
    drag(page, 1, 0.2, 0.6)
    expect(page.get_by_test_id("stMarkdown").filter(has_text="runs marked")).to_be_visible(
        timeout=SLOW
    )
    page.get_by_role("button", name="Clear marks").click()
    expect(page.get_by_test_id("stMarkdown").filter(has_text="runs marked")).to_have_count(
        0, timeout=SLOW
    )
    assert "brush" not in page.url


def test_a_run_is_opened_by_a_click_on_its_line(link: str, page: Page) -> None:
    opened(page, link)
    first, second = (page.locator(".parallel .rule").nth(i).bounding_box() for i in (0, 1))
    assert first
    assert second
    # The last run, which has no score, is alone on its way to the rail.
    page.mouse.move(second["x"] - 20, second["y"] + second["height"] * 1.08)
    expect(page.locator(".parallel .tip")).to_have_text(f"run {RUNS - 1}", timeout=SLOW)
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"/run\?run="), timeout=SLOW)
