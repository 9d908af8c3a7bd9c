"""Pods in sandboxes: volumes of every kind, who they run as, and what they cannot reach."""

from __future__ import annotations

import json
import os
import sys
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
ROOT = os.geteuid() == 0

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"game": "level=1\n", "other": "x"},
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "login"},
    "stringData": {"password": "hunter2"},
}


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tools.Server]:
    with tools.running_server(tmp_path_factory.mktemp("boxed"), "--runtime", "sandbox") as running:
        yield running


@pytest.fixture(scope="module", params=tools.full_matrix()[-1:])
def kubectl(
    request: pytest.FixtureRequest, boxed: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    found = at_home(request.param, boxed, tmp_path_factory.mktemp("home"))
    apply(found, CONFIG, SECRET)
    return found


def apply(kubectl: tools.Kubectl, *objects: Any) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    kubectl("apply", "-f", "-", stdin=json.dumps(items))


def pod(
    name: str, script: str, *volumes: tuple[str | dict[str, str], Any], **spec: Any
) -> dict[str, Any]:
    """A pod that runs a script, with each volume at the path that comes with it."""
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", script],
        "volumeMounts": [
            {"name": volume["name"], "mountPath": path} if isinstance(path, str) else path
            for path, volume in volumes
        ],
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": list({v["name"]: v for _, v in volumes}.values()),
            **spec,
        },
    }


def output(kubectl: tools.Kubectl, manifest: dict[str, Any]) -> str:
    """What a pod prints; it must succeed."""
    apply(kubectl, manifest)
    name = manifest["metadata"]["name"]
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=30s")
    return kubectl("logs", name)


def test_the_node_says_what_it_is(kubectl: tools.Kubectl) -> None:
    (node,) = kubectl.json("get", "nodes")["items"]
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("sandbox://")


def test_volumes_of_every_kind(kubectl: tools.Kubectl, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host\n")
    projected = [
        {"configMap": {"name": "settings", "items": [{"key": "game", "path": "conf/game"}]}},
        {"secret": {"name": "login"}},
        {"downwardAPI": {"items": [{"path": "me", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
    ]
    scratch = {"name": "scratch", "emptyDir": {}}
    volumes: list[tuple[str | dict[str, str], Any]] = [
        ("/etc/settings", {"name": "settings", "configMap": {"name": "settings"}}),
        ("/run/login", {"name": "login", "secret": {"secretName": "login"}}),
        ("/all/in/one", {"name": "one", "projected": {"sources": projected}}),
        (
            "/info",
            {
                "name": "info",
                "downwardAPI": {
                    "items": [
                        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    ]
                },
            },
        ),
        ("/host", {"name": "host", "hostPath": {"path": str(tmp_path), "type": "Directory"}}),
        ("/scratch", scratch),
        ({"name": "scratch", "mountPath": "/part", "subPath": "a/b"}, scratch),
        ("/fast", {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}}),
        ("/maybe", {"name": "maybe", "configMap": {"name": "none", "optional": True}}),
    ]
    script = (
        "cat /etc/settings/game /run/login/password; echo; cat /all/in/one/conf/game "
        "/all/in/one/password /all/in/one/me; echo; cut -c1-3 /all/in/one/token; "
        "cat /info/labels; echo; cat /host/given; echo written > /host/back; "
        "echo deep > /part/x; cat /scratch/a/b/x; "
        "ls /maybe; df --output=size -B1 /fast | tail -1 | tr -d ' '; "
        "touch /etc/settings/x || echo closed"
    )
    assert output(kubectl, pod("every-kind", script, *volumes)).splitlines() == [
        "level=1", "hunter2", "level=1", "hunter2every-kind", "eyJ", 'app="every-kind"',
        "from the host", "deep", f"{2 << 20}",
        "touch: cannot touch '/etc/settings/x': Read-only file system", "closed",
    ]  # fmt: skip
    assert (tmp_path / "back").read_text() == "written\n"


def test_a_claim_bound_to_a_volume(kubectl: tools.Kubectl, tmp_path: Path) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "manual"}
    name = f"pv-{kubectl.namespace}"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {**spec, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(tmp_path)}},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "claim"},
        "spec": {**spec, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
    }
    apply(kubectl, volume, claim)
    bound = '{"status": {"phase": "Bound"}}'
    kubectl("patch", "pvc", "claim", "--subresource=status", "--type=merge", "-p", bound)
    source = {"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}
    assert output(kubectl, pod("claimer", "echo kept > /v/file", ("/v", source))) == ""
    assert (tmp_path / "file").read_text() == "kept\n"


def test_a_pod_waits_for_what_its_volumes_name(kubectl: tools.Kubectl) -> None:
    source = {"name": "late", "configMap": {"name": "late"}}
    apply(kubectl, pod("waits", "cat /late/key", ("/late", source)))
    told = 'MountVolume.SetUp failed for volume "late" : configmap "late" not found'
    assert tools.eventually(lambda: told in kubectl("get", "events"))
    assert "ContainerCreating" in kubectl("get", "pod", "waits")
    kubectl("create", "configmap", "late", "--from-literal=key=came")
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/waits", "--timeout=30s")
    assert kubectl("logs", "waits") == "came"


def test_an_indexed_job_names_its_pods(kubectl: tools.Kubectl) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "named"},
        "spec": {
            "completions": 2,
            "parallelism": 2,
            "completionMode": "Indexed",
            "template": {"spec": pod("", "hostname; grep named- /etc/hosts")["spec"]},
        },
    }
    apply(kubectl, job)
    kubectl("wait", "--for=condition=complete", "job/named", "--timeout=30s")
    lines = kubectl("logs", "-l", "job-name=named").splitlines()
    assert sorted(lines) == ["127.0.0.1\tnamed-0", "127.0.0.1\tnamed-1", "named-0", "named-1"]


