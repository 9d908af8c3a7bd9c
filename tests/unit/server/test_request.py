"""Paths and queries, taken apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api.errors import ApiError
from kubatch.server import request
from kubatch.server.request import parse


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/namespaces/d/pods", ("list", "", "v1", "pods", "d", "", "")),
        ("GET", "/api/v1/namespaces/d/pods/", ("list", "", "v1", "pods", "d", "", "")),
        ("GET", "/api/v1/pods", ("list", "", "v1", "pods", None, "", "")),
        ("GET", "/api/v1/pods?watch=true", ("watch", "", "v1", "pods", None, "", "")),
        ("GET", "/api/v1/pods?watch=1", ("watch", "", "v1", "pods", None, "", "")),
        ("GET", "/api/v1/pods?watch=0", ("list", "", "v1", "pods", None, "", "")),
        ("GET", "/api/v1/namespaces/d/pods/p", ("get", "", "v1", "pods", "d", "p", "")),
        (
            "GET",
            "/api/v1/namespaces/d/pods/p?watch=true",
            ("get", "", "v1", "pods", "d", "p", ""),
        ),
        ("GET", "/api/v1/namespaces/d/pods/p/log", ("get", "", "v1", "pods", "d", "p", "log")),
        (
            "POST",
            "/apis/batch/v1/namespaces/d/jobs",
            ("create", "batch", "v1", "jobs", "d", "", ""),
        ),
        (
            "PUT",
            "/apis/batch/v1/namespaces/d/jobs/j/status",
            ("update", "batch", "v1", "jobs", "d", "j", "status"),
        ),
        (
            "PATCH",
            "/apis/batch/v1/namespaces/d/jobs/j",
            ("patch", "batch", "v1", "jobs", "d", "j", ""),
        ),
        ("DELETE", "/api/v1/namespaces/d/pods/p", ("delete", "", "v1", "pods", "d", "p", "")),
        (
            "DELETE",
            "/api/v1/namespaces/d/pods",
            ("deletecollection", "", "v1", "pods", "d", "", ""),
        ),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "namespaces", None, "", "")),
        ("GET", "/api/v1/namespaces/d", ("get", "", "v1", "namespaces", "d", "d", "")),
        (
            "PUT",
            "/api/v1/namespaces/d/finalize",
            ("update", "", "v1", "namespaces", "d", "d", "finalize"),
        ),
        (
            "GET",
            "/api/v1/namespaces/d/status",
            ("get", "", "v1", "namespaces", "d", "d", "status"),
        ),
        ("GET", "/api/v1/nodes/n/status", ("get", "", "v1", "nodes", None, "n", "status")),
        ("GET", "/api/v1/watch/pods", ("watch", "", "v1", "pods", None, "", "")),
        (
            "GET",
            "/api/v1/watch/namespaces/d/pods/p",
            ("watch", "", "v1", "pods", "d", "p", ""),
        ),
        (
            "GET",
            "/apis/batch/v1/watch/namespaces/d/jobs",
            ("watch", "batch", "v1", "jobs", "d", "", ""),
        ),
        ("OPTIONS", "/api/v1/pods", ("", "", "v1", "pods", None, "", "")),
        ("GET", "/api/v1/namespaces/a%2Db/pods", ("list", "", "v1", "pods", "a-b", "", "")),
    ],
)
def test_a_resource_path(method: str, target: str, expected: tuple[Any, ...]) -> None:
    info = parse(method, target)
    found = (
        info.verb, info.group, info.version, info.resource,
        info.namespace, info.name, info.subresource,
    )  # fmt: skip
    assert info.is_resource
    assert found == expected


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/version/", "/version"),
        ("/api", "/api"),
        ("/api/", "/api"),
        ("/api/v1", "/api/v1"),
        ("/api/v1/", "/api/v1"),
        ("/apis", "/apis"),
        ("/apis/batch", "/apis/batch"),
        ("/apis/batch/v1/", "/apis/batch/v1"),
        ("/readyz/ping?verbose", "/readyz/ping"),
        ("/openapi/v3/apis/batch/v1?hash=X", "/openapi/v3/apis/batch/v1"),
    ],
)
def test_another_path(target: str, path: str) -> None:
    info = parse("GET", target)
    assert not info.is_resource
    assert (info.path, info.verb) == (path, "get")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("batch/jobs/d/j", ("batch", "jobs", "d", "j")),
        ("core/pods/d/p", ("", "pods", "d", "p")),
        ("core/nodes/n", ("", "nodes", None, "n")),
        ("core/nodes", None),
        ("batch/jobs/d/j/more", None),
    ],
)
def test_a_question_why_counts_as_reading_the_object(
    target: str, expected: tuple[Any, ...] | None
) -> None:
    path = f"/kubatch.dev/v1/explain/{target}"
    info = request.explained(parse("GET", path))
    found = info and (info.group, info.resource, info.namespace, info.name)
    assert found == expected
    assert info is None or (info.verb, info.path, info.is_resource) == ("get", path, True)
    assert request.explained(parse("POST", path)) is None
    assert request.explained(parse("GET", "/version")) is None


@pytest.mark.slow
@given(st.text(max_size=60), st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "X"]))
def test_any_target_can_be_taken_apart(tail: str, method: str) -> None:
    for prefix in ("/", "/api/v1/", "/apis/batch/v1/namespaces/"):
        info = parse(method, prefix + tail)
        assert info.path.startswith("/")
        assert not info.name or info.is_resource


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", False),
        ("?follow", True),
        ("?follow=", True),
        ("?follow=true", True),
        ("?follow=maybe", True),
        ("?follow=false", False),
        ("?follow=False", False),
        ("?follow=0", False),
    ],
)
def test_a_boolean(query: str, expected: bool) -> None:
    assert request.flag(parse("GET", "/x" + query).query, "follow") is expected


def refused(query: str, **options: Any) -> ApiError:
    kind = options.pop("kind")
    values = parse("GET", "/x?" + query).query
    read: Callable[[], object] = {
        "ListOptions": lambda: request.list_options(values, **options),
        "log": lambda: request.log_options(values, "p1"),
    }.get(kind, lambda: request.write_options(values, kind, **options))
    with pytest.raises(ApiError) as raised:
        read()
    return raised.value


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("limit=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
        (
            "timeoutSeconds=-9223372036854775809",
            400,
            'strconv.ParseInt: parsing "-9223372036854775809": value out of range',
        ),
        (
            "sendInitialEvents=true",
            422,
            'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: '
            "sendInitialEvents is forbidden for list",
        ),
    ],
)
def test_a_list_is_refused(query: str, code: int, message: str) -> None:
    error = refused(query, kind="ListOptions", watch=False)
    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
            "resourceVersionMatch to NotOlderThan",
        ),
        (
            "resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless "
            "sendInitialEvents is provided",
        ),
        (
            "sendInitialEvents=false&resourceVersionMatch=Exact",
            "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
            "resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "
            '"Exact": supported values: "NotOlderThan"]',
        ),
        (
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x",
            "continue: Forbidden: sendInitialEvents is forbidden when continue is provided",
        ),
    ],
)
def test_a_watch_is_refused(query: str, message: str) -> None:
    error = refused(query, kind="ListOptions", watch=True)
    assert error.code == 422
    assert error.message == f'ListOptions.meta.k8s.io "" is invalid: {message}'


def test_list_options() -> None:
    query = "/x?labelSelector=a%3Db&fieldSelector=metadata.name%3Dc&limit=-1&timeoutSeconds=%2B007"
    assert request.list_options(parse("GET", query).query, watch=False) == request.ListOptions(
        label_selector="a=b", field_selector="metadata.name=c", timeout_seconds=7
    )
    query = "/x?resourceVersion=5&continue=t&limit=9223372036854775807"
    assert request.list_options(parse("GET", query).query, watch=False) == request.ListOptions(
        limit=2**63 - 1, continue_token="t", resource_version="5"
    )
    query = "/x?resourceVersion=0"
    assert request.list_options(parse("GET", query).query, watch=True).resource_version == "0"
    query = "/x?sendInitialEvents=1&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    assert request.list_options(parse("GET", query).query, watch=True) == request.ListOptions(
        resource_version_match="NotOlderThan", allow_bookmarks=True, send_initial_events=True
    )


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        (
            "dryRun=true",
            "CreateOptions",
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["true"]: '
            'supported values: "All"',
        ),
        (
            "fieldValidation=Bogus",
            "UpdateOptions",
            'UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Bogus": '
            'supported values: "", "Ignore", "Strict", "Warn"',
        ),
        (
            "fieldManager=" + "x" * 129,
            "CreateOptions",
            'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than '
            "128 bytes",
        ),
        (
            "fieldManager=a%07",
            "CreateOptions",
            'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\\a": '
            "invalid character U+0007 (at position 1)",
        ),
        (
            "force=true",
            "PatchOptions",
            'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for '
            "non-apply patch",
        ),
    ],
)
def test_a_write_is_refused(query: str, kind: str, message: str) -> None:
    error = refused(query, kind=kind)
    assert (error.code, error.message) == (422, message)
    assert error.details is not None
    assert (error.details.group, error.details.kind) == ("meta.k8s.io", kind)


def test_an_apply_needs_a_manager() -> None:
    error = refused("", kind="PatchOptions", apply=True)
    assert error.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for '
        "apply patch"
    )


def test_write_options() -> None:
    query = parse("POST", "/x?dryRun=All&fieldValidation=Strict&fieldManager=me").query
    assert request.write_options(query, "CreateOptions") == request.WriteOptions(
        True, "Strict", "me"
    )
    assert request.write_options({}, "CreateOptions").field_validation == "Warn"


def test_log_options() -> None:
    query = parse(
        "GET", "/x?container=c&follow=true&previous=false&tailLines=0&limitBytes=10&timestamps"
    ).query
    assert request.log_options(query) == {
        "follow": True,
        "timestamps": True,
        "tailLines": 0,
        "limitBytes": 10,
    }
    since = request.log_options(parse("GET", "/x?sinceTime=2026-01-02T03:04:05Z").query)
    assert since["sinceTime"].isoformat() == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
        (
            "sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z",
            "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ("stream=All", "stream: Forbidden: may not be specified"),
    ],
)
def test_a_log_is_refused(query: str, message: str) -> None:
    error = refused(query, kind="log")
    assert (error.code, error.message) == (422, f'PodLogOptions "p1" is invalid: {message}')


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-02T03:04:05"])
def test_a_moment_that_is_none(moment: str) -> None:
    error = refused(f"sinceTime={moment}", kind="log")
    assert (error.code, error.message) == (
        400,
        f'parsing time "{moment}" as "2006-01-02T15:04:05Z07:00": cannot parse "{moment}" as '
        '"2006"',
    )
