"""What every answer may need: who asks, and whom to ask in turn."""

from __future__ import annotations

from dataclasses import dataclass

from kubatch.api.models import UserInfo
from kubatch.server.access.attributes import User
from kubatch.server.access.policy import Policy
from kubatch.server.auth import Authenticator


@dataclass(frozen=True, slots=True)
class Asker:
    """The caller of one request, and the server's knowledge of users."""

    user: User
    namespace: str  # of the URL
    authenticator: Authenticator
    policy: Policy


def user_info(user: User) -> UserInfo:
    """A user as the API shows one (authentication.k8s.io UserInfo)."""
    return UserInfo(
        username=user.name or None,
        uid=user.uid or None,
        groups=list(user.groups) or None,
        extra={key: list(values) for key, values in user.extra} or None,
    )
