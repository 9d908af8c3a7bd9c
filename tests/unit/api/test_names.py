"""Names and labels: what is refused, and in which words."""

from __future__ import annotations

import pytest

from kubatch.api.names import label_key_errors, label_value_errors, subdomain_errors


@pytest.mark.parametrize("text", ["a", "1-a", "a.b", "a_b", "A", "example.com/a", "x" * 63])
def test_label_key_accepted(text: str) -> None:
    assert label_key_errors(text) == ()


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("", ["name part must be non-empty", "name part must consist of alphanumeric"]),
        ("x" * 64, ["name part must be no more than 63 bytes"]),
        ("-a", ["name part must consist of alphanumeric characters, '-', '_' or '.', and"]),
        ("/a", ["prefix part must be non-empty"]),
        ("A/a", ["prefix part a lowercase RFC 1123 subdomain must consist of lower case"]),
        ("a/b/c", ["a valid label key must consist of alphanumeric characters"]),
        ("a/", ["name part must be non-empty", "name part must consist of"]),
    ],
)
def test_label_key_refused(text: str, starts: list[str]) -> None:
    errors = label_key_errors(text)
    assert len(errors) == len(starts)
    assert all(e.startswith(s) for e, s in zip(errors, starts, strict=True))


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("a", 0), ("a b", 1), ("ä", 1), ("-" * 64, 2), ("x" * 64, 1)]
)
def test_label_value(text: str, count: int) -> None:
    assert len(label_value_errors(text)) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [("a", 0), ("a.b-c", 0), ("a..b", 1), ("A", 1), ("a.", 1), ("", 1), ("a" * 254, 1)],
)
def test_subdomain(text: str, count: int) -> None:
    assert len(subdomain_errors(text)) == count
