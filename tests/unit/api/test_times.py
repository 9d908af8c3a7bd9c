"""Times: what is read, and Go's words for what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.times import parse_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T03:30:45Z", datetime(2026, 11, 22, 3, 30, 45, tzinfo=UTC)),
        ("2026-11-22T03:30:45+00:00", datetime(2026, 11, 22, 3, 30, 45, tzinfo=UTC)),
        ("2026-11-22T05:30:45+02:00", datetime(2026, 11, 22, 3, 30, 45, tzinfo=UTC)),
        ("2026-11-21T22:00:45-05:30", datetime(2026, 11, 22, 3, 30, 45, tzinfo=UTC)),
        ("2026-11-22T03:30:45.5Z", datetime(2026, 11, 22, 3, 30, 45, 500000, tzinfo=UTC)),
        ("2026-11-22T03:30:45,123456789Z", datetime(2026, 11, 22, 3, 30, 45, 123456, tzinfo=UTC)),
    ],
)
def test_parse_time(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment


LAYOUT = "2006-01-02T15:04:05Z07:00"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("soon", f' as "{LAYOUT}": cannot parse "soon" as "2006"'),
        ("", f' as "{LAYOUT}": cannot parse "" as "2006"'),
        ("2026-01-01", f' as "{LAYOUT}": cannot parse "" as "T"'),
        ("2026-1-01T00:00:00Z", f' as "{LAYOUT}": cannot parse "1-01T00:00:00Z" as "01"'),
        ("2026-01-01T00:00:00", f' as "{LAYOUT}": cannot parse "" as "Z07:00"'),
        ("2026-01-01 00:00:00Z", f' as "{LAYOUT}": cannot parse " 00:00:00Z" as "T"'),
        ("2026-01-01T00:00:00Zx", ': extra text: "x"'),
        ("2026-13-01T00:00:00Z", ": month out of range"),
        ("2026-02-30T00:00:00Z", ": day out of range"),
        ("2026-01-01T24:00:00Z", ": hour out of range"),
        ("2026-01-01T00:60:00Z", ": minute out of range"),
        ("2026-01-01T00:00:60Z", ": second out of range"),
    ],
)
def test_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the whole message follows
        parse_time(text)
    assert str(raised.value) == f'parsing time "{text}"{why}'


def test_micro_times_name_their_own_layout() -> None:
    with pytest.raises(ValueError, match=r'as "2006-01-02T15:04:05\.000000Z07:00"'):
        parse_time("soon", micro=True)


@given(
    st.datetimes(
        datetime(1900, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
        timezones=st.integers(-12, 12).map(lambda h: timezone(timedelta(hours=h))),
    )
)
def test_what_python_writes_is_read(moment: datetime) -> None:
    assert parse_time(moment.isoformat()) == moment
