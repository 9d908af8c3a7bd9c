"""Pods that make room for others, volumes that are claimed, drains that wait, quotas that free up.

On a server of its own: what happens here would disturb others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.kubectl import tools
from tests.kubectl.tools import Kubectl, Server, eventually

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)


@pytest.fixture(scope="module")
def lone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with tools.running_server(tmp_path_factory.mktemp("lone")) as running:
        yield running


@pytest.fixture
def kubectl(
    request: pytest.FixtureRequest, lone_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Kubectl:
    """The newest kubectl, in a namespace named for the test."""
    version = tools.full_matrix()[-1]
    binary, home = tools.find_kubectls()[version], tmp_path_factory.mktemp("home")
    namespace = re.sub(r"[^a-z]+", "-", request.node.name)[:60].strip("-")
    Kubectl(binary, version, lone_server.kubeconfig, home)("create", "namespace", namespace)
    return Kubectl(binary, version, lone_server.kubeconfig, home, namespace)


def job(name: str, command: str, **spec: object) -> dict[str, object]:
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", command]}
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        **spec,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def apply(kubectl: Kubectl, *objects: object) -> None:
    kubectl(
        "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )


def runs(kubectl: Kubectl, name: str) -> bool:
    """Wait until a Job's pod is ready."""
    return eventually(lambda: kubectl.json("get", "job", name)["status"].get("ready") == 1)


def events(kubectl: Kubectl, reason: str) -> list[str]:
    found = kubectl.json("get", "events", "--field-selector", f"reason={reason}")["items"]
    return [event["message"] for event in found]


def test_preemption_and_a_job_that_forgives_it(kubectl: Kubectl) -> None:
    [node] = kubectl.json("get", "nodes")["items"]
    cpu = node["status"]["allocatable"]["cpu"]
    urgent = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "urgent"},
        "value": 1000,
    }
    low = job("low", "sleep 600")
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    spec = low["spec"]
    assert isinstance(spec, dict)
    spec["podFailurePolicy"] = {"rules": [rule]}
    spec["podReplacementPolicy"] = "Failed"
    spec["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    apply(kubectl, urgent, low)
    assert runs(kubectl, "low")
    high = job("high", "sleep 2", priorityClassName="urgent")
    spec = high["spec"]
    assert isinstance(spec, dict)
    spec["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    apply(kubectl, high)
    kubectl("wait", "--for=condition=Complete", "job/high", "--timeout=60s")
    [message] = events(kubectl, "Preempted")
    [pod] = kubectl.json("get", "pods", "-l", "job-name=high")["items"]
    name = node["metadata"]["name"]
    assert message == f"Preempted by pod {pod['metadata']['uid']} on node {name}"
    assert "nominatedNodeName" not in pod["status"]
    waited = "0/1 nodes are available: 1 Insufficient cpu."
    assert waited in events(kubectl, "FailedScheduling")
    # The policy forgives the disruption: there is a new pod, and no failure is counted.
    assert runs(kubectl, "low")
    status = kubectl.json("get", "job", "low")["status"]
    assert (status.get("failed"), status["active"]) == (None, 1)
    kubectl("delete", "job", "low", "high")


def test_claims_get_volumes_and_keep_them(kubectl: Kubectl, lone_server: Server) -> None:
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "disk"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": str(lone_server.data_dir)},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "500Mi"}},
        },
    }
    apply(kubectl, claim)
    none = "no persistent volumes available for this claim and no storage class is set"
    assert eventually(lambda: none in events(kubectl, "FailedBinding"))
    apply(kubectl, volume)
    kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/c", "--timeout=20s")
    row = kubectl("get", "pvc", "c", "--no-headers").split()
    assert row[:5] == ["c", "Bound", "disk", "1Gi", "RWO"]
    row = kubectl("get", "pv", "disk", "--no-headers").split()
    assert row[:6] == ["disk", "1Gi", "RWO", "Retain", "Bound", f"{kubectl.namespace}/c"]
    kubectl("delete", "pv", "disk", "--wait=false")
    assert "Terminating" in kubectl("get", "pv", "disk")
    kubectl("delete", "pvc", "c", "--timeout=20s")
    assert eventually(lambda: kubectl.result("get", "pv", "disk").returncode != 0)


def test_drain_waits_for_the_budget(kubectl: Kubectl) -> None:
    labels = {"app": "web"}
    container = {"name": "c", "image": "busybox", "command": ["sleep", "600"]}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    web = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    }
    apply(kubectl, web, budget)

    def numbers() -> tuple[int, ...]:
        status = kubectl.json("get", "pdb", "b")["status"]
        names = ("expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed")
        return tuple(status[name] for name in names)

    assert eventually(lambda: numbers() == (2, 2, 1, 1))
    [node] = kubectl.json("get", "nodes")["items"]
    name = node["metadata"]["name"]
    drain = kubectl.start("drain", name, "--pod-selector=app=web", "--force", "--timeout=60s")
    try:
        assert eventually(lambda: numbers() == (2, 1, 1, 0))
        kubectl("delete", "pdb", "b")
        assert drain.wait(timeout=60) == 0
    finally:
        drain.kill()
        drain.communicate()
        kubectl("uncordon", name)
        kubectl("delete", "rs", "web")


def test_a_job_goes_on_when_its_quota_frees_up(kubectl: Kubectl) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "1"}},
    }
    apply(kubectl, quota, job("first", "sleep 600"))
    assert runs(kubectl, "first")
    apply(kubectl, job("second", "true"))
    refused = "is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"
    assert eventually(lambda: any(refused in text for text in events(kubectl, "FailedCreate")))
    used = kubectl.json("get", "quota", "few")["status"]
    assert used == {"hard": {"pods": "1"}, "used": {"pods": "1"}}
    kubectl("delete", "job", "first")
    kubectl("wait", "--for=condition=Complete", "job/second", "--timeout=60s")
    assert eventually(lambda: kubectl.json("get", "quota", "few")["status"]["used"]["pods"] == "0")


def test_a_namespace_goes_with_all_that_runs_in_it(kubectl: Kubectl) -> None:
    apply(kubectl, *(job(f"j{i}", "sleep 600") for i in range(3)))
    assert eventually(lambda: kubectl("get", "pods", "--no-headers").count("Running") == 3)
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=30s")
    assert kubectl.result("get", "namespace", kubectl.namespace).returncode != 0


@pytest.mark.parametrize("mode", ["background", "foreground", "orphan"])
def test_cascade(kubectl: Kubectl, mode: str) -> None:
    cronjob = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "c"},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job("x", "sleep 600")["spec"]}},
    }
    apply(kubectl, cronjob)
    kubectl("create", "job", "one", "--from=cronjob/c")
    assert runs(kubectl, "one")
    kubectl("delete", "cronjob", "c", f"--cascade={mode}", "--timeout=30s")
    everything = ("get", "cronjobs,jobs,pods", "--no-headers", "-o", "name")
    if mode == "orphan":
        kept = kubectl(*everything).split()
        assert [name.partition("/")[0] for name in kept] == ["job.batch", "pod"]
        assert "ownerReferences" not in kubectl.json("get", "job", "one")["metadata"]
        kubectl("delete", "job", "one", "--cascade=orphan", "--timeout=30s")
        assert [n.partition("/")[0] for n in kubectl(*everything).split()] == ["pod"]
        kubectl("delete", "pod", "--all", "--timeout=30s")
    elif mode == "foreground":
        assert kubectl(*everything) == "", "it went last"
    assert eventually(lambda: kubectl(*everything) == "")
