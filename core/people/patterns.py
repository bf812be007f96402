"""Patterns of names, as the desk's file has them."""

import re
from functools import cache


def fits(pattern: str, name: str) -> bool:
    """Whether a pattern fits the name of a model or an experiment: ``*`` stands for any text,
    ``?`` for one character, and everything else, brackets too, for itself."""
    return _expression(pattern).fullmatch(name) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.DOTALL)
