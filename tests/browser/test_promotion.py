"""The promotion desk as people walk it: with accounts of a real MLflow server, and alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Locator, Page, expect

from core.ledger import Ledger, chain
from core.settings import load
from core.texts import t
from tests import small_store
from tests.servers import AccountsServer, ModeldeckApp
from tests.waiting import until

LONG = 120_000
"""Milliseconds; a limit for what never comes, no measure of speed."""
MODEL = "promoted-rent"
PHONE = {"width": 390, "height": 844}

RULES = """\
rules:
  - models: "*"
    rung: Production
    decide: [mara]
    approvals: 1
    unknown_registrant: allow
    gates:
      - {gate: card_complete, level: block, fields: [purpose, owner]}
      - {gate: metric_threshold, level: warn, metric: r2, at_least: 0.99}
      - {gate: signature_compatible, level: block}
"""


@dataclass(frozen=True)
class Stage:
    """Modeldeck with its worker before a server with accounts."""

    app: ModeldeckApp
    server: AccountsServer

    def stages(self) -> dict[int, str]:
        """Where MLflow itself has each version."""
        asked = (f"2.0/mlflow/model-versions/get?name={MODEL}&version={n}" for n in (1, 2))
        found = (self.server.ask("GET", path)["model_version"] for path in asked)
        return {int(version["version"]): version["current_stage"] for version in found}

    def champion(self) -> int:
        """Which version MLflow itself says is the champion."""
        path = f"2.0/mlflow/registered-models/alias?name={MODEL}&alias=champion"
        return int(self.server.ask("GET", path)["model_version"]["version"])

    def actions(self) -> list[str]:
        """The record's lines about the model, oldest first."""
        ledger = Ledger(load(self.app.environment).ledger_uri)
        try:
            found = chain.lines(ledger, model=MODEL, newest_first=False, limit=None)
        finally:
            ledger.close()
        return [f"{line.entry.actor}: {line.entry.action}" for line in found]

    def somebody(self, browser: Browser, name: str, size: dict[str, int] | None = None) -> Page:
        """A browser of their own, signed in."""
        context = browser.new_context(viewport=size or {"width": 1440, "height": 900})  # type: ignore[arg-type]
        context.set_default_timeout(LONG)
        page = context.new_page()
        page.goto(self.app.url + "/approvals")
        page.get_by_label(t("signin.name")).fill(name)
        page.get_by_label(t("signin.password")).fill(self.server.passwords[name])
        page.get_by_role("button", name=t("signin.button")).click()
        heading(page, t("nav.title.approvals"))
        return page


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server with a scientist, an editor and a manager; version 2 is in Production."""
    folder = tmp_path_factory.mktemp("promotion")
    home = folder / "home"
    home.mkdir()
    (home / "desk.yaml").write_text(RULES, "utf-8")
    # MLflow hashes the password at each of some hundred calls, unless it may remember it a while.
    with AccountsServer(folder / "server", cache_seconds=60) as server:
        for name in ("sina", "edda", "mara"):
            server.add(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
            patch.setenv("MLFLOW_TRACKING_PASSWORD", server.passwords["admin"])
            patch.setenv("MLFLOW_TRACKING_URI", server.url)
            words = small_store.Words(experiment="promotion: rents", model=MODEL)
            small_store.make(MlflowClient(server.url), words)
        server.grant("edda", "registered_model", MODEL, "EDIT")
        named = service(server, home)
        with ModeldeckApp(home, tracking_uri=server.url, environment=named) as app:
            yield Stage(app, server)


def service(server: AccountsServer, home: Path) -> dict[str, str]:
    """The settings of a Modeldeck for people with accounts."""
    file = home.parent / "service-password"
    file.write_text(server.passwords["admin"])
    file.chmod(0o600)
    return {
        "MODELDECK_IDENTITY": "mlflow",
        "MODELDECK_SERVICE_USER": "admin",
        "MODELDECK_SERVICE_PASSWORD_FILE": str(file),
    }


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible(timeout=LONG)


def main(page: Page) -> Locator:
    return page.get_by_test_id("stMain")


def says(page: Page, words: str | re.Pattern[str]) -> None:
    """Wait until the page says so."""
    expect(main(page).get_by_text(words).first).to_be_visible(timeout=LONG)


def press(page: Page, name: str) -> None:
    main(page).get_by_role("button", name=name, exact=True).first.click()


def ask(page: Page, url: str, version: int, comment: str) -> None:
    """Ask for Production on the Model page; the request's page opens."""
    page.goto(f"{url}/model?model={MODEL}&version={version}")
    main(page).get_by_role("radio", name="Production", exact=True).click()
    page.get_by_label(t("model.move.comment"), exact=True).fill(comment)
    press(page, f"Ask for Production for v{version}")
    heading(page, f"{MODEL} v{version} → Production")


