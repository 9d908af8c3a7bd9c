"""exec, attach, cp, run -i and port-forward, with kubectls of every transport they have used."""

from __future__ import annotations

import os
import pty
import re
import select
import socket
import subprocess
import termios
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kubectl import tools

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

# 1.29 and before exec over SPDY, 1.30 and before forward ports over it; later ones use WebSockets.
VERSIONS = [v for v in ("1.27", "1.29", "1.30", "1.31", "1.33") if v in tools.find_kubectls()]

if not VERSIONS:
    pytest.skip("no kubectl of a known version", allow_module_level=True)

KUARD = "gcr.io/kuar-demo/kuard-amd64:blue"
SECONDS_MAX = 60.0


CASES = [(v, "auto") for v in VERSIONS] + [(v, "process") for v in (VERSIONS[0], VERSIONS[-1])]


@pytest.fixture(scope="module")
def process_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tools.Server]:
    """A server without a sandbox, also where there could be one."""
    folder = tmp_path_factory.mktemp("server")
    with tools.running_server(folder, "--runtime", "process") as running:
        yield running


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def kubectl(
    request: pytest.FixtureRequest, server: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    """A kubectl in a namespace of its own, with a pod called `shell` that waits."""
    version, runtime = request.param
    if runtime == "process":
        server = request.getfixturevalue("process_server")
    binary = tools.find_kubectls()[version]
    home = tmp_path_factory.mktemp("home")
    namespace = f"streams-{version.replace('.', '-')}"
    tools.Kubectl(binary, version, server.kubeconfig, home)("create", "namespace", namespace)
    made = tools.Kubectl(binary, version, server.kubeconfig, home, namespace)
    made("run", "shell", "--image=busybox", "--env=WORD=x y", "--", "sleep", "100000")
    made("wait", "--for=condition=Ready", "pod/shell", "--timeout=60s")
    return made


class Terminal:
    """A kubectl that believes somebody sits before it."""

    def __init__(self, kubectl: tools.Kubectl, *words: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (33, 111))
        self.process = subprocess.Popen(
            kubectl._argv(words), stdin=slave, stdout=slave, stderr=slave,
            env=kubectl._environment(), start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.seen = b""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, text: str) -> str:
        """Read until it holds a text, or to the end; everything seen so far."""
        deadline = time.monotonic() + SECONDS_MAX
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} is not in {self.seen!r}"
            try:
                self.seen += os.read(self.master, 4096)
            except OSError:
                break
        return self.seen.decode()

    def code(self) -> int:
        self.until("\0 never")
        return self.process.wait(SECONDS_MAX)


@contextmanager
def terminal(kubectl: tools.Kubectl, *words: str) -> Iterator[Terminal]:
    opened = Terminal(kubectl, *words)
    try:
        yield opened
    finally:
        opened.process.kill()
        opened.process.wait()
        os.close(opened.master)


# ----- exec


def test_exec_gives_output_errors_and_the_exit_code(kubectl: tools.Kubectl) -> None:
    done = kubectl.result("exec", "shell", "--", "sh", "-c", "echo $WORD; echo bad >&2; exit 3")
    assert done.stdout == "x y\n"
    assert done.stderr == "bad\ncommand terminated with exit code 3\n"
    assert done.returncode == 3
    killed = kubectl.result("exec", "shell", "--", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 137


def test_exec_takes_input_to_its_end(kubectl: tools.Kubectl) -> None:
    much = "0123456789abcdef\n" * 200_000
    assert kubectl("exec", "-i", "shell", "--", "cat", stdin=much) == much
    assert kubectl("exec", "-i", "shell", "--", "wc", "-c", stdin=much).strip() == str(len(much))
    # Input that nobody reads must not hold up the end.
    assert kubectl("exec", "-i", "shell", "--", "head", "-c", "5", stdin=much) == "01234"


def test_exec_on_a_terminal(kubectl: tools.Kubectl) -> None:
    with terminal(kubectl, "exec", "-it", "shell", "--", "sh") as sh:
        sh.type("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo $TERM $((6 * 7))\n")
        sh.until("xterm 42\r\n")
        sh.type('until [ "$(stty size)" = \'33 111\' ]; do :; done; echo si""zed\n')
        sh.until("sized\r\n")
        termios.tcsetwinsize(sh.master, (44, 99))
        sh.process.send_signal(28)  # SIGWINCH: nobody sends it to a process in another session
        sh.type('until [ "$(stty size)" = \'44 99\' ]; do :; done; echo again si""zed\n')
        sh.until("again sized\r\n")
        sh.type("exit 5\n")
        assert sh.code() == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("shell", "--", "no-such-program"),
            "error: Internal error occurred: error executing command in container: "
            'exec: "no-such-program": executable file not found in $PATH',
        ),
        (("nobody", "--", "true"), 'Error from server (NotFound): pods "nobody" not found'),
    ],
)
def test_exec_of_what_is_not_there(
    kubectl: tools.Kubectl, words: tuple[str, ...], message: str
) -> None:
    done = kubectl.result("exec", *words)
    assert done.returncode == 1
    assert message in done.stderr


