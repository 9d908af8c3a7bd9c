"""By what the elements of lists are told apart in a strategic merge patch.

The table holds the `patchMergeKey` of Go's types (k8s.io/api/*/types.go) for fields whose
`patchStrategy` is merge. A list that is not here is replaced as a whole.
"""

from __future__ import annotations

# The elements are plain values: each is its own key.
PRIMITIVE = ""

_LISTS: dict[str, dict[str, str]] = {
    "ObjectMeta": {"ownerReferences": "uid", "finalizers": PRIMITIVE},
    "PodSpec": {
        "containers": "name",
        "initContainers": "name",
        "ephemeralContainers": "name",
        "volumes": "name",
        "imagePullSecrets": "name",
        "hostAliases": "ip",
        "topologySpreadConstraints": "topologyKey",
        "schedulingGates": "name",
        "resourceClaims": "name",
    },
    "PodStatus": {
        "conditions": "type",
        "podIPs": "ip",
        "hostIPs": "ip",
        "resourceClaimStatuses": "name",
    },
    "ContainerStatus": {"volumeMounts": "mountPath", "allocatedResourcesStatus": "name"},
    "JobStatus": {"conditions": "type"},
    "NamespaceStatus": {"conditions": "type"},
    "NodeSpec": {"podCIDRs": PRIMITIVE},
    "NodeStatus": {"conditions": "type", "addresses": "type"},
    "PersistentVolumeClaimStatus": {"conditions": "type"},
    "PodDisruptionBudgetStatus": {"conditions": "type"},
    "ReplicaSetStatus": {"conditions": "type"},
    "ReplicationControllerStatus": {"conditions": "type"},
    "DeploymentStatus": {"conditions": "type"},
    "ServiceAccount": {"secrets": "name"},
    "ServiceSpec": {"ports": "port"},
    "ServiceStatus": {"conditions": "type"},
}
for _container in ("Container", "EphemeralContainer"):
    _LISTS[_container] = {
        "env": "name",
        "ports": "containerPort",
        "volumeMounts": "mountPath",
        "volumeDevices": "devicePath",
    }

MERGE_KEYS: dict[tuple[str, str], str] = {
    (message, field): key for message, fields in _LISTS.items() for field, key in fields.items()
}


def merge_key(message: str, field: str) -> str | None:
    """The key of a list's elements, PRIMITIVE for plain values, None for a list to replace."""
    return MERGE_KEYS.get((message, field))
