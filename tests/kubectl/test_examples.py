"""Every example, applied with kubectl, ends as examples/README.md says and looks as it should."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubectl import tools

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

if not tools.find_kubectls():
    pytest.skip("no kubectl on PATH", allow_module_level=True)

COMPLETE = ("keygen", "keygen-parallel", "environment")
FRUIT = ("apple", "banana", "cherry")
FINER = ("index-retry", "indexed", "exit-code", "success-policy")  # the slowest first


@pytest.fixture(scope="module")
def ran(kubectl: tools.Kubectl) -> tools.Kubectl:
    """The quick examples, applied together and over."""
    files = [word for name in COMPLETE for word in ("-f", tools.example(name))]
    said = kubectl("apply", *files)
    assert said.splitlines() == [f"job.batch/{name} created" for name in COMPLETE]
    said = kubectl("create", "-f", str(tools.EXAMPLES / "items" / "jobs"))
    assert said.splitlines() == [f"job.batch/process-item-{fruit} created" for fruit in FRUIT]
    said = kubectl("wait", "--for=condition=complete", "job", "--all", "--timeout=60s")
    assert len(said.splitlines()) == len(COMPLETE) + len(FRUIT)
    return kubectl


def test_a_second_apply_changes_nothing(ran: tools.Kubectl) -> None:
    said = ran("apply", "-f", tools.example("keygen"))
    assert said == "job.batch/keygen unchanged\n"


def test_get_jobs(ran: tools.Kubectl) -> None:
    header, *rows = ran("get", "jobs").splitlines()
    assert header.split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    table = {row.split()[0]: row.split()[1:3] for row in rows}
    assert table["keygen"] == ["Complete", "1/1"]
    assert table["keygen-parallel"] == ["Complete", "10/10"]
    assert table["process-item-apple"] == ["Complete", "1/1"]


def test_get_jobs_and_pods_wide(ran: tools.Kubectl) -> None:
    said = ran("get", "jobs,pods", "-o", "wide")
    jobs, pods = said.split("\n\n")
    assert jobs.split("\n")[0].split()[-3:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert "READINESS GATES" in pods.split("\n")[0]
    assert len(re.findall(r"^pod/keygen-parallel-\w{5} +0/1 +Completed +0 ", pods, re.M)) == 10


def test_get_as_yaml_and_json(ran: tools.Kubectl) -> None:
    job = yaml.safe_load(ran("get", "job", "keygen", "-o", "yaml"))
    assert job == yaml.safe_load(ran("get", "job", "keygen", "-o", "json"))
    assert job["status"]["succeeded"] == 1
    assert job["spec"]["completionMode"] == "NonIndexed"
    assert job["metadata"]["labels"] == {"example": "keygen"}
    conditions = {c["type"]: (c["status"], c.get("reason")) for c in job["status"]["conditions"]}
    assert conditions["Complete"] == ("True", "CompletionsReached")
    assert ran("get", "pods", "-l", "job-name=keygen", "-o", "name").startswith("pod/keygen-")


def test_get_by_label_and_field(ran: tools.Kubectl) -> None:
    assert len(ran("get", "pods", "-l", "group=fruit", "--no-headers").splitlines()) == len(FRUIT)
    selected = ("get", "pods", "--field-selector=status.phase=Succeeded", "-o", "name")
    assert len(ran(*selected).splitlines()) >= 1 + 10 + 2 + len(FRUIT)


def test_describe_job(ran: tools.Kubectl) -> None:
    said = ran("describe", "job", "keygen-parallel")
    assert re.search(r"^Parallelism: +5$", said, re.M)
    assert re.search(r"^Completions: +10$", said, re.M)
    assert re.search(r"^Pods Statuses: +0 Active .*/ 10 Succeeded / 0 Failed$", said, re.M)
    assert re.search(r"Normal +SuccessfulCreate .* job-controller +Created pod: keygen-par", said)
    assert re.search(r"Normal +Completed .* job-controller +Job completed", said)


def test_describe_pod(ran: tools.Kubectl) -> None:
    pod = ran("get", "pods", "-l", "job-name=keygen", "-o", "name").strip()
    said = ran("describe", pod)
    assert re.search(r"^Status: +Succeeded$", said, re.M)
    assert re.search(r"^Controlled By: +Job/keygen$", said, re.M)
    assert re.search(r"^ +Exit Code: +0$", said, re.M)
    assert re.search(r"Normal +Scheduled .*Successfully assigned \S+/keygen-", said)
    assert re.search(r"Normal +Started ", said)


def test_logs(ran: tools.Kubectl) -> None:
    lines = ran("logs", "job/keygen").splitlines()
    assert len([line for line in lines if "Item done: SHA256:" in line]) == 3
    assert ran("logs", "job/keygen", "--tail=1") == lines[-1] + "\n"
    assert ran("logs", "--follow", "job/keygen").splitlines() == lines
    assert ran("logs", "job/process-item-cherry") == "Processing item cherry\n"
    stamped = ran("logs", "job/process-item-cherry", "--timestamps")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z Processing item cherry\n", stamped)
    fruit = sorted(ran("logs", "-l", "group=fruit").splitlines())
    assert fruit == [f"Processing item {fruit}" for fruit in FRUIT]


def test_environment(ran: tools.Kubectl) -> None:
    pods = ran("get", "pods", "-l", "job-name=environment", "-o", "name").split()
    said = [ran("logs", pod) for pod in pods]
    names = [pod.removeprefix("pod/") for pod in pods]
    assert said == [f"{name} takes from amqp://guest:guest@broker:5672/orders\n" for name in names]


def test_events(ran: tools.Kubectl) -> None:
    said = ran("get", "events")
    assert said.split("\n")[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert re.search(r"Normal +Completed +job/keygen +Job completed", said)
    listed = ran("events", "--for", "job/keygen")
    assert "Job completed" in listed


@pytest.mark.parametrize("name", ["failing", "deadline"])
def test_a_job_that_fails(kubectl: tools.Kubectl, name: str) -> None:
    kubectl("create", "-f", tools.example(name))
    kubectl("wait", "--for=condition=failed", f"job/{name}", "--timeout=60s")
    status = kubectl.json("get", "job", name)["status"]
    reasons = {c["type"]: c["reason"] for c in status["conditions"]}
    expected = {"failing": "BackoffLimitExceeded", "deadline": "DeadlineExceeded"}[name]
    assert reasons["Failed"] == expected
    assert status["failed"] == 1
    assert "succeeded" not in status
    assert expected in kubectl("describe", "job", name)
    assert re.search(rf"^{name} +Failed +0/1 ", kubectl("get", "jobs"), re.M)
    # So that a later `wait --all` for completion does not wait for this one.
    kubectl("delete", "job", name)


def test_a_job_that_tidies_up(kubectl: tools.Kubectl) -> None:
    kubectl("apply", "-f", tools.example("ttl"))
    kubectl("wait", "--for=condition=complete", "job/tidy", "--timeout=60s")
    pod = kubectl("get", "pods", "-l", "job-name=tidy", "-o", "name").strip()
    assert kubectl("logs", pod) == "nothing stays\n"
    kubectl("wait", "--for=delete", "job/tidy", pod, "--timeout=60s")


def test_a_cronjob(kubectl: tools.Kubectl) -> None:
    """What need not wait for the minute; it may pass meanwhile."""
    kubectl("apply", "-f", tools.example("cronjob"))
    header, row = kubectl("get", "cronjobs").splitlines()
    assert header.split()[:4] == ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND"]
    assert re.match(r"report +\* \* \* \* \* +Etc/UTC +False ", row)
    said = kubectl("create", "job", "--from=cronjob/report", "report-now")
    assert said == "job.batch/report-now created\n"
    kubectl("wait", "--for=condition=complete", "job/report-now", "--timeout=60s")
    assert re.fullmatch(r"report of \d\d:\d\d\n", kubectl("logs", "job/report-now"))
    assert re.search(
        r"^Concurrency Policy: +Forbid$", kubectl("describe", "cronjob", "report"), re.M
    )
    kubectl("delete", "cronjob", "report")
    # Its Jobs go with it, also one that was made by hand.
    kubectl("wait", "--for=delete", "job/report-now", "--timeout=60s")
    assert kubectl("get", "jobs", "-l", "example=cronjob", "-o", "name") == ""


@pytest.fixture(scope="module")
def newest(server: tools.Server, tmp_path_factory: pytest.TempPathFactory) -> tools.Kubectl:
    """One kubectl, for what need not be seen with each of them."""
    found = tools.find_kubectls()
    version = [v for v in found if v != "PATH"][-1:] or ["PATH"]
    home: Path = tmp_path_factory.mktemp("home")
    return tools.Kubectl(found[version[0]], version[0], server.kubeconfig, home)


def test_new_pods_for_failed_ones(newest: tools.Kubectl) -> None:
    newest("apply", "-f", tools.example("failing-new-pods"))
    newest("wait", "--for=condition=failed", "job/failing-new-pods", "--timeout=60s")
    pods = newest.json("get", "pods", "-l", "job-name=failing-new-pods")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Failed", "Failed"]


@pytest.fixture(scope="module")
def finer(newest: tools.Kubectl) -> tools.Kubectl:
    """The examples of a Job's finer features, begun together."""
    files = [word for name in FINER for word in ("-f", tools.example(name))]
    said = newest("apply", *files)
    assert said.splitlines() == [f"job.batch/{name} created" for name in FINER]
    return newest


