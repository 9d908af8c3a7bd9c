"""The commands people type, beyond the examples, and the errors they get."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.kubectl import tools

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)


def test_version(kubectl: tools.Kubectl) -> None:
    server = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    assert (server["major"], server["minor"]) == ("1", "36")


def test_api_resources(kubectl: tools.Kubectl) -> None:
    said = kubectl("api-resources")
    assert re.search(r"^jobs +batch/v1 +true +Job$", said, re.M)
    assert re.search(r"^pods +po +v1 +true +Pod$", said, re.M)


def test_explain(kubectl: tools.Kubectl) -> None:
    said = kubectl("explain", "job.spec.backoffLimit")
    assert re.search(r"^FIELD: +backoffLimit <integer>$", said, re.M)
    assert "retries" in said


def test_create_job_and_delete_it(kubectl: tools.Kubectl) -> None:
    said = kubectl("create", "job", "hello", "--image=busybox", "--", "echo", "hello")
    assert said == "job.batch/hello created\n"
    kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=60s")
    assert kubectl("logs", "job/hello") == "hello\n"
    assert kubectl("get", "all", "-o", "name").count("job.batch/hello\n") == 1
    assert kubectl("delete", "job", "hello").startswith('job.batch "hello" deleted')
    assert kubectl.result("get", "job", "hello").returncode == 1
    gone = ("get", "pods", "-l", "job-name=hello", "-o", "name")
    assert tools.eventually(lambda: kubectl(*gone) == "")


def test_a_pod_without_a_job(kubectl: tools.Kubectl) -> None:
    said = kubectl(
        "run", "single", "--image=busybox", "--restart=Never", "--", "sh", "-c", "exit 3"
    )
    assert said == "pod/single created\n"
    kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/single", "--timeout=60s")
    assert re.search(r"^single +0/1 +Error +0 ", kubectl("get", "pods"), re.M)
    kubectl("delete", "pod", "single")
    assert kubectl.result("get", "pod", "single").returncode == 1


def test_watch(kubectl: tools.Kubectl) -> None:
    with kubectl.start("get", "jobs", "--watch", "--field-selector=metadata.name=seen") as watch:
        take = tools.lines_of(watch)
        try:
            kubectl("create", "job", "seen", "--image=busybox", "--", "true")
            row = take()
            assert row.split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
            while row and "Complete" not in row:
                row = take()
            assert row.split()[:3] == ["seen", "Complete", "1/1"]
        finally:
            watch.terminate()
    kubectl("delete", "job", "seen")


def test_suspend_and_resume(kubectl: tools.Kubectl) -> None:
    kubectl("create", "job", "pausing", "--image=busybox", "--", "sleep", "60")
    kubectl("wait", "--for=jsonpath={.status.active}=1", "job/pausing", "--timeout=30s")
    kubectl("patch", "job", "pausing", "-p", '{"spec":{"suspend":true}}')
    kubectl("wait", "--for=condition=suspended", "job/pausing", "--timeout=30s")
    pods = ("get", "pods", "-l", "job-name=pausing", "-o", "name")
    assert tools.eventually(lambda: kubectl(*pods) == "")
    kubectl("patch", "job", "pausing", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    assert tools.eventually(lambda: kubectl(*pods) != "")
    kubectl("delete", "job", "pausing")


def test_label_annotate_and_merge(kubectl: tools.Kubectl) -> None:
    kubectl("create", "job", "marked", "--image=busybox", "--", "true")
    assert kubectl("label", "job", "marked", "team=night") == "job.batch/marked labeled\n"
    assert kubectl("annotate", "job", "marked", "note=x") == "job.batch/marked annotated\n"
    assert kubectl("get", "jobs", "-l", "team=night", "-o", "name") == "job.batch/marked\n"
    kubectl("label", "job", "marked", "team-")
    assert "team" not in kubectl.json("get", "job", "marked")["metadata"].get("labels", {})
    kubectl("delete", "job", "marked")


def test_a_job_that_never_was(kubectl: tools.Kubectl) -> None:
    done = kubectl.result("get", "job", "nothing")
    assert done.returncode == 1
    assert done.stderr == 'Error from server (NotFound): jobs.batch "nothing" not found\n'


def test_a_name_taken(kubectl: tools.Kubectl) -> None:
    kubectl("create", "configmap", "taken", "--from-literal=a=1")
    done = kubectl.result("create", "configmap", "taken", "--from-literal=a=2")
    assert done.returncode == 1
    assert 'configmaps "taken" already exists' in done.stderr
    kubectl("delete", "configmap", "taken")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("OnFailure", "Always"),
            'The Job "keygen" is invalid: spec.template.spec.restartPolicy: Required value: '
            'valid values: "OnFailure", "Never"\n',
        ),
        (
            ("restartPolicy:", "restartPolice:"),
            'Error from server (BadRequest): error when creating "STDIN": Job in version "v1" '
            "cannot be handled as a Job: strict decoding error: unknown field "
            '"spec.template.spec.restartPolice"\n',
        ),
    ],
    ids=["policy", "misspelt"],
)
def test_a_manifest_that_is_wrong(
    kubectl: tools.Kubectl, change: tuple[str, str], message: str
) -> None:
    manifest = Path(tools.example("keygen")).read_text(encoding="utf-8")
    # The comment names the words too.
    manifest = "".join(line for line in manifest.splitlines(True) if line[0] != "#")
    done = kubectl.result("create", "-f", "-", stdin=manifest.replace(*change))
    assert done.returncode == 1
    assert done.stderr == message


def test_a_little_with_every_other_version(other_kubectl: tools.Kubectl) -> None:
    kubectl = other_kubectl
    kubectl("apply", "-f", tools.example("keygen"))
    kubectl("wait", "--for=condition=complete", "job/keygen", "--timeout=60s")
    assert "Workload exiting" in kubectl("logs", "job/keygen")
    assert "Complete" in kubectl("get", "jobs")
    assert "Job completed" in kubectl("describe", "job", "keygen")
    kubectl("delete", "job", "keygen")
