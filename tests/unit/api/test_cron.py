"""Cron schedules: the grammar, its errors, and the next time, daylight saving included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubatch.api.cron import Every, Fields, go_duration, parse

ERRORS = [
    ("", "empty spec string"),
    ("error", "expected exactly 5 fields, found 1: [error]"),
    ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
    ("60 * * * *", "end of range (60) above maximum (59): 60"),
    ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
    ("* * * * 7", "end of range (7) above maximum (6): 7"),
    ("* * * * fri-mon", "beginning of range (5) beyond end of range (1): fri-mon"),
    ("*/0 * * * *", "step of range should be a positive number: */0"),
    ("-1 * * * *", 'failed to parse int from : strconv.Atoi: parsing "": invalid syntax'),
    ("*/-1 * * * *", "negative number (-1) not allowed: -1"),
    ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
    ("1/2/3 * * * *", "too many slashes: 1/2/3"),
    (
        "9223372036854775808 * * * *",
        "failed to parse int from 9223372036854775808: strconv.Atoi: parsing "
        '"9223372036854775808": value out of range',
    ),
    ("@every -", 'failed to parse duration @every -: time: invalid duration "-"'),
    ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
    ("@foo", "unrecognized descriptor: @foo"),
    ("@Daily", "unrecognized descriptor: @Daily"),
    ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
    ("@every 1", 'failed to parse duration @every 1: time: missing unit in duration "1"'),
    (
        "@every 1y",
        'failed to parse duration @every 1y: time: unknown unit "y" in duration "1y"',
    ),
    ("TZ=Nope/Z * * * * *", "provided bad location Nope/Z: unknown time zone Nope/Z"),
    ("TZ=0", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
]


@pytest.mark.parametrize(("schedule", "error"), ERRORS)
def test_errors(schedule: str, error: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        parse(schedule)
    assert str(caught.value) == error


def fields(schedule: str) -> Fields:
    parsed = parse(schedule)
    assert isinstance(parsed, Fields)
    return parsed


def test_grammar() -> None:
    assert fields("5/20 * * * *").minutes == {5, 25, 45}
    assert fields("1-10/3,50 * * * *").minutes == {1, 4, 7, 10, 50}
    assert fields("+5 * * * *").minutes == {5}
    assert fields("0/99 * * * *").minutes == {0}
    assert fields("* * * JAN-mar *").months == {1, 2, 3}
    assert fields("* * * * Sun,6").weekdays == {0, 6}
    assert fields("*-5 * * * *").minutes == set(range(60))
    assert fields(", * * * *").minutes == set()
    assert fields("\t0  0 * * * ") == fields("@daily")
    assert fields("? ? ? ? ?") == fields("* * * * *")
    starred = fields("* * */1 * */2")
    assert (starred.days_starred, starred.weekdays_starred) == (True, False)
    assert not fields("* * 1-31 * *").days_starred


AFTER = datetime(2026, 5, 1, 12, 0, 30, 500, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        ("* * * * *", None, "2026-05-01T12:01Z"),
        ("0 12 * * *", None, "2026-05-02T12:00Z"),
        ("0 0 13 * 5", None, "2026-05-08T00:00Z"),  # a Friday or a 13th
        ("0 0 */2 * 5", None, "2026-05-03T00:00Z"),
        ("0 0 13 * *", None, "2026-05-13T00:00Z"),
        ("0 0 29 2 *", None, "2028-02-29T00:00Z"),
        ("@weekly", None, "2026-05-03T00:00Z"),
        ("30 9 * * *", "Asia/Kolkata", "2026-05-02T04:00Z"),
        ("TZ=Asia/Kolkata 30 9 * * *", "America/New_York", "2026-05-02T04:00Z"),
    ],
)
def test_next(schedule: str, zone: str | None, expected: str) -> None:
    found = parse(schedule, zone).next(AFTER)
    assert found == datetime.fromisoformat(expected)


@pytest.mark.parametrize("schedule", ["59 23 31 2 *", ", * * * *", "* , * * *", "* * * , *"])
def test_never(schedule: str) -> None:
    assert parse(schedule).next(AFTER) is None


def runs(schedule: str, zone: str, start: str, count: int) -> list[str]:
    parsed, moment = parse(schedule, zone), datetime.fromisoformat(start)
    found = []
    for _ in range(count):
        following = parsed.next(moment)
        assert following is not None
        moment = following
        found.append(f"{moment:%m-%dT%H:%M}")
    return found


def test_daylight_saving() -> None:
    york = "America/New_York"
    # 02:30 does not exist on March 8; 01:30 comes twice on November 1.
    assert runs("30 2 * * *", york, "2026-03-07T12:00Z", 2) == ["03-09T06:30", "03-10T06:30"]
    assert runs("30 1 * * *", york, "2026-11-01T00:00Z", 3) == [
        "11-01T05:30",
        "11-01T06:30",
        "11-02T06:30",
    ]
    assert runs("0 2 * * *", york, "2026-11-01T00:00Z", 2) == ["11-01T07:00", "11-02T07:00"]
    assert runs("0 * * * *", york, "2026-03-08T05:30Z", 3) == [
        "03-08T06:00",
        "03-08T07:00",
        "03-08T08:00",
    ]


# ----- a slow obvious twin: look at every minute

ZONES = [
    "UTC",
    "Africa/Cairo",  # clocks change at midnight
    "Africa/Casablanca",  # twice more around Ramadan
    "America/Havana",  # at midnight, and back to it
    "America/New_York",
    "America/Nuuk",  # before midnight; another offset since 2023
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Tehran",  # no more since 2022
    "Atlantic/Azores",  # across midnight
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Chatham",
]
MINUTE = timedelta(minutes=1)


@cache
def changes(zone: str) -> list[datetime]:
    """Every hour from 2020 to 2030 in which a zone's clock is changed."""
    info, found = ZoneInfo(zone), []
    day = datetime(2020, 1, 1, tzinfo=UTC)
    while day.year < 2031:
        if day.astimezone(info).utcoffset() != (day + timedelta(1)).astimezone(info).utcoffset():
            hours = (day + timedelta(hours=h) for h in range(24))
            found += [
                h
                for h in hours
                if h.astimezone(info).utcoffset()
                != (h + timedelta(hours=1)).astimezone(info).utcoffset()
            ]
        day += timedelta(1)
    return found or [datetime(2026, 1, 1, tzinfo=UTC)]


