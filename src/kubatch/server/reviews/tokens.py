"""TokenReview: whose token is this (pkg/registry/authentication/tokenreview)."""

from __future__ import annotations

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.models import TokenReview, TokenReviewStatus, UserInfo
from kubatch.server.account_tokens import AUDIENCES, InvalidToken
from kubatch.server.reviews.asker import Asker, user_info


async def review(sent: TokenReview, asker: Asker) -> TokenReview:
    """The token's user, or an error in the status. Raises ApiError 400 without a token."""
    if not sent.spec.token:
        raise errors.bad_request("token is required for TokenReview in authentication")
    try:
        user, audiences = await asker.authenticator.bearer(
            sent.spec.token, sent.spec.audiences or AUDIENCES
        )
    except InvalidToken:
        # Why is nobody's business who can only guess tokens.
        status = TokenReviewStatus(user=UserInfo(), error="invalid bearer token")
    else:
        status = TokenReviewStatus(
            authenticated=True, user=user_info(user), audiences=list(audiences)
        )
    return replace(sent, status=status)
