"""Registered models, with what is in Staging and in Production; and a new one."""

from core.texts import t
from core.ui import parts, registry
from core.ui.navigation import link

parts.title(t("nav.title.models"), "deployed_code", t("models.about"))
words, without = registry.controls()
registry.draw(words, without=without)
link("migration", t("migration.link"), icon=":material/move_down:")
