"""The truce between client-side and server-side apply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubatch.api.fieldset import last_applied
from kubatch.api.fieldset.sets import contains
from tests.unit.api.fieldset.pods import POD, path, pod

APPLIED = {"apiVersion": "v1", "kind": "Pod", **pod(priority=1, hostname="h")}


def live(text: str | None, **spec: Any) -> dict[str, Any]:
    annotations = {} if text is None else {last_applied.ANNOTATION: text}
    return {"apiVersion": "v1", "kind": "Pod", **pod({"annotations": annotations}, **spec)}


def test_what_was_applied_and_is_still_so_may_be_taken_over() -> None:
    allowed = last_applied.allowed(POD, live(json.dumps(APPLIED), priority=1, hostname="x"), "v1")
    assert contains(allowed, path("spec", "priority"))
    assert not contains(allowed, path("spec", "hostname"))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        "[" * 100_000,
        json.dumps({**APPLIED, "apiVersion": "v2"}),
        json.dumps({**APPLIED, "foo": 1}),
    ],
)
def test_an_annotation_that_says_nothing_allows_nothing(text: str | None) -> None:
    assert last_applied.allowed(POD, live(text, priority=1), "v1") == {}


def test_the_annotation_follows_what_is_applied() -> None:
    intent = {"kind": "Pod", "apiVersion": "v1", **pod({"annotations": {"a": "<&>"}})}
    made = last_applied.refreshed(live("old"), intent)
    assert made["metadata"]["annotations"][last_applied.ANNOTATION] == (
        '{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"a":"\\u003c\\u0026\\u003e"},'
        '"name":"p"},"spec":{}}\n'
    )


def test_without_an_annotation_none_is_made() -> None:
    before = live(None)
    assert last_applied.refreshed(before, pod()) is before


def test_an_annotation_that_became_too_large_goes() -> None:
    intent = pod({"annotations": {"a": "x" * 300_000}})
    assert last_applied.ANNOTATION not in last_applied.refreshed(live("old"), intent)["metadata"]


def test_an_intent_without_annotations_is_what_was_applied() -> None:
    made = last_applied.refreshed(live("old"), pod())
    text = made["metadata"]["annotations"][last_applied.ANNOTATION]
    assert text == '{"metadata":{"name":"p"},"spec":{}}\n'
