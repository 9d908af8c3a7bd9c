"""Every verb of kubectl, with what it prints; kinds and streams have files of their own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubectl import tools
from tests.kubectl.test_kinds import MANIFESTS

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)

# Not the one on PATH where there are others: it may be a dispatcher, and slow.
NEWEST = max(tools.full_matrix(), key=lambda v: (v != "PATH", v))
# 1.27 and 1.29 speak differently on the wire: what they discover, and SPDY for exec and attach.
VERSIONS = [v for v in ("1.27", "1.29") if v in tools.find_kubectls() and v != NEWEST] + [NEWEST]
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME}
data: {a: "1"}
"""
OTHERS = """
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {word: swordfish}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: default}]
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: held}
spec: {holderIdentity: me, leaseDurationSeconds: 10}
"""
SLEEP = ("--image=busybox", "--", "sleep", "300")


@pytest.fixture(scope="module", params=VERSIONS)
def kubectl(
    request: pytest.FixtureRequest, server: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    return at_home(request.param, "verbs-", server, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def newest(server: tools.Server, tmp_path_factory: pytest.TempPathFactory) -> tools.Kubectl:
    return at_home(NEWEST, "more-verbs-", server, tmp_path_factory.mktemp("home"))


def at_home(version: str, prefix: str, server: tools.Server, home: Path) -> tools.Kubectl:
    binary = tools.find_kubectls()[version]
    namespace = prefix + version.lower().replace(".", "-")
    tools.Kubectl(binary, version, server.kubeconfig, home)("create", "namespace", namespace)
    return tools.Kubectl(binary, version, server.kubeconfig, home, namespace)


@pytest.fixture(scope="module")
def job(newest: tools.Kubectl) -> Iterator[str]:
    """A Job whose only pod runs."""
    newest("create", "job", "busy", *SLEEP)
    newest("wait", "--for=jsonpath={.status.ready}=1", "job/busy", "--timeout=30s")
    yield "busy"
    newest("delete", "job", "busy")


def manifest(folder: Path, name: str, a: str = "1") -> str:
    """A file with a ConfigMap."""
    path = folder / f"{name}-{a}.yaml"
    path.write_text(CONFIG.replace("NAME", name).replace('"1"', f'"{a}"'))
    return str(path)


def fails(kubectl: tools.Kubectl, *words: str) -> str:
    """The errors of a command that must fail."""
    done = kubectl.result(*words)
    assert done.returncode == 1, done.stdout
    return done.stderr


def value(kubectl: tools.Kubectl, name: str) -> str:
    return kubectl("get", "cm", name, "-o", "jsonpath={.data.a}")


# ----- writing


def test_create_replace_and_apply(kubectl: tools.Kubectl, tmp_path: Path) -> None:
    one, two = manifest(tmp_path, "m"), manifest(tmp_path, "m", "2")
    absent = manifest(tmp_path, "absent")
    dry = kubectl("create", "-f", one, "--dry-run=server")
    assert dry == "configmap/m created (server dry run)\n"
    assert kubectl("create", "-f", one) == "configmap/m created\n"
    assert fails(kubectl, "create", "-f", one) == (
        f'Error from server (AlreadyExists): error when creating "{one}": configmaps "m" already '
        "exists\n"
    )
    assert kubectl("replace", "-f", two) == "configmap/m replaced\n"
    assert value(kubectl, "m") == "2"
    assert fails(kubectl, "replace", "-f", absent) == (
        f'Error from server (NotFound): error when replacing "{absent}": configmaps "absent" not '
        "found\n"
    )
    uid = kubectl.json("get", "cm", "m")["metadata"]["uid"]
    assert kubectl("replace", "--force", "-f", one).endswith("\nconfigmap/m replaced\n")
    assert kubectl.json("get", "cm", "m")["metadata"]["uid"] != uid
    missing = kubectl.result("apply", "-f", two)
    assert missing.stdout == "configmap/m configured\n"
    assert "is missing the kubectl.kubernetes.io/last-applied-configuration" in missing.stderr
    assert kubectl("apply", "-f", two) == "configmap/m unchanged\n"
    assert kubectl("apply", "-f", one, "--server-side") == "configmap/m serverside-applied\n"
    assert value(kubectl, "m") == "1"
    assert "name: m\n" in kubectl("apply", "view-last-applied", "-f", one)
    assert kubectl("apply", "set-last-applied", "-f", two) == "configmap/m configured\n"
    assert kubectl("delete", "-f", one).startswith('configmap "m" deleted')


def test_diff(newest: tools.Kubectl, tmp_path: Path) -> None:
    one, two = manifest(tmp_path, "d"), manifest(tmp_path, "d", "2")
    newest("apply", "-f", one)
    assert newest("diff", "-f", one) == ""
    changed = newest.result("diff", "-f", two)
    assert changed.returncode == 1
    assert '\n-  a: "1"\n+  a: "2"\n' in changed.stdout
    assert newest.result("diff", "-f", manifest(tmp_path, "new")).returncode == 1
    assert value(newest, "d") == "1"
    newest("delete", "cm", "d")


def edit(kubectl: tools.Kubectl, editor: str, *what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        kubectl._argv(("edit", *what)), capture_output=True, text=True, timeout=60,
        env={**kubectl._environment(), "EDITOR": editor, "TMPDIR": str(kubectl.home)},
    )  # fmt: skip


def test_edit(kubectl: tools.Kubectl, tmp_path: Path) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/a: \'1\'/a: \'2\'/; s/a: \\"1\\"/a: \\"2\\"/" "$1"\n')
    editor.chmod(0o700)
    kubectl("create", "cm", "edited", "--from-literal=a=1")
    assert edit(kubectl, str(editor), "cm", "edited").stdout == "configmap/edited edited\n"
    assert value(kubectl, "edited") == "2"
    unchanged = edit(kubectl, "true", "cm", "edited")
    assert unchanged.stderr == "Edit cancelled, no changes made.\n"
    kubectl("delete", "cm", "edited")


def test_an_edit_that_the_server_refuses(newest: tools.Kubectl, job: str) -> None:
    done = edit(newest, "sed -i s/backoffLimit:.6/backoffLimit:.-1/", "job", job)
    assert done.returncode == 1
    assert f'error: jobs.batch "{job}" is invalid\n' in done.stderr
    assert newest.json("get", "job", job)["spec"]["backoffLimit"] == 6


def test_patch_in_three_ways(kubectl: tools.Kubectl) -> None:
    kubectl("create", "cm", "p", "--from-literal=a=1")
    change = ("patch", "cm", "p", "-p")
    said = kubectl(*change, '[{"op":"replace","path":"/data/a","value":"2"}]', "--type=json")
    assert said == "configmap/p patched\n"
    assert value(kubectl, "p") == "2"
    wrong = '[{"op":"test","path":"/data/a","value":"9"}]'
    assert fails(kubectl, *change, wrong, "--type=json") == (
        "The request is invalid: the server rejected our request due to an error in our request\n"
    )
    merge = '{"data":{"a":null,"b":"3"}}'
    assert kubectl(*change, merge, "--type=merge") == "configmap/p patched\n"
    assert kubectl.json("get", "cm", "p")["data"] == {"b": "3"}
    assert kubectl(*change, '{"data":{"a":"4"}}') == "configmap/p patched\n"
    assert kubectl.json("get", "cm", "p")["data"] == {"a": "4", "b": "3"}
    assert kubectl(*change, '{"data":{"a":"4"}}') == "configmap/p patched (no change)\n"
    kubectl("delete", "cm", "p")


def test_label_and_annotate(newest: tools.Kubectl) -> None:
    newest("create", "cm", "l")
    newest("label", "cm", "l", "x=y")
    assert fails(newest, "label", "cm", "l", "x=z") == (
        "error: 'x' already has a value (y), and --overwrite is false\n"
    )
    assert newest("label", "cm", "l", "x=z", "--overwrite") == "configmap/l labeled\n"
    assert newest("label", "cm", "l", "x-") == "configmap/l unlabeled\n"
    assert fails(newest, "label", "cm", "l", "bad key=x").startswith(
        'The ConfigMap "l" is invalid: metadata.labels: Invalid value: "bad key": name part must'
    )
    newest("annotate", "cm", "l", "note=here")
    assert newest("annotate", "cm", "l", "--list") == "note=here\n"
    newest("annotate", "cm", "l", "note-")
    assert "annotations" not in newest.json("get", "cm", "l")["metadata"]
    newest("delete", "cm", "l")


def test_set(newest: tools.Kubectl, job: str) -> None:
    newest("create", "cronjob", "nightly", "--image=busybox", "--schedule=0 0 1 1 *", "--", "date")
    assert newest("set", "image", "cronjob/nightly", "nightly=alpine") == (
        "cronjob.batch/nightly image updated\n"
    )
    assert newest("set", "env", "cronjob/nightly", "A=b") == "cronjob.batch/nightly env updated\n"
    assert newest("set", "resources", "cronjob/nightly", "--limits=cpu=1") == (
        "cronjob.batch/nightly resource requirements updated\n"
    )
    template = newest.json("get", "cronjob", "nightly")["spec"]["jobTemplate"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert (container["image"], container["env"]) == ("alpine", [{"name": "A", "value": "b"}])
    assert container["resources"] == {"limits": {"cpu": "1"}}
    newest("delete", "cronjob", "nightly")
    refused = fails(newest, "set", "image", f"job/{job}", f"{job}=alpine")
    assert f'Job.batch "{job}" is invalid: spec.template: Invalid value: ' in refused
    assert refused.endswith(": field is immutable\n")


def test_a_cronjob_and_a_job_from_it(kubectl: tools.Kubectl) -> None:
    made = kubectl(
        "create", "cronjob", "c", "--image=busybox", "--schedule=0 0 1 1 *", "--", "date"
    )
    assert made == "cronjob.batch/c created\n"
    assert kubectl("create", "job", "now", "--from=cronjob/c") == "job.batch/now created\n"
    kubectl("wait", "--for=condition=complete", "job/now", "--timeout=30s")
    meta = kubectl.json("get", "job", "now")["metadata"]
    assert meta["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"}
    assert [(o["kind"], o["name"]) for o in meta["ownerReferences"]] == [("CronJob", "c")]
    said = kubectl("describe", "cronjob", "c")
    assert re.search(r"^Schedule: +0 0 1 1 \*$", said, re.M)
    kubectl("delete", "cronjob", "c")
    assert tools.eventually(lambda: kubectl("get", "jobs", "-o", "name") == "")


def test_delete_with_and_without_what_is_owned(kubectl: tools.Kubectl) -> None:
    pods = ("get", "pods", "-l", "job-name=gone", "-o", "name")
    for cascade in ("background", "foreground", "orphan"):
        kubectl("create", "job", "gone", *SLEEP)
        kubectl("wait", "--for=jsonpath={.status.ready}=1", "job/gone", "--timeout=30s")
        said = kubectl("delete", "job", "gone", f"--cascade={cascade}")
        assert said.startswith('job.batch "gone" deleted')
        if cascade == "foreground":
            assert kubectl(*pods) == ""
        elif cascade == "background":
            assert tools.eventually(lambda: kubectl(*pods) == "")
    (orphan,) = kubectl(*pods).split()
    assert "ownerReferences" not in kubectl.json("get", orphan)["metadata"]
    assert kubectl("delete", "pods", "-l", "job-name=gone", "--now").count(" deleted") == 1
    again = kubectl.result("delete", "pods", "-l", "job-name=gone")
    assert (again.stdout, again.returncode) == ("No resources found\n", 0)


def test_delete_many(newest: tools.Kubectl) -> None:
    for name in ("one", "two"):
        newest("create", "secret", "generic", name)
    dry = newest("delete", "secrets", "--all", "--dry-run=server")
    assert dry.count("(server dry run)") == 2
    assert newest("delete", "secrets", "--all").count(" deleted") == 2
    assert newest.result("get", "secrets").stderr == (
        f"No resources found in {newest.namespace} namespace.\n"
    )
    assert fails(newest, "delete", "secret", "one") == (
        'Error from server (NotFound): secrets "one" not found\n'
    )
    assert newest("delete", "secret", "one", "--ignore-not-found") == ""


# ----- reading


def test_get_in_every_form(newest: tools.Kubectl, job: str) -> None:
    (pod,) = newest("get", "pods", "-l", f"job-name={job}", "-o", "name").split()
    name = pod.removeprefix("pod/")
    assert (
        newest("get", "pods", "--field-selector=status.phase=Running", "-o", "name") == f"{pod}\n"
    )
    assert fails(newest, "get", "pods", "--field-selector=spec.bogus=x") == (
        'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label '
        'selector "", field selector "spec.bogus=x": field label not supported: spec.bogus\n'
    )
    columns = "custom-columns=N:.metadata.name,P:.status.phase"
    said = newest("get", "pods", "-o", columns, "--sort-by=.metadata.name")
    assert [row.split() for row in said.splitlines()] == [["N", "P"], [name, "Running"]]
    assert newest("get", "jobs", "-o", "jsonpath={.items[*].metadata.name}") == job
    assert newest("get", "job", job, "-o", "go-template={{.kind}}") == "Job"
    wide = newest("get", "jobs", "-o", "wide").splitlines()[0].split()
    assert wide[-3:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert newest("get", "pods", "-o", "wide").splitlines()[0].split()[5:7] == ["IP", "NODE"]
    assert f"job-name={job}" in newest("get", "pods", "--show-labels")
    assert re.search(rf"^{name} .* {job}$", newest("get", "pods", "-L", "job-name"), re.M)
    assert re.search(rf"^{newest.namespace} +{job} +Running ", newest("get", "jobs", "-A"), re.M)
    everything = newest("get", "all")
    assert re.search(rf"^job.batch/{job} +Running +0/1 ", everything, re.M)
    assert re.search(rf"^{pod} +1/1 +Running +0 ", everything, re.M)
    shown = newest("get", "job", job, "--subresource=status")
    assert re.search(rf"^{job} +Running +0/1 ", shown, re.M)
    assert newest("get", "job", job, "-o", "yaml").startswith("apiVersion: batch/v1\nkind: Job\n")


def test_get_by_pages(newest: tools.Kubectl) -> None:
    names = [f"configmap/page-{i}" for i in range(5)]
    documents = [CONFIG.replace("NAME", name.partition("/")[2]) for name in names]
    newest("create", "-f", "-", stdin="---\n".join(documents))
    listed = newest("get", "cm", "--chunk-size=2", "-o", "name").splitlines()
    assert [name for name in listed if "page-" in name] == names
    path = f"/api/v1/namespaces/{newest.namespace}/configmaps?limit=2"
    first = json.loads(newest("get", "--raw", path))
    assert len(first["items"]) == 2
    rest = json.loads(newest("get", "--raw", f"{path}&continue={first['metadata']['continue']}"))
    assert rest["metadata"]["remainingItemCount"] == 6 - 4
    newest("delete", *names)


def test_get_raw(newest: tools.Kubectl) -> None:
    assert newest("get", "--raw", "/livez") == "ok"
    assert newest("get", "--raw", "/readyz?verbose").endswith("readyz check passed\n")
    assert json.loads(newest("get", "--raw", "/version"))["minor"] == "36"
    assert fails(newest, "get", "--raw", "/nowhere") == (
        "Error from server (NotFound): the server could not find the requested resource\n"
    )


def test_watch_with_types(kubectl: tools.Kubectl) -> None:
    words = ("get", "secrets", "-w", "--output-watch-events")
    kubectl("create", "secret", "generic", "before")
    with kubectl.start(*words) as watch:
        take = tools.lines_of(watch)
        try:
            seen = [take().split()[:2], take().split()[:2]]
            kubectl("label", "secret", "before", "x=y")
            seen.append(take().split()[:2])
            kubectl("delete", "secret", "before")
            seen.append(take().split()[:2])
        finally:
            watch.terminate()
    assert seen == [
        ["EVENT", "NAME"],
        ["ADDED", "before"],
        ["MODIFIED", "before"],
        ["DELETED", "before"],
    ]


def test_describe_every_kind(newest: tools.Kubectl, job: str) -> None:
    newest("create", "cronjob", "rare", "--image=busybox", "--schedule=0 0 1 1 *", "--", "date")
    texts = MANIFESTS.replace("NAME", newest.namespace) + "---" + OTHERS
    newest("apply", "-f", "-", stdin=texts)
    assert tools.eventually(lambda: newest("get", "events", "-o", "name") != "")
    kinds = newest("api-resources", "--verbs=list", "-o", "name").split()
    assert len(kinds) > 20
    for kind in kinds:
        if kind.endswith(".metrics.k8s.io"):
            continue  # measured, not stored: there is none before the first look
        names = newest("get", kind, "-o", "name").split()
        assert names, kind
        said = newest.result("describe", names[-1])
        assert said.returncode == 0, said.stderr
        assert re.search(rf"^Name: +{re.escape(names[-1].partition('/')[2])}$", said.stdout, re.M)
    assert "word:  9 bytes" in newest("describe", "secret", "hidden")
    newest("delete", "-f", "-", "--wait=false", stdin=texts)
    newest("delete", "cronjob", "rare")


def test_explain(newest: tools.Kubectl) -> None:
    said = newest("explain", "cronjob.spec.jobTemplate.spec.podFailurePolicy", "--recursive")
    assert "GROUP:      batch\nKIND:       CronJob\nVERSION:    v1\n" in said
    assert "  rules\t<[]PodFailurePolicyRule> -required-\n    action\t<string> -required-\n" in said
    old = newest("explain", "job.spec.completions", "--output=plaintext-openapiv2")
    assert "KIND:     Job\nVERSION:  batch/v1\n\nFIELD:    completions <integer>\n" in old
    assert fails(newest, "explain", "job.nope") == 'error: field "nope" does not exist\n'


def test_what_is_served(kubectl: tools.Kubectl) -> None:
    versions = kubectl("api-versions").split()
    assert {"v1", "batch/v1", "apps/v1", "events.k8s.io/v1"} <= set(versions)
    wide = kubectl("api-resources", "-o", "wide", "--api-group=batch")
    assert re.search(r"^jobs +batch/v1 +true +Job +create,delete,.*,watch +all$", wide, re.M)
    assert re.match(
        r"Kubernetes control plane is running at https://127\.0\.0\.1:\d+\n",
        re.sub("\x1b\\[[0-9;]*m", "", kubectl("cluster-info")),
    )
    assert re.search(r"^Server Version: .*v1\.36\.", kubectl("version"), re.M)


def test_wait(newest: tools.Kubectl, job: str) -> None:
    assert fails(newest, "wait", "--for=condition=complete", f"job/{job}", "--timeout=0") == (
        f"error: condition not met for jobs/{job}\n"
    )
    met = f"job.batch/{job} condition met\n"
    assert newest("wait", "--for=jsonpath={.status.active}=1", f"job/{job}") == met
    newest("create", "job", "leaves", *SLEEP)
    newest("delete", "job", "leaves", "--wait=false")
    deleted = newest.result("wait", "--for=delete", "job/leaves", "--timeout=30s")
    assert (deleted.returncode, deleted.stderr) == (0, "")


@pytest.mark.skipif(
    NEWEST not in ("PATH", "1.31", "1.32", "1.33"), reason="kubectl 1.31 brought --for=create"
)
def test_wait_for_what_is_made(newest: tools.Kubectl) -> None:
    with newest.start("wait", "--for=create", "cm/late", "--timeout=30s") as waiting:
        newest("create", "cm", "late")
        assert tools.lines_of(waiting)() == "configmap/late condition met\n"
        assert waiting.wait(30) == 0
    newest("delete", "cm", "late")


def test_events(kubectl: tools.Kubectl) -> None:
    kubectl("create", "job", "told", "--image=busybox", "--", "true")
    kubectl("wait", "--for=condition=complete", "job/told", "--timeout=30s")
    told = ("events", "--for", "job/told")
    assert tools.eventually(lambda: "Completed" in kubectl(*told))
    rows = kubectl(*told).splitlines()
    assert rows[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert {row.split()[2] for row in rows[1:]} == {"SuccessfulCreate", "Completed"}
    assert "Job completed" not in kubectl("events", "--types=Warning")
    kubectl("delete", "job", "told")


def test_logs_with_every_flag(kubectl: tools.Kubectl) -> None:
    words = "for i in 1 2 3; do echo line $i; done; sleep 300"
    kubectl("run", "says", "--image=busybox", "--restart=Never", "--", "sh", "-c", words)
    kubectl("wait", "--for=condition=Ready", "pod/says", "--timeout=30s")
    assert tools.eventually(lambda: kubectl("logs", "says") == "line 1\nline 2\nline 3\n")
    for flags, expected in (
        (("--tail=1",), "line 3\n"),
        (("--tail=0",), ""),
        (("--limit-bytes=9",), "line 1\nli"),
        (("--since=1h", "--tail=1"), "line 3\n"),
        (("--since-time=2100-01-01T00:00:00Z",), ""),
        (("-c", "says", "--prefix", "--tail=1"), "[pod/says/says] line 3\n"),
        (("--all-containers", "--tail=1"), "line 3\n"),
    ):
        assert kubectl("logs", "says", *flags) == expected, flags
    assert kubectl("logs", "-l", "run=says", "--tail=1") == "line 3\n"
    stamped = kubectl("logs", "says", "--timestamps", "--tail=1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 3\n", stamped)
    assert fails(kubectl, "logs", "says", "--previous") == (
        'Error from server (BadRequest): previous terminated container "says" in pod "says" not '
        "found\n"
    )
    assert "container nope is not valid for pod says" in fails(
        kubectl, "logs", "says", "-c", "nope"
    )
    kubectl("delete", "pod", "says", "--now")