def job_after(kubectl: tools.Kubectl, condition: str, name: str) -> tuple[Any, dict[str, str]]:
    """A Job's status once a condition holds, and the reasons of all that hold."""
    kubectl("wait", f"--for=condition={condition}", f"job/{name}", "--timeout=60s")
    status = kubectl.json("get", "job", name)["status"]
    held = [c for c in status["conditions"] if c["status"] == "True"]
    return status, {c["type"]: c["reason"] for c in held}


def logs_by_index(kubectl: tools.Kubectl, name: str) -> dict[str, list[str]]:
    """What the pods of each index wrote, the oldest pod's first."""
    said: dict[str, list[str]] = {}
    pods = kubectl.json("get", "pods", "-l", f"job-name={name}")["items"]
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
        index = pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]
        said.setdefault(index, []).append(kubectl("logs", pod["metadata"]["name"]))
    return said


def test_pods_that_know_their_index(finer: tools.Kubectl) -> None:
    status, reasons = job_after(finer, "complete", "indexed")
    assert status["completedIndexes"] == "0-3"
    assert status["succeeded"] == 4
    assert reasons["Complete"] == "CompletionsReached"
    assert logs_by_index(finer, "indexed") == {
        str(i): [f"part {i} of 0-3 on indexed-{i}\n"] for i in range(4)
    }
    assert re.search(r"^Completed Indexes: +0-3$", finer("describe", "job", "indexed"), re.M)


