"""SelfSubjectReview: who am I (pkg/registry/authentication/selfsubjectreview)."""

from __future__ import annotations

from kubatch.api.models import ObjectMeta, SelfSubjectReview, SelfSubjectReviewStatus
from kubatch.server.reviews.asker import Asker, user_info


async def self_review(_sent: SelfSubjectReview, asker: Asker) -> SelfSubjectReview:
    """The caller, as the server sees it: with the impersonated user's name, if any."""
    return SelfSubjectReview(
        metadata=ObjectMeta(), status=SelfSubjectReviewStatus(userInfo=user_info(asker.user))
    )
