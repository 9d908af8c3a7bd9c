"""`kubatch explain`: in words, and as a program beside a real server."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click import ClickException

from kubatch.api.models import Job, JobCondition, JobStatus, Pod
from kubatch.api.resource import JOBS, NAMESPACES, PODS
from kubatch.cli import explain as command
from kubatch.cli import subject
from tests.kubectl import tools


@pytest.mark.parametrize(
    ("what", "resource", "name"),
    [
        ("job/a", JOBS, "a"),
        ("jobs.batch/a", JOBS, "a"),
        ("Pod/a", PODS, "a"),
        ("po/a", PODS, "a"),
        ("ns/a", NAMESPACES, "a"),
    ],
)
def test_what_is_meant(what: str, resource: Any, name: str) -> None:
    assert subject.parse(what) == (resource, name)


@pytest.mark.parametrize("what", ["a", "job/", "thing/a", "job.other/a", ""])
def test_what_nobody_could_mean(what: str) -> None:
    with pytest.raises(ClickException):
        subject.parse(what)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"), (0.4, "0s"), (59, "59s"), (60, "1m"), (200, "3m20s"), (3600, "1h"),
        (18_180, "5h3m"), (187_200, "2d4h"), (8_640_000, "100d"),
    ],
)  # fmt: skip
def test_spans_of_time(seconds: float, text: str) -> None:
    assert command._span(seconds) == text


def pod(status: dict[str, Any], **meta: Any) -> Pod:
    return msgspec.convert({"metadata": {"name": "p", **meta}, "status": status}, Pod)


def container(**state: Any) -> dict[str, Any]:
    plain = {"name": "c", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    return {**plain, "state": state}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"phase": "Succeeded"}, ""),
        ({"phase": "Running", "containerStatuses": [container(running={})]}, ""),
        ({"phase": "Pending"}, "a node to start it"),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes are available",
                    }
                ],
            },
            "Unschedulable: 0/1 nodes are available",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    container(waiting={"reason": "ErrImagePull", "message": "m"})
                ],
            },
            "container c: ErrImagePull: m",
        ),
    ],
)
def test_what_a_pod_waits_for(status: dict[str, Any], text: str) -> None:
    assert command.waiting_for(pod(status)) == text


def test_a_pod_that_is_being_deleted() -> None:
    going = pod({"phase": "Running"}, deletionTimestamp=datetime(2026, 1, 1, tzinfo=UTC))
    assert command.waiting_for(going) == "it is being deleted"


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUBJECT = subject.Subject(JOBS, "default", "a")
CONDITION = JobCondition(type="Complete", status="True", reason="Done", message="all of it")
ENDED = Job(status=JobStatus(conditions=[CONDITION]))


def test_a_decision_in_words() -> None:
    decision = {
        "by": "job-controller",
        "because": "creates 1 pod",
        "at": "2026-01-01T11:59:58Z",
        "wakeAt": "2026-01-01T12:01:00Z",
        "error": "no luck",
        "retryAt": "2026-01-01T12:00:04Z",
        "facts": {"active": 1, "action": "tracking"},
        "earlier": [{"at": "2026-01-01T11:00:00Z", "because": "came"}],
    }
    assert list(command._told(SUBJECT, ENDED, [decision], NOW)) == [
        "job-controller: creates 1 pod",
        "  decided 2s ago",
        "  but it failed: no luck; again at 12:00:04 UTC (in 4s)",
        "  looks again at 12:01:00 UTC (in 1m), or when something changes",
        "  1 active",
        "  before, 1h ago: came",
    ]


def test_moments_that_have_passed() -> None:
    decision = {"by": "x", "because": "y", "at": "2026-01-01T12:00:00Z", "error": "z"}
    told = [*command._told(SUBJECT, ENDED, [decision], NOW)]
    assert told == ["x: y", "  decided just now", "  but it failed: z"]
    late = {**decision, "error": "", "wakeAt": "2026-01-01T11:00:00Z"}
    told = [*command._told(SUBJECT, ENDED, [late], NOW)]
    assert told[2] == "  looks again at once, or when something changes"


@pytest.mark.parametrize(
    ("decisions", "says"), [(None, "does not tell"), ([], "nothing in the server has decided")]
)
def test_without_decisions_the_conditions_speak(decisions: Any, says: str) -> None:
    first, second = command._told(SUBJECT, ENDED, decisions, NOW)
    assert says in first
    assert second == "  Complete is True: Done: all of it"
    assert len(list(command._told(SUBJECT, Job(), decisions, NOW))) == 1


def test_many_pods_that_wait() -> None:
    waiting = pod({"phase": "Pending"})
    told = list(command._waiting(ENDED, [waiting] * 8))
    assert told[0] == "pod p waits: a node to start it"
    assert told[-1] == "and 3 more pods wait"
    assert len(told) == 6
    assert list(command._waiting(waiting, ())) == ["waits: a node to start it"]
    assert list(command._waiting(pod({"phase": "Succeeded"}), ())) == []


def explain(server: tools.Server | None, *words: str, **environ: str) -> Any:
    options = ["--kubeconfig", str(server.kubeconfig)] if server is not None else []
    return subprocess.run(
        [str(tools.KUBATCH), "explain", *words, *options],
        capture_output=True, text=True, timeout=60, env={"HOME": "/nonexistent", **environ},
    )  # fmt: skip


def create(server: tools.Server, name: str, **template: Any) -> None:
    from kubernetes import client, config

    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", "exit 3"]}
    spec = {"restartPolicy": "Never", "containers": [container], **template}
    manifest: Any = {"metadata": {"name": name}, "spec": {"template": {"spec": spec}}}
    connect: Any = config.new_client_from_config  # has no types
    with connect(str(server.kubeconfig)) as api:
        client.BatchV1Api(api).create_namespaced_job("default", manifest)


@pytest.mark.slow
def test_beside_a_real_server(tmp_path: Path) -> None:
    with tools.running_server(tmp_path) as server:
        create(server, "fails")
        create(server, "stuck", nodeSelector={"disk": "fast"})
        assert tools.eventually(lambda: "back-off" in explain(server, "job/fails").stdout)
        told = explain(server, "job/fails")
        assert told.returncode == 0, told.stderr
        first, second, *rest = told.stdout.splitlines()
        assert first == "job/fails in namespace default"
        assert second.startswith("  job-controller: back-off: creates a replacement at ")
        assert any("looks again at " in line for line in rest)
        assert any("1 failed" in line for line in rest)
        assert any("before, " in line and "creates 1 pod" in line for line in rest)
        assert tools.eventually(lambda: "Unschedulable" in explain(server, "job/stuck").stdout)
        assert "waits: Unschedulable: 0/1 nodes" in explain(server, "job/stuck").stdout
        missing = explain(server, "job/none")
        assert (missing.returncode, missing.stdout) == (1, "")
        assert missing.stderr == 'kubatch: jobs.batch "none" not found\n'
        elsewhere = explain(None, "job/fails", "--data-dir", str(server.data_dir))
        assert elsewhere.returncode == 2
        assert "name it with --kubeconfig" in elsewhere.stderr
    gone = explain(server, "job/fails")
    assert gone.returncode == 1
    assert "cannot reach https://127.0.0.1:" in gone.stderr
    assert "is the server running?" in gone.stderr
    (server.data_dir / "kubeconfig").write_bytes(server.kubeconfig.read_bytes())
    stopped = explain(None, "job/fails", "--data-dir", str(server.data_dir))
    assert stopped.returncode == 1
    assert f"start it with kubatch up --data-dir {server.data_dir}" in stopped.stderr


@pytest.mark.slow
def test_without_any_server(tmp_path: Path) -> None:
    for words, says in [
        (("job/a", "--data-dir", str(tmp_path)), "no server has run on it"),
        (("job/a",), "no kubeconfig: name one with --kubeconfig"),
        (("a",), "KIND/NAME"),
        (("job/a", "--kubeconfig", str(tmp_path / "none")), "no such file"),
    ]:
        told = explain(None, *words)
        assert told.returncode == 2
        assert says in told.stderr
        assert len(told.stderr.splitlines()) == 1
