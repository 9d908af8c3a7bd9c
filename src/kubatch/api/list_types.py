"""How lists and maps are owned in a server-side apply: as a whole, or element by element.

The tables hold the `listType`, `listMapKey`, `mapType` and `structType` marks of Go's types
(k8s.io/api/*/types.go). They differ from the merge keys of strategic merge patches in places: a
Job's conditions merge there and are one value here. A list that is not here is one value; a map or
struct that is not here is owned member by member.
"""

from __future__ import annotations

# A list of plain values, each its own key.
SET: tuple[str, ...] = ()

_NAME = ("name",)
_TYPE = ("type",)

_LISTS: dict[str, dict[str, tuple[str, ...]]] = {
    "ObjectMeta": {"ownerReferences": ("uid",), "finalizers": SET},
    "PodSpec": {
        "containers": _NAME,
        "initContainers": _NAME,
        "ephemeralContainers": _NAME,
        "volumes": _NAME,
        "imagePullSecrets": _NAME,
        "hostAliases": ("ip",),
        "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
        "schedulingGates": _NAME,
        "resourceClaims": _NAME,
    },
    "PodStatus": {"conditions": _TYPE, "podIPs": ("ip",), "resourceClaimStatuses": _NAME},
    "ContainerStatus": {"volumeMounts": ("mountPath",), "allocatedResourcesStatus": _NAME},
    "ResourceRequirements": {"claims": _NAME},
    "UncountedTerminatedPods": {"succeeded": SET, "failed": SET},
    "PodFailurePolicyOnExitCodesRequirement": {"values": SET},
    "NamespaceStatus": {"conditions": _TYPE},
    "NodeSpec": {"podCIDRs": SET},
    "NodeStatus": {"conditions": _TYPE, "addresses": _TYPE},
    "PersistentVolumeClaimStatus": {"conditions": _TYPE},
    "PodDisruptionBudgetStatus": {"conditions": _TYPE},
    "ReplicaSetStatus": {"conditions": _TYPE},
    "ReplicationControllerStatus": {"conditions": _TYPE},
    "DeploymentStatus": {"conditions": _TYPE},
    "ServiceAccount": {"secrets": _NAME},
    "ServiceSpec": {"ports": ("port", "protocol")},
    "ServiceStatus": {"conditions": _TYPE},
    "Endpoint": {"addresses": SET},
}
for _container in ("Container", "EphemeralContainer"):
    _LISTS[_container] = {
        "env": _NAME,
        "ports": ("containerPort", "protocol"),
        "volumeMounts": ("mountPath",),
        "volumeDevices": ("devicePath",),
    }

LIST_KEYS: dict[tuple[str, str], tuple[str, ...]] = {
    (message, field): keys for message, fields in _LISTS.items() for field, keys in fields.items()
}

# What a key is when an element leaves it out (`+default` on the key's field).
KEY_DEFAULTS: dict[tuple[str, str], str] = {
    ("ContainerPort", "protocol"): "TCP",
    ("LocalObjectReference", "name"): "",
    ("ServicePort", "protocol"): "TCP",
}

# Structs that are one value wherever they stand (`+structType=atomic`) ...
ATOMIC_STRUCTS = frozenset(
    (
        "ConfigMapKeySelector",
        "EndpointAddress",
        "EndpointPort",
        "FileKeySelector",
        "LabelSelector",
        "LocalObjectReference",
        "NodeSelector",
        "NodeSelectorTerm",
        "ObjectFieldSelector",
        "ObjectReference",
        "OwnerReference",
        "ResourceFieldSelector",
        "RoleRef",
        "ScopeSelector",
        "ScopedResourceSelectorRequirement",
        "SecretKeySelector",
        "SecretReference",
        "Subject",
        "TypedLocalObjectReference",
    )
)
# ... but for these fields of such a type, ...
GRANULAR_FIELDS = frozenset((("PersistentVolumeSpec", "claimRef"),))
# ... and maps that are one value.
ATOMIC_MAPS = frozenset(
    (
        ("PodSpec", "nodeSelector"),
        ("ServiceSpec", "selector"),
        ("ReplicationControllerSpec", "selector"),
    )
)


def list_keys(message: str, field: str) -> tuple[str, ...] | None:
    """The keys of a list's elements, SET for plain values, None for a list that is one value."""
    return LIST_KEYS.get((message, field))
