"""Users, roles and tokens with every kubectl here."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl import tools

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)

Login = Callable[[str], tools.Kubectl]


# What reviews are called and how bodies are sent differs from version to version.
EVERY = [*tools.find_kubectls()]
SOME = [v for v in EVERY if v in ("1.27", *tools.full_matrix())] or EVERY


@pytest.fixture(params=SOME)
def kubectl(
    request: pytest.FixtureRequest, server: tools.Server, tmp_path: Path
) -> Iterator[tools.Kubectl]:
    """Some kubectls, each in a namespace of its own."""
    yield from at_home(request.param, server, tmp_path)


@pytest.fixture(params=EVERY)
def any_kubectl(
    request: pytest.FixtureRequest, server: tools.Server, tmp_path: Path
) -> Iterator[tools.Kubectl]:
    """Every kubectl here."""
    yield from at_home(request.param, server, tmp_path)


def at_home(version: str, server: tools.Server, home: Path) -> Iterator[tools.Kubectl]:
    binary = tools.find_kubectls()[version]
    namespace = f"auth-{version.lower().replace('.', '-')}"
    admin = tools.Kubectl(binary, version, server.kubeconfig, home)
    admin("create", "namespace", namespace)
    yield dataclasses.replace(admin, namespace=namespace)
    admin("delete", "namespace", namespace)


@pytest.fixture
def login(kubectl: tools.Kubectl, tmp_path: Path) -> Login:
    """The same kubectl with a token instead of the administrator's certificate."""

    def as_bearer(token: str) -> tools.Kubectl:
        config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        path = tmp_path / "bearer"
        path.write_text(json.dumps(config))
        return dataclasses.replace(kubectl, kubeconfig=path)

    return as_bearer


def may(kubectl: tools.Kubectl, *words: str) -> str:
    """What `auth can-i` says, its exit code with it."""
    done = kubectl.result("auth", "can-i", *words)
    said = done.stdout.strip()
    assert done.returncode == (0 if said.startswith("yes") else 1), done.stderr
    return said.partition(" ")[0]


def whoami(kubectl: tools.Kubectl, *words: str) -> Any:
    return json.loads(kubectl("auth", "whoami", "-o", "json", *words))["status"]["userInfo"]


def test_a_role_and_who_has_it(any_kubectl: tools.Kubectl) -> None:
    kubectl = any_kubectl
    space = kubectl.namespace
    assert may(kubectl, "create", "jobs") == "yes"
    assert may(kubectl, "list", "pods", "--as=bob") == "no"
    kubectl("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,pods/log")
    kubectl("create", "rolebinding", "bob", "--role=reader", "--user=bob", "--group=readers")
    assert tools.eventually(lambda: may(kubectl, "list", "pods", "--as=bob") == "yes")
    assert may(kubectl, "get", "pods/log", "--as=bob") == "yes"
    assert may(kubectl, "delete", "pods", "--as=bob") == "no"
    assert may(kubectl, "list", "pods", "--as=kim", "--as-group=readers") == "yes"
    assert may(kubectl, "list", "pods", "--as=bob", "-n", "default") == "no"
    assert may(kubectl, "get", "/apis", "--as=bob") == "yes"
    assert may(kubectl, "get", "/metrics", "--as=bob") == "no"
    refused = kubectl.result("delete", "pods", "p", "--as=bob")
    assert refused.stderr.strip() == (
        'Error from server (Forbidden): pods "p" is forbidden: User "bob" cannot delete resource '
        f'"pods" in API group "" in the namespace "{space}"'
    )
    listed = kubectl("auth", "can-i", "--list", "--as=bob")
    assert re.search(r"^pods +\[\] +\[\] +\[get list watch\]$", listed, re.M)
    assert re.search(
        r"^selfsubjectreviews.authentication.k8s.io +\[\] +\[\] +\[create\]$", listed, re.M
    )
    shown = kubectl("get", "rolebindings", "-o", "wide")
    assert re.search(r"^bob +Role/reader +\d+s +bob +readers", shown, re.M)
    assert "pods/log" in kubectl("describe", "role", "reader")
    kubectl("delete", "rolebinding", "bob")
    assert tools.eventually(lambda: may(kubectl, "list", "pods", "--as=bob") == "no")


def test_who_am_i(any_kubectl: tools.Kubectl) -> None:
    kubectl = any_kubectl
    me = whoami(kubectl)
    assert me["username"] == "kubernetes-admin"
    assert "system:masters" in me["groups"]
    bob = whoami(kubectl, "--as=bob", "--as-group=dev", "--as-uid=7")
    assert bob == {"username": "bob", "uid": "7", "groups": ["dev", "system:authenticated"]}
    assert "kubernetes-admin" in kubectl("auth", "whoami")


