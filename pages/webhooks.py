"""Webhooks: who is told of what happens on the desk, and what was delivered."""

from core.lifecycle.running import worker_runs
from core.lifecycle.webhooks import listed
from core.texts import t
from core.ui import parts, webhooks
from core.ui.deck import deck

here = deck()
parts.title(t("nav.title.webhooks"), "webhook", t("webhooks.page.caption"))

found = listed(here)  # refuses whoever is no administrator, before anything is drawn

if not worker_runs(here):
    webhooks.without_worker()
webhooks.links_lead_to(here)
webhooks.new()
webhooks.secret_once()


@parts.live(3)
def all_of_them() -> None:
    """The webhooks with their history, drawn anew every three seconds."""
    webhooks.cards(listed(deck()))


if found:
    all_of_them()
else:
    parts.empty(t("webhooks.page.none"), "webhook")
