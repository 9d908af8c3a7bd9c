"""A whole server as an ordinary user: pods in sandboxes, with what they may have there."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubatch.runtime.sandbox import available
from tests.kubectl import tools
from tests.kubectl.test_sandbox import apply, output, pod

NAME = "nobody"
SOURCES = [str(tools.ROOT / "src"), *(p for p in sys.path if p.endswith("-packages"))]


def _as_somebody(python: str) -> list[str]:
    return ["runuser", "-u", NAME, "--", "env", f"PYTHONPATH={':'.join(SOURCES)}", python, "-B"]


def _why_not() -> tuple[str, str]:
    """Why it cannot be tried here, and else a Python that the user can run."""
    if not tools.find_kubectls():
        return "no kubectl here", ""
    if os.geteuid() != 0:
        return "we are an ordinary user: the other tests try it", ""
    if available() or shutil.which("runuser") is None:
        return available() or "no runuser here", ""
    check = "import sys; from kubatch.runtime.sandbox import available; sys.exit(available() or 0)"
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        words = [*_as_somebody(python), "-c", check]
        done = subprocess.run(words, cwd="/", capture_output=True, text=True)
        if done.returncode == 0:
            return "", python
    return f"{NAME} cannot run us or make sandboxes: {done.stderr.strip()[-200:]}", ""


WHY_NOT, PYTHON = _why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


@pytest.fixture(scope="module")
def kubectl() -> Iterator[tools.Kubectl]:
    home = Path(tempfile.mkdtemp(prefix="kubatch-user-"))
    user = pwd.getpwnam(NAME)
    os.chown(home, user.pw_uid, user.pw_gid)
    config = home / "kubeconfig"
    options = ["--data-dir", str(home / "data"), "--port", "0", "--kubeconfig", str(config)]
    words = [*_as_somebody(PYTHON), "-m", "kubatch", "up", *options, "--runtime", "sandbox"]
    with subprocess.Popen(
        words, cwd="/", stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert str(config) in tools.lines_of(process)()
            version, binary = next(iter(tools.find_kubectls().items()))
            yield tools.Kubectl(binary, version, config, home)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=30)
            shutil.rmtree(home, ignore_errors=True)


def test_a_pod_as_careful_people_write_it(kubectl: tools.Kubectl) -> None:
    login = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "stringData": {"password": "hunter2"},
    }
    apply(kubectl, login)
    secret = {"name": "login", "secret": {"secretName": "login", "defaultMode": 0o400}}
    script = (
        "id -u; cat /login/password; echo; head -c3 $TOKEN; echo; echo x > /data/x; "
        f"cat /data/x; ls -A {kubectl.home} 2>&1 | head -1; touch /etc/x 2>/dev/null || echo closed"
    )
    manifest = pod(
        "careful", script, ("/login", secret), ("/data", {"name": "data", "emptyDir": {}}),
        securityContext={
            "runAsUser": 1000, "runAsNonRoot": True, "fsGroup": 2000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        container={
            "securityContext": {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "env": [
                {"name": "TOKEN", "value": "/var/run/secrets/kubernetes.io/serviceaccount/token"}
            ],
        },
    )  # fmt: skip
    lines = output(kubectl, manifest).splitlines()
    assert lines[:4] == ["1000", "hunter2", "eyJ", "x"]
    assert "No such file" in lines[4]
    assert lines[5] == "closed"


def test_what_needs_root_says_so(kubectl: tools.Kubectl) -> None:
    security = {"securityContext": {"privileged": True}}
    apply(kubectl, pod("mighty", "true", container=security))
    query = "-o=jsonpath={.status.containerStatuses[0].state.waiting.message}"
    told = "securityContext.privileged needs a node that runs as root; remove the field"
    assert tools.eventually(lambda: kubectl("get", "pod", "mighty", query) == told)
