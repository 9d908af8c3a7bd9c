"""Who may do what: a cluster with a few users, and one row for each question."""

from __future__ import annotations

import pytest

from kubatch.server.access import attributes
from kubatch.server.access.attributes import User
from kubatch.server.auth import ANONYMOUS
from kubatch.server.request import parse
from tests.unit.server.access.roles import (
    binding,
    cluster_binding,
    cluster_role,
    paths,
    policy,
    role,
    rule,
    user,
)

POLICY = policy(
    role("reader", rule("get list", "core", "pods pods/log")),
    role("one-job", rule("get update", "batch", "jobs", "nightly")),
    role("any-status", rule("patch", "*", "*/status")),
    role("elsewhere", rule("*", "*", "*"), namespace="other"),
    cluster_role("jobs", rule("*", "batch", "jobs jobs/status")),
    cluster_role("metrics", paths("get", "/metrics", "/stats/*")),
    cluster_role("everything-read", rule("get list watch", "*", "*")),
    binding("reader", "Role:reader", "User:bob", "Group:readers", "ServiceAccount:robot"),
    binding("one-job", "Role:one-job", "User:jim"),
    binding("status", "Role:any-status", "ServiceAccount:other/robot"),
    binding("jobs", "ClusterRole:jobs", "Group:batch"),
    binding("missing", "Role:gone", "User:lost"),
    binding("admin", "ClusterRole:admin", "User:ann"),
    binding("edit", "ClusterRole:edit", "User:ed"),
    binding("view", "ClusterRole:view", "User:vi"),
    binding("elsewhere", "Role:elsewhere", "User:bob", namespace="other"),
    cluster_binding("metrics", "metrics", "Group:ops"),
    cluster_binding("auditors", "everything-read", "Group:auditors"),
    cluster_binding("nobody", "cluster-admin"),
    cluster_binding("missing", "gone", "Group:lost-everywhere"),
)

USERS = {
    "bob": user("bob"),
    "reader": user("kim", "readers"),
    "robot": user("system:serviceaccount:d:robot", "system:serviceaccounts"),
    "other-robot": user("system:serviceaccount:other:robot", "system:serviceaccounts"),
    "jim": user("jim"),
    "batch": user("bo", "batch"),
    "ann": user("ann"),
    "ed": user("ed"),
    "vi": user("vi"),
    "ops": user("op", "ops"),
    "auditor": user("au", "auditors"),
    "manager": user("system:kube-controller-manager"),
    "scheduler": user("system:kube-scheduler"),
    "lost": user("lost"),
    "nobody": user("somebody"),
    "stranger": ANONYMOUS,
    "root": user("root", "system:masters"),
    # Names that only look like others.
    "fake-robot": user("robot"),
    "fake-group": user("readers"),
    "odd-account": user("system:serviceaccount:d:robot:x"),
}

D = "/api/v1/namespaces/d"
B = "/apis/batch/v1/namespaces/d"
R = "/apis/rbac.authorization.k8s.io/v1"
AUTHZ = "/apis/authorization.k8s.io/v1"
AUTHN = "/apis/authentication.k8s.io/v1"

