"""What objects count for in a ResourceQuota, and whether one more is too many.

Follows k8s.io/apiserver/pkg/quota/v1 and pkg/quota/v1/evaluator/core. Amounts are kept as the
texts of quantities, since sums are shown to people in the units that they wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubatch.api import quantity
from kubatch.api.models import (
    Container,
    PersistentVolumeClaim,
    Pod,
    PodSpec,
    ResourceQuota,
    Service,
    core_v1,
)
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS, PODS, SERVICES, Resource

Usage = dict[str, str]  # resource name to quantity

# Core kinds that have a name of their own in quotas, beside count/NAME.
_NAMED = frozenset(
    {
        "configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas",
        "secrets", "services",
    }
)  # fmt: skip
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
# What every container must say as soon as a quota limits it (podEvaluator.Constraints).
_MANDATORY = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")
)


# ----- one object


def of(resource: Resource[Any], obj: Any) -> Usage:
    """What one object counts for."""
    plural, group = resource.plural, resource.group
    counted = {f"count/{plural}.{group}" if group else f"count/{plural}": "1"}
    if not group and plural in _NAMED:
        counted[plural] = "1"
    if resource is PODS:
        counted |= _pod(obj)
    elif resource is SERVICES:
        counted |= _service(obj)
    elif resource is PERSISTENTVOLUMECLAIMS:
        counted |= _claim(obj)
    return counted


def touches(resource: Resource[Any], hard: Iterable[str]) -> bool:
    """Whether objects of a resource can count for any of these names."""
    for name in hard:
        if name.startswith("count/"):
            plural, _, group = name.removeprefix("count/").partition(".")
            if (plural, group) == (resource.plural, resource.group):
                return True
        elif resource.group:
            continue
        elif name.partition(".")[0] == resource.plural:
            return True
        elif resource is PERSISTENTVOLUMECLAIMS:
            if name == "requests.storage" or ".storageclass.storage.k8s.io/" in name:
                return True
        elif resource is PODS and name.partition(".")[0] not in _NAMED:
            return True
    return False


def is_over(pod: Pod) -> bool:
    """Whether a pod has ended, and takes nothing any more but its place among the objects."""
    return pod.status is not None and pod.status.phase in ("Succeeded", "Failed")


def _pod(pod: Pod) -> Usage:
    if pod.spec is None or is_over(pod):
        return {}
    counted = {"pods": "1"}
    for name, amount in effective(pod.spec, "requests").items():
        counted[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            counted[name] = amount
    for name, amount in effective(pod.spec, "limits").items():
        if name in _COMPUTE:
            counted[f"limits.{name}"] = amount
    return counted


def _amounts(res: core_v1.ResourceRequirements | None, member: str) -> Mapping[str, str]:
    found: Mapping[str, str] | None = getattr(res, member, None)
    return found or {}


def effective(spec: PodSpec, member: str) -> Usage:
    """A pod's requests or limits at its greediest moment (resource.PodRequests, PodLimits).

    Init containers run one after another, sidecars beside everything that starts after them.
    """
    running = [_amounts(c.resources, member) for c in spec.containers]
    sidecars: list[Mapping[str, str]] = []
    moments: list[Usage] = []
    for c in spec.initContainers or ():
        own = _amounts(c.resources, member)
        if c.restartPolicy == "Always":
            sidecars.append(own)
            moments.append(added(sidecars))
        else:
            moments.append(added([*sidecars, own]))
    total = added([*running, *sidecars])
    for moment in moments:
        for name, amount in moment.items():
            if quantity.parse(amount) > quantity.parse(total.get(name, "0")):
                total[name] = amount
    if spec.resources is not None:
        total |= _amounts(spec.resources, member)
    overhead = {
        k: v for k, v in (spec.overhead or {}).items() if member == "requests" or k in total
    }
    return added([total, overhead])


def added(many: Iterable[Mapping[str, str]]) -> Usage:
    """The sum of usages."""
    found: dict[str, list[str]] = {}
    for one in many:
        for name, amount in one.items():
            found.setdefault(name, []).append(amount)
    return {name: quantity.summed(amounts) for name, amounts in found.items()}


def _service(service: Service) -> Usage:
    spec = service.spec
    if spec is None:
        return {}
    counted = {"services.nodeports": "0", "services.loadbalancers": "0"}
    balanced = spec.type == "LoadBalancer"
    opened = balanced and spec.allocateLoadBalancerNodePorts is not False
    if opened or spec.type == "NodePort":
        counted["services.nodeports"] = str(len(spec.ports or ()))
    if balanced:
        counted["services.loadbalancers"] = "1"
    return counted


def _claim(claim: PersistentVolumeClaim) -> Usage:
    spec = claim.spec
    if spec is None:
        return {}
    asked = spec.resources.requests if spec.resources is not None else None
    size = (asked or {}).get("storage", "0")
    counted = {"requests.storage": size}
    if spec.storageClassName:
        name = f"{spec.storageClassName}.storageclass.storage.k8s.io"
        counted |= {f"{name}/requests.storage": size, f"{name}/persistentvolumeclaims": "1"}
    return counted


# ----- scopes


def in_scope(quota: ResourceQuota, resource: Resource[Any], obj: Any) -> bool:
    """Whether a quota looks at an object at all."""
    spec = quota.spec
    if spec is None:
        return False
    wanted: list[tuple[str, str, Sequence[str]]] = [(s, "Exists", ()) for s in spec.scopes or ()]
    if spec.scopeSelector is not None:
        wanted += [
            (r.scopeName, r.operator, r.values or ())
            for r in spec.scopeSelector.matchExpressions or ()
        ]
    return all(_in_one(resource, obj, *one) for one in wanted)


def _in_one(
    resource: Resource[Any], obj: Any, scope: str, operator: str, values: Sequence[str]
) -> bool:
    spec: Any = obj.spec if resource in (PODS, PERSISTENTVOLUMECLAIMS) else None
    if spec is None:
        return False
    if scope == "VolumeAttributesClass":
        found = resource is PERSISTENTVOLUMECLAIMS
        return found and _named(spec.volumeAttributesClassName, operator, values)
    if resource is not PODS:
        return False
    match scope:
        case "Terminating":
            return spec.activeDeadlineSeconds is not None
        case "NotTerminating":
            return spec.activeDeadlineSeconds is None
        case "BestEffort":
            return _best_effort(obj)
        case "NotBestEffort":
            return not _best_effort(obj)
        case "PriorityClass":
            return _named(spec.priorityClassName, operator, values)
        case "CrossNamespacePodAffinity":
            return _looks_elsewhere(spec.affinity)
    return False


def _named(name: str | None, operator: str, values: Sequence[str]) -> bool:
    match operator:
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "Exists":
            return bool(name)
    return not name


def _best_effort(pod: Pod) -> bool:
    return pod.status is not None and pod.status.qosClass == "BestEffort"


def _looks_elsewhere(affinity: core_v1.Affinity | None) -> bool:
    if affinity is None:
        return False
    for pods in (affinity.podAffinity, affinity.podAntiAffinity):
        if pods is None:
            continue
        terms = list(pods.requiredDuringSchedulingIgnoredDuringExecution or ())
        weighted = pods.preferredDuringSchedulingIgnoredDuringExecution or ()
        terms += [w.podAffinityTerm for w in weighted]
        if any(t.namespaces or t.namespaceSelector is not None for t in terms):
            return True
    return False


# ----- many objects


def total(quota: ResourceQuota, contents: Iterable[tuple[Resource[Any], Sequence[Any]]]) -> Usage:
    """How much of each of its names a quota sees used."""
    hard = (quota.spec.hard if quota.spec is not None else None) or {}
    amounts: dict[str, list[str]] = {name: [] for name in sorted(hard)}
    for resource, objects in contents:
        for obj in objects:
            if not in_scope(quota, resource, obj):
                continue
            for name, amount in of(resource, obj).items():
                if name in amounts:
                    amounts[name].append(amount)
    return {name: quantity.summed(found) for name, found in amounts.items()}


def refusal(
    quota: ResourceQuota,
    resource: Resource[Any],
    obj: Any,
    others: Sequence[Any],
    old: Any = None,
) -> str:
    """Why one more object is too much for a quota, or what an object has become; "": it is not.

    `others` is what there is beside the object and what it was before, `old`.
    """
    spec = quota.spec
    if spec is None or not spec.hard or not in_scope(quota, resource, obj):
        return ""
    name = (quota.metadata.name if quota.metadata is not None else None) or ""
    if resource is PODS and old is None and (silent := _unspecified(spec.hard, obj)):
        return f"failed quota: {name}: must specify {silent}"
    asked = {k: v for k, v in of(resource, obj).items() if k in spec.hard}
    if old is not None and in_scope(quota, resource, old):
        before = of(resource, old)
        asked = {k: quantity.summed([v, _negative(before.get(k, "0"))]) for k, v in asked.items()}
    if not asked:
        return ""
    used = total(quota, [(resource, others if old is None else [*others, old])])
    over = [
        k
        for k, v in sorted(asked.items())
        if quantity.parse(v) > 0
        and quantity.parse(v) + quantity.parse(used[k]) > quantity.parse(spec.hard[k])
    ]
    if not over:
        return ""
    return (
        f"exceeded quota: {name}, requested: {_listed(asked, over)}, used: {_listed(used, over)}, "
        f"limited: {_listed(spec.hard, over)}"
    )


def _negative(amount: str) -> str:
    return amount[1:] if amount.startswith("-") else f"-{amount}"


def _listed(amounts: Mapping[str, str], names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names)


def _unspecified(hard: Mapping[str, str], pod: Pod) -> str:
    """What a quota limits and containers do not say: `limits.memory for: c; cpu for: a,b`."""
    if pod.spec is None:
        return ""
    containers = [*pod.spec.containers, *(pod.spec.initContainers or ())]
    parts = []
    for name in sorted(_MANDATORY & set(hard)):
        silent = sorted({c.name for c in containers if not _says(c, name)})
        if silent:
            parts.append(f"{name} for: {','.join(silent)}")
    return "; ".join(parts)


def _says(c: Container, name: str) -> bool:
    member = "limits" if name.startswith("limits.") else "requests"
    return name.rpartition(".")[2] in _amounts(c.resources, member)
