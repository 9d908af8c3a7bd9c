"""The official Python client against the same server."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.kubectl import tools

pytestmark = pytest.mark.slow


def test_the_example_program(server: tools.Server) -> None:
    done = subprocess.run(
        [sys.executable, str(tools.EXAMPLES / "client.py")],
        capture_output=True,
        text=True,
        timeout=tools.COMMAND_SECONDS_MAX,
        env={**os.environ, "KUBECONFIG": str(server.kubeconfig)},
    )
    expected = r"created answer-\w{5}\n6 times 7 is 42\nsucceeded\n"
    assert re.fullmatch(expected, done.stdout), done.stdout + done.stderr
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
