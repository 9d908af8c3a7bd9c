"""Times as Kubernetes reads them: RFC 3339, with Go's errors.

metav1.Time and metav1.MicroTime both parse with Go's time.Parse, whose errors say which part of
the layout could not be found where (time/format.go: ParseError).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

SECONDS_LAYOUT = "2006-01-02T15:04:05Z07:00"
MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"

# The layout's elements with what each of them accepts.
_ELEMENTS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d{2}"),
    ("-", "-"),
    ("02", r"\d{2}"),
    ("T", "T"),
    ("15", r"\d{2}"),
    (":", ":"),
    ("04", r"\d{2}"),
    (":", ":"),
    ("05", r"\d{2}(?:[.,]\d+)?"),
    ("Z07:00", r"Z|[+-]\d{2}:\d{2}"),
)
_PATTERN = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:\d{2})", re.ASCII
)


def parse_time(text: str, *, micro: bool = False) -> datetime:
    """The moment a text names, to the microsecond. Raises ValueError with Go's message.

    micro: the text belongs to a MicroTime. The reader takes any number of decimals either way;
    only the message names the other layout.
    """
    layout = MICRO_LAYOUT if micro else SECONDS_LAYOUT
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(_mismatch(text, layout))
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    try:
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond,
            tzinfo=_zone(zone),
        )  # fmt: skip
    except ValueError:
        out = _out_of_range(int(month), int(hour), int(minute), int(second))
        raise ValueError(f'parsing time "{text}": {out} out of range') from None


def _zone(text: str) -> timezone:
    if text == "Z":
        return timezone.utc  # noqa: UP017 - a plain name, in a line that builds others
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _out_of_range(month: int, hour: int, minute: int, second: int) -> str:
    for name, value, low, high in (
        ("month", month, 1, 12),
        ("hour", hour, 0, 23),
        ("minute", minute, 0, 59),
        ("second", second, 0, 59),
    ):
        if not low <= value <= high:
            return name
    return "day"


def _mismatch(text: str, layout: str) -> str:
    rest = text
    for element, pattern in _ELEMENTS:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{element}"'
        rest = rest[match.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'
