"""The model card: what a registered model is for, written by people, kept as its tags in MLflow.

Each field is a tag of its own, so that two people who edit different fields never meet, and other
tools can read them. Every change is a line of the record.
"""

from collections.abc import Mapping
from datetime import date

from core.errors import Conflict, InvalidInput
from core.mlflow_api import ids
from core.mlflow_api.nouns import RegisteredModel
from core.people import Permission
from core.people.permissions import require_model
from core.registry import edited, heads
from core.registry.desk import Desk
from core.registry.gates.evidence import CARD
from core.texts import t

FIELDS = CARD
"""The fields, in the order in which they are read."""
REVIEW_DATE = "review_date"
"""The one field that is a date (ISO, such as 2026-03-31)."""
PREFIX = "modeldeck.card."
LONGEST = 5000
"""Characters that MLflow keeps of a registered model's tag."""


def read_card(model: RegisteredModel) -> Mapping[str, str]:
    """The card's fields; what was not filled in is ""."""
    return {name: model.tags.get(PREFIX + name, "") for name in FIELDS}


def write_card(desk: Desk, model: str, field: str, value: str, *, seen: str) -> None:
    """Replace one field of a model's card, and write down who did.

    Args:
        field: one of ``FIELDS``.
        value: its new text; "" takes the field away.
        seen: the text that the person saw, "" where there was none.

    Raises:
        InvalidInput: there is no such field, or the text cannot stand there.
        NotAllowed: the person holds no EDIT on the model.
        Conflict: the field has another text by now; nothing was written.
    """
    name, text = ids.model_name(model), checked(field, value)
    require_model(desk.permissions, desk.actor, name, Permission.EDIT)
    before = read_card(desk.mlflow.registry.model(name))[field]
    if before not in (seen, text):
        raise Conflict(t("card.other", field=title(field)), t("card.other_next"))
    if before == text:
        pass  # it stands there already, though perhaps not in the record
    elif text:
        desk.service.registry.set_model_tag(name, PREFIX + field, text)
    else:
        desk.service.registry.delete_model_tag(name, PREFIX + field)
    line = edited.note(
        desk, "card.changed", name, None, field, seen=seen, found=before, wanted=text
    )
    heads.publish(desk, line)


def checked(field: str, value: str) -> str:
    """A field's text as it is written.

    Raises:
        InvalidInput: there is no such field, or the text cannot stand there.
    """
    if field not in FIELDS:
        raise InvalidInput(t("card.no_field", field=field[:80]), field="field")
    text = ids.no_control(value.strip(), field)
    if len(text) > LONGEST:
        raise InvalidInput(
            t("card.too_long", field=title(field), n=len(text), most=LONGEST), field=field
        )
    if field == REVIEW_DATE and text:
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError as error:
            raise InvalidInput(t("card.no_date", value=text[:80]), field=field) from error
    return text


def title(field: str) -> str:
    """What people call a field."""
    return t(f"card.field.{field}")
