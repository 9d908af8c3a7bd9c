"""SelfSubjectRulesReview: what may I do here (registry/authorization/selfsubjectrulesreview)."""

from __future__ import annotations

from kubatch.api import errors
from kubatch.api.models import (
    NonResourceRule,
    ObjectMeta,
    ResourceRule,
    SelfSubjectRulesReview,
    SelfSubjectRulesReviewSpec,
    SubjectRulesReviewStatus,
)
from kubatch.server.reviews.asker import Asker


async def self_review(sent: SelfSubjectRulesReview, asker: Asker) -> SelfSubjectRulesReview:
    """All rules that hold for the caller in a namespace. Raises ApiError 400 without one."""
    namespace = sent.spec.namespace
    if not namespace:
        raise errors.bad_request("no namespace on request")
    found = asker.policy.grants(asker.user, namespace)
    rules = [grant.rule for grant in found.grants]
    status = SubjectRulesReviewStatus(
        incomplete=False,
        resourceRules=[
            ResourceRule(
                verbs=r.verbs,
                apiGroups=r.apiGroups,
                resources=r.resources,
                resourceNames=r.resourceNames,
            )
            for r in rules
            if r.resources
        ],
        nonResourceRules=[
            NonResourceRule(verbs=r.verbs, nonResourceURLs=r.nonResourceURLs)
            for r in rules
            if r.nonResourceURLs
        ],
        evaluationError=found.error if found.errors else None,
    )
    return SelfSubjectRulesReview(
        SelfSubjectRulesReviewSpec(), metadata=ObjectMeta(), status=status
    )