YES = [
    ("bob", "GET", f"{D}/pods"),
    ("bob", "GET", f"{D}/pods/p"),
    ("bob", "GET", f"{D}/pods/p/log?follow"),
    ("bob", "DELETE", "/api/v1/namespaces/other/secrets/s"),
    ("bob", "DELETE", "/apis/batch/v1/namespaces/other/jobs"),
    ("reader", "GET", f"{D}/pods/p"),
    ("robot", "GET", f"{D}/pods/p"),
    ("other-robot", "PATCH", f"{B}/jobs/j/status"),
    ("jim", "GET", f"{B}/jobs/nightly"),
    ("jim", "PUT", f"{B}/jobs/nightly"),
    ("batch", "POST", f"{B}/jobs"),
    ("batch", "DELETE", f"{B}/jobs"),
    ("batch", "PATCH", f"{B}/jobs/j/status"),
    ("ann", "POST", f"{B}/jobs"),
    ("ann", "POST", f"{R}/namespaces/d/rolebindings"),
    ("ann", "POST", f"{AUTHZ}/namespaces/d/localsubjectaccessreviews"),
    ("ann", "GET", f"{D}/secrets/s"),
    ("ann", "GET", "/api/v1/namespaces/d"),
    ("ed", "DELETE", f"{D}/pods/p"),
    ("ed", "POST", f"{D}/pods/p/exec"),
    ("ed", "POST", f"{D}/pods/p/eviction"),
    ("ed", "GET", f"{D}/secrets"),
    ("ed", "POST", f"{D}/serviceaccounts/a/token"),
    ("vi", "GET", f"{D}/pods?watch=1"),
    ("vi", "GET", f"{D}/pods/p/log"),
    ("vi", "GET", f"{B}/cronjobs/c/status"),
    ("vi", "GET", f"{D}/configmaps"),
    ("ops", "GET", "/metrics"),
    ("ops", "GET", "/stats/summary"),
    ("auditor", "GET", "/api/v1/secrets"),
    ("auditor", "GET", f"{D}/pods/p/exec"),
    ("auditor", "GET", "/api/v1/nodes/n"),
    ("manager", "GET", "/apis/batch/v1/jobs?watch=1"),
    ("manager", "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"
     "kube-controller-manager"),
    ("manager", "POST", f"{D}/events"),
    ("scheduler", "POST", f"{D}/pods/p/binding"),
    ("scheduler", "PATCH", f"{D}/pods/p/status"),
    ("nobody", "GET", "/api"),
    ("nobody", "GET", "/apis/batch/v1"),
    ("nobody", "GET", "/openapi/v3/apis/batch/v1"),
    ("nobody", "POST", f"{AUTHZ}/selfsubjectaccessreviews"),
    ("nobody", "POST", f"{AUTHZ}/selfsubjectrulesreviews"),
    ("nobody", "POST", f"{AUTHN}/selfsubjectreviews"),
    ("robot", "GET", "/openid/v1/jwks"),
    ("stranger", "GET", "/healthz"),
    ("stranger", "GET", "/readyz/ping"),
    ("stranger", "GET", "/version"),
    ("stranger", "HEAD", "/livez"),
    ("root", "DELETE", "/api/v1/nodes"),
    ("root", "POST", "/anything"),
]  # fmt: skip

# What the refusal says after `User "..." cannot `.
NO = [
    ("bob", "GET", f"{D}/pods?watch=1",
     'watch resource "pods" in API group "" in the namespace "d"'),
    ("bob", "POST", f"{D}/pods", 'create resource "pods" in API group "" in the namespace "d"'),
    ("bob", "GET", "/api/v1/pods", 'list resource "pods" in API group "" at the cluster scope'),
    ("bob", "GET", f"{D}/pods/p/status",
     'get resource "pods/status" in API group "" in the namespace "d"'),
    ("bob", "GET", f"{D}/secrets", 'list resource "secrets" in API group "" in the namespace "d"'),
    ("bob", "GET", "/api/v1/namespaces/third/pods",
     'list resource "pods" in API group "" in the namespace "third"'),
    ("bob", "GET", "/apis/events.k8s.io/v1/namespaces/d/pods",
     'list resource "pods" in API group "events.k8s.io" in the namespace "d"'),
    ("fake-robot", "GET", f"{D}/pods",
     'list resource "pods" in API group "" in the namespace "d"'),
    ("fake-group", "GET", f"{D}/pods",
     'list resource "pods" in API group "" in the namespace "d"'),
    ("odd-account", "GET", f"{D}/pods",
     'list resource "pods" in API group "" in the namespace "d"'),
    ("other-robot", "GET", f"{D}/pods",
     'list resource "pods" in API group "" in the namespace "d"'),
    ("other-robot", "PATCH", f"{B}/jobs/j",
     'patch resource "jobs" in API group "batch" in the namespace "d"'),
    ("jim", "GET", f"{B}/jobs/other",
     'get resource "jobs" in API group "batch" in the namespace "d"'),
    ("jim", "GET", f"{B}/jobs", 'list resource "jobs" in API group "batch" in the namespace "d"'),
    ("jim", "DELETE", f"{B}/jobs/nightly",
     'delete resource "jobs" in API group "batch" in the namespace "d"'),
    ("batch", "DELETE", f"{B}/cronjobs",
     'deletecollection resource "cronjobs" in API group "batch" in the namespace "d"'),
    ("batch", "GET", "/apis/batch/v1/jobs",
     'list resource "jobs" in API group "batch" at the cluster scope'),
    ("ann", "PUT", f"{D}/resourcequotas/q",
     'update resource "resourcequotas" in API group "" in the namespace "d"'),
    ("ann", "GET", "/api/v1/nodes/n",
     'get resource "nodes" in API group "" at the cluster scope'),
    ("ann", "POST", f"{R}/clusterroles",
     'create resource "clusterroles" in API group "rbac.authorization.k8s.io" '
     'at the cluster scope'),
    ("ann", "POST", f"{AUTHN}/tokenreviews",
     'create resource "tokenreviews" in API group "authentication.k8s.io" at the cluster scope'),
    ("ed", "POST", f"{R}/namespaces/d/roles",
     'create resource "roles" in API group "rbac.authorization.k8s.io" in the namespace "d"'),
    ("ed", "PATCH", f"{D}/pods/p/status",
     'patch resource "pods/status" in API group "" in the namespace "d"'),
    ("vi", "GET", f"{D}/secrets/s",
     'get resource "secrets" in API group "" in the namespace "d"'),
    ("vi", "GET", f"{D}/pods/p/exec",
     'get resource "pods/exec" in API group "" in the namespace "d"'),
    ("vi", "PUT", f"{B}/jobs/j",
     'update resource "jobs" in API group "batch" in the namespace "d"'),
    ("ops", "GET", "/stats", 'get path "/stats"'),
    ("ops", "POST", "/metrics", 'post path "/metrics"'),
    ("auditor", "DELETE", "/api/v1/secrets",
     'deletecollection resource "secrets" in API group "" at the cluster scope'),
    ("scheduler", "POST", f"{D}/pods",
     'create resource "pods" in API group "" in the namespace "d"'),
    ("lost", "GET", f"{D}/pods",
     'list resource "pods" in API group "" in the namespace "d": '
     'RBAC: role.rbac.authorization.k8s.io "gone" not found'),
    ("nobody", "GET", "/metrics", 'get path "/metrics"'),
    ("nobody", "GET", "/", 'get path "/"'),
    ("nobody", "POST", "/api", 'post path "/api"'),
    ("stranger", "GET", "/api", 'get path "/api"'),
    ("stranger", "GET", "/healthzz", 'get path "/healthzz"'),
    ("stranger", "POST", "/version", 'post path "/version"'),
    ("stranger", "POST", f"{AUTHZ}/selfsubjectaccessreviews",
     'create resource "selfsubjectaccessreviews" in API group "authorization.k8s.io" '
     'at the cluster scope'),
    ("stranger", "GET", "/api/v1/nodes/<n>",
     'get resource "nodes" in API group "" at the cluster scope'),
]  # fmt: skip


