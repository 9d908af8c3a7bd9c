"""What a node may write: itself, its lease, its pods' status, and mirrors of its own pods.

Pure, given a View. plugin/pkg/admission/noderestriction/admission.go, whose texts these are.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kubatch.api import errors
from kubatch.api.errors import ApiError
from kubatch.api.models import Pod
from kubatch.api.resource import LEASES, NODES, PODS, Resource
from kubatch.reconcile.controller import View
from kubatch.server.access.nodes import LEASE_NAMESPACE
from kubatch.server.access.references import MIRROR, named

_RESTRICTED = "node-restriction.kubernetes.io"  # labels that only people may set
_OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_OWN_LABEL_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def check(node: str, resource: Resource[Any], new: Any, old: Any) -> None:
    """Whether a node may store this; `old` is None for a new object. Raises ApiError 403."""
    if resource is NODES:
        why = _node(node, new, old)
    elif resource is PODS:
        why = _new_pod(node, new) if old is None else _pod_status(node, new, old)
    elif resource is LEASES:
        why = _lease(node, new)
    else:
        return
    if why:
        raise _forbidden(resource, new.metadata.name or "", why)


def check_removal(view: View, node: str, namespace: str, name: str, *, evict: bool) -> None:
    """Whether a node may delete or evict a pod. Raises ApiError 403, 404."""
    pod = view.get(PODS, namespace, name)
    if pod is None:  # or not seen yet: then nobody knows whose it is
        raise errors.not_found("", "pods", name)
    if not _is_on(pod, node):
        verb = "create evictions for" if evict else "delete"
        why = f'node "{node}" can only {verb} pods with spec.nodeName set to itself'
        raise _forbidden(PODS, name, why)


def check_token(view: View, node: str, namespace: str, account: str, bound: Any) -> None:
    """Whether a node may ask for an account's token: for a pod of its own. Raises ApiError 403."""
    why = ""
    if bound is None or bound.kind != "Pod" or not bound.name:
        why = "node requested token not bound to a pod"
    elif not bound.uid:
        why = "node requested token with a pod binding without a uid"
    else:
        pod = view.get(PODS, namespace, bound.name)
        if pod is None or pod.metadata is None or pod.metadata.uid != bound.uid:
            why = f"the UID in the bound object reference ({bound.uid}) does not match the UID in "
            why += "record. The object might have been deleted and then recreated"
        elif not _is_on(pod, node):
            why = "node requested token bound to a pod scheduled on a different node"
    if why:
        raise errors.forbidden("", "serviceaccounts", account, why)


def _forbidden(resource: Resource[Any], name: str, why: str) -> ApiError:
    return errors.forbidden(resource.group, resource.plural, name, why)


def _is_on(pod: Pod, node: str) -> bool:
    return pod.spec is not None and pod.spec.nodeName == node


def _new_pod(node: str, pod: Pod) -> str:
    """admitPodCreate"""
    assert pod.metadata is not None
    if MIRROR not in (pod.metadata.annotations or {}):
        return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if not _is_on(pod, node):
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    owners = pod.metadata.ownerReferences or []
    if len(owners) != 1:
        return f'node "{node}" can only create pods with a single owner reference set to itself'
    if (owners[0].apiVersion, owners[0].kind, owners[0].name) != ("v1", "Node", node):
        return f'node "{node}" can only create pods with an owner reference set to itself'
    seen = _unmirrored(pod)
    for resource, what in (
        ("serviceaccounts", "a service account"),
        ("secrets", "secrets"),
        ("configmaps", "configmaps"),
        ("persistentvolumeclaims", "persistentvolumeclaims"),
    ):
        if named(seen, resource):
            return f'node "{node}" can not create pods that reference {what}'
    return ""


def _unmirrored(pod: Pod) -> Pod:
    assert pod.metadata is not None
    return replace(pod, metadata=replace(pod.metadata, annotations=None))


def _pod_status(node: str, new: Pod, old: Pod) -> str:
    """admitPodStatus"""
    assert new.metadata is not None
    assert old.metadata is not None
    if not _is_on(old, node):
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if (new.metadata.labels or {}) != (old.metadata.labels or {}):
        return f'node "{node}" cannot update labels through pod status'
    return ""


def _lease(node: str, lease: Any) -> str:
    """admitLease"""
    if lease.metadata.namespace != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    if lease.metadata.name != node:
        return "can only access node lease with the same name as the requesting node"
    return ""


def _node(node: str, new: Any, old: Any) -> str:
    """admitNode"""
    name = new.metadata.name
    if name != node:
        return f'node "{node}" is not allowed to modify node "{name}"'
    if old is not None:
        if (new.spec.taints if new.spec else None) != (old.spec.taints if old.spec else None):
            return f'node "{node}" is not allowed to modify taints'
        if (new.metadata.ownerReferences or []) != (old.metadata.ownerReferences or []):
            return f'node "{node}" is not allowed to modify ownerReferences'
    elif new.metadata.ownerReferences:
        return f'node "{node}" is not allowed to set ownerReferences'
    labels = new.metadata.labels or {}
    before = (old.metadata.labels or {}) if old is not None else {}
    changed = {k for k in {*labels, *before} if labels.get(k) != before.get(k)}
    wrong = sorted(label for label in changed if not _may_label(label))
    if wrong:
        return f'node "{node}" is not allowed to modify labels: {", ".join(wrong)}'
    return ""


def _may_label(label: str) -> bool:
    """getModifiedLabels, IsKubeletLabel: of Kubernetes' own labels only those of an agent."""
    domain, separator, _ = label.rpartition("/")
    if not separator:
        return True
    if _within(domain, _RESTRICTED):
        return False
    if not (_within(domain, "kubernetes.io") or _within(domain, "k8s.io")):
        return True
    return label in _OWN_LABELS or any(_within(domain, d) for d in _OWN_LABEL_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")
