"""A program with the official Python client: exec, then a port forwarded. Prints what it gets.

Run by test_python_client.py, in a process of its own because that client leaves sockets open.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from kubernetes import client, config
from kubernetes.stream import portforward, stream

NAMESPACE = "default"
NAME = "python-streams"
POD = {
    "metadata": {"name": NAME},
    "spec": {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "100000"]}]},
}


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *_: object) -> None:
        pass


def execute(core: Any) -> None:
    said = stream(
        core.connect_get_namespaced_pod_exec, NAME, NAMESPACE,
        command=["sh", "-c", "echo out; echo err >&2"], stdout=True, stderr=True,
    )  # fmt: skip
    print("all:", *sorted(said.split()))
    session = stream(
        core.connect_get_namespaced_pod_exec, NAME, NAMESPACE, command=["sh"],
        stdin=True, stdout=True, stderr=True, _preload_content=False,
    )  # fmt: skip
    session.write_stdin("echo one\n")
    print("stdout:", session.readline_stdout(timeout=10))
    session.write_stdin("echo two >&2\n")
    print("stderr:", session.readline_stderr(timeout=10))
    session.write_stdin("exit 3\n")
    session.run_forever(timeout=10)
    print("code:", session.returncode)
    session.close()


def forward(core: Any) -> None:
    http = HTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    port = http.server_address[1]
    made = portforward(
        core.connect_get_namespaced_pod_portforward,
        NAME,
        NAMESPACE,
        ports=str(port),
    )
    sock = made.socket(port)
    sock.settimeout(10)
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while not answer.endswith(b"hello"):
        data = sock.recv(4096)
        if not data:
            break
        answer += data
    print("forwarded:", answer.split()[1].decode(), answer.split()[-1].decode())
    print("error:", made.error(port))


def main() -> None:
    load: Any = config.load_kube_config
    load()
    core: Any = client.CoreV1Api()
    core.create_namespaced_pod(NAMESPACE, POD)
    deadline = time.monotonic() + 30
    while core.read_namespaced_pod(NAME, NAMESPACE).status.phase != "Running":
        if time.monotonic() > deadline:
            sys.exit("the pod does not run")
    try:
        execute(core)
        forward(core)
    finally:
        core.delete_namespaced_pod(NAME, NAMESPACE, grace_period_seconds=0)


if __name__ == "__main__":
    main()
