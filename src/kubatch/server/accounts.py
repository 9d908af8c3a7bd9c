"""Service accounts as callers: who a token's bearer is, and tokens made on request.

A token holds while the account it was made for exists, and the pod, secret or node it is bound to
(pkg/serviceaccount/claims.go: validator). Both are looked up each time: deleting one revokes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kubatch.api import errors, fields
from kubatch.api.errors import ApiError, Cause, Details
from kubatch.api.models import (
    BoundObjectReference,
    ObjectMeta,
    TokenRequest,
    TokenRequestSpec,
    TokenRequestStatus,
)
from kubatch.api.resource import NODES, PODS, SECRETS, SERVICEACCOUNTS, TOKENREQUESTS, Resource
from kubatch.server.access import rbac
from kubatch.server.access.attributes import User
from kubatch.server.access.impersonation import AUTHENTICATED
from kubatch.server.account_tokens import (
    AUDIENCES,
    Claims,
    InvalidToken,
    Reference,
    TokenAuthority,
    intersection,
)
from kubatch.world import World, whole_seconds

if TYPE_CHECKING:
    from kubatch.registry.api import Registry

SECONDS_DEFAULT = 3600
SECONDS_MIN = 600
SECONDS_LIMIT = 1 << 32
# A token that outlives its machine helps nobody but a thief: what asks for more gets a year.
SECONDS_MAX = 365 * 24 * 3600
# What is being deleted may still speak for a while (claims.go: jwt.DefaultLeeway).
LEEWAY = timedelta(seconds=60)
_EXTRA = "authentication.kubernetes.io"
CREDENTIAL_ID = f"{_EXTRA}/credential-id"


class Accounts:
    """Issues and checks the tokens of the service accounts in a registry."""

    def __init__(self, authority: TokenAuthority, registry: Registry, world: World) -> None:
        self.authority = authority
        self._registry = registry
        self._world = world

    async def user(
        self, token: str, audiences: Sequence[str] = AUDIENCES
    ) -> tuple[User, tuple[str, ...]]:
        """The account a token stands for, and which of the audiences it is for.

        Raises InvalidToken.
        """
        now = self._world.now()
        claims = self.authority.read(token, now)
        matching = intersection(audiences, claims.audiences)
        if not matching:
            raise InvalidToken("token audiences are not those asked for")
        namespace = claims.namespace
        await self._check(SERVICEACCOUNTS, namespace, claims.account, now)
        for resource, bound in ((SECRETS, claims.secret), (PODS, claims.pod)):
            if bound is not None:
                await self._check(resource, namespace, bound, now)
        if claims.node is not None and claims.node_is_bound:
            await self._check(NODES, None, claims.node, now)
        name = rbac.account_name(namespace, claims.account.name)
        groups = (*rbac.account_groups(namespace), AUTHENTICATED)
        return User(name, claims.account.uid, groups, _extra(claims)), matching

    async def _check(
        self, resource: Resource[Any], namespace: str | None, wanted: Reference, now: datetime
    ) -> None:
        try:
            meta = (await self._registry.get(resource, namespace, wanted.name)).obj.metadata
        except ApiError as error:
            raise InvalidToken("service account token has been invalidated") from error
        if meta.uid != wanted.uid:
            raise InvalidToken(f"the {resource.singular} UID does not match the claim")
        if meta.deletionTimestamp is not None and meta.deletionTimestamp < now - LEEWAY:
            raise InvalidToken(f"the {resource.singular} has been deleted")

    # ----- serviceaccounts/token

    async def create(
        self, namespace: str, name: str, request: TokenRequest, warnings: list[str]
    ) -> TokenRequest:
        """The answer to a TokenRequest. Raises ApiError 400, 404, 409, 422.

        pkg/registry/core/serviceaccount/storage/token.go: Create.
        """
        _check_meta(request.metadata or ObjectMeta(), namespace, name)
        account = (await self._registry.get(SERVICEACCOUNTS, namespace, name)).obj
        assert account.metadata is not None
        spec = request.spec or TokenRequestSpec()
        seconds = SECONDS_DEFAULT if spec.expirationSeconds is None else spec.expirationSeconds
        causes = _expiration_causes(seconds)
        if causes:
            raise errors.invalid(TOKENREQUESTS.group, TOKENREQUESTS.kind, "", causes)
        bound = await self._bound(namespace, name, spec.boundObjectRef)
        if seconds > SECONDS_MAX:
            warnings.append(
                f"requested expiration of {seconds} seconds shortened to {SECONDS_MAX} seconds"
            )
            seconds = SECONDS_MAX
        now = whole_seconds(self._world.now())
        claims = Claims(
            namespace,
            Reference(name, account.metadata.uid or ""),
            tuple(spec.audiences or AUDIENCES),
            now,
            now + timedelta(seconds=seconds),
            self._world.uid(),
            bound.get("pod"),
            bound.get("secret"),
            bound.get("node"),
            "node" in bound and "pod" not in bound,
        )
        return TokenRequest(
            metadata=ObjectMeta(name=name, namespace=namespace, creationTimestamp=now),
            spec=TokenRequestSpec(
                audiences=list(claims.audiences),
                expirationSeconds=seconds,
                boundObjectRef=spec.boundObjectRef,
            ),
            status=TokenRequestStatus(
                token=self.authority.issue(claims), expirationTimestamp=claims.expires
            ),
        )

    async def _bound(
        self, namespace: str, account: str, ref: BoundObjectReference | None
    ) -> dict[str, Reference]:
        """What the token is to be bound to, by claim."""
        if ref is None:
            return {}
        resource = _BINDABLE.get((ref.apiVersion or "", ref.kind or ""))
        if resource is None:
            group, _, version = (ref.apiVersion or "").rpartition("/")
            kind = f"{group}/{version}, Kind={ref.kind or ''}"
            raise errors.bad_request(f"cannot bind token to object of type {kind}")
        space = namespace if resource.namespaced else None
        obj = (await self._registry.get(resource, space, ref.name or "")).obj
        uid = obj.metadata.uid or ""
        if ref.uid and ref.uid != uid:
            why = (
                f"the UID in the bound object reference ({ref.uid}) does not match the UID in "
                "record. The object might have been deleted and then recreated"
            )
            raise ApiError(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {ref.kind} "{ref.name}": {why}',
                Details(ref.name or "", "", ref.kind or ""),
            )
        found = {resource.singular: Reference(ref.name or "", uid)}
        if resource is PODS:
            found |= await self._node_of(obj, account)
        return found

    async def _node_of(self, pod: Any, account: str) -> dict[str, Reference]:
        if pod.spec.serviceAccountName != account:
            raise errors.bad_request(
                f'cannot bind token for serviceaccount "{account}" to pod running with different '
                "serviceaccount name."
            )
        if not pod.spec.nodeName:
            return {}
        try:
            node = (await self._registry.get(NODES, None, pod.spec.nodeName)).obj
        except ApiError:
            return {"node": Reference(pod.spec.nodeName, "")}
        assert node.metadata is not None
        return {"node": Reference(pod.spec.nodeName, node.metadata.uid or "")}


_BINDABLE: dict[tuple[str, str], Resource[Any]] = {
    ("v1", "Pod"): PODS,
    ("v1", "Secret"): SECRETS,
    ("v1", "Node"): NODES,
}


def _extra(claims: Claims) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """pkg/serviceaccount/util.go: ServiceAccountInfo.UserInfo."""
    extra = {CREDENTIAL_ID: f"JTI={claims.id}"}
    for name, bound in (("node", claims.node), ("pod", claims.pod)):
        if bound is not None:
            extra[f"{_EXTRA}/{name}-name"] = bound.name
            if bound.uid:
                extra[f"{_EXTRA}/{name}-uid"] = bound.uid
    return tuple((key, (value,)) for key, value in extra.items())


def _check_meta(meta: ObjectMeta, namespace: str, name: str) -> None:
    causes: list[Cause] = []
    if meta.name and meta.name != name:
        why = "must match the service account name if specified"
        causes.append(fields.invalid("metadata.name", meta.name, why))
    if meta.namespace and meta.namespace != namespace:
        why = "must match the service account namespace if specified"
        causes.append(fields.invalid("metadata.namespace", meta.namespace, why))
    if causes:
        raise errors.invalid(TOKENREQUESTS.group, TOKENREQUESTS.kind, name, causes)


def _expiration_causes(seconds: int) -> list[Cause]:
    """pkg/apis/authentication/validation: ValidateTokenRequest."""
    path = "spec.expirationSeconds"
    if seconds < SECONDS_MIN:
        why = "may not specify a duration less than 10 minutes"
        return [fields.invalid(path, seconds, why)]
    if seconds > SECONDS_LIMIT:
        why = "may not specify a duration larger than 2^32 seconds"
        return [fields.invalid(path, seconds, why)]
    return []
