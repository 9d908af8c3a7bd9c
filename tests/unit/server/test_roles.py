"""Roles, over the wire: what users with rights of their own see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.server.secured import Secured, secured

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"
ROLE = {
    "metadata": {"name": "reader"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
}


def bound(name: str, to: str, *subjects: dict[str, str], kind: str = "Role") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "roleRef": {"kind": kind, "name": to},
        "subjects": list(subjects),
    }


BOB = {"kind": "User", "name": "bob"}


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Secured]:
    async with secured(tmp_path) as made:
        yield made


async def test_a_role_bound_and_taken_away(on: Secured) -> None:
    refused = await on.ask("bob-token", "GET", PODS)
    assert refused.status == 403
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    base = f"{RBAC}/namespaces/default"
    assert (await on.root("POST", f"{base}/roles", ROLE)).status == 201
    made = await on.root("POST", f"{base}/rolebindings", bound("bob", "reader", BOB))
    assert made.json["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert made.json["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    await on.seen()
    assert (await on.ask("bob-token", "GET", PODS)).json["kind"] == "PodList"
    assert (await on.ask("bob-token", "DELETE", PODS)).status == 403
    await on.root("DELETE", f"{base}/rolebindings/bob")
    await on.seen()
    assert (await on.ask("bob-token", "GET", PODS)).status == 403


async def test_discovery_is_for_those_who_logged_in(on: Secured) -> None:
    assert (await on.ask("bob-token", "GET", "/apis")).status == 200
    assert (await on.ask("", "GET", "/apis")).status == 403
    assert (await on.ask("bob-token", "GET", "/metrics")).status == 403
    assert (await on.ask("nobodys-token", "GET", "/version")).status == 401


async def test_acting_as_somebody(on: Secured) -> None:
    me = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await on.root("POST", me, {}, **{"Impersonate-User": "ann", "Impersonate-Uid": "9"})
    assert answer.json["status"]["userInfo"] == {
        "username": "ann",
        "uid": "9",
        "groups": ["system:authenticated"],
    }
    refused = await on.ask("bob-token", "GET", PODS, headers={"Impersonate-User": "root"})
    assert refused.json["message"] == (
        'users "root" is forbidden: User "bob" cannot impersonate resource "users" in API group '
        '"" at the cluster scope'
    )
    as_bob = await on.root("GET", PODS, **{"Impersonate-User": "bob"})
    assert as_bob.json["message"].startswith('pods is forbidden: User "bob" cannot list')


async def test_a_namespaces_administrator_gives_what_he_has(on: Secured) -> None:
    base = f"{RBAC}/namespaces/default"
    giver = {
        "metadata": {"name": "giver"},
        "rules": [
            *ROLE["rules"],
            {
                "apiGroups": ["rbac.authorization.k8s.io"],
                "resources": ["roles", "rolebindings"],
                "verbs": ["create", "get", "patch", "update"],
            },
        ],
    }
    await on.root("POST", f"{base}/roles", giver)
    await on.root("POST", f"{base}/rolebindings", bound("bob", "giver", BOB))
    await on.seen()
    assert (await on.ask("bob-token", "POST", f"{base}/roles", ROLE)).status == 201
    await on.seen()
    ann = {"kind": "User", "name": "ann"}
    given = bound("ann", "reader", ann)
    assert (await on.ask("bob-token", "POST", f"{base}/rolebindings", given)).status == 201
    everything = bound("more", "cluster-admin", BOB, kind="ClusterRole")
    refused = await on.ask("bob-token", "POST", f"{base}/rolebindings", everything)
    assert refused.status == 403
    assert refused.json["message"] == (
        'rolebindings.rbac.authorization.k8s.io "more" is forbidden: user "bob" '
        '(groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not '
        'currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n'
        '{NonResourceURLs:["*"], Verbs:["*"]}'
    )
    patch = {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    merge = {"Content-Type": "application/merge-patch+json"}
    refused = await on.ask("bob-token", "PATCH", f"{base}/roles/reader", patch, merge)
    assert refused.status == 403
    harmless = {"metadata": {"labels": {"a": "b"}}}
    kept = await on.ask("bob-token", "PATCH", f"{base}/roles/reader", harmless, merge)
    assert kept.status == 200


async def test_connecting_to_a_pod_is_more_than_reading_it(on: Secured) -> None:
    base = f"{RBAC}/namespaces/default"
    looker = {
        "metadata": {"name": "looker"},
        "rules": [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}],
    }
    await on.root("POST", f"{base}/roles", looker)
    await on.root("POST", f"{base}/rolebindings", bound("bob", "looker", BOB))
    await on.seen()
    refused = await on.ask("bob-token", "GET", f"{PODS}/p/exec?command=id")
    assert refused.json["message"] == (
        'pods "p" is forbidden: User "bob" cannot create resource "pods/exec" in API group "" in '
        'the namespace "default"'
    )


async def test_tables(on: Secured) -> None:
    base = f"{RBAC}/namespaces/default"
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    dev = {"kind": "Group", "name": "dev"}
    await on.root("POST", f"{base}/rolebindings", bound("b", "reader", BOB, dev, robot))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    table = (await on.root("GET", f"{base}/rolebindings/b", Accept=accept)).json
    names = [c["name"] for c in table["columnDefinitions"]]
    assert names == ["Name", "Role", "Age", "Users", "Groups", "ServiceAccounts"]
    cells = table["rows"][0]["cells"]
    assert cells[:2] == ["b", "Role/reader"]
    assert cells[3:] == ["bob", "dev", "default/robot"]
    roles = (await on.root("GET", f"{RBAC}/clusterroles", Accept=accept)).json
    assert [c["name"] for c in roles["columnDefinitions"]] == ["Name", "Created At"]
