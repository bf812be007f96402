"""Lines of the record in plain words."""

from collections.abc import Mapping
from typing import Any

from core.ledger.chain import Entry
from core.registry.plan import Step
from core.texts import has, t

KINDS = {
    "requests": ("request.",),
    "changes": ("transition.", "imported"),
    "unattributed": ("unattributed.", "baseline", "acknowledged"),
    "registry": ("version.", "model.", "card.", "tag."),
    "setup": ("webhook.", "rules."),
}
"""What a person may look for → beginnings of actions."""


def sentence(entry: Entry) -> str:
    """What happened, without who did it: plain text."""
    if entry.details.get("kind") == "alias":
        steps = "; ".join(Step.from_json(step).sentence for step in entry.details["steps"])
        return t(f"ledger.alias.{entry.action.partition('.')[2]}", steps=steps)
    action, of_model = entry.action, f"{entry.action}_of_model"
    if entry.version is None and has(f"ledger.action.{of_model}"):
        action = of_model
    if not has(f"ledger.action.{action}"):
        return action
    return t(f"ledger.action.{action}", version=entry.version, rung=entry.rung)


def changes(entry: Entry) -> str:
    """What stood where before and after: ``v7: Staging → Production, champion``; plain text."""
    before, after = entry.before or {}, entry.after or {}
    found = []
    for number in sorted({*before, *after}, key=_by_number):
        was, became = before.get(number), after.get(number)
        if was != became:
            found.append(t("ledger.moved", what=_named(number), was=_at(was), became=_at(became)))
    return "; ".join(found)


def _named(number: str) -> str:
    return t("models.v", version=number) if number.isdigit() else number


def _at(place: Any) -> str:
    if not isinstance(place, Mapping):
        return t("ledger.nothing") if place in (None, "") else str(place)
    aliases = place.get("aliases") or ()
    return ", ".join([str(place.get("rung") or place.get("stage") or ""), *map(str, aliases)])


def _by_number(number: str) -> tuple[bool, int, str]:
    return (not number.isdigit(), int(number) if number.isdigit() else 0, number)
