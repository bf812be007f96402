"""Outside text on its way into a figure: names, values and keys that other people chose.

Plotly reads a small HTML (``<b>``, ``<a href>``, ``<br>``) in legends, hover texts, titles and tick
labels, LaTeX between dollar signs, and ``%{…}`` in hover templates: `markup` is for these, and
nothing else may put outside text into a Plotly figure. Parallel coordinates, which a component of
ours draws, set `clean` text as text.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import takewhile

from core.formats import shorten
from core.texts import t

NAME_LENGTH = 32
"""Characters of a name in a legend or beside an axis."""

_BETWEEN_WORDS = frozenset(" -_/:,;|=()[]")  # no point: it is in the middle of numbers
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset("\u00ad\u180e\u200b\u2060\ufeff")
_ENTITIES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "#": "&#35;", "%": "&#37;"}
)
_PREFIXES = {"params.": "param", "metrics.": "metric", "tags.": "tag", "attributes.": "attribute"}


def clean(text: object, length: int | None = None) -> str:
    """``text`` on one line, without control, direction and invisible characters.

    Cut in the middle to ``length`` characters where one is given.
    """
    given = str(text)
    # What is printable throughout holds nothing to take out; most texts are.
    kept = given if given.isprintable() else "".join(_visible(char) for char in given)
    line = " ".join(kept.split())
    return line if length is None else shorten(line, length)


def _visible(char: str) -> str:
    if char in _BIDI or char in _INVISIBLE or "\U000e0000" <= char <= "\U000e007f":
        return ""
    category = unicodedata.category(char)
    if category in {"Cc", "Zl", "Zp"}:
        return " "
    # A lone surrogate cannot be written as UTF-8, so the whole figure would fail.
    return "\N{REPLACEMENT CHARACTER}" if category == "Cs" else char


def markup(text: object, length: int | None = None) -> str:
    """`clean` text that Plotly draws letter by letter where it would read markup."""
    return clean(text, length).translate(_ENTITIES)


def column_labels(columns: Sequence[str]) -> dict[str, str]:
    """How each column is called in a figure: ``metrics.loss`` is "loss".

    Where a param and a metric share a name, each says which it is ("loss (metric)").
    """
    short = {column: _without_prefix(column) for column in columns}
    often = Counter(short.values())
    return {
        column: name if often[name] == 1 else _with_kind(column, name)
        for column, name in short.items()
    }


def _without_prefix(column: str) -> str:
    for prefix in _PREFIXES:
        if column.startswith(prefix):
            return clean(column.removeprefix(prefix)) or t("charts.label.blank")
    return clean(column) or t("charts.label.blank")


def _with_kind(column: str, name: str) -> str:
    for prefix, kind in _PREFIXES.items():
        if column.startswith(prefix):
            return t(f"charts.label.{kind}", name=name)
    return name


def distinct(texts: Sequence[str]) -> list[str]:
    """The same texts, told apart where two are equal: "a", "a" become "a", "a (2)"."""
    given, used, told = set(texts), set[str](), list[str]()
    for text in texts:
        label, n = text, 1
        while label in used or (n > 1 and label in given):
            n += 1
            label = f"{text} ({n})"
        used.add(label)
        told.append(label)
    return told


def run_labels(runs: Sequence[tuple[str, str]], length: int = NAME_LENGTH) -> dict[str, str]:
    """A label for each ``(run id, run name)``, by run id, no two alike.

    Where names are cut to the same, what they have in common goes first; runs of one and the same
    name get a piece of their id. The labels are clean, not yet escaped.
    """
    names = {run: clean(name) or t("charts.label.blank") for run, name in runs}
    alike: dict[str, set[str]] = {}
    for name in names.values():
        alike.setdefault(shorten(name, length), set()).add(name)
    short = {
        name: label if len(group) == 1 else _difference(name, group, length)
        for label, group in alike.items()
        for name in group
    }
    often = Counter(short[name] for name in names.values())
    told = [
        short[name] if often[short[name]] == 1 else f"{short[name]} · {clean(run)[:8]}"
        for run, name in names.items()
    ]
    return dict(zip(names, distinct(told), strict=True))


def _difference(name: str, group: Collection[str], length: int) -> str:
    """What tells ``name`` from the others of its group, in whole words."""
    start = _shared_words([*group])
    end = _shared_words([other[start:][::-1] for other in group])
    middle = shorten(name[start : len(name) - end], length - 2)
    return f"{'…' if start else ''}{middle}{'…' if end else ''}"


def _shared_words(names: Sequence[str]) -> int:
    """How many characters all names begin with, up to the end of a word."""
    pairs = zip(min(names), max(names), strict=False)  # what these two share, all share
    shared = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return max((at + 1 for at, char in enumerate(shared) if char in _BETWEEN_WORDS), default=0)
