"""One pod with everything at once: init container, sidecar, probes, hooks, volumes of all kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubatch.runtime.sandbox import available
from tests.kubectl import tools
from tests.kubectl.conftest import at_home

WHY_NOT = available()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not tools.find_kubectls(), reason="no kubectl here"),
    pytest.mark.skipif(bool(WHY_NOT), reason=f"no sandboxes here: {WHY_NOT}"),
]
EXPECTED = Path(__file__).with_name("whole_pod.txt")


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tools.Server]:
    with tools.running_server(tmp_path_factory.mktemp("whole"), "--runtime", "sandbox") as running:
        yield running


@pytest.fixture(params=tools.full_matrix()[-1:])
def kubectl(
    request: pytest.FixtureRequest, boxed: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    return at_home(request.param, boxed, tmp_path_factory.mktemp("home"))


def mounts(**paths: str) -> list[dict[str, str]]:
    return [{"name": name, "mountPath": path} for name, path in paths.items()]


def script(*lines: str) -> dict[str, Any]:
    return {"image": "busybox:1", "command": ["sh", "-c", "; ".join(lines)]}


def until(path: str) -> str:
    return f"while ! test -e {path}; do sleep 0.05; done"


def exec_probe(*command: str) -> dict[str, Any]:
    return {"exec": {"command": list(command)}, "periodSeconds": 1}


FIRST = {
    "name": "first",
    **script("cat /config/game /secret/password > /scratch/first"),
    "volumeMounts": mounts(config="/config", secret="/secret", scratch="/scratch"),
}
HELPER = {
    "name": "helper",
    "restartPolicy": "Always",
    **script("trap 'echo bye > /kept/helper; exit 0' TERM", "touch /scratch/helper",
             "while :; do sleep 0.05; done"),
    "startupProbe": exec_probe("test", "-e", "/scratch/helper"),
    "volumeMounts": mounts(scratch="/scratch", kept="/kept"),
}  # fmt: skip
MAIN = {
    "name": "main",
    **script(until("/scratch/hooked"), "cat /scratch/first", "touch /scratch/ready",
             until("/scratch/end"), "ls /projected /host", "cat /down/name", "echo", "echo $LEVEL"),
    "env": [
        {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "game"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    "ports": [{"containerPort": 8080, "name": "web"}],
    "lifecycle": {
        "postStart": {"exec": {"command": ["touch", "/scratch/hooked"]}},
        "preStop": {"exec": {"command": ["true"]}},
    },
    "readinessProbe": exec_probe("test", "-e", "/scratch/ready"),
    "livenessProbe": exec_probe("true"),
    "volumeMounts": mounts(scratch="/scratch", memory="/memory", down="/down",
                           projected="/projected", host="/host", kept="/kept"),
}  # fmt: skip


def storage(directory: Path) -> list[dict[str, Any]]:
    """A volume and the claim for it."""
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand"}
    real = {"capacity": {"storage": "1Gi"}, "hostPath": {"path": str(directory)}}
    return [
        {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "whole"},
            "spec": {**common, **real},
        },
        {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kept"},
            "spec": {**common, "resources": {"requests": {"storage": "1Gi"}}},
        },
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
            "data": {"game": "level=1\n"},
        },
        {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"},
            "stringData": {"password": "hunter2\n"},
        },
    ]  # fmt: skip


def whole(host: Path) -> dict[str, Any]:
    name = {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}
    sources = [{"configMap": {"name": "settings"}}, {"secret": {"name": "login"}}]
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "secret", "secret": {"secretName": "login"}},
        {"name": "down", "downwardAPI": {"items": [name]}},
        {"name": "projected", "projected": {"sources": sources}},
        {"name": "host", "hostPath": {"path": str(host), "type": "Directory"}},
        {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}},
    ]
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "whole", "labels": {"app": "whole"}, "annotations": {"note": "all"}},
        "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 2, "volumes": volumes,
            "initContainers": [FIRST, HELPER], "containers": [MAIN],
        },
    }  # fmt: skip


def apply(kubectl: tools.Kubectl, *objects: Any) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("apply", "-f", "-", stdin=json.dumps(items))


def wait(kubectl: tools.Kubectl, what: str, condition: str) -> None:
    kubectl("wait", what, f"--for={condition}", "--timeout=30s")


def normalised(text: str) -> str:
    """A description without what differs from run to run."""
    rules = [
        (r"sandbox://[0-9a-f]{64}", "sandbox://ID"),
        (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", "TIME"),
        (r"kube-api-access-\w{5}", "kube-api-access-XXXXX"),
        (r"(?m)^(Node: +)\S+$", r"\1NODE/IP"),
        (r"assigned (\S+)/whole to \S+", r"assigned \1/whole to NODE"),
        (r"with-[\w-]+", "NAMESPACE"),
        (r"(Path: +)/\S+", r"\1PATH"),
        # Of a source that need not be optional kubectl says so in this way or in that.
        (r"(?m)^ +(?:ConfigMapOptional|SecretOptionalName|Optional): .*\n", ""),
        # Ages, with how often something was seen, and how wide a column has become.
        (r"(?m)^(  (?:Normal|Warning) +\w+ +)\S+(?: \(x\d+ over \S+\))? +(?=kubelet|default)",
         r"\1AGE "),
        (r"  Type +Reason +Age +From +Message\n.*\n", "  Type Reason Age From Message\n"),
        (r"(?m) +$", ""),
    ]  # fmt: skip
    for pattern, instead in rules:
        text = re.sub(pattern, instead, text)
    return text


def test_everything_at_once(kubectl: tools.Kubectl, tmp_path: Path) -> None:
    host, kept = tmp_path / "host", tmp_path / "kept"
    host.mkdir()
    (host / "hello").touch()
    kept.mkdir()
    kept.chmod(0o777)
    apply(kubectl, *storage(kept))
    wait(kubectl, "pvc/kept", "jsonpath={.status.phase}=Bound")
    apply(kubectl, whole(host))
    wait(kubectl, "pod/whole", "condition=Ready")
    line = kubectl("get", "pod", "whole", "--no-headers").split()
    assert line[:4] == ["whole", "2/2", "Running", "0"]
    kubectl("exec", "whole", "-c", "main", "--", "touch", "/scratch/end")
    wait(kubectl, "pod/whole", "jsonpath={.status.phase}=Succeeded")
    said = kubectl("logs", "whole", "-c", "main")
    assert (
        said == "level=1\nhunter2\n/host:\nhello\n\n/projected:\ngame\npassword\nwhole\nlevel=1\n"
    )
    assert (kept / "helper").read_text() == "bye\n"  # the sidecar heard SIGTERM
    assert normalised(kubectl("describe", "pod", "whole")) == EXPECTED.read_text()
    kubectl("delete", "pod", "whole")
    assert kubectl("get", "pods").strip() == ""
