"""A column of a run table: its text, as links and views name it, and its parts.

``metrics.rmse``, ``params.depth`` and ``tags.team`` stand for themselves: whatever follows the
first dot is the name. An aggregate over a metric's history is written as a call, ``best(rmse)``,
or ``mean(rmse, 10)`` for the mean of the last ten values; a name that would be misread inside the
parentheses stands in backquotes, its own backquotes doubled.
"""

import re
from dataclasses import dataclass
from typing import Literal

from core.errors import InvalidInput
from core.texts import t

ATTRIBUTES = (
    "run_id",
    "name",
    "status",
    "started_at",
    "ended_at",
    "seconds",
    "user",
    "experiment_id",
    "parent_id",
    "deleted",
)
"""Columns that every table has."""

FUNCTIONS = ("min", "max", "first", "last", "mean", "best", "step_of_best")
"""What can be asked of a metric's history; ``mean`` alone may be given a number of last values."""

LARGEST_TAIL = 1_000_000

Kind = Literal["attribute", "metrics", "params", "tags", "aggregate"]

_KINDS: dict[str, Kind] = {"metrics": "metrics", "params": "params", "tags": "tags"}
_CALL = re.compile(rf"({'|'.join(FUNCTIONS)})\((.*)\)", re.DOTALL)
_QUOTED = re.compile(r"`((?:[^`]|``)+)`(?:, ?(\d{1,7}))?", re.DOTALL)
_BARE = re.compile(r"([^`(),]+)(?:, ?(\d{1,7}))?", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """What a column shows."""

    kind: Kind
    name: str
    """Of the attribute, param or tag, or of the metric that is shown or aggregated."""
    function: str = ""
    """One of ``FUNCTIONS`` for an aggregate."""
    last: int | None = None
    """Over how many last values, for ``mean``; None: all."""

    @property
    def text(self) -> str:
        """The column as it is written; ``parse`` reads it back."""
        if self.kind == "attribute":
            return self.name
        if self.kind != "aggregate":
            return f"{self.kind}.{self.name}"
        name = self.name if _BARE.fullmatch(self.name) else f"`{self.name.replace('`', '``')}`"
        return f"{self.function}({name}{f', {self.last}' if self.last else ''})"

    @property
    def label(self) -> str:
        """A headline: the bare name, or the call."""
        return self.text if self.kind == "aggregate" else self.name


def parse(text: str, field: str = "columns") -> Column:
    """The parts of a column.

    Args:
        field: where it was typed or linked, for the error.

    Raises:
        InvalidInput: it is none.
    """
    if text in ATTRIBUTES:
        return Column("attribute", text)
    kind, _, name = text.partition(".")
    if kind in _KINDS and name:
        return Column(_KINDS[kind], name)
    call = _CALL.fullmatch(text)
    if call:
        function, inner = call.groups()
        found = _QUOTED.fullmatch(inner) or _BARE.fullmatch(inner)
        if found:
            name, tail = found.group(1), found.group(2)
            last = int(tail) if tail else None
            allowed = last is None or (function == "mean" and 1 <= last <= LARGEST_TAIL)
            if allowed and name.strip():
                whole = name.replace("``", "`") if inner.startswith("`") else name
                return Column("aggregate", whole, function, last)
    raise InvalidInput(
        t("rows.column.bad", column=text[:80]), t("rows.column.bad_next"), field=field
    )


def is_column(text: str) -> bool:
    """Whether ``text`` is written as a column."""
    try:
        parse(text)
    except InvalidInput:
        return False
    return True
