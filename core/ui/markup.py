"""Text from outside as text: the one place where it is made fit for elements that draw Markdown.

Streamlit draws labels, buttons, captions, headings, alerts and toasts as Markdown with pictures,
colours, badges, formulas and icons. A run's name may hold any of these.
"""

import re
import string
from typing import Any

import pandas as pd

from core.formats import visible
from core.texts import t

__all__ = ["md", "plain", "plain_frame", "safe", "visible"]

_PUNCTUATION = frozenset(string.punctuation)
_REWRITTEN = re.compile(
    r"(h)(?=ttps?://)|(w)(?=ww\.)|(?<=@)[-_]*([a-z0-9])"  # addresses become links
    r"|(?<=:)([sm])(?=treamlit:|aterial_)"  # a logo, an icon
    r"|(?<!\S)[-<>~]([-=>])>?(?!\S)",  # arrows and signs: -> -- <= ~=
    re.IGNORECASE,
)
"""What the browser still rewrites after escapes are resolved. The group is a character that, set
in italics, keeps the rest from being seen as one piece; the letters stay as they are."""


def safe(text: object, length: int | None = None) -> str:
    """Outside text for a Markdown element: one line, nothing in it is drawn but its letters.

    Args:
        text: whatever came from outside.
        length: cut to that many characters, with an ellipsis.
    """
    line = " ".join(visible(str(text)).split())
    if length is not None and len(line) > length:
        line = line[: length - 1] + "…"
    pieces: list[str] = []
    end = 0
    for found in _REWRITTEN.finditer(line):
        at = found.start(found.lastindex or 0)
        letter = f"{_escaped(line[at])}*"
        if pieces and at == end:  # two in a row are set in italics together
            pieces[-1] = pieces[-1][:-1] + letter
        else:
            pieces += [_escaped(line[end:at]), f"*{letter}"]
        end = at + 1
    return "".join([*pieces, _escaped(line[end:])])


def plain(value: Any) -> Any:
    """Outside text that is drawn letter by letter, made ``visible``: text, or parsed JSON of it."""
    if isinstance(value, str):
        return value if value.isprintable() else visible(value)
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose headlines and cells of text, or of lists of text, are made ``visible``."""
    made: dict[str, object] = {}
    for i, headline in enumerate(frame.columns):
        name, column = plain(str(headline)), frame.iloc[:, i]
        while name in made:  # two headlines may differ in nothing else
            name += "'"
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object)
        text = column.dtype == object or isinstance(column.dtype, pd.StringDtype)
        made[name] = (
            pd.Series([plain(v) for v in column], column.index, column.dtype) if text else column
        )
    return pd.DataFrame(made, frame.index)


def md(key: str, /, **fields: object) -> str:
    """The text of ``key`` for a Markdown element, every field made safe.

    Pass fields that are texts of our own (with Markdown in them) through ``t`` into the sentence
    instead.
    """
    return t(key, **{name: v if name == "n" else safe(v) for name, v in fields.items()})


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in _PUNCTUATION else c for c in text)
