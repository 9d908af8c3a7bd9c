"""From a container of a pod to what a runtime can start, or the problem that prevents it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kubatch.agent.env import EnvError, PodContext, Sources, build, expand
from kubatch.agent.facts import Capabilities, PodFacts, Problem
from kubatch.agent.refuse import refusal
from kubatch.api import models as m
from kubatch.runtime.images import ImageMap, argv
from kubatch.runtime.protocol import ContainerId, ContainerSpec

HOSTNAME_CHARS_MAX = 63


@dataclass(frozen=True, slots=True)
class Host:
    """The machine as containers meet it."""

    node_name: str
    address: str
    runtime_name: str
    logs: Path  # under it a directory per pod
    images: ImageMap
    capabilities: Capabilities
    env: Mapping[str, str]  # what every container gets unless it says otherwise: PATH, HOME
    allocatable: Mapping[str, str] = field(default_factory=dict)


def prepare(
    facts: PodFacts,
    container: m.Container,
    attempt: int,
    sources: Sources,
    host: Host,
    now: datetime,
) -> ContainerSpec | Problem:
    """Everything needed to run a container, in the order in which the kubelet looks at it."""
    why = refusal(container, facts.pod, host.capabilities, host.runtime_name)
    if why is not None:
        return Problem("CreateContainerConfigError", why, now, permanent=True)
    context = PodContext(host.node_name, host.address, host.allocatable)
    try:
        asked = build(facts.pod, container, sources, context)
    except EnvError as error:
        return Problem("CreateContainerConfigError", str(error), now)
    image = container.image or ""
    entry = host.images.resolve(image)
    words = argv(
        entry,
        [expand(word, asked) for word in container.command or ()],
        [expand(word, asked) for word in container.args or ()],
    )
    if not words:
        return Problem(
            "CreateContainerError",
            f'no command specified: image "{image}" is not in the image map; '
            "give the container a command, or map the image",
            now,
            permanent=True,
        )
    env = {**host.env, "HOSTNAME": hostname(facts.pod), **(entry.env if entry else {}), **asked}
    if container.tty:
        env.setdefault("TERM", "xterm")
    return ContainerSpec(
        id=ContainerId(facts.uid, container.name, attempt),
        argv=words,
        env=env,
        working_dir=container.workingDir or (entry.working_dir if entry else None),
        log_path=log_path(host.logs, facts, container.name, attempt),
        labels={
            "io.kubernetes.pod.namespace": facts.namespace,
            "io.kubernetes.pod.name": facts.name,
            "io.kubernetes.pod.uid": facts.uid,
            "io.kubernetes.container.name": container.name,
        },
    )


def hostname(pod: m.Pod) -> str:
    """The pod's host name (pkg/kubelet/kubelet_pods.go: GeneratePodHostNameAndDomain)."""
    assert pod.metadata is not None
    assert pod.spec is not None
    name = pod.spec.hostnameOverride or pod.spec.hostname or pod.metadata.name or ""
    return name[:HOSTNAME_CHARS_MAX].rstrip("-.")


def logs_directory(data_dir: Path) -> Path:
    """Where the logs of all pods are."""
    return data_dir.absolute() / "logs" / "pods"


def pod_log_directory(logs: Path, namespace: str, name: str, uid: str) -> Path:
    """Where a pod's logs are (pkg/kubelet/kuberuntime/helpers.go: BuildPodLogsDirectory)."""
    return logs / f"{namespace}_{name}_{uid}"


def log_path(logs: Path, facts: PodFacts, container: str, attempt: int) -> Path:
    """One attempt's log file."""
    directory = pod_log_directory(logs, facts.namespace, facts.name, facts.uid)
    return directory / container / f"{attempt}.log"
