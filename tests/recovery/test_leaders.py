"""Controllers in processes of their own: the leader dies in mid-Job, and another goes on."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.kubectl import tools

pytestmark = pytest.mark.slow

COMPLETIONS = 60
LEASE = ("--leader-elect-lease-duration", "2s", "--leader-elect-renew-deadline", "1500ms")
PROCESSES = ("--runtime", "process")  # pods that write to a file of the test
RETRY = ("--leader-elect-retry-period", "300ms")


class Replica:
    """One `kubatch controllers`."""

    def __init__(self, server: tools.Server, log: Path, *options: str) -> None:
        argv = [str(tools.KUBATCH), "controllers", "--kubeconfig", str(server.kubeconfig)]
        self._log = log.open("w")
        self.process = subprocess.Popen(
            [*argv, *LEASE, *RETRY, *options],
            stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        self.next_line = tools.lines_of(self.process)

    def identity(self) -> str:
        """Who it is, from its first line."""
        return self.next_line().strip().rpartition(" as ")[2]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


@contextmanager
def replica(server: tools.Server, log: Path, *options: str) -> Iterator[Replica]:
    made = Replica(server, log, *options)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def api(server: tools.Server) -> Iterator[client.ApiClient]:
    connect: Any = config.new_client_from_config  # has no types
    with connect(str(server.kubeconfig)) as made:
        yield made


def holder(server: tools.Server) -> str:
    """Who has the lease, "" while nobody has."""
    with api(server) as connection:
        leases: Any = client.CoordinationV1Api(connection)
        found = leases.list_namespaced_lease("kube-system").items
    ours = [lease for lease in found if lease.metadata.name == "kubatch-controllers"]
    return (ours[0].spec.holder_identity or "") if ours else ""


def create(server: tools.Server, marks: Path, **spec: Any) -> None:
    script = f'echo "start $POD" >> {marks}; sleep 0.2; echo "end $POD" >> {marks}'
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script], "env": env}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    manifest: Any = {
        "metadata": {"name": "many"},
        "spec": {
            "completions": COMPLETIONS, "parallelism": 5, "backoffLimit": 0,
            "template": template, **spec,
        },
    }  # fmt: skip
    with api(server) as connection:
        client.BatchV1Api(connection).create_namespaced_job("default", manifest)


def status_of(server: tools.Server) -> Any:
    with api(server) as connection:
        return client.BatchV1Api(connection).read_namespaced_job("many", "default").status


def marked(marks: Path, word: str) -> list[str]:
    if not marks.exists():
        return []
    return [line for line in marks.read_text().splitlines() if line.startswith(word)]


def check_whole(server: tools.Server, marks: Path) -> None:
    """Every completion is there once, and no pod was created that nobody wanted."""
    assert tools.eventually(lambda: bool(status_of(server).completion_time), seconds=90)
    status = status_of(server)
    assert status.succeeded == COMPLETIONS
    assert not status.failed
    with api(server) as connection:
        pods: Any = client.CoreV1Api(connection).list_namespaced_pod("default").items
    assert len(pods) == COMPLETIONS
    assert not any(pod.metadata.finalizers for pod in pods)
    starts = marked(marks, "start")
    assert len(starts) == len(set(starts)) == len(marked(marks, "end")) == COMPLETIONS


@pytest.mark.parametrize("mode", ["Indexed", "NonIndexed"])
def test_a_killed_leader_is_followed_and_nothing_counts_twice(tmp_path: Path, mode: str) -> None:
    marks = tmp_path / "marks"
    with ExitStack() as stack:
        server = stack.enter_context(tools.running_server(tmp_path, "--no-controllers", *PROCESSES))
        replicas = {}
        for number in range(3):
            one = stack.enter_context(replica(server, tmp_path / f"log-{number}", "--all"))
            replicas[one.identity()] = one
        create(server, marks, completionMode=mode)
        for count in (10, 30):
            assert tools.eventually(partial(ended, marks, count))
            leader = holder(server)
            replicas.pop(leader).end(signal.SIGKILL)
            assert tools.eventually(lambda: holder(server) in replicas)
        check_whole(server, marks)


def ended(marks: Path, count: int) -> bool:
    return len(marked(marks, "end")) >= count


def test_a_frozen_leader_does_no_harm_when_it_thaws(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with ExitStack() as stack:
        server = stack.enter_context(tools.running_server(tmp_path, "--no-controllers", *PROCESSES))
        one = stack.enter_context(replica(server, tmp_path / "log-1", "--all"))
        first = one.identity()
        assert tools.eventually(lambda: holder(server) == first)
        two = stack.enter_context(replica(server, tmp_path / "log-2", "--all"))
        second = two.identity()
        create(server, marks)
        assert tools.eventually(partial(ended, marks, 5))
        one.process.send_signal(signal.SIGSTOP)
        assert tools.eventually(lambda: holder(server) == second)
        one.process.send_signal(signal.SIGCONT)
        assert one.process.wait(timeout=30) == 1
        assert "the lease kube-system/kubatch-controllers" in (tmp_path / "log-1").read_text()
        check_whole(server, marks)


def test_a_leader_that_stops_gives_the_lease_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(tools.running_server(tmp_path, "--no-controllers", *PROCESSES))
        one = stack.enter_context(replica(server, tmp_path / "log"))
        name = one.identity()
        assert "with job-controller" in one.next_line()
        assert holder(server) == name
        assert one.end(signal.SIGTERM) == 0
        assert holder(server) == ""
        assert (tmp_path / "log").read_text() == ""


def test_a_server_with_controllers_leaves_a_job_to_them_and_only_that(tmp_path: Path) -> None:
    """spec.managedBy says whose a Job is; each sees to its own."""
    marks = tmp_path / "marks"
    with ExitStack() as stack:
        server = stack.enter_context(tools.running_server(tmp_path, *PROCESSES))
        create(server, marks, managedBy="kubatch.dev/job-controller")
        explain = [str(tools.KUBATCH), "explain", "job/many", "--kubeconfig"]
        told = partial(
            subprocess.run, [*explain, str(server.kubeconfig)], capture_output=True, text=True
        )
        assert tools.eventually(lambda: "is managed by kubatch.dev/job-controller" in told().stdout)
        assert not marked(marks, "start")
        stack.enter_context(replica(server, tmp_path / "log", "--no-leader-elect"))
        check_whole(server, marks)
        with api(server) as connection:
            text: Any = connection.call_api(
                "GET", connection.configuration.host + "/metrics",
                {"Accept": "text/plain"}, _request_timeout=30,
            )  # fmt: skip
            page = text.read().decode()
        external = (
            'job_controller_jobs_by_external_controller_total{controller_name="kubatch.dev/'
            'job-controller"} 1.0'
        )
        assert external in page


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    for words, says in [
        (("--kubeconfig", str(tmp_path / "none")), "no such file"),
        (("--only", "none"), "--only: no controller none; there are "),
        (("--leader-elect-lease-duration", "5s"), "must be greater than the renew deadline"),
        (("--leader-elect-retry-period", "x"), "--leader-elect-retry-period x: not a duration"),
    ]:
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(KUBECONFIG))
        options = words if "--kubeconfig" in words else ("--kubeconfig", str(file), *words)
        argv = [str(tools.KUBATCH), "controllers", *options]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(KUBECONFIG))
    argv = [str(tools.KUBATCH), "controllers", "--kubeconfig", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cannot reach http://127.0.0.1:1" in done.stderr


KUBECONFIG = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "c"}}],
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
}
