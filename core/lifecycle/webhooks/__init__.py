"""Outgoing webhooks: set up by administrators, delivered by the worker."""

from core.lifecycle.webhooks.administering import (
    Shown,
    enable,
    history,
    listed,
    make,
    redeliver,
    remove,
    test,
)
from core.lifecycle.webhooks.keeping import WebhookKeeper

__all__ = [
    "Shown",
    "WebhookKeeper",
    "enable",
    "history",
    "listed",
    "make",
    "redeliver",
    "remove",
    "test",
]
