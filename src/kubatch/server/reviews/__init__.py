"""Kinds that are questions: created, answered in the same breath, and never stored.

Adding one is a row in api/resource.py, a file here with its answer, and a line in ANSWERS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubatch.api.resource import (
    LOCALSUBJECTACCESSREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTREVIEWS,
    SELFSUBJECTREVIEWS_V1BETA1,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
    TOKENREVIEWS,
    Resource,
)
from kubatch.server.reviews import access, identity, rules, tokens
from kubatch.server.reviews.asker import Asker

# From the object sent to the object answered. Raises ApiError.
Answer = Callable[[Any, Asker], Awaitable[Any]]

ANSWERS: Mapping[Resource[Any], Answer] = {
    LOCALSUBJECTACCESSREVIEWS: access.local_review,
    SELFSUBJECTACCESSREVIEWS: access.self_review,
    SELFSUBJECTREVIEWS: identity.self_review,
    SELFSUBJECTREVIEWS_V1BETA1: identity.self_review,
    SELFSUBJECTRULESREVIEWS: rules.self_review,
    SUBJECTACCESSREVIEWS: access.subject_review,
    TOKENREVIEWS: tokens.review,
}