def test_the_table_is_long_enough() -> None:
    assert len(YES) + len(NO) >= 60
    assert {who for who, *_ in (*YES, *NO)} == set(USERS)


@pytest.mark.parametrize(("who", "method", "target"), YES)
def test_allowed(who: str, method: str, target: str) -> None:
    verdict = POLICY.verdict(USERS[who], attributes.of_request(parse(method, target)))
    assert verdict.allowed
    assert verdict.reason.startswith("RBAC: allowed by ") or who in ("stranger", "root")


@pytest.mark.parametrize(("who", "method", "target", "told"), NO)
def test_refused(who: str, method: str, target: str, told: str) -> None:
    caller: User = USERS[who]
    info = parse(method, target)
    refusal = POLICY.refusal(caller, attributes.of_request(info))
    assert refusal is not None
    assert (refusal.code, refusal.reason) == (403, "Forbidden")
    subject = "forbidden"
    if info.is_resource:
        plural = f"{info.resource}.{info.group}" if info.group else info.resource
        subject = f'{plural} "{info.name}" is forbidden' if info.name else f"{plural} is forbidden"
    assert refusal.message == f'{subject}: User "{caller.name}" cannot {told}'
    details = refusal.to_status()["details"]
    if info.is_resource:
        shown = {"name": info.name, "group": info.group, "kind": info.resource}
        assert details == {k: v for k, v in shown.items() if v}
    else:
        assert details == {}


def test_why() -> None:
    def reason(who: str, target: str) -> str:
        return POLICY.verdict(USERS[who], attributes.of_request(parse("GET", target))).reason

    assert reason("bob", f"{D}/pods") == (
        'RBAC: allowed by RoleBinding "reader/d" of Role "reader" to User "bob"'
    )
    assert reason("robot", f"{D}/pods") == (
        'RBAC: allowed by RoleBinding "reader/d" of Role "reader" to ServiceAccount "robot/d"'
    )
    assert reason("ops", "/metrics") == (
        'RBAC: allowed by ClusterRoleBinding "metrics" of ClusterRole "metrics" to Group "ops"'
    )
    # What holds everywhere is asked first.
    assert reason("auditor", f"{D}/pods").startswith('RBAC: allowed by ClusterRoleBinding "aud')


def test_several_roles_that_nobody_knows() -> None:
    both = user("lost", "lost-everywhere")
    verdict = POLICY.verdict(both, attributes.of_request(parse("GET", f"{D}/pods")))
    assert verdict.reason == (
        'RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, '
        'role.rbac.authorization.k8s.io "gone" not found]'
    )
