"""The official Python client against the same server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kubectl import tools

pytestmark = pytest.mark.slow


def test_the_example_program(server: tools.Server) -> None:
    done = subprocess.run(
        [sys.executable, str(tools.EXAMPLES / "client" / "client.py")],
        capture_output=True,
        text=True,
        timeout=tools.COMMAND_SECONDS_MAX,
        env={**os.environ, "KUBECONFIG": str(server.kubeconfig)},
    )
    expected = r"created answer-\w{5}\n6 times 7 is 42\nsucceeded\n"
    assert re.fullmatch(expected, done.stdout), done.stdout + done.stderr
    assert done.returncode == 0


APPLY = """
import kubernetes
from kubernetes.client.exceptions import ApiException
kubernetes.config.load_kube_config()
client = kubernetes.dynamic.DynamicClient(kubernetes.client.ApiClient())
maps = client.resources.get(api_version="v1", kind="ConfigMap")
def apply(value, manager, **options):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic"}}
    return maps.server_side_apply(
        body={**body, "data": {"a": value}}, namespace="default", field_manager=manager, **options
    )
print(apply("1", "alice").data.a)
try:
    apply("2", "bob")
except ApiException as error:
    print(error.status)
print(apply("2", "bob", force_conflicts=True).data.a)
"""


def test_server_side_apply(server: tools.Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", APPLY],
        capture_output=True,
        text=True,
        timeout=tools.COMMAND_SECONDS_MAX,
        env={**os.environ, "KUBECONFIG": str(server.kubeconfig), "HOME": str(tmp_path)},
    )
    assert done.stdout.split() == ["1", "409", "2"], done.stderr


def test_exec_and_port_forward(server: tools.Server) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("python_streams.py"))],
        capture_output=True,
        text=True,
        timeout=tools.COMMAND_SECONDS_MAX,
        env={**os.environ, "KUBECONFIG": str(server.kubeconfig)},
    )
    assert done.stdout.splitlines() == [
        "all: err out",
        "stdout: one",
        "stderr: two",
        "code: 3",
        "forwarded: 200 hello",
        "error: None",
    ], done.stderr
    assert done.returncode == 0


def test_a_second_server_on_the_same_data_refuses(server: tools.Server) -> None:
    done = subprocess.run(
        [str(tools.KUBATCH), "up", "--data-dir", str(server.data_dir), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=tools.START_SECONDS_MAX,
    )
    assert done.returncode != 0
    assert str(server.data_dir) in done.stderr
    assert "Traceback" not in done.stderr
