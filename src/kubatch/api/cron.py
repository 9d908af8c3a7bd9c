"""Cron schedules, as github.com/robfig/cron/v3 parses and steps through them (ParseStandard).

Five fields (minute, hour, day of month, month, day of week) or a descriptor such as `@daily` or
`@every 1h30m`. Errors carry robfig/cron's messages: people see them in validation answers.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kubatch.api.fields import show

# The search gives up after this many years: `59 23 31 2 *` never comes.
YEARS_AHEAD_MAX = 5
_MINUTE = timedelta(minutes=1)
_MONTHS = dict(
    zip(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        range(1, 13),
        strict=True,
    )
)
_DAYS = dict(zip(["sun", "mon", "tue", "wed", "thu", "fri", "sat"], range(7), strict=True))
_zone_prefix = re.compile(r"(?:CRON_)?TZ=").match
_integer = re.compile(r"[+-]?[0-9]+").fullmatch


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    names: dict[str, int]


_BOUNDS = (
    _Bounds(0, 59, {}),
    _Bounds(0, 23, {}),
    _Bounds(1, 31, {}),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _DAYS),
)


class Schedule(Protocol):
    """When something is due."""

    def next(self, after: datetime) -> datetime | None:
        """The first moment after the one given, in UTC; None when there is none."""
        ...

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """The last moment that next() reaches when it starts at `after` and never passes `until`.

        However many lie between, this takes no more steps than one next().
        """
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """`@every d`: counted from the moment given, never on the clock."""

    delay: timedelta

    def next(self, after: datetime) -> datetime | None:
        try:
            return after.astimezone(UTC).replace(microsecond=0) + self.delay
        except OverflowError:
            return None

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        first = self.next(after)
        if first is None or first > until:
            return None
        return first + (until - first) // self.delay * self.delay


@dataclass(frozen=True, slots=True)
class Fields:
    """Five sets of numbers and the zone whose wall clock they are about.

    With a star in either day field both must match, otherwise one is enough.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    days_starred: bool
    weekdays_starred: bool
    zone: tzinfo = UTC

    def _day_matches(self, local: datetime) -> bool:
        if local.month not in self.months:
            return False
        by_date = local.day in self.days
        by_weekday = (local.weekday() + 1) % 7 in self.weekdays
        if self.days_starred or self.weekdays_starred:
            return by_date and by_weekday
        return by_date or by_weekday

    @property
    def _empty(self) -> bool:
        return not (self.minutes and self.hours and self.months)

    def next(self, after: datetime) -> datetime | None:
        """Walks real instants, so a skipped hour is skipped and a repeated one comes twice."""
        if self._empty:
            return None
        try:
            moment = after.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
            year_max = moment.astimezone(self.zone).year + YEARS_AHEAD_MAX
            while True:
                local = moment.astimezone(self.zone)
                if local.year > year_max:
                    return None
                jumps = self._ahead(local)
                if not jumps:
                    return moment
                moment = self._jump(moment, local, jumps)
        except OverflowError:  # the end of the calendar
            return None

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """As next(), walking back from the end."""
        if self._empty:
            return None
        moment = until.astimezone(UTC).replace(second=0, microsecond=0)
        try:
            year_min = moment.astimezone(self.zone).year - YEARS_AHEAD_MAX
            while moment > after:
                local = moment.astimezone(self.zone)
                if local.year < year_min:
                    return None
                jumps = self._behind(local)
                if not jumps:
                    return moment
                moment = self._jump(moment, local, jumps)
        except OverflowError:
            return None
        return None

    def _ahead(self, local: datetime) -> tuple[int, ...]:
        """How many minutes pass without a match: several guesses, the longest first.

        Each holds while the clock is not changed; empty when this minute matches.
        """
        hour = 60 - local.minute
        if self._day_matches(local):
            if local.hour not in self.hours:
                there = next((h for h in range(local.hour + 1, 24) if h in self.hours), 24)
                return ((there - local.hour - 1) * 60 + hour, hour)
            if local.minute in self.minutes:
                return ()
            there = next((m for m in range(local.minute + 1, 60) if m in self.minutes), 60)
            return (there - local.minute,)
        day = (23 - local.hour) * 60 + hour
        if local.month in self.months:
            return (day, hour)
        days = monthrange(local.year, local.month)[1] - local.day
        return (days * 1440 + day, day, hour)

    def _behind(self, local: datetime) -> tuple[int, ...]:
        """As _ahead, to the last minute before this one that may match."""
        hour = -local.minute - 1
        if self._day_matches(local):
            if local.hour not in self.hours:
                there = next((h for h in range(local.hour - 1, -1, -1) if h in self.hours), -1)
                return ((there + 1 - local.hour) * 60 + hour, hour)
            if local.minute in self.minutes:
                return ()
            there = next((m for m in range(local.minute - 1, -1, -1) if m in self.minutes), -1)
            return (there - local.minute,)
        day = -local.hour * 60 + hour
        if local.month in self.months:
            return (day, hour)
        return ((1 - local.day) * 1440 + day, day, hour)

    def _jump(self, moment: datetime, local: datetime, jumps: tuple[int, ...]) -> datetime:
        """The first of these jumps, in minutes, in which the zone's offset stays what it is.

        When there is none, the clock is changed within the hour: one minute in their direction.
        """
        offset = local.utcoffset()
        for minutes in jumps:
            there = moment + timedelta(minutes=minutes)
            if there.astimezone(self.zone).utcoffset() == offset:
                return there
        return moment + (_MINUTE if jumps[0] > 0 else -_MINUTE)


