"""Text from outside as text: the one place where it is made fit for elements that draw Markdown.

Streamlit draws labels, buttons, captions, headings, alerts and toasts as Markdown with pictures,
colours, badges, formulas and icons. A run's name may hold any of these.
"""

import string
import unicodedata

from core.texts import t

_PUNCTUATION = frozenset(string.punctuation)


def safe(text: object, length: int | None = None) -> str:
    """Outside text for a Markdown element: one line, nothing in it is drawn but its letters.

    Args:
        text: whatever came from outside.
        length: cut to that many characters, with an ellipsis.
    """
    line = " ".join(visible(str(text)).split())
    if length is not None and len(line) > length:
        line = line[: length - 1] + "…"
    return "".join(f"\\{c}" if c in _PUNCTUATION else c for c in line)


def visible(text: str) -> str:
    """``text`` without control and direction characters, which could make it read as another.

    Line breaks and tabs stay. Zero-width joiners stay where scripts need them.
    """
    return "".join(
        c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
    )


def md(key: str, /, **fields: object) -> str:
    """The text of ``key`` for a Markdown element, every field made safe.

    Pass fields that are texts of our own (with Markdown in them) through ``t`` into the sentence
    instead.
    """
    return t(key, **{name: v if name == "n" else safe(v) for name, v in fields.items()})
