"""A request saved as one HTML file: it asks for nothing, shows text as text, prints, and proves."""

import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Route

from core.ledger import Ledger
from core.ledger.chain import Entry, Line, append, line_of, link
from core.ledger.schema import record
from core.lifecycle import brief
from core.lifecycle.paper import RECIPE, Paper, document
from core.registry.requests.nouns import Choice, Decision, State
from tests.small_requests import AT, BLOCKED, PASSED, WARNED, evidence, request, side

HOSTILE = (
    "<script>fetch('http://127.0.0.1:9/z')</script><img src=http://127.0.0.1:9/x "
    'onerror="alert(1)"></pre></style></textarea> \u202eltr &amp; \'q\' "p" <svg onload=alert(1)>'
)


@pytest.fixture
def chained(home: Path) -> list[Line]:
    """Lines of a real ledger, hostile words in them, another request's among them."""
    ledger = Ledger(f"sqlite:///{home}/ledger.db")
    ledger.migrate()
    said = [
        ("request.asked", "a" * 32, HOSTILE),
        ("request.asked", "b" * 32, "another"),
        ("request.commented", "a" * 32, "line one\nline two é 数"),
        ("request.approved", "a" * 32, ""),
    ]
    with ledger.transaction("test") as connection:
        for action, number, words in said:
            append(connection, Entry(action, HOSTILE[:200], model=HOSTILE, request_id=number,
                                     why=words))  # fmt: skip
    with ledger.transaction("test") as connection:
        found = [line_of(row) for row in connection.execute(sa.select(record))]
    ledger.close()
    return found


def paper(lines: list[Line], *, hostile: bool = False) -> Paper:
    """A request with everything in it."""
    word = HOSTILE if hostile else "wine"
    metrics: dict[str, float | None] = {f"{word}{n:03}": 0.5 + n for n in range(200)}
    metrics |= {"accuracy": 0.962, "nan": None}
    many = {"accuracy": (0.962, 0.96, 0.97), word: (1.0, 2.0, 3.0)}
    few = {"accuracy": (0.951, 0.95, 0.94), word: (1.5, 2.0, 3.0)}
    column = {"name": word, "type": word, "required": True}
    both = evidence(
        side(7, metrics, replicates=many, params={word: word}, inputs=(column,), source=word),
        side(5, {**metrics, "accuracy": 0.951}, replicates=few, params={word: "1"}, inputs=()),
        card={"purpose": word, "owner": word}, missing={"pins": word}, model=word, digest="d" * 64,
        digest_of="content",
    )  # fmt: skip
    asked = request(
        State.DONE, model=word, message=word, requester=word, comment=word,
        results=(PASSED, WARNED, replace(BLOCKED, reason=word, inputs={word: [word]})),
        decisions=(Decision(word, Choice.APPROVE, word, AT, own=True),),
        closed_at=AT + timedelta(hours=1),
    )  # fmt: skip
    curve = [(float(step), 1 / (step + 1)) for step in range(3_000)]
    return Paper(
        request=asked, evidence=both, metrics=brief.metrics(both, asked.results),
        lines=tuple(line for line in lines if line.entry.request_id == "a" * 32),
        head=(lines[-1].number, lines[-1].hash), address="http://127.0.0.1:1/evidence?request=a",
        made_by=word, made_at=AT, zone="Europe/Berlin",
        curves={"accuracy": (curve, curve[:10])}, approvals=(1, 1),
    )  # fmt: skip


def opened(page: Page, text: str, folder: Path) -> list[str]:
    """Open the file as a person does; the addresses that it reached out for."""
    file = folder / "request.html"
    file.write_text(text, "utf-8")
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=204)

    page.route(re.compile("^http"), answer)
    page.goto(file.as_uri())
    return asked


def test_it_opens_alone_and_shows_what_there_is(
    page: Page, chained: list[Line], tmp_path: Path
) -> None:
    assert opened(page, document(paper(chained)), tmp_path) == []
    text = page.inner_text("body")
    assert "wine v7 → Production" in text
    assert "accuracy 0.962 against 0.951 in Production" in text
    assert "accuracy is 0.8; at least 0.9 is asked." not in text  # the reason given, not another
    assert "2026-03-03 15:00:00 Europe/Berlin" in text
    assert page.locator("svg").count() == 2
    assert page.locator("table").first.locator("tbody tr").count() == 202
    assert page.get_by_role("heading", level=1).count() == 1


def test_hostile_text_is_text(page: Page, chained: list[Line], tmp_path: Path) -> None:
    """Every text of it from outside says so letter by letter, but for what would turn it round."""
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    made = document(paper(chained, hostile=True))
    assert opened(page, made, tmp_path) == []
    assert said == []
    assert page.locator("script, img, iframe, [onerror], [onload], form, a, link").count() == 0
    assert page.locator("style").count() == 1
    assert "\u202e" not in page.inner_text("body") + page.title()
    visible = HOSTILE.replace("\u202e", "")
    shown = page.inner_text("body")
    assert shown.count("<script>fetch('http://127.0.0.1:9/z')</script>") > 10
    assert visible in page.locator("dd").nth(1).inner_text()


def test_without_escaping_it_would_not_be(
    page: Page,
    chained: list[Line],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: elements of the hostile text stand in the page, and the policy alone stops
    them."""
    monkeypatch.setattr("core.lifecycle.paper.elements._text", str)
    made = document(paper(chained, hostile=True))
    asked = opened(page, made, tmp_path)
    assert page.locator("script, img").count() > 0
    assert asked == []  # the policy
    bare = re.sub(r"<meta http-equiv=[^>]*>", "", made)
    assert opened(page, bare, tmp_path) != []


def test_it_prints(page: Page, chained: list[Line], tmp_path: Path) -> None:
    opened(page, document(paper(chained)), tmp_path)
    page.emulate_media(media="print")
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 2


def record_of(text: str) -> list[dict[str, object]]:
    found = re.search(r'<pre id="record">(.*?)</pre>', text, re.DOTALL)
    assert found
    return [json.loads(line) for line in html.unescape(found[1]).splitlines()]


def test_the_proof_is_the_record_and_verifies(chained: list[Line], tmp_path: Path) -> None:
    made = document(paper(chained, hostile=True))
    lines = record_of(made)
    assert [one["number"] for one in lines] == [1, 3, 4]
    assert [one["hash"] for one in lines] == [chained[n - 1].hash for n in (1, 3, 4)]
    for one in lines:
        assert link(int(str(one["number"])), str(one["previous"]), str(one["body"])) == one["hash"]
    assert chained[-1].hash in made
    file = tmp_path / "request.html"
    file.write_text(made, "utf-8")
    assert recipe(made, file) == ["1 right", "3 right", "4 right"]
    file.write_text(made.replace("line two", "line too"), "utf-8")
    assert recipe(made, file) == ["1 right", "3 CHANGED", "4 right"]


def recipe(made: str, file: Path) -> list[str]:
    """What the recipe in the file says, followed to the letter."""
    found = re.search(r'<pre id="recipe">(.*?)</pre>', made, re.DOTALL)
    assert found
    code = html.unescape(found[1])
    assert code == RECIPE
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()
