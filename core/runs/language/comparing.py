"""What may be compared with what, and what to write instead where it may not."""

from datetime import MAXYEAR, datetime

from core.errors import InvalidInput
from core.runs.language import tree, words
from core.runs.language.scan import invalid
from core.texts import t

_COMPARABLE = {
    ("number", "number"),
    ("number", "open"),
    ("number", "span"),
    ("open", "open"),
    ("open", "text"),
    ("text", "text"),
    ("time", "time"),
    ("time", "number"),
    ("span", "span"),
    ("span", "open"),
}


def type_of(operand: tree.Operand) -> str:
    """number, text, time, span (a length of time), truth, or open: params and tags are texts that
    are compared as numbers with numbers.
    """
    if isinstance(operand, tree.Named):
        if operand.kind == "attribute":
            return words.ATTRIBUTES[operand.name].type
        return {"metrics": "number", "dataset": "text"}.get(operand.kind, "open")
    if isinstance(operand, tree.Ago):
        return "time"
    if isinstance(operand, tree.Text | tree.Span | tree.Truth):
        return type(operand).__name__.lower()
    return "number"


def is_many(operand: tree.Operand) -> bool:
    """Whether a run may have several values of it; a condition holds where it does of any."""
    if not isinstance(operand, tree.Named):
        return False
    return operand.kind == "dataset" or (operand.kind, operand.name) == ("attribute", "registered")


def as_date(text: str) -> tuple[datetime, bool]:
    """A date or a moment as ISO 8601 has it, and whether it is a date alone.

    Raises:
        ValueError: it is none, or in the calendar's last year.
    """
    at = datetime.fromisoformat(text.strip())
    if at.year == MAXYEAR:
        raise ValueError("The next day must be in the calendar too, in every zone")
    return at, len(text.strip()) <= 10


def matched(left: tree.Operand, right: tree.Operand, typed: str, sign: tree.Sign) -> tree.Operand:
    """The right side as it is compared with the left one.

    Args:
        typed: the comparison as it was written, for the error.

    Raises:
        InvalidInput: they cannot be compared.
    """
    if isinstance(left, tree.Constant):
        raise invalid(t("query.error.constants"), left.at)
    kinds = (type_of(left), type_of(right))
    if kinds == ("truth", "truth") and sign in ("=", "!="):
        return right
    if kinds[0] == "time" and isinstance(right, tree.Text):
        _check_date(right)
        return right
    if kinds[0] == "text" and isinstance(right, tree.Number):
        if isinstance(left, tree.Named) and left.name in ("experiment_id", "parent"):
            return tree.Text(right.typed, right.at)
        raise invalid(t("query.error.quotes", right=f"'{right.typed}'"), right.at)
    if kinds[0] in ("number", "span") and isinstance(right, tree.Text):
        raise _no_number(left, right)
    if kinds in _COMPARABLE or kinds[::-1] in _COMPARABLE:
        return right
    raise invalid(t("query.error.incomparable", typed=typed), right.at)


def _check_date(text: tree.Text) -> None:
    try:
        as_date(text.value)
    except ValueError as error:
        raise invalid(t("query.error.date", typed=text.value[:80]), text.at) from error


def _no_number(left: tree.Operand, right: tree.Text) -> InvalidInput:
    try:
        float(right.value)
    except ValueError:
        name = left.name if isinstance(left, tree.Named) else ""
        what = t("query.error.not_number", name=name[:80], typed=right.value[:80])
        return invalid(what, right.at)
    return invalid(t("query.error.number", right=right.value[:80]), right.at)
