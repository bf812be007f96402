"""A real Chromium for tests, which never leaves this machine."""

import ipaddress
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# For something that never comes; a slow machine only takes longer.
expect.set_options(timeout=30_000)

LOCAL_SCHEMES = ("about", "blob", "data", "file", "chrome-error")

FAILED = pytest.StashKey[bool]()


@dataclass
class Watch:
    """What the pages of one test did besides what the test looks at."""

    console_errors: list[str] = field(default_factory=list)
    """Errors that the pages wrote to the console, and exceptions nobody caught."""
    outside: list[str] = field(default_factory=list)
    """Addresses beyond this machine that the pages asked for."""

    def follow(self, context: BrowserContext) -> None:
        """Record what the pages of ``context`` do from now on."""
        context.on("request", lambda request: self._asked(request.url))
        context.on("weberror", lambda error: self.console_errors.append(str(error.error)))
        context.on(
            "console",
            lambda message: (
                self.console_errors.append(message.text) if message.type == "error" else None
            ),
        )
        context.on("page", lambda page: page.on("websocket", lambda ws: self._asked(ws.url)))

    def _asked(self, url: str) -> None:
        if not _is_local(url):
            self.outside.append(url)


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme in LOCAL_SCHEMES or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """One browser for the session; each test has a profile of its own in it."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def watch() -> Watch:
    """What this test's pages did; the test fails when they asked for an address outside."""
    return Watch()


@pytest.fixture
def context(
    browser: Browser, watch: Watch, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[BrowserContext]:
    """A fresh profile at 1440×900; ``context.new_page()`` opens further tabs.

    When the test fails, each page that is open is drawn into the test's folder.
    """
    opened = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(30_000)
    watch.follow(opened)
    yield opened
    if request.node.stash.get(FAILED, False):
        for number, page in enumerate(opened.pages):
            name = re.sub(r"\W+", "-", request.node.name).strip("-")
            path = tmp_path / f"{name}-{number}.png"
            page.screenshot(path=path, full_page=True)
            print(f"{page.url} is drawn in {path}; console: {watch.console_errors}")  # noqa: T201
    opened.close()
    assert not watch.outside, f"pages asked for addresses outside this machine: {watch.outside}"


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab."""
    return context.new_page()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for the fixture that draws its pages."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report
