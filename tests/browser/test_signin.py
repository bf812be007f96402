"""People with accounts in a real browser: signing in, being signed out, two of them at once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from core.texts import t
from tests.servers import AccountsServer, ModeldeckApp
from tests.waiting import until

PATIENCE = 30_000
REVOKED_SECONDS = 60.0
"""Within that time a right that was taken away stops reads."""


@dataclass(frozen=True)
class Stage:
    """A page server for people with accounts, without a worker."""

    app: ModeldeckApp
    server: AccountsServer

    def sign_in(self, page: Page, name: str, path: str = "/") -> None:
        """Open a page, sign in, and wait for the shell."""
        page.goto(self.app.url + path)
        self.fill(page, name, self.server.passwords[name])
        expect(self.here(page, name)).to_be_visible(timeout=PATIENCE)

    def fill(self, page: Page, name: str, password: str) -> None:
        page.get_by_label(t("signin.name")).fill(name)
        page.get_by_label(t("signin.password")).fill(password)
        page.get_by_role("button", name=t("signin.button")).click()

    def here(self, page: Page, name: str) -> Locator:
        """The sidebar's words about who is here."""
        return page.get_by_test_id("stSidebar").get_by_text(f"You: {name}")


def staged(server: AccountsServer, home: Path, minutes: int) -> ModeldeckApp:
    """The application for the accounts of ``server``; sessions end after ``minutes`` idle."""
    file = home.parent / f"{home.name}-password"
    file.write_text(server.passwords["admin"])
    file.chmod(0o600)
    return ModeldeckApp(
        home,
        tracking_uri=server.url,
        environment={
            "MODELDECK_WORKER": "external",
            "MODELDECK_IDENTITY": "mlflow",
            "MODELDECK_SERVICE_USER": "admin",
            "MODELDECK_SERVICE_PASSWORD_FILE": str(file),
            "MODELDECK_SESSION_IDLE_MINUTES": str(minutes),
        },
    )


@pytest.fixture(scope="module")
def stage(
    accounts_server: AccountsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    for name in ("iris", "jack", "karl", "lena", "mona"):
        accounts_server.add(name)
    accounts_server.ask("POST", "2.0/mlflow/registered-models/create", {"name": "signed-in-model"})
    with staged(accounts_server, tmp_path_factory.mktemp("signin") / "home", 60) as app:
        yield Stage(app, accounts_server)


def test_a_deep_link_leads_over_the_sign_in_page_to_its_page_and_query(
    stage: Stage, page: Page
) -> None:
    path = "/models?q=signed%20%26%20in"
    page.goto(stage.app.url + path)
    expect(page.get_by_role("heading", name=t("signin.title"))).to_be_visible()
    stage.fill(page, "iris", "not-her-password")
    expect(page.get_by_role("alert")).to_have_text(t("signin.wrong"))
    expect(page.get_by_label(t("signin.name"))).to_have_value("iris")
    expect(page.get_by_label(t("signin.password"))).to_have_value("")
    stage.fill(page, "iris", stage.server.passwords["iris"])
    expect(stage.here(page, "iris")).to_be_visible(timeout=PATIENCE)
    assert page.url == stage.app.url + path
    expect(page.get_by_role("searchbox")).to_have_value("signed & in", timeout=PATIENCE)
    # No script may read the cookie.
    assert "modeldeck_session" not in page.evaluate("document.cookie")


def test_too_many_tries_are_told_to_wait_and_nobody_else_is(
    stage: Stage, page: Page, context: BrowserContext
) -> None:
    page.goto(stage.app.url)
    for _ in range(5):
        stage.fill(page, "mona", "guessed")
        expect(page.get_by_role("alert")).to_have_text(t("signin.wrong"))
    stage.fill(page, "mona", stage.server.passwords["mona"])
    expect(page.get_by_role("alert")).to_contain_text("Too many tries. Wait")
    stage.sign_in(context.new_page(), "iris")


def test_signing_out_shows_nothing_any_more(stage: Stage, page: Page) -> None:
    stage.sign_in(page, "jack", "/models")
    page.get_by_role("button", name=t("signin.sign_out")).click()
    expect(page.get_by_text(t("signin.ended.signed_out"))).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name=t("nav.title.models"))).to_have_count(0)
    page.get_by_role("link", name=t("signin.again")).click()
    stage.fill(page, "jack", stage.server.passwords["jack"])
    expect(page.get_by_role("heading", name=t("nav.title.models"))).to_be_visible(timeout=PATIENCE)
    assert page.url == f"{stage.app.url}/models", "and one is back where one was"


