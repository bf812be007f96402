"""The browser that other tests stand on."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Watch


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<title>Hello</title><script>console.error('spilt milk')</script>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@pytest.fixture
def hello() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_page_is_drawn_and_its_console_errors_are_kept(
    page: Page, watch: Watch, hello: str
) -> None:
    page.goto(hello)
    assert page.title() == "Hello"
    assert page.viewport_size == {"width": 1440, "height": 900}
    assert watch.console_errors == ["spilt milk"]
    assert watch.outside == []


def test_a_request_beyond_this_machine_is_seen(page: Page, watch: Watch, hello: str) -> None:
    page.goto(hello)
    page.evaluate("fetch('http://elsewhere.invalid/beacon').catch(() => null)")
    assert watch.outside == ["http://elsewhere.invalid/beacon"]
    watch.outside.clear()
