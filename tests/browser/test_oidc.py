"""Identity ``oidc`` in a real browser, before a provider in a process of its own."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from core.texts import t
from tests.browser.conftest import Watch
from tests.browser.test_story import client
from tests.servers import ModeldeckApp, Server, clean_environment, free_port

PATIENCE = 30_000
STYLES = "https://cdn.jsdelivr.net/npm/@picocss/pico@2/css/pico.min.css"
PEOPLE = [
    {"sub": "1", "email": "mia@x.example", "email_verified": True, "groups": ["churn", "leads"]},
    {"sub": "2", "email": "nil@x.example", "email_verified": True},
    {"sub": "3", "email": "boss@x.example", "email_verified": False},
]
DESK = """
administrators: ["group:leads"]
permissions:
  - {who: ["group:churn"], models: "churn-*", level: READ}
"""


class Provider(Server):
    """An OpenID Connect provider that asks nobody for a password.

    Attributes:
        url: where it answers.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "provider.log")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.port)]
        for person in PEOPLE:
            command += ["--user-claims", json.dumps(person)]
        self.launch(command, clean_environment())
        self.wait_for(f"{self.url}/.well-known/openid-configuration")
        return self


@dataclass(frozen=True)
class Stage:
    """A page server whose people come from a provider."""

    app: ModeldeckApp

    def sign_in(self, page: Page, subject: str) -> None:
        page.goto(self.app.url)
        page.get_by_role("button", name=t("signin.button")).click()
        page.get_by_role("button", name=subject, exact=True).click(timeout=PATIENCE)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("oidc")
    home = folder / "home"
    home.mkdir()
    (home / "desk.yaml").write_text(DESK)
    with Provider(folder) as provider:
        app = ModeldeckApp(
            home, environment={"MODELDECK_WORKER": "external", "MODELDECK_IDENTITY": "oidc"}
        )
        secrets = home / "secrets.toml"
        secrets.write_text(
            f"""[auth]
redirect_uri = "{app.url}/oauth2callback"
cookie_secret = "a-secret-of-this-test-alone-0123456789"
client_id = "modeldeck"
client_secret = "modeldeck-secret"
server_metadata_url = "{provider.url}/.well-known/openid-configuration"
"""
        )
        secrets.chmod(0o600)
        with app:
            mlflow = client(app)
            for name in ("churn-a", "other-b"):
                mlflow.create_experiment(name, artifact_location=str(home / "artifacts"))
                mlflow.create_registered_model(name)
            yield Stage(app)


@pytest.fixture(autouse=True)
def styles_of_the_provider(context: BrowserContext, watch: Watch) -> Iterator[None]:
    """The provider's own pages ask for a style sheet far away: they get none."""
    context.route(STYLES, lambda route: route.abort())
    yield
    watch.outside[:] = [url for url in watch.outside if url != STYLES]


def test_a_person_of_the_provider_signs_in_sees_their_own_and_signs_out(
    stage: Stage, page: Page
) -> None:
    page.goto(f"{stage.app.url}/models")
    expect(page.get_by_text(t("signin.with_provider"))).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name=t("nav.title.models"))).to_have_count(0)
    stage.sign_in(page, "1")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("mia@x.example, administrator")).to_be_visible(timeout=PATIENCE)
    page.goto(f"{stage.app.url}/model?model=churn-a")
    expect(page.get_by_role("heading", name="churn-a").first).to_be_visible(timeout=PATIENCE)
    page.goto(f"{stage.app.url}/model?model=other-b")
    expect(page.get_by_text(t("errors.title.NotAllowed")).first).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name=t("signin.sign_out")).click()
    page.get_by_role("button", name="End session").click(timeout=PATIENCE)  # at the provider
    expect(page.get_by_text(t("signin.with_provider"))).to_be_visible(timeout=PATIENCE)
    page.goto(f"{stage.app.url}/model?model=churn-a")
    expect(page.get_by_text(t("signin.with_provider"))).to_be_visible(timeout=PATIENCE)


def test_whoever_is_in_no_line_of_the_file_sees_nothing(stage: Stage, page: Page) -> None:
    stage.sign_in(page, "2")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("nil@x.example")).to_be_visible(timeout=PATIENCE)
    expect(sidebar.get_by_text("administrator")).to_have_count(0)
    page.goto(f"{stage.app.url}/model?model=churn-a")
    expect(page.get_by_text(t("errors.title.NotAllowed")).first).to_be_visible(timeout=PATIENCE)


def test_an_address_that_nobody_verified_is_no_name(stage: Stage, page: Page) -> None:
    stage.sign_in(page, "3")
    said = t("people.oidc.no_name", claim="email")
    expect(page.get_by_text(said)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_test_id("stSidebar").get_by_text("boss")).to_have_count(0)
