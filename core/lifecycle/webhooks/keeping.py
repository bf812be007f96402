"""The worker's part: new lines of the record become deliveries, and deliveries are sent."""

import logging
from collections.abc import Sequence

from core.errors import DeckError
from core.ledger import chain, now, outbox
from core.ledger.outbox import Delivery, Shape, Webhook
from core.lifecycle.deck import Deck
from core.lifecycle.webhooks import shapes
from core.lifecycle.webhooks.guard import networks, parse
from core.lifecycle.webhooks.sending import Undelivered, send, signed
from core.settings import Settings, http_address
from core.texts import t

_log = logging.getLogger("modeldeck.worker")
_IN_A_ROW = 20
"""Deliveries to one webhook before the others get their turn."""


class WebhookKeeper:
    """Delivers what is due, one webhook at a time."""

    def __init__(self, deck: Deck) -> None:
        self._deck = deck
        self._networks = networks(deck.settings.webhook_networks)

    def due(self) -> Sequence[str]:
        """Webhooks for which something is due, after a look at the record's new lines."""
        outbox.enqueue(self._deck.ledger)
        return outbox.due(self._deck.ledger)

    def deliver(self, webhook_id: str) -> None:
        """Send what is due to one webhook, oldest first, until there is no more or a try fails."""
        ledger = self._deck.ledger
        for _ in range(_IN_A_ROW):
            one = outbox.webhook(ledger, webhook_id)
            waiting = outbox.claim(ledger, webhook_id) if one.enabled else None
            if waiting is None or not self._send(one, waiting):
                return

    def _send(self, one: Webhook, waiting: Delivery) -> bool:
        ledger = self._deck.ledger
        status, message = None, ""
        try:
            line = None if waiting.is_sample else chain.line(ledger, waiting.number)
            if line is None and not waiting.is_sample:
                words = t("webhooks.failed.no_line", number=waiting.number)
                outbox.finish(ledger, waiting, None, words, again=False)
                return True  # what comes after it can be sent
            body = shapes.body(one.shape, line, waiting.id, address(self._deck.settings), now())
            headers = signed(one.secret, waiting.id, body) if one.shape is Shape.JSON else {}
            status = send(parse(one.url), body, headers, self._networks)
        except Undelivered as error:
            status, message = error.status, error.what
        except DeckError as error:
            message = error.what
        except Exception:
            outbox.finish(ledger, waiting, None, t("webhooks.failed.unforeseen"))
            raise
        outbox.finish(ledger, waiting, status, message)
        if message:
            _log.warning("webhook %s, delivery %s: %s", one.id, waiting.id, message)
        return not message


def address(settings: Settings) -> str:
    """Where people reach the pages."""
    return settings.public_url or http_address(settings.host, settings.port)
