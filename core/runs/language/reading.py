"""From text to a checked tree: sqlglot parses, a whitelist of its nodes is taken over, no other.

What each operand may be compared with is checked too, so that what comes out can be answered.
"""

import ast
from collections.abc import Iterable, Sequence
from typing import cast

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError
from sqlglot.parser import Parser

from core.errors import InvalidInput
from core.runs.language import tree, words
from core.runs.language.comparing import is_many, matched, type_of
from core.runs.language.operands import Operands, bare
from core.runs.language.scan import KEYWORDS, Piece, invalid, pieces, tokens
from core.texts import t

MOST_NAMES = 60
"""Different metrics, params and tags, and conditions on what a run may have several of, in one
filter: each is a join.
"""


class RunFilters(Dialect):
    """sqlglot's grammar of conditions as it is; only the tokens are ours (see ``scan``)."""


_SIGNS: dict[type[exp.Expr], tree.Sign] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_TURNED: dict[tree.Sign, tree.Sign] = {
    "=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip
_PATTERNS: dict[type[exp.Expr], tree.Way] = {
    exp.Like: "LIKE",
    exp.ILike: "ILIKE",
    exp.RegexpLike: "RLIKE",
}


def read(text: str, known: Iterable[words.Known] = ()) -> tree.Filter:
    """The tree of a filter; an empty one holds of every run.

    Args:
        known: metrics, params and tags that runs have: names without a prefix are looked up here.

    Raises:
        InvalidInput: it cannot be understood; ``position`` says where.
    """
    found = pieces(text)
    made = tokens(found)
    if not made:
        return tree.Filter(tree.AllOf(()), text)
    try:
        parsed = Parser(dialect=RunFilters).parse_into(exp.Condition, made, text)
    except ParseError as error:
        raise _unexpected(found, error) from error
    condition = _Conditions(found, Operands(found, list(known))).condition(
        cast(exp.Expr, parsed[0])
    )
    result = tree.Filter(condition, text)
    named = [o for o in result.operands() if isinstance(o, tree.Named | tree.Aggregate)]
    joins = len({o for o in named if not is_many(o)}) + sum(map(is_many, named))
    if joins > MOST_NAMES:
        raise invalid(t("query.error.many", n=joins, most=MOST_NAMES), 0)
    return result


def _unexpected(found: Sequence[Piece], error: ParseError) -> InvalidInput:
    at = int(cast(int, error.errors[0]["col"]))
    piece = next((p for p in found if p.at == at), found[-1])
    unfinished = piece.upper in KEYWORDS or (piece.kind == "sign" and piece.text != ")")
    if piece is found[-1] and unfinished:
        return invalid(t("query.error.ends", typed=piece.text[:80]), at + len(piece.text))
    return invalid(t("query.error.unexpected", typed=piece.text[:80]), at)


class _Conditions:
    """Takes sqlglot's tree over, condition by condition."""

    def __init__(self, found: Sequence[Piece], operands: Operands) -> None:
        self._pieces = found
        self._operands = operands

    def condition(self, node: exp.Expr) -> tree.Condition:
        node = bare(node)
        if isinstance(node, exp.And | exp.Or):
            parts = tuple(self.condition(p) for p in _flat(node))
            return tree.AllOf(parts) if isinstance(node, exp.And) else tree.AnyOf(parts)
        if isinstance(node, exp.Not):
            return self._not(node.this)
        if type(node) in _SIGNS:
            return self._comparison(_SIGNS[type(node)], node)
        if type(node) in _PATTERNS:
            return self._like(node)
        if isinstance(node, exp.In):
            return self._one_of(node)
        if isinstance(node, exp.Between):
            return self._between(node)
        if isinstance(node, exp.Is):
            return self._missing(node)
        return self._true(node)

    def _not(self, node: exp.Expr) -> tree.Condition:
        inner = self.condition(node)
        if isinstance(node, exp.In) and isinstance(inner, tree.OneOf):
            # sqlglot makes the same of NOT x IN (…) and x NOT IN (…).
            last = max(self._operands.numbers(node.this))
            if self._pieces[last + 1].upper == "NOT":
                return tree.OneOf(inner.left, inner.values, negated=True)
        return tree.Not(inner)

    def _comparison(self, sign: tree.Sign, node: exp.Expr) -> tree.Condition:
        left = self._operands.operand(node.this, first=True)
        if isinstance(bare(node.expression), exp.Null):
            raise invalid(t("query.error.null"), self._after(node.this))
        right = self._operands.operand(node.expression)
        if isinstance(left, tree.Constant) and not isinstance(right, tree.Constant):
            left, right, sign = right, left, _TURNED[sign]
        return tree.Compare(sign, left, matched(left, right, self._operands.typed(node), sign))

    def _after(self, left: exp.Expr) -> int:
        """Where the right side of a comparison begins."""
        behind = max(self._operands.numbers(left), default=-1) + 1
        return next(p.at for p in self._pieces[behind:] if p.kind != "sign")

    def _like(self, node: exp.Expr) -> tree.Like:
        way = _PATTERNS[type(node)]
        left = self._operands.operand(node.this, first=True)
        if not isinstance(left, tree.Named) or type_of(left) not in ("text", "open"):
            raise invalid(t("query.error.like_left", way=way), left.at)
        pattern = self._operands.operand(node.expression)
        if not isinstance(pattern, tree.Text):
            raise invalid(t("query.error.like_right", way=way), pattern.at)
        return tree.Like(way, left, pattern, bool(node.args.get("negate")))

    def _one_of(self, node: exp.In) -> tree.Condition:
        left = self._operands.operand(node.this, first=True)
        listed = node.args.get("expressions")
        if not listed:
            raise invalid(t("query.error.list"), left.at)
        typed = self._operands.typed(node)
        values = []
        for one in listed:
            value = matched(left, self._operands.operand(one), typed, "=")
            if not isinstance(value, tree.Constant):
                raise invalid(t("query.error.list_value"), value.at)
            values.append(self._as_mlflow_lists(left, value))
        return tree.OneOf(left, tuple(values))

    def _as_mlflow_lists(self, left: tree.Operand, value: tree.Constant) -> tree.Constant:
        """MLflow reads the lists that it takes (run ids, fields of data sets) as Python would,
        escapes and all.
        """
        if not isinstance(value, tree.Text) or not isinstance(left, tree.Named):
            return value
        if left.kind != "dataset" and left.name != "run_id":
            return value
        piece = next(p for p in self._pieces if p.at == value.at)
        try:
            return tree.Text(str(ast.literal_eval(piece.text)), value.at)
        except (SyntaxError, ValueError):
            return value

    def _between(self, node: exp.Between) -> tree.Condition:
        left = self._operands.operand(node.this, first=True)
        low, high = (self._operands.operand(node.args[end]) for end in ("low", "high"))
        typed = self._operands.typed(node)
        return tree.Between(left, matched(left, low, typed, ">="), matched(left, high, typed, "<="))

    def _missing(self, node: exp.Is) -> tree.Condition:
        left = self._operands.operand(node.this, first=True)
        right = bare(node.expression)
        if isinstance(right, exp.Boolean) and type_of(left) == "truth":
            return tree.Compare("=", left, tree.Truth(bool(right.this), left.at))
        if not isinstance(right, exp.Null) or isinstance(left, tree.Constant):
            raise invalid(t("query.error.is"), left.at)
        return tree.Missing(left)

    def _true(self, node: exp.Expr) -> tree.Condition:
        """A condition that is no comparison: ``deleted``, ``isnan(loss)``."""
        if isinstance(node, exp.Anonymous) and self._operands.piece(node).text.lower() == "isnan":
            return tree.IsNan(self._operands.metric_or_arithmetic(node))
        operand = self._operands.operand(node, first=True)
        if type_of(operand) == "truth" and not isinstance(operand, tree.Constant):
            return tree.Compare("=", operand, tree.Truth(True, operand.at))
        raise invalid(t("query.error.no_condition", typed=self._operands.typed(node)), operand.at)


def _flat(node: exp.And | exp.Or) -> list[exp.Expr]:
    """The parts of a chain of ANDs or of ORs, which hangs together at the left."""
    parts: list[exp.Expr] = []
    rest: exp.Expr = node
    while type(rest) is type(node):
        parts.append(rest.expression)
        rest = bare(rest.this)
    return [rest, *reversed(parts)]