def test_two_people_in_two_tabs_of_one_browser(
    stage: Stage, page: Page, context: BrowserContext
) -> None:
    """The first one's tab says that somebody else is here, and sends nothing in their name."""
    stage.sign_in(page, "karl", "/models")
    page.get_by_role("button", name=t("models.new.label")).click()
    page.get_by_label(t("models.new.name")).fill("karls-model")
    other = context.new_page()
    other.goto(f"{stage.app.url}/signin")
    expect(other.get_by_text(t("signin.here", name="karl"))).to_be_visible()
    other.get_by_role("button", name=t("signin.sign_out")).click()
    other.goto(stage.app.url)
    stage.fill(other, "lena", stage.server.passwords["lena"])
    expect(stage.here(other, "lena")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name=t("models.new.create")).click()
    expect(page.get_by_text(t("signin.ended.signed_out")).first).to_be_visible(timeout=PATIENCE)
    found = stage.server.ask("GET", "2.0/mlflow/registered-models/search")
    assert "karls-model" not in str(found)
    page.reload()
    expect(stage.here(page, "lena")).to_be_visible(timeout=PATIENCE)


def test_a_tab_whose_browser_is_somebody_elses_by_now(
    stage: Stage, page: Page, context: BrowserContext
) -> None:
    """Signed in over an open session: that session is over, and its tab says why."""
    page.goto(stage.app.url)
    waiting = context.new_page()
    waiting.goto(stage.app.url)
    stage.fill(page, "karl", stage.server.passwords["karl"])
    expect(stage.here(page, "karl")).to_be_visible(timeout=PATIENCE)
    stage.fill(waiting, "lena", stage.server.passwords["lena"])
    expect(stage.here(waiting, "lena")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name=t("nav.title.models")).click()
    expect(page.get_by_text(t("signin.ended.replaced"))).to_be_visible(timeout=PATIENCE)
    expect(stage.here(page, "karl")).to_have_count(0)


def test_an_account_that_is_deleted_while_signed_in(stage: Stage, page: Page) -> None:
    stage.server.add("gone")
    stage.sign_in(page, "gone", "/models")
    stage.server.remove("gone")

    def told() -> bool:
        page.get_by_role("link", name=t("nav.title.models")).first.click()
        page.wait_for_load_state("networkidle")
        return page.get_by_text(t("signin.out_title")).count() > 0

    until(told, REVOKED_SECONDS, "the page to say so")
    expect(page.get_by_role("link", name=t("signin.again"))).to_be_visible()
    page.goto(stage.app.url)
    expect(page.get_by_role("heading", name=t("signin.title"))).to_be_visible()
    stage.fill(page, "gone", stage.server.passwords["gone"])
    expect(page.get_by_role("alert")).to_have_text(t("signin.wrong"))


def test_a_right_that_is_taken_away_stops_reads(stage: Stage, page: Page) -> None:
    stage.sign_in(page, "iris", "/model?model=signed-in-model")
    heading = page.get_by_role("heading", name="signed-in-model")
    expect(heading.first).to_be_visible(timeout=PATIENCE)
    stage.server.grant("iris", "registered_model", "signed-in-model", "DENY")
    began = time.monotonic()

    told = page.get_by_text(t("errors.title.NotAllowed"))

    def refused() -> bool:
        page.reload()
        expect(heading.or_(told).first).to_be_visible(timeout=PATIENCE)
        return told.count() > 0

    until(refused, REVOKED_SECONDS, "the page to be refused")
    assert time.monotonic() - began < REVOKED_SECONDS
    expect(heading).to_have_count(0)
    stage.server.revoke("iris", "registered_model", "signed-in-model")


def test_whoever_was_away_too_long_is_signed_out(
    accounts_server: AccountsServer, page: Page, tmp_path: Path
) -> None:
    if "nora" not in accounts_server.passwords:
        accounts_server.add("nora")
    with staged(accounts_server, tmp_path / "deck", 1) as app:
        stage = Stage(app, accounts_server)
        stage.sign_in(page, "nora", "/models")
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 62, 90, "a minute to pass", every=1.0)
        page.get_by_role("link", name=t("nav.title.home")).first.click()
        expect(page.get_by_text(t("signin.ended.idle"))).to_be_visible(timeout=PATIENCE)
