"""Durations as kubectl prints them (apimachinery/pkg/util/duration/duration_test.go)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kubatch.registry.age import age, human_duration

S, M, H, D, Y = 1, 60, 3600, 86400, 365 * 86400
MS = 0.001


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2 * S, "<invalid>"),
        (-2 * S + MS, "0s"),
        (0, "0s"),
        (S - MS, "0s"),
        (S, "1s"),
        (70 * S, "70s"),
        (2 * M - MS, "119s"),
        (2 * M, "2m"),
        (2 * M + S, "2m1s"),
        (190 * S, "3m10s"),
        (10 * M - MS, "9m59s"),
        (10 * M, "10m"),
        (10 * M + S, "10m"),
        (70 * M, "70m"),
        (3 * H - MS, "179m"),
        (3 * H, "3h"),
        (3 * H + M, "3h1m"),
        (8 * H - MS, "7h59m"),
        (8 * H, "8h"),
        (8 * H + 59 * M, "8h"),
        (47 * H, "47h"),
        (2 * D - MS, "47h"),
        (2 * D, "2d"),
        (2 * D + H, "2d1h"),
        (8 * D - MS, "7d23h"),
        (8 * D, "8d"),
        (8 * D + 23 * H, "8d"),
        (367 * D, "367d"),
        (2 * Y - MS, "729d"),
        (2 * Y, "2y"),
        (2 * Y + 23 * H + 59 * M, "2y"),
        (2 * Y + D, "2y1d"),
        (3 * Y, "3y"),
        (8 * Y - MS, "7y364d"),
        (8 * Y, "8y"),
        (8 * Y + 364 * D, "8y"),
        (9 * Y, "9y"),
    ],
)
def test_human_duration(seconds: float, shown: str) -> None:
    assert human_duration(seconds) == shown


def test_age_counts_from_a_moment() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert age(now - timedelta(minutes=5, seconds=3), now) == "5m3s"
    assert age(None, now) == "<unknown>"
