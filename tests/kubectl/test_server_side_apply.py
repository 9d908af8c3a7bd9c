"""`kubectl apply --server-side` and `diff --server-side` with real kubectl."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kubectl import tools
from tests.kubectl.tools import Kubectl

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  a: "{a}"
  b: "2"
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: applied
spec:
  suspend: true
  parallelism: {parallelism}
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: c
        image: any
        command: ["/bin/true"]
"""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def config(name: str, a: str) -> str:
    return CONFIG.format(name=name, a=a)


def apply(kubectl: Kubectl, text: str, *options: str) -> str:
    return kubectl("apply", "--server-side", "-f", "-", *options, stdin=text)


def entries(obj: Any) -> list[tuple[str, str]]:
    return [(e["manager"], e["operation"]) for e in obj["metadata"].get("managedFields", ())]


def shown(kubectl: Kubectl, *what: str) -> Any:
    return kubectl.json("get", *what, "--show-managed-fields")


def test_created_changed_and_left_alone(kubectl: Kubectl) -> None:
    assert apply(kubectl, JOB.format(parallelism=1)) == "job.batch/applied serverside-applied\n"
    first = shown(kubectl, "job", "applied")
    apply(kubectl, JOB.format(parallelism=1))
    assert shown(kubectl, "job", "applied") == first
    apply(kubectl, JOB.format(parallelism=3))
    second = shown(kubectl, "job", "applied")
    assert second["spec"]["parallelism"] == 3
    assert ("kubectl", "Apply") in entries(second)
    assert "managedFields" not in kubectl("get", "job", "applied", "-o", "yaml")


def test_conflicts_and_force(kubectl: Kubectl) -> None:
    apply(kubectl, config("contested", "1"))
    refused = kubectl.result(
        "apply", "--server-side", "--field-manager=other", "-f", "-", stdin=config("contested", "9")
    )
    assert refused.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in refused.stderr
    assert "--force-conflicts" in refused.stderr
    assert kubectl.json("get", "cm", "contested")["data"]["a"] == "1"
    apply(kubectl, config("contested", "9"), "--field-manager=other", "--force-conflicts")
    taken = shown(kubectl, "cm", "contested")
    assert taken["data"] == {"a": "9", "b": "2"}
    assert entries(taken) == [("kubectl", "Apply"), ("other", "Apply")]
    # What the first one no longer names and nobody else owns is taken away.
    only = CONFIG.format(name="contested", a="9").replace('  b: "2"\n', "")
    apply(kubectl, only, "--field-manager=other")
    apply(kubectl, only)
    assert kubectl.json("get", "cm", "contested")["data"] == {"a": "9"}


def test_over_what_was_applied_on_the_client(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=config("migrated", "1"))
    assert entries(shown(kubectl, "cm", "migrated")) == [("kubectl-client-side-apply", "Update")]
    apply(kubectl, config("migrated", "9"))
    after = shown(kubectl, "cm", "migrated")
    assert after["data"]["a"] == "9"
    assert '"a":"9"' in after["metadata"]["annotations"][LAST_APPLIED]
    assert entries(after) == [("kubectl", "Apply"), ("kubectl-last-applied", "Apply")]
    # And back to the client, and again.
    kubectl("apply", "-f", "-", stdin=config("migrated", "8"))
    apply(kubectl, config("migrated", "7"))
    assert kubectl.json("get", "cm", "migrated")["data"]["a"] == "7"


def test_diff(kubectl: Kubectl) -> None:
    apply(kubectl, config("compared", "1"))
    same = kubectl.result("diff", "--server-side", "-f", "-", stdin=config("compared", "1"))
    assert (same.returncode, same.stdout) == (0, "")
    other = kubectl.result("diff", "--server-side", "-f", "-", stdin=config("compared", "9"))
    assert other.returncode == 1
    assert '-  a: "1"' in other.stdout
    assert '+  a: "9"' in other.stdout
    assert kubectl.json("get", "cm", "compared")["data"]["a"] == "1"


def test_a_dry_run(kubectl: Kubectl) -> None:
    said = apply(kubectl, config("dry", "1"), "--dry-run=server")
    assert said == "configmap/dry serverside-applied (server dry run)\n"
    assert kubectl.result("get", "cm", "dry").returncode == 1


def test_unknown_fields(kubectl: Kubectl) -> None:
    text = JOB.format(parallelism=1).replace("suspend", "suspended")
    refused = kubectl.result("apply", "--server-side", "-f", "-", stdin=text)
    assert refused.returncode == 1
    assert ".spec.suspended: field not declared in schema" in refused.stderr


def test_who_wrote_what(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=config("written", "1"))
    kubectl("label", "cm", "written", "x=y")
    kubectl("annotate", "cm", "written", "z=w")
    obj = shown(kubectl, "cm", "written")
    found = {e["manager"]: e["fieldsV1"] for e in obj["metadata"]["managedFields"]}
    assert found == {
        "kubectl-create": {"f:data": {".": {}, "f:a": {}, "f:b": {}}},
        "kubectl-label": {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}},
        "kubectl-annotate": {"f:metadata": {"f:annotations": {".": {}, "f:z": {}}}},
    }
    kubectl("patch", "cm", "written", "-p", '{"metadata":{"managedFields":[{}]}}')
    assert entries(shown(kubectl, "cm", "written")) == []


def test_a_little_with_every_other_version(other_kubectl: Kubectl) -> None:
    apply(other_kubectl, config("small", "1"))
    other_kubectl("apply", "-f", "-", stdin=config("small", "2"))
    apply(other_kubectl, config("small", "3"))
    assert other_kubectl.json("get", "cm", "small")["data"]["a"] == "3"
