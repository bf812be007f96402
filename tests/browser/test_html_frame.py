"""HTML among the artifacts is looked at and can do nothing: no script, no request, no way out."""

import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import BrowserContext, Page, expect

from core.ui import frame
from tests.servers import ModeldeckApp
from tests.waiting import until

SHOWN = "A report that somebody wrote"
RAN = "a script ran"


@dataclass
class Listener:
    """Whoever connects to it is remembered, also who asks for nothing."""

    port: int
    asked: list[str] = field(default_factory=list)
    page: str = ""
    """What it answers at /page; elsewhere nothing."""

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Remember(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            try:
                words = self.rfile.readline(2_000).decode("latin-1").split(" ")
            except TimeoutError:  # a connection made ahead, for a request that never came
                words = []
            path = words[1] if len(words) > 1 else "connected"
            heard.asked.append(path)
            page = heard.page.encode() if path == "/page" else b""
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n"
            self.wfile.write(head.encode() + b"Connection: close\r\n\r\n" + page)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Remember) as server:
        heard = Listener(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


def hostile(at: str) -> str:
    """A page that tries every way to be heard outside, or to run something."""
    ran = f"'{RAN[:4]}' + '{RAN[4:]}'"  # in one piece only once it ran
    script = f"document.title={ran};document.body.append({ran});fetch('{at}/script')"
    return f"""<!doctype html><html><head><base href="{at}/base/">
      <meta http-equiv="refresh" content="1;url={at}/refresh">
      <link rel="preconnect" href="{at}"><link rel="dns-prefetch" href="{at}">
      <link rel="stylesheet" href="{at}/style.css"><link rel="prefetch" href="{at}/prefetch">
      <link rel="icon" href="{at}/icon"><link rel="modulepreload" href="{at}/module.js">
      <link rel="preload" as="image" href="{at}/preload.png">
      <style>@import url({at}/import.css); body {{ background: url({at}/css.png) }}
        @font-face {{ font-family: f; src: url({at}/font) }} p {{ font-family: f }}</style>
      <script type="speculationrules">{{"prefetch": [{{"urls": ["{at}/rules"]}}]}}</script>
      <script src="{at}/script.js"></script></head>
      <body onload="{script}"><h1>{SHOWN}</h1><p>text</p>
      <img src="{at}/img.png" onerror="{script}"><input autofocus onfocus="{script}">
      <input type="image" src="{at}/input.png"><video src="{at}/v.mp4" poster="{at}/p.png" autoplay>
      </video><audio src="{at}/a.mp3" autoplay></audio><object data="{at}/object"></object>
      <embed src="{at}/embed"><iframe src="{at}/frame"></iframe>
      <iframe srcdoc="<script>parent.document.title={ran};fetch('{at}/nested')</script>"></iframe>
      <svg><image href="{at}/svg.png"/><use href="{at}/use.svg#a"/><script>{script}</script></svg>
      <a id="out" href="{at}/link" ping="{at}/ping">self</a>
      <a id="top" href="{at}/top" target="_top">top</a>
      <a id="new" href="{at}/new" target="_blank">new</a>
      <form id="send" action="{at}/form"><button id="go">go</button></form>
      <script>{script}</script>
      "></iframe></body></html><script>{script}</script><img src="{at}/broken-out.png">"""


def click_everything(page: Page) -> None:
    """Click all links and buttons of the inner frame."""
    inner = page.frame_locator("iframe").frame_locator("iframe").first
    for name in ("top", "new", "go", "out"):  # the last one leaves the frame empty
        inner.locator(f"#{name}").click(no_wait_after=True)


class TestFrame:
    def test_nothing_is_asked_for_and_nothing_runs(
        self, context: BrowserContext, listener: Listener, tmp_path: Path
    ) -> None:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        app = ModeldeckApp(home, environment={"MODELDECK_WORKER": "external"})
        client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
        place = (home / "artifacts" / "pages").as_uri()
        experiment = client.create_experiment("pages", artifact_location=place)
        run = client.create_run(experiment, run_name="one").info.run_id
        client.log_text(run, hostile(listener.at), "report.html")
        client.set_terminated(run)
        page = context.new_page()
        with app:
            page.goto(f"{app.url}/run?run={run}&section=Artifacts&file=report.html")
            inner = page.frame_locator("iframe").frame_locator("iframe").first
            expect(inner.get_by_role("heading", name=SHOWN)).to_be_visible(timeout=60_000)
            expect(inner.locator("body")).not_to_contain_text(RAN)
            title = page.title()
            click_everything(page)
            # Longer than the refresh that the page asks for.
            listener.page = '<link rel="icon" href="data:,"><meta http-equiv="refresh" '
            listener.page += 'content="2;url=/clock">'
            context.new_page().goto(f"{listener.at}/page")
            until(lambda: "/clock" in listener.asked, what="two seconds")
            assert set(listener.asked) <= {"/page", "/clock", "/favicon.ico"}
            assert page.title() == title
            assert len(context.pages) == 2

    def test_each_guard_alone_is_needed(self, page: Page, listener: Listener) -> None:
        """The control: the listener hears the same page where a guard is taken out."""
        whole = frame.framed(hostile(listener.at), "x")
        policy, sandbox = "Content-Security-Policy", 'sandbox=""'
        assert whole.count(policy) == 2
        assert sandbox in whole

        def opened(text: str) -> None:
            listener.asked.clear()
            listener.page = text
            page.goto(f"{listener.at}/page")

        opened(whole.replace(policy, "x"))
        until(lambda: "/img.png" in listener.asked, what="a picture without the policy")
        assert "/script" not in listener.asked
        opened(whole.replace(policy, "x").replace(sandbox, ""))
        until(lambda: "/script" in listener.asked, what="a script without both")
        until(lambda: "/refresh" in listener.asked, what="the way out")
        opened(
            whole.replace("font-src", "script-src 'unsafe-inline'; font-src").replace(sandbox, "")
        )
        expect(page.frame_locator("iframe").first.get_by_text(RAN).first).to_be_visible()
