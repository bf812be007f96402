"""What webhooks send: everybody's text stays text, signatures can be verified, links lead home."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.ledger.chain import Entry, Line
from core.ledger.outbox import Shape, Webhook
from core.lifecycle.webhooks import shapes
from core.lifecycle.webhooks.sending import SIGNATURE, TIMESTAMP, signature, signed

AT = datetime(2026, 3, 3, 14, 5, tzinfo=UTC)
ENTRY = Entry(
    "request.approved", "grace", "mlflow", store="http://m", model="rent & co", version=7,
    rung="Production", request_id="r1", before={"7": {"rung": "None"}}, after=None, why="fine",
)  # fmt: skip
LINE = Line(12, AT, ENTRY, "0" * 64, "a" * 64)
HOSTILE = (
    "<!channel> <https://evil|ok> *x* [a](http://evil) ![b](http://evil) {{DATE(x)}} \u202egnp"
)


def sent(shape: Shape, line: Line | None = LINE, address: str = "https://deck/") -> Any:
    return json.loads(shapes.body(shape, line, "d1", address, AT))


def texts(value: Any, key: str = "") -> list[tuple[str, str]]:
    """Every text within, with the key that holds it."""
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in texts(inner, name)]
    if isinstance(value, list):
        return [pair for inner in value for pair in texts(inner, key)]
    return [(key, value)] if isinstance(value, str) else []


def test_our_own_form_says_all_that_the_line_says() -> None:
    assert sent(Shape.JSON) == {
        "delivery": "d1", "test": False, "action": "request.approved", "at": AT.isoformat(),
        "actor": {"name": "grace", "kind": "mlflow"}, "path": "desk", "store": "http://m",
        "model": "rent & co", "version": 7, "rung": "Production", "request": "r1",
        "before": {"7": {"rung": "None"}}, "after": None, "why": "fine",
        "link": "https://deck/evidence?request=r1",
        "record": {"number": 12, "hash": "a" * 64, "previous": "0" * 64},
    }  # fmt: skip


def test_a_test_says_that_it_is_one() -> None:
    found = sent(Shape.JSON, None)
    assert (found["test"], found["action"], "record" in found) == (True, "test", False)
    assert "test" in sent(Shape.SLACK, None)["text"]
    assert "test" in json.dumps(sent(Shape.TEAMS, None))


def test_links_lead_to_the_request_or_the_version() -> None:
    moved = replace(LINE, entry=replace(ENTRY, request_id=""))
    assert shapes.link(moved, "https://d") == "https://d/model?model=rent+%26+co&version=7"
    alone = replace(LINE, entry=Entry("x", "y"))
    assert shapes.link(alone, "https://d/") == "https://d"
    assert shapes.link(LINE, "") == ""


@pytest.mark.parametrize("shape", [Shape.SLACK, Shape.TEAMS])
def test_a_message_says_who_what_and_where(shape: Shape) -> None:
    told = " ".join(text for _, text in texts(sent(shape)))
    for words in ("grace", "rent & co: Approved", "v7", "Production", "fine", "line 12"):
        assert words in told


@pytest.mark.parametrize("shape", [Shape.SLACK, Shape.TEAMS])
def test_a_change_without_modeldeck_says_what_changed_and_that_nobody_is_known(
    shape: Shape,
) -> None:
    entry = Entry(
        "unattributed.stage", "", "unknown", "outside", model="rent", version=7,
        before={"7": {"rung": "Staging", "aliases": []}, "5": {"rung": "Production"}},
        after={"7": {"rung": "Production", "aliases": ["champion"]}, "5": {"rung": "Production"}},
    )  # fmt: skip
    told = [text for _, text in texts(sent(shape, replace(LINE, entry=entry)))]
    assert "v7: Staging → Production, champion" in told
    assert any(text.endswith("(by whom is not known)") for text in told)
    assert not any("()" in text for text in told)


def test_a_message_without_a_change_or_a_reason_has_no_empty_text() -> None:
    entry = replace(ENTRY, before=None, after=None, why="")
    found = sent(Shape.SLACK, replace(LINE, entry=entry))
    assert all(text for _, text in texts(found))
    assert [block["type"] for block in found["blocks"]] == ["header", "section", "context"]


def hostile() -> Line:
    moved = {HOSTILE: {"rung": HOSTILE, "aliases": [HOSTILE]}}
    entry = replace(
        ENTRY, actor=HOSTILE, model=HOSTILE, rung=HOSTILE, why=HOSTILE, before=moved, after=None
    )
    return replace(LINE, entry=entry)


def test_in_slack_others_words_are_plain_or_escaped() -> None:
    found = sent(Shape.SLACK, hostile())
    assert "<" not in found["text"]
    assert "&lt;!channel&gt;" in found["text"]
    marked = [
        b["text"]["text"] for b in found["blocks"] if b.get("text", {}).get("type") == "mrkdwn"
    ]
    assert marked == ["<https://deck/evidence?request=r1|Open in Modeldeck>"]
    header = found["blocks"][0]
    assert (header["text"]["type"], len(header["text"]["text"]) <= 150) == ("plain_text", True)


def test_in_teams_others_words_are_runs_of_text() -> None:
    found = sent(Shape.TEAMS, hostile())["attachments"][0]["content"]
    assert {block["type"] for block in found["body"]} == {"RichTextBlock"}
    runs = [run for block in found["body"] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert any("evil" in run["text"] for run in runs)
    assert found["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open in Modeldeck",
         "url": "https://deck/evidence?request=r1"}
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [Shape.SLACK, Shape.TEAMS])
def test_no_direction_character_reaches_a_chat(shape: Shape) -> None:
    assert "\u202e" in HOSTILE
    assert not [text for _, text in texts(sent(shape, hostile())) if "\u202e" in text]


def test_a_text_of_any_length_and_letters_that_are_none_are_sent() -> None:
    long = replace(LINE, entry=replace(ENTRY, why="\ud800" + "w" * 100_000))
    for shape in Shape:
        found = sent(shape, long)
        if shape is not Shape.JSON:
            assert max(len(text) for _, text in texts(found)) <= 3_000


def test_a_signature_is_verified_as_the_documentation_says() -> None:
    body = shapes.body(Shape.JSON, LINE, "d1", "", AT)
    headers = signed("s3cret", "d1", body)
    mac = hmac.new(b"s3cret", f"{headers[TIMESTAMP]}.".encode() + body, hashlib.sha256)
    assert headers[SIGNATURE] == f"sha256={mac.hexdigest()}"
    for other in (
        signature("s3cret", headers[TIMESTAMP], body + b" "),
        signature("other", headers[TIMESTAMP], body),
        signature("s3cret", "1", body),
    ):
        assert other != headers[SIGNATURE]


def test_a_webhook_is_told_what_it_asks_for() -> None:
    hook = Webhook(
        "1", "n", "u", Shape.JSON, "", ("decisions", "unattributed"), "rent*", True, 0, "a", AT,
        None,
    )  # fmt: skip
    asked = {
        ("request.approved", "rents"): True,
        ("request.rejected", "rent"): True,
        ("request.asked", "rent"): False,
        ("request.approved", "Rent"): False,
        ("unattributed.stage", "rent"): True,
        ("unattributedly", "rent"): False,
        ("transition.done", "rent"): False,
    }
    for (action, model), wanted in asked.items():
        assert hook.wants(action, model) == wanted, (action, model)


def test_brackets_of_a_pattern_stand_for_themselves_as_the_form_says() -> None:
    hook = Webhook(
        "1", "n", "u", Shape.JSON, "", ("decisions",), "rent[ab]?", True, 0, "a", AT, None
    )
    asked = {"rent[ab]1": True, "renta1": False, "rent[ab]": False}
    for model, wanted in asked.items():
        assert hook.wants("request.approved", model) == wanted, model
