"""The roles and bindings every cluster has, and how they are kept.

plugin/pkg/auth/authorizer/rbac/bootstrappolicy, as far as it speaks of what is served here;
pkg/registry/rbac/reconciliation for how they are put right: at each start what is missing is added,
unless an object's annotation says false, and nothing is taken away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from kubatch.api.errors import ApiError
from kubatch.api.models import (
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    LabelSelector,
    ObjectMeta,
    PolicyRule,
    RoleRef,
    Subject,
)
from kubatch.api.resource import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC, Resource
from kubatch.registry.api import Registry
from kubatch.registry.strategy import RequestContext
from kubatch.registry.values import DeleteRequest

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

_READ = "get list watch"
_WRITE = "create delete deletecollection patch update"
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_DISCOVERY, _LEASES = "discovery.k8s.io", "coordination.k8s.io"


def _rule(verbs: str, groups: str, resources: str, names: str = "") -> PolicyRule:
    """A rule about resources, in words; `core` stands for the group without a name."""
    return PolicyRule(
        verbs=verbs.split(),
        apiGroups=["" if g == "core" else g for g in groups.split()],
        resources=resources.split(),
        resourceNames=names.split() or None,
    )


def _paths(*paths: str) -> PolicyRule:
    return PolicyRule(verbs=["get"], nonResourceURLs=list(paths))


_EVENTS = _rule("create patch update", "core events.k8s.io", "events")
_HEALTH = ("/healthz", "/livez", "/readyz")
_VERSION = ("/version", "/version/")
_REVIEWS = (
    _rule("create", _AUTHENTICATION, "tokenreviews"),
    _rule("create", _AUTHORIZATION, "subjectaccessreviews"),
)

_ROLES: dict[str, Sequence[PolicyRule]] = {
    "cluster-admin": (
        _rule("*", "*", "*"),
        PolicyRule(verbs=["*"], nonResourceURLs=["*"]),
    ),
    "system:discovery": (
        _paths(
            "/api", "/api/*", "/apis", "/apis/*", *_HEALTH, "/openapi", "/openapi/*", *_VERSION
        ),
    ),
    "system:basic-user": (
        _rule("create", _AUTHORIZATION, "selfsubjectaccessreviews selfsubjectrulesreviews"),
        _rule("create", _AUTHENTICATION, "selfsubjectreviews"),
    ),
    "system:public-info-viewer": (_paths(*_HEALTH, *_VERSION),),
    "system:monitoring": (
        _paths(
            "/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis",
            "/readyz", "/readyz/*",
        ),
    ),
    "system:service-account-issuer-discovery": (
        _paths("/.well-known/openid-configuration", "/.well-known/openid-configuration/",
               "/openid/v1/jwks", "/openid/v1/jwks/"),
    ),
    "system:auth-delegator": _REVIEWS,
    "system:aggregate-to-admin": (
        _rule("create", _AUTHORIZATION, "localsubjectaccessreviews"),
        _rule(f"{_WRITE} {_READ}", RBAC, "rolebindings roles"),
    ),
    "system:aggregate-to-edit": (
        _rule(_READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets"),
        _rule("impersonate", "core", "serviceaccounts"),
        _rule(_WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
        _rule("create", "core", "pods/eviction"),
        _rule(
            _WRITE, "core",
            "configmaps events persistentvolumeclaims secrets serviceaccounts services",
        ),
        _rule("create", "core", "serviceaccounts/token"),
        _rule(_WRITE, "apps", "replicasets replicasets/scale"),
        _rule(_WRITE, "batch", "cronjobs jobs"),
        _rule(_WRITE, "policy", "poddisruptionbudgets"),
        _rule(f"{_WRITE} {_READ}", _LEASES, "leases"),
    ),
    "system:aggregate-to-view": (
        _rule(
            _READ, "core",
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
            "serviceaccounts services services/status",
        ),
        _rule(
            _READ, "core",
            "bindings events limitranges namespaces/status pods/log pods/status resourcequotas "
            "resourcequotas/status",
        ),
        # Within a namespace: that one. Clients learn so which ones they may use.
        _rule(_READ, "core", "namespaces"),
        _rule(_READ, _DISCOVERY, "endpointslices"),
        _rule(_READ, "apps", "replicasets replicasets/scale replicasets/status"),
        _rule(_READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        _rule(_READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    ),
    # What a machine's agent needs. Bound to nobody: an agent is bound by name.
    "system:node": (
        *_REVIEWS,
        _rule("create", _AUTHORIZATION, "localsubjectaccessreviews"),
        _rule(_READ, "core", "services"),
        _rule("create get list watch", "core", "nodes"),
        _rule("patch update", "core", "nodes/status"),
        _rule("patch update", "core", "nodes"),
        _EVENTS,
        _rule(_READ, "core", "pods"),
        _rule("create delete", "core", "pods"),
        _rule("patch update", "core", "pods/status"),
        _rule("create", "core", "pods/eviction"),
        _rule(_READ, "core", "configmaps secrets"),
        _rule("get", "core", "persistentvolumeclaims persistentvolumes"),
        _rule("get", "core", "endpoints"),
        _rule("create", "core", "serviceaccounts/token"),
        _rule("create delete get patch update", _LEASES, "leases"),
    ),
    "system:kube-controller-manager": (
        _EVENTS,
        _rule("create", _LEASES, "leases"),
        _rule("get update", _LEASES, "leases", "kube-controller-manager"),
        _rule("create", "core", "secrets serviceaccounts"),
        _rule("delete", "core", "secrets"),
        _rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
        _rule("update", "core", "secrets serviceaccounts"),
        *_REVIEWS,
        _rule("list watch", "*", "*"),
        _rule("create", "core", "serviceaccounts/token"),
    ),
    "system:kube-scheduler": (
        _EVENTS,
        _rule("create", _LEASES, "leases"),
        _rule("get list update watch", _LEASES, "leases", "kube-scheduler"),
        _rule(_READ, "core", "nodes"),
        _rule("delete get list watch", "core", "pods"),
        _rule("create", "core", "bindings pods/binding"),
        _rule("patch update", "core", "pods/status"),
        _rule(_READ, "core", "services"),
        _rule(_READ, "apps", "replicasets"),
        _rule(_READ, "policy", "poddisruptionbudgets"),
        _rule(_READ, "core", "persistentvolumeclaims persistentvolumes"),
        _rule(_READ, "core", "namespaces"),
        *_REVIEWS,
    ),
}  # fmt: skip

# Role to the role that gathers it, and the label under which that one does.
_AGGREGATED = {
    "admin": ("admin", ()),
    "edit": ("edit", ("admin",)),
    "view": ("view", ("edit",)),
    "system:aggregate-to-admin": ("", ("admin",)),
    "system:aggregate-to-edit": ("", ("edit",)),
    "system:aggregate-to-view": ("", ("view",)),
}

_GROUP, _USER = "Group", "User"
_ALL, _NOBODY = (_GROUP, "system:authenticated"), (_GROUP, "system:unauthenticated")
_BINDINGS: dict[str, Sequence[tuple[str, str]]] = {
    "cluster-admin": ((_GROUP, "system:masters"),),
    "system:basic-user": (_ALL,),
    "system:discovery": (_ALL,),
    "system:kube-controller-manager": ((_USER, "system:kube-controller-manager"),),
    "system:kube-scheduler": ((_USER, "system:kube-scheduler"),),
    "system:monitoring": ((_GROUP, "system:monitoring"),),
    "system:node": (),
    "system:public-info-viewer": (_ALL, _NOBODY),
    "system:service-account-issuer-discovery": ((_GROUP, "system:serviceaccounts"),),
}


def cluster_roles() -> list[ClusterRole]:
    """The roles every cluster has."""
    out = []
    for name in sorted({*_ROLES, *_AGGREGATED}):
        gathers, labels = _AGGREGATED.get(name, ("", ()))
        meta = _meta(name, {f"{_AGGREGATE}{label}": "true" for label in labels})
        aggregation = None
        if gathers:
            selector = LabelSelector(matchLabels={f"{_AGGREGATE}{gathers}": "true"})
            aggregation = AggregationRule(clusterRoleSelectors=[selector])
        rules = list(_ROLES.get(name, ())) or None
        out.append(ClusterRole(metadata=meta, rules=rules, aggregationRule=aggregation))
    return out


def cluster_role_bindings() -> list[ClusterRoleBinding]:
    """The bindings every cluster has; each is named after its role."""
    return [
        ClusterRoleBinding(
            metadata=_meta(name, {}),
            roleRef=RoleRef(apiGroup=RBAC, kind="ClusterRole", name=name),
            subjects=[Subject(apiGroup=RBAC, kind=k, name=n) for k, n in subjects] or None,
        )
        for name, subjects in _BINDINGS.items()
    ]


def _meta(name: str, labels: dict[str, str]) -> ObjectMeta:
    return ObjectMeta(name=name, labels={**_LABELS, **labels}, annotations={_AUTO_UPDATE: "true"})


# ----- keeping them


async def ensure_policy(registry: Registry) -> None:
    """Create what is missing and add what is missing in what is there."""
    wanted: list[tuple[Resource[Any], Any]] = [(CLUSTERROLES, r) for r in cluster_roles()]
    wanted += [(CLUSTERROLEBINDINGS, b) for b in cluster_role_bindings()]
    # At once, so that all share a commit.
    await asyncio.gather(*(_ensure(registry, resource, obj) for resource, obj in wanted))


def _context() -> RequestContext:
    return RequestContext("system:apiserver", ("system:masters",))


async def _ensure(registry: Registry, resource: Resource[Any], wanted: Any) -> None:
    try:
        present = (await registry.get(resource, None, wanted.metadata.name)).obj
    except ApiError:
        await registry.create(resource, None, wanted, _context())
        return
    if (present.metadata.annotations or {}).get(_AUTO_UPDATE) == "false":
        return
    name = wanted.metadata.name
    if resource is CLUSTERROLEBINDINGS and present.roleRef != wanted.roleRef:
        # A binding's role cannot change: the binding is another one.
        await registry.delete(resource, None, name, DeleteRequest(), _context())
        await registry.create(resource, None, wanted, _context())
        return
    completed = complete(present, wanted)
    if completed != present:
        await registry.update(resource, None, name, completed, _context(), owned=False)


def complete(present: Any, wanted: Any) -> Any:
    """`present`, with the rules or subjects, labels and annotations it lacks."""
    was: ObjectMeta = present.metadata
    meta = replace(
        was,
        labels={**(wanted.metadata.labels or {}), **(was.labels or {})},
        annotations={**(wanted.metadata.annotations or {}), **(was.annotations or {})},
    )
    if isinstance(present, ClusterRole):
        return replace(
            present,
            metadata=meta,
            rules=_union(present.rules, wanted.rules),
            aggregationRule=present.aggregationRule or wanted.aggregationRule,
        )
    return replace(present, metadata=meta, subjects=_union(present.subjects, wanted.subjects))


def _union(present: Iterable[Any] | None, wanted: Iterable[Any] | None) -> list[Any] | None:
    out = list(present or ())
    return out + [item for item in wanted or () if item not in out] or None
