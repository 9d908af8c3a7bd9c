"""The server dies or is restarted while Jobs run: nothing is lost and nothing runs twice.

Each pod appends a line to a file when it starts and one when it ends, so the file says what really
ran, whatever the API believes.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from kubatch.runtime.sandbox import available
from tests.kubectl import tools

pytestmark = pytest.mark.slow

COMPLETIONS = 200
KILLS = (20, 90, 150)


class Server:
    """`kubatch up` on one data directory, started as often as it takes."""

    def __init__(self, directory: Path, runtime: str) -> None:
        self.runtime = runtime
        self.kubeconfig = directory / "kubeconfig"
        self._data_dir = directory / "data"
        self._log = directory / "stderr"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        argv = [str(tools.KUBATCH), "up", "--data-dir", str(self._data_dir), "--port", "0"]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*argv, "--kubeconfig", str(self.kubeconfig), "--runtime", self.runtime],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        line = tools.lines_of(self._process)()
        assert str(self.kubeconfig) in line, self._log.read_text()

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return code

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end(signal.SIGINT)


@pytest.fixture(params=["process", "sandbox"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "sandbox" and (why := available()):
        pytest.skip(f"no sandboxes here: {why}")
    with Server(tmp_path, request.param) as running:
        yield running


@contextmanager
def api(server: Server) -> Iterator[client.ApiClient]:
    connect: Any = config.new_client_from_config  # has no types
    with connect(str(server.kubeconfig)) as made:
        yield made


def job(server: Server, name: str, marks: Path, work: str, **spec: Any) -> Any:
    script = (
        f'echo "start $POD" >> {marks}; {work}; echo "end $POD $JOB_COMPLETION_INDEX" >> {marks}'
    )
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    container: Any = {"name": "c", "image": "busybox", "command": ["sh", "-c", script], "env": env}
    spec_of_pod: Any = {"restartPolicy": "Never", "containers": [container]}
    if server.runtime == "sandbox":  # the file is this machine's
        folder = str(marks.parent)
        container["volumeMounts"] = [{"name": "marks", "mountPath": folder}]
        spec_of_pod["volumes"] = [{"name": "marks", "hostPath": {"path": folder}}]
    template = {"spec": spec_of_pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }


def status_of(server: Server, name: str) -> Any:
    with api(server) as connection:
        return client.BatchV1Api(connection).read_namespaced_job(name, "default").status


def create(server: Server, manifest: Any) -> None:
    with api(server) as connection:
        client.BatchV1Api(connection).create_namespaced_job("default", manifest)


def marked(marks: Path, word: str) -> list[str]:
    if not marks.exists():
        return []
    return [line for line in marks.read_text().splitlines() if line.startswith(word)]


def ended(marks: Path, count: int) -> bool:
    return len(marked(marks, "end")) >= count


@pytest.mark.parametrize("mode", ["Indexed", "NonIndexed"])
def test_killed_again_and_again_a_job_counts_exactly_and_runs_no_pod_twice(
    server: Server, tmp_path: Path, mode: str
) -> None:
    marks = tmp_path / "marks"
    create(
        server,
        job(
            server, "many", marks, "sleep 0.1",
            completions=COMPLETIONS, parallelism=20, completionMode=mode,
        ),
    )  # fmt: skip
    for count in KILLS:
        assert tools.eventually(partial(ended, marks, count))
        server.end(signal.SIGKILL)
        server.start()
    done = tools.eventually(lambda: bool(status_of(server, "many").completion_time), seconds=90)
    status = status_of(server, "many")
    assert done, status
    assert status.succeeded == COMPLETIONS
    assert not status.failed
    starts, ends = marked(marks, "start"), marked(marks, "end")
    assert len(starts) == len(set(starts)), "a pod ran twice"
    assert len(starts) == len(ends) == COMPLETIONS
    if mode == "Indexed":
        indexes = sorted(int(line.split()[2]) for line in ends)
        assert indexes == list(range(COMPLETIONS))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_pod_that_runs_is_found_again(
    server: Server, tmp_path: Path, number: signal.Signals
) -> None:
    marks, go = tmp_path / "marks", tmp_path / "go"
    create(server, job(server, "slow", marks, f"until [ -e {go} ]; do sleep 0.05; done"))
    assert tools.eventually(lambda: len(marked(marks, "start")) == 1)
    assert tools.eventually(lambda: (status_of(server, "slow").active or 0) == 1)
    code = server.end(number)
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    server.start()
    go.touch()
    assert tools.eventually(lambda: status_of(server, "slow").succeeded == 1)
    assert not status_of(server, "slow").failed
    assert len(marked(marks, "start")) == 1


def test_a_pod_that_ends_while_nobody_serves_counts(server: Server, tmp_path: Path) -> None:
    marks, go = tmp_path / "marks", tmp_path / "go"
    create(server, job(server, "slow", marks, f"until [ -e {go} ]; do sleep 0.05; done; exit 3"))
    assert tools.eventually(lambda: len(marked(marks, "start")) == 1)
    server.end(signal.SIGKILL)
    go.touch()
    server.start()
    assert tools.eventually(lambda: status_of(server, "slow").failed == 1)
    with api(server) as connection:
        pod: Any = client.CoreV1Api(connection).list_namespaced_pod("default").items[0]
    assert pod.status.container_statuses[0].state.terminated.exit_code == 3


def test_ctrl_c_leaves_nothing_running(server: Server, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    create(server, job(server, "long", marks, "exec sleep 4242.4242"))
    assert tools.eventually(lambda: len(marked(marks, "start")) == 1)
    assert server.end(signal.SIGINT) == 130
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 4242.4242" not in running.stdout
    assert str(tmp_path) not in running.stdout, "a part of the server outlived it"


def test_a_second_server_on_the_data_is_refused(server: Server, tmp_path: Path) -> None:
    argv = [str(tools.KUBATCH), "up", "--data-dir", str(tmp_path / "data"), "--port", "0"]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert second.returncode == 2
    assert "is in use by process" in second.stderr
    assert len(second.stderr.splitlines()) == 1
