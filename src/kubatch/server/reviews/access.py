"""Reviews of access: may I, may somebody (pkg/registry/authorization)."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from kubatch.api import errors, fields
from kubatch.api.errors import Cause
from kubatch.api.models import (
    LocalSubjectAccessReview,
    NonResourceAttributes,
    ObjectMeta,
    ResourceAttributes,
    SelfSubjectAccessReview,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
)
from kubatch.server.access.attributes import Attributes, User
from kubatch.server.reviews.asker import Asker

Review = TypeVar("Review", SubjectAccessReview, LocalSubjectAccessReview)

_GROUP = "authorization.k8s.io"


async def self_review(sent: SelfSubjectAccessReview, asker: Asker) -> SelfSubjectAccessReview:
    """Whether the caller may do something. Raises ApiError 422."""
    spec = sent.spec
    causes = _what_causes(spec.resourceAttributes, spec.nonResourceAttributes)
    causes += _meta_causes(sent.metadata, "must be empty")
    _refuse("SelfSubjectAccessReview", causes)
    asked = _attributes(spec.resourceAttributes, spec.nonResourceAttributes)
    return replace(sent, status=_status(asker.user, asked, asker))


async def subject_review(sent: SubjectAccessReview, asker: Asker) -> SubjectAccessReview:
    """Whether a user named in the spec may do something. Raises ApiError 422."""
    causes = _spec_causes(sent.spec) + _meta_causes(sent.metadata, "must be empty")
    _refuse("SubjectAccessReview", causes)
    return _answered(sent, asker)


async def local_review(sent: LocalSubjectAccessReview, asker: Asker) -> LocalSubjectAccessReview:
    """The same within the namespace of the URL. Raises ApiError 400, 422."""
    spec, meta = sent.spec, sent.metadata or ObjectMeta()
    if meta.namespace not in (None, "", asker.namespace):
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    causes = _spec_causes(spec)
    causes += _meta_causes(replace(meta, namespace=None), "must be empty except for namespace")
    what = spec.resourceAttributes
    if what is not None and (what.namespace or "") != asker.namespace:
        path = "spec.resourceAttributes.namespace"
        causes.append(fields.invalid(path, what.namespace or "", "must match metadata.namespace"))
    if spec.nonResourceAttributes is not None:
        path, why = "spec.nonResourceAttributes", "disallowed on this kind of request"
        causes.append(fields.invalid(path, spec.nonResourceAttributes, why))
    _refuse("LocalSubjectAccessReview", causes)
    return _answered(replace(sent, metadata=replace(meta, namespace=asker.namespace)), asker)


def _answered(sent: Review, asker: Asker) -> Review:
    spec = sent.spec
    user = User(spec.user or "", spec.uid or "", tuple(spec.groups or ()))
    asked = _attributes(spec.resourceAttributes, spec.nonResourceAttributes)
    return replace(sent, status=_status(user, asked, asker))


def _status(user: User, asked: Attributes, asker: Asker) -> SubjectAccessReviewStatus:
    said = asker.policy.verdict(user, asked)
    return SubjectAccessReviewStatus(allowed=said.allowed, reason=said.reason or None)


def _attributes(what: ResourceAttributes | None, path: NonResourceAttributes | None) -> Attributes:
    if what is not None:
        return Attributes(
            what.verb or "",
            what.group or "",
            what.resource or "",
            what.subresource or "",
            what.namespace or "",
            what.name or "",
        )
    path = path or NonResourceAttributes()
    return Attributes(path.verb or "", path=path.path or "", is_resource=False)


# ----- what is wrong with a question (pkg/apis/authorization/validation)


def _what_causes(
    what: ResourceAttributes | None, path: NonResourceAttributes | None
) -> list[Cause]:
    if what is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        return [fields.invalid("spec.nonResourceAttributes", path, why)]
    if what is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        # A nil pointer shows as the quoted word (field.Error.ErrorBody).
        return [fields.invalid("spec.resourceAttributes", "null", why)]
    return []


def _spec_causes(spec: SubjectAccessReviewSpec) -> list[Cause]:
    causes = _what_causes(spec.resourceAttributes, spec.nonResourceAttributes)
    if not spec.user and not spec.groups:
        why = "at least one of user or group must be specified"
        causes.append(fields.invalid("spec.user", "", why))
    return causes


def _meta_causes(meta: ObjectMeta | None, why: str) -> list[Cause]:
    if meta is None or replace(meta, managedFields=None) == ObjectMeta():
        return []
    return [fields.invalid("metadata", meta, why)]


def _refuse(kind: str, causes: list[Cause]) -> None:
    if causes:
        raise errors.invalid(_GROUP, kind, "", causes)