def test_exec_in_a_container_that_waits(kubectl: tools.Kubectl) -> None:
    kubectl("run", "waiting", "--image=no-such-image", "--restart=Never")
    shown = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    assert tools.eventually(
        lambda: "CreateContainer" in kubectl("get", "pod", "waiting", "-o", shown)
    )
    done = kubectl.result("exec", "waiting", "--", "true")
    assert done.returncode == 1
    assert 'unable to upgrade connection: container not found ("waiting")' in done.stderr
    kubectl("delete", "pod", "waiting", "--wait=false")


def test_a_kubectl_that_leaves_takes_its_program_along(kubectl: tools.Kubectl) -> None:
    seconds = str(time.monotonic_ns())  # which no other process sleeps for
    script = f"echo up; exec sleep {seconds}"
    with kubectl.start("exec", "shell", "--", "sh", "-c", script) as process:
        assert tools.lines_of(process)() == "up\n"
        assert tools.eventually(lambda: sleeps(seconds))
        process.kill()
    assert tools.eventually(lambda: not sleeps(seconds))


def sleeps(seconds: str) -> bool:
    """Whether there is a process `sleep` with this argument."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words[:2] == [b"sleep", seconds.encode()]:
                return True
    return False


# ----- cp


def test_cp_both_ways(kubectl: tools.Kubectl, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    (source / "inner").mkdir(parents=True)
    big = os.urandom(5 << 20)
    (source / "big").write_bytes(big)
    (source / "inner" / "small").write_text("hello\n")
    there = f"/tmp/there-{time.monotonic_ns()}"  # without a sandbox this is everybody's /tmp
    kubectl("exec", "shell", "--", "mkdir", there)
    try:
        kubectl("cp", str(source), f"shell:{there}")
        kubectl("cp", f"shell:{there}/source", str(back))
        assert (back / "big").read_bytes() == big
        assert (back / "inner" / "small").read_text() == "hello\n"
        kubectl("cp", str(source / "inner" / "small"), f"shell:{there}/one")
        assert kubectl("exec", "shell", "--", "cat", f"{there}/one") == "hello\n"
    finally:
        kubectl("exec", "shell", "--", "rm", "-r", there)


# ----- run and attach


def test_run_with_input(kubectl: tools.Kubectl) -> None:
    done = kubectl.result(
        "run", "-i", "--rm", "--quiet", "--restart=Never", "asks", "--image=busybox", "--",
        "sh", "-c", "read a; echo got $a", stdin="it\n",
    )  # fmt: skip
    assert (done.returncode, done.stdout.count("got it\n")) == (0, 1), done.stderr
    assert kubectl.result("get", "pod", "asks").returncode == 1


def test_run_passes_the_exit_code_on(kubectl: tools.Kubectl) -> None:
    done = kubectl.result(
        "run", "-i", "--rm", "--quiet", "--restart=Never", "fails", "--image=busybox", "--",
        "sh", "-c", "read a; exit $a", stdin="4\n",
    )  # fmt: skip
    assert done.returncode == 4


def test_run_on_a_terminal(kubectl: tools.Kubectl) -> None:
    words = ("run", "-it", "--rm", "--restart=Never", "talks", "--image=busybox", "--", "sh")
    with terminal(kubectl, *words) as sh:
        # Whether the prompt is seen depends on who was first: attaching shows nothing of before.
        sh.until("If you don't see a command prompt, try pressing enter.")
        sh.type("\n")
        sh.until("$ " if os.getuid() else "# ")
        sh.type("[ -t 0 ] && [ -t 2 ] && echo six $((2 * 3))\n")
        sh.until("six 6\r\n")
        sh.type("exit\n")
        assert sh.code() == 0
    assert kubectl.result("get", "pod", "talks").returncode == 1


def test_attach_sees_what_comes(kubectl: tools.Kubectl) -> None:
    script = "echo before; sleep 0.2; while echo tick; do sleep 0.05; done"
    kubectl("run", "clock", "--image=busybox", "--restart=Never", "--", "sh", "-c", script)
    kubectl("wait", "--for=condition=Ready", "pod/clock", "--timeout=60s")
    with kubectl.start("attach", "clock") as process:
        try:
            take = tools.lines_of(process)
            seen = [take() for _ in range(3)]
            kubectl("delete", "pod", "clock", "--grace-period=1", "--wait=false")
            while take():
                pass
            assert process.wait(SECONDS_MAX) == 0
        finally:
            process.kill()
    assert seen[-1] == "tick\n"


# ----- port-forward


@contextmanager
def forwarding(kubectl: tools.Kubectl, target: str, port: int) -> Iterator[tuple[str, list[str]]]:
    """The URL that leads to a port of a pod, and what kubectl says of errors."""
    process = subprocess.Popen(
        kubectl._argv(("port-forward", target, f":{port}")), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=kubectl._environment(),
    )  # fmt: skip
    errors: list[str] = []

    def listen() -> None:
        assert process.stderr is not None
        errors.extend(process.stderr)

    with process:
        listener = threading.Thread(target=listen)
        listener.start()
        try:
            line = tools.lines_of(process)()
            match = re.match(r"Forwarding from (127\.0\.0\.1:\d+) -> ", line)
            assert match, line
            yield f"http://{match[1]}", errors
        finally:
            process.terminate()
            process.wait(SECONDS_MAX)
            listener.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def test_port_forward_to_a_workload(kubectl: tools.Kubectl) -> None:
    port = free_port()
    kubectl(
        "run", "kuard", f"--image={KUARD}", "--restart=Never", "--",
        f"--address=127.0.0.1:{port}",
    )  # fmt: skip
    kubectl("wait", "--for=condition=Ready", "pod/kuard", "--timeout=60s")
    assert tools.eventually(lambda: answers(f"http://127.0.0.1:{port}"))
    with forwarding(kubectl, "pod/kuard", port) as (url, errors):
        body = b"x" * (1 << 20)
        queue = f"{url}/memq/server/queues/q"
        urllib.request.urlopen(urllib.request.Request(queue, method="PUT"), timeout=10).close()
        for _ in range(3):
            request = urllib.request.Request(f"{queue}/enqueue", data=body, method="POST")
            with urllib.request.urlopen(request, timeout=10) as response:
                assert body in response.read()  # to its end: kubectl minds who leaves before
        with urllib.request.urlopen(f"{url}/memq/server/stats", timeout=10) as response:
            assert b'"depth":3' in response.read().replace(b" ", b"")
    kubectl("delete", "pod", "kuard", "--grace-period=1")
    assert [line for line in errors if "error" in line.lower()] == []


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/memq/server/stats", timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_port_forward_to_a_port_that_nobody_has(kubectl: tools.Kubectl) -> None:
    port = free_port()
    with forwarding(kubectl, "pod/shell", port) as (url, errors):
        with pytest.raises(OSError, match=r"."):
            urllib.request.urlopen(url, timeout=10)
        assert tools.eventually(lambda: any("refused" in line for line in errors))
    assert f"error forwarding port {port} to pod shell_{kubectl.namespace}, uid " in errors[0]
    assert "connect: connection refused" in errors[0]