def test_the_story(stage: Stage, browser: Browser) -> None:
    """Asked, blocked, mended, rejected, asked again, approved on a phone, rolled back, told."""
    sina = stage.somebody(browser, "sina")
    ask(sina, stage.app.url, 1, "Lower error on the new offers.")
    a_check_blocks(sina)
    an_editor_mends_it(stage, browser)
    press(sina, t("evidence_page.recheck"))
    says(sina, "Waiting for a decision")
    may_not_decide(sina)
    mara = stage.somebody(browser, "mara", PHONE)
    manager_rejects(mara)
    says_after_reload(sina, "Wait for the audit.")
    ask(sina, stage.app.url, 1, "The audit is through.")
    says(sina, "Waiting for a decision")
    assert stage.stages() == {1: "None", 2: "Production"}
    manager_approves(stage, mara)
    says_after_reload(sina, "Done")
    manager_rolls_back(stage, mara)
    the_record_tells_it(stage, mara)


def a_check_blocks(page: Page) -> None:
    says(page, "Not filled in: purpose, owner.")
    says(page, "Blocked by a gate")
    expect(main(page).get_by_role("button", name=t("evidence_page.approve"))).to_have_count(0)


def an_editor_mends_it(stage: Stage, browser: Browser) -> None:
    """The scientist may only read: somebody with EDIT fills the card."""
    page = stage.somebody(browser, "edda")
    page.goto(f"{stage.app.url}/model?model={MODEL}&version=1")
    main(page).get_by_role("tab", name=t("model.tab.card")).click()
    for place, field, words in ((0, "Purpose", "Rents of flats"), (2, "Owner", "Edda")):
        main(page).get_by_role("button", name=t("card.edit")).nth(place).click()
        box = page.get_by_role("textbox", name=field)
        box.fill(words)
        page.get_by_role("button", name=t("card.save")).click()
        says(page, words)
    page.context.close()


def may_not_decide(page: Page) -> None:
    says(page, re.compile("You cannot decide on this"))
    for name in ("approve", "reject"):
        button = main(page).get_by_role("button", name=t(f"evidence_page.{name}"), exact=True)
        expect(button).to_have_count(0)


def opens_what_waits(page: Page, url: str) -> None:
    """The manager's inbox, then the evidence."""
    page.goto(f"{url}/approvals")
    says(page, re.compile("r2 .* in Production.*; 2 checks pass, 1 warns"))
    press(page, t("approvals.open"))
    heading(page, f"{MODEL} v1 → Production")


def manager_rejects(page: Page) -> None:
    page.reload()
    opens_what_waits(page, page.url.split("/approvals")[0])
    press(page, t("evidence_page.reject"))
    says(page, re.compile("Say in a few words why"))
    page.get_by_label(t("evidence_page.comment"), exact=True).fill("Wait for the audit.")
    press(page, t("evidence_page.reject"))
    says(page, "Rejected")


def says_after_reload(page: Page, words: str) -> None:
    page.reload()
    says(page, words)


