"""Who may: credentials, roles, denials, reviews, impersonation."""

from __future__ import annotations

from typing import Any

from tests.conformance.rows import (
    ABSENT,
    ACCOUNTS,
    ANY,
    IN,
    JOBS,
    MAPS,
    MERGE,
    PODS,
    RBAC,
    Row,
    config_map,
    delete,
    get,
    like,
    patch,
    pod,
    post,
    row,
)

GROUP = "rbac.authorization.k8s.io"
REVIEWS = "/apis/authorization.k8s.io/v1"
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
MAY = f"{REVIEWS}/selfsubjectaccessreviews"


def role(*verbs: str, resources: tuple[str, ...] = ("configmaps",), group: str = "") -> Any:
    rule = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}
    return post(f"{RBAC}/roles", {"metadata": {"name": "r"}, "rules": [rule]})


def bound(kind: str = "User", name: str = "bob") -> Any:
    subject = {"kind": kind, "name": name, "apiGroup": GROUP}
    ref = {"apiGroup": GROUP, "kind": "Role", "name": "r"}
    return post(
        f"{RBAC}/rolebindings", {"metadata": {"name": "b"}, "roleRef": ref, "subjects": [subject]}
    )


def denied(name: str, step: Any, *before: Any) -> Row:
    return row(f"denied: {name}", *before, step)


def bob(
    verb: str, what: str, group: str = "", where: str = 'in the namespace "{ns}"', name: str = ""
) -> str:
    plural = what.partition("/")[0]
    res = f"{plural}.{group}" if group else plural
    named = f' "{name}"' if name else ""
    return f'{res}{named} is forbidden: User "bob" cannot {verb} resource "{what}" in API group "{group}" {where}'


def may(verb: str, resource: str, **more: Any) -> Any:
    return {
        "spec": {
            "resourceAttributes": {"namespace": "{ns}", "verb": verb, "resource": resource, **more}
        }
    }


AS_NODE = {"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"}
BOB: dict[str, Any] = {"who": "bob", "reason": "Forbidden"}
CLUSTER = "at the cluster scope"

