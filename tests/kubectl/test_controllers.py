"""Controllers alone, with no more rights than docs/controllers.md gives them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kubectl import tools

pytestmark = [pytest.mark.slow, pytest.mark.kubectl]

JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: ours}
spec:
  managedBy: kubatch.dev/job-controller
  completions: 4
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: ["true"]}]
"""


def documented(number: int) -> str:
    """The YAML in the text, by its place."""
    text = (tools.ROOT / "docs" / "controllers.md").read_text(encoding="utf-8")
    return str(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[number])


@pytest.mark.skipif(not tools.find_kubectls(), reason="no kubectl here")
def test_the_documented_rights_are_enough(tmp_path: Path) -> None:
    with tools.running_server(tmp_path) as server:
        version, binary = list(tools.find_kubectls().items())[-1]
        kubectl = tools.Kubectl(binary, version, server.kubeconfig, tmp_path)
        system = tools.Kubectl(binary, version, server.kubeconfig, tmp_path, "kube-system")
        system("apply", "-f", "-", stdin=documented(1))
        token = system("create", "token", "kubatch-controllers").strip()
        config = tmp_path / "limited"
        shutil.copy(server.kubeconfig, config)
        limited = tools.Kubectl(binary, version, config, tmp_path)
        limited("config", "set-credentials", "limited", f"--token={token}")
        limited("config", "set-context", "limited", "--cluster=kubatch", "--user=limited")
        argv = [str(tools.KUBATCH), "controllers", "--kubeconfig", str(config), "-vv"]
        log = tmp_path / "log"
        with (
            log.open("w") as stderr,
            subprocess.Popen(
                [*argv, "--context", "limited"], stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as process,
        ):
            kubectl("apply", "-f", "-", stdin=JOB)
            kubectl("wait", "--for=condition=complete", "job/ours", "--timeout=60s")
            patch = '{"spec":{"suspend":true}}'
            held = JOB.replace("ours", "held").replace('["true"]', '[sleep, "100"]')
            kubectl("apply", "-f", "-", stdin=held)
            kubectl("patch", "job/held", "-p", patch)
            kubectl("wait", "--for=condition=Suspended", "job/held", "--timeout=60s")
            events = system("get", "events")
            process.terminate()
            assert process.wait(timeout=30) == 0
        assert "became leader" in events
        assert "is forbidden" not in log.read_text()
        refused = limited.result("--context", "limited", "get", "secrets")
        assert "secrets is forbidden" in refused.stderr
