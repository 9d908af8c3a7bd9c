"""Durations as kubectl prints them (apimachinery/pkg/util/duration/duration.go)."""

from __future__ import annotations

from datetime import datetime

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365


def human_duration(seconds: float) -> str:
    """A duration in at most two units, the coarser the longer it is.

    As HumanDuration: below two minutes in seconds, below ten minutes `3m20s`, and so on to years.
    """
    s = int(seconds)
    if s < -1:
        return "<invalid>"
    if s < 0:
        return "0s"
    if s < 2 * MINUTE:
        return f"{s}s"
    if s < 10 * MINUTE:
        return _pair(s // MINUTE, "m", s % MINUTE, "s")
    if s < 3 * HOUR:
        return f"{s // MINUTE}m"
    if s < 8 * HOUR:
        return _pair(s // HOUR, "h", s % HOUR // MINUTE, "m")
    if s < 2 * DAY:
        return f"{s // HOUR}h"
    if s < 8 * DAY:
        return _pair(s // DAY, "d", s % DAY // HOUR, "h")
    if s < 2 * YEAR:
        return f"{s // DAY}d"
    if s < 8 * YEAR:
        return _pair(s // YEAR, "y", s % YEAR // DAY, "d")
    return f"{s // YEAR}y"


def _pair(coarse: int, coarse_unit: str, fine: int, fine_unit: str) -> str:
    return f"{coarse}{coarse_unit}{fine}{fine_unit}" if fine else f"{coarse}{coarse_unit}"


def age(since: datetime | None, now: datetime) -> str:
    """The AGE column: how long ago, or <unknown>."""
    return "<unknown>" if since is None else human_duration((now - since).total_seconds())
