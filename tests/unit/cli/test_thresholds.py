"""--eviction-hard."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kubatch.cli.main import Refused
from kubatch.cli.thresholds import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("none", {}),
        ("memory.available<1Gi", {"memory.available": "1Gi"}),
        (
            "nodefs.available<5%, pid.available<100",
            {"nodefs.available": "5%", "pid.available": "100"},
        ),
    ],
)
def test_what_is_understood(text: str | None, expected: Mapping[str, str] | None) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "memory<1Gi", "memory.available", "memory.available<x", "pid.available<-1",
             "nodefs.available<101%"],
)  # fmt: skip
def test_what_is_not(text: str) -> None:
    with pytest.raises(Refused, match="--eviction-hard"):
        parse(text)
