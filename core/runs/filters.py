"""What is wrong with a filter that MLflow refused, in plain words and with the store's own names.

MLflow's language: conditions joined by AND; on the left a name with its prefix, quoted where it
is more than letters, digits and ``_``; on the right a number (metrics, times) or a quoted text.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from core import formats
from core.errors import InvalidInput
from core.texts import t

PREFIXES = ("metrics", "params", "tags", "attributes", "datasets")
_ALIASES = {
    "metric": "metrics",
    "param": "params",
    "parameter": "params",
    "parameters": "params",
    "tag": "tags",
    "attribute": "attributes",
    "attr": "attributes",
    "run": "attributes",
    "dataset": "datasets",
} | {p: p for p in PREFIXES}
TEXT_ATTRIBUTES = ("run_id", "run_name", "status", "user_id", "artifact_uri")
TIME_ATTRIBUTES = ("start_time", "end_time", "created")
_OURS = {"name": "run_name", "user": "user_id", "started_at": "start_time", "ended_at": "end_time"}
_WORDS = ("LIKE", "ILIKE", "IN", "IS", "RLIKE", "BETWEEN")
_LONGEST = 10_000
_LARGEST = 2**63 - 1
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TOKEN = re.compile(
    r"""(?P<text>(?:[^\s'"`=<>!()|&]+\.)?(?:'[^']*'|"[^"]*"|`[^`]*`))
      | (?P<operator>==|<=|>=|!=|<>|=|<|>)
      | (?P<word>[^\s'"`=<>!()|&]+)
      | (?P<mark>\|\||&&|[^\s])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """One piece of a filter: quoted text (with its prefix), operator, word or mark."""

    kind: str
    text: str
    at: int

    @property
    def upper(self) -> str:
        """Its text in capitals where it is a word, else ""."""
        return self.text.upper() if self.kind == "word" else ""


def checked(text: str) -> str:
    """A filter fit to be sent.

    Raises:
        InvalidInput: it would make a server fail: control characters, too long, too large a number.
    """
    line = text.strip()
    if len(line) > _LONGEST:
        raise _invalid(t("runs.filter.too_long", most=formats.count(_LONGEST)), "", 0)
    for token in tokens(line):
        if any(ord(c) < 32 and c not in "\t\n\r" for c in token.text):
            raise _invalid(t("runs.filter.control"), "", token.at)
        if token.kind == "word" and token.text.isdecimal() and int(token.text) > _LARGEST:
            raise _invalid(t("runs.filter.large", number=token.text[:40]), "", token.at)
    return line


def tokens(text: str) -> list[Token]:
    """The pieces of a filter, with their places."""
    return [
        Token(str(found.lastgroup), found.group(), found.start()) for found in _TOKEN.finditer(text)
    ]


def quoted(column: str) -> str:
    """``metrics.a b`` as a filter names it: ``metrics.`a b` ``."""
    kind, _, name = column.partition(".")
    if _PLAIN.fullmatch(name):
        return column
    return f'{kind}."{name}"' if "`" in name else f"{kind}.`{name}`"


def examples(frame: pd.DataFrame, most: int = 3) -> list[str]:
    """Filters that these runs admit: one on a metric, one on a param, one on the status."""
    made = []
    for column in frame.columns:
        values = frame[column].dropna()
        if column.startswith("metrics.") and len(values):
            made.append(f"{quoted(column)} > {float(values.astype(float).median()):.4g}")
            break
    for column in frame.columns:
        values = [str(v) for v in frame[column].dropna()]
        short = [v for v in values if 0 < len(v) <= 30 and "'" not in v]
        if column.startswith("params.") and short:
            made.append(f"{quoted(column)} = '{short[0]}'")
            break
    made.append("attributes.status = 'FINISHED'")
    return made[:most]


def explain(text: str, error: InvalidInput, frame: pd.DataFrame) -> InvalidInput:
    """The error of a refused filter: what is wrong, what MLflow says, and filters that work here.

    Args:
        error: what MLflow's refusal was mapped to.
        frame: some runs of the same experiments, for their names.
    """
    columns = [c for c in frame.columns if c.partition(".")[0] in PREFIXES]
    hint, at = _fault(tokens(text), columns)
    said = _upstream(error)
    what = t("runs.filter.refused", hint=hint or t("runs.filter.hint.other"), message=said)
    return _invalid(what, t("runs.filter.examples", examples=_list(examples(frame))), at)


def unknown_names(text: str, columns: Iterable[str]) -> list[tuple[str, str]]:
    """The metrics, params and tags that a filter names and no run here has, each with the nearest
    existing one or "".
    """
    known = list(columns)
    found = []
    for clause in _clauses(tokens(text)):
        prefix, _, name = clause[0].text.partition(".")
        column = f"{_ALIASES.get(prefix.lower(), prefix)}.{name.strip(_QUOTES)}"
        if column.split(".")[0] in ("metrics", "params", "tags") and name and column not in known:
            found.append((column, _nearest(column, known)))
    return found


_QUOTES = "'\"`"


def _invalid(what: str, next_step: str, at: int | None) -> InvalidInput:
    return InvalidInput(what, next_step, field="filter", position=at)


def _upstream(error: InvalidInput) -> str:
    said = str(error.__cause__ or error)
    # Over HTTP the code stands before the message.
    said = re.sub(r"^[A-Z_]+: ", "", said).split("Traceback")[0]
    return formats.shorten(said, 160)


def _list(parts: Sequence[str]) -> str:
    return "  ·  ".join(parts)


def _clauses(found: Sequence[Token]) -> list[list[Token]]:
    clauses: list[list[Token]] = [[]]
    for token in found:
        if token.upper == "AND":
            clauses.append([])
        else:
            clauses[-1].append(token)
    return [c for c in clauses if c]


def _fault(found: Sequence[Token], columns: Sequence[str]) -> tuple[str, int | None]:
    """The first fault, in words, and where it is; ("", None) where none is known."""
    for token in found:
        hint = _token_fault(token)
        if hint:
            return hint, token.at
    if found and found[0].upper == "NOT":
        return t("runs.filter.hint.not"), found[0].at
    for clause in _clauses(found):
        hint = _clause_fault(clause, columns)
        if hint:
            return hint, clause[0].at
    return "", None


def _token_fault(token: Token) -> str:
    if token.kind == "mark" and token.text in _QUOTES:
        return t("runs.filter.hint.open_quote", mark=token.text)
    if token.upper == "OR" or token.text in ("||", "|"):
        return t("runs.filter.hint.or")
    if token.text in ("&&", "&"):
        return t("runs.filter.hint.and")
    if token.upper == "BETWEEN":
        return t("runs.filter.hint.between")
    if token.upper == "RLIKE":
        return t("runs.filter.hint.like")
    if token.text in ("==", "<>"):
        right = "=" if token.text == "==" else "!="
        return t("runs.filter.hint.operator", typed=token.text, right=right)
    return ""


def _clause_fault(clause: Sequence[Token], columns: Sequence[str]) -> str:
    middle = next(
        (i for i, x in enumerate(clause) if x.kind == "operator" or x.upper in _WORDS), None
    )
    if clause[0].text == "(":
        return t("runs.filter.hint.parentheses")
    left = list(clause[:middle])
    name_fault = _name_fault(left, columns)
    if name_fault:
        return name_fault
    if middle is None or middle + 1 >= len(clause):
        return t("runs.filter.hint.incomplete", clause=_join(clause))
    return _value_fault(left[0].text, clause[middle], clause[middle + 1 :])


def _name_fault(left: Sequence[Token], columns: Sequence[str]) -> str:
    if not left:
        return t("runs.filter.hint.no_name")
    typed = _join(left)
    prefix, dot, name = left[0].text.partition(".")
    if not dot:
        bare = left[0].text
        if bare in TEXT_ATTRIBUTES + TIME_ATTRIBUTES and len(left) == 1:
            return ""
        if bare in _OURS:
            return t("runs.filter.hint.attribute", typed=bare, right=f"attributes.{_OURS[bare]}")
        own = [c for c in columns if c.partition(".")[2] == typed.strip(_QUOTES)]
        near = own[0] if own else _nearest(typed, columns)
        if near:
            return t("runs.filter.hint.prefix_near", typed=typed, right=quoted(near))
        return t("runs.filter.hint.prefix", typed=typed)
    kind = _ALIASES.get(prefix.lower())
    if kind is None:
        near = _nearest(f"{prefix}.{name}", columns)
        key = "unknown_prefix_near" if near else "unknown_prefix"
        return t(f"runs.filter.hint.{key}", typed=prefix, right=quoted(near) if near else "")
    if kind == "attributes":
        known = TEXT_ATTRIBUTES + TIME_ATTRIBUTES
        if name.strip(_QUOTES) not in known:
            return t("runs.filter.hint.no_attribute", typed=name, known=", ".join(known))
        return ""
    if len(left) > 1 or (left[0].kind == "word" and not _PLAIN.fullmatch(name)):
        return t("runs.filter.hint.quote_name", right=f"{kind}.`{typed.partition('.')[2]}`")
    return ""


def _value_fault(name: str, operator: Token, value: Sequence[Token]) -> str:
    prefix, dot, rest = name.partition(".")
    kind = _ALIASES[prefix.lower()] if dot else "attributes"
    attribute = (rest if dot else name).strip(_QUOTES)
    numeric = kind == "metrics" or attribute in TIME_ATTRIBUTES
    typed = _join(value)
    if kind != "metrics" and not numeric and operator.text in ("<", ">", "<=", ">="):
        return t("runs.filter.hint.text_operator", name=name, operator=operator.text)
    if numeric and attribute in TIME_ATTRIBUTES and not _NUMBER.fullmatch(typed):
        return t("runs.filter.hint.time", right=f"{name} {operator.text} {_milliseconds(typed)}")
    if numeric and not _NUMBER.fullmatch(typed):
        bare = typed.strip(_QUOTES)
        if _NUMBER.fullmatch(bare):
            return t("runs.filter.hint.number", right=f"{name} {operator.text} {bare}")
        return t("runs.filter.hint.not_number", name=name, typed=typed)
    if not numeric and value[0].kind != "text" and operator.upper not in ("IN", "IS", "NOT"):
        return t("runs.filter.hint.quotes", right=f"{name} {operator.text} '{typed}'")
    if operator.upper == "IN" and attribute not in ("run_id", "name", "digest", "context"):
        return t("runs.filter.hint.in", name=name)
    return ""


def _milliseconds(typed: str) -> int:
    """What the person may have meant by a date; the start of today where it cannot be read."""
    try:
        at = datetime.fromisoformat(typed.strip(_QUOTES))
    except ValueError:
        at = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _nearest(typed: str, columns: Sequence[str]) -> str:
    """The column whose name is nearest to ``typed``, within its kind where it names one."""
    prefix, dot, rest = typed.partition(".")
    kind = _ALIASES.get(prefix.lower()) if dot else None
    name = (rest if dot else typed).strip(_QUOTES).lower()
    pool = {
        c: c.partition(".")[2].lower() for c in columns if kind is None or c.startswith(f"{kind}.")
    }
    near = difflib.get_close_matches(name, list(pool.values()), 1, cutoff=0.6)
    return next((c for c, lower in pool.items() if near and lower == near[0]), "")


def _join(clause: Sequence[Token]) -> str:
    """The tokens as they were typed, spaces between them where there were some."""
    text = ""
    for before, token in zip([None, *clause[:-1]], clause, strict=True):
        touching = before is not None and before.at + len(before.text) == token.at
        text += token.text if not text or touching else f" {token.text}"
    return text
