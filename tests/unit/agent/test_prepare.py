"""From a container to what a runtime starts, or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubatch.agent.env import Sources
from kubatch.agent.facts import Capabilities, Problem
from kubatch.agent.prepare import Host, prepare
from kubatch.agent.volumes import Mounted
from kubatch.api import models as m
from kubatch.runtime.images import ImageEntry, ImageMap
from kubatch.runtime.protocol import ContainerId, ContainerSpec
from tests.unit.agent.pods import START, container, facts, pod

IMAGES = ImageMap(
    ((("mapped",), ImageEntry(("serve",), ("--all",), {"LANG": "C", "A": "image"}, "/srv")),)
)


def run(
    c: m.Container, capabilities: Capabilities | None = None, **spec: Any
) -> ContainerSpec | Problem:
    host = Host(
        node_name="n",
        address="10.0.0.1",
        runtime_name="process",
        logs=Path("/data/logs/pods"),
        images=IMAGES,
        capabilities=capabilities or Capabilities(uid=1000, gid=1000),
        env={"PATH": "/bin", "HOME": "/home/me"},
    )
    p = pod(c, **spec)
    volumes = {"data": Mounted(Path("/volumes/data"))}
    return prepare(facts(p), c, 2, Sources(), host, START, volumes)


def spec_of(c: m.Container, **spec: Any) -> ContainerSpec:
    found = run(c, **spec)
    assert isinstance(found, ContainerSpec)
    return found


def test_everything_is_there() -> None:
    found = spec_of(
        container(
            command=["sh", "-c"],
            args=["echo $(A) $(HOME) $$(A)"],
            env=[m.EnvVar(name="A", value="1")],
            workingDir="/work",
        )
    )
    assert found.id == ContainerId("u1", "c", 2)
    # HOME is the runtime's, not the pod's: it is not expanded
    assert found.argv == ("sh", "-c", "echo 1 $(HOME) $(A)")
    assert found.env == {"PATH": "/bin", "HOME": "/home/me", "HOSTNAME": "p", "A": "1"}
    assert found.working_dir == "/work"
    assert found.log_path == Path("/data/logs/pods/default_p_u1/c/2.log")


def test_the_image_map_gives_what_the_container_does_not() -> None:
    found = spec_of(container(image="mapped", env=[m.EnvVar(name="A", value="1")]))
    assert found.argv == ("serve", "--all")
    assert (found.env["LANG"], found.env["A"]) == ("C", "1")
    assert found.working_dir == "/srv"
    assert spec_of(container(image="mapped", args=["x"])).argv == ("serve", "x")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostname": "job-3"}, "job-3"),
        ({"hostname": "h", "hostnameOverride": "o"}, "o"),
        ({"hostname": "a" * 62 + "-b"}, "a" * 62),
        ({}, "p"),
    ],
)
def test_hostname(spec: dict[str, str], expected: str) -> None:
    assert spec_of(container(command=["true"]), **spec).env["HOSTNAME"] == expected


def test_no_command() -> None:
    found = run(container(image="example.com/app:1"))
    assert isinstance(found, Problem)
    assert found.reason == "CreateContainerError"
    assert found.message == (
        'no command specified: image "example.com/app:1" is not in the image map; '
        "give the container a command, or map the image with --image-map"
    )


def test_missing_config_map() -> None:
    source = m.EnvFromSource(configMapRef=m.ConfigMapEnvSource(name="missing"))
    found = run(container(command=["true"], envFrom=[source]))
    assert found == Problem("CreateContainerConfigError", 'configmap "missing" not found', START)


PROBE = m.Probe()


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        (
            {"volumeMounts": [m.VolumeMount(name="data", mountPath="/data")]},
            'volume "data" cannot be mounted at /data: ',
        ),
        ({"securityContext": m.SecurityContext(runAsUser=0)}, "securityContext.runAsUser 0 is not"),
        ({"securityContext": m.SecurityContext(runAsGroup=5)}, "securityContext.runAsGroup 5 is"),
        ({"livenessProbe": PROBE}, "livenessProbe is not supported by the process runtime yet"),
        ({"readinessProbe": PROBE}, "readinessProbe is not supported"),
        ({"startupProbe": PROBE}, "startupProbe is not supported"),
        (
            {"lifecycle": m.Lifecycle(preStop=m.LifecycleHandler())},
            "lifecycle.preStop is not supported",
        ),
    ],
)
def test_refused(fields: dict[str, Any], start: str) -> None:
    found = run(container(command=["true"], **fields))
    assert isinstance(found, Problem)
    assert found.reason == "CreateContainerConfigError"
    assert found.message.startswith(start)
    assert found.permanent
    able = Capabilities(mounts=True, users=True, probes=True, hooks=True)
    assert isinstance(run(container(command=["true"], **fields), able), ContainerSpec)


def test_our_own_user_is_no_reason_to_refuse() -> None:
    found = run(
        container(
            command=["true"],
            securityContext=m.SecurityContext(runAsUser=1000, runAsGroup=1000, runAsNonRoot=True),
        )
    )
    assert isinstance(found, ContainerSpec)


def test_the_containers_user_wins_over_the_pods() -> None:
    c = container(command=["true"], securityContext=m.SecurityContext(runAsUser=1000))
    assert isinstance(run(c, securityContext=m.PodSecurityContext(runAsUser=7)), ContainerSpec)


def test_run_as_non_root() -> None:
    c = container(command=["true"], securityContext=m.SecurityContext(runAsNonRoot=True))
    found = run(c, Capabilities(uid=0))
    assert isinstance(found, Problem)
    assert found.message == (
        'container has runAsNonRoot and image will run as root (pod: "p_default(u1)", container: c)'
    )


def test_input_and_terminal_are_passed_on() -> None:
    plain = spec_of(container(command=["sh"]))
    assert (plain.stdin, plain.stdin_once, plain.tty) == (False, False, False)
    found = spec_of(container(command=["sh"], stdin=True, stdinOnce=True, tty=True))
    assert (found.stdin, found.stdin_once, found.tty) == (True, True, True)
    assert found.env["TERM"] == "xterm"