ROWS = [
    row("a wrong token", get(MAPS, 401, who="wrong", message="Unauthorized", reason="Unauthorized", details=ABSENT)),
    row("a wrong token where nobody is asked", get("/version", 401, who="wrong", message="Unauthorized")),
    row("nobody", get(MAPS, 403, who="", reason="Forbidden", message='configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "{ns}"', headers={"X-Content-Type-Options": "nosniff"})),
    *(row(f"nobody may read {path}", get(path, 403, who="", message=f'forbidden: User "system:anonymous" cannot get path "{path}"', details={})) for path in ("/api", "/apis", "/metrics", "/openapi/v3")),
    *(row(f"everyone with a name may read {path}", get(path, who="bob")) for path in ("/api", "/apis", "/openapi/v3", "/version")),
    row("a password is no credential", get(MAPS, 403, who="", send={"Authorization": "Basic cm9vdDpyb290"}, message=like('.*User "system:anonymous".*'))),
    denied("list", get(MAPS, 403, **BOB, message=bob("list", "configmaps"), details={"kind": "configmaps", "name": ABSENT})),
    denied("get", get(f"{MAPS}/x", 403, **BOB, message=bob("get", "configmaps", name="x"), details={"kind": "configmaps", "name": "x"})),
    denied("watch", get(f"{MAPS}?watch=true", 403, **BOB, message=bob("watch", "configmaps"))),
    denied("create", post(JOBS, {}, 403, **BOB, message=bob("create", "jobs", "batch"), details={"group": "batch", "kind": "jobs"})),
    denied("delete", delete(f"{JOBS}/x", 403, **BOB, message=bob("delete", "jobs", "batch", name="x"))),
    denied("delete all", delete(JOBS, 403, **BOB, message=bob("deletecollection", "jobs", "batch"))),
    denied("everywhere", get("/api/v1/pods", 403, **BOB, message=bob("list", "pods", where=CLUSTER))),
    denied("of the cluster", get("/api/v1/nodes", 403, **BOB, message=bob("list", "nodes", where=CLUSTER))),
    denied("a subresource", get(f"{PODS}/p/log", 403, **BOB, message=bob("get", "pods/log", name="p"))),
    denied("exec", get(f"{PODS}/p/exec?command=x", 403, **BOB, message=bob("get", "pods/exec", name="p"))),
    denied("exec for whoever may only read", get(f"{PODS}/p/exec?command=x", 403, **BOB, message=bob("create", "pods/exec", name="p")), role("get", resources=("pods/exec",)), bound()),
    denied("a path", get("/metrics", 403, **BOB, message='forbidden: User "bob" cannot get path "/metrics"', details={})),
    denied("what is not there", get("/apis/batch/v1/namespaces/{ns}/nosuch", 403, **BOB, message=like('nosuch.batch is forbidden.*'))),
    row("allowed by a role", role("list"), bound(), get(MAPS, who="bob"), get(f"{MAPS}/x", 403, **BOB)),
    row("allowed as one of a group", role("get", "list"), bound("Group", "dev"), get(MAPS, who="bob")),
    row("allowed as everyone", role("list"), bound("Group", "system:authenticated"), get(MAPS, who="bob")),
    row("a role is of one namespace", role("list"), bound(), get("/api/v1/namespaces/default/configmaps", 403, **BOB)),
    row("a role taken back", role("list"), bound(), get(MAPS, who="bob"), delete(f"{RBAC}/rolebindings/b"), get(MAPS, 403, **BOB)),
    row("every verb", role("*"), bound(), post(MAPS, config_map("x"), 201, who="bob"), delete(f"{MAPS}/x", who="bob")),
    row("a subresource is not its parent", role("get", resources=("pods",)), bound(), post(PODS, pod("p")), get(f"{PODS}/p", who="bob"), get(f"{PODS}/p/status", 403, **BOB)),
    row("names are named", post(f"{RBAC}/roles", {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["x"]}]}), bound(), post(MAPS, config_map("x")), get(f"{MAPS}/x", who="bob"), get(f"{MAPS}/y", 403, **BOB)),
    row("nobody gives what he has not", role("create", resources=("roles",), group=GROUP), bound(), post(f"{RBAC}/roles", {"metadata": {"name": "more"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]}, 403, **BOB, message=like('.*user "bob" .*is attempting to grant RBAC permissions not currently held:.*'))),
    row("whoami", post(WHOAMI, {}, 201, who="bob", body={"kind": "SelfSubjectReview", "status": {"userInfo": {"username": "bob", "uid": "7", "groups": ["dev", "system:authenticated"]}}})),
    row("whoami, older", post("/apis/authentication.k8s.io/v1beta1/selfsubjectreviews", {}, 201, who="bob", body={"status": {"userInfo": {"username": "bob"}}})),
    row("may bob", role("list"), bound(), post(MAY, may("list", "configmaps"), 201, who="bob", body={"status": {"allowed": True, "reason": 'RBAC: allowed by RoleBinding "b/{ns}" of Role "r" to User "bob"'}})),
    row("may bob not", post(MAY, may("list", "secrets"), 201, who="bob", body={"status": {"allowed": False, "reason": ABSENT}})),
    row("may the master", post(MAY, may("list", "secrets"), 201, body={"status": {"allowed": True}})),
    row("may, of nothing", post(MAY, {"spec": {}}, 422, who="bob", message=like(".*exactly one of nonResourceAttributes or resourceAttributes must be specified"))),
    row("may another", role("list"), bound(), post(f"{REVIEWS}/subjectaccessreviews", {"spec": {"user": "bob", **may("list", "configmaps")["spec"]}}, 201, body={"status": {"allowed": True}})),
    row("may another, asked by bob", post(f"{REVIEWS}/subjectaccessreviews", {"spec": {}}, 403, **BOB)),
    row("may another, here", role("list"), bound(), post(f"{REVIEWS}/namespaces/{{ns}}/localsubjectaccessreviews", {"metadata": {"namespace": "{ns}"}, "spec": {"user": "bob", **may("list", "configmaps")["spec"]}}, 201, body={"status": {"allowed": True}})),
    row("all that bob may", role("list"), bound(), post(f"{REVIEWS}/selfsubjectrulesreviews", {"spec": {"namespace": "{ns}"}}, 201, who="bob", body={"status": {"resourceRules": ANY, "nonResourceRules": ANY, "incomplete": False}})),
    row("whose token", post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "bob-token"}}, 201, body={"status": {"authenticated": True, "user": {"username": "bob", "uid": "7"}}})),
    row("nobody's token", post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "zz"}}, 201, body={"status": {"authenticated": ABSENT, "user": {}, "error": ANY}})),
    row("a node reads no Secret of nobody's pods", post(f"{IN}/secrets", {"metadata": {"name": "s"}}), get(f"{IN}/secrets/s", 403, send=AS_NODE, message='secrets "s" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "{ns}": no relationship found between node \'n1\' and this object')),
    row("a node makes no pods", post(PODS, pod("p"), 403, send=AS_NODE, message='pods "p" is forbidden: pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods')),
    row("a node does not speak for another's pods", post(PODS, pod("p", nodeName="n2")), patch(f"{PODS}/p/status", {"status": {"message": "x"}}, 403, send={**AS_NODE, **MERGE}, message='pods "p" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself')),
    row("a node speaks for its pods", post(PODS, pod("p", nodeName="n1")), patch(f"{PODS}/p/status", {"status": {"message": "x"}}, 200, send={**AS_NODE, **MERGE}, body={"status": {"message": "x"}})),
    row("a node has its own lease", post("/apis/coordination.k8s.io/v1/namespaces/{ns}/leases", {"metadata": {"name": "n1"}}, 403, send=AS_NODE, message=like('leases.* can only access leases in the "kube-node-lease" system namespace'))),
    row("as another", get(MAPS, 403, send={"Impersonate-User": "alice"}, message=like('configmaps is forbidden: User "alice" cannot list.*'))),
    row("as another with groups", post(WHOAMI, {}, 201, send={"Impersonate-User": "alice", "Impersonate-Group": "g"}, body={"status": {"userInfo": {"username": "alice", "groups": ["g", "system:authenticated"]}}})),
    row("bob as another", get(MAPS, 403, **BOB, send={"Impersonate-User": "root"}, message='users "root" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope')),
    row("a service account's token", post(f"{ACCOUNTS}/default/token", {"spec": {"expirationSeconds": 600}}, 201, body={"kind": "TokenRequest", "status": {"token": like(r"[^.]+\.[^.]+\.[^.]+"), "expirationTimestamp": like(".*Z")}}), get(MAPS, 403, who="<<0.status.token>>", message=like(r'configmaps is forbidden: User "system:serviceaccount:row-\d+:default".*')), post(WHOAMI, {}, 201, who="<<0.status.token>>", body={"status": {"userInfo": {"username": "system:serviceaccount:{ns}:default", "groups": ["system:serviceaccounts", "system:serviceaccounts:{ns}", "system:authenticated"]}}})),
    row("a token too short", post(f"{ACCOUNTS}/default/token", {"spec": {"expirationSeconds": 599}}, 422, message=like(".*may not specify a duration less than 10 minutes"))),
    row("a token of nobody", post(f"{ACCOUNTS}/nope/token", {}, 404, message='serviceaccounts "nope" not found')),
    row("a token outlives no account", post(ACCOUNTS, {"metadata": {"name": "s"}}), post(f"{ACCOUNTS}/s/token", {}, 201), delete(f"{ACCOUNTS}/s"), get(f"{IN}/pods", 401, who="<<1.status.token>>", message="Unauthorized")),
]  # fmt: skip
