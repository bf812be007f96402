"""How numbers, times, durations and sizes are written, wherever a person reads them."""

import math
import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.texts import t

NONE = "–"
_JOINERS = "\u200c\u200d"


def number(value: float | int | str | None, digits: int = 4) -> str:
    """A number with ``digits`` significant digits, thousands grouped; NaN and Inf by name."""
    if value is None or isinstance(value, str):
        return value or NONE
    if isinstance(value, bool):
        return str(value).lower()
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    magnitude = abs(value)
    if magnitude < 1e-4 or magnitude >= 1e9:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(magnitude)))
    return f"{value:,.{decimals}f}"


def alike(*values: float) -> tuple[str, ...]:
    """Numbers that belong together, such as a mean and its interval, to one decimal place.

    As many decimals as show two digits of how far apart they lie: 0.012, 0.004, 0.020.
    """
    width = max(values) - min(values)
    most = max(abs(value) for value in values)
    if not (math.isfinite(width) and width > 0) or not 1e-5 < most < 1e9 or width < 1e-9:
        return tuple(number(value) for value in values)
    decimals = max(0, 1 - math.floor(math.log10(width)))
    return tuple(f"{round(value, decimals) + 0.0:,.{decimals}f}" for value in values)


def count(n: int | None) -> str:
    """A whole number, thousands grouped."""
    return NONE if n is None else f"{n:,}"


def size(n: int | float | None) -> str:
    """Bytes in decimal units: 1 kB = 1,000 B."""
    if n is None:
        return NONE
    value = float(n)
    for unit, digits in (("B", 0), ("kB", 1), ("MB", 1), ("GB", 1)):
        if abs(round(value, digits)) < 1000:
            return f"{value:.{digits}f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def duration(value: timedelta | float | None) -> str:
    """A span of time (seconds where a number is given), in its two largest units."""
    if value is None:
        return NONE
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0:
        seconds = 0.0
    if round(seconds, 3) < 1:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days:,} d {hours} h"


def moment(at: datetime | None, zone: str | None = None) -> str:
    """A point in time as ``2026-03-03 14:05:09`` in ``zone`` (an IANA name; UTC where unknown)."""
    return NONE if at is None else f"{in_zone(at, zone):%Y-%m-%d %H:%M:%S}"


def ago(at: datetime | None, now: datetime) -> str:
    """How long before ``now`` something was, in one unit."""
    if at is None:
        return NONE
    seconds = (now - at).total_seconds()
    if seconds < 45:
        return t("formats.just_now")
    for unit, length, most in (("minute", 60, 60), ("hour", 3_600, 24)):
        n = round(seconds / length)
        if n < most:
            return t(f"formats.ago_{unit}", n=max(1, n))
    return t("formats.ago_day", n=round(seconds / 86_400))


def in_zone(at: datetime, zone: str | None) -> datetime:
    """``at`` in the IANA time zone ``zone``; UTC where the name is missing or unknown."""
    try:
        return at.astimezone(ZoneInfo(zone) if zone else UTC)
    except (ZoneInfoNotFoundError, ValueError):
        return at.astimezone(UTC)


def shorten(text: str, length: int = 60) -> str:
    """``text`` on one line, cut in the middle to ``length`` characters."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    head = (length - 1) * 2 // 3
    return f"{line[:head]}…{line[len(line) - (length - 1 - head) :]}"


def visible(text: str) -> str:
    """``text`` without control and direction characters, which could make it read as another.

    Line breaks and tabs stay. Zero-width joiners stay between characters beyond ASCII, where some
    scripts need them.
    """
    return "".join(
        c
        for i, c in enumerate(text)
        if c in "\n\t"
        or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
        or (c in _JOINERS and 0 < i < len(text) - 1 and not (text[i - 1] + text[i + 1]).isascii())
    )
