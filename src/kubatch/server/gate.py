"""The way in: who asks, as whom, and whether they may.

The order is kube-apiserver's (apiserver/pkg/server/config.go: DefaultBuildHandlerChain):
authentication, impersonation, authorization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubatch.api.resource import Resource
from kubatch.server.access import attributes, escalation, impersonation
from kubatch.server.access.policy import Policy
from kubatch.server.audit import Record
from kubatch.server.auth import Authenticator, Peer, User
from kubatch.server.replies import Call

# A WebSocket begins as a GET, and would get past who may only read (1.35:
# AuthorizePodWebsocketUpgradeCreatePermission).
_CONNECTING = frozenset({"exec", "attach", "portforward"})


@dataclass(frozen=True)
class Gate:
    """Lets requests in."""

    authenticator: Authenticator
    policy: Policy

    async def caller(
        self, peer: Peer | None, headers: Mapping[str, str], record: Record | None
    ) -> User:
        """Who the request counts as. Raises ApiError 401, 403, 500."""
        user = await self.authenticator.user(peer, headers.get("Authorization", ""))
        if record is not None:
            record.user = user
        other = impersonation.impersonated(headers.items(), user, self.policy)
        if record is not None:
            record.impersonated = other
        return other or user

    def admit(self, call: Call, record: Record | None) -> None:
        """Raises ApiError 403 when the caller may not."""
        info = call.info
        asked = attributes.of_request(info)
        verdicts = [asked]
        if info.resource == "pods" and info.subresource in _CONNECTING and info.verb == "get":
            verdicts.append(replace(asked, verb="create"))
        for wanted in verdicts:
            said = self.policy.verdict(call.user, wanted)
            if record is not None:
                record.decision = "allow" if said.allowed else "forbid"
                record.reason = said.reason
            if not said.allowed:
                raise attributes.forbidden(call.user, wanted, said.reason)

    def admit_creation(self, call: Call) -> None:
        """For a PUT or PATCH that would create (create.go: withAuthorization).

        Raises ApiError 403.
        """
        wanted = replace(attributes.of_request(call.info), verb="create")
        said = self.policy.verdict(call.user, wanted)
        if not said.allowed:
            raise attributes.forbidden(call.user, wanted, said.reason)

    def guard(self, user: User, resource: Resource[Any], new: Any, old: Any) -> None:
        """Whether the user may store this role or binding. Raises ApiError 403, 404."""
        if resource in escalation.GUARDED:
            escalation.check(self.policy, user, resource, new, old)
