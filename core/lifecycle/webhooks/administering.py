"""What administrators do with webhooks. Whether somebody is one is asked here, not by the page."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from core.errors import InvalidInput
from core.ledger import chain, new_id, now, outbox
from core.ledger.outbox import GROUPS, Delivery, Shape, State, Webhook
from core.lifecycle.deck import Deck
from core.lifecycle.launch import require_administrator
from core.lifecycle.webhooks.guard import networks, parse, resolve
from core.mlflow_api import ids
from core.registry import heads
from core.texts import t

MOST = 50
_LONGEST_NAME = 200
_LONGEST_PATTERN = 255


@dataclass(frozen=True)
class Shown:
    """A webhook as its page shows it: without its address's path, and without its secret."""

    id: str
    name: str
    to: str
    shape: Shape
    actions: tuple[str, ...]
    models: str
    enabled: bool
    made_by: str
    counts: Mapping[State, int]


def listed(deck: Deck) -> list[Shown]:
    """All webhooks.

    Raises:
        NotAllowed: this person is no administrator.
    """
    _require_administrator(deck)
    found = outbox.webhooks(deck.ledger)
    counts = outbox.counts(deck.ledger, [one.id for one in found])
    return [
        Shown(
            one.id, one.name, parse(one.url).shown, one.shape, one.actions, one.models,
            one.enabled, one.made_by, counts[one.id],
        )
        for one in found
    ]  # fmt: skip


def history(deck: Deck, webhook_id: str, limit: int = 100) -> list[Delivery]:
    """The newest deliveries of a webhook, newest first.

    Raises:
        NotAllowed: this person is no administrator.
    """
    _require_administrator(deck)
    return outbox.history(deck.ledger, webhook_id, limit)


def make(
    deck: Deck, name: str, url: str, shape: Shape, actions: Sequence[str], models: str = "*"
) -> tuple[str, str]:
    """Set a webhook up; it is told of what happens from now on.

    Args:
        actions: names of ``GROUPS``.
        models: a pattern with ``*`` and ``?``.

    Returns:
        its id, and the secret by which its receiver knows who sent: it is shown this once. "" where
        the shape has no signature.

    Raises:
        NotAllowed: this person is no administrator, or the address is none that is sent to.
        InvalidInput: a field cannot be used.
    """
    _require_administrator(deck)
    target = parse(url)
    resolve(target, networks(deck.settings.webhook_networks))
    secret = secrets.token_hex(32) if shape is Shape.JSON else ""
    chosen = tuple(group for group in GROUPS if group in actions)
    if not chosen:
        raise InvalidInput(t("webhooks.no_actions"), field="actions")
    with deck.ledger.transaction(t("webhooks.recording")) as connection:
        made = Webhook(
            id=new_id(), name=_text(name, "name", _LONGEST_NAME), url=url.strip(), shape=shape,
            secret=secret, actions=chosen, models=_text(models, "models", _LONGEST_PATTERN),
            enabled=True, seen=0, made_by=deck.actor.name, made_at=now(), removed_at=None,
        )  # fmt: skip
        outbox.insert(connection, made)
        told = {"to": target.shown, "shape": shape, "actions": chosen, "models": made.models}
        line = _write(connection, deck, "webhook.made", made, **told)
        outbox.change(connection, made.id, seen=line.number)
    heads.publish(deck.desk, line)
    if len(outbox.webhooks(deck.ledger)) > MOST:
        remove(deck, made.id)
        raise InvalidInput(t("webhooks.too_many", most=MOST))
    return made.id, secret


def enable(deck: Deck, webhook_id: str, on: bool) -> None:
    """Let a webhook be told again, or no more.

    What happens while it is off is never sent. What happened before, and was not sent yet, waits
    until it is on again.

    Raises:
        NotAllowed: this person is no administrator.
        NotFound: it was removed.
    """
    _require_administrator(deck)
    with deck.ledger.transaction(t("webhooks.recording")) as connection:
        one = outbox.read(connection, webhook_id, lock=True)
        if one.enabled == on:
            return
        if one.enabled:
            one = outbox.catch_up(connection, one)
        line = _write(connection, deck, f"webhook.{'enabled' if on else 'disabled'}", one)
        if one.enabled:  # others may have written up to here
            outbox.catch_up(connection, one)
        outbox.change(connection, webhook_id, enabled=on, seen=line.number)
    heads.publish(deck.desk, line)


def remove(deck: Deck, webhook_id: str) -> None:
    """Take a webhook away, with its address and its secret; its history stays.

    Raises:
        NotAllowed: this person is no administrator.
        NotFound: it was removed already.
    """
    _require_administrator(deck)
    with deck.ledger.transaction(t("webhooks.recording")) as connection:
        one = outbox.read(connection, webhook_id)
        outbox.change(connection, webhook_id, removed_at=now(), enabled=False, url="", secret="")
        line = _write(connection, deck, "webhook.removed", one)
    heads.publish(deck.desk, line)


def test(deck: Deck, webhook_id: str) -> str:
    """Have a sample sent; the id of its delivery.

    Raises:
        NotAllowed: this person is no administrator.
        NotFound: it was removed.
        InvalidInput: it is switched off.
    """
    _require_administrator(deck)
    with deck.ledger.transaction(t("webhooks.recording")) as connection:
        if not outbox.read(connection, webhook_id).enabled:
            raise InvalidInput(t("webhooks.is_off"))
        return outbox.post_sample(connection, webhook_id)


def redeliver(deck: Deck, delivery_id: str) -> None:
    """Have something sent once more, under the same id.

    Raises:
        NotAllowed: this person is no administrator.
        NotFound: there is no such delivery, or its webhook was removed.
    """
    _require_administrator(deck)
    sent = outbox.delivery(deck.ledger, delivery_id)
    with deck.ledger.transaction(t("webhooks.recording")) as connection:
        outbox.read(connection, sent.webhook_id)
        outbox.again(connection, delivery_id)


def _require_administrator(deck: Deck) -> None:
    require_administrator(deck, t("webhooks.administering"))


def _text(value: str, field: str, most: int) -> str:
    text = ids.no_control(value.strip(), field)
    if not text or len(text) > most:
        raise InvalidInput(t(f"webhooks.bad_{field}", most=most), field=field)
    return text


def _write(
    connection: Connection, deck: Deck, action: str, one: Webhook, **details: Any
) -> chain.Line:
    entry = chain.Entry(
        action,
        deck.actor.name,
        deck.actor.kind,
        "direct",
        deck.mlflow.address,
        details={"webhook": one.id, "name": one.name, **details},
    )
    return chain.append(connection, entry)
