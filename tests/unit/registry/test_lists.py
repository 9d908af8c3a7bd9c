"""What lists ask for, and how continue tokens are read."""

from __future__ import annotations

import base64

import pytest

from kubatch.api.errors import ApiError
from kubatch.registry.lists import Token, check_match, decode_token, parse_revision
from kubatch.registry.values import ListRequest


def token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_token_is_read_as_it_was_made() -> None:
    made = Token("/batch/jobs/default/a", 41)
    assert decode_token(made.encode()) == made


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "!!!!",
        token("["),
        token("[]"),
        token('{"v": "meta.k8s.io/v1", "rv": 1}'),
        token('{"v": "meta.k8s.io/v1", "rv": 1, "start": 2}'),
        token('{"v": "meta.k8s.io/v2", "rv": 1, "start": "a"}'),
        token('{"v": "meta.k8s.io/v1", "rv": "one", "start": "a"}'),
    ],
)
def test_any_other_text_is_no_token(text: str) -> None:
    with pytest.raises(ApiError, match="continue key is not valid") as raised:
        decode_token(text)
    assert raised.value.code == 400


@pytest.mark.parametrize(
    ("text", "revision"), [("", None), ("0", 0), ("007", 7), (str(2**64 - 1), 2**64 - 1)]
)
def test_revisions(text: str, revision: int | None) -> None:
    assert parse_revision(text) == revision


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-1", "invalid syntax"),
        ("x", "invalid syntax"),
        ("\u0663", "invalid syntax"),
        (str(2**64), "value out of range"),
        ("9" * 5000, "value out of range"),
    ],
)
def test_what_is_no_revision(text: str, why: str) -> None:
    with pytest.raises(ApiError, match=why) as raised:
        parse_revision(text)
    assert raised.value.code == 400


@pytest.mark.parametrize(
    ("match", "revision", "continued", "why"),
    [
        ("", "", "", ""),
        ("Exact", "5", "", ""),
        ("NotOlderThan", "0", "", ""),
        ("Near", "5", "", 'supported values: "Exact", "NotOlderThan", ""'),
        ("Exact", "", "", "forbidden unless resourceVersion is provided"),
        ("Exact", "0", "", 'forbidden for resourceVersion "0"'),
        ("NotOlderThan", "5", "x", "forbidden when continue is provided"),
    ],
)
def test_how_a_revision_must_match(match: str, revision: str, continued: str, why: str) -> None:
    request = ListRequest(
        resource_version=revision, resource_version_match=match, continue_token=continued
    )
    if not why:
        check_match(request)
        return
    with pytest.raises(ApiError) as raised:
        check_match(request)
    assert raised.value.code == 422
    assert why in raised.value.message