def manager_approves(stage: Stage, page: Page) -> None:
    """On a page as wide as a phone: nothing has to be moved sideways to be read or hit."""
    opens_what_waits(page, stage.app.url)
    says(page, "v1 → Production")
    says(page, re.compile("alias champion v2 → v1"))
    approve = main(page).get_by_role("button", name=t("evidence_page.approve"), exact=True)
    box = approve.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_label(t("evidence_page.comment"), exact=True).fill("Good.")
    approve.click()
    says(page, re.compile("Read back from MLflow"))
    assert stage.stages() == {1: "Production", 2: "Archived"}
    assert stage.champion() == 1


def manager_rolls_back(stage: Stage, page: Page) -> None:
    press(page, t("model.rollback.label", version=2))
    # What a popover holds stands beside the page in the document.
    expect(page.get_by_text("v1 → Archived").last).to_be_visible()
    ask_for = t("model.rollback.ask", version=2, rung="Production")
    page.get_by_role("button", name=ask_for, exact=True).click()
    heading(page, f"{MODEL} back to v2 in Production")
    says(page, "Carried out.")
    until(lambda: stage.stages() == {1: "Archived", 2: "Production"}, what="the way back")
    assert stage.champion() == 2


TOLD = [
    "sina: request.asked",
    "Modeldeck: request.checked",
    "sina: request.rechecked",
    "Modeldeck: request.checked",
    "mara: request.rejected",
    "sina: request.asked",
    "Modeldeck: request.checked",
    "mara: request.approved",
    "mara: transition.begun",
    "mara: transition.done",
    "mara: request.done",
    "mara: request.asked",
    "Modeldeck: request.checked",
    "mara: transition.begun",
    "mara: transition.done",
    "Modeldeck: request.done",
]


def the_record_tells_it(stage: Stage, page: Page) -> None:
    ours = [line for line in stage.actions() if ": request." in line or "transition" in line]
    assert [line for line in stage.actions() if "card." in line] == ["edda: card.changed"] * 2
    assert ours == TOLD
    page.goto(f"{stage.app.url}/ledger?model={MODEL}")
    says(page, re.compile(r"Lines 1 to \d+ of \d+, newest first"))
    the_record_holds(page)


def the_record_holds(page: Page) -> None:
    main(page).get_by_role("tab", name=t("ledger.tab.verify")).click()
    press(page, t("ledger.verify"))
    says(page, re.compile("The record holds"))


def test_alone_on_this_machine(page: Page, tmp_path: Path) -> None:
    """One person asks and approves: it is done, and recorded as their own."""
    home = tmp_path / "home"
    (home / "artifacts").mkdir(parents=True)
    store = f"sqlite:///{home}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:  # MLflow looks a model's source up in its default
        patch.setenv("MLFLOW_TRACKING_URI", store)
        place = (home / "artifacts" / "rents").as_uri()
        client = MlflowClient(store)
        small_store.make(client, small_store.Words(model=MODEL, artifact_root=place))
    with ModeldeckApp(home) as app:
        page.set_default_timeout(LONG)
        ask(page, app.url, 1, "Nobody else is here.")
        says(page, "Waiting for a decision")
        press(page, t("evidence_page.approve"))
        says(page, re.compile("Read back from MLflow"))
        says(page, t("evidence_page.own"))
        with page.expect_download() as download:
            press(page, t("evidence_page.file.save"))
        saved = download.value.path().read_text("utf-8")
        assert "Nobody else is here." in saved
        assert t("evidence_page.own") in saved
        page.goto(f"{app.url}/ledger")
        the_record_holds(page)
    assert client.get_model_version(MODEL, "1").current_stage == "Production"
    ledger = Ledger(f"sqlite:///{home}/ledger.db")
    (line,) = chain.lines(ledger, action="request.approved")
    ledger.close()
    assert line.entry.details["own"] is True
    assert line.hash in saved
