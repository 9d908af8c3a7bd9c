"""What a machine's agent may ask for and write: its own, and what its pods name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubatch.api.errors import ApiError
from kubatch.api.models import Lease, Node, PersistentVolumeClaim, Pod
from kubatch.api.resource import LEASES, NODES, PODS, SERVICES, Resource
from kubatch.server.access import node_restriction, nodes, references
from kubatch.server.access.attributes import Attributes, User
from kubatch.server.access.policy import Policy
from tests.unit.server.access.roles import RoleView

N1 = User("system:node:n1", groups=("system:nodes", "system:authenticated"))
MIRROR = {references.MIRROR: "x"}
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u"}


def pod(name: str = "p", node: str = "n1", space: str = "d", **spec: Any) -> Pod:
    meta = {"name": name, "namespace": space, "uid": f"uid-{name}"}
    spec = {"containers": [], "nodeName": node, **spec}
    return msgspec.convert({"metadata": meta, "spec": spec}, Pod)


def claim(name: str, volume: str) -> PersistentVolumeClaim:
    meta = {"name": name, "namespace": "d"}
    return msgspec.convert(
        {"metadata": meta, "spec": {"volumeName": volume}}, PersistentVolumeClaim
    )


def environment(**source: Any) -> list[dict[str, Any]]:
    return [{"name": "c", "env": [{"name": "A", "valueFrom": source}]}]


EVERYTHING = pod(
    serviceAccountName="account",
    imagePullSecrets=[{"name": "pull"}],
    containers=environment(secretKeyRef={"name": "env-secret", "key": "k"}),
    initContainers=environment(configMapKeyRef={"name": "env-map", "key": "k"}),
    ephemeralContainers=[
        {
            "name": "e",
            "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "all"}}],
        }
    ],
    volumes=[
        {"name": "a", "secret": {"secretName": "volume"}},
        {"name": "b", "configMap": {"name": "volume"}},
        {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "d", "azureFile": {"shareName": "s", "secretName": "azure"}},
        {"name": "e", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
        {"name": "f", "cephfs": {"monitors": [], "secretRef": {"name": "ceph"}}},
        {
            "name": "g",
            "projected": {
                "sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "part"}}]
            },
        },
    ],
)


def test_every_way_in_which_a_pod_names_something() -> None:
    secrets = {"pull", "env-secret", "all", "volume", "azure", "csi", "ceph", "part"}
    assert references.named(EVERYTHING, "secrets") == secrets
    assert references.named(EVERYTHING, "configmaps") == {"env-map", "all", "volume", "part"}
    assert references.named(EVERYTHING, "persistentvolumeclaims") == {"claim"}
    assert references.named(EVERYTHING, "serviceaccounts") == {"account"}
    assert references.named(pod(), "serviceaccounts") == set()
    assert references.named(mirror(), "serviceaccounts") == set()
    assert references.named(Pod(metadata=pod().metadata), "secrets") == set()


VIEW = RoleView(
    EVERYTHING, pod("there", "n2", imagePullSecrets=[{"name": "n2"}]), claim("claim", "volume")
)
POLICY = Policy(VIEW)
NO_RELATION = "no relationship found between node 'n1' and this object"
ONE = "can only get individual resources of this type"
NOT_ITS_LEASE = "can only access node lease with the same name as the requesting node"
NODE_LEASES = 'can only access leases in the "kube-node-lease" system namespace'
BY_NODE = "can only list/watch pods with spec.nodeName field selector"
ITSELF = "node 'n1' cannot read {}, only its own Node object"
NOTHING = "it is nothing that a node needs"
LEASE = "coordination.k8s.io/leases"


def asked(verb: str, what: str, space: str = "d", name: str = "", chosen: str = "") -> Attributes:
    """A question in words: `secrets`, `pods/status`, `group.io/things`."""
    group, _, rest = what.rpartition("/") if "." in what else ("", "", what)
    resource, _, subresource = rest.partition("/")
    return Attributes(verb, group, resource, subresource, space, name, field_selector=chosen)


@pytest.mark.parametrize(
    ("question", "objection"),
    [
        (asked("get", "secrets", name="pull"), ""),
        (asked("list", "secrets", chosen="metadata.name=pull"), ""),
        (asked("watch", "configmaps", chosen="metadata.name=all"), ""),
        (asked("get", "secrets", name="n2"), NO_RELATION),
        (asked("get", "secrets", "other", "pull"), NO_RELATION),
        (asked("list", "secrets"), "No Object name found"),
        (asked("list", "secrets", chosen="metadata.name!=x"), "No Object name found"),
        (asked("list", "secrets", chosen="nonsense"), "No Object name found"),
        (asked("list", "secrets", ""), "can only read namespaced object of this type"),
        (asked("update", "secrets", name="pull"), "can only read resources of this type"),
        (asked("get", "secrets/x", name="pull"), "cannot read subresource"),
        (asked("get", "persistentvolumeclaims", name="claim"), ""),
        (asked("list", "persistentvolumeclaims"), ONE),
        (asked("get", "persistentvolumeclaims/x", name="claim"), "cannot get subresource"),
        (asked("patch", "persistentvolumeclaims/status", name="claim"), ""),
        (asked("get", "persistentvolumeclaims/status", name="claim"), "can only update PVC status"),
        (asked("get", "persistentvolumes", "", "volume"), ""),
        (asked("get", "persistentvolumes", "", "another"), NO_RELATION),
        (asked("get", "serviceaccounts", name="account"), ""),
        (asked("create", "serviceaccounts/token", name="account"), ""),
        (asked("create", "serviceaccounts/token", name="default"), NO_RELATION),
        (
            asked("create", "serviceaccounts", name="account"),
            "can only create token subresource of serviceaccount",
        ),
        (
            asked("get", "serviceaccounts/token", name="account"),
            "can only create tokens for individual service accounts",
        ),
        (asked("get", "nodes", "", "n1"), ""),
        (asked("watch", "nodes", "", chosen="metadata.name=n1"), ""),
        (asked("get", "nodes", "", "n2"), ITSELF.format("'n2'")),
        (asked("list", "nodes", ""), ITSELF.format("all nodes")),
        (asked("create", "nodes", ""), ""),
        (asked("patch", "nodes/status", "", "n1"), ""),
        (asked("delete", "nodes", "", "n1"), "node 'n1' cannot delete nodes"),
        (
            asked("get", "nodes/proxy", "", "n1"),
            "node 'n1' cannot access the subresource proxy of nodes",
        ),
        (asked("get", "pods", name="p"), ""),
        (asked("get", "pods", name="there"), NO_RELATION),
        (asked("list", "pods", "", chosen="spec.nodeName=n1"), ""),
        (asked("list", "pods", "", chosen="spec.nodeName=n2"), BY_NODE),
        (asked("list", "pods", ""), BY_NODE),
        (asked("create", "pods"), ""),
        (asked("delete", "pods", name="p"), ""),
        (asked("patch", "pods/status", name="p"), ""),
        (asked("create", "pods/eviction", name="p"), ""),
        (asked("update", "pods", name="p"), "node 'n1' cannot update pods"),
        (asked("create", "pods/exec", name="p"), "node 'n1' cannot create pods/exec"),
        (asked("update", LEASE, "kube-node-lease", "n1"), ""),
        (asked("create", LEASE, "kube-node-lease"), ""),
        (asked("update", LEASE, "kube-node-lease", "n2"), NOT_ITS_LEASE),
        (asked("get", LEASE, "d", "n1"), NODE_LEASES),
        (
            asked("list", LEASE, "kube-node-lease"),
            "can only get, create, update, patch, or delete a node lease",
        ),
        (asked("list", "services", ""), ""),
        (asked("create", "events"), ""),
        (asked("create", "batch.io/jobs"), NOTHING),
        (Attributes("get", path="/metrics", is_resource=False), NOTHING),
    ],
    ids=repr,
)
def test_what_a_node_may_ask_for(question: Attributes, objection: str) -> None:
    said = POLICY.verdict(N1, question)
    assert (said.allowed, said.reason) == (not objection, objection)


@pytest.mark.parametrize(
    "stranger",
    [User("system:node:n1"), User("n1", groups=("system:nodes",))],
    ids=["not in the group", "not named so"],
)
def test_others_are_no_nodes(stranger: User) -> None:
    assert not POLICY.verdict(stranger, asked("get", "secrets", name="pull")).allowed


# ----- writes


def node(name: str = "n1", labels: Any = None, **more: Any) -> Node:
    owners = more.pop("owners", None)
    meta = {"name": name, "labels": labels, "ownerReferences": owners}
    return msgspec.convert({"metadata": meta, "spec": more}, Node)


def mirror(**spec: Any) -> Pod:
    made = pod(**{"serviceAccountName": "", **spec})
    assert made.metadata is not None
    owner = msgspec.convert({"metadata": {"name": "p", "ownerReferences": [OWNER]}}, Pod).metadata
    assert owner is not None
    made.metadata.annotations = MIRROR
    made.metadata.ownerReferences = owner.ownerReferences
    return made


def owned_by(*owners: dict[str, str]) -> Pod:
    made = mirror()
    meta = msgspec.convert({"ownerReferences": owners}, type(made.metadata))
    assert made.metadata is not None
    assert meta is not None
    made.metadata.ownerReferences = meta.ownerReferences
    return made


def labelled(value: Pod, **labels: str) -> Pod:
    assert value.metadata is not None
    value.metadata.labels = labels
    return value


def lease(name: str, space: str = "kube-node-lease") -> Lease:
    return msgspec.convert({"metadata": {"name": name, "namespace": space}}, Lease)


TAINT = [{"key": "k", "effect": "NoSchedule"}]
REFERENCE = 'node "n1" can not create pods that reference '
CREATE = 'node "n1" can only create pods with '
LABELS = 'node "n1" is not allowed to modify labels: '


@pytest.mark.parametrize(
    ("resource", "new", "old", "why"),
    [
        (PODS, mirror(), None, ""),
        (
            PODS,
            pod(),
            None,
            'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create '
            "mirror pods",
        ),
        (PODS, mirror(nodeName="n2"), None, CREATE + "spec.nodeName set to itself"),
        (PODS, owned_by(), None, CREATE + "a single owner reference set to itself"),
        (
            PODS,
            owned_by({**OWNER, "name": "n2"}),
            None,
            CREATE + "an owner reference set to itself",
        ),
        (PODS, mirror(serviceAccountName="x"), None, REFERENCE + "a service account"),
        (PODS, mirror(imagePullSecrets=[{"name": "x"}]), None, REFERENCE + "secrets"),
        (
            PODS,
            mirror(volumes=[{"name": "v", "configMap": {"name": "x"}}]),
            None,
            REFERENCE + "configmaps",
        ),
        (PODS, pod(), pod(), ""),
        (
            PODS,
            pod(),
            pod(node="n2"),
            'node "n1" can only update pod status for pods with spec.nodeName set to itself',
        ),
        (PODS, labelled(pod(), a="b"), pod(), 'node "n1" cannot update labels through pod status'),
        (NODES, node(), None, ""),
        (NODES, node("n2"), None, 'node "n1" is not allowed to modify node "n2"'),
        (NODES, node(taints=TAINT), None, ""),
        (NODES, node(taints=TAINT), node(), 'node "n1" is not allowed to modify taints'),
        (
            NODES,
            node(owners=[OWNER]),
            node(),
            'node "n1" is not allowed to modify ownerReferences',
        ),
        (NODES, node(owners=[OWNER]), None, 'node "n1" is not allowed to set ownerReferences'),
        (NODES, node(labels={"kubernetes.io/os": "linux", "mine": "x"}), node(), ""),
        (NODES, node(labels={"a.node.kubernetes.io/x": "1", "x.org/y": ""}), None, ""),
        (
            NODES,
            node(labels={"node-restriction.kubernetes.io/x": "1", "k8s.io/x": ""}),
            None,
            LABELS + "k8s.io/x, node-restriction.kubernetes.io/x",
        ),
        (NODES, node(), node(labels={"x.k8s.io/z": "1"}), LABELS + "x.k8s.io/z"),
        (NODES, node(labels={"x.k8s.io/z": "1"}), node(labels={"x.k8s.io/z": "1"}), ""),
        (LEASES, lease("n1"), None, ""),
        (LEASES, lease("n2"), None, NOT_ITS_LEASE),
        (LEASES, lease("n1", "d"), None, NODE_LEASES),
        (SERVICES, pod(), None, ""),
    ],
)
def test_what_a_node_may_write(resource: Resource[Any], new: Any, old: Any, why: str) -> None:
    if not why:
        node_restriction.check("n1", resource, new, old)
        return
    with pytest.raises(ApiError) as raised:
        node_restriction.check("n1", resource, new, old)
    assert raised.value.code == 403
    assert raised.value.message.endswith(f" is forbidden: {why}")


def test_a_pod_that_nobody_has_seen_is_not_ended() -> None:
    with pytest.raises(ApiError) as raised:
        node_restriction.check_removal(VIEW, "n1", "d", "nope", evict=False)
    assert raised.value.code == 404


@pytest.mark.parametrize(
    ("name", "evict", "why"),
    [
        ("p", False, ""),
        ("there", False, 'node "n1" can only delete pods with spec.nodeName set to itself'),
        (
            "there",
            True,
            'node "n1" can only create evictions for pods with spec.nodeName set to itself',
        ),
    ],
)
def test_whose_end_a_node_may_ask_for(name: str, evict: bool, why: str) -> None:
    if not why:
        node_restriction.check_removal(VIEW, "n1", "d", name, evict=evict)
        return
    with pytest.raises(ApiError) as raised:
        node_restriction.check_removal(VIEW, "n1", "d", name, evict=evict)
    assert raised.value.message == f'pods "there" is forbidden: {why}'


@pytest.mark.parametrize(
    ("bound", "why"),
    [
        (("Pod", "p", "uid-p"), ""),
        (None, "node requested token not bound to a pod"),
        (("Secret", "p", "u"), "node requested token not bound to a pod"),
        (("Pod", "p", ""), "node requested token with a pod binding without a uid"),
        (
            ("Pod", "there", "uid-there"),
            "node requested token bound to a pod scheduled on a different node",
        ),
        (
            ("Pod", "p", "old"),
            "the UID in the bound object reference (old) does not match the UID in record. The "
            "object might have been deleted and then recreated",
        ),
    ],
)
def test_whose_tokens_a_node_may_have(bound: tuple[str, str, str] | None, why: str) -> None:
    kind, name, uid = bound or ("", "", "")
    reference = type("Reference", (), {"kind": kind, "name": name, "uid": uid}) if bound else None
    if not why:
        node_restriction.check_token(VIEW, "n1", "d", "account", reference)
        return
    with pytest.raises(ApiError) as raised:
        node_restriction.check_token(VIEW, "n1", "d", "account", reference)
    assert raised.value.message == f'serviceaccounts "account" is forbidden: {why}'


def test_the_rules_are_those_every_cluster_has() -> None:
    assert nodes.objection(RoleView(), "n1", asked("watch", "services", "")) == ""
