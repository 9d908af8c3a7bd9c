"""Probes, hooks and sidecars, as kubectl shows them, in processes and in sandboxes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kubatch.runtime.sandbox import available
from tests.kubectl import tools
from tests.kubectl.conftest import at_home

WHY_NOT = available()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not tools.find_kubectls(), reason="no kubectl here"),
]
RUNTIMES = [
    "process",
    pytest.param("sandbox", marks=pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")),
]

# Once it was ready it is sick, once: the second run finds nothing of the first but its word.
SICK = """
rm -f /tmp/$HOSTNAME.*
trap 'echo told; exit 0' TERM
sleep 1 & wait $!
touch /tmp/$HOSTNAME.ready
[ $HOSTNAME = sick ] && { sleep 2 & wait $!; touch /tmp/$HOSTNAME.ill; }
while :; do sleep 1 & wait $!; done
"""


@pytest.fixture(scope="module", params=RUNTIMES)
def kubectl(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tools.Kubectl]:
    """The oldest of the full matrix with processes, the newest with sandboxes."""
    version = tools.full_matrix()[0 if request.param == "process" else -1]
    folder = tmp_path_factory.mktemp(request.param)
    with tools.running_server(folder, "--runtime", request.param) as server:
        yield at_home(version, server, tmp_path_factory.mktemp("home"))


def run(command: str) -> dict[str, Any]:
    return {"exec": {"command": ["sh", "-c", command]}}


def pod(name: str, port: int) -> dict[str, Any]:
    server = ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 10,
            "initContainers": [
                {"name": "first", "image": "busybox", "command": ["echo", "first"]},
                {
                    "name": "web",
                    "image": "python",
                    "restartPolicy": "Always",
                    "command": server,
                    "ports": [{"name": "http", "containerPort": port}],
                    "startupProbe": {"httpGet": {"port": "http"}, "periodSeconds": 1,
                                     "failureThreshold": 60},
                    "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
                },
            ],
            "containers": [
                {
                    "name": "work",
                    "image": "busybox",
                    "command": ["sh", "-c", SICK],
                    "readinessProbe": {
                        **run("test -e /tmp/$HOSTNAME.ready || { echo not yet; exit 1; }"),
                        "periodSeconds": 1,
                    },
                    "livenessProbe": {
                        **run("test ! -e /tmp/$HOSTNAME.ill || { echo ill; exit 1; }"),
                        "initialDelaySeconds": 1, "periodSeconds": 1, "failureThreshold": 2,
                    },
                    "lifecycle": {
                        "postStart": run("test -d /tmp"),
                        "preStop": run("echo stopping; exit 1"),
                    },
                }
            ],
        },
    }  # fmt: skip


def events(kubectl: tools.Kubectl, name: str) -> set[str]:
    found = kubectl.json("get", "events", "--field-selector", f"involvedObject.name={name}")
    return {f"{e['reason']}: {e['message'].strip()}" for e in found["items"]}


def test_a_pod_with_everything(kubectl: tools.Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(pod("well", 18181)))
    kubectl("wait", "--for=condition=Ready", "pod/well", "--timeout=60s")
    assert kubectl("get", "pod", "well", "--no-headers").split()[:4] == [
        "well", "2/2", "Running", "0",
    ]  # fmt: skip
    kubectl("delete", "pod", "well", "--timeout=30s")
    told = events(kubectl, "well")
    assert {
        "Unhealthy: Readiness probe failed: not yet",
        "Killing: Stopping container work",
        "Killing: Stopping container web",
        "FailedPreStopHook: PreStopHook failed",
    } <= told
    assert not [said for said in told if said.startswith("Unhealthy: Liveness")]


def test_a_sick_container_is_ended_and_runs_again(kubectl: tools.Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(pod("sick", 18182)))
    count = "jsonpath={.status.containerStatuses[0].restartCount}"
    assert tools.eventually(lambda: kubectl("get", "pod", "sick", "-o", count) == "1")
    told = events(kubectl, "sick")
    assert "Unhealthy: Liveness probe failed: ill" in told
    assert "Killing: Container work failed liveness probe, will be restarted" in told
    described = kubectl("describe", "pod", "sick")
    assert "Liveness:" in described
    assert "#failure=2" in described
    kubectl("delete", "pod", "sick", "--now")


def test_a_hook_that_fails(kubectl: tools.Kubectl) -> None:
    made = pod("hooked", 18183)
    made["spec"]["initContainers"] = []
    made["spec"]["restartPolicy"] = "Never"
    work = made["spec"]["containers"][0]
    work["lifecycle"] = {"postStart": run("echo secret; exit 2")}
    kubectl("apply", "-f", "-", stdin=json.dumps(made))
    phase = "jsonpath={.status.phase}"
    ended = ("Succeeded", "Failed")  # it may be told to end before it listens
    assert tools.eventually(lambda: kubectl("get", "pod", "hooked", "-o", phase) in ended)
    told = events(kubectl, "hooked")
    assert {"FailedPostStartHook: PostStartHook failed", "Killing: FailedPostStartHook"} <= told
    assert not [said for said in told if "secret" in said]
    kubectl("delete", "pod", "hooked")
