"""The table of the Job's edge cases names tests, and they are there."""

from __future__ import annotations

import re
from functools import cache

from tests.tidy import sources

CASES = 59
KINDS = ("kubectl", "recovery", "sim", "unit")


def rows() -> list[tuple[int, str]]:
    """Number and last column of each row."""
    text = (sources.ROOT / "docs" / "job-edge-cases.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+) \|[^|]+\|[^|]+\| ([^|]+) \|$", text, re.MULTILINE)
    return [(int(number), held_by) for number, held_by in found]


@cache
def named_in(kind: str) -> set[str]:
    """The names of all tests in a folder of tests."""
    names = (
        name.partition(": ")[2]
        for path in sources.python_files(f"tests/{kind}")
        for name, _ in sources.functions(path)
    )
    return {name for name in names if name.startswith("test_")}


def test_the_cases_are_numbered() -> None:
    assert [number for number, _ in rows()] == list(range(1, CASES + 1))


def test_every_case_is_held_by_tests_that_exist() -> None:
    missing = []
    for number, held_by in rows():
        kind = ""
        words = re.findall(r"`?\w+`?", held_by)
        assert any(word.startswith("`") for word in words), number
        for word in words:
            if word.startswith("`"):
                name = word.strip("`")
                missing += [] if name in named_in(kind) else [f"{number}: {kind} {name}"]
            else:
                kind = word
                assert kind in KINDS, number
    assert missing == []


def test_every_numbered_test_is_in_the_table() -> None:
    listed = {name for _, held_by in rows() for name in re.findall(r"`(\w+)`", held_by)}
    numbered = {name for name in named_in("unit/controllers/job") if re.match(r"test_\d", name)}
    assert sorted(numbered - listed) == []
