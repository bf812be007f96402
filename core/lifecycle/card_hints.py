"""What a model card could say, from what is known: offered to whoever edits it, never written."""

from collections.abc import Mapping
from datetime import date, timedelta

from core.lifecycle.lineage import Lineage
from core.mlflow_api.nouns import RegisteredModel
from core.registry.card import FIELDS, LONGEST, REVIEW_DATE
from core.texts import t

REVIEW_AFTER = timedelta(days=365)


def hints(model: RegisteredModel, lineage: Lineage | None, today: date) -> Mapping[str, str]:
    """Field → what could stand there; a field of which nothing is known is left out.

    Args:
        lineage: of the version that the card is most about; None where there is none.
    """
    found = {name: model.tags.get(name, "") for name in FIELDS}
    found["purpose"] = found["purpose"] or model.description
    found[REVIEW_DATE] = (today + REVIEW_AFTER).isoformat()
    if lineage is not None:
        found["data"] = _data(lineage) or found["data"]
        found["owner"] = found["owner"] or (lineage.run.user if lineage.run else "")
    return {name: text.strip()[:LONGEST] for name, text in found.items() if text.strip()}


def _data(lineage: Lineage) -> str:
    said = []
    for data in lineage.datasets:
        key = "card.hint.used_for" if data.context else "card.hint.data"
        said.append(t(key, name=data.name, digest=data.digest, context=data.context))
    return "\n".join(said)
