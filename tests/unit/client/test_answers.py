from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.errors import ApiError
from kubatch.api.resource import CONFIGMAPS, EVENTS_V1, NODES
from kubatch.client import answers

BOTH: list[Any] = [CONFIGMAPS, EVENTS_V1]
BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"%b}}}'
END = b',"annotations":{"k8s.io/initial-events-end":"true"}'


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"kind":1}', b"\xff"])
def test_what_has_no_kind(data: bytes) -> None:
    assert answers.kind_of(data) == ""


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"items":1}', b'{"items":[{"metadata":1}]}'])
def test_lists_that_cannot_be_read(data: bytes) -> None:
    for resource in BOTH:
        with pytest.raises(ApiError, match="cannot be read"):
            answers.page(resource, data)


@pytest.mark.parametrize("data", [b"{}", b'{"items":null}', b'{"metadata":{},"items":[]}'])
def test_lists_with_nothing_in_them(data: bytes) -> None:
    for resource in BOTH:
        assert answers.page(resource, data) == answers.ListPage([], "", "")


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"nonsense",
        b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"x"}}}',
        b'{"type":"ADDED","object":{"metadata":[]}}',
        b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"x"}}}',
    ],
)
def test_lines_that_cannot_be_read(line: bytes) -> None:
    with pytest.raises(ApiError, match="cannot be read"):
        answers.batch(NODES, [line], 1)


def test_bookmarks_move_a_watch_on() -> None:
    found = answers.batch(CONFIGMAPS, [BOOKMARK % (7, b""), BOOKMARK % (3, b"")], 5)
    assert found == answers.Batch([], 7, False)
    assert answers.batch(CONFIGMAPS, [BOOKMARK % (7, END)], 0) == answers.Batch([], 7, True)


@given(st.binary(max_size=600), st.integers(300, 599))
def test_any_bytes_make_an_error(data: bytes, code: int) -> None:
    error = answers.failure(code, data)
    assert error.code == code
    assert error.message