# ----- parsing


@lru_cache(maxsize=1024)
def parse(schedule: str, time_zone: str | None = None) -> Schedule:
    """A schedule in a zone (UTC when absent). Raises ValueError with robfig/cron's message."""
    spec = schedule
    zone: tzinfo = zone_of(time_zone) if time_zone else UTC
    if not spec:
        raise ValueError("empty spec string")
    if prefix := _zone_prefix(spec):
        name, blank, spec = spec[prefix.end() :].partition(" ")
        if not blank:
            # The parser slices up to an index of -1, and Kubernetes reports the panic.
            raise ValueError(
                "invalid schedule format: runtime error: slice bounds out of range [:-1]"
            )
        try:
            zone = zone_of(name)
        except ValueError as error:
            raise ValueError(f"provided bad location {name}: {error}") from None
        spec = spec.strip()
    if spec.startswith("@"):
        return _descriptor(spec, zone)
    parts = spec.split()
    if len(parts) != len(_BOUNDS):
        listed = " ".join(parts)
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{listed}]")
    parsed = [_field(part, bounds) for part, bounds in zip(parts, _BOUNDS, strict=True)]
    (minutes, _), (hours, _), (days, day_star), (months, _), (weekdays, weekday_star) = parsed
    return Fields(minutes, hours, days, months, weekdays, day_star, weekday_star, zone)


def zone_of(name: str) -> tzinfo:
    """A zone of the database by its exact name. Raises ValueError with Go's message."""
    if name in ("", "UTC"):
        return UTC
    if name == "Local":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name}") from None


def _field(text: str, bounds: _Bounds) -> tuple[frozenset[int], bool]:
    """The numbers a field names, and whether a star stands for all of them."""
    numbers: set[int] = set()
    starred = False
    for item in text.split(","):
        if item:
            found, star = _item(item, bounds)
            numbers.update(found)
            starred = starred or star
    return frozenset(numbers), starred


def _item(item: str, bounds: _Bounds) -> tuple[range, bool]:
    """`*`, N, N-M, each with an optional /step (robfig/cron: getRange)."""
    body, *steps = item.split("/")
    ends = body.split("-")
    starred = ends[0] in ("*", "?")
    single = len(ends) == 1
    if starred:
        first, last = bounds.low, bounds.high
    else:
        first = _number_or_name(ends[0], bounds)
        if len(ends) > 2:
            raise ValueError(f"too many hyphens: {item}")
        last = first if single else _number_or_name(ends[1], bounds)
    step = 1
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {item}")
    if steps:
        step = _number(steps[0])
        # `N/step` means from N to the end.
        if single:
            last = bounds.high
        if step > 1:
            starred = False
    if first < bounds.low:
        raise ValueError(f"beginning of range ({first}) below minimum ({bounds.low}): {item}")
    if last > bounds.high:
        raise ValueError(f"end of range ({last}) above maximum ({bounds.high}): {item}")
    if first > last:
        raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {item}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {item}")
    return range(first, last + 1, step), starred


def _number_or_name(text: str, bounds: _Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _number(text) if named is None else named


def _number(text: str) -> int:
    if not _integer(text):
        raise ValueError(
            f"failed to parse int from {text}: strconv.Atoi: parsing {show(text)}: invalid syntax"
        )
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(
            f"failed to parse int from {text}: strconv.Atoi: parsing {show(text)}: value out of "
            "range"
        )
    if value < 0:
        raise ValueError(f"negative number ({value}) not allowed: {text}")
    return value


_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "


def _descriptor(text: str, zone: tzinfo) -> Schedule:
    spec = _DESCRIPTORS.get(text)
    if spec is not None:
        sets = [_field(part, bounds) for part, bounds in zip(spec.split(), _BOUNDS, strict=True)]
        (minutes, _), (hours, _), (days, day_star), (months, _), (weekdays, weekday_star) = sets
        return Fields(minutes, hours, days, months, weekdays, day_star, weekday_star, zone)
    if text.startswith(_EVERY):
        try:
            nanoseconds = go_duration(text[len(_EVERY) :])
        except ValueError as error:
            raise ValueError(f"failed to parse duration {text}: {error}") from None
        # Shorter than a second, or negative, is a second; fractions are dropped (Every).
        return Every(timedelta(seconds=max(1, nanoseconds // 10**9)))
    raise ValueError(f"unrecognized descriptor: {text}")


_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_duration_part = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)").match


def go_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as `1h30m`. Raises ValueError (time.ParseDuration)."""
    rest = text
    sign = -1 if rest.startswith("-") else 1
    if rest[:1] in ("-", "+"):
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {show(text)}")
    total = 0
    while rest:
        match = _duration_part(rest)
        assert match is not None, "every part of the expression may be empty"
        whole, fraction, unit = match.groups()
        if not whole and not fraction:
            raise ValueError(f"time: invalid duration {show(text)}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {show(text)}")
        if unit not in _UNITS:
            raise ValueError(f"time: unknown unit {show(unit)} in duration {show(text)}")
        scale = _UNITS[unit]
        total += int(whole or 0) * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        if total >= 2**63:
            raise ValueError(f"time: invalid duration {show(text)}")
        rest = rest[match.end() :]
    return sign * total
