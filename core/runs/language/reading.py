"""From text to a checked tree: sqlglot parses, a whitelist of its nodes is taken over, no other.

What each operand may be compared with is checked here too, so that what comes out can always be
answered.
"""

import ast
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import cast

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError
from sqlglot.parser import Parser

from core.errors import InvalidInput
from core.runs.language import tree, words
from core.runs.language.scan import KEYWORDS, Piece, invalid, pieces, tokens
from core.texts import t

MOST_NAMES = 60
"""Different metrics, params and tags in one filter: each is a join."""


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
_ARITHMETIC: dict[type[exp.Expr], tree.Operation] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
}
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
    reader = _Reader(found, list(known))
    condition = reader.condition(cast(exp.Expr, parsed[0]))
    result = tree.Filter(condition, text)
    looked_up = {o for o in result.operands() if isinstance(o, tree.Named | tree.Aggregate)}
    if len(looked_up) > MOST_NAMES:
        raise invalid(t("query.error.many", n=len(looked_up), most=MOST_NAMES), 0)
    return result


def _unexpected(found: Sequence[Piece], error: ParseError) -> InvalidInput:
    at = int(cast(int, error.errors[0]["col"]))
    piece = next((p for p in found if p.at == at), found[-1])
    unfinished = piece.upper in KEYWORDS or (piece.kind == "sign" and piece.text != ")")
    if piece is found[-1] and unfinished:
        return invalid(t("query.error.ends", typed=piece.text[:80]), at + len(piece.text))
    return invalid(t("query.error.unexpected", typed=piece.text[:80]), at)