def matches(schedule: Fields, moment: datetime) -> bool:
    local = moment.astimezone(schedule.zone)
    by_date = local.day in schedule.days
    by_weekday = local.isoweekday() % 7 in schedule.weekdays
    both = schedule.days_starred or schedule.weekdays_starred
    return (
        ((by_date and by_weekday) if both else (by_date or by_weekday))
        and local.month in schedule.months
        and local.hour in schedule.hours
        and local.minute in schedule.minutes
    )


def scan(schedule: Fields, after: datetime, days: int) -> datetime | None:
    moment = after.replace(second=0, microsecond=0) + MINUTE
    for _ in range(days * 1440):
        if matches(schedule, moment):
            return moment
        moment += MINUTE
    return None


def scan_back(schedule: Fields, after: datetime, until: datetime) -> datetime | None:
    moment = until.replace(second=0, microsecond=0)
    while moment > after:
        if matches(schedule, moment):
            return moment
        moment -= MINUTE
    return None


@st.composite
def around_a_change(draw: st.DrawFn) -> tuple[Fields, datetime]:
    """A schedule, and a moment less than a day and a half before some clock's change."""
    words = [
        draw(st.sampled_from(["*", "0", "30", "*/17", "59", "1-3"])),
        draw(st.sampled_from(["*", "0", "2", "1-3", "*/5", "23", "0,23"])),
        draw(st.sampled_from(["*", "*/2", "1-31", "8,26"])),
        draw(st.sampled_from(["*", "*", "3,4,10,11"])),
        draw(st.sampled_from(["*", "0", "1-5"])),
    ]
    zone = draw(st.sampled_from(ZONES))
    change = draw(st.sampled_from(changes(zone)))
    early = timedelta(minutes=draw(st.integers(0, 2200)), seconds=draw(st.integers(0, 59)))
    parsed = parse(" ".join(words), zone)
    assert isinstance(parsed, Fields)
    return parsed, change - early


