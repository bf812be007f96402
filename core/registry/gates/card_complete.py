"""The model card is filled in, and its review date has not passed."""

from dataclasses import dataclass
from datetime import date

from core.registry.gates.evidence import CARD, Evidence
from core.registry.gates.gate import Gate, Status, Verdict
from core.texts import t


@dataclass(frozen=True)
class Options:
    """What the card must say."""

    fields: tuple[str, ...] = ("purpose", "data", "owner", "limits", "review_date")
    """Names of the card's fields."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.fields if name not in CARD]
        if unknown:
            names, known = ", ".join(unknown), ", ".join(CARD)
            raise ValueError(t("gates.card.no_field", n=len(unknown), names=names, known=known))


def decide(evidence: Evidence, options: Options) -> Verdict:
    """Every field has text, and the day of review is still to come."""
    empty = [name for name in options.fields if not evidence.card.get(name, "").strip()]
    inputs = {"empty": empty, "review_date": evidence.card.get("review_date", "")}
    said = []
    if empty:
        names = ", ".join(name.replace("_", " ") for name in empty)
        said.append(t("gates.card.empty", n=len(empty), names=names))
    day = evidence.card.get("review_date", "").strip()
    if day and "review_date" in options.fields:
        said += _review(day, evidence.at.date())
    if said:
        return Verdict(Status.FAIL, " ".join(said), inputs)
    return Verdict(Status.PASS, t("gates.card.complete", n=len(options.fields)), inputs)


def _review(text: str, today: date) -> list[str]:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return [t("gates.card.no_date", text=text[:40])]
    return [t("gates.card.past", date=day.isoformat())] if day < today else []


GATE = Gate("card_complete", frozenset({"card"}), Options, decide)