class _Reader:
    """Takes sqlglot's tree over, node by node."""

    def __init__(self, found: Sequence[Piece], known: Sequence[words.Known]) -> None:
        self._pieces = found
        self._known = known

    # ------------------------------------------------------------------------------ conditions

    def condition(self, node: exp.Expr) -> tree.Condition:
        node = _bare(node)
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
            last = max(n for n in self._numbers(node.this))
            if self._pieces[last + 1].upper == "NOT":
                return tree.OneOf(inner.left, inner.values, negated=True)
        return tree.Not(inner)

    def _comparison(self, sign: tree.Sign, node: exp.Expr) -> tree.Condition:
        left = self.operand(node.this, first=True)
        right = self.operand(node.expression)
        if isinstance(left, tree.Constant) and not isinstance(right, tree.Constant):
            left, right, sign = right, left, _TURNED[sign]
        left, right = self._matched(left, right, node, sign)
        return tree.Compare(sign, left, right)

    def _like(self, node: exp.Expr) -> tree.Like:
        way = _PATTERNS[type(node)]
        left = self.operand(node.this, first=True)
        if not isinstance(left, tree.Named) or type_of(left) not in ("text", "open"):
            raise invalid(t("query.error.like_left", way=way), left.at)
        pattern = self.operand(node.expression)
        if not isinstance(pattern, tree.Text):
            raise invalid(t("query.error.like_right", way=way), pattern.at)
        return tree.Like(way, left, pattern, bool(node.args.get("negate")))

    def _one_of(self, node: exp.In) -> tree.Condition:
        left = self.operand(node.this, first=True)
        listed = node.args.get("expressions")
        if not listed:
            raise invalid(t("query.error.list"), left.at)
        values = []
        for one in listed:
            value = self.operand(one)
            _, value = self._matched(left, value, node, "=")
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
        left = self.operand(node.this, first=True)
        _, low = self._matched(left, self.operand(node.args["low"]), node, ">=")
        left, high = self._matched(left, self.operand(node.args["high"]), node, "<=")
        return tree.Between(left, low, high)

    def _missing(self, node: exp.Is) -> tree.Condition:
        left = self.operand(node.this, first=True)
        right = _bare(node.expression)
        if isinstance(right, exp.Boolean) and type_of(left) == "truth":
            return tree.Compare("=", left, tree.Truth(bool(right.this), left.at))
        if not isinstance(right, exp.Null) or isinstance(left, tree.Constant):
            raise invalid(t("query.error.is"), left.at)
        return tree.Missing(left)

    def _true(self, node: exp.Expr) -> tree.Condition:
        """A condition that is no comparison: ``deleted``, ``isnan(loss)``."""
        if isinstance(node, exp.Anonymous) and self._piece(node).text.lower() == "isnan":
            return tree.IsNan(self._only_metric(node))
        operand = self.operand(node, first=True)
        if type_of(operand) == "truth" and not isinstance(operand, tree.Constant):
            return tree.Compare("=", operand, tree.Truth(True, operand.at))
        raise invalid(t("query.error.no_condition", typed=self._typed(node)), operand.at)

    # -------------------------------------------------------------------------------- operands

    def operand(self, node: exp.Expr | None, *, first: bool = False) -> tree.Operand:
        """The operand of a node; ``first`` where it stands left of a comparison."""
        node = _bare(node)
        if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
            piece = self._piece(node.this)
            if piece.is_text and not first:
                return tree.Text(piece.text[1:-1], piece.at)
            return self._named(piece)
        if isinstance(node, exp.Literal):
            return self._literal(self._piece(node))
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
        raise invalid(t("query.error.not_here", typed=self._typed(node)), self._place(node))

    def _named(self, piece: Piece) -> tree.Named:
        prefix, dot, rest = piece.text.partition(".")
        if not dot:
            return self._bare_name(piece, _unquoted(piece.text))
        kind = words.PREFIXES.get(prefix.strip("`")) or words.PREFIXES.get(prefix.lower())
        if kind is None:
            return self._bare_name(piece, piece.text, prefix)
        name = _unquoted(rest)
        if kind == "attribute":
            return self._attribute(name, piece)
        if kind == "dataset" and name not in words.DATASET_FIELDS:
            fields = ", ".join(words.DATASET_FIELDS)
            raise invalid(t("query.error.no_field", typed=name[:80], known=fields), piece.at)
        return tree.Named(cast(tree.Kind, kind), name, piece.at)

    def _attribute(self, name: str, piece: Piece) -> tree.Named:
        real = words.ALIASES.get(name, name)
        if real not in words.ATTRIBUTES:
            near = words.nearest_word(name, words.ATTRIBUTES)
            raise invalid(
                t("query.error.no_attribute", typed=name[:80], known=", ".join(words.ATTRIBUTES)),
                piece.at,
                t("query.error.meant", right=near) if near else "",
            )
        return tree.Named("attribute", real, piece.at)

    def _bare_name(self, piece: Piece, name: str, prefix: str = "") -> tree.Named:
        """A name without a prefix: an attribute, or the one metric, param or tag of that name."""
        if words.ALIASES.get(name, name) in words.ATTRIBUTES:
            return self._attribute(name, piece)
        own = words.meant(name, self._known)
        if len(own) == 1:
            return tree.Named(cast(tree.Kind, own[0].kind), name, piece.at)
        if own:
            columns = [words.quoted(f"{o.kind}.{name}") for o in own]
            raise invalid(t("query.error.ambiguous", typed=name[:80], known=", ".join(columns)),
                          piece.at)  # fmt: skip
        near = words.nearest(name, self._known) or words.nearest_word(name, words.ATTRIBUTES)
        key = "query.error.prefix" if prefix else "query.error.no_name"
        raise invalid(
            t(key, typed=(prefix or name)[:80]),
            piece.at,
            t("query.error.meant", right=near) if near else "",
        )

    def _literal(self, piece: Piece) -> tree.Constant:
        if piece.kind == "text":
            return tree.Text(piece.text[1:-1], piece.at)
        if piece.kind == "span":
            digits = piece.text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
            unit = piece.text[len(digits) :].lower()
            return tree.Span(float(digits) * words.UNITS[unit], piece.at)
        value = int(piece.text) if piece.text.isdecimal() else float(piece.text)
        return tree.Number(value, piece.text, piece.at)

    def _negative(self, node: exp.Neg) -> tree.Operand:
        inner = self.operand(node.this)
        if isinstance(inner, tree.Number):
            return tree.Number(-inner.value, f"-{inner.typed}", inner.at)
        self._numeric(inner)
        return tree.Arithmetic("-", tree.Number(0, "0", inner.at), inner, inner.at)

    def _arithmetic(self, node: exp.Expr) -> tree.Operand:
        sign = _ARITHMETIC[type(node)]
        left = self._numeric(self.operand(node.this, first=True))
        right = self._numeric(self.operand(node.expression))
        return tree.Arithmetic(sign, left, right, left.at)

    def _numeric(self, operand: tree.Operand) -> tree.Operand:
        if type_of(operand) not in ("number", "open", "span"):
            raise invalid(t("query.error.arithmetic"), operand.at)
        return operand

    # ------------------------------------------------------------------------------- functions

    def _function(self, node: exp.Anonymous) -> tree.Operand:
        piece = self._piece(node)
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

    def _only_metric(self, node: exp.Anonymous) -> tree.Operand:
        piece = self._piece(node)
        if len(node.expressions) != 1:
            raise invalid(t("query.error.one_metric", function="isnan"), piece.at)
        inner = _bare(node.expressions[0])
        if isinstance(inner, exp.Anonymous | exp.Add | exp.Sub | exp.Mul | exp.Div):
            return self._numeric(self.operand(inner))
        return tree.Named("metrics", self._metric(inner, piece), piece.at)

    def _metric(self, node: exp.Expr, function: Piece) -> str:
        """The name of a metric between a function's parentheses, where it needs no prefix."""
        node = _bare(node)
        if isinstance(node, exp.Literal):
            piece = self._piece(node)
            if piece.kind == "text":
                return piece.text[1:-1]
        if not isinstance(node, exp.Column):
            raise invalid(t("query.error.one_metric", function=function.text.lower()), function.at)
        piece = self._piece(node.this)
        prefix, dot, rest = piece.text.partition(".")
        kind = words.PREFIXES.get(prefix.strip("`")) if dot else None
        if kind == "metrics":
            return _unquoted(rest)
        if kind is not None and not words.meant(piece.text, self._known, ("metrics",)):
            raise invalid(t("query.error.one_metric", function=function.text.lower()), piece.at)
        return _unquoted(piece.text)

    # ----------------------------------------------------------------------------------- types

    def _matched(
        self, left: tree.Operand, right: tree.Operand, node: exp.Expr, sign: tree.Sign
    ) -> tuple[tree.Operand, tree.Operand]:
        """Both sides, if they can be compared.

        Raises:
            InvalidInput: they cannot, with what to write instead.
        """
        if isinstance(left, tree.Constant):
            raise invalid(t("query.error.constants"), left.at)
        kinds = (type_of(left), type_of(right))
        if kinds[0] == "truth" and kinds[1] == "truth" and sign in ("=", "!="):
            return left, right
        if kinds[0] == "time" and isinstance(right, tree.Text):
            _check_date(right)
            return left, right
        if kinds[0] == "text" and isinstance(right, tree.Number):
            if isinstance(left, tree.Named) and left.name in ("experiment_id", "parent"):
                return left, tree.Text(right.typed, right.at)
            raise invalid(t("query.error.quotes", right=f"'{right.typed}'"), right.at)
        if kinds[0] in ("number", "span") and isinstance(right, tree.Text):
            raise _no_number(left, right)
        if kinds in _COMPARABLE or kinds[::-1] in _COMPARABLE:
            return left, right
        raise invalid(t("query.error.incomparable", typed=self._typed(node)), right.at)

    # ---------------------------------------------------------------------------------- places

    def _piece(self, node: exp.Expr) -> Piece:
        return self._pieces[int(node.name)]

    def _numbers(self, node: exp.Expr | None) -> list[int]:
        """The numbers of the pieces under a node that are names, values or functions."""
        return sorted(int(n.name) for n in node.walk() if isinstance(n, _NUMBERED)) if node else []

    def _place(self, node: exp.Expr | None) -> int:
        """Where the first piece under a node stands; the text's start where that is unknown."""
        return self._pieces[min(self._numbers(node), default=0)].at

    def _typed(self, node: exp.Expr | None) -> str:
        found = self._numbers(node)
        inside = self._pieces[found[0] : found[-1] + 1] if found else []
        return " ".join(p.text for p in inside)[:80]


_NUMBERED = (exp.Identifier, exp.Literal, exp.Anonymous)
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


def as_date(text: str) -> tuple[datetime, bool]:
    """A date or a moment as ISO 8601 has it, and whether it is a date alone.

    Raises:
        ValueError: it is none.
    """
    at = datetime.fromisoformat(text.strip())
    return at, len(text.strip()) <= 10


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


def _bare(node: exp.Expr | None) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return cast(exp.Expr, node)


def _flat(node: exp.And | exp.Or) -> list[exp.Expr]:
    """The parts of a chain of ANDs or of ORs, which hangs together at the left."""
    parts: list[exp.Expr] = []
    rest: exp.Expr = node
    while type(rest) is type(node):
        parts.append(rest.expression)
        rest = _bare(rest.this)
    return [rest, *reversed(parts)]


def _unquoted(name: str) -> str:
    """A name without its quotes, taken off as MLflow takes them off: first ' or ", then `."""
    for marks in ("'\"", "`"):
        if len(name) >= 2 and name[0] == name[-1] and name[0] in marks:
            name = name[1:-1]
    return name
