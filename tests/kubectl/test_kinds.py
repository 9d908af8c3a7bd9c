"""Every kind beside Jobs and pods: made, shown, described, explained, scaled, evicted, deleted."""

from __future__ import annotations

import re

import pytest

from tests.kubectl import tools

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: outside}
subsets: [{addresses: [{ip: 10.1.2.3}], ports: [{port: 80}]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside-1, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
endpoints: [{addresses: [10.1.2.3]}]
ports: [{port: 80, name: http}]
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: much}
spec: {hard: {pods: "50", count/jobs.batch: "50"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: bounds}
spec: {limits: [{type: Container, max: {cpu: "64"}, default: {cpu: 500m}}]}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-NAME}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /tmp}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: shape}
template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: busybox}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: none}
spec:
  replicas: 0
  selector: {matchLabels: {app: none}}
  template:
    metadata: {labels: {app: none}}
    spec: {containers: [{name: c, image: busybox}]}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: class-NAME}
value: 1000
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: budget}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: old}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}}}
"""
NAMES = [
    "service/web",
    "endpoints/outside",
    "endpointslice/outside-1",
    "quota/much",
    "limits/bounds",
    "pv/volume-NAME",
    "pvc/claim",
    "podtemplate/shape",
    "rs/none",
    "pc/class-NAME",
    "pdb/budget",
    "cronjob/old",
]
KINDS = [
    "services",
    "endpoints",
    "endpointslices",
    "resourcequotas",
    "limitranges",
    "persistentvolumes",
    "persistentvolumeclaims",
    "podtemplates",
    "replicasets",
    "priorityclasses",
    "poddisruptionbudgets",
    "bindings",
]


@pytest.fixture(scope="module")
def newest(server: tools.Server, tmp_path_factory: pytest.TempPathFactory) -> tools.Kubectl:
    """The newest kubectl, in a namespace of its own."""
    version, binary = list(tools.find_kubectls().items())[-1]
    home = tmp_path_factory.mktemp("home")
    tools.Kubectl(binary, version, server.kubeconfig, home)("create", "namespace", "kinds")
    return tools.Kubectl(binary, version, server.kubeconfig, home, "kinds")


def every_kind(kubectl: tools.Kubectl) -> None:
    """All kinds at once: apply, get wide, describe, delete."""
    text = MANIFESTS.replace("NAME", kubectl.namespace)
    names = [name.replace("NAME", kubectl.namespace) for name in NAMES]
    made = kubectl.result("apply", "-f", "-", stdin=text)
    assert made.returncode == 0, made.stderr
    assert made.stdout.count(" created\n") == len(names)
    assert "Warning: v1 Endpoints is deprecated in v1.33+; " in made.stderr
    assert "Warning: batch/v1beta1 CronJob is deprecated in v1.21+, " in made.stderr
    for name in names:
        assert name.partition("/")[2] in kubectl("get", name, "-o", "wide")
        assert re.search(r"^Name: ", kubectl("describe", name), re.M)
    again = kubectl.result("apply", "-f", "-", stdin=text)
    assert again.returncode == 0, again.stderr
    assert kubectl("delete", *names, "--wait=false").count(" deleted") == len(names)


def test_every_kind(kubectl: tools.Kubectl) -> None:
    every_kind(kubectl)


def test_every_kind_with_every_other_version(other_kubectl: tools.Kubectl) -> None:
    every_kind(other_kubectl)


def test_explain(newest: tools.Kubectl) -> None:
    for kind in KINDS:
        assert "DESCRIPTION:" in newest("explain", kind)
    assert "loadBalancerClass" in newest("explain", "service.spec", "--recursive")


def test_services(newest: tools.Kubectl) -> None:
    assert newest("create", "service", "clusterip", "plain", "--tcp=80:8080") == (
        "service/plain created\n"
    )
    newest("create", "service", "nodeport", "open", "--tcp=81")
    newest("create", "service", "loadbalancer", "balanced", "--tcp=82")
    newest("create", "service", "externalname", "away", "--external-name=example.com")
    newest("create", "service", "clusterip", "headless", "--clusterip=None", "--tcp=80")
    said = newest("get", "svc")
    assert re.search(r"^plain +ClusterIP +127\.\d+\.\d+\.\d+ +<none> +80/TCP ", said, re.M)
    assert re.search(r"^open +NodePort +127\S+ +<none> +81:3\d{4}/TCP ", said, re.M)
    assert re.search(r"^balanced +LoadBalancer +127\S+ +<pending> +82:3\d{4}/TCP ", said, re.M)
    assert re.search(r"^away +ExternalName +<none> +example.com +<none> ", said, re.M)
    assert re.search(r"^headless +ClusterIP +None +<none> +80/TCP ", said, re.M)
    moved = newest.result("patch", "svc", "plain", "-p", '{"spec":{"clusterIP":"127.96.9.9"}}')
    assert moved.stderr == (
        'The Service "plain" is invalid: spec.clusterIPs[0]: Invalid value: ["127.96.9.9"]: may '
        "not change once set\n"
    )
    everything = newest("get", "all", "-o", "name")
    assert "service/plain\n" in everything
    newest("delete", "svc", "--all")
    assert newest("get", "svc", "-n", "default", "-o", "name") == "service/kubernetes\n"


def test_quota_and_priority(newest: tools.Kubectl) -> None:
    newest("create", "quota", "q", "--hard=pods=3,limits.cpu=2", "--scopes=Terminating")
    assert newest.json("get", "quota", "q")["spec"] == {
        "hard": {"limits.cpu": "2", "pods": "3"},
        "scopes": ["Terminating"],
    }
    newest("delete", "quota", "q")
    newest("create", "quota", "few", "--hard=configmaps=2")  # one is there: kube-root-ca.crt
    newest("create", "configmap", "second")
    third = newest.result("create", "configmap", "third")
    assert third.stderr == (
        'error: failed to create configmap: configmaps "third" is forbidden: exceeded quota: few, '
        "requested: configmaps=1, used: configmaps=2, limited: configmaps=2\n"
    )
    told = ("describe", "quota", "few")
    assert tools.eventually(
        lambda: re.search(r"^configmaps +2 +2$", newest(*told), re.M) is not None
    )
    newest("delete", "quota/few", "configmap/second")
    newest("create", "priorityclass", "urgent", "--value=1000", "--description=now")
    said = newest("get", "pc")
    assert re.search(r"^system-node-critical +2000001000 +false ", said, re.M)
    assert re.search(r"^urgent +1000 +false +\S+ +PreemptLowerPriority$", said, re.M)
    overrides = '{"spec":{"priorityClassName":"urgent"}}'
    newest("run", "p", "--image=busybox", "--restart=Never", f"--overrides={overrides}", "true")
    assert newest.json("get", "pod", "p")["spec"]["priority"] == 1000
    newest("delete", "pod/p", "pc/urgent")


def test_scale(newest: tools.Kubectl) -> None:
    manifest = MANIFESTS.split("---")[8]
    newest("apply", "-f", "-", stdin=manifest.replace("[{name: c,", "[{name: c, command: [x],"))
    assert newest("scale", "rs", "none", "--replicas=1") == "replicaset.apps/none scaled\n"
    assert newest.json("get", "rs", "none")["spec"]["replicas"] == 1
    said = newest("get", "rs", "none", "--subresource=scale")
    assert re.search(r"^none +1 +\d ", said, re.M)
    wrong = newest.result("scale", "rs", "none", "--current-replicas=5", "--replicas=2")
    assert "Expected replicas to be 5, was 1" in wrong.stderr
    newest("delete", "rs", "none", "--wait=false")


def test_eviction(newest: tools.Kubectl) -> None:
    sleep = ("--image=busybox", "--restart=Never", "--", "sleep", "300")
    newest("run", "guarded", "--labels=app=guarded", *sleep)
    newest("create", "pdb", "guard", "--selector=app=guarded", "--min-available=1")
    newest("wait", "--for=condition=Ready", "pod/guarded", "--timeout=60s")
    (node,) = newest("get", "nodes", "-o", "name").split()
    # Only this namespace's pod: others run on the same node.
    drain = ("drain", node.removeprefix("node/"), "--pod-selector=app=guarded", "--force")
    refused = newest.result(*drain, "--timeout=1s")
    assert refused.returncode == 1
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused.stderr
    newest("delete", "pdb", "guard")
    assert "pod/guarded evicted" in newest(*drain, "--timeout=60s", "--grace-period=1")
    newest("uncordon", node.removeprefix("node/"))
    assert newest("get", "pods", "-l", "app=guarded", "-o", "name") == ""
