"""The way in: who asks, as whom, and whether they may.

The order is kube-apiserver's (apiserver/pkg/server/config.go: DefaultBuildHandlerChain):
authentication, impersonation, authorization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubatch.api.errors import ApiError
from kubatch.api.resource import Resource
from kubatch.server import origins
from kubatch.server.access import attributes, escalation, impersonation, node_restriction, nodes
from kubatch.server.access.policy import Policy
from kubatch.server.audit import Record
from kubatch.server.auth import Authenticator, Peer, User, attempted
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
        """Who asks. Raises ApiError 401, 500."""
        authorization = headers.get("Authorization", "")
        try:
            user = await self.authenticator.user(peer, authorization)
        except ApiError as error:
            if record is not None and error.code == 401:
                record.attempted = attempted(peer, authorization)
            raise
        if record is not None:
            record.user = user
        return user

    def acting(self, user: User, headers: Mapping[str, str], record: Record | None) -> User:
        """Who the request counts as. Raises ApiError 403, 500."""
        other = impersonation.impersonated(headers.items(), user, self.policy)
        if record is not None:
            record.impersonated = other
        return other or user

    def admit(self, call: Call, record: Record | None) -> None:
        """Raises ApiError 403 when the caller may not."""
        info = call.info
        origins.check(info.method, call.headers)
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
        self._restrict_removal(call.user, asked)

    def _restrict_removal(self, user: User, asked: attributes.Attributes) -> None:
        """A node ends its own pods only. Raises ApiError 403."""
        if asked.resource != "pods" or not (node := nodes.node_of(user)):
            return
        evict = asked.subresource == "eviction"
        if evict or asked.verb == "delete":
            view, place = self.policy.view, (asked.namespace, asked.name)
            node_restriction.check_removal(view, node, *place, evict=evict)

    def admit_creation(self, call: Call) -> None:
        """For a PUT or PATCH that would create (create.go: withAuthorization).

        Raises ApiError 403.
        """
        wanted = replace(attributes.of_request(call.info), verb="create")
        said = self.policy.verdict(call.user, wanted)
        if not said.allowed:
            raise attributes.forbidden(call.user, wanted, said.reason)

    def guard(self, user: User, resource: Resource[Any], new: Any, old: Any) -> None:
        """Whether the user may store this, as a role or as a node. Raises ApiError 403, 404."""
        if node := nodes.node_of(user):
            node_restriction.check(node, resource, new, old)
        if resource in escalation.GUARDED:
            escalation.check(self.policy, user, resource, new, old)

    def guard_token(self, user: User, namespace: str, account: str, bound: Any) -> None:
        """Whether the user may have an account's token for `bound`. Raises ApiError 403."""
        if node := nodes.node_of(user):
            node_restriction.check_token(self.policy.view, node, namespace, account, bound)