def test_an_exit_code_that_fails_the_job(finer: tools.Kubectl) -> None:
    status, reasons = job_after(finer, "failed", "exit-code")
    assert reasons == {"FailureTarget": "PodFailurePolicy", "Failed": "PodFailurePolicy"}
    assert status["failed"] == 1
    assert "succeeded" not in status
    said = [c["message"] for c in status["conditions"] if c["type"] == "Failed"]
    pod = finer("get", "pods", "-l", "job-name=exit-code", "-o", "name").strip()
    named = f"{finer.namespace}/{pod.removeprefix('pod/')}"
    assert said == [
        f"Container checker for pod {named} failed with exit code 42"
        " matching FailJob rule at index 0"
    ]


def test_a_leader_whose_success_is_enough(finer: tools.Kubectl) -> None:
    status, reasons = job_after(finer, "complete", "success-policy")
    assert reasons == {"SuccessCriteriaMet": "SuccessPolicy", "Complete": "SuccessPolicy"}
    assert status["completedIndexes"] == "0"
    assert status["succeeded"] == 1
    pods = finer.json("get", "pods", "-l", "job-name=success-policy")["items"]
    assert "Running" not in [pod["status"]["phase"] for pod in pods]


def test_a_job_resumed_suspended_and_resumed(newest: tools.Kubectl) -> None:
    def suspend(value: str) -> None:
        patch = f'{{"spec": {{"suspend": {value}}}}}'
        said = newest("patch", "job", "suspended", "--patch", patch)
        assert said == "job.batch/suspended patched\n"

    newest("apply", "-f", tools.example("suspended"))
    status, reasons = job_after(newest, "suspended", "suspended")
    assert reasons == {"Suspended": "JobSuspended"}
    assert "startTime" not in status
    of_it = ("pods", "-l", "job-name=suspended")
    assert newest("get", *of_it, "-o", "name") == ""
    suspend("false")
    newest("wait", "--for=jsonpath={.status.ready}=2", "job/suspended", "--timeout=60s")
    suspend("true")
    newest("wait", "--for=delete", *of_it, "--timeout=60s")
    status, reasons = job_after(newest, "suspended", "suspended")
    assert reasons == {"Suspended": "JobSuspended"}
    assert "active" not in status
    suspend("false")
    status, reasons = job_after(newest, "complete", "suspended")
    assert reasons["Complete"] == "CompletionsReached"
    assert status["succeeded"] == 2
    assert "failed" not in status
    words = set(newest("logs", "-l", "job-name=suspended").splitlines())
    assert words == {"worked without a break"}


def test_retries_for_each_index(finer: tools.Kubectl) -> None:
    status, reasons = job_after(finer, "failed", "index-retry")
    assert reasons == {"FailureTarget": "FailedIndexes", "Failed": "FailedIndexes"}
    assert status["completedIndexes"] == "0,1,3"
    assert status["failedIndexes"] == "2"
    assert (status["succeeded"], status["failed"]) == (3, 2)
    assert logs_by_index(finer, "index-retry") == {
        "0": ["index 0 is done\n"],
        "1": ["failing this once\n", "index 1 is done\n"],
        "2": ["no use trying again\n"],
        "3": ["index 3 is done\n"],
    }


@pytest.mark.parametrize(
    ("name", "program", "digits"), [("pi", "perl", 2000), ("pi-bc", "bc", 1000)]
)
def test_pi(newest: tools.Kubectl, name: str, program: str, digits: int) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"this machine has no {program}")
    newest("create", "-f", tools.example(name))
    newest("wait", "--for=condition=complete", f"job/{name}", "--timeout=90s")
    said = newest("logs", f"job/{name}").replace("\\\n", "").strip()
    assert said.startswith("3.14159265358979323846264338327950288419716939937510")
    assert len(said) >= digits
