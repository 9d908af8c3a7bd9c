"""The one error family, from the registry to the wire and back.

The registry raises an ApiError, the server sends it as a Status, client/http raises it again. The
messages and details are kube-apiserver's (apimachinery/pkg/api/errors/errors.go): clients parse
them, and people search for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason among several, tied to a field where there is one (metav1.StatusCause)."""

    reason: str  # FieldValueInvalid, FieldValueRequired, NamespaceTerminating, ...
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """What an error is about (metav1.StatusDetails); empty members are left out on the wire."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = 0


@dataclass(eq=False)
class ApiError(Exception):
    """A request refused: everything a Kubernetes Status of failure says."""

    code: int
    reason: str
    message: str
    details: Details | None = field(default=None)

    def __str__(self) -> str:
        return self.message

    def to_status(self) -> dict[str, Any]:
        """The Status object as it goes over the wire."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = _details_to_wire(self.details)
        status["code"] = self.code
        return status

    @staticmethod
    def from_status(status: Mapping[str, Any]) -> ApiError:
        """The error a Status tells of; missing members count as empty."""
        raw = status.get("details")
        details = None
        if raw is not None:
            causes = tuple(
                Cause(c.get("reason", ""), c.get("message", ""), c.get("field", ""))
                for c in raw.get("causes") or ()
            )
            details = Details(
                raw.get("name", ""),
                raw.get("group", ""),
                raw.get("kind", ""),
                raw.get("uid", ""),
                causes,
                raw.get("retryAfterSeconds", 0),
            )
        return ApiError(
            int(status.get("code", 500)),
            status.get("reason", ""),
            status.get("message", ""),
            details,
        )


class PatchError(ApiError):
    """A patch that cannot be applied. What the object looks like does not matter to some."""


def _details_to_wire(details: Details) -> dict[str, Any]:
    texts = {
        "name": details.name,
        "group": details.group,
        "kind": details.kind,
        "uid": details.uid,
    }
    wire: dict[str, Any] = {key: text for key, text in texts.items() if text}
    if details.causes:
        wire["causes"] = [
            {
                k: v
                for k, v in (("reason", c.reason), ("message", c.message), ("field", c.field))
                if v
            }
            for c in details.causes
        ]
    if details.retry_after_seconds:
        wire["retryAfterSeconds"] = details.retry_after_seconds
    return wire


def qualified(group: str, plural: str) -> str:
    """A resource as messages name it: `jobs.batch`, or `pods` in the core group."""
    return f"{plural}.{group}" if group else plural


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, plural: str, name: str, why: str, *causes: Cause) -> ApiError:
    """403: admission or authorization says no, `why` being the rest of the sentence."""
    subject = f'{qualified(group, plural)} "{name}"' if name else qualified(group, plural)
    return ApiError(
        403, "Forbidden", f"{subject} is forbidden: {why}", Details(name, group, plural, "", causes)
    )


def not_found(group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        404,
        "NotFound",
        f'{qualified(group, plural)} "{name}" not found',
        Details(name, group, plural),
    )


def no_such_resource() -> ApiError:
    """404 for a path inside a known group that names nothing served."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", Details())


def method_not_allowed() -> ApiError:
    return ApiError(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        Details(),
    )


def already_exists(group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        409,
        "AlreadyExists",
        f'{qualified(group, plural)} "{name}" already exists',
        Details(name, group, plural),
    )


def conflict(group: str, plural: str, name: str, why: str) -> ApiError:
    subject = qualified(group, plural)
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {subject} "{name}": {why}',
        Details(name, group, plural),
    )


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def expired(message: str = "The resourceVersion for the provided list is too old.") -> ApiError:
    return ApiError(410, "Expired", message)


def too_large(limit_bytes: int) -> ApiError:
    return ApiError(
        413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit_bytes}"
    )


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: what validation found; several findings read `[a, b]` (NewInvalid)."""
    texts = [f"{c.field}: {c.message}" for c in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return ApiError(
        422,
        "Invalid",
        f'{qualified(group, kind)} "{name}" is invalid: {listed}',
        Details(name, group, kind, "", tuple(causes)),
    )


def internal(message: str) -> ApiError:
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", Details())