def test_last_words(kubectl: tools.Kubectl) -> None:
    apply(kubectl, pod("words", "echo -n 'so long' > /dev/termination-log; exit 3"))
    kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/words", "--timeout=30s")
    (status,) = kubectl.json("get", "pod", "words")["status"]["containerStatuses"]
    ended = status["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (3, "so long")


@pytest.mark.skipif(not ROOT, reason="only root may be somebody else")
def test_who_it_runs_as(kubectl: tools.Kubectl) -> None:
    security = {"runAsUser": 1234, "runAsGroup": 5, "fsGroup": 999, "supplementalGroups": [777]}
    own = {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    manifest = pod(
        "somebody", "id -u; id -G; stat -c %g /e; touch /e/x; touch /x || true",
        ("/e", {"name": "e", "emptyDir": {}}),
        securityContext=security, container={"securityContext": own},
    )  # fmt: skip
    assert output(kubectl, manifest).splitlines() == [
        "1234", "5 777 999", "999", "touch: cannot touch '/x': Read-only file system",
    ]  # fmt: skip


def test_nothing_of_others_can_be_reached(kubectl: tools.Kubectl, boxed: tools.Server) -> None:
    source = {"name": "login", "secret": {"secretName": "login"}}
    apply(kubectl, pod("victim", "sleep 1000", ("/login", source)))
    kubectl("wait", "--for=condition=Ready", "pod/victim", "--timeout=30s")
    root = {"name": "root", "hostPath": {"path": "/"}}
    script = (
        f"cat {boxed.kubeconfig} /host{boxed.kubeconfig} 2>/dev/null; "
        f"find {boxed.data_dir} /host{boxed.data_dir} /dev/shm /host/dev/shm/kubatch-* -type f "
        "2>/dev/null; ps ax | grep -c '[s]leep 1000'; echo end"
    )
    manifest = pod("attacker", script, ("/host", root))
    assert output(kubectl, manifest).splitlines() == ["0", "end"]
    own = {"name": "own", "hostPath": {"path": str(boxed.data_dir / "pki")}}
    apply(kubectl, pod("attacker-2", "ls /own", ("/own", own)))
    assert tools.eventually(lambda: "is part of this node's own state" in kubectl("get", "events"))
    kubectl("delete", "pod", "victim", "attacker-2")


def test_a_link_in_a_volume_leads_nowhere(kubectl: tools.Kubectl) -> None:
    e = {"name": "e", "emptyDir": {}}
    first = {
        "name": "i",
        "image": "busybox",
        "command": ["sh", "-c", "ln -s /etc /e/abs; ln -s ../../../../../.. /e/rel"],
        "volumeMounts": [{"name": "e", "mountPath": "/e"}],
    }
    told = 'failed to prepare subPath for volumeMount "e" of container "c"'
    query = "-o=jsonpath={.items[*].status.containerStatuses[0].state.waiting.message}"
    for name, path in (("abs", "abs"), ("rel", "rel/etc")):
        mount = {"name": "e", "mountPath": "/x", "subPath": path}
        apply(kubectl, pod(f"link-{name}", "ls /x", (mount, e), initContainers=[first]))
    names = ("link-abs", "link-rel")
    assert tools.eventually(lambda: kubectl("get", "pod", *names, query) == f"{told} {told}")
    kubectl("delete", "pod", *names)


def test_exec_is_in_the_sandbox(kubectl: tools.Kubectl) -> None:
    apply(kubectl, pod("inside", "touch /tmp/mine; sleep 1000"))
    kubectl("wait", "--for=condition=Ready", "pod/inside", "--timeout=30s")
    said = kubectl("exec", "inside", "--", "sh", "-c", "hostname; ls /tmp")
    # A kubatch that is installed below /tmp shows its own programs there, and nothing else.
    ours = [p for p in (Path(sys.prefix), tools.ROOT / "src") if p.is_relative_to("/tmp")]
    shown = sorted({"mine", *(p.relative_to("/tmp").parts[0] for p in ours)})
    assert said.splitlines() == ["inside", *shown]
    failed = kubectl.result("exec", "inside", "--", "nope")
    assert 'exec: "nope": executable file not found in $PATH' in failed.stderr
    kubectl("delete", "pod", "inside")
