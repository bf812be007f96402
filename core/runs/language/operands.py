"""The operands of a filter: names, values, arithmetic and functions, out of sqlglot's nodes."""

from collections.abc import Callable, Sequence
from typing import cast

from sqlglot import exp

from core.runs.language import tree, words
from core.runs.language.comparing import type_of
from core.runs.language.naming import Names, unquoted
from core.runs.language.scan import Piece, invalid
from core.texts import t

_ARITHMETIC: dict[type[exp.Expr], tree.Operation] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
}
_NUMBERED = (exp.Identifier, exp.Literal, exp.Anonymous)


class Operands:
    """Makes operands of sqlglot's nodes, whose texts are numbers of pieces.

    Args:
        found: the pieces.
        known: metrics, params and tags that names without a prefix can mean.
    """

    def __init__(self, found: Sequence[Piece], known: Sequence[words.Known]) -> None:
        self._pieces = found
        self._known = known
        self._names = Names(known)

    def operand(self, node: exp.Expr | None, *, first: bool = False) -> tree.Operand:
        """The operand of a node; ``first`` where it stands left of a comparison."""
        node = bare(node)
        if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
            piece = self.piece(node.this)
            if piece.is_text and not first:
                return tree.Text(piece.text[1:-1], piece.at)
            return self._names.named(piece)
        if isinstance(node, exp.Literal):
            return self._literal(self.piece(node))
        if isinstance(node, exp.Neg):
            return self._negative(node)
        if type(node) in _ARITHMETIC:
            return self._arithmetic(node)
        if isinstance(node, exp.Anonymous):
            return self._function(node)
        if isinstance(node, exp.Boolean):
            return tree.Truth(bool(node.this), self._place(node))
        if isinstance(node, exp.Null):
            raise invalid(t("query.error.null"), self._place(node))
        raise invalid(t("query.error.not_here", typed=self.typed(node)), self._place(node))

    def _literal(self, piece: Piece) -> tree.Constant:
        if piece.kind == "text":
            return tree.Text(piece.text[1:-1], piece.at)
        if piece.kind == "span":
            digits = piece.text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
            unit = piece.text[len(digits) :].lower()
            return tree.Span(float(digits) * words.UNITS[unit], piece.at)
        # What is longer than a whole number of the database is one in floating point.
        whole = piece.text.isdecimal() and len(piece.text) < 20
        value = int(piece.text) if whole else float(piece.text)
        return tree.Number(value, piece.text, piece.at)

    def _negative(self, node: exp.Neg) -> tree.Operand:
        inner = self.operand(node.this)
        if isinstance(inner, tree.Number):
            return tree.Number(-inner.value, f"-{inner.typed}", inner.at)
        self._numeric(inner)
        return tree.Arithmetic("-", tree.Number(0, "0", inner.at), inner, inner.at)

    def _arithmetic(self, node: exp.Expr) -> tree.Operand:
        self._refuse_name(node)
        sign = _ARITHMETIC[type(node)]
        left = self._numeric(self.operand(node.this, first=True))
        right = self._numeric(self.operand(node.expression))
        return tree.Arithmetic(sign, left, right, left.at)

    def _refuse_name(self, node: exp.Expr) -> None:
        """Refuse ``metrics.val-loss`` where there is a metric "val-loss"."""
        found = self.numbers(node)
        if not found:
            return
        inside = self._pieces[found[0] : found[-1] + 1]
        whole = "".join(p.text for p in inside)
        if inside[-1].at + len(inside[-1].text) != inside[0].at + len(whole):
            return  # blanks between: it is meant as arithmetic
        prefix, dot, rest = whole.partition(".")
        kind = words.PREFIXES.get(prefix) if dot else None
        own = words.meant(rest, self._known, (kind,)) if kind else words.meant(whole, self._known)
        if own:
            right = words.quoted(f"{own[0].kind}.{own[0].name}")
            raise invalid(t("query.error.name_with_signs", typed=whole[:80], right=right),
                          inside[0].at)  # fmt: skip

    def _numeric(self, operand: tree.Operand) -> tree.Operand:
        if type_of(operand) not in ("number", "open", "span"):
            raise invalid(t("query.error.arithmetic"), operand.at)
        return operand

    # ------------------------------------------------------------------------------- functions

    def _function(self, node: exp.Anonymous) -> tree.Operand:
        piece = self.piece(node)
        name = piece.text.lower()
        made: Callable[[exp.Anonymous, Piece], tree.Operand] | None = None
        if name in words.HISTORY_FUNCTIONS:
            made = self._aggregate
        elif name in ("ago", "now"):
            made = self._moment
        if made is None:
            near = words.nearest_word(name, words.FUNCTIONS)
            raise invalid(
                t("query.error.no_function", typed=piece.text[:80],
                  known=", ".join(words.FUNCTIONS)),
                piece.at,
                t("query.error.meant", right=f"{near}(…)") if near else "",
            )  # fmt: skip
        return made(node, piece)

    def _moment(self, node: exp.Anonymous, piece: Piece) -> tree.Operand:
        given = [self.operand(e) for e in node.expressions]
        if piece.text.lower() == "now" and not given:
            return tree.Ago(0.0, piece.at)
        if len(given) != 1 or not isinstance(given[0], tree.Span):
            raise invalid(t("query.error.ago"), piece.at)
        return tree.Ago(given[0].seconds, piece.at)

    def _aggregate(self, node: exp.Anonymous, piece: Piece) -> tree.Operand:
        function = piece.text.lower()
        given = list(node.expressions)
        last = None
        if function == "mean" and len(given) == 2:
            number = self.operand(given.pop())
            if not isinstance(number, tree.Number) or not 1 <= number.value <= 1_000_000:
                raise invalid(t("query.error.mean"), number.at)
            if number.value != int(number.value):
                raise invalid(t("query.error.mean"), number.at)
            last = int(number.value)
        if len(given) != 1:
            raise invalid(t("query.error.one_metric", function=function), piece.at)
        return tree.Aggregate(function, self._metric(given[0], piece), last, piece.at)

    def metric_or_arithmetic(self, node: exp.Anonymous) -> tree.Operand:
        """What stands between the parentheses of isnan."""
        piece = self.piece(node)
        if len(node.expressions) != 1:
            raise invalid(t("query.error.one_metric", function="isnan"), piece.at)
        inner = bare(node.expressions[0])
        if isinstance(inner, exp.Anonymous | exp.Add | exp.Sub | exp.Mul | exp.Div):
            return self._numeric(self.operand(inner))
        return tree.Named("metrics", self._metric(inner, piece), piece.at)

    def _metric(self, node: exp.Expr, function: Piece) -> str:
        """The name of a metric between a function's parentheses, where it needs no prefix."""
        node = bare(node)
        if isinstance(node, exp.Literal):
            piece = self.piece(node)
            if piece.kind == "text":
                return piece.text[1:-1]
        if not isinstance(node, exp.Column):
            raise invalid(t("query.error.one_metric", function=function.text.lower()), function.at)
        piece = self.piece(node.this)
        prefix, dot, rest = piece.text.partition(".")
        kind = words.PREFIXES.get(prefix.strip("`")) if dot else None
        if kind == "metrics":
            return unquoted(rest)
        if kind is not None and not words.meant(piece.text, self._known, ("metrics",)):
            raise invalid(t("query.error.one_metric", function=function.text.lower()), piece.at)
        return unquoted(piece.text)

    def piece(self, node: exp.Expr) -> Piece:
        """The piece that a name, a value or a function was made of."""
        return self._pieces[int(node.name)]

    def numbers(self, node: exp.Expr | None) -> list[int]:
        """The numbers of the pieces under a node that are names, values or functions."""
        return sorted(int(n.name) for n in node.walk() if isinstance(n, _NUMBERED)) if node else []

    def _place(self, node: exp.Expr | None) -> int:
        """Where the first piece under a node stands; the text's start where that is unknown."""
        return self._pieces[min(self.numbers(node), default=0)].at

    def typed(self, node: exp.Expr | None) -> str:
        """What was written there, for an error."""
        found = self.numbers(node)
        inside = self._pieces[found[0] : found[-1] + 1] if found else []
        return " ".join(p.text for p in inside)[:80]


def bare(node: exp.Expr | None) -> exp.Expr:
    """A node without parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return cast(exp.Expr, node)
