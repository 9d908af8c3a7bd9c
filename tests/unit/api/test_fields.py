"""Field paths and the texts of what validation finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import fields
from kubatch.api.errors import Cause
from kubatch.api.models import ObjectMeta


def test_paths() -> None:
    assert fields.child("spec", "template", "spec") == "spec.template.spec"
    assert fields.child("", "spec") == "spec"
    assert fields.index("spec.containers", 0) == "spec.containers[0]"
    assert fields.key("metadata.labels", "a/b") == "metadata.labels[a/b]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", '"x"'),
        ('a"b', '"a\\"b"'),
        ("ä", '"ä"'),
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (["a"], '["a"]'),
        ({"a": 1}, '{"a":1}'),
        ({"b": {"d": 1, "c": 2}, "a": 1}, '{"a":1,"b":{"c":2,"d":1}}'),
        (fields.Members(b=[{"d": 1, "c": 2}], a=1), '{"b":[{"c":2,"d":1}],"a":1}'),
        (
            ObjectMeta(name="x", labels={"b": "1", "a": "2"}),
            '{"labels":{"a":"2","b":"1"},"name":"x"}',
        ),
        ('"\\\a\b\f\n\r\t\v', r'"\"\\\a\b\f\n\r\t\v"'),
        ("é\x00\x7f\u200b\U000e0001", r'"é\x00\x7f\u200b\U000e0001"'),
    ],
)
def test_show(value: Any, shown: str) -> None:
    assert fields.show(value) == shown


@given(st.text(st.characters(min_codepoint=1, max_codepoint=0x7E)))
def test_quoted_text_reads_back(text: str) -> None:
    """Go's escapes are Python's, as far as ASCII goes."""
    quoted = fields.quote(text)
    assert quoted.encode().decode("unicode_escape")[1:-1] == text
    assert quoted.isprintable()


@pytest.mark.parametrize(
    ("cause", "reason", "message"),
    [
        (fields.invalid("p", -1, "must be x"), "Invalid", "Invalid value: -1: must be x"),
        (fields.required("p"), "Required", "Required value"),
        (fields.required("p", "name it"), "Required", "Required value: name it"),
        (
            fields.not_supported("p", "x", ["A", "B"]),
            "NotSupported",
            'Unsupported value: "x": supported values: "A", "B"',
        ),
        (fields.forbidden("p", "no"), "Forbidden", "Forbidden: no"),
        (fields.duplicate("p", "x"), "Duplicate", 'Duplicate value: "x"'),
        (fields.too_long("p", 63), "TooLong", "Too long: may not be more than 63 bytes"),
        (fields.too_many("p", 9, 8), "TooMany", "Too many: 9: must have at most 8 items"),
        (fields.not_found("p", "x"), "NotFound", 'Not found: "x"'),
    ],
)
def test_causes(cause: Cause, reason: str, message: str) -> None:
    assert cause == Cause(f"FieldValue{reason}", message, "p")
