"""What a filter is once it was read: a small tree of plain values, with nothing in it but these.

Operands stand for values of a run, or for constants; conditions are true, false or unknown of a
run. ``at`` is where it stands in the text, for errors; it does not count when two are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["metrics", "params", "tags", "attribute", "dataset"]
Sign = Literal["=", "!=", "<", "<=", ">", ">="]
Operation = Literal["+", "-", "*", "/"]
Way = Literal["LIKE", "ILIKE", "RLIKE"]


@dataclass(frozen=True)
class Named:
    """A value of the run by its kind and name: a metric, a param, a tag, an attribute, a field of
    its data sets.
    """

    kind: Kind
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Aggregate:
    """A value over a metric's whole history: ``min(loss)``; ``mean(loss, 10)`` over the last 10."""

    function: str
    metric: str
    last: int | None = None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Number:
    """A number; ``typed`` is how it was written."""

    value: int | float
    typed: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Span:
    """A length of time in seconds: ``90m``."""

    seconds: float
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Text:
    """A quoted text, without its quotes and otherwise as it was written."""

    value: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Truth:
    """TRUE or FALSE."""

    value: bool
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Ago:
    """The moment so many seconds before now."""

    seconds: float
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Arithmetic:
    """Two numbers added, subtracted, multiplied or divided."""

    sign: Operation
    left: "Operand"
    right: "Operand"
    at: int = field(default=0, compare=False)


Constant = Number | Span | Text | Truth | Ago
Operand = Named | Aggregate | Arithmetic | Constant


@dataclass(frozen=True)
class Compare:
    """``left sign right``."""

    sign: Sign
    left: Operand
    right: Operand


@dataclass(frozen=True)
class OneOf:
    """``left IN (values)``, or ``left NOT IN (values)``.

    Where a run can have several, as data sets, NOT IN asks for one that is not in the list, while
    NOT before the whole says that none is.
    """

    left: Operand
    values: tuple[Constant, ...]
    negated: bool = False


@dataclass(frozen=True)
class Between:
    """``left BETWEEN low AND high``, both ends included."""

    left: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True)
class Like:
    """``left LIKE pattern``, with ``way`` LIKE, ILIKE (any case) or RLIKE (regular expression);
    ``negated`` as in ``OneOf``.
    """

    way: Way
    left: Named
    pattern: Text
    negated: bool = False


@dataclass(frozen=True)
class Missing:
    """``left IS NULL``."""

    left: Operand


@dataclass(frozen=True)
class IsNan:
    """``isnan(left)``."""

    left: Operand


@dataclass(frozen=True)
class Not:
    """``NOT part``."""

    part: "Condition"


@dataclass(frozen=True)
class AllOf:
    """Parts joined by AND; true where there are none."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class AnyOf:
    """Parts joined by OR."""

    parts: tuple["Condition", ...]


Condition = Compare | OneOf | Between | Like | Missing | IsNan | Not | AllOf | AnyOf


@dataclass(frozen=True)
class Filter:
    """A filter that was read and found good; ``text`` is what was typed."""

    condition: Condition
    text: str = ""

    def operands(self) -> Iterator[Operand]:
        """Every operand in it, arithmetic and its parts too."""
        return operands(self.condition)


def operands(of: Condition | Operand) -> Iterator[Operand]:
    """Every operand under a condition or an operand, itself included."""
    if isinstance(of, AllOf | AnyOf):
        for part in of.parts:
            yield from operands(part)
    elif isinstance(of, Not):
        yield from operands(of.part)
    elif isinstance(of, Compare):
        yield from operands(of.left)
        yield from operands(of.right)
    elif isinstance(of, Between):
        for one in (of.left, of.low, of.high):
            yield from operands(one)
    elif isinstance(of, OneOf):
        yield from operands(of.left)
        yield from of.values
    elif isinstance(of, Like):
        yield from (of.left, of.pattern)
    elif isinstance(of, Missing | IsNan):
        yield from operands(of.left)
    else:
        yield of
        if isinstance(of, Arithmetic):
            yield from operands(of.left)
            yield from operands(of.right)
