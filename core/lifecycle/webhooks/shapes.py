"""What is sent: a line of the record as our own JSON, as a Slack message, as a Teams card. Pure.

Everything in a line may be somebody's text: it is sent as text, never as markup of the receiver.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from core.formats import shorten, visible
from core.ledger.chain import Entry, Line
from core.ledger.outbox import Shape
from core.registry.telling import changes, sentence
from core.texts import t

_LONGEST = 2_000
_CARD = "http://adaptivecards.io/schemas/adaptive-card.json"


def body(shape: Shape, line: Line | None, delivery_id: str, address: str, at: datetime) -> bytes:
    """The body of one delivery.

    Args:
        line: what is told; None for a test.
        address: of the pages, for the link; "" for none.
        at: when a test was sent.
    """
    made: Mapping[str, Any]
    if shape is Shape.JSON:
        made = plain(line, delivery_id, address, at)
    elif shape is Shape.SLACK:
        made = slack(*_told(line), link(line, address))
    else:
        made = teams(*_told(line), link(line, address))
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def plain(line: Line | None, delivery_id: str, address: str, at: datetime) -> dict[str, Any]:
    """Our own form; its fields are described in ``docs/webhooks.md``."""
    if line is None:
        return {"delivery": delivery_id, "action": "test", "at": at.isoformat(), "test": True}
    entry = line.entry
    return {
        "delivery": delivery_id,
        "test": False,
        "action": entry.action,
        "at": line.at.isoformat(),
        "actor": {"name": entry.actor, "kind": entry.actor_kind},
        "path": entry.path,
        "store": entry.store,
        "model": entry.model,
        "version": entry.version,
        "rung": entry.rung,
        "request": entry.request_id,
        "before": entry.before,
        "after": entry.after,
        "why": entry.why,
        "link": link(line, address),
        "record": {"number": line.number, "hash": line.hash, "previous": line.previous},
    }


def link(line: Line | None, address: str) -> str:
    """The page that shows what a line tells of; "" where no address is known."""
    if not address or line is None:
        return address
    entry = line.entry
    root = address.rstrip("/")
    if entry.request_id:
        return f"{root}/evidence?{urlencode({'request': entry.request_id})}"
    if not entry.model:
        return root
    query = {"model": entry.model} | ({"version": entry.version} if entry.version else {})
    return f"{root}/model?{urlencode(query)}"


def slack(title: str, texts: Sequence[str], footer: str, link: str) -> dict[str, Any]:
    """An incoming webhook's message: plain text in blocks, which Slack does not interpret."""
    blocks: list[dict[str, Any]] = [_slack_text("header", shorten(title, 140))]
    blocks += [_slack_text("section", text) for text in texts]
    if link:
        shown = f"<{_slack(link)}|{_slack(t('webhooks.open'))}>"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": shown}})
    elements = [{"type": "plain_text", "text": footer, "emoji": False}]
    blocks.append({"type": "context", "elements": elements})
    # The notification's text has no plain form: what could be a mention or a link is escaped.
    return {"text": _slack(title), "blocks": blocks}


def teams(title: str, texts: Sequence[str], footer: str, link: str) -> dict[str, Any]:
    """A card for a Teams workflow; runs of text, which know no Markdown."""
    content: dict[str, Any] = {
        "$schema": _CARD,
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _teams_text(title, weight="Bolder", size="Medium"),
            *map(_teams_text, texts),
            _teams_text(footer, isSubtle=True, size="Small"),
        ],
    }
    if link:
        content["actions"] = [{"type": "Action.OpenUrl", "title": t("webhooks.open"), "url": link}]
    card = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [card]}


def headline(entry: Entry) -> str:
    """What happened, to what and by whom, on one line: "rent: Approved v7 → Production (ada)"."""
    subject = f"{entry.model}: " if entry.model else ""
    who = entry.actor or t("webhooks.by_nobody_known")
    return _clean(f"{subject}{sentence(entry)} ({who})", 300)


def _told(line: Line | None) -> tuple[str, list[str], str]:
    """Title, texts (what changed, and why) and small print."""
    if line is None:
        return t("webhooks.test_title"), [t("webhooks.test_text")], t("webhooks.from")
    entry = line.entry
    footer = t("webhooks.footer", number=line.number, hash=line.hash[:12])
    texts = (_clean(text, _LONGEST) for text in (changes(entry), entry.why))
    return headline(entry), [text for text in texts if text], footer


def _clean(text: str, most: int) -> str:
    return shorten(visible(text).strip(), most)


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_text(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, "text": {"type": "plain_text", "text": text, "emoji": False}}


def _teams_text(text: str, **look: Any) -> dict[str, Any]:
    run = {"type": "TextRun", "text": text, **look}
    return {"type": "RichTextBlock", "inlines": [run]}
