"""What is marked on the axes of a figure, as a filter."""

import re
from collections.abc import Sequence

from core.charts.parallel import Axis, Brush, Lines
from core.runs.language import quoted, quoted_text, texts_in

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def condition(filter_: str, lines: Lines, marks: Sequence[Brush]) -> str | None:
    """The filter that finds just the runs that are marked; None where none can be written.

    Args:
        filter_: what found the runs that the figure shows.
    """
    parts = [f"({filter_})"] if filter_.strip() else []
    for mark in marks:
        axis = lines.axis(mark.column)
        written = None if axis is None else _stretch(axis, mark)
        if written is None:
            return None
        parts.append(written)
    return " AND ".join(parts)


def _stretch(axis: Axis, mark: Brush) -> str | None:
    if "." not in axis.column:
        return None
    name = quoted(axis.column)
    if mark.low == mark.high == "@missing":
        return f"{name} IS NULL"
    # A filter knows no rails: where a stretch ends beside one, it could not leave that out.
    if "@" in (mark.low[:1], mark.high[:1]) or (not mark.low and "below" in axis.rails):
        return None
    if not mark.high and "above" in axis.rails:
        return None
    if axis.words:
        first = axis.words.index(mark.low) if mark.low in axis.words else 0
        last = axis.words.index(mark.high) if mark.high in axis.words else len(axis.words) - 1
        chosen = axis.words[first : last + 1]
        text = f"{name} IN ({', '.join(quoted_text(word) for word in chosen)})"
        return text if texts_in(text) == list(chosen) else None
    # The ends come from the link, where anybody may have written anything.
    if any(end and not _NUMBER.fullmatch(end) for end in (mark.low, mark.high)):
        return None
    low = f"{name} >= {mark.low}" if mark.low else ""
    high = f"{name} <= {mark.high}" if mark.high else ""
    if not low and not high:
        return None if "nan" in axis.rails else f"{name} IS NOT NULL"
    return " AND ".join(end for end in (low, high) if end)
