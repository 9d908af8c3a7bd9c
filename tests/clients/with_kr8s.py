"""kr8s: objects that know how to wait, to be read, to run a command, to be deleted."""

from __future__ import annotations

import warnings

import kr8s
from kr8s.objects import ConfigMap, Job, Pod

CONTAINER = {"name": "c", "image": "busybox"}


def main() -> None:
    warnings.simplefilter("ignore")
    assert kr8s.version()["major"] == "1"
    spec = {"restartPolicy": "Never", "containers": [{**CONTAINER, "command": ["echo", "hello"]}]}
    job = Job({"metadata": {"name": "kr8s"}, "spec": {"template": {"spec": spec}}})
    job.create()
    job.wait("condition=Complete", timeout=30)
    found = list(kr8s.get("pods", label_selector={"job-name": "kr8s"}))
    assert "\n".join(found[0].logs()) == "hello"

    settings = ConfigMap({"metadata": {"name": "kr8s"}, "data": {"a": "1"}})
    settings.create()
    settings.patch({"data": {"b": "2"}})
    assert settings.data == {"a": "1", "b": "2"}
    settings.label(team="x")
    assert [m.name for m in kr8s.get("configmaps", label_selector="team=x")] == ["kr8s"]

    pod = Pod(
        {
            "metadata": {"name": "long"},
            "spec": {"containers": [{**CONTAINER, "command": ["sleep", "60"]}]},
        }
    )
    pod.create()
    pod.wait("condition=Ready", timeout=30)
    done = pod.exec(["echo", "inside"])
    assert (done.returncode, done.stdout) == (0, b"inside\n")
    pod.delete(grace_period=0)
    job.delete(propagation_policy="Background")
    print("all is well")


main()
