"""Services that lead somewhere: selected pods, hand-made endpoints, names, variables, forwards."""

from __future__ import annotations

import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubatch.runtime.sandbox import available
from tests.kubectl import tools

pytestmark = [pytest.mark.slow, pytest.mark.kubectl]

WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 8070, targetPort: web}]
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: busybox
        command: [python3, -m, http.server, --bind, 127.0.0.1, --directory, /usr/share, "PORT"]
        ports: [{name: web, containerPort: PORT}]
"""
BY_HAND = """\
apiVersion: v1
kind: Service
metadata: {name: hand}
spec: {ports: [{port: 8071}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: hand}
subsets: [{addresses: [{ip: 127.0.0.1}], ports: [{port: PORT}]}]
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: localhost}
"""
CLIENT = """\
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox
    command: [python3, -c, 'import sys, urllib.request as u; print(*[u.urlopen(a).status for a in sys.argv[1:]])']
    args: [ARGS]
"""  # noqa: E501


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.read())
    except OSError:
        return False


def address(kubectl: tools.Kubectl, name: str) -> str:
    return kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")


def slices(kubectl: tools.Kubectl, name: str) -> list[str]:
    """The addresses in a Service's slices, ready ones with a plus."""
    found = kubectl.json("get", "endpointslices", "-l", f"kubernetes.io/service-name={name}")
    return [
        f"{endpoint['addresses'][0]}{'+' if endpoint['conditions']['ready'] else ''}"
        for one in found["items"]
        for endpoint in one["endpoints"] or ()
    ]


@contextmanager
def web(kubectl: tools.Kubectl) -> Iterator[int]:
    """A Service with one pod behind it: the pod's port."""
    port = free_port()
    kubectl("apply", "-f", "-", stdin=WEB.replace("PORT", str(port)))
    try:
        assert tools.eventually(lambda: answers(f"http://127.0.0.1:{port}"))
        yield port
    finally:
        kubectl("delete", "service/web", "replicaset/web", "--cascade=foreground", "--timeout=60s")


def test_a_service_leads_to_its_pods(kubectl: tools.Kubectl) -> None:
    with web(kubectl) as port:
        url = f"http://{address(kubectl, 'web')}:8070"
        assert tools.eventually(lambda: answers(url))
        assert slices(kubectl, "web") == ["127.0.0.1+"]
        assert f"127.0.0.1:{port}" in kubectl("get", "endpoints", "web")
        assert f"127.0.0.1:{port}" in kubectl("describe", "service", "web")
        for target in ("service/web", "replicaset/web"):
            with forwarding(kubectl, target, "8070" if "service" in target else str(port)) as way:
                assert answers(way)
        kubectl("scale", "replicaset/web", "--replicas=0")
        assert tools.eventually(lambda: not answers(url))
        assert slices(kubectl, "web") == []


def test_services_without_a_selector(kubectl: tools.Kubectl) -> None:
    with web(kubectl) as port:
        kubectl("apply", "-f", "-", stdin=BY_HAND.replace("PORT", str(port)))
        url = f"http://{address(kubectl, 'hand')}:8071"
        assert tools.eventually(lambda: answers(url))
        assert slices(kubectl, "hand") == ["127.0.0.1+"]
        assert tools.eventually(lambda: slices(kubectl, "headless") == ["127.0.0.1+"])
        assert address(kubectl, "headless") == "None"
        assert slices(kubectl, "outside") == []
        kubectl("delete", "endpoints", "hand")
        assert tools.eventually(lambda: not answers(url))
        assert tools.eventually(lambda: slices(kubectl, "hand") == [])
        kubectl("delete", "service", "hand", "headless", "outside")


def test_containers_are_told_of_services(kubectl: tools.Kubectl) -> None:
    with web(kubectl):
        pod = CLIENT.replace("ARGS", '"http://$(WEB_SERVICE_HOST):$(WEB_SERVICE_PORT_HTTP)/"')
        kubectl("apply", "-f", "-", stdin=pod)
        assert tools.eventually(lambda: phase(kubectl) == "Succeeded")
        assert kubectl("logs", "client") == "200\n"
        kubectl("delete", "pod", "client")


def phase(kubectl: tools.Kubectl) -> str:
    return kubectl("get", "pod", "client", "-o", "jsonpath={.status.phase}")


@pytest.mark.skipif(bool(available()), reason=available() or "-")
@pytest.mark.skipif(not tools.find_kubectls(), reason="no kubectl here")
def test_sandboxes_know_services_by_name(tmp_path: Path) -> None:
    with tools.running_server(tmp_path, "--runtime", "sandbox") as server:
        version, binary = list(tools.find_kubectls().items())[-1]
        kubectl = tools.Kubectl(binary, version, server.kubeconfig, tmp_path)
        with web(kubectl) as port:
            kubectl("apply", "-f", "-", stdin=BY_HAND.replace("PORT", str(port)))
            names = (
                "web:8070",
                "web.default:8070",
                "web.default.svc.cluster.local:8070",
                "hand.default.svc:8071",
                f"headless:{port}",
                f"outside:{port}",
            )
            assert tools.eventually(lambda: slices(kubectl, "headless") == ["127.0.0.1+"])
            pod = CLIENT.replace("ARGS", ", ".join(f'"http://{name}/"' for name in names))
            kubectl("apply", "-f", "-", stdin=pod)
            assert tools.eventually(lambda: phase(kubectl) != "Pending" and phase(kubectl) != "")
            assert tools.eventually(lambda: phase(kubectl) == "Succeeded"), kubectl(
                "logs", "client"
            )
            assert kubectl("logs", "client") == " ".join(["200"] * len(names)) + "\n"


@contextmanager
def forwarding(kubectl: tools.Kubectl, target: str, port: str) -> Iterator[str]:
    """The URL that leads to a port of what kubectl finds a pod for."""
    process = subprocess.Popen(
        kubectl._argv(("port-forward", target, f":{port}")), stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env=kubectl._environment(),
    )  # fmt: skip
    with process:
        try:
            line = tools.lines_of(process)()
            match = re.match(r"Forwarding from (127\.0\.0\.1:\d+) -> ", line)
            assert match, line
            yield f"http://{match[1]}"
        finally:
            process.terminate()
            process.wait(30)
