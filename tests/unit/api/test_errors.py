"""Errors: their Status, and the way back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubatch.api import errors
from kubatch.api.errors import ApiError, Cause, Details

TEXT = st.text(max_size=5)
CAUSES = st.lists(st.builds(Cause, TEXT, TEXT, TEXT), max_size=2).map(tuple)
DETAILS = st.builds(Details, TEXT, TEXT, TEXT, TEXT, CAUSES, st.integers(0, 9))
ERRORS = st.builds(ApiError, st.integers(400, 599), TEXT, TEXT, st.none() | DETAILS)


@given(ERRORS)
def test_a_status_tells_the_whole_error(error: ApiError) -> None:
    back = ApiError.from_status(error.to_status())
    assert (back.code, back.reason, back.message, back.details) == (
        error.code,
        error.reason,
        error.message,
        error.details,
    )
    assert str(back) == error.message


def test_a_bare_status() -> None:
    error = ApiError.from_status({})
    assert (error.code, error.reason, error.message, error.details) == (500, "", "", None)
    assert ApiError.from_status({"details": {}}).details == Details()


STATUS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (
            errors.bad_request("no"),
            {"message": "no", "reason": "BadRequest", "code": 400},
        ),
        (
            errors.unauthorized(),
            {"message": "Unauthorized", "reason": "Unauthorized", "code": 401},
        ),
        (
            errors.forbidden("", "pods", "x", "no quota"),
            {
                "message": 'pods "x" is forbidden: no quota',
                "reason": "Forbidden",
                "details": {"name": "x", "kind": "pods"},
                "code": 403,
            },
        ),
        (
            errors.forbidden("batch", "jobs", "", "no", Cause("R", "m", "f")),
            {
                "message": "jobs.batch is forbidden: no",
                "reason": "Forbidden",
                "details": {
                    "group": "batch",
                    "kind": "jobs",
                    "causes": [{"reason": "R", "message": "m", "field": "f"}],
                },
                "code": 403,
            },
        ),
        (
            errors.not_found("batch", "jobs", "nope"),
            {
                "message": 'jobs.batch "nope" not found',
                "reason": "NotFound",
                "details": {"name": "nope", "group": "batch", "kind": "jobs"},
                "code": 404,
            },
        ),
        (
            errors.no_such_resource(),
            {
                "message": "the server could not find the requested resource",
                "reason": "NotFound",
                "details": {},
                "code": 404,
            },
        ),
        (
            errors.method_not_allowed(),
            {
                "message": "the server does not allow this method on the requested resource",
                "reason": "MethodNotAllowed",
                "details": {},
                "code": 405,
            },
        ),
        (
            errors.already_exists("", "configmaps", "cm"),
            {
                "message": 'configmaps "cm" already exists',
                "reason": "AlreadyExists",
                "details": {"name": "cm", "kind": "configmaps"},
                "code": 409,
            },
        ),
        (
            errors.conflict("batch", "jobs", "x", errors.MODIFIED),
            {
                "message": 'Operation cannot be fulfilled on jobs.batch "x": the object has been '
                "modified; please apply your changes to the latest version and try again",
                "reason": "Conflict",
                "details": {"name": "x", "group": "batch", "kind": "jobs"},
                "code": 409,
            },
        ),
        (
            errors.expired(),
            {
                "message": "The resourceVersion for the provided list is too old.",
                "reason": "Expired",
                "code": 410,
            },
        ),
        (
            errors.too_large(3145728),
            {
                "message": "Request entity too large: limit is 3145728",
                "reason": "RequestEntityTooLarge",
                "code": 413,
            },
        ),
        (
            errors.internal("oops"),
            {
                "message": "Internal error occurred: oops",
                "reason": "InternalError",
                "details": {},
                "code": 500,
            },
        ),
    ],
)
def test_status_of_each_kind(error: ApiError, status: dict[str, Any]) -> None:
    assert error.to_status() == STATUS | status
    assert list(error.to_status())[:4] == list(STATUS)


def test_one_finding_and_several() -> None:
    first, second = Cause("R", "Required value", "spec.a"), Cause("S", "no", "spec.b")
    one = errors.invalid("batch", "Job", "q", [first])
    assert one.message == 'Job.batch "q" is invalid: spec.a: Required value'
    both = errors.invalid("batch", "Job", "q", [first, second])
    assert both.message == 'Job.batch "q" is invalid: [spec.a: Required value, spec.b: no]'
    assert both.details == Details("q", "batch", "Job", "", (first, second))


def test_retry_after_is_told() -> None:
    status = ApiError(504, "Timeout", "late", Details(retry_after_seconds=1)).to_status()
    assert status["details"] == {"retryAfterSeconds": 1}