@settings(max_examples=50, deadline=None)
@given(around_a_change())
def test_next_is_the_first_minute_that_matches(case: tuple[Fields, datetime]) -> None:
    schedule, after = case
    expected, found = scan(schedule, after, 4), schedule.next(after)
    if expected is None:
        assert found is None or found > after + timedelta(days=4)
    else:
        assert found == expected


@settings(max_examples=50, deadline=None)
@given(around_a_change(), st.integers(-10, 4000))
def test_latest_is_the_last_minute_that_matches(
    case: tuple[Fields, datetime], minutes: int
) -> None:
    schedule, after = case
    until = after + timedelta(minutes=minutes)
    assert schedule.latest(after, until) == scan_back(schedule, after, until)


@settings(max_examples=50)
@given(st.integers(1, 5000), st.integers(-10, 50_000), st.integers(0, 999_999))
def test_the_latest_of_every_so_often(seconds: int, later: int, microsecond: int) -> None:
    every = Every(timedelta(seconds=seconds))
    after = AFTER.replace(microsecond=microsecond)
    until = after + timedelta(seconds=later)
    step: datetime | None = every.next(after)
    expected = None
    while step is not None and step <= until:
        expected, step = step, every.next(step)
    assert every.latest(after, until) == expected


@pytest.mark.parametrize("schedule", ["59 23 31 2 *", ", * * * *", "* , * * *"])
def test_never_before(schedule: str) -> None:
    assert parse(schedule).latest(datetime.min.replace(tzinfo=UTC), AFTER) is None


@pytest.mark.parametrize("schedule", ["0 0 29 2 *", "* * * * *", "@every 1h", "59 23 31 2 *"])
def test_the_ends_of_the_calendar(schedule: str) -> None:
    """Somebody may write any time into a status."""
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    parsed = parse(schedule, "Asia/Tokyo")
    assert parsed.next(last) is None
    west = parse(schedule, "America/New_York")
    assert west.latest(first, first + timedelta(hours=1)) in (None, first + timedelta(hours=1))
    assert parsed.latest(last, first) is None
    for moment in (first, last - timedelta(days=1)):
        found = parsed.next(moment)
        assert found is None or found > moment


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400),
        ("90s", 90),
        ("1.9s", 1),
        ("100ms", 1),
        ("-5m", 1),
        ("0", 1),
        ("1h0.5m", 3630),
    ],
)
def test_every(text: str, seconds: int) -> None:
    every = parse(f"@every {text}")
    assert every == Every(timedelta(seconds=seconds))
    assert every.next(AFTER) == AFTER.replace(microsecond=0) + timedelta(seconds=seconds)


def test_durations() -> None:
    assert go_duration("1µs2ns") == 1002
    assert go_duration(".5s") == 500_000_000
    with pytest.raises(ValueError, match="time: invalid duration"):
        go_duration(".s")
    with pytest.raises(ValueError, match="time: invalid duration"):
        go_duration("9999999999h")


def test_zones_are_those_of_the_database() -> None:
    assert fields("* * * * *").zone is UTC
    assert fields("TZ=Local * * * * *").zone is UTC, "a server's own zone is UTC"
    parsed = parse("* * * * *", "Europe/Berlin")
    assert isinstance(parsed, Fields)
    assert parsed.zone == ZoneInfo("Europe/Berlin")
