"""Pods with addresses of their own: a real bridge, real namespaces, and nothing of it left."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubatch.network.pod_plan import bridge_name
from kubatch.network.pods import NAMESPACES, unavailable
from kubatch.runtime.sandbox import available
from tests.kubectl import tools

WHY_NOT = unavailable(os.environ)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.kubectl,
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.skipif(not tools.find_kubectls(), reason="there is no kubectl here"),
]

WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: busybox
        command:
        - python3
        - -c
        - |
          import http.server as h, os
          class Me(h.BaseHTTPRequestHandler):
            def do_GET(self):
              self.send_response(200)
              self.end_headers()
              self.wfile.write(os.environ["IP"].encode())
          h.HTTPServer(("", 8080), Me).serve_forever()
        env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
"""
ON_HOST = """\
apiVersion: v1
kind: Pod
metadata: {name: on-host}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: busybox, command: [sleep, "60"]}]
"""
GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=9).read().decode())"
API = "import os, ssl, urllib.request as u; e = os.environ; print(u.urlopen('https://' + e['KUBERNETES_SERVICE_HOST'] + ':' + e['KUBERNETES_SERVICE_PORT'] + '/version', timeout=9, context=ssl._create_unverified_context()).status)"  # noqa: E501
CLOSED = """
import socket, sys
for place in (("127.0.0.1", int(sys.argv[1])), ("10.244.0.1", 1)):
    try:
        socket.create_connection(place, 3)
        print("open")
    except OSError:
        print("closed")
"""


class Server:
    """`kubatch up --network pod` in a directory, which is ended as the test wants."""

    def __init__(self, directory: Path, runtime: str) -> None:
        self.data_dir, self.kubeconfig = directory / "data", directory / "kubeconfig"
        self._log = directory / "stderr"
        self._options = ["--runtime", runtime, "--network", "pod"]
        self.start()

    def start(self) -> None:
        argv = [str(tools.KUBATCH), "up", "--data-dir", str(self.data_dir), "--port", "0"]
        argv += ["--kubeconfig", str(self.kubeconfig), *self._options]
        with self._log.open("a") as stderr:
            self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert str(self.kubeconfig) in tools.lines_of(self._process)(), self._log.read_text()

    def end(self, number: int) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def serving(directory: Path, runtime: str) -> Iterator[tuple[Server, tools.Kubectl]]:
    server = Server(directory, runtime)
    version, binary = next(reversed(tools.find_kubectls().items()))
    try:
        yield server, tools.Kubectl(binary, version, server.kubeconfig, directory)
    finally:
        server.end(signal.SIGINT)


def addresses(kubectl: tools.Kubectl) -> dict[str, str]:
    """The ready pods behind the Service: address by name."""
    return {
        pod["metadata"]["name"]: pod["status"]["podIP"]
        for pod in kubectl.json("get", "pods", "-l", "app=web")["items"]
        if {"type": "Ready", "status": "True"}.items()
        <= next(
            (c for c in pod["status"].get("conditions", ()) if c["type"] == "Ready"), {}
        ).items()
    }


def left_behind(server: Server) -> list[str]:
    """What of a server's network is still on the machine."""
    bridge = bridge_name(str(server.data_dir.absolute()))
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    found = [line for line in rules.splitlines() if bridge in line]
    found += [path.name for path in NAMESPACES.glob(f"{bridge}*")]
    links = Path("/sys/class/net")
    found += [p.name for p in links.iterdir() if p.name == bridge or _master(p) == bridge]
    return found + [p.name for p in server.data_dir.glob("network")]


def _master(device: Path) -> str:
    master = device / "master"
    return master.resolve().name if master.exists() else ""


def answer(url: str) -> str:
    with urllib.request.urlopen(url, timeout=9) as response:
        text: str = response.read().decode()
        return text


@pytest.mark.parametrize("runtime", ["sandbox", "process"])
def test_pods_have_addresses_of_their_own(tmp_path: Path, runtime: str) -> None:
    if runtime == "sandbox" and (why := available()):
        pytest.skip(why)
    with serving(tmp_path, runtime) as (server, kubectl):
        kubectl("apply", "-f", "-", stdin=WEB + "---\n" + ON_HOST)
        assert tools.eventually(lambda: len(addresses(kubectl)) == 2)
        pods = addresses(kubectl)
        both = sorted(pods.values())
        assert len(set(both)) == 2
        service = kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
        (one, own), (_, other) = sorted(pods.items())

        # From here, and from pod to pod, each is itself on the same port.
        assert [answer(f"http://{ip}:8080") for ip in both] == both
        assert ask(kubectl, one, GET, f"http://{other}:8080") == other
        # The Service leads to both, from here and from a pod.
        assert sorted(answer(f"http://{service}") for _ in range(2)) == both
        name = "web.default.svc" if runtime == "sandbox" else service
        assert sorted(ask(kubectl, one, GET, f"http://{name}") for _ in range(2)) == both
        # The API is there for pods; of the machine's loopback nothing else is.
        assert ask(kubectl, one, API) == "200"
        port = kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
        assert ask(kubectl, one, CLOSED, port.rpartition(":")[2]) == "closed\nclosed"
        assert forwarded(kubectl, one) == own
        on_host = kubectl("get", "pod", "on-host", "-o", "jsonpath={.status.podIP}")
        host = kubectl("get", "pod", "on-host", "-o", "jsonpath={.status.hostIP}")
        assert on_host == host != own

        if runtime == "sandbox":  # once: what outlives a server does not depend on it
            server.end(signal.SIGKILL)
            assert [answer(f"http://{ip}:8080") for ip in both] == both
            server.start()
            assert tools.eventually(lambda: addresses(kubectl) == pods)
            assert ask(kubectl, one, GET, f"http://{other}:8080") == other
        kubectl("delete", "pod", one, "--wait=true", "--timeout=60s")
        assert tools.eventually(lambda: len(addresses(kubectl)) == 2)
        assert own not in addresses(kubectl).values()
        bridge = bridge_name(str(server.data_dir.absolute()))
        assert tools.eventually(lambda: len(list(NAMESPACES.glob(f"{bridge}*"))) == 2)
    assert left_behind(server) == []


def ask(kubectl: tools.Kubectl, pod: str, program: str, *words: str) -> str:
    return kubectl("exec", pod, "--", "python3", "-c", program, *words).strip()


def forwarded(kubectl: tools.Kubectl, pod: str) -> str:
    """What a pod answers through port-forward."""
    with kubectl.start("port-forward", pod, ":8080") as process:
        try:
            line = tools.lines_of(process)()
            return answer(f"http://{line.split()[2]}")
        finally:
            process.terminate()
