"""What a machine's agent may do: what its own pods need, and no other machine's.

Pure, given a View. plugin/pkg/auth/authorizer/node/node_authorizer.go, whose texts these are: a
user `system:node:NAME` in the group `system:nodes` is the node NAME. What it may write is looked at
again once it is known (node_restriction).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from kubatch.api import selectors
from kubatch.api.models import PersistentVolumeClaim, Pod, PolicyRule
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PODS
from kubatch.reconcile.controller import Index, View
from kubatch.registry import rbac_policy
from kubatch.server.access import rbac
from kubatch.server.access.attributes import Attributes, User
from kubatch.server.access.references import named

GROUP, PREFIX = "system:nodes", "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
_READ = frozenset(("get", "list", "watch"))
_ONE = "get", "create", "update", "patch", "delete"


def _node_keys(pod: Pod) -> Iterable[str]:
    node = pod.spec.nodeName if pod.spec is not None else None
    return (node,) if node else ()


def _volume_keys(claim: PersistentVolumeClaim) -> Iterable[str]:
    volume = claim.spec.volumeName if claim.spec is not None else None
    return (volume,) if volume else ()


OF_NODE = Index("access-by-node", PODS, _node_keys)
OF_VOLUME = Index("access-by-volume", PERSISTENTVOLUMECLAIMS, _volume_keys)
INDEXES = (OF_NODE, OF_VOLUME)


def node_of(user: User) -> str:
    """The node a user is; "" for everybody else (pkg/auth/nodeidentifier/default.go)."""
    if GROUP not in user.groups or not user.name.startswith(PREFIX):
        return ""
    return user.name.removeprefix(PREFIX)


def objection(view: View, node: str, asked: Attributes) -> str:
    """Why the node authorizer does not allow a request; "" when it does."""
    if asked.is_resource:
        check = _CHECKS.get((asked.group, asked.resource))
        if check is not None:
            return check(view, node, asked)
    if any(rbac.rule_allows(rule, asked) for rule in _rules()):
        return ""
    return "it is nothing that a node needs"


@cache
def _rules() -> tuple[PolicyRule, ...]:
    """bootstrappolicy.NodeRules: the same for everybody, whatever became of the ClusterRole."""
    role = next(r for r in rbac_policy.cluster_roles() if r.metadata and _is_node_role(r))
    return tuple(role.rules or ())


def _is_node_role(role: Any) -> bool:
    return bool(role.metadata.name == "system:node")


def _is_related(view: View, node: str, asked: Attributes) -> bool:
    """Whether a pod of the node refers to what is asked for."""
    if asked.resource == "persistentvolumes":
        claims = [c.metadata for c in view.indexed(OF_VOLUME, asked.name)]
        names = {(c.namespace, c.name) for c in claims}
        return any(
            (pod.metadata.namespace, name) in names
            for pod in view.indexed(OF_NODE, node)
            for name in named(pod, "persistentvolumeclaims")
        )
    return any(
        asked.name in named(pod, asked.resource)
        for pod in view.indexed(OF_NODE, node)
        if pod.metadata.namespace == asked.namespace
    )


def _related(view: View, node: str, asked: Attributes) -> str:
    if not asked.name:
        return "No Object name found"
    if _is_related(view, node, asked):
        return ""
    return f"no relationship found between node '{node}' and this object"


def _read_one(view: View, node: str, asked: Attributes) -> str:
    if asked.verb != "get" or not asked.name:
        return "can only get individual resources of this type"
    if asked.subresource:
        return "cannot get subresource"
    return _related(view, node, asked)


def _read_named(view: View, node: str, asked: Attributes) -> str:
    if asked.verb not in _READ:
        return "can only read resources of this type"
    if asked.subresource:
        return "cannot read subresource"
    if not asked.namespace:
        return "can only read namespaced object of this type"
    chosen = _chosen(asked, "metadata.name")
    return _related(view, node, asked if asked.name or not chosen else _with_name(asked, chosen))


def _with_name(asked: Attributes, name: str) -> Attributes:
    return Attributes(asked.verb, asked.group, asked.resource, "", asked.namespace, name)


def _chosen(asked: Attributes, path: str) -> str:
    """The one value a field selector asks of a field; "" for none."""
    try:
        requirements = selectors.parse_fields(asked.field_selector).requirements
    except ValueError:
        return ""
    found = {r.value for r in requirements if r.path == path and not r.negated}
    return found.pop() if len(found) == 1 else ""


def _claim(view: View, node: str, asked: Attributes) -> str:
    if asked.subresource == "status":
        if asked.verb not in ("update", "patch"):
            return "can only update PVC status"
        return _related(view, node, asked)
    return _read_one(view, node, asked)


def _account(view: View, node: str, asked: Attributes) -> str:
    if asked.subresource == "token" or asked.verb == "create":
        if asked.verb != "create" or not asked.name:
            return "can only create tokens for individual service accounts"
        if asked.subresource != "token":
            return "can only create token subresource of serviceaccount"
        return _related(view, node, asked)
    return _read_one(view, node, asked)


def _lease(view: View, node: str, asked: Attributes) -> str:
    if asked.verb not in _ONE:
        return "can only get, create, update, patch, or delete a node lease"
    if asked.namespace != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    if asked.verb != "create" and asked.name != node:
        return "can only access node lease with the same name as the requesting node"
    return ""


def _node(view: View, node: str, asked: Attributes) -> str:
    if asked.subresource not in ("", "status"):
        return f"node '{node}' cannot access the subresource {asked.subresource} of nodes"
    writes = ("update", "patch") if asked.subresource else ("create", "update", "patch")
    if asked.verb in writes:
        return ""  # whether it is its own is looked at when it is written
    if asked.verb not in _READ:
        return f"node '{node}' cannot {asked.verb} nodes"
    name = asked.name or _chosen(asked, "metadata.name")
    if name == node:
        return ""
    what = f"'{name}'" if name else "all nodes"
    return f"node '{node}' cannot read {what}, only its own Node object"


def _pod(view: View, node: str, asked: Attributes) -> str:
    match asked.subresource, asked.verb:
        case "", "get":
            if any(_is(p, asked) for p in view.indexed(OF_NODE, node)):
                return ""
            return f"no relationship found between node '{node}' and this object"
        case "", "list" | "watch":
            if _chosen(asked, "spec.nodeName") == node:
                return ""
            return "can only list/watch pods with spec.nodeName field selector"
        case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
            return ""  # whether it is its own is looked at when it is written
    return f"node '{node}' cannot {asked.verb} {asked.combined}"


def _is(pod: Pod, asked: Attributes) -> bool:
    assert pod.metadata is not None
    return (pod.metadata.namespace, pod.metadata.name) == (asked.namespace, asked.name)


Check = Callable[[View, str, Attributes], str]
_CHECKS: Mapping[tuple[str, str], Check] = {
    ("", "secrets"): _read_named,
    ("", "configmaps"): _read_named,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _read_one,
    ("", "serviceaccounts"): _account,
    ("", "nodes"): _node,
    ("", "pods"): _pod,
    ("coordination.k8s.io", "leases"): _lease,
}
