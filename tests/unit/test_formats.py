"""How numbers, times, durations and sizes are written: the tables are the specification."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from core import formats

NOW = datetime(2026, 3, 3, 14, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        ("as it is", "as it is"),
        (True, "true"),
        (0, "0"),
        (-0.0, "0"),
        (12, "12"),
        (1_234_567, "1,234,567"),
        (3.0, "3"),
        (0.5, "0.5000"),
        (0.123456, "0.1235"),
        (-0.123456, "-0.1235"),
        (12.34567, "12.35"),
        (1234.5678, "1,235"),
        (0.00012345, "0.0001234"),
        (0.0000123456, "1.235e-05"),
        (1_234_567_890.5, "1.235e+09"),
        (1e300, "1.000e+300"),
        (5e-324, "4.941e-324"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_number(value: float | int | str | None, text: str) -> None:
    assert formats.number(value) == text


def test_count() -> None:
    assert formats.count(None) == "–"
    assert formats.count(20_000) == "20,000"


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (5_000_000, "5.0 MB"),
        (1.5e9, "1.5 GB"),
        (999_999_999_999, "1.0 TB"),
        (2.5e15, "2500.0 TB"),
    ],
)
def test_size(bytes_: float | None, text: str) -> None:
    assert formats.size(bytes_) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (None, "–"),
        (-5, "0 ms"),
        (0.0004, "0 ms"),
        (0.25, "250 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3599.6, "1 h 00 min"),
        (7384, "2 h 03 min"),
        (86_399.6, "1 d 0 h"),
        (timedelta(days=1200, hours=5), "1,200 d 5 h"),
    ],
)
def test_duration(span: timedelta | float | None, text: str) -> None:
    assert formats.duration(span) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=44), "just now"),
        (timedelta(seconds=46), "1 minute ago"),
        (timedelta(minutes=59, seconds=20), "59 minutes ago"),
        (timedelta(minutes=59, seconds=40), "1 hour ago"),
        (timedelta(hours=23, minutes=20), "23 hours ago"),
        (timedelta(hours=23, minutes=40), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_ago(before: timedelta, text: str) -> None:
    assert formats.ago(NOW - before, NOW) == text


def test_ago_of_what_never_was() -> None:
    assert formats.ago(None, NOW) == "–"


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (None, "2026-03-03 14:05:09"),
        ("Europe/Berlin", "2026-03-03 15:05:09"),
        ("No/Such", "2026-03-03 14:05:09"),
        ("../../etc/passwd", "2026-03-03 14:05:09"),
        ("", "2026-03-03 14:05:09"),
    ],
)
def test_moment(zone: str | None, text: str) -> None:
    assert formats.moment(NOW, zone) == text


def test_moment_of_what_never_was() -> None:
    assert formats.moment(None) == "–"


@pytest.mark.parametrize(
    ("text", "length", "short"),
    [
        ("short", 10, "short"),
        ("on two\nlines\tand  more", 60, "on two lines and more"),
        ("abcdefghijklmnopqrstuvwxyz", 10, "abcdef…xyz"),
        ("x" * 500, 60, "x" * 39 + "…" + "x" * 20),
    ],
)
def test_shorten(text: str, length: int, short: str) -> None:
    assert formats.shorten(text, length) == short
    assert len(short) <= length