def test_a_service_account_with_a_token(kubectl: tools.Kubectl, login: Login) -> None:
    space = kubectl.namespace
    kubectl("create", "serviceaccount", "robot")
    robot = login(kubectl("create", "token", "robot", "--duration=15m").strip())
    me = whoami(robot)
    assert me["username"] == f"system:serviceaccount:{space}:robot"
    assert f"system:serviceaccounts:{space}" in me["groups"]
    assert robot.result("get", "jobs").stderr.strip() == (
        f'Error from server (Forbidden): jobs.batch is forbidden: User "{me["username"]}" cannot '
        f'list resource "jobs" in API group "batch" in the namespace "{space}"'
    )
    account = f"--serviceaccount={space}:robot"
    kubectl("create", "rolebinding", "robot", "--clusterrole=edit", account)
    assert tools.eventually(lambda: robot.result("get", "jobs").returncode == 0)
    said = robot("create", "job", "hello", "--image=busybox", "--", "echo", "hi")
    assert said == "job.batch/hello created\n"
    robot("wait", "--for=condition=complete", "job/hello", "--timeout=60s")
    assert robot("logs", "job/hello") == "hi\n"
    # An editor gives no roles, and nobody gives more than they have.
    more = ("create", "rolebinding", "more", "--clusterrole=cluster-admin", account)
    assert "cannot create resource" in robot.result(*more).stderr
    kubectl("create", "rolebinding", "boss", "--clusterrole=admin", account)
    granting = "is attempting to grant RBAC permissions not currently held"
    assert tools.eventually(lambda: granting in robot.result(*more).stderr)
    kubectl("delete", "serviceaccount", "robot")
    gone = robot.result("get", "jobs")
    assert "You must be logged in to the server" in gone.stderr


def test_a_token_that_may_not_be_so_short(any_kubectl: tools.Kubectl) -> None:
    kubectl = any_kubectl
    refused = kubectl.result("create", "token", "default", "--duration=5m")
    assert "may not specify a duration less than 10 minutes" in refused.stderr
    missing = kubectl.result("create", "token", "nobody")
    assert 'serviceaccounts "nobody" not found' in missing.stderr


def test_wrong_tokens(kubectl: tools.Kubectl, login: Login) -> None:
    for token in ("wrong", "a.b.c"):
        assert "You must be logged in to the server" in login(token).result("get", "ns").stderr


def test_a_pod_of_an_account_that_is_not_there(kubectl: tools.Kubectl) -> None:
    overrides = json.dumps({"spec": {"serviceAccountName": "ghost"}})
    refused = kubectl.result("run", "p", "--image=busybox", f"--overrides={overrides}")
    assert refused.stderr.strip() == (
        'Error from server (Forbidden): pods "p" is forbidden: error looking up service account '
        f'{kubectl.namespace}/ghost: serviceaccount "ghost" not found'
    )


def test_every_namespace_has_the_certificate(kubectl: tools.Kubectl) -> None:
    name = ("configmap", "kube-root-ca.crt")
    assert tools.eventually(lambda: kubectl.result("get", *name).returncode == 0)
    certificate = kubectl.json("get", *name)["data"]["ca.crt"]
    assert certificate.startswith("-----BEGIN CERTIFICATE-----")


def test_roles_for_the_whole_cluster(kubectl: tools.Kubectl) -> None:
    name = kubectl.namespace  # cluster roles have none, and share one place
    kubectl("create", "clusterrole", name, "--verb=get", "--non-resource-url=/metrics")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", "--user=ops")
    assert tools.eventually(lambda: may(kubectl, "get", "/metrics", "--as=ops") == "yes")
    kubectl("delete", "clusterrole,clusterrolebinding", name)


def test_roles_from_manifests(kubectl: tools.Kubectl) -> None:
    manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "bad"},
        "rules": [{"verbs": ["get"], "resources": ["pods"]}],
    }
    refused = kubectl.result("apply", "-f", "-", stdin=json.dumps(manifest))
    assert (
        'The Role "bad" is invalid: rules[0].apiGroups: Required value: resource rules must supply '
        "at least one api group"
    ) in refused.stderr
    kubectl("auth", "reconcile", "-f", "-", stdin=json.dumps(role_of(kubectl)))
    assert kubectl("get", "role", "kept", "-o", "name") == "role.rbac.authorization.k8s.io/kept\n"


def role_of(kubectl: tools.Kubectl) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "kept", "namespace": kubectl.namespace},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    }


def test_the_audit_log(tmp_path: Path) -> None:
    version, binary = next(iter(tools.find_kubectls().items()))
    log = tmp_path / "audit.log"
    with tools.running_server(tmp_path, "--audit-log", str(log), "--store", "memory") as server:
        kubectl = tools.Kubectl(binary, version, server.kubeconfig, tmp_path)
        kubectl("create", "configmap", "seen")
        kubectl.result("get", "pods", "--as=bob")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    created = [e for e in events if e["verb"] == "create" and "objectRef" in e]
    assert created[-1]["objectRef"]["resource"] == "configmaps"
    assert created[-1]["responseStatus"]["code"] == 201
    refused = [e for e in events if e["responseStatus"]["code"] == 403]
    assert refused[-1]["impersonatedUser"]["username"] == "bob"
    assert log.stat().st_mode & 0o777 == 0o600
