"""A filter's text, cut into pieces as MLflow cuts it, each with its place.

MLflow's literals have no escapes: what stands between the quotes is the value, a backslash and a
doubled quote included. Its names are dotted chains whose parts may be quoted. The pieces are
handed to sqlglot's parser as tokens whose text is the piece's number, so that nothing is unquoted
on the way and every node of the tree knows where it stands.
"""

import re
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from core import formats
from core.errors import InvalidInput
from core.texts import t

LONGEST = 10_000
"""Characters in a filter."""
DEEPEST = 20
"""Parentheses, NOT and signs inside one another: sqlglot's parser calls itself for each."""
LONGEST_SUM = 50
"""Signs of arithmetic in one comparison: each is one step deeper into the tree."""

_SINGLE = r"'(?:''|\\'|[^'])*'"
_DOUBLE = r'"(?:""|\\"|[^"])*"'
_BACK = r"`(?:``|[^`])*`"
_PIECE = re.compile(
    rf"""(?P<space>\s+)
      | (?P<span>(?:\d+(?:\.\d*)?|\.\d+)(?:ms|[smhdw]|min|sec)\b)
      | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>{_SINGLE})
      | (?P<name>(?:{_DOUBLE}|{_BACK}|\w+)(?:\.(?:{_DOUBLE}|{_BACK}|{_SINGLE}|\w+))*)
      | (?P<sign>[<>=~!]+|[-+*/(),])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SIGNS = {
    "=": TokenType.EQ,
    "==": TokenType.EQ,
    "!=": TokenType.NEQ,
    "<>": TokenType.NEQ,
    "<": TokenType.LT,
    "<=": TokenType.LTE,
    ">": TokenType.GT,
    ">=": TokenType.GTE,
    "+": TokenType.PLUS,
    "-": TokenType.DASH,
    "*": TokenType.STAR,
    "/": TokenType.SLASH,
    "(": TokenType.L_PAREN,
    ")": TokenType.R_PAREN,
    ",": TokenType.COMMA,
}
KEYWORDS = {
    "AND": TokenType.AND,
    "OR": TokenType.OR,
    "NOT": TokenType.NOT,
    "IN": TokenType.IN,
    "BETWEEN": TokenType.BETWEEN,
    "LIKE": TokenType.LIKE,
    "ILIKE": TokenType.ILIKE,
    "RLIKE": TokenType.RLIKE,
    "IS": TokenType.IS,
    "NULL": TokenType.NULL,
    "TRUE": TokenType.TRUE,
    "FALSE": TokenType.FALSE,
}
"""Words that are no names, unless in quotes."""
_VALUES = (TokenType.STRING, TokenType.NUMBER, TokenType.NULL, TokenType.R_PAREN)


@dataclass(frozen=True)
class Piece:
    """One piece of a filter: its kind (a group of the pattern), its text and its place."""

    kind: str
    text: str
    at: int

    @property
    def upper(self) -> str:
        """Its text in capitals where it is a bare word, else ""."""
        return self.text.upper() if self.kind == "name" else ""

    @property
    def is_text(self) -> bool:
        """Whether it can be a quoted text. In double quotes it can also be a name: MLflow takes
        it for one on the left of a comparison, and for a text on the right.
        """
        return self.kind == "text" or bool(re.fullmatch(_DOUBLE, self.text))


def pieces(text: str) -> list[Piece]:
    """The pieces of a filter, blanks left out.

    Raises:
        InvalidInput: too long, a quote that is never closed, or a sign that means nothing here.
    """
    if len(text) > LONGEST:
        raise invalid(t("query.error.too_long", most=formats.count(LONGEST)), LONGEST)
    if "\x00" in text:
        raise invalid(t("query.error.control"), text.index("\x00"))
    found = []
    at = 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            raise _no_piece(text, at)
        if match.lastgroup != "space":
            found.append(Piece(str(match.lastgroup), match.group(), at))
        at = match.end()
    _check_nesting(found)
    return found


def tokens(found: list[Piece]) -> list[Token]:
    """The pieces as tokens for sqlglot, the text of each being its number among the pieces.

    MLflow takes two conditions side by side as joined by AND, and does not mind an AND too many.
    """
    made: list[Token] = []
    for index, piece in enumerate(found):
        kind = _token_type(piece, found[index + 1] if index + 1 < len(found) else None)
        after = made[-1].token_type if made else None
        if kind == TokenType.AND and after in (None, TokenType.AND, TokenType.L_PAREN):
            continue
        ended = after in _VALUES or (bool(made) and found[index - 1].is_text)
        if kind == TokenType.IDENTIFIER and ended:
            # Before IS and IN, MLflow takes all of it for one strange name: nobody means that.
            follows = found[index + 1].upper if index + 1 < len(found) else ""
            if follows in ("IS", "IN", "NOT") and after != TokenType.NULL:
                raise invalid(t("query.error.side_by_side", typed=piece.text[:80]), piece.at)
            made.append(_token(TokenType.AND, index, piece))
        made.append(_token(kind, index, piece))
    while made and made[-1].token_type == TokenType.AND:
        made.pop()
    return made


def invalid(what: str, at: int | None, next_step: str = "") -> InvalidInput:
    """The error of a filter, pointing at a place in it."""
    return InvalidInput(what, next_step or t("query.error.next"), field="filter", position=at)


def _token(kind: TokenType, index: int, piece: Piece) -> Token:
    return Token(kind, str(index), 1, piece.at, piece.at, piece.at + len(piece.text) - 1)


def _token_type(piece: Piece, following: Piece | None) -> TokenType:
    if piece.kind == "sign":
        if piece.text not in _SIGNS:
            raise invalid(t("query.error.sign", typed=piece.text), piece.at)
        return _SIGNS[piece.text]
    if piece.kind == "text":
        return TokenType.STRING
    if piece.kind != "name":
        return TokenType.NUMBER
    if piece.upper in KEYWORDS:
        return KEYWORDS[piece.upper]
    # A name before a parenthesis is a function's, and as a VAR sqlglot knows none by that name.
    called = following is not None and following.text == "("
    return TokenType.VAR if called else TokenType.IDENTIFIER


def _no_piece(text: str, at: int) -> InvalidInput:
    mark = text[at]
    if mark in "'\"`":
        return invalid(t("query.error.open_quote", mark=mark), at)
    if mark in "&|":
        word = "AND" if mark == "&" else "OR"
        return invalid(t("query.error.word", typed=text[at : at + 2].strip(), right=word), at)
    return invalid(t("query.error.mark", mark=mark), at)


def _check_nesting(found: list[Piece]) -> None:
    opened: list[Piece] = []
    prefixes = sums = 0
    for piece in found:
        prefixes = prefixes + 1 if piece.upper == "NOT" or piece.text in ("-", "+") else 0
        if piece.text in ("+", "-", "*", "/"):
            sums += 1
        elif piece.upper in KEYWORDS or piece.text == ",":  # the next condition, or value
            sums = 0
        if sums > LONGEST_SUM:
            raise invalid(t("query.error.long_sum", most=LONGEST_SUM), piece.at)
        if piece.text == "(":
            opened.append(piece)
        elif piece.text == ")":
            if not opened:
                raise invalid(t("query.error.not_opened"), piece.at)
            opened.pop()
        if len(opened) + prefixes > DEEPEST:
            raise invalid(t("query.error.deep", most=DEEPEST), piece.at)
    if opened:
        raise invalid(t("query.error.not_closed"), opened[-1].at)
