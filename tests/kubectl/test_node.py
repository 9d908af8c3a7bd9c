"""The node as people meet it: limits, refusals, kubectl top, cordon and drain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl import tools

KUBECTLS = tools.find_kubectls()


def pod(name: str, *command: str, **fields: Any) -> dict[str, Any]:
    resources = fields.pop("resources", {})
    container = {
        "name": "c", "image": "busybox", "command": list(command), "resources": resources,
    }  # fmt: skip
    spec = {"restartPolicy": "Never", "containers": [container], **fields}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tools.Server]:
    """A server of its own: its node is cordoned."""
    if not KUBECTLS:
        pytest.skip("no kubectl here")
    with tools.running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def of(version: str, server: tools.Server, home: Path) -> tools.Kubectl:
    return tools.Kubectl(KUBECTLS[version], version, server.kubeconfig, home)


def apply(kubectl: tools.Kubectl, *pods: dict[str, Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "List", "items": pods}
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def status(kubectl: tools.Kubectl, name: str) -> Any:
    return kubectl.json("get", "pod", name)["status"]


def test_a_nodes_day(own: tools.Server, tmp_path: Path) -> None:
    kubectl = of(next(iter(KUBECTLS)), own, tmp_path)
    kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=20s")
    (node,) = kubectl.json("get", "nodes")["items"]
    name = node["metadata"]["name"]
    assert {"cpu", "memory", "pods", "ephemeral-storage", "hugepages-2Mi"} <= set(
        node["status"]["allocatable"]
    )
    assert node["status"]["images"]
    apply(
        kubectl,
        pod("big", "sleep", "100", nodeName=name, resources={"requests": {"cpu": "1000"}}),
        pod("lost", "sleep", "100", nodeName=name, nodeSelector={"no": "such"}),
        pod("runs", "sleep", "1000"),
    )
    for refused, reason in (("big", "OutOfcpu"), ("lost", "NodeAffinity")):
        kubectl("wait", f"pod/{refused}", "--for=jsonpath={.status.phase}=Failed", "--timeout=20s")
        assert status(kubectl, refused)["reason"] == reason
    kubectl("wait", "pod/runs", "--for=condition=Ready", "--timeout=20s")
    assert tools.eventually(lambda: "runs" in kubectl.result("top", "pod").stdout)
    assert tools.eventually(lambda: kubectl.result("top", "node").returncode == 0)
    for version in [v for v in KUBECTLS if v in tools.FULL]:
        home = tmp_path / version
        home.mkdir()
        other = of(version, own, home)
        assert other("top", "pod", "--containers").splitlines()[1].split()[:2] == ["runs", "c"]
        assert other("top", "node").splitlines()[1].split()[0] == name
    kubectl("drain", name, "--force", "--timeout=60s")
    assert kubectl.json("get", "pods")["items"] == []
    assert kubectl.json("get", "node", name)["spec"]["unschedulable"] is True
    kubectl("uncordon", name)


def test_a_container_over_its_memory_limit(own: tools.Server, tmp_path: Path) -> None:
    kubectl = of(next(iter(KUBECTLS)), own, tmp_path)
    fill = r"x=$(head -c 300000000 /dev/zero | tr '\0' x); echo ${#x}"
    apply(kubectl, pod("eats", "sh", "-c", fill, resources={"limits": {"memory": "40Mi"}}))
    kubectl("wait", "pod/eats", "--for=jsonpath={.status.phase}=Failed", "--timeout=30s")
    events = kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
    if "LimitsNotEnforced" in events:
        pytest.skip("no control groups can be made on this machine")
    ended = status(kubectl, "eats")["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
